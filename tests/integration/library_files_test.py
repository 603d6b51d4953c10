"""The library with real files: sounds like a sound, duplicates of real encoders, exports that others read, renaming,
watched folders, a scan that is paused and cancelled."""
import csv
import io
import json
import math
import os
import random
import shutil
import struct
import subprocess
import unittest
import urllib.parse
import wave
import xml.etree.ElementTree

import harness

RATE = 44100


def make_hit(path, rng):
    """A drum-like hit drawn at random: a falling tone, noise, their decays and levels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hz, fall, length = rng.uniform(45, 900), rng.uniform(1, 40), rng.uniform(0.15, 0.6)
    tone_decay, noise_decay = rng.uniform(5, 40), rng.uniform(10, 120)
    noise, click, colour = rng.uniform(0, 0.9), rng.uniform(0, 0.6), rng.uniform(0, 0.9)
    frames, last, phase = [], 0.0, 0.0
    for i in range(int(length * RATE)):
        t = i / RATE
        phase += 2 * math.pi * hz * (1 + 2 * math.exp(-fall * t)) / RATE
        last = colour * last + (1 - colour) * rng.uniform(-1, 1)
        x = (1 - noise) * math.sin(phase) * math.exp(-tone_decay * t) + noise * last * math.exp(-noise_decay * t)
        x += click * rng.uniform(-1, 1) * math.exp(-800 * t)
        frames.append(int(max(-1, min(1, 0.7 * x)) * 32000))
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(struct.pack(f"<{len(frames)}h", *frames))
    return path


def encode(source, target, *options):
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, *options, target], check=True)


class Files(harness.Case):
    def scan(self, home, *folders):
        return home.lines("scan", "--json", *folders)[-1]

    def names(self, home, *query):
        return [s["name"] for s in home.lines("search", "--json", "--limit", "1000", *query)]

    def test_like_this_and_duplicates_of_real_encoders(self):
        home = self.home()
        folder = home.root / "sounds"
        rng = random.Random(5)
        for i in range(12):
            make_hit(folder / f"hit{i}.wav", rng)
        original = folder / "hit3.wav"
        shutil.copy(original, folder / "same bytes.wav")
        encode(original, folder / "lossless.flac")
        self.assertEqual(self.scan(home, folder)["broken"], 0)
        like = home.lines("similar", original, "--json")
        self.assertIn(like[0]["sample"]["name"], ("same bytes.wav", "lossless.flac"))
        self.assertGreater(like[0]["similarity"], 0.99)
        self.assertEqual([s["similarity"] for s in like], sorted((s["similarity"] for s in like), reverse=True))
        outside = home.root / "elsewhere.wav"
        shutil.copy(folder / "hit7.wav", outside)
        self.assertEqual(home.lines("similar", outside, "--json", "--limit", "1")[0]["sample"]["name"], "hit7.wav")
        ident = home.lines("search", "--json", "hit7")[0]["id"]
        for more in (["--filter", "same"], ["--aspect", "pitch=1"]):
            answer = home.lines("similar", ident, "--json", *more)
            self.assertNotIn(ident, [s["sample"]["id"] for s in answer])
        self.assertEqual([s["sample"]["name"] for s in home.lines("similar", ident, "--json", "--filter", "same")], ["same bytes.wav"])
        self.assertEqual(home.run("similar", ident, "--aspect", "colour=1").returncode, 2)
        self.assertEqual(home.run("similar", 999999).returncode, 3)
        stretch = home.lines("similar", original, "--from", "0.0", "--to", "0.1", "--json")
        self.assertGreater(len(stretch), 5)
        groups = home.lines("duplicates", "--json")
        audio = [sorted(s["name"] for s in g["samples"]) for g in groups if g["how"] == "audio"]
        self.assertTrue(any("lossless.flac" in g and len(g) == 2 for g in audio), audio)
        self.assertIn(["hit3.wav", "same bytes.wav"], [sorted(s["name"] for s in g["samples"]) for g in groups if g["how"] == "bytes"])

    @staticmethod
    def mp4_items(data):
        """Tempo and key as MP4 has them, which ffprobe passes over: moov/udta/meta/ilst/(tmpo, ---- of com.apple.iTunes)."""
        def boxes(at, end):
            while at + 8 <= end:
                size, kind = struct.unpack(">I4s", data[at:at + 8])
                yield kind, at + 8, at + size
                at += max(size, 8)

        def inside(path, at, end):
            for kind, first, last in boxes(at, end):
                if kind == path[0]:
                    first += 4 if kind == b"meta" else 0
                    if len(path) == 1:
                        yield first, last
                    else:
                        yield from inside(path[1:], first, last)
        found, ilst = {}, [b"moov", b"udta", b"meta", b"ilst"]
        for first, last in inside([*ilst, b"tmpo", b"data"], 0, len(data)):
            found["bpm"] = str(int.from_bytes(data[first + 8:last], "big"))
        for first, last in inside([*ilst, b"----"], 0, len(data)):
            parts = {kind: data[a:b] for kind, a, b in boxes(first, last)}
            found[parts[b"name"][4:].decode().lower()] = parts[b"data"][8:].decode()
        return found

    def test_tags_in_files_are_read_by_others_and_taken_back(self):
        home = self.home()
        folder = home.root / "sounds"
        source = home.root / "source.wav"
        harness.write_tone(source, 4, 220, clicks_bpm=120)
        names = [f"loop_120bpm_F#m.{ending}" for ending in ("m4a", "mp3", "flac", "ogg", "opus", "wav")]
        for name in names:
            encode(source, folder / name, "-metadata", "title=Mine")
        self.assertEqual(self.scan(home, folder)["broken"], 0)
        home.run("edit", "loop", "--content", "loop", "--kind", "pad", "--tag", "dusty", "--json")

        def probe(name):
            """The tags as ffprobe names them, in lower case; Ogg has them at its stream."""
            out = json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format_tags:stream_tags", "-of", "json",
                                             folder / name], check=True, capture_output=True).stdout)
            tags = {k.lower(): v for part in (out["format"], *out["streams"]) for k, v in part.get("tags", {}).items()}
            return {**tags, **self.mp4_items((folder / name).read_bytes())} if name.endswith("m4a") else tags

        def sound(name):
            return subprocess.run(["ffmpeg", "-v", "error", "-i", folder / name, "-f", "md5", "-"], check=True, capture_output=True).stdout

        before = {name: (folder / name).read_bytes() for name in names}
        heard = {name: sound(name) for name in names}
        done = json.loads(home.run("write-tags", "loop", "--yes", "--json").stdout)
        self.assertEqual((done["written"], done["problems"]), (len(names), []))
        for name in names:
            data = (folder / name).read_bytes()
            self.assertNotEqual(data, before[name], name)
            self.assertEqual(sound(name), heard[name], name)
            self.assertEqual(probe(name).get("title"), "Mine", name)
            if name.endswith("wav"):  # ffprobe does not look into its ID3 and ACID chunks
                at = data.index(b"acid") + 8
                self.assertAlmostEqual(struct.unpack("<f", data[at + 20:at + 24])[0], 120)
                self.assertTrue(all(frame in data for frame in (b"TBPM", b"TKEY", b"GRP1")))
                continue
            tags = probe(name)
            self.assertIn("120", [tags.get(k) for k in ("bpm", "tbpm")], (name, tags))
            self.assertIn("F#m", [tags.get(k) for k in ("initialkey", "tkey")], (name, tags))
            if name.endswith("mp3"):  # nor at this frame
                self.assertIn(b"pad, dusty", data[data.index(b"GRP1"):][:40])
            else:
                self.assertEqual(tags.get("grouping"), "pad, dusty", (name, tags))
        # The common undo: the newest change first, whatever kind it is of.
        home.run("edit", "loop", "--rating", "5", "--json")
        for what in ("rating 5", "write tags into files"):
            undone = home.run("undo", "--json")
            self.assertEqual((undone.returncode, json.loads(undone.stdout or "{}").get("what")), (0, what), undone.stderr)
        self.assertEqual({name: (folder / name).read_bytes() for name in names}, before)
        self.assertEqual(self.scan(home, folder)["unchanged"], len(names))
        # Files that somebody changed since stay, and that is said.
        self.assertEqual(home.run("write-tags", "loop", "--yes", "--json").returncode, 0)
        with open(folder / names[1], "ab") as f:
            f.write(b"more")
        refused = home.run("undo")
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("changed since", refused.stderr)
        self.assertEqual((folder / names[0]).read_bytes(), before[names[0]])

    def test_near_duplicates_of_real_encoders(self):
        home = self.home()
        folder = home.root / "sounds"
        rng = random.Random(6)
        hits = [make_hit(folder / f"hit{i}.wav", rng) for i in range(18)]
        copies = {"a.mp3": ["-b:a", "192k"], "a.ogg": ["-q:a", "5"], "a.m4a": ["-b:a", "192k"], "quieter.wav": ["-af", "volume=-6dB"],
                  "trimmed.wav": ["-ss", "0.004"], "shorter.wav": ["-af", "areverse,atrim=start=0.012,areverse"]}
        wanted = set()
        for i, hit in enumerate(hits[:10]):
            for name, how in copies.items():
                copy = folder / "copies" / f"hit{i} {name}"
                encode(hit, copy, *how)
                wanted.add(frozenset((hit.name, copy.name)))
        self.assertEqual(self.scan(home, folder)["broken"], 0)
        groups = [{s["name"] for s in g["samples"]} for g in home.lines("duplicates", "--near", "--json")]
        missed = {tuple(sorted(pair)) for pair in wanted if not any(pair <= g for g in groups)}
        wrong = [sorted(g) for g in groups if len({name.split(".")[0].split()[0] for name in g}) > 1]
        print(f"near duplicates: {len(wanted) - len(missed)} of {len(wanted)} copies found, {len(wrong)} groups of "
              "different sounds", flush=True)
        self.assertEqual(wrong, [])
        self.assertLessEqual(len(missed), len(wanted) // 20, sorted(missed))

    def test_exports_are_read_by_others_and_imports_bring_all_back(self):
        home = self.home()
        folder = home.root / "sounds & more"
        harness.write_tone(folder / "Kick_120bpm.wav", 0.3, 60)
        harness.write_tone(folder / "Pad_Am, soft.wav", 0.5, 220)
        self.scan(home, folder)
        home.run("edit", "kick", "--tag", "dusty", "--rating", "4", "--favourite", "--note", "for \"Friday\"")
        home.run("collection", "make", "Fri & Sat")
        home.run("collection", "add", "Fri & Sat", "pad")

        def out(form, *more):
            done = home.run("library", "export", "-", "--format", form, *more)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        rows = {r["name"]: r for r in csv.DictReader(io.StringIO(out("csv")))}
        self.assertEqual((rows["Kick_120bpm.wav"]["tempo_bpm"], rows["Kick_120bpm.wav"]["rating"], rows["Kick_120bpm.wav"]["note"]),
                         ("120.00", "4", 'for "Friday"'))
        exported = json.loads(out("json"))
        listed = exported if isinstance(exported, list) else exported["samples"]
        self.assertEqual({s["name"] for s in listed}, set(rows))
        m3u = [line for line in out("m3u").splitlines() if not line.startswith("#")]
        self.assertTrue(all(os.path.exists(line) for line in m3u) and len(m3u) == 2, m3u)
        root = xml.etree.ElementTree.fromstring(out("rekordbox", "--collection", "Fri & Sat").encode())
        tracks = root.findall("./COLLECTION/TRACK")
        self.assertEqual((root.tag, root.find("COLLECTION").get("Entries"), len(tracks)), ("DJ_PLAYLISTS", "1", 1))
        at = urllib.parse.unquote(tracks[0].get("Location").removeprefix("file://localhost"))
        self.assertEqual(at, str(folder / "Pad_Am, soft.wav"))
        self.assertEqual(root.find("./PLAYLISTS//NODE[@Type='1']").get("Name"), "Fri & Sat")
        self.assertEqual(root.find("./PLAYLISTS//NODE[@Type='1']/TRACK").get("Key"), tracks[0].get("TrackID"))
        self.assertIn("dusty", out("fl"))
        copies = home.root / "copies"
        self.assertEqual(home.run("library", "export", copies, "--format", "copies", "--query", "kick").returncode, 0)
        self.assertEqual((copies / "Kick_120bpm.wav").read_bytes(), (folder / "Kick_120bpm.wav").read_bytes())
        marks = home.root / "marks.json"
        self.assertEqual(home.run("library", "export", marks, "--format", "marks").returncode, 0)
        other = self.home()
        self.scan(other, folder)
        self.assertEqual(other.run("library", "import", marks).returncode, 0)
        kick = other.lines("search", "--json", "tag:dusty is:favourite rating:4")
        self.assertEqual([(s["name"], s["note"]) for s in kick], [("Kick_120bpm.wav", 'for "Friday"')])
        self.assertEqual(self.names(other, 'in:"fri & sat"'), ["Pad_Am, soft.wav"])
        self.assertEqual(other.run("library", "import", folder / "Kick_120bpm.wav").returncode, 2)

    def test_rename_and_back(self):
        home = self.home()
        folder = home.root / "sounds"
        for n, bpm in enumerate((90, 120)):
            harness.write_tone(folder / f"loop{n} {bpm}bpm.wav", 0.3, 100 + 50 * n)
        self.scan(home, folder)
        before = sorted(os.listdir(folder))
        ids = {s["name"]: s["id"] for s in home.lines("search", "--json", "loop")}
        self.assertIn("Nothing was renamed yet", home.run("rename", "{bpm}_{n:2}", "loop sort:name").stdout)
        self.assertEqual(sorted(os.listdir(folder)), before)
        service = self.service(home, "--no-demo")
        self.assertEqual(home.run("rename", "{bpm}_{n:2}", "loop sort:name", "--yes").returncode, 0)
        self.assertEqual(sorted(os.listdir(folder)), ["120_02.wav", "90_01.wav"])
        self.assertEqual(home.lines("search", "--json", "bpm:90")[0]["id"], ids[before[0]])
        self.assertEqual(home.run("rename", "{bpm", "loop").returncode, 2)
        service.stop()
        self.assertEqual(home.run("undo").returncode, 0)
        self.assertEqual(sorted(os.listdir(folder)), before)
        self.assertEqual({s["name"]: s["id"] for s in home.lines("search", "--json", "loop")}, ids)

    def test_watched_folders_and_a_scan_under_control(self):
        home = self.home()
        folder = home.root / "sounds"
        harness.write_tone(folder / "one.wav", 0.2, 100)
        service = self.service(home, "--no-demo")
        api = service.url + "/api/v1"
        self.assertEqual(home.run("watch", "add", folder).returncode, 0)
        harness.wait_until(lambda: self.names(home, "one"), 30, "the watched folder is scanned")
        harness.write_tone(folder / "sub" / "two.wav", 0.2, 200)
        harness.wait_until(lambda: self.names(home, "two"), 30, "a new file is found")
        (folder / "one.wav").rename(folder / "sub" / "uno.wav")
        harness.wait_until(lambda: self.names(home, "uno"), 30, "a moved file is found")
        (folder / "sub" / "two.wav").unlink()
        harness.wait_until(lambda: self.names(home, "is:missing") == ["two.wav"], 30, "a removed file is missed")
        self.assertEqual(home.run("watch", "remove", folder).returncode, 0)
        self.assertEqual(home.run("watch", "remove", folder).returncode, 3)
        self.assertEqual(home.run("scan", "--pause").returncode, 3)  # none runs
        many = home.root / "many"
        for i in range(150):
            harness.write_tone(many / f"{i}.wav", 2, 50 + i, rate=8000)

        def start():
            answer = harness.request(api + "/scan", {"paths": [str(many)], "background": True})
            self.assertEqual(answer.status, 200, answer.body)
        start()
        home.run("scan", "--pause")
        self.assertTrue(harness.request(api + "/scan").json()["paused"])
        stored = len(harness.request(api + "/samples?limit=1000").json()["samples"])
        self.assertEqual(harness.request(api + "/scan", {"paths": [str(many)], "background": True}).status, 409)
        self.assertEqual(home.run("scan", "--resume").returncode, 0)
        self.assertEqual(home.run("scan", "--cancel").returncode, 0)
        harness.wait_until(lambda: not harness.request(api + "/scan").json()["running"], 30, "the cancelled scan ends")
        kept = harness.request(api + "/samples?limit=1").json()["total"]
        self.assertTrue(stored <= kept < 151, (stored, kept))
        start()
        harness.wait_until(lambda: harness.request(api + "/samples?limit=1").json()["total"] == 151, 60, "the rest is found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
