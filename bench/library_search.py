#!/usr/bin/env python3
"""A library of a million sounds: searches, similarity, the service's start and memory, its first page over the API; SQLite's
LIKE and what Python users take for nearest neighbours beside them. One command:

    bench/library_search.py BUILD [--home DIR] [--sounds 1000000] [--peers] [--python VENV/bin/python]
    bench/library_search.py BUILD --sizes 10000,30000,100000,300000      similarity alone, beside the peers

BUILD: a build folder with the benchmarks. --home: kept and used again (filling it takes minutes). --peers: faiss-cpu and hnswlib
from PyPI in a virtual environment (--python: one that has them); hnswlib's graph of a million takes some ten minutes to build. One JSON object a line."""
import argparse
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

# A descriptor's values as floats whose Euclidean distance is ours (src/audio/feature/descriptor.h).
PEERS = r"""
import json, sys, time, resource
import numpy as np
scale = np.concatenate([np.full(32, 1 / 150), np.full(16, .1 ** .5 / 100), np.full(16, .3 ** .5 / 50), np.full(16, .25 ** .5 / 150)]).astype("f4")
x = np.fromfile(sys.argv[1] + "/vectors.i8", dtype="i1").reshape(-1, 80).astype("f4") * scale
q = x[np.random.default_rng(9).integers(len(x), size=200)]
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
def ask(name, one, **more):
    wall, used, found = [], [], []
    for v in q:
        t, c = time.perf_counter(), cpu()
        found.append(one(v.reshape(1, -1)))
        wall.append(time.perf_counter() - t); used.append(cpu() - c)
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, exact)) / (50 * len(exact)) if exact else 1
    print(json.dumps({"peer": name, "sounds": len(x), "ms_p50": 1e3 * float(np.quantile(wall, .5)), "ms_p99": 1e3 * float(np.quantile(wall, .99)),
                      "cpu_ms_p50": 1e3 * float(np.quantile(used, .5)), "recall_at_50": hits, **more}), flush=True)
    return found
exact = []
import faiss
faiss.omp_set_num_threads(2)
flat = faiss.IndexFlatL2(80); flat.add(x)
exact = ask("faiss IndexFlatL2, exact", lambda v: flat.search(v, 50)[1][0])
del flat
sq = faiss.IndexScalarQuantizer(80, faiss.ScalarQuantizer.QT_8bit); sq.train(x); sq.add(x)
ask("faiss 8-bit quantizer", lambda v: sq.search(v, 50)[1][0])
del sq
import hnswlib
c = cpu()
h = hnswlib.Index("l2", 80); h.init_index(len(x), M=16, ef_construction=100); h.set_num_threads(2); h.add_items(x)
built = cpu() - c
for ef in (50, 100, 200):
    h.set_ef(ef)
    ask(f"hnswlib M=16 ef={ef}", lambda v: h.knn_query(v, k=50, num_threads=1)[0][0], build_cpu_s=built)
"""
PAGES = ["", "dusty kick", "snare bpm:120-128", "kind:bass sort:-length", "~key:8A is:loop", "warm -loop sort:name", "kikc glass",
         "folder:kick lufs:>-12", "vinyl tape sort:bpm", "is:loop bpm:174"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return answer.read()


def service(build, home):
    port = free_port()
    env = {**os.environ, "SAMPLEMIND_HOME": str(home), "OLLAMA_HOST": f"127.0.0.1:{free_port()}"}
    start = time.perf_counter()
    process = subprocess.Popen([build / "bin/samplemind", "up", "--foreground", "--no-demo", "--port", str(port)], env=env,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                get(url + "/healthz")
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - start > 60:
                    raise SystemExit("the service does not start: is one running on this home?") from None
                time.sleep(0.005)
        up_ms = 1e3 * (time.perf_counter() - start)
        get(url + "/api/v1/samples?q=kick&limit=50")
        searchable_ms = 1e3 * (time.perf_counter() - start)
        took = []
        for i in range(400):
            target = url + "/api/v1/samples?limit=50&q=" + urllib.parse.quote(PAGES[i % len(PAGES)])
            begin = time.perf_counter()
            get(target)
            took.append(1e3 * (time.perf_counter() - begin))
        found = json.loads(get(url + "/api/v1/samples?limit=1&q=kick"))["samples"][0]["id"]
        body = json.dumps({"id": found, "limit": 50}).encode()
        request = urllib.request.Request(url + "/api/v1/similar", body, {"Content-Type": "application/json"})
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read()
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        kb = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
        took.sort()
        print(json.dumps({"service_up_ms": up_ms, "searchable_ms": searchable_ms, "first_page_ms_p50": took[len(took) // 2],
                          "first_page_ms_p99": took[int(len(took) * .99)], "resident_mb": kb["VmRSS"] / 1024,
                          "peak_mb": kb["VmHWM"] / 1024}), flush=True)
    finally:
        process.terminate()
        process.wait(30)


def peers(home, temporary, python):
    if not python:
        python = pathlib.Path(temporary) / "venv/bin/python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", "numpy", "faiss-cpu", "hnswlib"], check=True)
    subprocess.run([python, "-c", PEERS, home], check=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("build", type=pathlib.Path)
    arguments.add_argument("--home", type=pathlib.Path)
    arguments.add_argument("--sounds", type=int, default=1000000)
    arguments.add_argument("--peers", action="store_true")
    arguments.add_argument("--python", type=pathlib.Path)
    arguments.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")])
    a = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        program = a.build / "bin/library_million"
        for sounds in a.sizes or []:
            home = pathlib.Path(temporary) / f"home-{sounds}"
            subprocess.run([program, "make", home, str(sounds)], check=True)
            subprocess.run([program, "measure", home], check=True)
            peers(home, temporary, a.python)
            shutil.rmtree(home)
        if a.sizes:
            return
        home = a.home or pathlib.Path(temporary) / "home"
        if not (home / "library.db").exists():
            subprocess.run([program, "make", home, str(a.sounds)], check=True)
        subprocess.run([program, "measure", home], check=True)
        service(a.build, home)
        if a.peers:
            peers(home, temporary, a.python)


if __name__ == "__main__":
    main()
