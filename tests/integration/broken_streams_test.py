"""Streams of each provider that break, told in each client's dialect (cases C1 to C5): before the first content byte the next
target answers and nothing of the first is seen; after it there is one error, no terminal marker, no second beginning, no record."""
import sys
import unittest

import harness


def asked(text):
    return [{"role": "user", "content": text}]


# Of each client's dialect: the path, the body, what ends a stream well, and what one error looks like.
CLIENTS = {
    "openai": (lambda m: "/v1/chat/completions", lambda m, t: {"model": m, "messages": asked(t), "stream": True}, "[DONE]", 'data: {"error"'),
    "responses": (lambda m: "/v1/responses", lambda m, t: {"model": m, "input": t, "stream": True}, "response.completed", "event: error"),
    "anthropic": (lambda m: "/v1/messages", lambda m, t: {"model": m, "messages": asked(t), "max_tokens": 200, "stream": True}, "message_stop",
                  "event: error"),
    "gemini": (lambda m: f"/v1beta/models/{m}:streamGenerateContent?alt=sse", lambda m, t: {"contents": [{"parts": [{"text": t}]}]},
               '"finishReason"', 'data: {"error"'),
    "ollama": (lambda m: "/api/chat", lambda m, t: {"model": m, "messages": asked(t)}, '"done":true', '{"error"'),
}
UPSTREAMS = ("openai", "anthropic", "gemini", "ollama")
# Each breaks after some tokens: cut, malformed, no terminal marker, an error event.
AFTER = ("s08", "s10", "s11", "error-event")
BEFORE = ("s08-at0", "s10-at0", "error-event-at0", "s04")


class BrokenStreams(harness.Case):
    def setUp(self):
        self.p = self.provider()
        home = self.home_of_all(self.p)
        home.env.update(SAMPLEMIND_AI_BREAKER="false", SAMPLEMIND_AI_BACKOFF="5ms", SAMPLEMIND_CACHE_NEGATIVE="0s")
        home.config("")
        (home.path / "routes.toml").write_text("".join(
            f'[alias.{u}-{f}]\ntargets = ["{u}/fault-{f}-fallback", "{"openai/fake-small" if u == "ollama" else "ollama/fake-local"}"]\n'
            for u in UPSTREAMS for f in BEFORE))
        self.s = self.service(home)

    def ask(self, client, model):
        path, body, end, error = CLIENTS[client]
        answer = harness.request(self.s.url + path(model), body(model, "asked by " + client))
        self.assertEqual((answer.status, answer.headers["x-samplemind-cache"]), (200, "miss"), answer.body[:500])
        text = answer.body.decode(errors="replace")
        if client == "responses":  # whose events at the end tell the text again
            text = text.replace('"text":"echo:', "")
        return text, end, error

    def test_after_the_first_content_one_error_and_no_end(self):
        for upstream in UPSTREAMS:
            for fault in AFTER:
                for client in CLIENTS:
                    with self.subTest(upstream=upstream, fault=fault, client=client):
                        model = f"{upstream}/fault-{fault}-{client}"
                        for _ in range(2):  # the second is a miss again: what broke was not kept
                            text, end, error = self.ask(client, model)
                            self.assertEqual(text.count("echo:"), 1, "it begins once")
                            self.assertEqual(text.count(error), 1, text[-600:])
                            self.assertNotIn(end, text)

    def test_before_the_first_content_the_next_target_answers(self):
        for upstream in UPSTREAMS:
            for fault in BEFORE:
                for client in CLIENTS:
                    with self.subTest(upstream=upstream, fault=fault, client=client):
                        before = len(self.p.chats())
                        text, end, error = self.ask(client, f"{upstream}-{fault}")
                        self.assertGreaterEqual(len(self.p.chats()), before + 2, "the first target was asked")
                        self.assertEqual((text.count("echo:"), text.count(error)), (1, 0), text[:800])
                        self.assertIn(end, text)
                        self.assertIn("t59", text)
                        for start in ("event: message_start", '"role":"assistant","content":""'):
                            self.assertLessEqual(text.count(start), 1, "nothing of the first target is seen")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
