"""The commands, with the service and without it: the same answers."""
import json
import sys
import unittest

import harness


class Commands(harness.Case):
    def sounds(self, home):
        folder = home.root / "sounds"
        harness.write_tone(folder / "bass low.wav", 1.0, 55)
        harness.write_tone(folder / "lead high.wav", 1.0, 880)
        harness.write_tone(folder / "beat.wav", 8.0, 180, clicks_bpm=120)
        return folder

    def test_analyze_json(self):
        home = self.home()
        folder = self.sounds(home)
        rows = home.lines("analyze", "--json", folder / "beat.wav", folder / "lead high.wav")
        self.assertEqual(len(rows), 2)
        beat = next(r for r in rows if r["path"].endswith("beat.wav"))
        for field in ("path", "duration_s", "sample_rate_hz", "channels", "bit_depth", "tempo_bpm",
                      "tempo_confidence", "beats_s", "key", "key_confidence", "loudness_lufs"):
            self.assertIn(field, beat)
        self.assertAlmostEqual(beat["duration_s"], 8.0, places=2)
        self.assertEqual((beat["sample_rate_hz"], beat["channels"], beat["bit_depth"]), (22050, 1, 16))
        self.assertAlmostEqual(beat["tempo_bpm"], 120, delta=1.5)

    def test_scan_search_ask_with_and_without_the_service(self):
        provider = self.provider()
        home = self.home(provider)
        folder = self.sounds(home)
        self.assertEqual(home.run("scan", folder).returncode, 0)
        again = home.lines("scan", "--json", folder)[-1]
        self.assertEqual((again["unchanged"], again["measured"]), (3, 0), again)
        queries = (["bass"], ["--bpm", "118-122"], ["--length", "<2s"], ["nothing-like-this"])
        alone = [home.lines("search", "--json", *q) for q in queries]
        self.assertEqual([len(a) for a in alone], [1, 1, 2, 0])
        self.assertTrue(alone[0][0]["path"].endswith("bass low.wav"))
        question = ["ask", "What is this sound good for?", "--file", folder / "bass low.wav",
                    "--model", "openai/fake-small", "--json"]
        first = home.lines(*question)[-1]
        self.assertEqual(first["cache"], "miss")
        sent = json.dumps(json.loads(provider.chats()[0]["body"])["messages"])
        self.assertIn("bass low", sent)  # what was measured is in the request
        service = self.service(home, "--no-demo")
        self.assertEqual([home.lines("search", "--json", *q) for q in queries], alone)
        second = home.lines(*question)[-1]
        self.assertIn(second["cache"], ("hit-memory", "hit-disk"))
        self.assertEqual(second["answer"], first["answer"])
        self.assertEqual(len(provider.chats()), 1)
        shown = home.run(*question[:-1])
        self.assertIn(first["answer"].strip()[:20], shown.stdout)
        self.assertIn("fake-small", shown.stdout + shown.stderr)
        self.assertIn("hit", shown.stdout + shown.stderr)
        self.assertEqual(harness.request(service.url + "/api/v1/samples").json()["total"], 3)

    def test_the_very_first_answer_is_kept(self):
        provider = self.provider()
        home = self.home(provider)
        question = ["ask", "What is swing?", "--model", "openai/fake-small", "--json"]
        first, second = home.lines(*question)[-1], home.lines(*question)[-1]
        self.assertEqual((first["cache"], second["cache"]), ("miss", "hit-disk"))
        self.assertEqual(second["answer"], first["answer"])

    def test_models_and_pull(self):
        provider = self.provider()
        home = self.home(provider, OLLAMA_HOST=provider.url.removeprefix("http://"))
        models = home.lines("models", "--json")
        names = {m["id"]: m for m in models}
        self.assertTrue(names["ollama/llama3.2:3b-instruct-q8_0"]["local"])
        # A server of one's own on this machine is local too, whatever its dialect.
        self.assertTrue(names["openai/fake-small"]["local"])
        loaded = home.lines("models", "--load", "llama3.2:3b-instruct-q8_0", "--json")[0]
        self.assertEqual(loaded["name"], "llama3.2:3b-instruct-q8_0")
        self.assertEqual([c["model"] for c in provider.log("/api/generate")], ["llama3.2:3b-instruct-q8_0"])
        provider.script("404", path="/api/generate", times=1)
        none = home.run("models", "--load", "no-such")
        self.assertEqual((none.returncode, "pull-models no-such" in none.stderr), (3, True), none.stderr)
        done = home.run("pull-models", "llama3.2:1b")
        self.assertEqual(done.returncode, 0, done.stderr)
        pulls = provider.log("/api/pull")
        self.assertEqual([p["model"] for p in pulls], ["llama3.2:1b"])
        provider.script("s08", path="/api/pull", times=1)
        cut = home.run("pull-models", "qwen2.5:1b")
        self.assertNotEqual(cut.returncode, 0)
        self.assertIn("pull qwen2.5:1b", cut.stderr)
        self.assertIn("goes on from there", cut.stderr)
        lines = home.lines("pull-models", "qwen2.5:1b", "--json")
        self.assertEqual(lines[-1], {"type": "pulled", "name": "qwen2.5:1b"})
        self.assertEqual(lines[0]["type"], "progress")

    def test_a_day_replayed(self):
        home = self.home()
        day, again = (home.lines("bench", "ai", "--quick", "--json", "--seed", "3")[-1] for _ in range(2))
        passes = {p["name"]: p for p in day["passes"]}
        asked, different = day["day"]["questions"], day["day"]["distinct"]
        self.assertEqual(asked, 5 * 2 * 10 + 40)
        for p in day["passes"]:
            self.assertEqual(p["requests"], asked)
            # The scripted provider's own count, and that of the books.
            self.assertEqual(p["upstream_calls"], p["upstream_calls_counted"], p)
            self.assertEqual(p["upstream_calls"], different if p["cache"] else asked, p)
        alone, cached = passes["as it was: one model, no cache"], passes["cache"]
        self.assertEqual((alone["paid_calls"], cached["paid_calls"]), (asked, different))
        self.assertLess(cached["cost_microusd"], 0.6 * alone["cost_microusd"])
        self.assertLess(passes["router (auto)"]["paid_calls"], asked)
        self.assertLess(passes["router (auto) and cache"]["paid_calls"], different)
        self.assertGreater(alone["median_s"], 2)
        self.assertLess(cached["hit_median_s"], 0.05)
        # The same seed, the same day.
        def counts(d):
            return [(p["upstream_calls"], p["paid_calls"]) for p in d["passes"]] + [s["paid_calls"] for s in d["by_share"]]
        self.assertEqual((day["day"], counts(day)), (again["day"], counts(again)))
        refused = home.run("bench", "al")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn("it can: ai", refused.stderr)

    def test_bench_and_profile(self):
        home = self.home()
        bench = home.lines("bench", "--quick", "--json")
        self.assertTrue(bench and isinstance(bench[-1], dict))
        alone = home.run("profile")
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("samplemind up", alone.stderr)
        self.service(home, "--no-demo")
        profile = home.lines("profile", "--json")[-1]
        self.assertGreater(profile["rss_bytes"], 1_000_000)
        heap = next(c["bytes"] for c in profile["components"] if c["name"] == "heap in use")
        self.assertTrue(100_000 < heap < profile["rss_bytes"], profile)

    def test_version_and_checkout_commands(self):
        home = self.home()
        self.assertRegex(home.run("--version").stdout, r"\d+\.\d+")
        for command in ("build", "rebuild", "test"):
            done = home.run(command)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("checkout", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
