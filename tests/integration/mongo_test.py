"""The library in a MongoDB: the catalogue's own tests over it, and commands and services that share one. The server is an
emulator of MongoDB's protocol (tests/support/mongo_server.py): what only a real MongoDB has is not shown here."""
import os
import signal
import subprocess
import time
import unittest

import harness
import mongo_server

JARS, WHY_NOT = mongo_server.jars()
# What is about the file library.db itself, or does not use a catalogue's store at all.
ABOUT_THE_FILE = ["Catalogue.HomeAndFilesArePrivate", "Catalogue.ReadingBeforeAnythingWasScanned",
                  "Catalogue.NewerAndDamagedFilesAreRefused", "Catalogue.EveryOlderSchemaIsBroughtUpToDate",
                  "User.BackupAndRestore", "User.CheckFindsAndRepairMends", "User.ADamagedFileIsSalvaged"]
SUITES = ["Mongo.*", "Catalogue.*", "Search.*", "User.*", "Out.*", "Scanner.*", "FileTagsTest.*", "Similarity.*", "ElsewhereTest.*",
          "IndexAgainstAWalk.*", "Closeness.*"]


@unittest.skipUnless(JARS, WHY_NOT)
class Mongo(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.mongo = mongo_server.Mongo(JARS)
        cls.addClassCleanup(cls.mongo.stop)

    def setUp(self):
        self.store = self.mongo.url + "/" + self._testMethodName

    def member(self):
        """A machine of its own that shares the library."""
        return self.home(SAMPLEMIND_LIBRARY_STORE=self.store)

    def sounds(self, home, count=6):
        for i in range(count):
            harness.write_tone(home.root / "sounds" / f"kick {i} {100 + i}bpm.wav", 0.1, 100 + 30 * i)
        return home.root / "sounds"

    def found(self, home, *words):
        return [s["name"] for s in home.lines("search", "--json", *words)]

    def test_catalogue_tests_over_this_store(self):
        done = subprocess.run([os.environ["SAMPLEMIND_LIBRARY_TEST"],
                               f"--gtest_filter={':'.join(SUITES)}-{':'.join(ABOUT_THE_FILE)}"],
                              env=dict(os.environ, SAMPLEMIND_TEST_STORE=self.mongo.url), capture_output=True, text=True,
                              timeout=500)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertNotIn("SKIPPED", done.stdout)
        ran = int(done.stdout.split("[==========] Running ")[1].split()[0])
        self.assertGreater(ran, 35, done.stdout[:300])

    def test_commands_share_one_library(self):
        ann, ben = self.member(), self.member()
        done = ann.run("scan", self.sounds(ann))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("6 measured", done.stdout)
        self.assertIn("0 measured, 6 unchanged", ann.run("scan", ann.root / "sounds").stdout)
        self.assertFalse((ann.path / "library.db").exists())
        self.assertEqual(self.found(ben, "kick", "bpm:102-103"), ["kick 2 102bpm.wav", "kick 3 103bpm.wav"])
        self.assertEqual(len(ben.lines("similar", "1", "--json")), 5)
        self.assertEqual(ben.run("edit", "bpm:>=104", "--tag", "dusty").returncode, 0)
        self.assertEqual(self.found(ann, "tag:dusty"), ["kick 4 104bpm.wav", "kick 5 105bpm.wav"])
        self.assertEqual(ann.run("collection", "make", "Friday").returncode, 0)
        self.assertEqual(ann.run("collection", "add", "Friday", "tag:dusty").returncode, 0)
        self.assertEqual(len(self.found(ben, "in:friday")), 2)
        for _ in range(3):
            self.assertEqual(ben.run("undo").returncode, 0)
        self.assertEqual(self.found(ann, "tag:dusty"), [])
        self.assertEqual(ann.run("undo").returncode, 3)
        (ann.root / "sounds" / "copy.wav").write_bytes((ann.root / "sounds" / "kick 0 100bpm.wav").read_bytes())
        ann.run("scan", ann.root / "sounds")
        self.assertIn("copy.wav", ben.run("duplicates").stdout)
        self.assertIn("whole", ann.run("library", "check", "--repair").stdout)
        # Files that get other names, folders at other places, sounds that are forgotten; and back.
        self.assertEqual(ann.run("rename", "{kind}_{bpm}bpm", "bpm:101", "--yes").returncode, 0)
        self.assertEqual(self.found(ben, "bpm:101"), ["kick_101bpm.wav"])
        self.assertEqual(ann.run("undo").returncode, 0)
        self.assertEqual(self.found(ben, "bpm:101"), ["kick 1 101bpm.wav"])
        (ann.root / "sounds").rename(ann.root / "moved")
        self.assertEqual(ann.run("library", "relocate", ann.root / "sounds", ann.root / "moved").returncode, 0)
        self.assertIn("0 measured, 7 unchanged", ann.run("scan", ann.root / "moved").stdout)
        (ann.root / "moved" / "copy.wav").unlink()
        ann.run("scan", ann.root / "moved")
        self.assertIn("1 missing", ann.run("library", "purge").stdout)
        self.assertEqual(self.found(ben, "is:missing"), [])
        self.assertEqual(ben.run("undo").returncode, 0)
        self.assertEqual(self.found(ann, "is:missing"), ["copy.wav"])

    def test_the_store_as_a_flag(self):
        home = self.home()
        self.assertEqual(home.run("scan", self.sounds(home, 2), "--store", self.store).returncode, 0)
        self.assertEqual(len(home.lines("--store", self.store, "search", "kick", "--json")), 2)
        self.assertEqual(home.lines("search", "kick", "--json"), [])  # the file in the data folder is another library
        # Who needs no MongoDB does not load its driver, which would take longer than most commands.
        service = self.service(home)
        with open(f"/proc/{service.process.pid}/maps") as maps:
            self.assertNotIn("mongoc", maps.read())

    def test_what_is_not_done_here_is_refused_by_name(self):
        home = self.member()
        home.run("scan", self.sounds(home, 1))
        for command, what in ((("library", "backup", home.root / "x.db"), "mongodump"),
                              (("library", "restore", home.root / "x.db"), "mongorestore")):
            done = home.run(*command)
            self.assertEqual(done.returncode, 2, (command, done.stdout, done.stderr))
            self.assertIn("MongoDB", done.stderr)
            self.assertIn(what, done.stderr)
        self.assertEqual(self.found(home, "kick"), ["kick 0 100bpm.wav"])

    def test_wrong_addresses(self):
        home = self.home()
        for address, status, words in (
                ("http://127.0.0.1/x", 2, "mongodb://"),
                ("mongodb://127.0.0.1:99999/x", 2, "library.store"),
                (f"mongodb://127.0.0.1:{harness.free_port()}/x", 69, "No suitable servers"),
                (f"mongodb://ann:very-secret-word@127.0.0.1:{self.mongo.port}/x", 77, "mongodb://USER:PASSWORD@HOST")):
            for command in (("search", "kick"), ("up", "--foreground", "--port", harness.free_port())):
                done = home.run("--store", address, *command)
                self.assertEqual(done.returncode, status, (address, done.stdout, done.stderr))
                self.assertIn(words, done.stderr)
                self.assertNotIn("very-secret-word", done.stdout + done.stderr)
        home.env["SAMPLEMIND_LIBRARY_STORE"] = "mongodb://ann:very-secret-word@127.0.0.1:1/x"
        self.assertNotIn("very-secret-word", home.run("config").stdout)

    def test_one_service_writes_and_its_end_frees_the_library(self):
        ann, ben = self.member(), self.member()
        ann.run("scan", self.sounds(ann))
        service = self.service(ann)
        self.assertEqual(harness.request(service.url + "/api/v1/samples?q=kick").json()["total"], 6)
        for command in (("up", "--no-demo", "--port", harness.free_port()), ("edit", "kick", "--rating", "3")):
            done = ben.run(*command)
            self.assertEqual(done.returncode, 4, done.stdout + done.stderr)
            self.assertIn(f"open in another process ({service.process.pid} on ", done.stderr)
        self.assertFalse(os.path.exists(f"/dev/shm/mongoc-{service.process.pid}"))  # the driver's way, which a kill leaves behind
        # Others read what it writes; its own commands go through it.
        self.assertEqual(ann.run("edit", "bpm:101", "--rating", "3").returncode, 0)
        self.assertEqual(self.found(ben, "rating:3"), ["kick 1 101bpm.wav"])
        refused = ann.run("--store", self.mongo.url + "/other", "search", "kick")
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("leave --store away", refused.stderr)
        self.assertIn(f"127.0.0.1:{self.mongo.port}", ann.run("ps").stdout)
        # Killed, it gives nothing back; that its process is gone is seen at once on the same machine.
        service.kill()
        began = time.monotonic()
        self.assertEqual(ben.run("edit", "bpm:101", "--rating", "5").returncode, 0)
        self.assertLess(time.monotonic() - began, 8)
        self.assertEqual(self.found(ben, "rating:5"), ["kick 1 101bpm.wav"])

    def test_who_was_cut_off_writes_no_more(self):
        ann, ben = self.member(), self.member()
        ann.run("scan", self.sounds(ann, 2))
        service = self.service(ann)
        service.process.send_signal(signal.SIGSTOP)
        try:
            done = ben.run("edit", "bpm:101", "--rating", "5")  # waits until the lease is stale
        finally:
            service.process.send_signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 0, done.stderr)
        late = ann.run("edit", "bpm:101", "--rating", "1")
        self.assertEqual(late.returncode, 69, late.stdout + late.stderr)
        self.assertIn("another process writes", late.stderr)
        self.assertEqual(self.found(ben, "rating:5"), ["kick 1 101bpm.wav"])

    def test_a_server_that_goes_away_is_told(self):
        mongo = mongo_server.Mongo(JARS)
        self.addCleanup(mongo.stop)
        home = self.home(SAMPLEMIND_LIBRARY_STORE=mongo.url)
        home.run("scan", self.sounds(home, 2))
        service = self.service(home)
        mongo.stop()
        for path, body in (("/api/v1/samples?q=kick", None), ("/api/v1/edits", {"ids": [1], "change": {"rating": 1}})):
            answer = harness.request(service.url + path, body)
            self.assertEqual(answer.status, 503, answer.body)
            self.assertIn("MongoDB", answer.json()["detail"])
        self.assertEqual(harness.request(service.url + "/healthz").status, 200)


if __name__ == "__main__":
    harness.client_main()
