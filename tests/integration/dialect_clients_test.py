"""The official Python clients of OpenAI, Anthropic, Gemini and Ollama, with nothing but a changed base URL, over upstreams of
foreign dialects: chat, stream, tools, parallel tools, structured output, image, embeddings, error, cancel."""
import sys
import unittest

import harness
from client_case import ClientCase


class Clients(ClientCase):
    def test_openai_over_anthropic(self):
        self.over("py_openai.py", "anthropic", "models,completions")

    def test_openai_over_gemini(self):
        self.over("py_openai.py", "gemini", "embeddings,completions")

    def test_openai_over_ollama(self):
        self.over("py_openai.py", "ollama", "embeddings,completions")

    def test_openai_over_a_server_of_its_dialect_without_completions(self):
        self.over("py_openai.py", "openai", "completions")

    def test_responses_over_anthropic(self):
        self.over("py_responses.py", "anthropic", "kept")

    def test_responses_over_gemini(self):
        self.over("py_responses.py", "gemini")

    def test_responses_over_ollama(self):
        self.over("py_responses.py", "ollama")

    def test_responses_over_openai(self):
        self.over("py_responses.py", "openai", "kept")

    def test_anthropic_over_openai(self):
        out = self.over("py_anthropic.py", "openai", "models,count,refused")
        self.assertEqual(out["error"]["type"], "not_found_error")
        self.assertIn("citations", out["refused"]["message"])

    def test_anthropic_over_gemini(self):
        self.over("py_anthropic.py", "gemini")

    def test_anthropic_over_ollama(self):
        self.over("py_anthropic.py", "ollama")

    def test_gemini_over_openai(self):
        out = self.over("py_gemini.py", "openai", "models,count,embeddings")
        self.assertEqual(out["error"]["type"], "NOT_FOUND")

    def test_gemini_over_anthropic(self):
        self.over("py_gemini.py", "anthropic")

    def test_gemini_over_ollama(self):
        self.over("py_gemini.py", "ollama")

    def test_ollama_over_openai(self):
        out = self.over("py_ollama.py", "openai", "models,show,generate,embeddings")
        self.assertTrue(out["generate"].startswith("echo:" + harness.token_of("made")), out["generate"])
        self.assertEqual(out["show"], "openai")

    def test_ollama_over_anthropic(self):
        self.over("py_ollama.py", "anthropic")

    def test_ollama_over_gemini(self):
        self.over("py_ollama.py", "gemini", "embeddings")

    def test_a_model_is_shown_by_each_of_its_names(self):
        provider = self.provider()
        service = self.service(self.home_of_all(provider))
        for name in ("ollama/fake-local:latest", "ollama/fake-local", "fake-local:latest", "fake-local"):
            shown = harness.request(service.url + "/api/show", {"model": name})
            self.assertEqual((shown.status, shown.json().get("details", {}).get("family")), (200, "llama"), name)
        self.assertEqual(harness.request(service.url + "/api/show", {"model": "ollama/fake"}).status, 404)

    def test_one_text_is_embedded_in_geminis_form(self):
        provider = self.provider()
        service = self.service(self.home_of_all(provider))
        said = []
        for version, model in (("v1", "gemini"), ("v1beta", "gemini"), ("v1", "openai"), ("v1beta", "ollama")):
            got = harness.request(service.url + f"/{version}/models/{model}/fake-embed:embedContent", {"content": {"parts": [{"text": "kick"}]}})
            self.assertEqual(got.status, 200, got.body)
            said.append((got.headers["x-samplemind-cache"], tuple(got.json()["embedding"]["values"])))
        self.assertEqual([s[0] for s in said], ["miss", "hit-memory", "miss", "miss"])
        self.assertEqual(len({s[1] for s in said}), 1, "the scripted provider makes one vector of one text")

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
    harness.client_main()
