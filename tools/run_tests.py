#!/usr/bin/env python3
"""samplemind test: builds what is stale and runs the tests in parallel on all cores.

  samplemind test              all but the long ones
  samplemind test --fast       unit tests only
  samplemind test --changed    only tests whose program or data changed since they last passed
  samplemind test --filter RE  only tests whose name matches
  samplemind test --sanitize   unit tests and the gateway under load, under AddressSanitizer+UBSan and ThreadSanitizer instead
  samplemind test --fuzz [S]   every libFuzzer target for S seconds (10) from its corpus instead
  samplemind test --long       the long ones too: soaks, kills, large libraries, image builds
"""
import argparse, concurrent.futures, hashlib, json, os, pathlib, re, subprocess, sys, tempfile
import xml.etree.ElementTree as ET

CORES = os.cpu_count() or 1


def ctest(build, *args):
    return subprocess.run(["ctest", "--test-dir", str(build), *args], capture_output=True, text=True)


def listing(build):
    """Name -> {labels, inputs (files whose content decides the result), gtest?} of every test."""
    out = ctest(build, "--show-only=json-v1")
    if out.returncode != 0:
        sys.exit(f"ctest could not list the tests:\n{out.stdout}{out.stderr}")
    tests = {}
    for t in json.loads(out.stdout)["tests"]:
        properties = {p["name"]: p["value"] for p in t.get("properties", [])}
        words = list(t.get("command", [])) + list(properties.get("REQUIRED_FILES", []))
        # An environment variable that names a file (the service's binary) is an input too.
        words += [v.split("=", 1)[1] for v in properties.get("ENVIRONMENT", []) if "=" in v]
        tests[t["name"]] = {"labels": properties.get("LABELS", []), "inputs": sorted({w for w in words if os.path.isfile(w)})}
    return tests


def digest(inputs, cache={}):
    total = hashlib.sha256()
    for path in inputs:
        if path not in cache:
            cache[path] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
        total.update(f"{path} {cache[path]}\n".encode())
    return total.hexdigest()


def support_files(root):
    """Shared test code: a change there concerns every integration test."""
    return [str(p) for p in sorted((root / "tests").rglob("*")) if p.suffix in (".py", ".js")]


# What no second try may excuse, beside a crash of the test itself.
HARD = re.compile(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error: |SIG(SEGV|ABRT|BUS|FPE|ILL)\b|core dumped")


def run(build, names, jobs, figures=()):
    """Runs the named tests; gives {name: passed|failed|skipped}. What the tests in `figures` printed is shown also when they pass.
    In CI what failed runs once more, alone: a busy machine may be late. What passes then is told as flaky."""
    results, soft = ran(build, names, jobs, figures)
    if soft and os.environ.get("CI") == "true":
        for name, result in ran(build, soft, 1, figures)[0].items():
            results[name] = result
            if result == "passed":
                print(f"FLAKY: {name} failed at first and passed alone")
    return results


def ran(build, names, jobs, figures):
    """One run of the named tests: {name: passed|failed|skipped}, and those of the failed that may be tried again."""
    if not names:
        return {}, []
    junit = build / "junit.xml"
    junit.unlink(missing_ok=True)
    pattern = "^(" + "|".join(re.escape(n) for n in names) + ")$"
    results = {n: "failed" for n in names}  # a test that left no result has not passed
    soft, crashed = [], set()
    command = ["ctest", "--test-dir", str(build), "-R", pattern, "-j", str(jobs), "--output-on-failure", "--output-junit", str(junit), "--no-tests=error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as running:
        for line in running.stdout:
            print(line, end="", flush=True)
            crash = re.match(r" *\d+/\d+ Test +#\d+: (\S+) \.*\*\*\*Exception", line)  # which the JUnit file does not tell
            if crash:
                crashed.add(crash[1])
    if not junit.exists():
        return results, soft
    for case in ET.parse(junit).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        printed = (case.findtext("system-out") or "").strip()
        if case.find("skipped") is not None or status in ("notrun", "disabled"):
            results[name] = "skipped"
            print(f"skipped: {name}: {printed.splitlines()[-1] if printed else 'no reason given'}")
        elif status == "run":
            results[name] = "passed"
            if name in figures:
                print(f"--- {name}\n{printed}\n---")
        elif name not in crashed and not HARD.search(printed):
            soft.append(name)
    return results, soft


def step(command, root, preset):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-2000:], sep="")
        print("0 passed, 1 failed")
        sys.exit(f"the {preset} build failed")


def sanitized(root, filter_re):
    """Unit tests, and the integration tests labelled for it, under both sanitizer builds. Name -> result, the build's name in front."""
    results = {}
    options = {"asan": {"ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
               "tsan": {"TSAN_OPTIONS": f"halt_on_error=1:suppressions={root}/tools/tsan.supp"}}
    for preset, env in options.items():
        build = root / "build" / preset
        step(["cmake", "--preset", preset], root, preset)
        # C++ programs: what their targets are called, their tests are called.
        wanted = "concurrent" if preset == "tsan" else "unit"
        tests = {n: t["labels"] for n, t in listing(build).items() if re.search(filter_re, n)}
        programs = [n for n, labels in tests.items() if wanted in labels and n.endswith("_test")]
        whole = [n for n, labels in tests.items() if "sanitized" in labels]
        names = programs + whole
        if not names:
            continue
        step(["ninja", "-C", str(build), "-k", "0", *programs, *(["samplemind", "fake_provider", "net_client"] if whole else [])], root, preset)
        before = dict(os.environ)
        os.environ.update(env, SAMPLEMIND_SANITIZED=preset)
        results |= {f"{preset}: {n}": r for n, r in run(build, names, CORES).items()}
        os.environ.clear()
        os.environ.update(before)
    return results


def fuzzed(root, filter_re, seconds):
    """Every fuzz target, from its corpus, for so many seconds. What it finds anew stays out of the corpus; a crash names its input."""
    build = root / "build/fuzz"
    step(["cmake", "--preset", "fuzz"], root, "fuzz")
    known = subprocess.run(["ninja", "-C", str(build), "-t", "targets", "all"], capture_output=True, text=True, check=True).stdout
    names = sorted(n for n in set(re.findall(r"^bin/(fuzz_\w+):", known, re.M)) if re.search(filter_re, n))
    step(["ninja", "-C", str(build), *names], root, "fuzz")
    found = build / "found"
    found.mkdir(exist_ok=True)

    def one(name):
        corpus = root / "fuzz/corpus" / name.removeprefix("fuzz_")
        with tempfile.TemporaryDirectory() as new:
            folders = [new] + ([str(corpus)] if corpus.is_dir() else [])
            done = subprocess.run([str(build / "bin" / name), f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=20", "-print_final_stats=1",
                                   f"-artifact_prefix={found}/{name}-", *folders], capture_output=True, text=True, errors="replace")
        runs = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        print(f"{name}: {runs[1] if runs else '?'} inputs", flush=True)
        if done.returncode != 0:
            print(done.stderr[-4000:], flush=True)
        return name, "passed" if done.returncode == 0 else "failed"

    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return dict(pool.map(one, names))


def main():
    a = argparse.ArgumentParser(prog="samplemind test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--fast", action="store_true", help="unit tests only")
    a.add_argument("--changed", action="store_true", help="only what changed since its last pass")
    a.add_argument("--filter", default="", metavar="RE", help="only tests whose name matches")
    a.add_argument("--sanitize", action="store_true", help="unit tests and the gateway under load, under the sanitizers")
    a.add_argument("--fuzz", nargs="?", type=int, const=10, metavar="S", help="every fuzz target for S seconds (10)")
    a.add_argument("--long", action="store_true", help="the long tests too")
    a.add_argument("--root", default=str(pathlib.Path(__file__).resolve().parent.parent), help=argparse.SUPPRESS)
    a.add_argument("--build", help=argparse.SUPPRESS)
    o = a.parse_args()
    root = pathlib.Path(o.root)
    build = pathlib.Path(o.build) if o.build else root / "build/release"
    if o.sanitize:
        results = sanitized(root, o.filter)
        return report(results, 0)
    if o.fuzz is not None:
        return report(fuzzed(root, o.filter, o.fuzz), 0)

    tests = listing(build)
    names = [n for n, t in tests.items() if re.search(o.filter, n)]
    if o.fast:
        names = [n for n in names if "unit" in tests[n]["labels"]]
    elif not o.long:
        names = [n for n in names if "long" not in tests[n]["labels"]]
    state_file = build / "last-pass.json"
    state = json.loads(state_file.read_text()) if state_file.exists() else {}
    shared = support_files(root)
    now = {n: digest(tests[n]["inputs"] + ([] if "unit" in tests[n]["labels"] else shared)) for n in names}
    unchanged = [n for n in names if o.changed and state.get(n) == now[n]]
    for n in unchanged:
        names.remove(n)
    results = run(build, names, CORES, figures=[n for n in names if "figures" in tests[n]["labels"]])
    for n, r in results.items():
        state.pop(n, None)
        if r == "passed":
            state[n] = now[n]
    state_file.write_text(json.dumps(state, indent=1))
    return report(results, len(unchanged))


def report(results, unchanged):
    count = {k: sum(1 for r in results.values() if r == k) for k in ("passed", "failed", "skipped")}
    for n, r in sorted(results.items()):
        if r == "failed":
            print(f"FAILED: {n}")
    if unchanged:
        print(f"{unchanged} unchanged since their last pass")
    print(f"{count['passed']} passed, {count['failed']} failed" + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    if count["failed"]:
        return 1
    if not results and not unchanged:
        print("no test matched", file=sys.stderr)
        return 1
    # CI has everything that a test may ask for: a skip there hides something.
    allowed = os.environ.get("SAMPLEMIND_ALLOWED_SKIPS", "")
    if os.environ.get("CI") == "true" and any(r == "skipped" and n not in allowed.split(",") for n, r in results.items()):
        print("a test was skipped, which CI does not allow", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
