"""The official clients of Anthropic, Gemini and Ollama (and OpenAI's towards Ollama), with nothing but a changed base URL,
over upstreams of foreign dialects: chat, stream, tools, parallel tools, structured output, image, embeddings, error, cancel."""
import json
import subprocess
import sys
import time
import unittest

import harness

PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

# Each is run by a Python that has the clients: argv is the service's URL, the model, a slow model. Prints one JSON object.
ANTHROPIC = r"""
import json, sys, anthropic
url, model, slow, png = sys.argv[1:5]
client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=60)
ask = lambda text, **k: client.messages.create(**{"model": model, "max_tokens": 200, "messages": [{"role": "user", "content": text}], **k})
out = {}
m = ask("hello", system="be brief")
out["chat"] = {"text": m.content[0].text, "stop": m.stop_reason, "tokens": m.usage.output_tokens, "role": m.role}
text = ""
with client.messages.stream(model=model, max_tokens=200, messages=[{"role": "user", "content": "a stream"}]) as s:
    for piece in s.text_stream: text += piece
    final = s.get_final_message()
out["stream"] = {"text": text, "stop": final.stop_reason, "same": final.content[0].text == text}
tools = [{"name": n, "description": "d", "input_schema": {"type": "object", "properties": {"echo": {"type": "string"}}}} for n in ("first", "second")]
m = ask("call the tool", tools=tools)
calls = [b for b in m.content if b.type == "tool_use"]
out["tools"] = {"names": [c.name for c in calls], "inputs": [c.input for c in calls], "stop": m.stop_reason, "ids": len({c.id for c in calls})}
m = ask("x", tools=tools, messages=[{"role": "user", "content": "call the tool"}, {"role": "assistant", "content": [c.model_dump(include={"type", "id", "name", "input"}) for c in calls]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": c.id, "content": "done"} for c in calls] + [{"type": "text", "text": "and now?"}]}])
out["after"] = m.content[0].text
with client.messages.stream(model=model, max_tokens=200, tools=tools, messages=[{"role": "user", "content": "call the tool again"}]) as s:
    final = s.get_final_message()
out["streamed_tools"] = [b.input for b in final.content if b.type == "tool_use"]
m = ask("structured", output_config={"format": {"type": "json_schema", "schema": {"type": "object", "properties": {"x": {"type": "integer"}}}}})
m = ask([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}}, {"type": "text", "text": "picture"}])
out["image"] = m.content[0].text
out["count"] = client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "count me"}]).input_tokens
out["models"] = [x.id for x in client.models.list()]
try:
    client.messages.create(model="no-such-model", max_tokens=9, messages=[{"role": "user", "content": "x"}])
except anthropic.NotFoundError as e:
    out["error"] = {"status": e.status_code, "type": e.body["error"]["type"], "message": e.body["error"]["message"]}
try:
    ask("x", messages=[{"role": "user", "content": [{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "citations": {"enabled": True}}]}])
except anthropic.BadRequestError as e:
    out["refused"] = e.body["error"]["message"]
with client.messages.stream(model=slow, max_tokens=200, messages=[{"role": "user", "content": "leave"}]) as s:
    for piece in s.text_stream: break
print(json.dumps(out))
"""

GEMINI = r"""
import base64, json, sys
from google import genai
from google.genai import types, errors
url, model, slow, png = sys.argv[1:5]
client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url))
out = {}
ask = lambda text, m=model, **k: client.models.generate_content(model=m, contents=text, config=types.GenerateContentConfig(**k))
r = ask("hello", system_instruction="be brief", max_output_tokens=200)
out["chat"] = {"text": r.text, "stop": r.candidates[0].finish_reason.name, "tokens": r.usage_metadata.candidates_token_count}
text, last = "", None
for c in client.models.generate_content_stream(model=model, contents="a stream"):
    text += c.text or ""
    last = c.candidates[0].finish_reason or last
out["stream"] = {"text": text, "stop": last.name if last else None}
tool = types.Tool(function_declarations=[types.FunctionDeclaration(name=n, description="d", parameters=types.Schema(type="OBJECT", properties={"echo": types.Schema(type="STRING")})) for n in ("first", "second")])
r = ask("call the tool", tools=[tool])
out["tools"] = {"names": [c.name for c in r.function_calls], "inputs": [c.args for c in r.function_calls]}
r2 = client.models.generate_content(model=model, contents=[types.Content(role="user", parts=[types.Part(text="call the tool")]), r.candidates[0].content,
    types.Content(role="user", parts=[types.Part.from_function_response(name=c.name, response={"result": "done"}) for c in r.function_calls] + [types.Part(text="and now?")])],
    config=types.GenerateContentConfig(tools=[tool]))
out["after"] = r2.text
ask("structured", response_mime_type="application/json", response_schema=types.Schema(type="OBJECT", properties={"x": types.Schema(type="INTEGER")}))
r = ask([types.Part.from_bytes(data=base64.b64decode(png), mime_type="image/png"), types.Part(text="picture")])
out["image"] = r.text
out["count"] = client.models.count_tokens(model=model, contents="count me").total_tokens
out["models"] = [m.name for m in client.models.list()]
try:
    ask("x", m="no-such-model")
except errors.ClientError as e:
    out["error"] = {"status": e.code, "type": e.status, "message": e.message}
for c in client.models.generate_content_stream(model=slow, contents="leave"): break
print(json.dumps(out))
"""

OLLAMA = r"""
import json, sys, ollama
url, model, slow, png = sys.argv[1:5]
client = ollama.Client(host=url)
out = {}
user = lambda text, **k: [{"role": "user", "content": text, **k}]
r = client.chat(model=model, messages=[{"role": "system", "content": "be brief"}] + user("hello"))
out["chat"] = {"text": r.message.content, "stop": r.done_reason, "tokens": r.eval_count}
text, stop = "", None
for c in client.chat(model=model, messages=user("a stream"), stream=True):
    text += c.message.content or ""
    stop = c.done_reason or stop
out["stream"] = {"text": text, "stop": stop}
tools = [{"type": "function", "function": {"name": n, "description": "d", "parameters": {"type": "object", "properties": {"echo": {"type": "string"}}}}} for n in ("first", "second")]
r = client.chat(model=model, messages=user("call the tool"), tools=tools)
calls = r.message.tool_calls
out["tools"] = {"names": [c.function.name for c in calls], "inputs": [dict(c.function.arguments) for c in calls]}
r2 = client.chat(model=model, tools=tools, messages=user("call the tool") + [r.message] + [{"role": "tool", "tool_name": c.function.name, "content": "done"} for c in calls] + user("and now?"))
out["after"] = r2.message.content
client.chat(model=model, messages=user("structured"), format={"type": "object", "properties": {"x": {"type": "integer"}}})
out["image"] = client.chat(model=model, messages=user("picture", images=[png])).message.content
out["generate"] = client.generate(model=model, prompt="made", system="s").response
out["models"] = [m.model for m in client.list().models]
out["show"] = client.show(model).details.family
client.ps()
try:
    client.chat(model="no-such-model", messages=user("x"))
except ollama.ResponseError as e:
    out["error"] = {"status": e.status_code, "message": e.error}
if model.startswith("openai/"):
    out["embed"] = len(client.embed(model=model, input=["a", "b"]).embeddings)
for c in client.chat(model=slow, messages=user("leave"), stream=True): break
print(json.dumps(out))
"""


class Clients(harness.Case):
    def run_client(self, program, model, slow):
        python = harness.client_python()
        if not python:
            self.skipTest("the clients cannot be installed here")
        provider = self.provider()
        home = self.home(provider, OLLAMA_HOST=provider.url)
        service = self.service(home)
        done = subprocess.run([python, "-c", program, service.url, model, slow, PNG], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return json.loads(done.stdout), provider

    def check(self, out, provider, stop, tool_stop=None):
        token = harness.token_of
        self.assertTrue(out["chat"]["text"].startswith("echo:" + token("hello")), out["chat"])
        self.assertEqual((out["chat"]["stop"], out["chat"]["tokens"]), (stop, 60), out["chat"])
        self.assertTrue(out["stream"]["text"].startswith("echo:" + token("a stream")), out["stream"])
        self.assertTrue(out["stream"]["text"].endswith(" t59"), out["stream"])
        self.assertEqual(out["stream"]["stop"], stop)
        self.assertEqual(out["tools"]["names"], ["first", "second"])
        self.assertEqual(out["tools"]["inputs"], [{"echo": token("call the tool")}] * 2)
        self.assertTrue(out["after"].startswith("echo:" + token("and now?")), out["after"])
        self.assertTrue(out["image"].startswith("echo:" + token("picture")), out["image"])
        self.assertEqual(out["error"]["status"], 404, out["error"])
        self.assertIn("no-such-model", out["error"]["message"])
        self.assertTrue(any("fake-small" in m for m in out["models"]), out["models"])
        bodies = [c["body"] for c in provider.chats()]
        self.assertTrue(any(PNG[:40] in b for b in bodies), "the picture reached the upstream")
        self.assertTrue(any('"integer"' in b for b in bodies), "the schema reached the upstream")
        # A client that leaves takes the upstream call with it.
        for _ in range(100):
            if any(c["client_aborted"] for c in provider.chats()):
                break
            time.sleep(0.05)
        self.assertTrue(any(c["client_aborted"] for c in provider.chats()), "the call goes on without its client")

    def test_anthropic_over_openai(self):
        out, provider = self.run_client(ANTHROPIC, "openai/fake-small", "openai/fault-slow-ms50")
        self.check(out, provider, "end_turn")
        self.assertEqual((out["tools"]["stop"], out["tools"]["ids"]), ("tool_use", 2))
        self.assertEqual(out["error"]["type"], "not_found_error")
        self.assertEqual(len(out["streamed_tools"]), 2)
        self.assertTrue(out["stream"]["same"])
        self.assertGreater(out["count"], 0)
        self.assertIn("citations", out["refused"])

    def test_anthropic_over_ollama(self):
        out, provider = self.run_client(ANTHROPIC, "ollama/fake-local:latest", "ollama/fault-slow-ms50")
        self.check(out, provider, "end_turn")
        self.assertEqual((out["tools"]["stop"], out["tools"]["ids"]), ("tool_use", 2))

    def test_gemini_over_openai(self):
        out, provider = self.run_client(GEMINI, "openai/fake-small", "openai/fault-slow-ms50")
        self.check(out, provider, "STOP")
        self.assertEqual(out["error"]["type"], "NOT_FOUND")
        self.assertGreater(out["count"], 0)

    def test_gemini_over_ollama(self):
        out, provider = self.run_client(GEMINI, "ollama/fake-local:latest", "ollama/fault-slow-ms50")
        self.check(out, provider, "STOP")

    def test_ollama_over_openai(self):
        out, provider = self.run_client(OLLAMA, "openai/fake-small", "openai/fault-slow-ms50")
        self.check(out, provider, "stop")
        self.assertTrue(out["generate"].startswith("echo:" + harness.token_of("made")), out["generate"])
        self.assertEqual(out["embed"], 2)
        self.assertEqual(out["show"], "openai")

    def test_asked_in_one_dialect_hit_in_another(self):
        provider = self.provider()
        service = self.service(self.home(provider))
        first = service.chat("shared", max_tokens=200)
        self.assertEqual(first.headers["x-samplemind-cache"], "miss", first.body)
        text = first.json()["choices"][0]["message"]["content"]
        messages = [{"role": "user", "content": "shared"}]
        model = "openai/fake-small"
        a = harness.request(service.url + "/v1/messages", {"model": model, "max_tokens": 200, "messages": messages})
        self.assertEqual((a.status, a.headers["x-samplemind-cache"]), (200, "hit-memory"), a.body)
        self.assertEqual(a.json()["content"][0]["text"], text)
        g = harness.request(service.url + f"/v1beta/models/{model}:generateContent",
                            {"contents": [{"parts": [{"text": "shared"}]}], "generationConfig": {"maxOutputTokens": 200}})
        self.assertEqual((g.status, g.headers["x-samplemind-cache"]), (200, "hit-memory"), g.body)
        self.assertEqual(g.json()["candidates"][0]["content"]["parts"][0]["text"], text)
        l = harness.request(service.url + "/api/chat", {"model": model, "messages": messages, "stream": False, "options": {"num_predict": 200}})
        self.assertEqual((l.status, l.headers["x-samplemind-cache"]), (200, "hit-memory"), l.body)
        self.assertEqual(l.json()["message"]["content"], text)
        self.assertEqual(len(provider.chats()), 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
