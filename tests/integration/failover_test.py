"""The sixteen faults of upstreams, and what becomes of a request that meets them. Run by itself it prints a table:
    python3 tests/integration/failover_test.py
Waits that are long in life (a first token after 20 s, a stall of 30 s, flapping for a minute) are shortened together with
the limits that they are compared with."""
import json
import sys
import time
import unittest

import harness

ROUTES = """
[alias.pair]
targets = ["openai/fake-small", "ollama/fake-local"]
[alias.single]
targets = ["openai/fake-small"]
[alias.sizes]
targets = ["openai/gpt-4o-mini", "openai/gpt-4", "openai/gpt-4.1"]
"""
# first_byte > S07's wait; idle < S09's stall.
SETTINGS = {"SAMPLEMIND_AI_OPENAI_FIRST_BYTE_TIMEOUT": "3s", "SAMPLEMIND_AI_IDLE_TIMEOUT": "3s",
            "SAMPLEMIND_AI_TOTAL_TIMEOUT": "20s", "SAMPLEMIND_AI_BACKOFF": "20ms",
            "SAMPLEMIND_CACHE_NEGATIVE": "0s"}
RESULTS = {}


def events(answer):
    """The data of an event stream."""
    return [line[6:] for line in answer.body.decode(errors="replace").split("\n") if line.startswith("data: ")]


class Failover(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.first, cls.second = harness.FakeProvider(), harness.FakeProvider()

    @classmethod
    def tearDownClass(cls):
        cls.first.stop()
        cls.second.stop()
        print("\n     what the upstream does                       passes  how")
        for name in sorted(RESULTS):
            what, good, how = RESULTS[name]
            print(f"{name}  {what:44} {'yes' if good else 'NO':6}  {how}")
        print(f"{sum(r[1] for r in RESULTS.values())} of {len(RESULTS)}", flush=True)

    def begin(self, name, what, breaker=False, **more):
        self.name, self.what = name, what
        RESULTS[name] = (what, False, "")
        self.first.reset()
        self.second.reset()
        env = {**SETTINGS, "SAMPLEMIND_AI_BREAKER": "true" if breaker else "false", **more}
        home = self.home(self.first, OLLAMA_HOST=self.second.url.split("//")[1], **env)
        home.config("")
        (home.path / "routes.toml").write_text(ROUTES)
        self.s = self.service(home)

    def ask(self, text, model="pair", **more):
        begun = time.monotonic()
        answer = self.s.chat(f"{self.name} {text}", model=model, **more)
        self.took = time.monotonic() - begun
        return answer

    def passed(self, how):
        RESULTS[self.name] = (self.what, True, how)

    def from_second(self, text, answer):
        self.assertEqual(answer.status, 200, answer.body)
        self.assertIn(harness.token_of(f"{self.name} {text}"), answer.body.decode())
        self.assertEqual(answer.headers["x-samplemind-model"], "ollama/fake-local")

    def stream_fails_over_and_ends_honestly(self, scenario, **fault):
        """Before content: another target. After it: one error event, no terminal marker, nothing kept."""
        self.first.script(scenario, at=0, **fault)
        early = self.ask("early", stream=True)
        self.from_second("early", early)
        self.assertIn("[DONE]", events(early))
        self.first.reset()
        self.first.script(scenario, times=-1, **fault)
        calls = len(self.second.chats())
        for _ in range(2):
            late = self.ask("late", stream=True)
            self.assertEqual(late.status, 200)
            data = events(late)
            self.assertNotIn("[DONE]", data)
            self.assertEqual(sum('"error"' in d for d in data), 1, data[-3:])
            self.assertIn('"error"', data[-1])
            self.assertNotEqual(late.headers["x-samplemind-cache"], "hit-memory", "nothing may be stored")
        self.assertEqual(len(self.second.chats()), calls, "no silent restart after content")
        self.passed("before content the other target; after it one error event, nothing stored")

    def test_s01(self):
        self.begin("S01", "429 with Retry-After: 2")
        self.first.script("s01")
        self.from_second("a", self.ask("a"))
        self.first.reset()
        self.first.script("s01")
        alone = self.ask("b", model="single")
        self.assertEqual(alone.status, 200)
        self.assertGreaterEqual(self.took, 2)
        at = [c["at_ms"] for c in self.first.chats()]
        self.assertGreaterEqual(at[1] - at[0], 2000)
        self.passed(f"the other target at once; alone retried after {(at[1] - at[0]) / 1000:.2f} s")

    def always(self, scenario, status):
        self.first.script(scenario, times=-1, retry_after_s=1)
        self.from_second("a", self.ask("a"))
        self.assertLessEqual(len(self.first.chats()), 3)
        self.first.reset()
        self.first.script(scenario, times=-1, retry_after_s=1)
        alone = self.ask("b", model="single")
        self.assertEqual(alone.status, status)
        self.assertEqual(alone.headers["retry-after"], "1")
        self.assertLessEqual(len(self.first.chats()), 3)
        self.assertLess(self.took, 20)
        self.passed(f"the other target; alone {status} with Retry-After after {len(self.first.chats())} tries")

    def test_s02(self):
        self.begin("S02", "429 always")
        self.always("s02", 429)

    def test_s03(self):
        self.begin("S03", "one 500")
        self.first.script("s03")
        answer = self.ask("a")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["x-samplemind-model"], "openai/fake-small")
        self.assertEqual(len(self.first.chats()), 2)
        self.passed("answered, one retry")

    def test_s04(self):
        self.begin("S04", "503 always")
        self.always("s04", 503)

    def test_s05(self):
        self.begin("S05", "TCP reset")
        self.first.script("s05")
        answer = self.ask("a")
        self.assertEqual(answer.status, 200)
        self.first.script("s05", times=-1)
        self.from_second("b", self.ask("b"))
        self.from_second("c", self.ask("c", stream=True))
        self.passed("a retry; with resets without end the other target")

    def test_s06(self):
        self.begin("S06", "never answers")
        self.first.script("s06", times=-1)
        self.from_second("a", self.ask("a"))
        self.assertLess(self.took, 12)
        first = self.took
        alone = self.ask("b", model="single")
        self.assertEqual(alone.status, 504)
        self.assertLess(self.took, 21)
        self.passed(f"the other target after {first:.1f} s; alone 504 after {self.took:.1f} s of 20")

    def test_s07(self):
        self.begin("S07", "first token after 20 s (here 2)")
        for stream in (False, True):
            self.first.script("s07", delay_ms=2000)
            answer = self.ask(f"a {stream}", stream=stream)
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers["x-samplemind-model"], "openai/fake-small")
            self.assertGreaterEqual(self.took, 1.9)
        self.assertEqual(len(self.first.chats()), 2)
        self.passed("waited for: slow is not dead")

    def test_s08(self):
        self.begin("S08", "stream cut at 40 of 60 tokens")
        self.stream_fails_over_and_ends_honestly("s08")

    def test_s09(self):
        self.begin("S09", "stream stalls 30 s (here 8)")
        self.stream_fails_over_and_ends_honestly("s09", delay_ms=8000)

    def test_s10(self):
        self.begin("S10", "tenth chunk malformed")
        self.stream_fails_over_and_ends_honestly("s10")

    def test_s11(self):
        self.begin("S11", "no [DONE]")
        # The stream is whole but for its marker: there is always content before.
        self.first.script("s11", times=-1)
        for _ in range(2):
            late = self.ask("late", stream=True)
            data = events(late)
            self.assertNotIn("[DONE]", data)
            self.assertIn('"error"', data[-1])
            self.assertNotEqual(late.headers["x-samplemind-cache"], "hit-memory")
        self.passed("one error event, no marker, nothing stored")

    def test_s12(self):
        self.begin("S12", "400 context_length_exceeded")
        self.first.script("s12", model="gpt-4o-mini", times=-1)
        answer = self.ask("a", model="sizes")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["x-samplemind-model"], "openai/gpt-4.1")
        asked = [c["model"] for c in self.first.chats()]
        self.assertEqual(asked, ["gpt-4o-mini", "gpt-4.1"], "the smaller one is not asked")
        self.passed("the larger model, one try each, the smaller one never")

    def test_s13(self):
        self.begin("S13", "content filter")
        self.first.script("s13", times=-1)
        answer = self.ask("a")
        self.assertEqual(len(self.first.chats()), 1)
        self.assertEqual(len(self.second.chats()), 0)
        self.assertIn("content_filter", answer.body.decode())
        self.passed(f"the filter's answer ({answer.status}), one call, no way around")

    def test_s14(self):
        self.begin("S14", "the other target rejects a prefill")
        self.first.script("s04", times=-1)
        self.second.script("s14", times=-1)
        answer = harness.request(self.s.url + "/v1/chat/completions", {"model": "pair", "messages": [
            {"role": "user", "content": "S14 count"}, {"role": "assistant", "content": "One,"}]})
        self.assertEqual(answer.status, 503, answer.body)
        message = answer.json()["error"]["message"]
        self.assertIn("openai", message)
        self.assertIn("ollama/fake-local", message)
        self.passed("the first error, the other's listed after it")

    def test_s15(self):
        self.begin("S15", "503 for 60 s, 20 requests each 4 s (here 6, 0.15)", breaker=True,
                   SAMPLEMIND_SERVER_SHARDS="1")  # each shard learns for itself
        self.first.script("s15", times=-1, delay_ms=6000)
        good, opened = 0, False
        for i in range(20):
            good += self.ask(f"n{i}").status == 200
            opened |= 'samplemind_breaker_state{model="openai/fake-small"} 1' in self.metrics()
            time.sleep(0.15)
        self.assertEqual(good, 20)
        self.assertTrue(opened, "the breaker opens")
        before = len(self.first.chats())
        self.assertLess(before, 20, "and spares the upstream")

        def closed():
            self.ask(f"later {time.monotonic()}")
            return 'samplemind_breaker_state{model="openai/fake-small"} 0' in self.metrics()
        harness.wait_until(closed, 20, "the breaker closes after a good probe")
        self.assertEqual(self.ask("well again").status, 200)
        self.passed(f"20 of 20 by the healthy target; opened after {before} calls, probed, closed")

    def metrics(self):
        return harness.request(self.s.url + "/metrics").body.decode()

    def test_s16(self):
        self.begin("S16", "accounting of a failover")
        self.first.script("s04", times=-1)
        priced = self.home(self.first, OLLAMA_HOST=self.second.url.split("//")[1], **SETTINGS)
        priced.config('[ai.prices."openai/fake-small"]\ninput = 2.0\noutput = 8.0\n')
        (priced.path / "routes.toml").write_text(
            '[alias.pair]\ntargets = ["openai/fake-small", "ollama/fake-local"]\n'
            '[alias.back]\ntargets = ["ollama/fake-local", "openai/fake-small"]\n')
        s = self.service(priced)
        self.assertEqual(s.chat("S16 a", model="pair").status, 200)  # hosted fails, local answers
        self.first.reset()
        log_first = []
        self.first.script("s16")
        self.assertEqual(s.chat("S16 b", model="openai/fake-small").status, 200)  # 503 once, then well
        self.second.script("s04", times=-1)
        self.assertEqual(s.chat("S16 c", model="back").status, 200)  # local fails, hosted answers
        log_first = self.first.chats()
        usage = harness.request(s.url + "/api/v1/usage?by=model").json()["rows"]
        rows = {row["group"]: row for row in usage}
        hosted = rows["openai/fake-small"]
        # The log of the first upstream begins anew after 'a', whose tries there are known: 2 at most.
        answered = [c for c in log_first if c["outcome"] == "ok" and c["status"] == 200]
        self.assertEqual(hosted["output_tokens"], sum(c["output_tokens"] for c in answered))
        self.assertEqual(hosted["input_tokens"], sum(c["input_tokens"] for c in answered))
        cached = hosted["cached_input_tokens"]
        cost = (hosted["input_tokens"]) * 2 + hosted["output_tokens"] * 8
        self.assertEqual(hosted["cost_microusd"], cost, f"{cached} cached tokens at the plain price")
        self.assertEqual(hosted["tries"], len(log_first) + 1, "one try at 'a', the log's since then")
        local = rows["ollama/fake-local"]
        self.assertEqual(local["tries"], len(self.second.chats()))
        self.assertEqual(local["cost_microusd"], 0)
        self.passed(f"{hosted['tries'] + local['tries']} tries, {hosted['input_tokens']} + "
                    f"{hosted['output_tokens']} tokens, ${cost / 1e6:.6f}: as the upstreams' own logs")


if __name__ == "__main__":
    unittest.main()
