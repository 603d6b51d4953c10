"""The service's life: started twice, killed, stopped with work at hand, with a child of its own."""
import json
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

import harness


def alive(pid):
    """Whether the process runs; one that only waits to be collected by its parent does not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Lifecycle(harness.Case):
    def up(self, home, *flags, **kw):
        port = harness.free_port()
        done = home.run("up", "--no-demo", "--port", port, *flags, **kw)
        return port, done

    def test_up_twice_ps_logs_down(self):
        home = self.home()
        port, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"127.0.0.1:{port}", done.stdout + done.stderr)
        again = home.run("up", "--no-demo", "--port", port)
        self.assertIn("already running", again.stdout + again.stderr)
        rows = json.loads(home.run("ps", "--json").stdout)
        mine = rows[0]
        self.assertEqual(mine["port"], port)
        self.assertTrue(alive(mine["pid"]))
        log = home.run("logs", "-n", "1")
        self.assertEqual(log.returncode, 0, log.stderr)
        self.assertEqual(len(log.stdout.strip().splitlines()), 1, log.stdout)
        down = home.run("down")
        self.assertEqual(down.returncode, 0, down.stderr)
        self.assertFalse(alive(mine["pid"]))

    def test_the_first_start_hears_the_demo_pack(self):
        home = self.home()
        port = harness.free_port()
        done = home.run("up", "--port", port)
        self.assertEqual(done.returncode, 0, done.stderr)
        # A row for each kind of sound, with what was heard; then where to go on.
        for said in ("bpm", "Am", f"http://127.0.0.1:{port}", "install Ollama"):
            self.assertIn(said, done.stdout)
        heard = harness.request(f"http://127.0.0.1:{port}/api/v1/samples?limit=1").json()["total"]
        self.assertGreaterEqual(heard, 50)
        self.assertEqual(home.run("down").returncode, 0)
        again = home.run("up", "--port", port)  # the library is there: no second first start
        self.assertNotIn("demo", (again.stdout + again.stderr).lower())

    def test_logs_follow(self):
        home = self.home()
        port, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)
        following = subprocess.Popen([harness.BIN, "logs", "-f", "-n", "0"], env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(following.communicate)
        self.addCleanup(following.kill)
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in following.stdout], daemon=True).start()
        log = home.path / "logs/samplemind.log"
        harness.wait_until(lambda: following.poll() is None and log.exists(), 10, "it follows")
        deadline = time.monotonic() + 10
        got = None
        while got is None and time.monotonic() < deadline:
            with log.open("a") as f:
                f.write("a line written later\n")
            try:
                got = lines.get(timeout=0.5)
            except queue.Empty:
                pass
        self.assertEqual(got, "a line written later\n")
        following.send_signal(signal.SIGINT)
        self.assertEqual(following.wait(5), 0)

    def test_a_signal_in_the_first_moment_loses_nothing(self):
        service = self.service(self.home())
        pid, stopping = service.process.pid, (1 << signal.SIGTERM - 1) | (1 << signal.SIGINT - 1)
        # The main thread waits for them; any other that took one would end the process, and what is not written yet.
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as f:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
            if int(task) != pid:
                self.assertEqual(int(status["SigBlk"], 16) & stopping, stopping, status["Name"])
        service.process.send_signal(signal.SIGTERM)
        self.assertEqual(service.process.wait(20), 0)
        self.assertIn("stopped", service.log_text())

    def test_stale_run_file(self):
        home = self.home()
        _, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)
        os.kill(json.loads(home.run("ps", "--json").stdout)[0]["pid"], signal.SIGKILL)
        _, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_port_in_use(self):
        home = self.home()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            done = home.run("up", "--no-demo", "--port", port)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(port), done.stderr)
        self.assertIn("in use", done.stderr.lower())

    def test_home_that_cannot_be_written(self):
        home = self.home()
        home.path.write_text("a file where the folder should be")
        _, done = self.up(home)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cannot keep data in", done.stderr)
        self.assertIn("SAMPLEMIND_HOME", done.stderr)

    def test_crash_at_start_says_why(self):
        home = self.home()
        home.path.mkdir()
        (home.path / "library.db").write_bytes(b"this is no database" * 100)
        _, done = self.up(home)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("did not start", done.stderr)
        self.assertIn("library.db", done.stderr)

    def test_down_lets_a_running_request_finish(self):
        provider = self.provider()
        home = self.home(provider)
        port, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)
        got = []
        body = {"model": "openai/fault-s07-ms1500", "messages": [{"role": "user", "content": "late"}]}
        asking = threading.Thread(target=lambda: got.append(
            harness.request(f"http://127.0.0.1:{port}/v1/chat/completions", body)))
        asking.start()
        harness.wait_until(provider.chats, 10, "the request is upstream")
        self.assertEqual(home.run("down").returncode, 0)
        asking.join(20)
        self.assertEqual([a.status for a in got], [200])

    def test_ollama_is_started_and_stopped(self):
        home = self.home()
        stub = home.root / "bin" / "ollama"
        stub.parent.mkdir()
        pid_file = home.root / "ollama.pid"
        # fake_provider ends with its stdin, so a pipe that stays open is put in front.
        stub.write_text(f'#!/bin/sh\n[ "$1" = serve ] || exit 2\necho $$ > {pid_file}\n'
                        f'mkfifo {home.root}/open\nexec {harness.FAKE} --port "${{OLLAMA_HOST##*:}}" <> {home.root}/open\n')
        stub.chmod(0o755)
        home.env["PATH"] = f"{stub.parent}{os.pathsep}{home.env['PATH']}"
        _, done = self.up(home)
        self.assertEqual(done.returncode, 0, done.stderr)
        harness.wait_until(pid_file.exists, 10, "ollama serve was started")
        ollama = f"http://{home.env['OLLAMA_HOST']}"
        self.assertIn("fake", harness.request(ollama + "/api/version").json()["version"])
        self.assertIn("ollama", home.run("ps").stdout.lower())
        self.assertEqual(home.run("down").returncode, 0)

        def gone():
            try:
                harness.request(ollama + "/api/version", timeout=2)
                return False
            except OSError:
                return True
        harness.wait_until(gone, 10, "ollama was stopped")


class Killed(harness.Case):
    """Scans that are ended early, of loops: they take long enough to be caught in the middle."""

    def write_loop(self, path, number, seconds=8.0):
        harness.write_tone(path, seconds, 110 + number, clicks_bpm=100)

    def test_ctrl_c_in_a_scan_keeps_what_was_measured(self):
        home = self.home()
        sounds = home.root / "sounds"
        for i in range(400):
            self.write_loop(sounds / f"{i:03}.wav", i)
        for served in (False, True):
            with self.subTest(served=served):
                if served:
                    self.service(home, "--no-demo")
                    for i in range(400):  # all of them are to be measured again
                        self.write_loop(sounds / f"{i:03}.wav", i, 8.1)
                scanning = subprocess.Popen([harness.BIN, "scan", str(sounds), "--json"], env=home.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                self.addCleanup(scanning.kill)
                for line in scanning.stdout:
                    if json.loads(line).get("done", 0) >= 40:
                        break
                scanning.send_signal(signal.SIGINT)
                _, said = scanning.communicate(timeout=20)
                self.assertEqual(scanning.returncode, 130, said)
                self.assertIn("what was measured is kept", said)
                # The service may still be storing its last batch.
                stored = lambda: len(home.lines("search", "--json", "--limit", "1000", "--length", ">8.05" if served else ">1"))
                harness.wait_until(lambda: stored() >= 40, 10, "what was measured is there")
                kept = stored()
                self.assertLess(kept, 400, "the scan was over before the signal: nothing was tested")
                report = home.lines("scan", sounds, "--json")[-1]
                self.assertEqual((report["found"], report["broken"]), (400, 0))
                self.assertLessEqual(report["measured"], 400 - kept)

    def test_kill_during_a_scan_loses_nothing_finished(self):
        home = self.home()
        sounds = home.root / "sounds"
        for i in range(600):
            self.write_loop(sounds / f"{i:03}.wav", i)
        service = self.service(home, "--no-demo")
        count = lambda: harness.request(service.url + "/api/v1/samples?limit=1").json()["total"]

        def scan():
            try:
                harness.request(service.url + "/api/v1/scan", {"paths": [str(sounds)]})
            except Exception:  # the service is killed under it
                pass
        scanning = threading.Thread(target=scan)
        scanning.start()
        finished = harness.wait_until(count, 60, "a first batch is stored")
        service.kill()
        scanning.join(30)
        self.assertLess(finished, 600, "the scan was over before the kill: nothing was tested")
        service = self.service(home, "--no-demo")
        self.assertGreaterEqual(count(), finished)
        service.stop()
        with sqlite3.connect(home.path / "library.db") as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        home.run("scan", sounds)
        self.assertEqual(len(home.lines("search", "--json", "--limit", "1000")), 600)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
