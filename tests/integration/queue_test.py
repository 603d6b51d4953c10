"""Scans over a Redis queue: real workers, real Redis. Four workers of which one is killed in the middle, a Redis that
comes back without anything, a file that kills whoever measures it: every file is in the library exactly once."""
import json
import pathlib
import signal
import shutil
import subprocess
import threading
import time
import unittest

import harness
import redis_servers


class Worker:
    def __init__(self, home, url, *flags):
        self.lines = []
        self.process = subprocess.Popen([harness.BIN, "worker", "--queue", url, "--json", "--threads", "1", *flags],
                                        env=home.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def wait_for(self, n):
        harness.wait_until(lambda: len(self.lines) >= n, 60, f"{n} files measured by one worker")

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(60)
        self.reader.join(10)
        return status


@unittest.skipUnless(redis_servers.available(), "redis-server is not installed")
class Queue(harness.Case):
    def setUp(self):
        self.redis = redis_servers.Redis()
        self.addCleanup(self.redis.stop)
        self.url = f"redis://127.0.0.1:{self.redis.port}"
        self.library = self.home()
        self.sounds = self.library.root / "sounds"

    def worker(self, *flags):
        w = Worker(self.library, self.url, *flags)
        self.addCleanup(w.process.stdout.close)  # after its end: until then the reading thread holds it
        self.addCleanup(w.end, signal.SIGKILL)
        return w

    def files(self, count, seconds=0.05):
        return {str(harness.write_tone(self.sounds / f"kit {i % 5}" / f"tone {i}.wav", seconds, 100 + i))
                for i in range(count)}

    def scan(self, *more):
        p = subprocess.Popen([harness.BIN, "scan", str(self.sounds), "--queue", self.url, "--json", *more],
                             env=self.library.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: p.poll() is None and p.kill())
        return p

    def report(self, scan, timeout=120):
        out, err = scan.communicate(timeout=timeout)
        self.assertEqual(scan.returncode, 0, out[-2000:] + err)
        last = json.loads(out.splitlines()[-1])
        self.assertEqual(last["type"], "report")
        return last

    def stored(self, *flags):
        return [s["path"] for s in self.library.lines("search", "--limit", "1000", "--json", *flags)]

    def nothing_left(self):
        jobs = self.redis.raw("KEYS", "*jobs").split(b"\r\n")[2]
        self.assertEqual(self.redis.raw("XLEN", jobs).strip(), b":0")
        self.assertNotIn(b"results", self.redis.raw("KEYS", "*"))

    def test_four_workers_one_killed_in_the_middle(self):
        files = self.files(240)
        workers = [self.worker("--takeover", "1") for _ in range(4)]
        scan = self.scan()
        workers[0].wait_for(5)
        self.assertEqual(workers[0].end(signal.SIGKILL), -signal.SIGKILL)
        report = self.report(scan)
        self.assertEqual((report["found"], report["measured"], report["broken"]), (240, 240, 0), report)
        self.assertEqual(report["problems"], [])
        stored = self.stored()
        self.assertEqual((len(stored), set(stored)), (240, files))
        for w in workers[1:]:
            self.assertEqual(w.end(), 0)
        done = [line["path"] for w in workers for line in w.lines]
        self.assertEqual(set(done), files)
        print("files a worker:", [len(w.lines) for w in workers], flush=True)
        self.nothing_left()
        # The same library without the queue finds nothing to do: the facts are those of a scan here.
        again = self.library.lines("scan", self.sounds, "--json")[-1]
        self.assertEqual((again["unchanged"], again["measured"]), (240, 0))

    def test_facts_are_those_of_a_scan_here(self):
        self.files(3, 0.5)
        harness.write_tone(self.sounds / "click.wav", 4, 1000, clicks_bpm=120)
        here = self.home()
        here.lines("scan", self.sounds, "--json")
        self.worker()
        self.report(self.scan())

        def facts(home):
            return {s["path"]: {k: v for k, v in s.items() if k not in ("id", "added_ms", "added")}
                    for s in home.lines("search", "--json")}
        self.assertEqual(len(facts(here)), 4)
        self.assertEqual(facts(self.library), facts(here))

    def test_redis_comes_back_without_anything(self):
        files = self.files(150)
        workers = [self.worker("--takeover", "1") for _ in range(2)]
        scan = self.scan()
        workers[0].wait_for(10)
        self.redis.kill()
        time.sleep(0.3)
        self.redis.start()
        report = self.report(scan)
        self.assertEqual(report["measured"], 150, report)
        stored = self.stored()
        self.assertEqual((len(stored), set(stored)), (150, files))
        self.assertEqual([w.end() for w in workers], [0, 0])

    def test_a_file_that_kills_its_workers_is_set_aside(self):
        self.files(6)
        # Long enough to be met in the middle: nobody ever finishes it.
        poison = harness.write_tone(self.sounds / "zz last" / "poison.wav", 60, 50, 44100)
        with open(poison, "r+b") as f:  # 1.5 hours by sparse zeros
            f.truncate(480_000_000)
            size = 480_000_000
            f.seek(4), f.write((size - 8).to_bytes(4, "little"))
            f.seek(40), f.write((size - 44).to_bytes(4, "little"))
        scan = self.scan()
        killed = 0
        for _ in range(3):
            w = self.worker("--takeover", "1")
            # It alone is left once the others are done; a worker that holds it says nothing more.
            harness.wait_until(lambda: self.held(w), 60, "the worker holds it")
            w.end(signal.SIGKILL)
            killed += 1
        last = self.worker("--takeover", "1")
        report = self.report(scan)
        self.assertEqual((report["measured"], report["broken"]), (6, 1), report)
        self.assertIn("set aside", report["problems"][0]["message"])
        self.assertEqual(last.end(), 0)
        [listed] = self.library.lines("worker", "--queue", self.url, "--poison", "--json")
        self.assertEqual((listed["path"], listed["tries"]), (str(poison), 3))
        self.assertIn("poison.wav", self.library.run("worker", "--queue", self.url, "--poison", "--clear").stdout)
        self.assertIn("No file", self.library.run("worker", "--queue", self.url, "--poison").stdout)
        # It is broken until it changes.
        self.assertEqual(self.library.lines("scan", self.sounds, "--json")[-1]["unchanged"], 7)
        self.nothing_left()

    def held(self, worker):
        """Whether this worker holds a job and nothing else is pending."""
        jobs = [k for k in self.redis.raw("KEYS", "*jobs").split(b"\r\n") if k.endswith(b"jobs")]
        if not jobs:
            return False
        pending = self.redis.raw("XPENDING", jobs[0], "workers", "-", "+", "10")
        return pending.startswith(b"*1\r\n") and f":{worker.process.pid}\r\n".encode() in pending

    def test_folders_elsewhere_are_mapped_and_what_no_worker_reaches_is_measured_here(self):
        files = self.files(20)
        there = self.library.root / "mounted elsewhere"
        shutil.copytree(self.sounds / "kit 0", there / "kit 0")
        w = self.worker("--map", f"{self.sounds}={there}")
        report = self.report(self.scan())
        self.assertEqual((report["measured"], report["broken"]), (20, 0), report)
        self.assertIn("--map", report["problems"][0]["message"])
        self.assertIn("16 sounds", report["problems"][0]["message"])
        self.assertEqual(set(self.stored()), files)
        self.assertEqual(w.end(), 0)
        self.assertEqual(sum(line["state"] == "measured" for line in w.lines), 4)

    def test_equal_content_is_measured_once_and_a_drained_worker_leaves_nothing_half(self):
        one = harness.write_tone(self.sounds / "a.wav", 0.3)
        for i in range(30):
            shutil.copy(one, self.sounds / f"copy {i}.wav")
        w = self.worker("--takeover", "30")
        scan = self.scan()
        w.wait_for(3)
        self.assertEqual(w.end(), 0)
        # With a takeover of 30 s this is quick only if the first worker gave nothing up that it had begun.
        begin = time.monotonic()
        self.worker("--takeover", "30")
        self.assertEqual(self.report(scan)["found"], 31)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(len(set(self.stored())), 31)

    def test_what_is_wrong_is_said(self):
        self.files(1)
        nobody = f"redis://127.0.0.1:{harness.free_port()}"
        for arguments, status, words in (
                (("worker",), 2, "--queue is required"),
                (("worker", "--queue", "http://x"), 2, "redis://"),
                (("worker", "--queue", nobody), 69, "does not answer"),
                (("worker", "--queue", self.url, "--map", "sounds=/x"), 2, "absolute"),
                (("worker", "--queue", self.url, "--clear"), 2, "--poison"),
                (("scan", str(self.sounds), "--queue", nobody), 69, "does not answer"),
                (("scan", str(self.sounds), "--queue", "redis://:secret@127.0.0.1"), 2, "password")):
            done = self.library.run(*arguments)
            self.assertEqual(done.returncode, status, (arguments, done.stderr))
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
