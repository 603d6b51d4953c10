"""Writes training vectors: sounds of every source, altered, through the program's own front end.

    make_features.py --tool build/release/bin/kind_features --out DIR --part synth|font:FILE|recordings
                     [--seed N] [--per-kind N] [--hold-out LABELS.jsonl]

Each call adds one file of vectors; the seed makes it repeatable. Programs of the sound font that
the labelled sounds of --hold-out were rendered with are left out."""

import argparse
import json
import os
import re
import struct
import subprocess
import sys
import time

import numpy as np

import synth
import synth_tonal
from augment import augment
from recordings import recordings
from soundfont import DRUMS, KITS, PROGRAMS, RANGES, SoundFont

KINDS = ("kick snare rim clap hat_closed hat_open tom crash ride cymbal cowbell perc bass keys mallet guitar strings "
         "brass wind lead pad stab ambience vocal fx").split()
DESCRIPTOR = 84


class FrontEnd:
    def __init__(self, tool, inputs):
        self.process = subprocess.Popen([tool, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.inputs = inputs

    def __call__(self, x, rate=synth.SR):
        x = np.ascontiguousarray(x[:rate * 30], np.float32)
        self.process.stdin.write(struct.pack("<II", len(x), rate) + x.tobytes())
        self.process.stdin.flush()
        size = 4 * self.inputs + DESCRIPTOR
        data = self.process.stdout.read(size)
        if len(data) != size:
            raise RuntimeError("the front end ended")
        return np.frombuffer(data[:4 * self.inputs], np.float32), np.frombuffer(data[4 * self.inputs:], np.int8)


def held_out_programs(labels):
    programs = set()
    if labels:
        for line in open(labels, encoding="utf-8"):
            match = re.fullmatch(r"gm(\d+)", json.loads(line).get("group", ""))
            if match:
                programs.add(int(match.group(1)))
    return programs


def synthesised(seed, per_kind):
    for i in range(per_kind):
        for k, kind in enumerate(KINDS):
            r = np.random.default_rng([seed, i, k])
            make = getattr(synth, kind, None) or getattr(synth_tonal, kind)
            yield kind, "synth", make(r), r


def rendered(path, seed, per_kind, skip):
    font = SoundFont(path)
    name = os.path.basename(path)
    for i in range(per_kind):
        for kit in KITS:
            for note, kind in DRUMS.items():
                if i % 2 and DRUMS[note] == "perc":
                    continue
                r = np.random.default_rng([seed, i, kit, note])
                x = font.play([note], r.integers(25, 128), 0.5, 2.0, kit=kit, bend=r.uniform(-2, 2))
                if len(x):
                    yield kind, f"{name}:kit{kit}:{note}", x, r
        for program, kind in PROGRAMS.items():
            if program in skip:
                continue
            for j in range(3):
                r = np.random.default_rng([seed, i, program, 1000 + j])
                low, high = RANGES[kind]
                root = int(r.integers(low, high))
                chord = kind in ("keys", "guitar", "pad", "strings", "brass") and r.random() < 0.25
                notes = [root] + ([root + k for k in synth_tonal.CHORDS[r.integers(9)][1:]] if chord or kind == "stab" else [])
                x = font.play(notes, r.integers(40, 128), float(np.exp(r.uniform(np.log(0.15), np.log(2.5)))), 0.8,
                              program=program)
                if len(x):
                    yield kind, f"{name}:gm{program}", x, r


def recorded(seed, per_kind):
    import soundfile
    for i in range(per_kind):
        for k, (file, kind, group) in enumerate(recordings()):
            x, rate = soundfile.read(file, always_2d=True)
            x = x.mean(axis=1)
            if rate != synth.SR:
                x = np.interp(np.arange(0, len(x), rate / synth.SR), np.arange(len(x)), x)
            yield kind, group, x, np.random.default_rng([seed, i, k])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--tool", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--part", required=True)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--per-kind", type=int, default=100)
    a.add_argument("--hold-out")
    a.add_argument("--inputs", type=int, default=16 * 40 + 54)
    a = a.parse_args()
    front = FrontEnd(a.tool, a.inputs)
    if a.part == "synth":
        sounds = synthesised(a.seed, a.per_kind)
    elif a.part == "recordings":
        sounds = recorded(a.seed, a.per_kind)
    else:
        sounds = rendered(a.part.removeprefix("font:"), a.seed, a.per_kind, held_out_programs(a.hold_out))
    vectors, labels, groups, descriptors = [], [], [], []
    began = time.time()
    for kind, group, x, r in sounds:
        if len(x) < 64 or not np.all(np.isfinite(x)) or np.max(np.abs(x)) < 1e-6:
            continue
        v, d = front(augment(r, x, kind))
        if not np.any(v):
            continue
        vectors.append(v.astype(np.float16))
        descriptors.append(d)
        labels.append(KINDS.index(kind))
        groups.append(group)
    os.makedirs(a.out, exist_ok=True)
    name = f"{a.part.split(':')[0]}-{os.path.basename(a.part)}-{a.seed}.npz".replace("synth-synth", "synth")
    np.savez(os.path.join(a.out, name), x=np.array(vectors), y=np.array(labels), group=np.array(groups),
             descriptor=np.array(descriptors))
    print(f"{name}: {len(labels)} sounds in {time.time() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
