"""All official clients against the real Ollama with the real small model, through the service: chat, stream, tools offered,
structured output, embeddings, models, error, cancel. So small a model rarely calls a tool and sees no pictures: what is done with
calls and images is shown over the scripted provider (tests/integration)."""
import sys
import unittest

import harness
from client_case import STOPS, ClientCase, client_of
from ollama import MODEL, OllamaServer

CUT = {"openai": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS", "ollama": "length", "responses": "incomplete", "ai": "length"}
LIMIT = 24


class Clients(ClientCase):
    @classmethod
    def setUpClass(cls):
        cls.ollama = OllamaServer()

    @classmethod
    def tearDownClass(cls):
        cls.ollama.stop()

    def talk(self, script, more=""):
        home = self.home()
        home.env["OLLAMA_HOST"] = self.ollama.host
        service = self.service(home)
        model = f"ollama/{MODEL}"
        steps = ",".join(filter(None, ["chat,stream,offered,structured,error,cancel", more]))
        out = self.run_script(script, service.url, model, model, model, steps, LIMIT, timeout_s=900)
        client = client_of(script)
        stops = (*STOPS[client], CUT[client])
        for name in ("chat", "stream"):
            self.assertGreater(len(out[name]["text"].strip()), 0, out)
            self.assertIn(out[name]["stop"], stops, out)
            self.assertTrue(0 < out[name]["tokens"] <= LIMIT, out)
        self.assertTrue(out["stream"]["same"], out)
        self.assertIn(out["offered"], stops, out)
        self.assertIn(out["structured"]["x"], range(100), out)
        self.assertEqual(out["error"]["status"], 404, out)
        if "models" in out:
            self.assertTrue(any(MODEL in m for m in out["models"]), out["models"])
        if "embeddings" in out:
            sizes = {len(v) for v in out["embeddings"]}
            self.assertEqual((len(out["embeddings"]), len(sizes)), (2, 1), sizes)
            self.assertNotEqual(*out["embeddings"])
        if "completions" in out:
            c = out["completions"]
            self.assertGreater(len(c["text"].strip()), 0, out)
            self.assertTrue(c["echoed"].startswith("once upon") and c["suffix"]["status"] == 400, c)
        print(f"{script}: {out['chat']['text']!r}; structured {out['structured']}")

    def test_openai_python(self):
        self.talk("py_openai.py", "models,embeddings,completions")

    def test_responses_python(self):
        self.talk("py_responses.py", "kept")

    def test_anthropic_python(self):
        self.talk("py_anthropic.py", "models,count")

    def test_gemini_python(self):
        self.talk("py_gemini.py", "models,count,embeddings")

    def test_ollama_python(self):
        self.talk("py_ollama.py", "models,show,generate,embeddings")

    def test_openai_javascript(self):
        self.talk("openai.js", "models,embeddings,completions")

    def test_responses_javascript(self):
        self.talk("responses.js", "kept")

    def test_anthropic_javascript(self):
        self.talk("anthropic.js", "models,count")

    def test_gemini_javascript(self):
        self.talk("gemini.js", "models,count,embeddings")

    def test_ai_javascript(self):
        self.talk("ai.js", "embeddings")


if __name__ == "__main__":
    harness.client_main()
