"""OpenAI's responses: the official Python client, over upstreams that speak other dialects; conversations over a restart."""
import json
import subprocess
import sys
import unittest

import harness

PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

# Run by a Python that has the client: argv is the service's URL, the model. Prints one JSON object.
PROGRAM = r"""
import json, sys, openai, pydantic
url, model, png = sys.argv[1:4]
client = openai.OpenAI(base_url=url + "/v1", api_key="any", max_retries=0, timeout=60)
ask = lambda said, **k: client.responses.create(**{"model": model, "input": said, **k})
out = {}
r = ask("hello", instructions="be brief", metadata={"a": "b"})
out["whole"] = {"text": r.output_text, "status": r.status, "tokens": r.usage.output_tokens, "metadata": r.metadata, "instructions": r.instructions}
types, text, numbers = [], "", []
for event in client.responses.create(model=model, input="a stream", stream=True):
    types.append(event.type); numbers.append(event.sequence_number)
    if event.type == "response.output_text.delta": text += event.delta
    if event.type == "response.completed": final = event.response
out["stream"] = {"text": text, "final": final.output_text, "types": list(dict.fromkeys(types)), "numbered": numbers == list(range(len(numbers)))}
with client.responses.stream(model=model, input="a stream") as s:
    for event in s: pass
    out["helper"] = s.get_final_response().output_text
tools = [{"type": "function", "name": n, "description": "d", "strict": False, "parameters": {"type": "object", "properties": {"echo": {"type": "string"}}}} for n in ("first", "second")]
r = ask("call the tool", tools=tools)
calls = [o for o in r.output if o.type == "function_call"]
out["tools"] = {"names": [c.name for c in calls], "inputs": [json.loads(c.arguments) for c in calls], "ids": len({c.call_id for c in calls})}
results = [{"type": "function_call_output", "call_id": c.call_id, "output": "done"} for c in calls] + [{"role": "user", "content": "and now?"}]
out["after"] = ask(results, tools=tools, previous_response_id=r.id).output_text
out["after_items"] = ask([{"role": "user", "content": "call the tool"}] + r.output + results, tools=tools).output_text
with client.responses.stream(model=model, input="call the tool again", tools=tools) as s:
    for event in s: pass
    out["streamed_tools"] = [json.loads(o.arguments) for o in s.get_final_response().output]
ask("structured", text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}}})
out["image"] = ask([{"role": "user", "content": [{"type": "input_text", "text": "picture"}, {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + png}]}]).output_text
r = ask("cut", max_output_tokens=5)
out["cut"] = [r.status, r.incomplete_details.reason]
r = ask("kept")
out["kept"] = client.responses.retrieve(r.id).output_text == r.output_text
again = list(client.responses.retrieve(r.id, stream=True))
out["again"] = again[-1].response.output_text == r.output_text and len(list(client.responses.retrieve(r.id, stream=True, starting_after=2))) == len(again) - 3
out["asked"] = [i.content for i in client.responses.input_items.list(r.id)]
client.responses.delete(r.id)
def error(f):
    try: f()
    except openai.APIStatusError as e: return [e.status_code, e.code, e.message]
out["gone"] = error(lambda: client.responses.retrieve(r.id))
out["unknown"] = error(lambda: ask("x", previous_response_id=r.id))
out["hosted"] = error(lambda: ask("x", tools=[{"type": "web_search"}]))
out["model"] = error(lambda: ask("x", model="no-such-model"))
try:
    for event in client.responses.create(model=model.split("/")[0] + "/fault-s08", input="x", stream=True): last = event.type
    out["broken"] = last
except openai.APIError as e:
    out["broken"] = "raised"
print(json.dumps(out))
"""


class Responses(harness.Case):
    def run_client(self, model):
        python = harness.client_python()
        if not python:
            self.skipTest("the openai package cannot be installed here")
        provider = self.provider()
        service = self.service(self.home(provider, OLLAMA_HOST=provider.url))
        done = subprocess.run([python, "-c", PROGRAM, service.url, model, PNG], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        out = json.loads(done.stdout)
        token = harness.token_of
        self.assertTrue(out["whole"]["text"].startswith("echo:" + token("hello")), out["whole"])
        self.assertEqual((out["whole"]["status"], out["whole"]["tokens"]), ("completed", 60))
        self.assertEqual((out["whole"]["metadata"], out["whole"]["instructions"]), ({"a": "b"}, "be brief"))
        self.assertTrue(out["stream"]["text"].startswith("echo:" + token("a stream")), out["stream"])
        self.assertEqual(out["stream"]["text"], out["stream"]["final"])
        self.assertEqual(out["helper"], out["stream"]["text"])
        self.assertTrue(out["stream"]["numbered"])
        self.assertEqual(out["stream"]["types"], [
            "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
            "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
            "response.completed"])
        self.assertEqual(out["tools"], {"names": ["first", "second"], "inputs": [{"echo": token("call the tool")}] * 2, "ids": 2})
        self.assertTrue(out["after"].startswith("echo:" + token("and now?")), out["after"])
        self.assertEqual(out["after_items"], out["after"])
        self.assertEqual(out["streamed_tools"], [{"echo": token("call the tool again")}] * 2)
        self.assertTrue(out["image"].startswith("echo:" + token("picture")), out["image"])
        self.assertEqual(out["cut"], ["incomplete", "max_output_tokens"])
        self.assertTrue(out["kept"])
        self.assertTrue(out["again"])
        self.assertEqual(out["gone"][0], 404)
        self.assertEqual(out["unknown"][:2], [400, "previous_response_not_found"])
        self.assertEqual(out["hosted"][0], 400)
        self.assertIn("web_search", out["hosted"][2])
        self.assertEqual(out["model"][0], 404)
        self.assertEqual(out["broken"], "raised")
        bodies = [c["body"] for c in provider.chats()]
        self.assertTrue(any(PNG[:40] in b for b in bodies), "the picture reached the upstream")
        self.assertTrue(any('"integer"' in b for b in bodies), "the schema reached the upstream")

    def test_over_chat_completions(self):
        self.run_client("openai/fake-small")

    def test_over_ollama(self):
        self.run_client("ollama/fake-local:latest")

    def test_a_conversation_survives_a_restart_and_a_kill(self):
        provider = self.provider()
        home = self.home(provider)
        service = self.service(home)

        def ask(text, **more):
            return harness.request(service.url + "/v1/responses", {"model": "openai/fake-small", "input": text, **more})

        first = ask("one").json()["id"]
        harness.wait_until(lambda: (home.path / "responses.db").exists(), what="the store is there")
        service.stop()
        service = self.service(home)
        second = ask("two", previous_response_id=first)
        self.assertEqual(second.status, 200, second.body.decode() + service.log_text())
        harness.time.sleep(0.5)  # what is kept is on disk a tenth of a second later
        service.kill()
        service = self.service(home)
        third = ask("three", previous_response_id=second.json()["id"])
        self.assertEqual(third.status, 200, third.body.decode() + service.log_text())
        said = [m["content"] for m in json.loads(provider.chats()[-1]["body"])["messages"] if m["role"] == "user"]
        self.assertEqual(said, ["one", "two", "three"])
        self.assertEqual((home.path / "responses.db").stat().st_mode & 0o777, 0o600)

    def test_tenants_do_not_see_each_others(self):
        provider = self.provider()
        home = self.home(provider)
        secrets = {}
        for name in ("ann", "bob"):
            made = home.run("keys", "create", name, "--tenant", name, "--json")
            self.assertEqual(made.returncode, 0, made.stderr)
            secrets[name] = json.loads(made.stdout)["secret"]
        service = self.service(home)

        def call(name, path, body=None, method=None):
            return harness.request(service.url + path, body, {"Authorization": "Bearer " + secrets[name]}, method=method)

        mine = call("ann", "/v1/responses", {"model": "openai/fake-small", "input": "hi"}).json()["id"]
        self.assertEqual(call("ann", "/v1/responses/" + mine).status, 200)
        self.assertEqual(call("bob", "/v1/responses/" + mine).status, 404)
        self.assertEqual(call("bob", "/v1/responses/" + mine, method="DELETE").status, 404)
        self.assertEqual(call("bob", "/v1/responses", {"model": "openai/fake-small", "input": "go", "previous_response_id": mine}).status, 400)
        self.assertEqual(call("ann", "/v1/responses/" + mine, method="DELETE").json(), {"id": mine, "object": "response", "deleted": True})
        self.assertEqual(call("ann", "/v1/responses/" + mine).status, 404)


if __name__ == "__main__":
    harness.client_main()
