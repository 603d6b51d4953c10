"""Bad input, each with the message that the user sees."""
import os
import shutil
import struct
import subprocess
import sys
import unittest

import harness


class BadFiles(harness.Case):
    def analyze(self, path):
        done = self.home().run("analyze", path)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(path.name, done.stderr + done.stdout)
        return (done.stderr + done.stdout).lower()

    def folder(self):
        home = self.home()
        path = home.root / "sounds"
        path.mkdir()
        return home, path

    def test_empty_folder(self):
        home, path = self.folder()
        done = home.run("scan", path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no sound file in " + str(path), done.stderr)

    def test_missing_folder(self):
        home, path = self.folder()
        done = home.run("scan", path / "nowhere")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "does not exist|no such file")

    def test_no_permission(self):
        if os.geteuid() == 0 and not shutil.which("setpriv"):
            self.skipTest("root may read everything, and there is no setpriv to be somebody else")
        home, path = self.folder()
        harness.write_tone(path / "a.wav")
        home.path.mkdir()
        command = [harness.BIN, "scan", str(path)]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
            home.root.chmod(0o755)
            os.chown(home.path, 65534, 65534)
            probe = subprocess.run([*command[:4], harness.BIN, "--version"], capture_output=True)
            if probe.returncode != 0:
                self.skipTest("another user cannot run the program where it lies")
        path.chmod(0)
        self.addCleanup(path.chmod, 0o755)
        done = subprocess.run(command, env=home.env, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("permission", done.stderr.lower())
        self.assertIn(str(path), done.stderr)

    def test_text_named_wav(self):
        _, path = self.folder()
        (path / "notes.wav").write_text("this is no sound\n" * 100)
        self.assertIn("not a sound file", self.analyze(path / "notes.wav"))

    def test_empty_file(self):
        _, path = self.folder()
        (path / "nothing.wav").write_bytes(b"")
        self.assertIn("0 bytes", self.analyze(path / "nothing.wav"))

    def test_truncated_mp3(self):
        # A frame's header that promises more than there is: nothing can be decoded.
        _, path = self.folder()
        (path / "cut.mp3").write_bytes(b"\xff\xfb\x90\x64" + b"\0" * 40)
        self.assertRegex(self.analyze(path / "cut.mp3"), "damaged|not a sound file|no sound")

    def test_header_that_promises_4_gb(self):
        home, path = self.folder()
        good = harness.write_tone(path / "huge.wav", 1.0).read_bytes()
        (path / "huge.wav").write_bytes(good[:4] + struct.pack("<I", 0xFFFFFFF0) + good[8:40] +
                                        struct.pack("<I", 0xFFFFFFC0) + good[44:])
        done = home.run("analyze", path / "huge.wav", "--json")
        # Either what is there is measured, or the file is refused; never 4 GB of silence.
        if done.returncode == 0:
            self.assertIn('"duration_s":1', done.stdout)
        else:
            self.assertIn("huge.wav", done.stderr)
            self.assertRegex(done.stderr.lower(), "promise|damaged|truncated|shorter")

    def test_a_broken_file_stops_no_scan(self):
        home, path = self.folder()
        harness.write_tone(path / "good.wav")
        (path / "bad.wav").write_text("no sound")
        done = home.run("scan", path)
        self.assertIn("bad.wav", done.stdout + done.stderr)
        self.assertEqual([s["path"] for s in home.lines("search", "--json")], [str(path / "good.wav")])


class BadWords(harness.Case):
    def test_unknown_flag(self):
        done = self.home().run("search", "--bmp", "120")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--bmp", done.stderr)
        self.assertIn("--bpm", done.stderr)

    def test_malformed_toml(self):
        home = self.home()
        home.config("[server\nport = 1")
        done = home.run("config")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("config.toml", done.stderr)
        self.assertRegex(done.stderr, r"line 1|:1")

    def test_unknown_key_names_the_nearest(self):
        home = self.home()
        home.config("[server]\nprot = 8001\n")
        done = home.run("config")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("server.prot", done.stderr)
        self.assertIn("server.port", done.stderr)


class BadRequests(harness.Case):
    def setUp(self):
        self.fake = self.provider()
        home = self.home(self.fake)
        home.config('[server]\nbody_max = "64KiB"\n[ai]\nidle_timeout = "1s"\nbackoff = "20ms"\n'
                    '[ai.openai]\nfirst_byte_timeout = "1s"\n')
        self.up = self.service(home)

    def test_malformed_json(self):
        got = harness.request(self.up.url + "/v1/chat/completions", b'{"model": "x", ')
        self.assertEqual(got.status, 400)
        self.assertIn("JSON", got.json()["error"]["message"])
        got = harness.request(self.up.url + "/api/v1/scan", b"{nope")
        self.assertEqual(got.status, 400)
        self.assertTrue(got.headers["Content-Type"].startswith("application/problem+json"))
        self.assertEqual(got.json()["status"], 400)

    def test_body_over_the_limit(self):
        try:
            got = self.up.chat("x" * 100_000)
        except OSError as e:
            self.fail(f"the answer was lost: {e}")
        self.assertEqual(got.status, 413)
        self.assertEqual(got.headers["Content-Type"], "application/json")
        error = got.json()["error"]
        self.assertEqual((error["type"], error["code"]), ("invalid_request_error", "too-large"))
        self.assertIn("65536", error["message"])
        got = harness.request(self.up.url + "/api/v1/scan", b"x" * 100_000)
        self.assertEqual(got.status, 413)
        self.assertEqual(got.headers["Content-Type"], "application/problem+json")
        self.assertIn("65536", got.json()["detail"])

    def upstream(self, fault, status, *words, calls=None, **more):
        text = f"{fault} {more}"
        got = self.up.chat(text, model=f"openai/fault-{fault}", **more)
        self.assertEqual(got.status, status, got.body)
        message = got.json()["error"]["message"]
        for word in words:
            self.assertIn(word.lower(), message.lower())
        if calls:
            made = [c for c in self.fake.chats() if c["model"] == f"fault-{fault}"]
            self.assertEqual(len(made), calls)
        return got

    def test_upstream_401(self):
        self.upstream("401", 502, "openai", "key", calls=1)

    def test_upstream_429(self):
        self.upstream("s02", 429, "openai", "rate limit", calls=3)

    def test_upstream_500(self):
        self.upstream("500", 502, "openai", "server had an error", calls=3)
        self.assertEqual(self.up.chat("once", model="openai/fault-s03").status, 200)

    def test_upstream_never_answers(self):
        self.upstream("s06", 504, "openai")

    def test_cut_stream_ends_without_the_marker_and_is_not_stored(self):
        for fault in ("s08", "s09", "s10", "s11"):
            for _ in range(2):
                got = self.up.chat("cut " + fault, model="openai/fault-" + fault, stream=True)
                self.assertEqual(got.headers["x-samplemind-cache"], "miss", fault)
                self.assertEqual(got.body.count(b'"error"'), 1, (fault, got.body[-300:]))
                self.assertNotIn(b"[DONE]", got.body, fault)
            self.assertEqual(len([c for c in self.fake.chats() if c["model"].endswith(fault)]), 2, fault)

    def test_a_cut_whole_answer_is_an_error(self):
        self.upstream("s08", 502, "openai")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
