"""Safe from the first route: foreign pages, names, keys, files."""
import http.client
import os
import stat
import sys
import unittest

import harness

KEY = "sk-planted-9f8e7d6c5b4a39281706"


class Requests(harness.Case):
    @classmethod
    def setUpClass(cls):
        cls.shared_home = harness.Home()
        cls.up = harness.Service(cls.shared_home)

    @classmethod
    def tearDownClass(cls):
        cls.up.stop()
        cls.shared_home.remove()

    def send(self, method, path, body=None, **headers):
        c = http.client.HTTPConnection("127.0.0.1", self.up.port, timeout=20)
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        c.request(method, path, body, headers)
        got = c.getresponse()
        text = got.read().decode(errors="replace")
        c.close()
        return got.status, text

    def test_dns_rebinding(self):
        for host in ("evil.example", "evil.example:8000", "localhost.evil.example"):
            for path in ("/", "/api/v1/samples", "/v1/models", "/healthz"):
                self.assertEqual(self.send("GET", path, Host=host)[0], 421, (host, path))
        self.assertEqual(self.send("GET", "/healthz", Host=f"localhost:{self.up.port}")[0], 200)

    def test_no_page_of_another_site(self):
        own = f"http://127.0.0.1:{self.up.port}"
        for path, body in (("/api/v1/scan", '{"paths":["/"]}'), ("/v1/chat/completions", "{}"),
                           ("/api/v1/ask", "{}"), ("/api/v1/models/pull", "{}")):
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                            {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
                got = self.send("POST", path, body, Content_Type="application/json", **headers)
                self.assertEqual(got[0], 403, (path, headers, got))
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
                self.assertEqual(self.send("POST", path, body, Content_Type=kind)[0], 415, (path, kind))
            self.assertNotIn(self.send("POST", path, "{}", Origin=own, Sec_Fetch_Site="same-origin",
                                       Content_Type="application/json")[0], (403, 415, 421), path)

    def test_audio_only_by_id(self):
        for path in ("/api/v1/samples/..%2f..%2fetc%2fpasswd/audio", "/api/v1/samples/%2fetc%2fpasswd/audio",
                     "/api/v1/samples/999999999/audio", "/static/../../../../etc/passwd",
                     "/static/..%2f..%2fetc%2fpasswd", "/api/v1/samples/1/audio?path=/etc/passwd"):
            status, text = self.send("GET", path)
            self.assertIn(status, (400, 404), (path, text))
            self.assertNotIn("root:", text)

    def test_errors_have_their_route_s_shape(self):
        got = harness.request(self.up.url + "/api/v1/samples/999999999")
        self.assertEqual(got.status, 404)
        self.assertTrue(got.headers["Content-Type"].startswith("application/problem+json"))
        self.assertEqual(got.json()["status"], 404)
        got = harness.request(self.up.url + "/v1/nothing")
        self.assertEqual(got.status, 404)
        self.assertIn("message", got.json()["error"])

    def test_the_page_uses_its_own_origin_only(self):
        got = harness.request(self.up.url + "/")
        self.assertEqual(got.status, 200)
        self.assertIn(b"SampleMind", got.body)
        self.assertNotRegex(got.body.decode(), r"""(src|href)=["']?(https?:)?//""")
        for path in ("/static/page.css", "/static/page.js"):
            self.assertNotRegex(harness.request(self.up.url + path).body.decode(),
                                r"""(url\(|@import |fetch\()\s*["']?(https?:)?//""")

    def test_files_are_private(self):
        for folder, _, files in os.walk(self.shared_home.path):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700, folder)
            for name in files:
                path = os.path.join(folder, name)
                if not stat.S_ISSOCK(os.stat(path).st_mode):
                    self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0, path)


class Keys(harness.Case):
    def test_beyond_this_machine_only_with_a_key(self):
        home = self.home()
        port = harness.free_port()
        done = home.run("up", "--no-demo", "--host", "0.0.0.0", "--port", port)
        self.assertEqual(done.returncode, 0, done.stderr)
        key_file = home.path / "api_key"
        key = key_file.read_text().strip()
        self.assertGreaterEqual(len(key), 24)
        self.assertIn(key, done.stdout + done.stderr)  # shown once
        self.assertEqual(stat.S_IMODE(key_file.stat().st_mode), 0o600)
        url = f"http://127.0.0.1:{port}/api/v1/samples"
        self.assertEqual(harness.request(url).status, 401)
        self.assertEqual(harness.request(url, headers={"Authorization": "Bearer wrong"}).status, 401)
        self.assertEqual(harness.request(url, headers={"Authorization": f"Bearer {key}"}).status, 200)
        home.run("down")
        again = home.run("up", "--no-demo", "--host", "0.0.0.0", "--port", port)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertNotIn(key, again.stdout + again.stderr)

    def test_a_planted_key_is_shown_nowhere(self):
        provider = self.provider()
        home = self.home(provider, OPENAI_API_KEY=KEY)
        home.env["SAMPLEMIND_LOG_LEVEL"] = "debug"
        service = self.service(home)
        said = []
        for model in ("fake-small", "fault-401", "fault-500"):
            said.append(service.chat("hi", model="openai/" + model).body.decode())
        self.assertEqual(provider.chats()[0]["headers"]["authorization"], "Bearer " + KEY)
        for path in ("/api/v1/config", "/api/v1/providers", "/api/v1/status", "/metrics"):
            said.append(harness.request(service.url + path).body.decode())
        for command in (["config"], ["config", "--json"], ["ps", "--json"], ["models"]):
            done = home.run(*command)
            said.append(done.stdout + done.stderr)
        service.stop()
        said.append(service.log_text())
        for folder, _, files in os.walk(home.path):
            for name in files:
                with open(os.path.join(folder, name), "rb") as f:
                    self.assertNotIn(KEY.encode(), f.read(), name)
        for text in said:
            self.assertNotIn(KEY, text)

    def test_the_decoder_of_foreign_files_has_no_keys(self):
        home = self.home(OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY=KEY, SAMPLEMIND_API_KEY=KEY)
        decoder = home.path.parent / "decode"
        # A child can write nowhere: how it ends tells what it found.
        decoder.write_text("#!/bin/sh\nif env | grep -q sk-planted; then kill -SEGV $$; fi\nexit 4\n")
        decoder.chmod(0o700)
        sound = home.path.parent / "a.m4a"
        sound.write_bytes(b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom" + bytes(64))
        home.env["SAMPLEMIND_DECODE"] = str(decoder)
        clean = home.run("analyze", sound)
        self.assertIn("could not be decoded", clean.stdout + clean.stderr)
        home.env["LC_PLANTED"] = KEY
        found = home.run("analyze", sound)
        self.assertIn("crashed", found.stdout + found.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
