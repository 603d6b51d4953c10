import json

import openai
from steps import embedding, failure, limit, model, parameters, png, run, schema, slow, url, user

client = openai.OpenAI(base_url=url + "/v1", api_key="any", max_retries=0, timeout=300)
tools = [{"type": "function", "function": {"name": n, "description": "d", "parameters": parameters}} for n in ("first", "second")]


def create(**more):
    return client.chat.completions.create(**{"model": model, "max_tokens": limit, **more})


class Steps:
    def chat():
        r = create(messages=[{"role": "system", "content": "be brief"}, *user("hello")])
        return {"text": r.choices[0].message.content, "stop": r.choices[0].finish_reason, "tokens": r.usage.completion_tokens}

    def stream():
        seen, stop, tokens = "", None, None
        for c in create(messages=user("a stream"), stream=True, stream_options={"include_usage": True}):
            tokens = c.usage.completion_tokens if c.usage else tokens
            for choice in c.choices:
                seen += choice.delta.content or ""
                stop = choice.finish_reason or stop
        return {"text": seen, "stop": stop, "same": True, "tokens": tokens}

    def tools():
        r = create(messages=user("call the tool"), tools=tools)
        message = r.choices[0].message
        calls = message.tool_calls
        results = [{"role": "tool", "tool_call_id": c.id, "content": "done"} for c in calls]
        after = create(messages=[*user("call the tool"), message, *results, *user("and now?")], tools=tools)
        with client.chat.completions.stream(model=model, messages=user("call the tool again"), tools=tools) as s:
            for event in s:
                pass
            streamed = s.get_final_completion().choices[0].message.tool_calls
        return {"names": [c.function.name for c in calls], "inputs": [json.loads(c.function.arguments) for c in calls], "ids": len({c.id for c in calls}),
                "stop": r.choices[0].finish_reason, "after": after.choices[0].message.content, "streamed": [json.loads(c.function.arguments) for c in streamed]}

    def offered():
        return create(messages=user("hello"), tools=tools).choices[0].finish_reason

    def structured():
        form = {"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": schema}}
        return json.loads(create(messages=user("say it as JSON"), response_format=form).choices[0].message.content)

    def image():
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + png}}
        return create(messages=user([picture, {"type": "text", "text": "picture"}])).choices[0].message.content

    def embeddings():
        return [d.embedding for d in client.embeddings.create(model=embedding, input=["a", "b"]).data]

    def models():
        return [m.id for m in client.models.list()]

    def completions():
        seen = "".join(c.choices[0].text for c in client.completions.create(model=model, prompt="once upon", max_tokens=limit, stream=True) if c.choices)
        whole = client.completions.create(model=model, prompt="once upon", max_tokens=limit, echo=True)
        return {"text": seen, "echoed": whole.choices[0].text, "stop": whole.choices[0].finish_reason, "tokens": whole.usage.completion_tokens,
                "suffix": failure(openai.APIStatusError, lambda: client.completions.create(model=model, prompt="f(", suffix=")"),
                                  lambda e: {"status": e.status_code, "message": e.message})}

    def error():
        return failure(openai.APIStatusError, lambda: create(model="no-such-model", messages=user("x")),
                       lambda e: {"status": e.status_code, "message": e.message})

    def cancel():
        with create(model=slow, messages=user("leave"), stream=True) as s:
            for c in s:
                if c.choices and c.choices[0].delta.content:
                    break
        return True


run(Steps)
