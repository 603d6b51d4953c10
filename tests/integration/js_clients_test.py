"""The official JavaScript clients and Vercel's `ai`, with nothing but a changed base URL, over upstreams of foreign dialects:
chat, stream, tools, parallel tools, structured output, image, embeddings, error, cancel."""
import sys
import unittest

import harness
from client_case import ClientCase


class JsClients(ClientCase):
    def test_openai_over_anthropic(self):
        self.over("openai.js", "anthropic", "models,completions")

    def test_openai_over_gemini(self):
        self.over("openai.js", "gemini", "embeddings,completions")

    def test_openai_over_ollama(self):
        self.over("openai.js", "ollama", "embeddings,completions")

    def test_anthropic_over_openai(self):
        self.over("anthropic.js", "openai", "models,count")

    def test_anthropic_over_gemini(self):
        self.over("anthropic.js", "gemini")

    def test_anthropic_over_ollama(self):
        self.over("anthropic.js", "ollama")

    def test_gemini_over_openai(self):
        self.over("gemini.js", "openai", "models,count,embeddings")

    def test_gemini_over_anthropic(self):
        self.over("gemini.js", "anthropic")

    def test_gemini_over_ollama(self):
        self.over("gemini.js", "ollama", "embeddings")

    def test_responses_over_anthropic(self):
        self.over("responses.js", "anthropic", "kept")

    def test_responses_over_gemini(self):
        self.over("responses.js", "gemini")

    def test_responses_over_ollama(self):
        self.over("responses.js", "ollama")

    def test_ai_over_anthropic(self):
        self.over("ai.js", "anthropic")

    def test_ai_over_gemini(self):
        self.over("ai.js", "gemini", "embeddings")

    def test_ai_by_chat_over_ollama(self):
        self.over("ai_chat.js", "ollama", "embeddings")

    def test_ai_by_chat_over_anthropic(self):
        self.over("ai_chat.js", "anthropic")


if __name__ == "__main__":
    harness.client_main()
