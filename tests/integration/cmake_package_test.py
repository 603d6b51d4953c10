"""The ear as a CMake package: installed, found by another project, built and run there."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["SAMPLEMIND_BIN"]).resolve().parents[1]


class CMakePackage(harness.Case):
    def test_the_example_is_built_against_the_installed_package(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)

            def run(*command):
                done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=folder)
                self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
                return done.stdout

            prefix = folder / "installed"
            run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "development")
            headers = list((prefix / "include").rglob("*.h"))
            self.assertTrue(any(h.name == "analyzer.h" for h in headers))
            self.assertFalse([h for h in headers if "_internal" in h.name])
            # Nothing that is installed may point back at the source or build folder.
            for file in (prefix / "lib").rglob("*.cmake"):
                self.assertNotIn(str(ROOT), file.read_text(), file)
            shutil.copytree(ROOT / "examples/hear", folder / "hear")
            run("cmake", "-S", folder / "hear", "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
            run("cmake", "--build", folder / "build")
            sounds = [folder / "low.wav", folder / "high.wav"]
            for sound, hz in zip(sounds, (110, 880)):
                harness_wav(sound, hz)
            out = run(folder / "build/hear", *sounds)
            self.assertRegex(out, r"low\.wav: 1\.00 s, oneshot")
            self.assertGreater(float(re.search(r"distance ([\d.]+)", out)[1]), 0.2)
            same = run(folder / "build/hear", sounds[0], sounds[0])
            self.assertIn("distance 0.00, likeness 100 %", same)


def harness_wav(path, hz):
    import math
    import struct
    import wave
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(44100)
        w.writeframes(b"".join(struct.pack("<h", int(12000 * math.exp(-i / 20000) * math.sin(i * hz * 2 * math.pi / 44100)))
                               for i in range(44100)))


if __name__ == "__main__":
    unittest.main()
