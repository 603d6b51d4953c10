"""The library where things go wrong: hostile names, links that lead in circles, folders that may not be read, a full
disk, kill -9 in the middle of a scan, a renaming and a writing of tags (8 times; 200 with SAMPLEMIND_TEST_LONG)."""
import json
import os
import pathlib
import random
import subprocess
import time
import unittest
import wave

import harness

ROUNDS = 200 if os.environ.get("SAMPLEMIND_TEST_LONG") else 8
NAMES = [b"new\nline kick.wav", b"'quoted' \"kick\".wav", b"bad\xff\xfeutf8 kick.wav", b"k" * 251 + b".wav",
         "🥁 kick 🎧.wav".encode(), b"-rf kick.wav", b" leading kick.wav", b"semi;colon $HOME `kick`.wav", b"tab\tkick.wav",
         "Größe ключ.wav".encode(), b"percent%2F kick.wav", b"back\\slash kick.wav", b"esc\x1b[31m kick.wav"]


class Hostile(harness.Case):
    def put(self, folder, names, seed=1):
        folder.mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(names):
            source = harness.write_tone(folder.parent / "one.wav", 0.15, 80 + 13 * (i + seed))
            os.rename(source, os.path.join(os.fsencode(folder), name))

    def test_names(self):
        home = self.home()
        folder = home.root / "sounds"
        self.put(folder, NAMES)
        report = home.lines("scan", "--json", folder)[-1]
        self.assertEqual((report["found"], report["measured"], report["broken"]), (len(NAMES), len(NAMES), 0))
        self.assertEqual(home.lines("scan", "--json", folder)[-1]["unchanged"], len(NAMES))
        found = home.lines("search", "--json", "sort:name")
        self.assertEqual(len(found), len(NAMES))
        self.assertEqual(len(home.lines("search", "--json", "kick")), len(NAMES) - 2)
        self.assertEqual([s["name"] for s in home.lines("search", "--json", "ключ")], ["Größe ключ.wav"])
        # The terminal is not taken over by a name: one line a sound, no escape.
        shown = home.run("search", "kick")
        self.assertNotIn("\x1b[31m", shown.stdout)
        self.assertEqual(len([l for l in shown.stdout.splitlines() if ".wav" in l]), len(NAMES) - 2)
        # By its id every one of them can be had, whatever its name: its bytes, its like, its mark.
        service = self.service(home, "--no-demo")
        on_disk = sorted(os.path.getsize(os.path.join(os.fsencode(folder), n)) for n in NAMES)
        sizes = []
        for s in found:
            audio = harness.request(f"{service.url}/api/v1/samples/{s['id']}/audio")
            self.assertEqual((audio.status, audio.body[:4]), (200, b"RIFF"), s["name"])
            sizes.append(len(audio.body))
            self.assertEqual(len(home.lines("similar", "--json", s["id"], "--limit", 3)), 3)
        self.assertEqual(sorted(sizes), on_disk)
        out = home.root / "copies"
        self.assertEqual(json.loads(home.run("library", "export", out, "--format", "copies", "--query", "sort:name", "--json").stdout)["written"], len(NAMES))
        self.assertEqual(sorted(os.listdir(os.fsencode(out))), sorted(NAMES))
        # Renaming cleans them, and undo brings back the very bytes.
        self.assertEqual(home.run("rename", "clean {n:3}", "sort:name", "--yes").returncode, 0)
        self.assertEqual(len([n for n in os.listdir(folder) if n.startswith("clean ")]), len(NAMES))
        self.assertEqual(home.run("undo").returncode, 0)
        self.assertEqual(sorted(os.listdir(os.fsencode(folder))), sorted(NAMES))
        self.assertEqual(home.lines("scan", "--json", folder)[-1]["unchanged"], len(NAMES))

    def test_a_folder_whose_name_is_not_utf8(self):
        home = self.home()
        folder = os.path.join(os.fsencode(home.root), b"s\xff\xe9")
        self.put(pathlib.Path(os.fsdecode(folder)), [b"kick.wav"])
        done = home.run("scan", os.fsdecode(folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(home.lines("search", "--json", "kick")), 1)
        self.assertEqual(home.run("similar", os.path.join(os.fsdecode(folder), "kick.wav")).returncode, 0)

    def test_links_in_circles_and_closed_doors(self):
        home = self.home()
        folder = home.root / "sounds"
        self.put(folder / "a" / "b", [b"kick.wav", b"snare.wav"])
        (folder / "a" / "b" / "up").symlink_to(folder)
        (folder / "a" / "self").symlink_to("self")
        (folder / "twice").symlink_to(folder / "a")
        (folder / "gone.wav").symlink_to(folder / "nothing.wav")
        os.mkfifo(folder / "pipe.wav")
        report = home.lines("scan", "--json", folder)[-1]
        self.assertEqual((report["found"], report["measured"]), (2, 2), report)
        if os.geteuid() == 0:
            # Root reads everything: the same as nobody, with a home that nobody may write.
            print("as root: closed folders are tried as user 65534", flush=True)
        closed, hidden = folder / "closed", folder / "hidden.wav"
        self.put(closed, [b"hat.wav"], 50)
        self.put(folder, [b"hidden.wav"], 60)
        for path in [home.root, *home.root.rglob("*")]:
            if os.geteuid() == 0 and not path.is_symlink():
                os.chown(path, 65534, 65534)
        closed.chmod(0)
        hidden.chmod(0)
        kw = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        if kw and subprocess.run([harness.BIN, "version"], capture_output=True, **kw).returncode != 0:
            self.skipTest("the binary lies where no other user may run it")
        done = home.run("scan", "--json", folder, **kw)
        closed.chmod(0o700)
        hidden.chmod(0o600)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(sorted(os.path.basename(p["path"]) for p in report["problems"]), ["closed", "hidden.wav"])
        self.assertEqual(report["broken"], 1)
        healed = json.loads(home.run("scan", "--json", folder, **kw).stdout.splitlines()[-1])
        self.assertEqual((healed["measured"], healed["broken"], healed["problems"]), (2, 0, []))

    def test_a_full_disk(self):
        home = self.home()
        small = home.root / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True).returncode != 0:
            self.skipTest("mounting a small tmpfs is not permitted here")
        self.addCleanup(lambda: subprocess.run(["umount", "-l", str(small)]))
        home.env["SAMPLEMIND_HOME"] = str(small / "home")
        folder = home.root / "sounds"
        self.put(folder, [b"kick %03d.wav" % i for i in range(120)])
        first = home.lines("scan", "--json", folder)[-1]
        self.assertEqual(first["measured"], 120)
        filler = small / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096) == 4096:
                    pass
            except OSError:
                pass
        more = home.root / "more"
        self.put(more, [b"snare %04d.wav" % i for i in range(250)], 700)
        full = home.run("scan", more)
        self.assertNotIn(full.returncode, (0, -6, -11), full.stderr)
        self.assertRegex(full.stderr, "full|space")
        edit = home.run("edit", "kick", "--tag", "x" * 60)
        self.assertNotIn(edit.returncode, (-6, -11))
        # SQLite needs a page of shared memory even to read: an answer is whole, or says what is wrong.
        found = home.run("search", "--json", "kick", "--limit", 1000)
        if found.returncode == 0:
            self.assertEqual(len(found.stdout.splitlines()), 120)
        else:
            self.assertIn("the disk is full", found.stderr)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        self.assertEqual(home.run("library", "check").returncode, 0)
        last = home.lines("scan", "--json", more)[-1]
        self.assertEqual(last["found"], 250)
        self.assertEqual(len(home.lines("search", "--json", "kick", "--limit", 1000)), 120)
        self.assertEqual(len(home.lines("search", "--json", "snare", "--limit", 1000)), 250)

    def test_kill_in_the_middle_of_a_scan(self):
        home = self.home()
        folder = home.root / "sounds"
        rng = random.Random(11)
        number, stored_before = 0, 0
        for round_ in range(ROUNDS):
            self.put(folder / f"kit {round_}", [b"kick %d.wav" % (number + i) for i in range(40)], number)
            number += 40
            p = subprocess.Popen([harness.BIN, "scan", "--json", folder], env=home.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.005, 0.3))
            p.kill()
            p.wait()
            done = home.run("search", "--json", "kick", "--limit", 1000)
            self.assertEqual(done.returncode, 0, done.stderr)
            stored = min(len(done.stdout.splitlines()), 1000)
            self.assertGreaterEqual(stored, min(stored_before, 1000), "a stored sound was lost")
            stored_before = stored
        self.assertEqual(home.run("library", "check").returncode, 0)
        report = home.lines("scan", "--json", folder)[-1]
        self.assertEqual((report["found"], report["broken"]), (number, 0))
        self.assertEqual(report["measured"] + report["unchanged"], number)
        ids = [r.split(",")[0] for r in home.run("library", "export", "-", "--format", "csv").stdout.splitlines()[1:]]
        self.assertEqual((len(ids), len(set(ids))), (number, number))
        print(f"{ROUNDS} scans killed, {number} sounds, each once", flush=True)

    def test_kill_in_the_middle_of_a_renaming(self):
        home = self.home()
        folder = home.root / "sounds"
        count = 150
        self.put(folder, [b"kick %d.wav" % i for i in range(count)])
        home.run("scan", folder)
        home.run("edit", "kick", "--tag", "mine")
        rng = random.Random(5)
        content = {}
        for p in folder.iterdir():
            content[p.read_bytes()] = p.name
        self.assertEqual(len(content), count)
        began = 0
        for round_ in range(ROUNDS):
            p = subprocess.Popen([harness.BIN, "rename", f"r{round_} {{n:3}}", "tag:mine", "--yes"], env=home.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0.0, 0.08))
            p.kill()
            p.wait()
            # A command that may write finishes what the killed one began.
            self.assertEqual(home.run("library", "check", "--repair").returncode, 0)
            files = {f.read_bytes(): str(f) for f in folder.iterdir()}
            self.assertEqual(len(files), count, "a file is lost or doubled")
            began += any(f"/r{round_} " in f for f in files.values())
            known = sorted(s["path"] for s in home.lines("search", "--json", "tag:mine", "--limit", 1000))
            self.assertEqual(known, sorted(files.values()), f"round {round_}: the library and the folder differ")
        report = home.lines("scan", "--json", folder)[-1]
        self.assertEqual((report["unchanged"], report["missing"]), (count, 0))
        print(f"{ROUNDS} renamings killed, {began} had begun; {count} files, each under one name", flush=True)

    def test_kill_in_the_middle_of_writing_tags(self):
        home = self.home()
        folder = home.root / "sounds"
        count = 24
        self.put(folder, [b"kick %d.wav" % i for i in range(count)])
        home.run("scan", folder)
        rng = random.Random(3)

        def heard(path):
            with wave.open(str(path)) as w:
                return w.readframes(w.getnframes())
        before = {p.name: p.read_bytes() for p in folder.iterdir()}
        sounds = {name: heard(folder / name) for name in before}
        began, begun_records = 0, 0
        for round_ in range(ROUNDS):
            home.run("edit", "kick", "--tag", f"round{round_}", "--json")
            old = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".wav"}
            p = subprocess.Popen([harness.BIN, "write-tags", "kick", "--yes"], env=home.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            records = home.path / "tag-backups"
            end = time.monotonic() + 20
            while p.poll() is None and time.monotonic() < end and len(list(records.glob("*/files.json"))) == begun_records:
                time.sleep(0.002)
            time.sleep(rng.uniform(0.0, 0.2))
            p.kill()
            p.wait()
            begun_records = len(list(records.glob("*/files.json")))
            now = {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".wav"}
            self.assertEqual(sorted(now), sorted(before), "a file is lost")
            self.assertEqual({name: heard(folder / name) for name in now}, sounds, "a sound is not whole")
            began += now != old
            home.run("scan", folder)  # learns of files that were written and not told of
        last = home.run("write-tags", "kick", "--yes", "--json")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertEqual(sorted(os.listdir(folder)), sorted(before), "something is left beside the files")
        while home.run("write-tags", "--undo").returncode == 0:
            pass
        self.assertEqual({p.name: p.read_bytes() for p in folder.iterdir()}, before)
        self.assertGreater(began, 0)
        print(f"{ROUNDS} writings of tags killed, {began} had begun; all files are back byte by byte", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
