#!/usr/bin/env python3
"""Our client's HTTP/2 against HTTP/1.1, and against Python's httpx:  bench/net_http2.py BUILD [--rounds 5] [--httpx]

100 small requests at once (an answer of 500 bytes) to our server through a proxy that adds a round trip. Cold: nothing is
open, each round is a new process. Warm: the same requests have gone once before. Rounds of all variants are interleaved,
medians are given. CPU is the client's own, a request. BUILD is a build folder made with -DSAMPLEMIND_BENCH=ON and tests.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HTTPX = """
import asyncio, json, ssl, sys, time, httpx
url, rounds, http2, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "2", sys.argv[4]
async def main():
    verify = ssl.create_default_context(cafile=ca) if ca else False
    limits = httpx.Limits(max_connections=6 if not http2 else None)
    async with httpx.AsyncClient(http1=not (http2 and not ca), http2=http2, verify=verify, limits=limits, timeout=60, trust_env=False) as c:
        for _ in range(rounds):
            wall, cpu = time.perf_counter(), time.process_time()
            answers = await asyncio.gather(*(c.get(url) for _ in range(100)))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert all(a.status_code == 200 for a in answers)
    print(json.dumps({"wall_ms": wall * 1e3, "cpu_us": cpu * 1e4, "version": answers[0].http_version}))
asyncio.run(main())
"""


class Running:
    def __init__(self, *command):
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rstrip().split(":")[-1])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def httpx_python():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "samplemind-tests" / "httpx-venv"
    python = cache / "bin" / "python"
    if not (cache / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", cache], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "httpx[http2]==0.28.*"], check=True)
        (cache / "ready").write_text("")
    return python


def main():
    args = argparse.ArgumentParser()
    args.add_argument("build", type=pathlib.Path)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--httpx", action="store_true")
    args = args.parse_args()
    bin_ = args.build / "bin"
    with tempfile.TemporaryDirectory() as folder:
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, capture_output=True)
        running = [Running(bin_ / "net_hello", 0), Running(bin_ / "net_hello", 0, 1, cert, key)]
        clear, tls = running
        try:
            for trip in (20, 80):
                proxies = {False: Running(bin_ / "delay_proxy", clear.port, trip), True: Running(bin_ / "delay_proxy", tls.port, trip)}
                running += proxies.values()
                table(args, bin_, cert, trip, {secure: p.port for secure, p in proxies.items()})
            if args.httpx:
                against_httpx(args, bin_, cert, {False: clear.port, True: tls.port})
        finally:
            for each in running:
                each.stop()


def run(command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer.get("good", 100) == 100, answer
    return answer


def ours(bin_, cert, port, secure, variant, rounds):
    http, connections = variant
    url = f"{'https' if secure else 'http'}://127.0.0.1:{port}/"
    command = [bin_ / "net_client", "--quiet", "--count", 100, "--at-once", 100, "--rounds", rounds, "--http", http]
    return command + (["--ca", cert] if secure else []) + (["--connections", connections] if connections else []) + [url]


def table(args, bin_, cert, trip, ports):
    variants = {"HTTP/2": (2, 0), "HTTP/1.1, 6 connections": (1, 6), "32": (1, 32), "100": (1, 100)}
    print(f"\nround trip {trip} ms, 100 requests at once; wall ms (of HTTP/2) and client CPU us a request")
    for secure in (False, True):
        for warm in (False, True):
            got = {name: [] for name in variants}
            for _ in range(args.rounds):
                for name, variant in variants.items():
                    got[name].append(run(ours(bin_, cert, ports[secure], secure, variant, 2 if warm else 1)))
            median = {name: (statistics.median(a["wall_ms"] for a in runs), statistics.median(a["cpu_us"] for a in runs))
                      for name, runs in got.items()}
            base = median["HTTP/2"][0]
            cells = " | ".join(f"{name} {wall:.0f} ms ({wall / base:.2f}x) {cpu:.0f} us" for name, (wall, cpu) in median.items())
            print(f"{'TLS' if secure else 'clear'}, {'warm' if warm else 'cold'} | {cells}", flush=True)


def against_httpx(args, bin_, cert, ports):
    python = httpx_python()
    print("\nclient CPU us a request, warm (the tenth hundred of 10 on one client), no added latency")
    for secure, http in ((False, 1), (True, 2)):
        mine, theirs = [], []
        for _ in range(args.rounds):
            mine.append(run(ours(bin_, cert, ports[secure], secure, (http, 6 if http == 1 else 0), 10))["cpu_us"])
            url = f"{'https' if secure else 'http'}://127.0.0.1:{ports[secure]}/"
            theirs.append(run([python, "-c", HTTPX, url, 10, http, cert if secure else ""])["cpu_us"])
        a, b = statistics.median(mine), statistics.median(theirs)
        print(f"{'HTTP/2 over TLS' if secure else 'HTTP/1.1, 6 connections, clear'}: ours {a:.1f} | httpx {b:.0f} | {b / a:.0f}x", flush=True)


if __name__ == "__main__":
    main()
