"""Makes models/rhythm.bin (half precision) of train.py's weights, and values for the engine's test.

  export.py WEIGHTS.npz models/rhythm.bin [--test src/audio/feature/rhythm_net_test_values.h]
"""
import argparse, struct
import numpy as np
import train


def main():
    ap = argparse.ArgumentParser(); ap.add_argument("weights"); ap.add_argument("out"); ap.add_argument("--test")
    a = ap.parse_args()
    with np.load(a.weights) as z: p = {k: z[k].astype(np.float16) for k in z}
    order = ["in", "mid"] + [f"{l}{i}" for i in range(len(train.DILATIONS)) for l in "ab"] + ["head", "pool", "hid", "tempo", "meter"]
    with open(a.out, "wb") as f:
        f.write(b"SMR1" + struct.pack("<7H", train.INPUTS, train.HIDDEN, train.WIDTH, train.POOL, len(train.TEMPI), train.METERS, len(train.DILATIONS)) + struct.pack(f"<{len(train.DILATIONS)}H", *train.DILATIONS))
        for name in order: f.write(p[name + "_w"].tobytes() + p[name + "_b"].tobytes())
    if a.test: write_test(p, a.test)


def test_rows(n=700):
    """A made-up spectrum by formula, so that the test needs no file: row i, band k."""
    i, k = np.arange(n)[:, None], np.arange(train.INPUTS)[None, :]
    return (-6 + 3 * np.sin(0.37 * k + 0.11 * i) + 2 * ((i % 25) < 2) - 1.5 * ((i % 100) < 3)).astype(np.float32)


def write_test(p, path):
    q = {k: np.asarray(v, np.float32) for k, v in p.items()}
    x = test_rows()
    n = len(x)
    out, tempo, meter = [np.asarray(v) for v in train.forward(q, train.normalise(x)[None], np.ones((1, n), np.float32))]
    soft = lambda v: v - v.max() - np.log(np.exp(v - v.max()).sum())
    prob = 1 / (1 + np.exp(-out[0]))
    rows = list(range(0, n, 29))
    num = lambda v: f"{v:.6g}" + ("f" if "." in f"{v:.6g}" or "e" in f"{v:.6g}" else ".0f")
    with open(path, "w") as f:
        f.write("// Written by tools/train/rhythm/export.py: what the network in JAX answers.\n#pragma once\n\n#include <array>\n\n// clang-format off\nnamespace samplemind::audio {\n")
        f.write(f"inline constexpr size_t kTestFrames = {n}, kTestStep = 29;\n")
        f.write(f"inline constexpr std::array<std::array<float, 4>, {len(rows)}> kTestOutputs{{{{\n" + "".join("    {" + ", ".join(num(v) for v in prob[r]) + "},\n" for r in rows) + "}};\n")
        f.write(f"inline constexpr std::array<float, {len(train.TEMPI)}> kTestTempo{{" + ", ".join(num(v) for v in soft(tempo[0])) + "};\n")
        f.write(f"inline constexpr std::array<float, {train.METERS}> kTestMeter{{" + ", ".join(num(v) for v in soft(meter[0])) + "};\n}  // namespace samplemind::audio\n")


if __name__ == "__main__":
    main()
