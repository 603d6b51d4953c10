"""The main job on real things: real recordings, a real Ollama, a real small model."""
import pathlib
import sys
import unittest

import harness
from ollama import MODEL, OllamaServer

RECORDINGS = pathlib.Path("/usr/share/sonic-pi/samples")


class MainJob(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.ollama = OllamaServer()

    @classmethod
    def tearDownClass(cls):
        cls.ollama.stop()

    def test_scan_search_and_ask_twice(self):
        self.assertTrue(RECORDINGS.is_dir(), "the package sonic-pi-samples is not installed")
        home = self.home()
        home.env["OLLAMA_HOST"] = self.ollama.host
        service = self.service(home)
        report = home.lines("scan", "--json", RECORDINGS)[-1]
        self.assertGreater(report["measured"], 150, report)
        self.assertEqual(report["broken"], 0, report)
        loops = home.lines("search", "--json", "loop", "--limit", "100")
        self.assertGreater(len(loops), 10)
        amen = RECORDINGS / "loop_amen.flac"
        # So small a model sometimes rambles until its limit, and a cut answer is rightly not cached: ask until one ends properly.
        for subject in ("this loop", "its tempo", "its key", "its loudness", "its length"):
            ask = ["ask", f"In one sentence: what should I know about {subject}?", "--file", amen, "--model", f"ollama/{MODEL}", "--json"]
            first = home.lines(*ask)[-1]
            if first["finish_reason"] == "stop":
                break
        second = home.lines(*ask)[-1]
        print(f"first: {first['cache']}, {first['elapsed_ms']:.0f} ms; second: {second['cache']}, {second['elapsed_ms']:.3f} ms; {first['answer']!r}")
        self.assertEqual(first["cache"], "miss")
        self.assertGreater(len(first["answer"].strip()), 0)
        self.assertEqual(first["provider"], "ollama")
        self.assertGreater(first["usage"]["completion_tokens"], 0)
        self.assertEqual(second["cache"], "hit-memory")
        self.assertEqual(second["answer"].encode(), first["answer"].encode())
        # The disk remembers what a restart forgets.
        self.assertEqual(home.run("down").returncode, 0)
        service = self.service(home)
        third = home.lines(*ask)[-1]
        self.assertEqual((third["cache"], third["answer"]), ("hit-disk", first["answer"]))
        models = harness.request(service.url + "/v1/models").json()["data"]
        self.assertIn(f"ollama/{MODEL}:latest", [m["id"] for m in models])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
