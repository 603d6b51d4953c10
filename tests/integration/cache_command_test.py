"""samplemind cache: the same with the service and without it; warm keeps to its budget and goes on where it stopped."""
import json
import unittest

import harness


class CacheCommand(harness.Case):
    def ok(self, home, *arguments):
        done = home.run("cache", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_warm_ls_show_clear_export_import_with_and_without_the_service(self):
        provider = self.provider()
        home = self.home(provider)
        prompts = home.root / "prompts.txt"
        prompts.write_text("# what people ask\nfirst prompt\nsecond prompt\n\nthird prompt\n")
        report = json.loads(self.ok(home, "warm", prompts, "--model", "openai/fake-small", "--json").splitlines()[-1])
        self.assertEqual((report["answered"], report["cached"], report["failed"]), (3, 0, 0))
        self.assertEqual(len(provider.chats()), 3)
        service = self.service(home, "--no-demo")
        # The service finds what the command stored, and the list again costs nothing.
        self.assertEqual(service.chat("second prompt").headers["x-samplemind-cache"], "hit-disk")
        self.assertIn("3 cached already", self.ok(home, "warm", prompts, "--model", "openai/fake-small"))
        self.assertEqual(len(provider.chats()), 3)
        rows = home.lines("cache", "ls", "--json")
        self.assertEqual(len(rows), 3)
        self.assertIn("echo:", self.ok(home, "ls"))
        one = rows[0]["key"]
        shown = self.ok(home, "show", one[:10])
        self.assertIn(one, shown)
        self.assertIn("echo:", shown)
        stats = json.loads(self.ok(home, "stats", "--json"))
        self.assertEqual(stats["disk_entries"], 3)
        self.assertIn("without a call", self.ok(home, "stats"))
        exported = home.root / "answers.jsonl"
        self.ok(home, "export", exported)
        self.assertEqual(len(exported.read_text().splitlines()), 3)
        self.assertIn("1 answer cleared", self.ok(home, "clear", one))
        self.assertIn("2 answers cleared", self.ok(home, "clear", "--all"))
        self.assertEqual(service.chat("first prompt").headers["x-samplemind-cache"], "miss")
        service.stop()
        self.assertIn("1 answer cleared", self.ok(home, "clear", "--all"))
        self.assertIn("3 answers taken in", self.ok(home, "import", exported))
        service = self.service(home, "--no-demo")
        for text in ("first prompt", "second prompt", "third prompt"):
            self.assertEqual(service.chat(text).headers["x-samplemind-cache"], "hit-disk")

    def test_budget(self):
        provider = self.provider()
        home = self.home(provider)
        # A known price, so that dollars can be counted: the provider answers to any name.
        prompts = home.root / "prompts.txt"
        prompts.write_text("".join(f"prompt {i}\n" for i in range(200)))
        first = home.run("cache", "warm", prompts, "--model", "openai/gpt-4o", "--json", "--budget", "0.01")
        report = json.loads(first.stdout.splitlines()[-1])
        self.assertTrue(report["over_budget"], report)
        self.assertEqual(first.returncode, 75, first.stderr)
        self.assertGreater(report["answered"], 0)
        self.assertLess(report["answered"], 200)
        self.assertLessEqual(report["cost_microusd"], 10_000)
        calls = len(provider.chats())
        self.assertEqual(calls, report["answered"])
        again = home.run("cache", "warm", prompts, "--model", "openai/gpt-4o", "--json", "--budget", "1")
        self.assertEqual(again.returncode, 0, again.stderr)
        second = json.loads(again.stdout.splitlines()[-1])
        self.assertEqual((second["cached"], second["answered"]), (calls, 200 - calls))
        self.assertEqual(len(provider.chats()), 200)

    def test_warm_for_a_tenant(self):
        provider = self.provider()
        home = self.home(provider)
        prompts = home.root / "prompts.txt"
        prompts.write_text("for the band\n")
        config = f'[cache.warm]\nfile = "{prompts}"\nmodel = "openai/fake-small"\ntenant = "quartet"\n'
        home.config(config)
        service = self.service(home, "--no-demo")
        harness.wait_until(lambda: len(provider.chats()) == 1, 20, "the schedule's call")
        self.ok(home, "warm", prompts, "--model", "openai/fake-small", "--tenant", "band")
        self.assertEqual(len(provider.chats()), 2, "tenants do not share")
        self.assertEqual({r["tenant"] for r in home.lines("cache", "ls", "--json")}, {"band", "quartet"})
        self.assertNotEqual(home.run("cache", "warm", prompts, "--tenant", "a b").returncode, 0)
        key = home.run("keys", "create", "ann", "--tenant", "band").stdout.strip()
        answer = harness.request(service.url + "/v1/chat/completions", {
            "model": "openai/fake-small", "messages": [{"role": "user", "content": "for the band"}]}, {"Authorization": "Bearer " + key})
        self.assertEqual(answer.headers["x-samplemind-cache"], "hit-memory")

    def test_wrong_words_are_explained(self):
        home = self.home()
        for arguments, expected in ((["lst"], "samplemind cache ls"), (["show"], "which one"), (["clear"], "--all"),
                                    (["warm", "nothing.txt"], "does not exist"), (["show", "zz"], "hexadecimal"),
                                    (["ls", "--older-than", "soon"], "7d"), (["ls", "--modle", "x"], "--model")):
            done = home.run("cache", *arguments)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertIn(expected, done.stderr, arguments)
        self.assertIn("samplemind cache warm", home.run("cache", "--help").stdout)

    def test_the_schedule_warms_at_the_start(self):
        provider = self.provider()
        home = self.home(provider)
        prompts = home.root / "prompts.txt"
        prompts.write_text("from the schedule\n")
        home.config(f'[cache.warm]\nfile = "{prompts}"\nmodel = "openai/fake-small"\n')
        service = self.service(home, "--no-demo")
        harness.wait_until(lambda: len(provider.chats()) == 1, 20, "the schedule's call")
        harness.wait_until(lambda: service.chat("from the schedule").headers["x-samplemind-cache"].startswith("hit"), 10)
        self.assertEqual(len(provider.chats()), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
