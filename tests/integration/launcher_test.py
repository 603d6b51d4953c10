"""The launcher ./samplemind: from anywhere, through a symlink, cheap."""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Launcher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.link = pathlib.Path(folder.name) / "samplemind"
        self.link.symlink_to(ROOT / "samplemind")
        stamp = ROOT / "build/release/.built"
        if not stamp.exists() or not os.path.samefile(harness.BIN, ROOT / "build/release/bin/samplemind"):
            print("SKIPPED: this build was not made by the launcher")
            sys.exit(77)

    def test_hands_over_from_anywhere_through_a_link(self):
        direct = subprocess.run([harness.BIN, "version"], capture_output=True, text=True)
        linked = subprocess.run([self.link, "version"], capture_output=True, text=True, cwd="/")
        self.assertEqual((linked.returncode, linked.stdout), (direct.returncode, direct.stdout), linked.stderr)
        wrong = subprocess.run([self.link, "serach"], capture_output=True, text=True, cwd="/")
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("search", wrong.stderr)

    def test_overhead_is_printed(self):
        def once(program):
            begin = time.perf_counter()
            subprocess.run([program, "version"], capture_output=True, check=True)
            return 1000 * (time.perf_counter() - begin)

        over = [once(self.link) - once(harness.BIN) for _ in range(15)]
        print(f"the launcher costs {statistics.median(over):.1f} ms over the binary (median of {len(over)})")

    def test_no_install_refuses_by_name(self):
        # A package that cannot be there, in a copy of the checkout's top.
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "samplemind"
            copy.write_text((ROOT / "samplemind").read_text())
            copy.chmod(0o755)
            (copy.parent / "packages.txt").write_text("[engine]\nno-such-package-anywhere\n[test]\n")
            for name in ("src", "web", "prompts", "data", "cmake"):
                (copy.parent / name).mkdir()
            done = subprocess.run([copy, "--no-install", "version"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no-such-package-anywhere", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
