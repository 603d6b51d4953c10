"""HTTP on both sides against other people's programs: nghttp, h2load and curl against the service; our client against
nginx (HTTP/2 over TLS) and Node's HTTP/2 server, which resets, goes away, starves and lies."""
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.request

import harness

CLIENT = os.environ.get("SAMPLEMIND_NET_CLIENT", "")
HERE = pathlib.Path(__file__).resolve().parent


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}; they are in packages.txt")


def fetch(*arguments, timeout=60):
    """net_client: (its answers, its summary)."""
    done = subprocess.run([CLIENT, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:-1], lines[-1]


class TlsService(harness.Service):
    """The service with a certificate of its own."""

    def __init__(self, home, certificate, *flags):
        self.context = ssl.create_default_context(cafile=str(certificate))
        super().__init__(home, *flags)
        self.url = f"https://127.0.0.1:{self.port}"

    def _healthy(self):
        if self.process.poll() is not None:
            raise AssertionError("the service ended: " + self.log_text())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context))
        try:
            return opener.open(f"https://127.0.0.1:{self.port}/healthz", timeout=2).status == 200
        except OSError:
            return False


@needs("nghttp", "h2load", "curl", "openssl")
class ServerTest(harness.Case):
    def run_program(self, *arguments, timeout=60):
        done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=timeout)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def check(self, url, trust, prior):
        """One service by three clients; `prior` are curl's and `trust` its TLS flags."""
        out = self.run_program("curl", "-s", *prior, *trust, "-w", "\n%{http_version} %{http_code}", url + "/healthz")
        self.assertEqual(out.splitlines()[-1], "2 200")
        body = json.dumps({"model": "openai/fake-small", "messages": [{"role": "user", "content": "over HTTP/2"}]})
        chat = ["-H", "content-type: application/json", "-d", body, url + "/v1/chat/completions"]
        whole = json.loads(self.run_program("curl", "-s", *prior, *trust, *chat))
        self.assertIn(harness.token_of("over HTTP/2"), whole["choices"][0]["message"]["content"])
        chat[3] = body[:-1] + ', "stream": true}'
        streamed = self.run_program("curl", "-sN", *prior, *trust, *chat)
        self.assertTrue(streamed.rstrip().endswith("data: [DONE]"), streamed[-200:])
        # A large body up, refused for what it is, and not for how it came.
        with tempfile.NamedTemporaryFile() as big:
            big.write(b" " * 3_000_000 + b"{}")
            big.flush()
            out = self.run_program("curl", "-s", *prior, *trust, "-H", "content-type: application/json", "--data-binary", "@" + big.name,
                                   "-o", "/dev/null", "-w", "%{http_version} %{http_code}", url + "/v1/chat/completions")
        self.assertEqual(out, "2 400")
        out = self.run_program("nghttp", "-v", "--no-verify-peer", url + "/healthz")
        self.assertIn(":status: 200", out)
        out = self.run_program("h2load", "-n", "2000", "-c", "4", "-m", "50", url + "/healthz")
        self.assertIn("2000 succeeded, 0 failed, 0 errored", out)

    def test_clear_text_by_prior_knowledge(self):
        service = self.service(self.home(self.provider()))
        self.check(service.url, [], ["--http2-prior-knowledge"])
        # Who asks by Upgrade, or not at all, is answered in HTTP/1.1 on the same port.
        for flags in (["--http2"], ["--http1.1"]):
            out = self.run_program("curl", "-s", *flags, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", service.url + "/healthz")
            self.assertEqual(out, "1.1 200")

    def test_a_provider_is_asked_over_http2_where_that_is_configured(self):
        provider = self.provider()  # speaks HTTP/1.1 alone; the service before it speaks both
        both = self.service(self.home(provider)).url
        for url, http, good in ((both, "2", True), (both, "auto", True), (both, "3", False), (provider.url, "2", False)):
            home = self.home(OPENAI_BASE_URL=url + "/v1", OPENAI_API_KEY="sk-test-0123456789abcdef")
            home.config(f'[ai]\nattempts = 1\n[ai.openai]\nhttp = "{http}"\n[cache]\nenabled = false\n')
            second = self.service(home)
            answer = second.chat("through two " + http, model="openai/openai/fake-small")
            self.assertEqual(answer.status == 200, good, answer.body)
            if good:
                self.assertIn(harness.token_of("through two " + http), answer.json()["choices"][0]["message"]["content"])

    def test_tls(self):
        home = self.home(self.provider())
        certificate, key = harness.make_certificate(home.root)
        home.config(f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"\n')
        service = TlsService(home, certificate)
        self.addCleanup(lambda: service.process.poll() is None and service.stop())
        trust = ["--cacert", str(certificate)]
        self.check(service.url, trust, ["--http2"])
        out = self.run_program("curl", "-s", "--http1.1", *trust, "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
                               service.url + "/healthz")
        self.assertEqual(out, "1.1 200")
        refused = subprocess.run(["curl", "-s", service.url + "/healthz"], capture_output=True)
        self.assertNotEqual(refused.returncode, 0)
        answers, summary = fetch("--ca", certificate, "--count", 200, "--at-once", 50, service.url + "/healthz")
        self.assertEqual(summary["good"], 200)
        self.assertTrue(all(a["version"] == 2 for a in answers))
        self.assertLessEqual(summary["connections"], 2)


class Process:
    def __init__(self, case, command, **kw):
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, **kw)
        case.addCleanup(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


def fnv(data):
    h = 1469598103934665603
    for byte in data:
        h = ((h ^ byte) * 1099511628211) % 2**64
    return f"{h:016x}"


@needs("nginx", "openssl")
class NginxTest(unittest.TestCase):
    CONFIG = """
daemon off; worker_processes 1; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p; fastcgi_temp_path {root}/f;
  uwsgi_temp_path {root}/u; scgi_temp_path {root}/s; client_max_body_size 50m;
  gzip on; gzip_types *; gzip_min_length 1;
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key};
    http2_max_concurrent_streams 8; keepalive_requests 100;
    root {root}/www;
    location /slow {{ limit_rate 300k; }}
  }}
}}
"""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="samplemind-nginx-"))
        self.addCleanup(shutil.rmtree, self.root, True)
        self.root.chmod(0o755)
        self.certificate, key = harness.make_certificate(self.root)
        www = self.root / "www"
        www.mkdir()
        self.small = b"a small answer\n" * 20
        self.large = bytes(i * 31 % 251 for i in range(300_000))
        (www / "small").write_bytes(self.small)
        (www / "large").write_bytes(self.large)
        (www / "slow").write_bytes(self.large)
        self.port = harness.free_port()
        config = self.root / "nginx.conf"
        config.write_text(self.CONFIG.format(root=self.root, port=self.port, certificate=self.certificate, key=key))
        self.nginx = Process(self, ["nginx", "-p", self.root, "-c", config], stderr=subprocess.DEVNULL)
        self.url = f"https://127.0.0.1:{self.port}"
        harness.wait_until(lambda: fetch("--ca", self.certificate, self.url + "/small")[1]["good"] == 1, what="nginx answers")

    def test_limits_goaway_and_gzip(self):
        # More at once than a connection takes, and more in all than nginx serves before its GOAWAY.
        answers, summary = fetch("--ca", self.certificate, "--count", 500, "--at-once", 60, self.url + "/small")
        self.assertEqual(summary["good"], 500, [a for a in answers if not a["ok"]][:3])
        self.assertEqual({(a["version"], a["status"], a["sum"]) for a in answers}, {(2, 200, fnv(self.small))})
        answers, _ = fetch("--ca", self.certificate, "--accept-encoding", "gzip, br", "--count", 5, self.url + "/large")
        self.assertEqual({(a["ok"], a["sum"]) for a in answers}, {(True, fnv(self.large))})
        answers, _ = fetch("--ca", self.certificate, "--window", 70000, "--count", 4, "--at-once", 8, self.url + "/slow", self.url + "/small")
        self.assertEqual({a["sum"] for a in answers}, {fnv(self.large), fnv(self.small)})
        answers, _ = fetch("--ca", self.certificate, "--http", 1, self.url + "/small")
        self.assertEqual((answers[0]["ok"], answers[0]["version"]), (True, 1))
        answers, _ = fetch(self.url + "/small")
        self.assertFalse(answers[0]["ok"], "a certificate nobody trusts was accepted")

    def test_a_reload_in_the_middle_loses_nothing(self):
        running = subprocess.Popen([CLIENT, "--ca", self.certificate, "--count", "3000", "--at-once", "20", self.url + "/small"],
                                   stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            time.sleep(0.15)
            self.nginx.process.send_signal(signal.SIGHUP)
        out, _ = running.communicate(timeout=60)
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(lines[-1]["good"], 3000, [a for a in lines[:-1] if not a["ok"]][:3])
        self.assertEqual({a["sum"] for a in lines[:-1]}, {fnv(self.small)})


@needs("node")
class NodeTest(unittest.TestCase):
    def setUp(self):
        self.node = Process(self, ["node", HERE / "http2_peer.js"], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.node.process.stdout.readline())}"

    def get(self, path, *flags):
        answers, _ = fetch("--http", 2, "--first-byte-ms", 5000, "--idle-ms", 2000, *flags, self.url + path)
        return answers

    def test_a_cut_body_is_always_an_error(self):
        for path in ("/reset", "/close", "/destroy", "/goaway-destroy", "/short", "/long"):
            for at_once in (1, 10):
                for answer in self.get(path, "--count", at_once, "--at-once", at_once):
                    self.assertFalse(answer["ok"], f"{path}: {answer}")
                    if answer["status"]:  # it had begun
                        self.assertEqual(answer["error"], "upstream-error", path)

    def test_goaway_leaves_nothing_undone(self):
        # Every tenth request the server says GOAWAY and finishes what it has begun.
        answers = self.get("/goaway", "--count", 200, "--at-once", 20)
        self.assertEqual([a for a in answers if not a["ok"] or a["status"] != 200][:3], [])

    def test_a_starved_window_ends_in_time_and_neighbours_go_on(self):
        # The server's own window is spent by a stream that sends nothing more.
        began = time.monotonic()
        answers = self.get("/stall", "--count", 3, "--at-once", 3)
        self.assertEqual({a["error"] for a in answers}, {"deadline-exceeded"})
        self.assertLess(time.monotonic() - began, 20)
        mixed, _ = fetch("--http", 2, "--idle-ms", 1500, "--at-once", 8, "--count", 4, self.url + "/stall", self.url + "/large")
        self.assertEqual([a["ok"] for a in mixed], [False, True] * 4)
        self.assertEqual({a["bytes"] for a in mixed if a["ok"]}, {2_000_000})

    def test_encodings(self):
        for coding in ("gzip", "br"):
            answer = self.get("/" + coding, "--accept-encoding", coding)[0]
            self.assertTrue(answer["ok"], answer)
            self.assertEqual(answer["bytes"], 500_000)
            self.assertFalse(self.get("/" + coding)[0]["ok"])  # not asked for
            self.assertFalse(self.get(f"/{coding}-cut", "--accept-encoding", coding)[0]["ok"])
            self.assertFalse(self.get(f"/{coding}-bomb", "--accept-encoding", coding)[0]["ok"])

    def test_bodies_both_ways_and_trailers(self):
        answers, _ = fetch("--http", 2, "--body", 1_000_000, "--count", 5, "--at-once", 5, self.url + "/echo")
        self.assertEqual({(a["ok"], a["bytes"]) for a in answers}, {(True, 1_000_000)})
        self.assertTrue(self.get("/trailers")[0]["ok"])


if __name__ == "__main__":
    unittest.main()
