import base64
import json

from google import genai
from google.genai import errors, types
from steps import embedding, failure, limit, model, png, run, schema, slow, url

client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url))
tools = [types.Tool(function_declarations=[
    types.FunctionDeclaration(name=n, description="d", parameters=types.Schema(type="OBJECT", properties={"echo": types.Schema(type="STRING")}))
    for n in ("first", "second")])]


def ask(contents, m=model, **config):
    config.setdefault("max_output_tokens", limit)
    return client.models.generate_content(model=m, contents=contents, config=types.GenerateContentConfig(**config))


def told(*parts):
    return types.Content(role="user", parts=list(parts))


class Steps:
    def chat():
        r = ask("hello", system_instruction="be brief")
        return {"text": r.text, "stop": r.candidates[0].finish_reason.name, "tokens": r.usage_metadata.candidates_token_count}

    def stream():
        seen, stop, tokens = "", None, None
        for c in client.models.generate_content_stream(model=model, contents="a stream", config={"max_output_tokens": limit}):
            seen += c.text or ""
            stop = c.candidates[0].finish_reason or stop
            tokens = c.usage_metadata.candidates_token_count if c.usage_metadata else tokens
        return {"text": seen, "stop": stop.name if stop else None, "same": True, "tokens": tokens}

    def tools():
        r = ask("call the tool", tools=tools)
        calls = r.function_calls
        results = [types.Part.from_function_response(name=c.name, response={"result": "done"}) for c in calls]
        after = ask([told(types.Part(text="call the tool")), r.candidates[0].content, told(*results, types.Part(text="and now?"))], tools=tools)
        streamed = []
        for c in client.models.generate_content_stream(model=model, contents="call the tool again", config=types.GenerateContentConfig(tools=tools)):
            streamed += c.function_calls or []
        return {"names": [c.name for c in calls], "inputs": [c.args for c in calls], "ids": len(calls), "stop": r.candidates[0].finish_reason.name,
                "after": after.text, "streamed": [c.args for c in streamed]}

    def offered():
        return ask("hello", tools=tools).candidates[0].finish_reason.name

    def structured():
        return json.loads(ask("say it as JSON", response_mime_type="application/json", response_json_schema=schema).text)

    def image():
        return ask([types.Part.from_bytes(data=base64.b64decode(png), mime_type="image/png"), types.Part(text="picture")]).text

    def embeddings():
        return [e.values for e in client.models.embed_content(model=embedding, contents=["a", "b"]).embeddings]

    def count():
        return client.models.count_tokens(model=model, contents="count me").total_tokens

    def models():
        return [m.name for m in client.models.list()]

    def error():
        return failure(errors.APIError, lambda: ask("x", m="no-such-model"), lambda e: {"status": e.code, "type": e.status, "message": e.message})

    def cancel():
        for c in client.models.generate_content_stream(model=slow, contents="leave", config={"max_output_tokens": limit}):
            break
        return True


run(Steps)
