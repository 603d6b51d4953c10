"""The openai package by its responses, conversations kept by the service."""
import json

import openai
from steps import failure, limit, model, parameters, png, run, schema, slow, url

client = openai.OpenAI(base_url=url + "/v1", api_key="any", max_retries=0, timeout=300)
tools = [{"type": "function", "name": n, "description": "d", "parameters": parameters, "strict": True} for n in ("first", "second")]


def create(**more):
    return client.responses.create(**{"model": model, "max_output_tokens": limit, **more})


def calls_of(r):
    return [item for item in r.output if item.type == "function_call"]


class Steps:
    def chat():
        r = create(instructions="be brief", input="hello")
        return {"text": r.output_text, "stop": r.status, "tokens": r.usage.output_tokens}

    def stream():
        seen, numbers, r = "", [], None
        for event in create(input="a stream", stream=True):
            numbers.append(event.sequence_number)
            seen += event.delta if event.type == "response.output_text.delta" else ""
            r = event.response if event.type in ("response.completed", "response.incomplete") else r
        in_order = numbers == list(range(len(numbers)))
        return {"text": seen, "stop": r.status, "same": in_order and r.output_text == seen, "tokens": r.usage.output_tokens}

    def tools():
        r = create(input="call the tool", tools=tools)
        calls = calls_of(r)
        results = [{"type": "function_call_output", "call_id": c.call_id, "output": "done"} for c in calls]
        after = create(previous_response_id=r.id, input=[*results, {"role": "user", "content": "and now?"}], tools=tools)
        with client.responses.stream(model=model, input="call the tool again", tools=tools) as s:
            streamed = calls_of(s.get_final_response())
        return {"names": [c.name for c in calls], "inputs": [json.loads(c.arguments) for c in calls], "ids": len({c.call_id for c in calls}),
                "stop": r.status, "after": after.output_text, "streamed": [json.loads(c.arguments) for c in streamed]}

    def offered():
        return create(input="hello", tools=tools).status

    def structured():
        form = {"type": "json_schema", "name": "it", "strict": True, "schema": schema}
        return json.loads(create(input="say it as JSON", text={"format": form}).output_text)

    def image():
        content = [{"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + png}, {"type": "input_text", "text": "picture"}]
        return create(input=[{"role": "user", "content": content}]).output_text

    def kept():
        r = create(input="keep this")
        again = client.responses.retrieve(r.id)
        client.responses.delete(r.id)
        gone = failure(openai.APIStatusError, lambda: client.responses.retrieve(r.id), lambda e: {"status": e.status_code})
        return {"same": again.output_text == r.output_text, "gone": gone}

    def error():
        return failure(openai.APIStatusError, lambda: create(model="no-such-model", input="x"), lambda e: {"status": e.status_code, "message": e.message})

    def cancel():
        with client.responses.create(model=slow, input="leave", stream=True) as s:
            for event in s:
                if event.type == "response.output_text.delta":
                    break
        return True


run(Steps)
