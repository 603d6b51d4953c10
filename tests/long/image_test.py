"""The container image really built, run and composed, by podman, from a base image made by debootstrap."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import debian
import harness

# Works in an unprivileged container too, and leaves the user's own images alone.
CONTAINERS = """[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        debian.need("podman", "buildah", "runc", "debootstrap", "docker-compose")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="samplemind-image-", dir=os.environ.get("SAMPLEMIND_LONG_DIR")))
        cls.addClassCleanup(cls.clean)
        (cls.folder / "containers.conf").write_text(CONTAINERS)
        (cls.folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{cls.folder}/storage"\nrunroot = "{cls.folder}/run"\n')
        # Only podman: a docker client without an engine may be there.
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith(("SAMPLEMIND_", "DOCKER_", "COMPOSE_"))}
        cls.env.update(CONTAINERS_CONF=f"{cls.folder}/containers.conf", CONTAINERS_STORAGE_CONF=f"{cls.folder}/storage.conf",
                       BUILDAH_ISOLATION="chroot", TMPDIR=f"{cls.folder}/tmp", SAMPLEMIND_HOME=f"{cls.folder}/home", NO_COLOR="1")
        (cls.folder / "tmp").mkdir()  # build caches too: the first build is a cold one
        root = debian.bootstrap(cls.folder / "root")
        tar = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["podman", "import", "-", "docker.io/library/debian:bookworm-slim"], stdin=tar.stdout, env=cls.env, check=True, capture_output=True)
        tar.stdout.close()
        tar.wait()
        shutil.rmtree(root)
        cls.checkout = debian.checkout(cls.folder / "checkout")
        # The launcher asks for a built engine only for commands that need one.
        begin = time.monotonic()
        cls.call("./samplemind", "build", timeout=3600)
        cls.cold_s = time.monotonic() - begin

    @classmethod
    def clean(cls):
        for what in (["rm", "-fa", "-t", "2"], ["system", "reset", "-f"]):
            subprocess.run(["podman", *what], env=cls.env, capture_output=True)
        shutil.rmtree(cls.folder, ignore_errors=True)

    @classmethod
    def call(cls, *words, check=True, timeout=300, **env):
        done = subprocess.run(words, env={**cls.env, **env}, cwd=cls.checkout, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    @classmethod
    def size(cls, image):
        return json.loads(cls.call("podman", "image", "inspect", image).stdout)[0]["Size"]

    def test_1_a_second_build_after_an_edit_is_quick(self):
        source = self.checkout / "src/cli/version.cc"
        source.write_text(source.read_text() + "// edited\n")
        begin = time.monotonic()
        self.call("./samplemind", "build", timeout=3600)
        edited_s = time.monotonic() - begin
        begin = time.monotonic()
        self.call("./samplemind", "build", timeout=3600)
        same_s = time.monotonic() - begin
        image, base = self.size("samplemind:latest"), self.size("docker.io/library/debian:bookworm-slim")
        print(f"image build: {self.cold_s:.0f} s from nothing, {edited_s:.0f} s after an edit ({edited_s / self.cold_s:.2f}), {same_s:.0f} s with none; "
              f"image {image / 1e6:.0f} MB, of it {base / 1e6:.0f} MB the base")
        self.assertLess(edited_s, self.cold_s)

    def test_2_the_context_is_small(self):
        probe = self.folder / "probe"
        probe.write_text("FROM scratch\nCOPY . /\n")
        (self.folder / "none").write_text("no-such-file\n")
        sizes = []
        for ignore in (".dockerignore", str(self.folder / "none")):
            self.call("podman", "build", "-q", "-t", "context", "-f", str(probe), "--ignorefile", ignore, ".")
            sizes.append(self.size("context"))
        print(f"build context: {sizes[0] / 1e6:.2f} MB, without .dockerignore {sizes[1] / 1e6:.2f} MB ({sizes[0] / sizes[1]:.2f})")
        self.assertLess(sizes[0], sizes[1])

    def test_3_runs_alone(self):
        port, key = harness.free_port(), "sm-long-test-0123456789abcdef"
        sounds = self.folder / "sounds"
        harness.write_tone(sounds / "Tone_220.wav")
        for path in (sounds, *sounds.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        self.folder.chmod(0o755)
        self.call("podman", "run", "-d", "--name", "one", "-p", f"127.0.0.1:{port}:8000", "-v", f"{sounds}:/samples:ro", "-v", "one-data:/data",
                  "-e", f"SAMPLEMIND_SERVER_API_KEY={key}", "samplemind:latest")
        url = f"http://127.0.0.1:{port}"

        def healthy():
            try:
                return harness.request(url + "/healthz", timeout=2).status == 200
            except OSError:
                return False

        harness.wait_until(healthy, 60, "the container answers: " + self.call("podman", "logs", "one", check=False).stderr[-2000:])
        self.call("podman", "healthcheck", "run", "one")
        self.assertEqual(self.call("podman", "exec", "one", "id", "-u").stdout.strip(), "10001")
        self.assertEqual(harness.request(url + "/v1/models").status, 401)
        mine = {"Authorization": f"Bearer {key}"}
        self.assertEqual(harness.request(url + "/v1/models", headers=mine).status, 200)
        scan = self.call("podman", "exec", "one", "samplemind", "scan", "/samples")
        self.assertIn("1", scan.stdout + scan.stderr)
        found = self.call("podman", "exec", "one", "samplemind", "search", "tone", "--json").stdout
        self.assertEqual(json.loads(found.splitlines()[0])["path"], "/samples/Tone_220.wav")
        # What needs the checkout says so.
        refused = self.call("podman", "exec", "one", "samplemind", "test", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("checkout", refused.stderr)
        begin = time.monotonic()
        self.call("podman", "stop", "-t", "20", "one")
        self.assertLess(time.monotonic() - begin, 12)
        self.assertEqual(self.call("podman", "inspect", "-f", "{{.State.ExitCode}}", "one").stdout.strip(), "0")
        # The library survives in its volume.
        self.call("podman", "start", "one")
        harness.wait_until(healthy, 60, "the container answers again")
        self.assertEqual(self.call("podman", "exec", "one", "samplemind", "search", "tone", "--json").stdout, found)
        self.call("podman", "rm", "-f", "-t", "15", "one")

    def test_4_stack(self):
        socket = self.folder / "podman.sock"
        service = subprocess.Popen(["podman", "system", "service", "-t", "0", f"unix://{socket}"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(service.wait)
        self.addCleanup(service.terminate)
        harness.wait_until(socket.exists, 20, "podman's service listens")
        port = harness.free_port()
        env = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0",
               "SAMPLEMIND_CHECKOUT": str(self.checkout)}
        self.call(harness.BIN, "up", "--stack", "--port", str(port), timeout=900, **env)
        key = (self.folder / "home/api_key").read_text().strip()

        def answers():
            try:
                return harness.request(f"http://127.0.0.1:{port}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=2).status == 200
            except OSError:
                return False

        harness.wait_until(answers, 60, "the stack answers with this machine's key")
        self.call(harness.BIN, "down", "--stack", **env)
        self.assertFalse(answers())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]], verbosity=2)
