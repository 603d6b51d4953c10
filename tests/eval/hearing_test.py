"""Runs `samplemind analyze --json` over a labelled corpus and prints the scorer's table.

It fails when a file cannot be analysed, when a file's answer is lost, or when the ear is so wrong that something must be
broken (the floors below are far under today's figures: they catch accidents, they are no targets).
"""
import json, os, pathlib, subprocess, sys, tempfile

FLOORS = {"acc1": 0.40, "acc2": 0.60, "keyAcc": 0.40}


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
        bad = {k: total.get(k) for k, floor in FLOORS.items() if (total.get(k) or 0) < floor}
        if bad:
            print(f"far below what the ear does: {bad}, floors {FLOORS}")
            return 1
    return score.returncode


if __name__ == "__main__":
    sys.exit(main())
