"""The README's two commands on a Debian 12 with nothing but its base: what a developer's machine has besides must not be needed.

The transcript goes to build/fresh-machine.txt; docs/fresh-machine.md keeps one."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import debian
import harness

HERE = "/root/samplemind"


class FreshMachine(unittest.TestCase):
    def setUp(self):
        debian.need("debootstrap", "unshare", "chroot")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="samplemind-fresh-", dir=os.environ.get("SAMPLEMIND_LONG_DIR")))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.root = debian.bootstrap(self.folder / "root")
        debian.checkout(self.root / HERE.lstrip("/"))
        self.transcript = open(debian.ROOT / "build/fresh-machine.txt", "w", buffering=1)
        self.addCleanup(self.transcript.close)

    def inside(self, command, timeout):
        """Runs a shell command in the root, with processes and mounts of its own that end with it; gives (status, output, seconds)."""
        mounts = "mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs run"
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c",
                 f"cd {self.root} && {mounts} && exec chroot . env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "
                 'sh -c "$1"', "sh", command]
        self.transcript.write(f"\n# {command}\n")
        begin = time.monotonic()
        with open(self.folder / "output", "w+") as output:
            try:
                status = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=timeout).returncode
            except subprocess.TimeoutExpired:
                status = "cut off"
            seconds = time.monotonic() - begin
            output.seek(0)
            text = output.read()
        self.transcript.write(f"{text}[status {status}, {seconds:.0f} s]\n")
        return status, text, seconds

    def test_the_two_commands(self):
        with_port = harness.socket.socket()
        self.addCleanup(with_port.close)
        with_port.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_REUSEADDR, 1)
        try:
            with_port.bind(("127.0.0.1", 8000))
        except OSError:
            debian.skip("port 8000, which 'samplemind up' takes by default, is in use on this machine")
        with_port.close()

        _, packages, _ = self.inside("dpkg-query -W | wc -l", 60)
        # All in one: the service lives as long as the namespace that started it.
        status, text, up_s = self.inside(
            f"cd {HERE} && ./samplemind up && ./samplemind ps && ./samplemind ps --check && "
            "./samplemind search kick --json && ./samplemind down", 3600)
        self.assertEqual(status, 0, text[-4000:])
        self.assertIn("healthy", text)
        self.assertRegex(text, r'(?m)^\{.*"path"', "the demo pack is searchable")
        built = re.search(r"built in (\d+) s", text)
        self.assertTrue(built, text[-4000:])

        status, text, test_s = self.inside(f"cd {HERE} && ./samplemind test", 5000)
        last = text.strip().splitlines()[-1]
        self.assertEqual(status, 0, text[-6000:])
        self.assertRegex(last, r"^[1-9]\d* passed, 0 failed")
        print(f"fresh Debian 12 ({packages.strip()} packages): ./samplemind up {up_s:.0f} s (of it {built[1]} s the build), "
              f"./samplemind test {test_s:.0f} s: {last}")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
