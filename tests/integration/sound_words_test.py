"""Words for a sound, read by a model: what a scripted one answers well, badly, not at all; the vocabulary where it does not."""
import json
import sys
import unittest

import harness

CHAT = "/v1/chat/completions"
GOOD = {"query": "kind:kick", "aims": [{"axis": "brightness", "at": 0.05, "weight": 1}], "means": "a dark kick"}


class SoundWords(harness.Case):
    def filled(self):
        provider = self.provider()
        home = self.home(provider)
        folder = home.root / "sounds"
        for name, hz in (("Kick low.wav", 60), ("Kick mid.wav", 400), ("Kick top.wav", 4000), ("Pad top.wav", 5000)):
            harness.write_tone(folder / name, 0.4, hz)
        self.assertEqual(home.run("scan", folder).returncode, 0)
        return provider, home

    def say(self, provider, text, times=1):
        provider.script("say", path=CHAT, times=times, text=text if isinstance(text, str) else json.dumps(text))

    def test_a_model_reads_the_words_and_the_cache_keeps_it(self):
        provider, home = self.filled()
        service = self.service(home, "--no-demo")
        url = service.url + "/api/v1/library/sound"
        self.say(provider, GOOD)
        first = harness.request(url, {"text": "etwas Dumpfes len:<2s", "limit": 2}).json()
        self.assertEqual((first["by"], first["cache"], first["note"]), ("model", "miss", None))
        self.assertTrue(first["model"].startswith("openai/"), first["model"])
        self.assertEqual(first["interpretation"]["query"], "kind:kick len:<2s")
        self.assertEqual(first["interpretation"]["understood"], {"etwas Dumpfes": "a dark kick"})
        self.assertEqual([s["sample"]["name"] for s in first["samples"]], ["Kick low.wav", "Kick mid.wav"])
        # The same words with another condition: no second call. Nothing but the words left this machine.
        again = harness.request(url, {"text": "etwas Dumpfes bpm:<500"}).json()
        self.assertTrue(again["cache"].startswith("hit"), again["cache"])
        asked = [json.loads(c["body"]) for c in provider.log(CHAT)]
        self.assertEqual(len(asked), 1)
        self.assertEqual(asked[0]["messages"][-1]["content"], "etwas Dumpfes")
        self.assertEqual(asked[0]["response_format"]["json_schema"]["name"], "sound")
        self.assertNotIn("Kick low", json.dumps(asked))
        # Afresh: asked again. The interpretation, changed and sent back: nobody is asked.
        self.say(provider, {**GOOD, "means": "darker"})
        fresh = harness.request(url, {"text": "etwas Dumpfes", "fresh": True}).json()
        self.assertEqual(fresh["interpretation"]["understood"], {"etwas Dumpfes": "darker"})
        given = harness.request(url, {"query": "kind:kick", "aims": {"brightness": 1}, "limit": 1}).json()
        self.assertEqual((given["by"], given["samples"][0]["sample"]["name"]), ("given", "Kick top.wav"))
        self.assertEqual(len(provider.log(CHAT)), 2)
        self.assertIn("brightness", [a["name"] for a in given["axes"]])

    def test_a_model_that_answers_badly_is_replaced_by_the_vocabulary(self):
        provider, home = self.filled()
        service = self.service(home, "--no-demo")
        url = service.url + "/api/v1/library/sound"

        def ask(text, **more):
            return harness.request(url, {"text": text, **more}).json()

        self.say(provider, "I am sorry, I cannot help with that.")
        refused = ask("very dark kick")
        self.assertEqual((refused["by"], refused["model"], refused["cost_microusd"]), ("vocabulary", None, None))
        self.assertIn("no interpretation: it is no JSON", refused["note"])
        self.assertEqual(refused["samples"][0]["sample"]["name"], "Kick low.wav")
        self.say(provider, '{"query": "kind:ki')
        self.assertIn("no JSON", ask("rather dark kick")["note"])
        # Fields, axes, kinds and conditions that are none: left out and told; what is left is used.
        self.say(provider, {"query": "kind:kick kind:boing bpm:fast", "mood": 3,
                            "aims": [{"axis": "brightness", "at": 0.9}, {"axis": "taste", "at": 1}, {"axis": "tone", "at": 9}]})
        odd = ask("shiny kick")
        self.assertEqual((odd["by"], odd["interpretation"]["query"]), ("model", "kind:kick"))
        self.assertEqual(odd["interpretation"]["ignored"], ["kind:boing", "bpm:fast", "taste", "tone"])
        self.assertEqual(odd["samples"][0]["sample"]["name"], "Kick top.wav")
        # More than there is: the vocabulary's reading, and why.
        self.say(provider, {**GOOD, "query": "kind:kick bpm:174 is:loop"})
        nothing = ask("a murky kick")
        self.assertEqual((nothing["by"], nothing["note"]), ("vocabulary", "nothing fits what the model made of it"))
        self.assertEqual(nothing["found"], 3)
        provider.script("s13", path=CHAT, times=1)
        self.assertIn("filter", ask("dull kick")["note"])
        provider.script("401", path=CHAT)
        wrong_key = ask("bright kick")
        self.assertEqual((wrong_key["by"], wrong_key["found"]), ("vocabulary", 3))
        self.assertTrue(wrong_key["note"])
        # With by=model the same is an error; with by=vocabulary nobody is asked.
        calls = len(provider.log(CHAT))
        self.assertIsNone(ask("bright kick", by="vocabulary")["note"])
        self.assertEqual(len(provider.log(CHAT)), calls)
        self.assertGreaterEqual(harness.request(url, {"text": "bright kick", "by": "model"}).status, 500)
        for wrong in ({"by": "oracle"}, {"timeout_s": 0}, {"text": " "}, {"limit": 0}):
            self.assertEqual(harness.request(url, {"text": "bright kick", **wrong}).status, 400, wrong)

    def test_a_model_that_does_not_answer_in_time(self):
        provider, home = self.filled()
        service = self.service(home, "--no-demo")
        url = service.url + "/api/v1/library/sound"
        provider.script("s06", path=CHAT, delay_ms=20000)
        late = harness.request(url, {"text": "dark kick", "timeout_s": 0.3}).json()
        self.assertEqual((late["by"], late["note"]), ("vocabulary", "no model answered within 300 ms"))
        self.assertEqual(late["samples"][0]["sample"]["name"], "Kick low.wav")
        self.assertEqual(harness.request(url, {"text": "dark kick", "timeout_s": 0.3, "by": "model"}).status, 504)

    def test_the_command(self):
        provider, home = self.filled()
        self.say(provider, GOOD)
        done = home.run("search", "--sound", "etwas Dumpfes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("taken for: kind:kick  --aim brightness=0.05", done.stderr)
        self.assertRegex(done.stderr, "by openai/.*: a dark kick")
        self.assertEqual(done.stdout.splitlines()[1].split(".wav")[0].strip(), "Kick low")
        offline = home.run("search", "--sound", "--by", "vocabulary", "dark kick")
        self.assertNotIn("by openai", offline.stderr)
        self.assertEqual(len(provider.log(CHAT)), 1)
        provider.stop()
        gone = home.run("search", "--sound", "dark kick")
        self.assertEqual(gone.returncode, 0, gone.stderr)
        self.assertIn("read with the built-in vocabulary: ", gone.stderr)
        self.assertEqual(home.run("search", "--sound", "--by", "model", "dark kick").returncode, 69)
        self.assertEqual(home.run("search", "--sound", "--by", "oracle", "dark kick").returncode, 2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
