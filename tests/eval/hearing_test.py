"""Runs `samplemind analyze --json` over a labelled corpus and prints the scorer's table.

It fails when a file cannot be analysed, when a file's answer is lost, when `samplemind eval` scores otherwise, or when the ear is so wrong that something must be
broken (the floors below are far under today's figures: they catch accidents, they are no targets).
"""
import json, os, pathlib, subprocess, sys, tempfile

FLOORS = {"acc1": 0.40, "acc2": 0.60, "keyAcc": 0.40}


def compare_with_the_program(env, corpus, labels, predictions, home):
    """`samplemind eval` prints what the scorer prints: the metrics that differ by more than rounding. Over every third sound."""
    labels_file = home / "labels.jsonl"
    labels_file.write_text("".join(json.dumps(dict(label, file=str(corpus / label["file"]))) + "\n" for label in labels[::3]))
    run = subprocess.run([os.environ["SAMPLEMIND_BIN"], "eval", str(labels_file), "--json", "--peers", str(pathlib.Path(__file__).with_name("peers.json"))], env=env, capture_output=True, text=True)
    if not run.stdout.strip():
        return f"eval printed nothing: {run.stderr[-500:]}"
    scored = home / "third.json"
    subprocess.run([sys.executable, str(corpus / "score.py"), str(predictions), "--labels", str(labels_file), "--json", str(scored)], check=True, capture_output=True)
    theirs = json.loads(scored.read_text())[predictions.name]["TOTAL (no degraded)"]
    total = json.loads(run.stdout)["groups"]["total (no degraded)"]
    if abs(total["acc1"]["peers"].get("madmom", 0) - 0.786) > 1e-9 or not total["acc1"]["low"] <= total["acc1"]["value"] <= total["acc1"]["high"]:
        return f"no peers or no interval: {total['acc1']}"
    ours = {name: metric["value"] for name, metric in total.items() if isinstance(metric, dict)}
    same = lambda a, b: a is not None and abs(a - b) < 1e-6
    return {k: (ours.get(k), v) for k, v in theirs.items() if isinstance(v, float) and not same(ours.get(k), v)}


def main():
    corpus = pathlib.Path(os.environ["SAMPLEMIND_EVAL"])
    labels_file = corpus / "labels.jsonl"
    if not labels_file.exists():
        print(f"SKIPPED: the labelled corpus is not beside this checkout ({labels_file})")
        return 77
    labels = [json.loads(line) for line in labels_file.read_text().splitlines() if line.strip()]
    paths = [corpus / label["file"] for label in labels]  # an absolute label replaces the corpus folder
    present = [str(p) for p in paths if p.exists()]
    absent = len(paths) - len(present)
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, SAMPLEMIND_HOME=home)
        run = subprocess.run([os.environ["SAMPLEMIND_BIN"], "analyze", "--json", *present], env=env, capture_output=True, text=True)
        predictions = pathlib.Path(home) / "predictions.jsonl"
        predictions.write_text(run.stdout)
        answered = sum(1 for line in run.stdout.splitlines() if line.strip())
        print(f"{answered} of {len(present)} files analysed; {absent} of {len(paths)} are in packages that are not installed")
        scored = pathlib.Path(home) / "score.json"
        score = subprocess.run([sys.executable, str(corpus / "score.py"), str(predictions), "--labels", str(labels_file), "--json", str(scored)], capture_output=True, text=True)
        print(score.stdout, score.stderr, sep="")
        if run.returncode != 0 or answered != len(present):
            print(f"analyze ended with {run.returncode}\n{run.stderr[-2000:]}")
            return 1
        total = json.loads(scored.read_text())["predictions.jsonl"]["TOTAL (no degraded)"]
        differ = compare_with_the_program(env, corpus, labels, predictions, pathlib.Path(home))
        if differ:
            print(f"samplemind eval and the scorer disagree: {differ}")
            return 1
        bad = {k: total.get(k) for k, floor in FLOORS.items() if (total.get(k) or 0) < floor}
        if bad:
            print(f"far below what the ear does: {bad}, floors {FLOORS}")
            return 1
    return score.returncode


if __name__ == "__main__":
    sys.exit(main())
