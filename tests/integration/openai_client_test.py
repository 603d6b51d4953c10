"""The official OpenAI client for Python, with nothing but a changed base URL; the cache behind it."""
import json
import subprocess
import sys
import unittest

import harness

# Run by the Python that has the client. Prints one JSON object.
PROGRAM = r"""
import json, sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="not-needed", max_retries=0, timeout=60)
ask = lambda model, text, **k: client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": text}], **k)
out = {"models": [m.id for m in client.models.list()]}
raw = client.chat.completions.with_raw_response
for name in ("first", "second"):
    r = raw.create(model="openai/fake-small", messages=[{"role": "user", "content": "hello"}])
    c = r.parse()
    out[name] = {"cache": r.headers.get("x-samplemind-cache"), "text": c.choices[0].message.content,
                 "tokens": c.usage.completion_tokens, "finish": c.choices[0].finish_reason}
text, finish, usage = "", None, None
for chunk in ask("openai/fake-small", "a stream", stream=True, stream_options={"include_usage": True}):
    if chunk.usage: usage = chunk.usage.completion_tokens
    for choice in chunk.choices:
        text += choice.delta.content or ""
        finish = choice.finish_reason or finish
out["stream"] = {"text": text, "finish": finish, "usage": usage}
for name, model in (("unknown", "no-such-model"), ("dead", "ollama/fake-local")):
    try:
        ask(model, "x")
        out[name] = {"status": 200}
    except openai.APIStatusError as e:
        out[name] = {"status": e.status_code, "message": e.message, "kind": type(e).__name__}
print(json.dumps(out))
"""


class OpenAiClient(harness.Case):
    def test_the_official_client(self):
        python = harness.client_python()
        if not python:
            self.skipTest("the openai package cannot be installed here")
        provider = self.provider()
        service = self.service(self.home(provider))
        done = subprocess.run([python, "-c", PROGRAM, service.url], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = json.loads(done.stdout)
        self.assertIn("openai/fake-small", out["models"])
        self.assertEqual(out["first"]["cache"], "miss")
        self.assertEqual(out["second"]["cache"], "hit-memory")
        self.assertTrue(out["first"]["text"].startswith("echo:" + harness.token_of("hello")), out["first"])
        self.assertEqual(out["first"]["text"], out["second"]["text"])
        self.assertEqual((out["first"]["tokens"], out["first"]["finish"]), (60, "stop"))
        self.assertTrue(out["stream"]["text"].startswith("echo:" + harness.token_of("a stream")))
        self.assertTrue(out["stream"]["text"].endswith(" t59"))
        self.assertEqual((out["stream"]["finish"], out["stream"]["usage"]), ("stop", 60))
        self.assertEqual(out["unknown"]["status"], 404, out["unknown"])
        self.assertIn("no-such-model", out["unknown"]["message"])
        self.assertIn(out["dead"]["status"], (502, 503, 504), out["dead"])
        self.assertIn("ollama", out["dead"]["message"].lower())
        self.assertEqual(len([c for c in provider.chats() if c["digest"] == harness.token_of("hello")]), 1)

    def test_the_cache_outlives_a_restart(self):
        provider = self.provider()
        home = self.home(provider)
        service = self.service(home)
        first = service.chat("keep this")
        self.assertEqual((first.status, first.headers["x-samplemind-cache"]), (200, "miss"), first.body)
        self.assertEqual(service.chat("keep this").headers["x-samplemind-cache"], "hit-memory")
        service.stop()
        service = self.service(home)
        again = service.chat("keep this")
        self.assertEqual(again.headers["x-samplemind-cache"], "hit-disk")
        text = lambda a: a.json()["choices"][0]["message"]["content"]
        self.assertEqual(text(first), text(again))
        self.assertEqual(len(provider.chats()), 1)

    def test_a_stream_is_answered_from_the_whole_answer_and_the_reverse(self):
        provider = self.provider()
        service = self.service(self.home(provider))
        streamed = service.chat("either form", stream=True)
        self.assertTrue(streamed.body.rstrip().endswith(b"data: [DONE]"), streamed.body)
        whole = service.chat("either form")
        self.assertEqual(whole.headers["x-samplemind-cache"], "hit-memory")
        pieces = [json.loads(line[6:]) for line in streamed.body.decode().splitlines()
                  if line.startswith("data: {")]
        text = "".join(c["delta"].get("content") or "" for p in pieces for c in p["choices"])
        self.assertEqual(text, whole.json()["choices"][0]["message"]["content"])
        self.assertEqual(len(provider.chats()), 1)


if __name__ == "__main__":
    harness.client_main()
