"""Official clients against the service: one script each in tests/clients, which runs the steps it is told and prints what each saw."""
import json
import pathlib
import subprocess

import harness

SCRIPTS = pathlib.Path(__file__).parent.parent / "clients"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
STEPS = "chat,stream,tools,structured,image,error,cancel"
# How each client's dialect says: the answer is complete; tools are called.
STOPS = {"openai": ("stop", "tool_calls"), "anthropic": ("end_turn", "tool_use"), "gemini": ("STOP", "STOP"), "ollama": ("stop", "stop"),
         "responses": ("completed", "completed"), "ai": ("stop", "tool-calls")}


def client_of(script):
    return script.removeprefix("py_").split(".")[0].split("_")[0]


class ClientCase(harness.Case):
    def run_script(self, script, url, model, slow, embedding, steps, limit=200, timeout_s=280):
        """`script`: "py_openai.py", "openai.js" and so on. Gives what each step saw."""
        env = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "MAX_TOKENS": str(limit)}
        if script.endswith(".js"):
            node = harness.client_node()
            program, env["NODE_PATH"] = (node[0], str(node[1])) if node else (None, "")
        else:
            program = harness.client_python()
        if not program:
            self.skipTest("the clients cannot be installed here")
        done = subprocess.run([program, SCRIPTS / script, url, model, slow, embedding, PNG, steps], env=env, capture_output=True, text=True, timeout=timeout_s)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout)

    def over(self, script, upstream, more=""):
        """The client over the scripted provider in the dialect `upstream`: the steps that all have, checked, and `more`."""
        provider = self.provider()
        service = self.service(self.home_of_all(provider))
        name = "fake-local:latest" if upstream == "ollama" else "fake-small"
        out = self.run_script(script, service.url, f"{upstream}/{name}", f"{upstream}/fault-slow-ms50", f"{upstream}/fake-embed",
                              ",".join(filter(None, [STEPS, more])))
        self.check(out, provider, *STOPS[client_of(script)])
        return out

    def check(self, out, provider, stop, tool_stop):
        said = lambda text: "echo:" + harness.token_of(text)
        for name, question in (("chat", "hello"), ("stream", "a stream")):
            self.assertTrue(out[name]["text"].startswith(said(question)) and out[name]["text"].endswith(" t59"), out[name])
            self.assertEqual((out[name]["stop"], out[name]["tokens"]), (stop, 60), out[name])
        self.assertTrue(out["stream"]["same"])
        tools = out["tools"]
        self.assertEqual((tools["names"], tools["stop"], tools["ids"]), (["first", "second"], tool_stop, 2))
        self.assertEqual(tools["inputs"], [{"echo": harness.token_of("call the tool")}] * 2)
        self.assertEqual(tools["streamed"], [{"echo": harness.token_of("call the tool again")}] * 2)
        self.assertTrue(tools["after"].startswith(said("and now?")), tools["after"])
        self.assertEqual(out["structured"], {"x": 7})
        self.assertTrue(out["image"].startswith(said("picture")), out["image"])
        self.assertEqual(out["error"]["status"], 404, out["error"])
        self.assertIn("no-such-model", out["error"]["message"])
        self.assertTrue(any(PNG[:40] in c["body"] for c in provider.chats()), "the picture reached the upstream")
        if "embeddings" in out:
            self.assertEqual([len(v) for v in out["embeddings"]], [16, 16])
            self.assertNotEqual(*out["embeddings"])
        if "models" in out:
            self.assertTrue(any("fake-small" in m for m in out["models"]), out["models"])
        if "count" in out:
            self.assertGreater(out["count"], 0)
        if "completions" in out:
            c = out["completions"]
            self.assertTrue(c["text"].startswith(said("once upon")), c)
            self.assertEqual((c["echoed"], c["stop"], c["tokens"]), ("once upon" + c["text"], "stop", 60), c)
            self.assertEqual(c["suffix"]["status"], 400, c)
            self.assertIn("suffix", c["suffix"]["message"])
        if "kept" in out:
            self.assertEqual((out["kept"]["same"], out["kept"]["gone"]["status"]), (True, 404), out["kept"])
        # A client that leaves takes the upstream call with it.
        harness.wait_until(lambda: any(c["client_aborted"] for c in provider.chats()), 10, "the upstream call ends with its client")
