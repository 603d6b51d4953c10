"""Who may ask what: virtual keys, limits, budgets, usage, routes; and secrets that show nowhere."""
import contextlib
import http.server
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import unittest

import harness

PRICES = '[ai.prices."openai/fake-small"]\ninput = 0.0\noutput = 10.0\n'


@contextlib.contextmanager
def dumps_in(folder):
    """What is started within may write core dumps, of any size, into `folder`."""
    cwd, limit = os.getcwd(), resource.getrlimit(resource.RLIMIT_CORE)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1]))
    try:
        yield
    finally:
        os.chdir(cwd)
        resource.setrlimit(resource.RLIMIT_CORE, limit)


def core_dumped(process):
    """Aborts it; whether it left a core dump."""
    process.send_signal(signal.SIGABRT)
    status = os.waitpid(process.pid, 0)[1]
    process.returncode = -signal.SIGABRT
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT, status
    return os.WCOREDUMP(status)


class GatewayRules(harness.Case):
    def new(self, config="", **env):
        provider = self.provider()
        home = self.home(provider, **env)
        home.config(config)
        return provider, home, self.service(home)

    def make_key(self, home, *flags):
        made = home.run("keys", "create", *flags)
        self.assertEqual(made.returncode, 0, made.stderr)
        return made.stdout.strip()

    def chat(self, s, text, key=None, headers=None, **more):
        headers = dict(headers or {})
        if key:
            headers["Authorization"] = "Bearer " + key
        return harness.request(s.url + "/v1/chat/completions", {
            "model": more.pop("model", "openai/fake-small"),
            "messages": [{"role": "user", "content": text}], **more}, headers)

    def test_keys_from_the_command_line(self):
        provider, home, s = self.new()
        self.assertEqual(self.chat(s, "before any key").status, 200)
        self.assertIn("No virtual key", home.run("keys", "ls").stdout)
        key = self.make_key(home, "ann", "--models", "openai/*", "--rpm", "3", "--tenant", "band")
        self.assertRegex(key, r"^sm-[0-9a-f]{8}-[0-9a-f]{40}$")
        kept = home.path / "keys.json"
        self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(key[12:], kept.read_text())
        self.assertEqual(self.chat(s, "no key").status, 401)
        self.assertEqual(self.chat(s, "wrong key", "sm-00000000-" + "0" * 40).status, 401)
        good = self.chat(s, "with a key", key)
        self.assertEqual(good.status, 200)
        self.assertEqual(good.headers["x-ratelimit-limit-requests"], "3")
        self.assertEqual(self.chat(s, "x", key, model="ollama/fake-local").status, 403)
        for name in ("x-api-key", "x-goog-api-key"):
            self.assertIn(self.chat(s, "with a key", None, {name: key}).status, (200, 429))
        limited = self.chat(s, "too many", key)
        self.assertEqual(limited.status, 429)
        self.assertGreater(int(limited.headers["retry-after"]), 0)
        rows = home.lines("keys", "ls", "--json")
        self.assertEqual([(r["name"], r["state"]) for r in rows], [("ann", "active")])
        turned = home.run("keys", "rotate", "ann").stdout.strip()
        self.assertNotEqual(turned, key)
        self.assertEqual(self.chat(s, "old", key).status, 401)
        self.assertEqual(home.run("keys", "revoke", "ann").returncode, 0)
        self.assertEqual(self.chat(s, "old", turned).status, 200, "no key is left: none is needed here")
        for call in provider.chats():
            self.assertNotIn("sm-", json.dumps(call["headers"]))
        self.assertEqual(home.run("keys", "revoke", "nobody").returncode, 3)
        self.assertIn("create", home.run("keys", "creat", "x").stderr)

    def test_a_keys_own_sampling(self):
        _, home, s = self.new()
        key = self.make_key(home, "fresh", "--sampling", "bypass")
        for _ in range(2):
            self.assertEqual(self.chat(s, "a poem", key).headers["x-samplemind-cache"], "bypass")
        for expected in ("miss", "hit-memory"):
            self.assertEqual(self.chat(s, "a poem", key, temperature=0).headers["x-samplemind-cache"], expected)
        self.assertEqual(home.lines("keys", "ls", "--json")[0]["sampling"], "bypass")
        self.assertIn("'cache' or 'bypass'", home.run("keys", "create", "x", "--sampling", "never").stderr)

    def test_200_at_once_with_money_for_50(self):
        provider, home, s = self.new(PRICES)
        tokens = self.chat(s, "measure").json()["usage"]["completion_tokens"]
        cost = tokens * 10
        key = self.make_key(home, "ann", "--budget", f"{50 * cost / 1e6:.6f}/month")
        results = []
        lock = threading.Lock()

        def one(i):
            status = self.chat(s, f"n{i}", key, max_tokens=tokens).status
            with lock:
                results.append(status)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(200)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(results), {200, 429})
        self.assertEqual(results.count(200), 50)
        state = harness.request(s.url + "/api/v1/usage?by=key").json()
        [budget] = state["budgets"]
        self.assertEqual((budget["spent_microusd"], budget["held_microusd"]), (50 * cost, 0))
        self.assertEqual(len(provider.chats()), 51)
        # The next process knows it, too.
        s.stop()
        again = self.service(home)
        refused = self.chat(again, "one more", key, max_tokens=tokens)
        self.assertEqual(refused.status, 429)
        self.assertEqual(refused.json()["error"]["code"], "budget_exceeded")
        table = home.run("usage", "--by", "key").stdout
        self.assertIn("ann", table)

    def test_route_explain_and_test(self):
        provider, home, s = self.new()
        one = home.root / "one.json"
        one.write_text(json.dumps({"model": "auto", "messages": [{"role": "user", "content": "Which genre is it?"}]}))
        told = home.run("route", "explain", one)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn("task genre", told.stdout)
        self.assertIn("speed.genre", told.stdout)
        many = home.root / "many.jsonl"
        many.write_text(one.read_text() + "\n" + json.dumps({"model": "no-such-model", "messages": [
            {"role": "user", "content": "x"}]}) + "\n")
        tested = home.run("route", "test", many)
        self.assertEqual(tested.returncode, 2)
        self.assertIn("1 refused", tested.stderr)
        self.assertEqual(provider.chats(), [], "nothing was asked")
        bad = home.path / "routes.toml"
        bad.write_text("[speed]\ngenr = \"ollama\"\n")
        refused = home.run("route", "explain", one, "--home", str(home.root / "elsewhere"))
        self.assertEqual(refused.returncode, 0, "another home has its own rules")

    def test_the_last_requests_and_usage(self):
        provider, home, s = self.new(PRICES)
        for _ in range(3):
            self.chat(s, "the same", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
        def requests():
            return harness.request(s.url + "/api/v1/requests").json()["requests"]

        # A request is written down once its answer has gone out: perhaps after its client has read it.
        harness.wait_until(lambda: len(requests()) == 3, 10, "all three are in the log")
        last = requests()
        self.assertEqual(sorted(r["cache"] for r in last), ["hit-memory", "hit-memory", "miss"])
        self.assertEqual({r["trace_id"] for r in last}, {"0af7651916cd43dd8448eb211c80319c"})
        self.assertFalse(any("request" in r for r in last), "no texts unless log.bodies")
        [row] = home.lines("usage", "--json")
        self.assertEqual((row["requests"], row["hits"], row["tries"]), (3, 2, 1))
        self.assertEqual(row["saved_microusd"], 2 * row["cost_microusd"])
        metrics = harness.request(s.url + "/metrics").body.decode()
        for name in ("gen_ai_server_request_duration_seconds", "gen_ai_client_token_usage_total",
                     "samplemind_gateway_requests_total", "samplemind_route_total"):
            self.assertIn(name, metrics)
        self.assertIn("gen_ai.response.model", s.log_text())

    def collector(self):
        """An OTLP collector: its address and what it gets."""
        got = []

        class Collector(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                got.append((self.path, str(self.headers), self.rfile.read(int(self.headers["content-length"])).decode()))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}", got

    def test_traces_go_to_a_collector(self):
        url, got = self.collector()
        provider, home, s = self.new(OTEL_EXPORTER_OTLP_ENDPOINT=url)
        self.chat(s, "traced", headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
        harness.wait_until(lambda: got, 15, "a trace arrives")
        path, _, body = got[0]
        self.assertEqual(path, "/v1/traces")
        [span] = json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]
        self.assertEqual(span["traceId"], "0af7651916cd43dd8448eb211c80319c")
        self.assertEqual(span["parentSpanId"], "b7ad6b7169203331")
        attributes = {a["key"]: a["value"] for a in span["attributes"]}
        self.assertEqual(attributes["gen_ai.response.model"], {"stringValue": "fake-small"})
        self.assertGreater(int(span["endTimeUnixNano"]), int(span["startTimeUnixNano"]))

    def test_planted_secrets_in_the_environment_show_nowhere(self):
        self.planted("environment")

    def test_planted_secrets_in_the_file_show_nowhere(self):
        self.planted("file")

    def planted(self, where):
        """Keys of four kinds are planted; the service succeeds, fails, retries, streams and crashes; then all that
        it ever said or wrote is searched."""
        openai, anthropic, gemini = ("sk-planted-5f2d7c9e1b3a8064aa55", "sk-ant-planted-77665544332211aabb",
                                     "AIzaPlanted0123456789abcdefghij")
        own = "the-servers-own-key-77aa01"
        url, traces = self.collector()
        folder = self.home().root / "cores"
        folder.mkdir()
        provider = self.provider()
        more = {"SAMPLEMIND_LOG_LEVEL": "debug", "SAMPLEMIND_LOG_REQUESTS": "all", "SAMPLEMIND_LOG_BODIES": "true",
                "OTEL_EXPORTER_OTLP_ENDPOINT": url, "ANTHROPIC_BASE_URL": provider.url, "GEMINI_BASE_URL": provider.url}
        if where == "environment":
            home = self.home(provider, OPENAI_API_KEY=openai, ANTHROPIC_API_KEY=anthropic, GEMINI_API_KEY=gemini,
                             SAMPLEMIND_SERVER_API_KEY=own, **more)
        else:
            home = self.home(provider, **more)
            del home.env["OPENAI_API_KEY"]
            home.config(f'[ai.openai]\napi_key = "{openai}"\n[ai.anthropic]\napi_key = "{anthropic}"\n'
                        f'[ai.gemini]\napi_key = "{gemini}"\n[server]\napi_key = "{own}"\n')
            os.chmod(home.path / "config.toml", 0o600)
        virtual = self.make_key(home, "ann", "--rpm", "600")
        with dumps_in(folder):
            s = self.service(home)
        seen = []

        def say(path, body, key=virtual, header="Authorization"):
            value = "Bearer " + key if header == "Authorization" else key
            answer = harness.request(s.url + path, body, {header: value})
            seen.append(str(answer.headers) + answer.body.decode(errors="replace"))
            return answer.status

        def ask(text, key=virtual, header="Authorization", **rest):
            return say("/v1/chat/completions", {"model": rest.pop("model", "openai/fake-small"), **rest,
                                                "messages": [{"role": "user", "content": text}]}, key, header)
        for header in ("Authorization", "x-api-key", "x-goog-api-key"):
            self.assertEqual(ask("well " + header, header=header), 200)
        self.assertEqual(ask("well, streamed", stream=True), 200)
        self.assertEqual(ask(f"echo {openai} {virtual}", own), 200)  # a caller who pastes secrets
        for fault in ("s03", "s05", "s08", "401", "404", "header-too-large", "wrong-length"):
            ask("whole " + fault, model=f"openai/fault-{fault}-x1-{where}")
            ask("streamed " + fault, model=f"openai/fault-{fault}-x1-{where}-s", stream=True)
        provider.script("401", times=3)
        self.assertEqual(ask("refused", own), 502)
        provider.reset()
        for model in ("anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"):
            ask("to a provider that does not answer well", model=model)
        for wrong in ("wrong", virtual[:-1] + ("0" if virtual[-1] != "0" else "1"), openai):
            self.assertEqual(ask("no", wrong), 401)
        say("/v1/embeddings", {"model": "openai/fake-embed", "input": "x"})
        say("/v1/messages/count_tokens", {"model": "openai/fake-small", "messages": [{"role": "user", "content": "x"}]})
        for path in ("/metrics", "/api/v1/requests", "/api/v1/config", "/api/v1/usage", "/api/v1/providers", "/api/v1/keys",
                     "/api/v1/status", "/api/v1/profile", "/v1/models", "/openapi.json"):
            answer = harness.request(s.url + path, headers={"x-api-key": own})
            self.assertEqual(answer.status, 200, path)
            seen.append(str(answer.headers) + answer.body.decode())
        for command in (("config",), ("config", "--json"), ("ps",), ("models",), ("logs",), ("usage",), ("profile",),
                        ("keys", "ls"), ("keys", "ls", "--json"), ("usage", "--by", "key")):
            done = home.run(*command)
            seen.append(done.stdout + done.stderr)
        seen.append(subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout)
        calls = provider.log()
        self.assertTrue(any(c["headers"].get("authorization") == "Bearer " + openai for c in calls))
        for call in calls:
            for secret in (own, virtual):
                self.assertNotIn(secret, json.dumps(call["headers"]))
            for secret in (openai, anthropic, gemini, own, virtual):
                self.assertNotIn(secret, call["path"])
        harness.wait_until(lambda: traces, 15, "a trace arrives")
        seen.extend(headers + body for _, headers, body in traces)
        self.assertFalse(core_dumped(s.process), "a core dump would hold the keys")
        s.output.close()
        seen.append(s.log_text())
        for file in list(home.path.rglob("*")) + list(folder.rglob("*")):
            if file.is_file() and file.name != "config.toml":
                seen.append(file.read_bytes().decode("latin-1"))
        for text in seen:
            for secret in (openai, anthropic, gemini, own, virtual):
                at = text.find(secret)
                self.assertEqual(at, -1, text[max(0, at - 200):at + 200])

    def test_no_command_leaves_a_core_dump(self):
        folder = self.home().root / "cores"
        folder.mkdir()
        provider = self.provider()
        provider.script("s06", times=-1)
        home = self.home(provider)
        with dumps_in(folder):
            control = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            asks = subprocess.Popen([harness.BIN, "ask", "?", "--model", "openai/fake-small"], env=home.env,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(provider.chats, 20, "the model is asked")
        dumps = core_dumped(control)
        self.assertFalse(core_dumped(asks))
        if not dumps:
            self.skipTest("this system writes no core dumps, whatever is done")

    def test_beyond_this_machine_a_key_is_needed(self):
        provider = self.provider()
        home = self.home(provider)
        home.config("")
        key = self.make_key(home, "ann")
        s = self.service(home, "--host", "0.0.0.0")
        self.assertEqual(self.chat(s, "x").status, 401)
        self.assertEqual(self.chat(s, "x", key).status, 200)
        self.assertEqual(harness.request(s.url + "/api/v1/config", headers={"x-api-key": key}).status, 403)
        self.assertEqual(harness.request(s.url + "/api/v1/keys").status, 401)


if __name__ == "__main__":
    unittest.main()
