"""What the container image is made from, without building one (tests/long does): the context that .dockerignore leaves is enough
to configure and plan the build, and its last stage has every library that the binaries ask for."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]


def section(name):
    """The packages of one section of packages.txt."""
    text = (ROOT / "packages.txt").read_text().split(f"[{name}]")[1].split("\n[")[0]
    return {line.strip() for line in text.splitlines()[1:] if line.strip() and not line.startswith("#")}


class ImageInputs(unittest.TestCase):
    def test_context_is_enough(self):
        rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
        self.assertEqual(rules[0], "*", "an allow list")
        kept = [rule[1:] for rule in rules if rule.startswith("!")]
        left_out = [rule.removeprefix("**/") for rule in rules[1:] if not rule.startswith("!")]
        with tempfile.TemporaryDirectory() as folder:
            context = pathlib.Path(folder)
            for name in kept:
                self.assertTrue((ROOT / name).exists(), f".dockerignore keeps {name}, which is not there")
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns(*left_out))
                else:
                    shutil.copyfile(ROOT / name, context / name)
            configured = subprocess.run(["cmake", "--preset", "release"], cwd=context, capture_output=True, text=True)
            self.assertEqual(configured.returncode, 0, configured.stderr[-3000:])
            planned = subprocess.run(["ninja", "-n", "-C", "build/release", "samplemind"], cwd=context, capture_output=True, text=True)
            self.assertEqual(planned.returncode, 0, planned.stdout[-3000:])

    def test_last_stage_has_every_library(self):
        listed = section("runtime")
        for binary in (harness.BIN, str(pathlib.Path(harness.BIN).with_name("samplemind-decode"))):
            needed = re.findall(r"NEEDED\s+(\S+)", subprocess.run(["objdump", "-p", binary], capture_output=True, text=True, check=True).stdout)
            self.assertTrue(needed)
            for library in needed:
                owners = {line.split(":")[0] for line in subprocess.run(["dpkg-query", "-S", f"*/{library}"], capture_output=True, text=True).stdout.splitlines()}
                # These three are of every Debian that runs C++ programs.
                self.assertTrue(owners & (listed | {"libc6", "libstdc++6", "libgcc-s1"}),
                                f"{pathlib.Path(binary).name} needs {library}, of {owners}: packages.txt, [runtime]")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
