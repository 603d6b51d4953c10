"""A library of many real files: Debian's sample packs, edited by a seed (level, speed, end, direction, a second sound below).
1,000 files, or 100,000 with SAMPLEMIND_TEST_LONG; SAMPLEMIND_TEST_FILES says another number."""
import json
import os
import pathlib
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
import unittest
import wave

from harness import Case, request

PACKS = [pathlib.Path(p) for p in ("/usr/share/sonic-pi/samples", "/usr/share/hydrogen/data/drumkits", "/usr/share/lmms/samples")]
FILES = int(os.environ.get("SAMPLEMIND_TEST_FILES") or (100000 if os.environ.get("SAMPLEMIND_TEST_LONG") else 1000))
RATE, MOST = 22050, 6615  # 0.3 s of each: 100,000 files are 1.3 GB
SOURCES = 300


def decoded(path):
    """The first 0.3 s as 16-bit values of one channel; empty when it cannot be read."""
    done = subprocess.run(["ffmpeg", "-v", "quiet", "-i", str(path), "-t", "0.3", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"],
                          capture_output=True, stdin=subprocess.DEVNULL)
    return struct.unpack(f"<{len(done.stdout) // 2}h", done.stdout[:len(done.stdout) // 2 * 2])


def edit(values, other, dice):
    """Another sound made of it; the words for the name say what was done."""
    words = []
    speed = dice.choice([0.8, 0.9, 1, 1, 1.12, 1.25])
    if speed != 1:
        values = [values[int(i * speed)] for i in range(int(len(values) / speed))]
        words.append("slow" if speed < 1 else "fast")
    if dice.random() < 0.1:
        values = values[::-1]
        words.append("reversed")
    if dice.random() < 0.2:
        values = values[:max(400, int(len(values) * dice.uniform(0.5, 0.95)))]
        words.append("cut")
    gain = dice.uniform(0.25, 0.9)  # with what lies below at most 1
    below = dice.uniform(0, 0.08)
    mixed = [int(gain * v + below * (other[i] if i < len(other) else 0)) for i, v in enumerate(values[:MOST])]
    return words, struct.pack(f"<{len(mixed)}h", *mixed)


class Large(Case):
    def make(self, folder):
        found = sorted(p for pack in PACKS for p in pack.rglob("*") if p.suffix.lower() in (".flac", ".wav", ".ogg"))
        dice = random.Random(20261124)
        dice.shuffle(found)
        sources = []
        for path in found:
            values = decoded(path)
            if len(values) > 1000 and max(map(abs, values)) > 500:
                sources.append((path.stem.replace(" ", "_"), values))
            if len(sources) == min(SOURCES, FILES // 10):
                break
        self.made = {}
        for i in range(FILES):
            name, values = sources[i % len(sources)]
            words, data = edit(values, dice.choice(sources)[1], dice)
            path = folder / f"pack_{i // 500:03}" / ("_".join([name, *words]) + f"_{i}.wav")
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as w:
                w.setnchannels(1)
                w.setsampwidth(2)
                w.setframerate(RATE)
                w.writeframes(data)
            self.made[str(path)] = (i % len(sources), words)

    @unittest.skipUnless(all(p.is_dir() for p in PACKS), "the Debian sample packs are not installed")
    def test_every_file_once_found_again_and_alike(self):
        home = self.home()
        self.make(home.root / "sounds")
        start = time.monotonic()
        first = home.run("scan", home.root / "sounds", "--json", timeout=6000)
        took = time.monotonic() - start
        self.assertEqual(first.returncode, 0, first.stderr)
        report = json.loads(first.stdout.splitlines()[-1])
        self.assertEqual((report["measured"], report["broken"]), (FILES, 0), report)
        with sqlite3.connect(home.path / "library.db") as db:
            paths = [os.fsdecode(r[0]) for r in db.execute("SELECT path FROM sample")]
        self.assertEqual((len(paths), set(paths)), (FILES, set(self.made)))
        start = time.monotonic()
        again = json.loads(home.run("scan", home.root / "sounds", "--json", timeout=600).stdout.splitlines()[-1])
        self.assertEqual((again["measured"], again["unchanged"]), (0, FILES))
        rescan = time.monotonic() - start

        service = self.service(home, "--no-demo")
        api = service.url + "/api/v1"
        reversed_ = sum("reversed" in words for _, words in self.made.values())
        self.assertEqual(request(api + "/samples?q=reversed&limit=1").json()["total"], reversed_)
        waits = []
        for q in ("kick", "snare", "fast", "cut%20-reversed", "kind:kick", "bass%20sort:-length", "pack_001", "hat%20slow"):
            start = time.monotonic()
            self.assertEqual(request(api + "/samples?limit=50&q=" + q).status, 200)
            waits.append(time.monotonic() - start)

        # An edit that kept its speed and direction finds another of the same source among its ten nearest.
        dice, right, asked = random.Random(7), 0, 0
        by_path = {p: i for i, p in self.ids(home)}
        plain = [p for p, (_, words) in self.made.items() if not {"slow", "fast", "reversed"} & set(words)]
        for path in dice.sample(sorted(plain), 60):
            near = request(api + "/similar", {"id": by_path[path], "limit": 10}).json().get("samples")
            if near is None:
                continue  # nothing to hear in the first 0.3 s
            asked += 1
            right += any(self.made[s["sample"]["path"]][0] == self.made[path][0] for s in near)
        self.assertGreater(asked, 50)
        self.assertGreaterEqual(right / asked, 0.7, f"{right} of {asked}")

        start = time.monotonic()
        places = request(api + "/library/map", timeout=300).json()
        map_s = time.monotonic() - start
        self.assertEqual(len(places["ids"]), places["total"])
        self.assertGreater(places["total"], 0.98 * FILES)
        self.assertEqual(len(set(places["ids"])), places["total"])

        # A few of them doubled under other names are told as such.
        doubled = dice.sample(sorted(self.made), 5)
        for n, path in enumerate(doubled):
            shutil.copy(path, home.root / "sounds" / f"double {n}.wav")
        self.assertEqual(json.loads(home.run("scan", home.root / "sounds", "--json", timeout=600).stdout.splitlines()[-1])["unchanged"], FILES)
        start = time.monotonic()
        groups = home.lines("duplicates", "--json")
        duplicates_s = time.monotonic() - start
        told = {frozenset(s["path"] for s in g["samples"]) for g in groups if g["how"] == "bytes"}
        for n, path in enumerate(doubled):
            self.assertTrue(any({path, str(home.root / "sounds" / f"double {n}.wav")} <= g for g in told), path)
        status = pathlib.Path(f"/proc/{service.process.pid}/status").read_text()
        peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
        if not os.environ.get("SAMPLEMIND_SANITIZED"):
            self.assertLess(peak_mb, 1024)
        print(json.dumps({"files": FILES, "scan_files_per_s": round(FILES / took), "rescan_files_per_s": round(FILES / rescan),
                          "first_page_ms_max": round(1e3 * max(waits), 1), "alike": f"{right} of {asked}", "map_s": round(map_s, 2),
                          "duplicates_s": round(duplicates_s, 2), "peak_mb": round(peak_mb)}))

    def ids(self, home):
        with sqlite3.connect(home.path / "library.db") as db:
            return [(r[0], os.fsdecode(r[1])) for r in db.execute("SELECT id, path FROM sample")]


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
