"""What the scripts beside this share: argv is the service's URL, the model, a slow model, a model of embeddings, a picture in
base64, and the steps to run, separated by commas. One JSON object is printed: what each step saw."""
import json
import os
import sys

url, model, slow, embedding, png, wanted = sys.argv[1:7]
limit = int(os.environ.get("MAX_TOKENS", "200"))
parameters = {"type": "object", "properties": {"echo": {"type": "string"}}, "required": ["echo"], "additionalProperties": False}
schema = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 0, "maximum": 99}}, "required": ["x"], "additionalProperties": False}


def user(content, **more):
    return [{"role": "user", "content": content, **more}]


def run(steps):
    """`steps`: a class whose functions are the steps."""
    print(json.dumps({name: getattr(steps, name)() for name in wanted.split(",")}))


def failure(kind, act, tell):
    """The error of this kind that `act` must end with, as `tell` reads it."""
    try:
        act()
    except kind as e:
        return {"kind": type(e).__name__, **tell(e)}
    return {"status": 200, "message": "no error"}
