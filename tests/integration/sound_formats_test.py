"""One sound in many files: containers, codecs, rates, levels. The answers are the same within stated tolerances, memory
does not grow with length, and every run gives the same bits."""
import array
import json
import math
import os
import random
import shutil
import struct
import subprocess
import unittest
import wave

import harness

RATE = 44100
SECONDS = 16
MINUTES = 360 if os.environ.get("SAMPLEMIND_TEST_LONG") else 20  # of the long sound; its wav is 3.8 GB then


def song():
    """Stereo: a chord, a bass and a kick on every beat of 120 bpm, hats between; from the first sample on."""
    noise = random.Random(3)
    count = RATE * SECONDS
    left, right = array.array("d", bytes(8 * count)), array.array("d", bytes(8 * count))

    def add(start, length, left_gain, right_gain, f):
        first = int(start * RATE)
        for i in range(min(int(length * RATE), count - first)):
            v = f(i / RATE)
            left[first + i] += left_gain * v
            right[first + i] += right_gain * v

    def tone(hz, decay):
        w = 2 * math.pi * hz
        return lambda t: math.sin(w * t) * math.exp(-t * decay)

    for beat in range(SECONDS * 2):
        at = beat / 2
        add(at, 0.2, 0.5, 0.5, lambda t: math.sin(2 * math.pi * (50 * t + 4 * (1 - math.exp(-t * 40)))) * math.exp(-t * 18))
        add(at + 0.25, 0.05, 0.12, 0.18, lambda t: noise.uniform(-1, 1) * math.exp(-t * 90))
        if beat % 4 == 0:
            root = (220.0, 174.61, 196.0, 164.81)[beat // 4 % 4]
            for ratio in (1, 1.25992, 1.49831) if beat // 4 % 4 else (1, 1.18921, 1.49831):
                add(at, 1.9, 0.09, 0.07, tone(root * ratio, 0.8))
            add(at, 1.9, 0.15, 0.15, tone(root / 4, 0.6))
    return left, right


def write_wav(path, left, right):
    samples = array.array("h", bytes(4 * len(left)))
    for i in range(len(left)):
        samples[2 * i] = int(max(-1, min(1, left[i])) * 32767)
        samples[2 * i + 1] = int(max(-1, min(1, right[i])) * 32767)
    with wave.open(str(path), "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(RATE)
        w.writeframes(samples.tobytes())


@unittest.skipUnless(shutil.which("ffmpeg"), "ffmpeg makes the copies")
class Formats(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.home_of_all = harness.Home()
        cls.folder = cls.home_of_all.root / "copies"
        cls.folder.mkdir()
        cls.wav = cls.folder / "song.wav"
        write_wav(cls.wav, *song())
        cls.reference = cls.analyze(cls.wav)[0]

    @classmethod
    def tearDownClass(cls):
        cls.home_of_all.remove()

    @classmethod
    def analyze(cls, *files, level="detailed"):
        return cls.home_of_all.lines("analyze", "--level", level, "--json", *files)

    def copy(self, name, *options):
        path = self.folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(self.wav), *options, str(path)], check=True,
                       stdin=subprocess.DEVNULL)
        return path

    def compare(self, copy, what, *, level_db=0.0, lufs=0.3, late_s=0.0, duration=0.001, brightness=0.1):
        r = self.reference
        self.assertNotIn("error", copy, what)
        self.assertAlmostEqual(copy["duration_s"], r["duration_s"] + late_s, delta=duration, msg=what)
        self.assertIsNotNone(copy["tempo_bpm"], what)
        self.assertAlmostEqual(copy["tempo_bpm"], r["tempo_bpm"], delta=r["tempo_bpm"] * 0.01, msg=what)
        self.assertAlmostEqual(copy["loudness_lufs"], r["loudness_lufs"] + level_db, delta=lufs, msg=what)
        self.assertEqual(copy["content"], r["content"], what)
        if not late_s:
            self.assertAlmostEqual(copy["spectrum"]["centroid_hz"]["mean"], r["spectrum"]["centroid_hz"]["mean"],
                                   delta=brightness * r["spectrum"]["centroid_hz"]["mean"], msg=what)
        # Beats fall on the same places: an encoder's delay would move all of them.
        near = sum(1 for b in copy["beats_s"] if min(abs(b - late_s - x) for x in r["beats_s"]) < 0.012)
        self.assertGreater(near, 0.9 * len(r["beats_s"]), what)
        self.assertAlmostEqual(copy["silence_start_s"], r["silence_start_s"] + late_s, delta=0.005, msg=what)

    def test_lossless_containers_say_exactly_the_same(self):
        copies = {
            "flac": self.copy("song.flac"),
            "aiff": self.copy("song.aiff"),
            "aifc": self.copy("song.aifc", "-c:a", "pcm_f32be"),
            "24 bit aiff": self.copy("song24.aiff", "-c:a", "pcm_s24be"),
            "rf64": self.copy("rf64.wav", "-rf64", "always"),
            "24 bit": self.copy("s24.wav", "-c:a", "pcm_s24le"),
            "32 bit": self.copy("s32.wav", "-c:a", "pcm_s32le"),
            "float": self.copy("f32.wav", "-c:a", "pcm_f32le"),
        }
        for what, path in copies.items():
            copy = self.analyze(path)[0]
            self.assertEqual(copy["audio_blake3"], self.reference["audio_blake3"], what)
            for field in ("tempo_bpm", "beats_s", "key", "loudness_lufs", "spectrum", "timbre", "onsets_s"):
                self.assertEqual(copy[field], self.reference[field], f"{what}: {field}")

    def test_lossy_and_lesser_copies_say_nearly_the_same(self):
        self.compare(self.analyze(self.copy("song.mp3", "-b:a", "128k"))[0], "mp3",
                     lufs=0.7)  # its encoder cuts the highs
        self.compare(self.analyze(self.copy("song.ogg", "-c:a", "libvorbis", "-q:a", "5"))[0], "ogg")
        self.compare(self.analyze(self.copy("song.opus", "-c:a", "libopus", "-b:a", "96k"))[0], "opus")
        self.compare(self.analyze(self.copy("u8.wav", "-c:a", "pcm_u8"))[0], "8 bit", brightness=0.6)
        self.compare(self.analyze(self.copy("fast.wav", "-ar", "96000"))[0], "96 kHz")
        # BS.1770 adds channels up: one of two equal ones is 3 dB less.
        self.compare(self.analyze(self.copy("half.wav", "-ar", "22050", "-ac", "1"))[0], "22 kHz mono", level_db=-3,
                     lufs=0.8)
        self.compare(self.analyze(self.copy("late.wav", "-af", "adelay=1000:all=1"))[0], "late", late_s=1)
        copy = self.analyze(self.copy("quiet.wav", "-c:a", "pcm_s24le", "-af", "volume=-20dB"))[0]
        self.compare(copy, "20 dB down", level_db=-20, lufs=0.02)

    def test_m4a_without_its_encoders_delay_and_padding(self):
        copy = self.analyze(self.copy("song.m4a", "-c:a", "aac", "-b:a", "160k"))[0]
        if "samplemind-decode" in copy.get("error", ""):
            self.skipTest("samplemind-decode is not built")
        self.compare(copy, "m4a", duration=1 / RATE)

    def test_extensible_wav_of_six_channels(self):
        copy = self.analyze(self.copy("six.wav", "-ac", "6"))[0]
        self.assertEqual((copy["channels"], copy["bit_depth"]), (6, 16))
        self.assertAlmostEqual(copy["tempo_bpm"], self.reference["tempo_bpm"], delta=1)

    def test_the_same_bits_on_every_run_and_beside_others(self):
        first = self.analyze(self.wav, level="professional")
        together = self.analyze(*[self.wav] * 6, level="professional")
        for each in together:
            self.assertEqual(json.dumps(each), json.dumps(first[0]))

    def test_a_long_sound_needs_no_more_memory(self):
        """Peak memory of one run over 20 min, or six hours, of 44.1 kHz stereo stays where the issue's limit for any length is."""
        long = self.folder / "long.wav"
        with wave.open(str(self.wav)) as w:
            data = w.readframes(w.getnframes())
        times = MINUTES * 60 // SECONDS
        with open(long, "wb") as f:
            size = len(data) * times
            f.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " +
                    struct.pack("<IHHIIHH", 16, 1, 2, RATE, RATE * 4, 4, 16) + b"data" + struct.pack("<I", size))
            for _ in range(times):
                f.write(data)
        process = subprocess.Popen([os.environ["SAMPLEMIND_BIN"], "analyze", "--level", "professional", "--json",
                                    str(long)], stdout=subprocess.PIPE, env=self.home_of_all.env)
        row = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        peak_mb = usage.ru_maxrss / 1024
        cpu_s = usage.ru_utime + usage.ru_stime
        print(f"{MINUTES} min, professional: peak {peak_mb:.0f} MB, {cpu_s:.1f} s of one core, {MINUTES * 60 / cpu_s:.0f} times real time")
        self.assertAlmostEqual(row["duration_s"], times * SECONDS, places=2)
        self.assertLess(peak_mb, 100)
        self.assertAlmostEqual(row["tempo_bpm"], self.reference["tempo_bpm"], delta=0.5)
        self.assertAlmostEqual(len(row["beats_s"]), MINUTES * 120, delta=MINUTES)
        long.unlink()


if __name__ == "__main__":
    unittest.main()
