import json

import anthropic
from steps import failure, limit, model, parameters, png, run, schema, slow, url, user

client = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=300)
tools = [{"name": n, "description": "d", "input_schema": parameters} for n in ("first", "second")]


def create(**more):
    return client.messages.create(**{"model": model, "max_tokens": limit, **more})


def text_of(r):
    return "".join(b.text for b in r.content if b.type == "text")


def calls_of(r):
    return [b for b in r.content if b.type == "tool_use"]


class Steps:
    def chat():
        r = create(system="be brief", messages=user("hello"))
        return {"text": text_of(r), "stop": r.stop_reason, "tokens": r.usage.output_tokens}

    def stream():
        seen = ""
        with client.messages.stream(model=model, max_tokens=limit, messages=user("a stream")) as s:
            for piece in s.text_stream:
                seen += piece
            r = s.get_final_message()
        return {"text": seen, "stop": r.stop_reason, "same": text_of(r) == seen, "tokens": r.usage.output_tokens}

    def tools():
        r = create(messages=user("call the tool"), tools=tools)
        calls = calls_of(r)
        mine = [c.model_dump(include={"type", "id", "name", "input"}) for c in calls]
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": "done"} for c in calls] + [{"type": "text", "text": "and now?"}]
        after = create(messages=[*user("call the tool"), {"role": "assistant", "content": mine}, *user(results)], tools=tools)
        with client.messages.stream(model=model, max_tokens=limit, tools=tools, messages=user("call the tool again")) as s:
            streamed = calls_of(s.get_final_message())
        return {"names": [c.name for c in calls], "inputs": [c.input for c in calls], "ids": len({c.id for c in calls}), "stop": r.stop_reason,
                "after": text_of(after), "streamed": [c.input for c in streamed]}

    def offered():
        return create(messages=user("hello"), tools=tools).stop_reason

    def structured():
        return json.loads(text_of(create(messages=user("say it as JSON"), output_config={"format": {"type": "json_schema", "schema": schema}})))

    def image():
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}}
        return text_of(create(messages=user([picture, {"type": "text", "text": "picture"}])))

    def count():
        return client.messages.count_tokens(model=model, messages=user("count me")).input_tokens

    def models():
        return [m.id for m in client.models.list()]

    def error():
        return failure(anthropic.APIStatusError, lambda: create(model="no-such-model", messages=user("x")),
                       lambda e: {"status": e.status_code, "type": e.body["error"]["type"], "message": e.body["error"]["message"]})

    def refused():
        cited = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "citations": {"enabled": True}}
        return failure(anthropic.BadRequestError, lambda: create(messages=user([cited])), lambda e: {"message": e.body["error"]["message"]})

    def cancel():
        with client.messages.stream(model=slow, max_tokens=limit, messages=user("leave")) as s:
            for piece in s.text_stream:
                break
        return True


run(Steps)
