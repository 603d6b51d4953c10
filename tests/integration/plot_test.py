"""samplemind plot, and what analyze says about a file's own words."""
import json
import math
import struct
import unittest
import wave

import harness


class Plot(harness.Case):
    def sound(self, home):
        path = home.root / "tone.wav"
        with wave.open(str(path), "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(22050)
            w.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(i * 0.1) * math.exp(-i / 9000)))
                                   for i in range(22050)))
        return path

    def test_png_and_svg(self):
        home = self.home()
        sound = self.sound(home)
        png = home.root / "a.png"
        done = home.run("plot", sound, "-o", png)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), str(png))
        self.assertEqual(png.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">I", png.read_bytes()[16:20])[0], 1400)
        svg = home.root / "b.svg"
        done = home.run("plot", "--json", sound, "--what", "waveform,chroma", "--width", "800", "-o", svg)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["bytes"], svg.stat().st_size)
        text = svg.read_text()
        self.assertIn('width="800"', text)
        self.assertIn("Chromagram", text)
        self.assertNotIn("Tempogram", text)

    def test_mistakes_are_said(self):
        home = self.home()
        sound = self.sound(home)
        before = sound.read_bytes()
        for arguments, words in [((sound, "--what", "spectrum"), "known: waveform"),
                                 ((sound, "-o", home.root / "x.jpg"), "ends in .png or .svg"),
                                 ((sound, "--width", "5"), "400 to 4000"),
                                 ((home.root / "none.wav",), "none.wav")]:
            done = home.run("plot", *arguments)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertIn(words, done.stderr)
        self.assertEqual(sound.read_bytes(), before)

    def test_the_files_own_words(self):
        home = self.home()
        sound = self.sound(home)
        acid = struct.pack("<IHHfIHHf", 0, 60, 0x8000, 0, 8, 4, 4, 93.5)
        data = sound.read_bytes() + b"acid" + struct.pack("<I", len(acid)) + acid
        sound.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
        done = home.run("analyze", "--json", sound)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)["metadata"]
        self.assertEqual((said["tempo_bpm"], said["beats"], said["sources"]), (93.5, 8, ["acid"]))
        self.assertIn("93.5 bpm, loop, 8 beats (acid)", home.run("analyze", sound).stdout)


if __name__ == "__main__":
    unittest.main()
