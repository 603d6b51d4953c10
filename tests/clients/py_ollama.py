import json

import ollama
from steps import embedding, failure, limit, model, parameters, png, run, schema, slow, url, user

client = ollama.Client(host=url)
options = {"num_predict": limit}
tools = [{"type": "function", "function": {"name": n, "description": "d", "parameters": parameters}} for n in ("first", "second")]


def chat(messages, m=model, **more):
    return client.chat(model=m, messages=messages, options=options, **more)


class Steps:
    def chat():
        r = chat([{"role": "system", "content": "be brief"}, *user("hello")])
        return {"text": r.message.content, "stop": r.done_reason, "tokens": r.eval_count}

    def stream():
        seen, stop, tokens = "", None, None
        for c in chat(user("a stream"), stream=True):
            seen += c.message.content or ""
            stop, tokens = c.done_reason or stop, c.eval_count or tokens
        return {"text": seen, "stop": stop, "same": True, "tokens": tokens}

    def tools():
        r = chat(user("call the tool"), tools=tools)
        calls = r.message.tool_calls
        results = [{"role": "tool", "tool_name": c.function.name, "content": "done"} for c in calls]
        after = chat([*user("call the tool"), r.message, *results, *user("and now?")], tools=tools)
        streamed = [call for c in chat(user("call the tool again"), tools=tools, stream=True) for call in c.message.tool_calls or []]
        return {"names": [c.function.name for c in calls], "inputs": [dict(c.function.arguments) for c in calls], "ids": len(calls), "stop": r.done_reason,
                "after": after.message.content, "streamed": [dict(c.function.arguments) for c in streamed]}

    def offered():
        return chat(user("hello"), tools=tools).done_reason

    def structured():
        return json.loads(chat(user("say it as JSON"), format=schema).message.content)

    def image():
        return chat(user("picture", images=[png])).message.content

    def generate():
        return client.generate(model=model, prompt="made", system="s", options=options).response

    def embeddings():
        return [list(v) for v in client.embed(model=embedding, input=["a", "b"]).embeddings]

    def models():
        return [m.model for m in client.list().models]

    def show():
        client.ps()
        return client.show(model).details.family

    def error():
        return failure(ollama.ResponseError, lambda: chat(user("x"), m="no-such-model"), lambda e: {"status": e.status_code, "message": e.error})

    def cancel():
        for c in chat(user("leave"), m=slow, stream=True):
            break
        return True


run(Steps)
