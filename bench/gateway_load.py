#!/usr/bin/env python3
"""What the gateway costs, beside nginx in the same run.

  bench/gateway_load.py [--load ../shared/load] [--samplemind build/release/bin/samplemind] [--seconds 5] [--rounds 3] [--out FILE.md]

Needs wrk, h2load, nginx, g++ and the load yardstick (a mock provider, measure.py, ttfb.py). Everything stays on loopback:
the gateway on core 0, load and mock on core 1, candidates interleaved, the median of the rounds printed as a Markdown table.
The figure to trust on a noisy machine is CPU microseconds a request, and its ratio to nginx.
"""
import argparse, contextlib, http.server, json, os, pathlib, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = "openai/gpt-4o-mini"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(url, seconds=10):
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"{url} does not answer")
            time.sleep(0.02)


def shuffling(load, tmp):
    """The yardstick once more, whose every request spells the same meaning in another order."""
    folder = tmp / "shuffling"
    folder.mkdir()
    for each in load.iterdir():
        if each.is_file():
            shutil.copy(each, folder)
    lua = (load / "post.lua").read_text()
    spell = """
local function shuffle(t) for i = #t, 2, -1 do local k = math.random(i); t[i], t[k] = t[k], t[i] end return table.concat(t, ",") end
local function message(role, text) return "{" .. shuffle({'"role":"' .. role .. '"', '"content":"' .. text .. '"'}) .. "}" end
local function shuffled()
  return "{" .. shuffle({'"model":"' .. model .. '"', '"temperature":0.2', '"max_tokens":256',
    '"messages":[' .. message("system", "You are a helpful assistant.") .. "," .. message("user", "[0000000000] " .. text) .. "]"}) .. "}"
end
function setup("""
    if "  return fixed\n" not in lua:
        sys.exit("gateway_load: the yardstick's post.lua has changed")
    lua = lua.replace("function setup(", spell.lstrip("\n"), 1)
    lua = lua.replace("  return fixed\n", "  return wrk.format('POST', path, nil, shuffled())\n", 1)
    (folder / "post.lua").write_text(lua)
    return folder


class Traces(http.server.BaseHTTPRequestHandler):
    """Takes what is exported and says so."""

    protocol_version = "HTTP/1.1"
    spans = 0

    def do_POST(self):
        Traces.spans += self.rfile.read(int(self.headers["content-length"])).count(b'"spanId"')
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def everything(home, traces):
    """Settings with all that may be asked of a request: whose it is, how often, what for, what it may hold; and to tell of it."""
    return {"SAMPLEMIND_HOME": str(home), "SAMPLEMIND_AI_BUDGETS": "100000/month,100000/day:openai/*", "SAMPLEMIND_AI_REDACT": "secrets,personal",
            "SAMPLEMIND_AI_BLOCK": "launch codes,the formula", "SAMPLEMIND_AI_REQUEST_TOKENS_MAX": "100000", "SAMPLEMIND_LOG_REQUESTS": "all",
            "SAMPLEMIND_LOG_LEVEL": "info"} | ({"SAMPLEMIND_LOG_OTLP_ENDPOINT": traces} if traces else {})


@contextlib.contextmanager
def running(argv, **kw):
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    try:
        yield p
    finally:
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(12)
        except subprocess.TimeoutExpired:
            p.kill()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--load", default=str(ROOT.parent / "shared" / "load"))
    a.add_argument("--samplemind", default=str(ROOT / "build/release/bin/samplemind"))
    a.add_argument("--seconds", type=float, default=5)
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--out")
    o = a.parse_args()
    load = pathlib.Path(o.load)
    for tool in ("wrk", "nginx", "taskset", "g++"):
        if not shutil.which(tool):
            sys.exit(f"gateway_load: {tool} is missing: see the test section of packages.txt")
    if not load.is_dir():
        sys.exit(f"gateway_load: no load yardstick at {load}: give its folder with --load")

    with contextlib.ExitStack() as stack:
        tmp = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mock = tmp / "mock"
        subprocess.run(["g++", "-O2", "-std=c++20", "-o", mock, load / "mock.cpp"], check=True)
        conf = tmp / "nginx.conf"
        conf.write_text((load / "nginx.conf.in").read_text().replace("RUN_DIR", str(tmp)))
        stack.enter_context(running(["taskset", "-c", "1", str(mock)], env=dict(os.environ, MOCK_PORT="9000")))
        wait("http://127.0.0.1:9000/health")
        nginx = stack.enter_context(running(["taskset", "-c", "0", "nginx", "-c", str(conf)]))
        port = free_port()
        env = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_BASE_URL"))}
        env |= {"SAMPLEMIND_HOME": str(tmp / "home"), "OPENAI_BASE_URL": "http://127.0.0.1:9000/v1", "OPENAI_API_KEY": "sk-mock-loopback",
                "OLLAMA_HOST": "127.0.0.1:9", "SAMPLEMIND_LOG_LEVEL": "warn", "SAMPLEMIND_SERVER_SHARDS": "1"}
        ours = stack.enter_context(running(["taskset", "-c", "0", o.samplemind, "up", "--foreground", "--no-demo", "--port", str(port)], env=env))
        wait(f"http://127.0.0.1:{port}/healthz")

        def measure(name, url, pid, path="/v1/chat/completions", mode="fixed", model="gpt-4o-mini", stream=False, yardstick=None, mock=9000, optional=False, headers=""):
            argv = [sys.executable, str((yardstick or load) / "measure.py"), name, url, str(pid), "--mode", mode, "--model", model, "--path", path, "--dur", str(o.seconds), "--mockctl", f"http://127.0.0.1:{mock}"] + (["--hdrs", headers] if headers else [])
            out = subprocess.run(argv + (["--stream"] if stream else []), capture_output=True, text=True)
            if out.returncode != 0 and optional:
                return None
            if out.returncode != 0:
                sys.exit(f"{name}: {out.stderr or out.stdout}")
            return json.loads(out.stdout.splitlines()[-1])

        sink = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Traces)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)

        def with_everything(name, traces):
            """A gateway of its own and the key that it wants."""
            full = env | everything(tmp / name, traces)
            made = subprocess.run([o.samplemind, "keys", "create", "ann", "--models", "openai/*", "--budget", "100000/month", "--rpm", "1000000000", "--tpm", "1000000000000", "--json"],
                                  env=full, capture_output=True, text=True)
            if made.returncode != 0:
                sys.exit(f"keys create: {made.stderr}")
            own = free_port()
            service = stack.enter_context(running(["taskset", "-c", "0", o.samplemind, "up", "--foreground", "--no-demo", "--port", str(own)], env=full))
            wait(f"http://127.0.0.1:{own}/healthz")
            key = json.loads(made.stdout)["secret"]
            return lambda: measure(name, f"http://127.0.0.1:{own}", service.pid, mode="uniq", model=MODEL, headers=f"Authorization: Bearer {key}")

        other = shuffling(load, tmp)
        us = f"http://127.0.0.1:{port}"
        candidates = {
            "fixed answer: nginx": lambda: measure("nginx-fixed", "http://127.0.0.1:8103", nginx.pid),
            "cached: nginx, keyed by the body": lambda: measure("nginx-cache", "http://127.0.0.1:8102", nginx.pid),
            "cached: SampleMind": lambda: measure("sm-hit", us, ours.pid, model=MODEL),
            "cached, 1,000 bodies in turn: SampleMind": lambda: measure("sm-hit-1000", us, ours.pid, mode="keys:1000", model=MODEL),
            "cached, members shuffled: SampleMind": lambda: measure("sm-hit-shuffled", us, ours.pid, model=MODEL, yardstick=other),
            "forwarded: nginx as reverse proxy": lambda: measure("nginx-proxy", "http://127.0.0.1:8101", nginx.pid, mode="uniq"),
            "miss, forwarded and stored: SampleMind": lambda: measure("sm-miss", us, ours.pid, mode="uniq", model=MODEL),
            "miss with key, limits, budgets, redaction, each logged": with_everything("sm-full", None),
            "the same miss, traces sent as well": with_everything("sm-full-traced", f"http://127.0.0.1:{sink.server_port}"),
        }
        rows = {name: [] for name in candidates}
        for _ in range(o.rounds):
            for name, run in candidates.items():
                rows[name].append(run())
        median = lambda name, key: statistics.median(r[key] for r in rows[name])
        cache, proxy = median("cached: nginx, keyed by the body", "cpu_us"), median("forwarded: nginx as reverse proxy", "cpu_us")
        table = ["| what (64 connections, one core) | req/s | CPU us a request | of nginx | p99 ms | errors | RSS MB |", "|---|---|---|---|---|---|---|"]
        for name in candidates:
            base = proxy if ("miss" in name or "forwarded" in name) else cache
            bad = sum(r["non2xx"] + r["sockerr"] for r in rows[name])
            table.append(f"| {name} | {median(name, 'rps'):,.0f} | {median(name, 'cpu_us'):.1f} | {median(name, 'cpu_us') / base:.2f} | {median(name, 'p99_ms'):.2f} | {bad:.0f} | {median(name, 'rss_mb'):.0f} |")
        table.append(f"\nTraces taken: {Traces.spans:,}")
        print("\n".join(table), flush=True)
        shown = len(table)
        # Streams of 34 events 2 ms apart: an upstream that takes its time, with a proxy and a gateway of their own.
        stack.enter_context(running(["taskset", "-c", "1", str(mock)], env=dict(os.environ, MOCK_PORT="9002", MOCK_CHUNK_US="2000")))
        wait("http://127.0.0.1:9002/health")
        (tmp / "slow").mkdir()
        text = (load / "nginx.conf.in").read_text().replace("RUN_DIR", str(tmp / "slow"))
        (tmp / "slow.conf").write_text(text.replace("127.0.0.1:9000", "127.0.0.1:9002").replace(":81", ":82"))
        slow_nginx = stack.enter_context(running(["taskset", "-c", "0", "nginx", "-c", str(tmp / "slow.conf")]))
        slow_port = free_port()
        slow = stack.enter_context(running(["taskset", "-c", "0", o.samplemind, "up", "--foreground", "--no-demo", "--port", str(slow_port)],
                                           env=env | {"SAMPLEMIND_HOME": str(tmp / "slow-home"), "OPENAI_BASE_URL": "http://127.0.0.1:9002/v1"}))
        wait(f"http://127.0.0.1:{slow_port}/healthz")
        time.sleep(0.5)
        streams = {"nginx": [], "SampleMind": []}
        for _ in range(o.rounds):
            streams["nginx"].append(measure("nginx-stream", "http://127.0.0.1:8201", slow_nginx.pid, path="/s/v1/chat/completions", mode="uniq", stream=True, mock=9002, optional=True))
            streams["SampleMind"].append(measure("sm-stream", f"http://127.0.0.1:{slow_port}", slow.pid, mode="uniq", model=MODEL, stream=True, mock=9002, optional=True))
        # On a machine so busy that no stream ends in the time given, there is nothing to divide by.
        streams = {name: [r for r in rounds if r] for name, rounds in streams.items()}
        table += ["", "| a stream of 34 events 2 ms apart | req/s | CPU us a stream | of nginx | errors |", "|---|---|---|---|---|"]
        if all(streams.values()):
            proxy_stream = statistics.median(r["cpu_us"] for r in streams["nginx"])
            for name, rounds in streams.items():
                cpu = statistics.median(r["cpu_us"] for r in rounds)
                table.append(f"| {name} | {statistics.median(r['rps'] for r in rounds):,.0f} | {cpu:.0f} | {cpu / proxy_stream:.2f} | {sum(r['non2xx'] + r['sockerr'] for r in rounds):.0f} |")
        else:
            table.append("| not measured: no stream ended within --seconds | | | | |")
        ttfb = {}
        for name, url, model in (("direct", "http://127.0.0.1:9000", "gpt-4o-mini"), ("nginx", "http://127.0.0.1:8101", "gpt-4o-mini"), ("SampleMind", us, MODEL)):
            # A new body each time would need another script; no-store by a header keeps every stream a miss.
            out = subprocess.run([sys.executable, str(load / "ttfb.py"), name, url, "/v1/chat/completions", model, "200", "Cache-Control: no-store"], capture_output=True, text=True)
            if out.returncode != 0:
                sys.exit(f"ttfb {name}: {out.stdout}{out.stderr}")
            ttfb[name] = json.loads(out.stdout.splitlines()[-1])
        table += ["", "| first streamed event | p50 ms | added to direct |", "|---|---|---|"]
        for name, r in ttfb.items():
            table.append(f"| {name} | {r['ttfb_p50_ms']:.3f} | {r['ttfb_p50_ms'] - ttfb['direct']['ttfb_p50_ms']:.3f} |")
        print("\n".join(table[shown:]))
        if o.out:
            pathlib.Path(o.out).write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
