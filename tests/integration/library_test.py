"""The library by the command line: what the user says, found again, taken back; care for the file."""
import json
import os
import sys
import unittest

import harness


class Library(harness.Case):
    def filled(self):
        home = self.home()
        folder = home.root / "sounds"
        for i, name in enumerate(("Kick_C1_128bpm.wav", "BD deep.wav", "Pad_Gb.wav")):
            harness.write_tone(folder / name, 0.3, 110 * (i + 1))
        self.assertEqual(home.run("scan", folder).returncode, 0)
        return home, folder

    def names(self, home, *query):
        return [s["name"] for s in home.lines("search", "--json", *query)]

    def test_one_query_language_with_and_without_the_service(self):
        home, folder = self.filled()
        queries = (["kick sort:name"], ["kick -deep"], ["bpm:128"], ["key:Gb"], ["~key:2B kind:pad"], ["kcik sort:name"],
                   ["len:<1s sort:-name"], ["folder:sounds -pad -deep"])
        alone = [self.names(home, *q) for q in queries]
        self.assertEqual(alone[0], ["BD deep.wav", "Kick_C1_128bpm.wav"])
        self.assertEqual(alone[1], ["Kick_C1_128bpm.wav"])
        self.assertEqual(alone[2], ["Kick_C1_128bpm.wav"])
        self.assertEqual(alone[3], ["Pad_Gb.wav"])
        self.assertEqual(alone[4], ["Pad_Gb.wav"])
        self.assertEqual(alone[5], alone[0])
        self.assertEqual(alone[7], ["Kick_C1_128bpm.wav"])
        self.assertIn("'kick' instead", home.run("search", "kcik").stderr)
        wrong = home.run("search", "kick bpm:fast")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("at character 10", wrong.stderr)
        service = self.service(home, "--no-demo")
        self.assertEqual([self.names(home, *q) for q in queries], alone)
        self.assertEqual(harness.request(service.url + "/api/v1/samples?q=bpm%3Afast").status, 400)

    def test_facts_show_their_source_and_the_users_word_stays(self):
        home, folder = self.filled()
        kick = home.lines("search", "--json", "c1")[0]
        self.assertEqual((kick["tempo_bpm"], kick["tempo_source"], kick["kind"], kick["kind_source"], kick["key"]),
                         (128, "name", "kick", "name", kick["key"] if kick["key_source"] == "ear" else None))
        self.assertEqual(home.run("edit", "--id", kick["id"], "--tempo", "x1/2", "--key", "8A").returncode, 0)
        os.utime(folder / "Kick_C1_128bpm.wav")
        self.assertEqual(home.lines("scan", "--json", folder)[-1]["measured"], 1)
        kick = home.lines("search", "--json", "c1")[0]
        self.assertEqual((kick["tempo_bpm"], kick["tempo_source"], kick["key"], kick["camelot"]), (64, "user", "A minor", "8A"))
        self.assertEqual(home.run("edit", "--id", kick["id"], "--tempo", "auto").returncode, 0)
        self.assertEqual(home.lines("search", "--json", "c1")[0]["tempo_bpm"], 128)

    def test_words_for_a_sound(self):
        home = self.home()
        folder = home.root / "sounds"
        for name, seconds, hz in (("Kick low.wav", 0.4, 60), ("Kick mid.wav", 0.4, 400), ("Kick top.wav", 0.4, 4000), ("Pad top.wav", 0.4, 5000)):
            harness.write_tone(folder / name, seconds, hz)
        self.assertEqual(home.run("scan", folder).returncode, 0)
        bright = home.lines("search", "--json", "--sound", "very bright kick")
        self.assertEqual([s["sample"]["name"] for s in bright], ["Kick top.wav", "Kick mid.wav", "Kick low.wav"])
        self.assertGreater(bright[0]["score"], bright[2]["score"])
        self.assertIn("brightness", bright[0]["places"])
        said = home.run("search", "--sound", "dark", "kick", "zorblax")
        self.assertIn("taken for: kind:kick  --aim brightness=0.10", said.stderr)
        self.assertIn("nothing is known of 'zorblax'", said.stderr)
        self.assertEqual(said.stdout.splitlines()[1].split(".wav")[0].strip(), "Kick low")
        # The interpretation, changed and sent back.
        service = self.service(home, "--no-demo")
        url = service.url + "/api/v1/library/sound"
        first = harness.request(url, {"text": "dark kick"}).json()
        self.assertEqual((first["found"], first["compared"]), (3, 3))
        again = {**first["interpretation"], "limit": 1}
        again["aims"]["brightness"]["at"] = 1
        self.assertEqual([s["sample"]["name"] for s in harness.request(url, again).json()["samples"]], ["Kick top.wav"])
        self.assertEqual(harness.request(url, {"aims": {"colour": 1}}).status, 400)
        self.assertEqual(harness.request(url, {}).status, 400)
        self.assertEqual(home.run("search", "--sound", "dark", "--aim", "brightness=x").returncode, 2)
        self.assertEqual(home.run("search", "--sound", "dark", "--sort", "name").returncode, 2)

    def test_tags_collections_undo(self):
        home, _ = self.filled()
        done = home.run("edit", "kick", "--tag", "dusty", "--rating", "4", "--favourite")
        self.assertIn("2 sounds changed", done.stdout)
        self.assertEqual(len(self.names(home, "is:favourite tag:dusty rating:>=4")), 2)
        self.assertEqual(home.lines("tags", "--json"), [{"tag": "dusty", "samples": 2}])
        self.assertEqual(home.run("collection", "make", "Friday").returncode, 0)
        self.assertIn("2 added", home.run("collection", "add", "Friday", "tag:dusty").stdout)
        home.run("collection", "make", "Smart", "--query", "in:Friday -deep")
        home.run("collection", "make", "Gone")
        service = harness.Service(home, "--no-demo")  # the same commands over HTTP
        self.assertEqual(home.run("collection", "remove", "gone").returncode, 0)
        service.stop()
        self.assertEqual(self.names(home, "in:smart"), ["Kick_C1_128bpm.wav"])
        self.assertEqual([c["samples"] for c in home.lines("collection", "list", "--json")], [2, 1])
        self.assertIn("add to collection Friday", home.run("undo", "--list").stdout)
        for _ in range(6):
            self.assertEqual(home.run("undo").returncode, 0)
        self.assertEqual(home.lines("collection", "list", "--json"), [])
        self.assertEqual(self.names(home, "is:favourite"), [])
        nothing = home.run("undo")
        self.assertEqual(nothing.returncode, 3)
        self.assertIn("no change", nothing.stderr)
        self.assertEqual(home.run("edit", "kick").returncode, 2)
        self.assertEqual(home.run("collection", "mak", "x").returncode, 2)

    def test_missing_purge_relocate(self):
        home, folder = self.filled()
        folder.rename(home.root / "moved")
        self.assertIn("3 sounds are at their new place", home.run("library", "relocate", folder, home.root / "moved").stdout)
        self.assertEqual(home.lines("scan", "--json", home.root / "moved")[-1]["unchanged"], 3)
        (home.root / "moved" / "Pad_Gb.wav").unlink()
        home.run("scan", home.root / "moved")
        self.assertEqual(self.names(home, "is:missing"), ["Pad_Gb.wav"])
        self.assertEqual(self.names(home, "pad"), [])
        self.assertIn("1 missing", home.run("library", "purge").stdout)
        self.assertEqual(self.names(home, "is:missing"), [])
        self.assertEqual(home.run("undo").returncode, 0)
        self.assertEqual(self.names(home, "is:missing"), ["Pad_Gb.wav"])

    def test_backup_restore_and_two_services(self):
        home, folder = self.filled()
        copy = home.root / "copy.db"
        service = self.service(home, "--no-demo")
        self.assertEqual(home.run("library", "backup", copy).returncode, 0)
        self.assertNotEqual(home.run("library", "backup", copy).returncode, 0)
        refused = home.run("library", "restore", copy)
        self.assertEqual(refused.returncode, 4)
        self.assertIn("samplemind down", refused.stderr)
        # A second service on the same library, whatever its port: refused, and it says why.
        second = home.run("up", "--foreground", "--no-demo", "--port", harness.free_port(), timeout=60)
        self.assertEqual(second.returncode, 4, second.stderr)
        self.assertRegex(second.stderr, "running|another process")
        home.run("edit", "kick", "--tag", "later")
        service.stop()
        self.assertEqual(home.run("library", "restore", copy).returncode, 0)
        self.assertEqual(self.names(home, "tag:later"), [])
        self.assertEqual(len(self.names(home, "sort:name")), 3)
        self.assertIn("whole", home.run("library", "check").stdout)
        db = home.path / "library.db"
        for tail in ("-wal", "-shm"):
            (home.path / ("library.db" + tail)).unlink(missing_ok=True)
        db.write_bytes(b"x" * 9000)
        self.assertEqual(home.run("search", "kick").returncode, 65)
        self.assertIn("--repair", home.run("library", "check").stderr)
        self.assertEqual(home.run("library", "check", "--repair").returncode, 65)  # nothing of it can be read


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
