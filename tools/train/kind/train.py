"""Trains the kind network on the vectors of make_features.py and writes models/kind.bin.

    train.py --features DIR --out models/kind.bin [--nets 3] [--epochs 30] [--check FEATURES.jsonl]

A few multi-layer perceptrons whose probabilities are averaged, in numpy alone. Kinds
count as they are common in packs, and within a kind synthesis, sound fonts and recordings by fixed shares. --check takes lines
{"inputs", "kind", "group"} of sounds to report on (never trained on).

The file, little-endian: "SMK1", uint32 nets, inputs, hidden1, hidden2, kinds, float32 temperature;
float32 mean[inputs], inverse deviation[inputs]; for each net and layer: float32 bias[out],
float32 scale[out], int8 weights[in][out]."""

import argparse
import glob
import json
import struct

import numpy as np

from make_features import KINDS

COARSE = dict(hat_closed="hat", hat_open="hat", rim="snare", crash="cymbal", ride="cymbal", cowbell="perc",
              keys="tonal", mallet="tonal", guitar="tonal", strings="tonal", brass="tonal", wind="tonal", lead="tonal",
              ambience="pad")
# How common the kinds are in packs, roughly; 1 for what is not named.
COMMON = dict(kick=1.6, snare=1.8, hat_closed=1.6, tom=1.3, clap=1.2, crash=1.2, hat_open=1.2, perc=1.3, fx=1.3, bass=1.2,
              cymbal=0.35, cowbell=0.6, stab=0.5, brass=0.7, lead=0.7, strings=0.8, wind=0.8, ambience=0.7)
SHARES = {"synth": 0.5, "font": 0.42, "recordings": 0.08}


def load(folder):
    x, y, source, group, descriptors = [], [], [], [], []
    for file in sorted(glob.glob(folder + "/*.npz")):
        d = np.load(file)
        if not len(d["y"]):
            continue
        kind_of_source = "synth" if "synth" in file else "recordings" if "recordings" in file else "font"
        x.append(d["x"].astype(np.float32))
        y.append(d["y"])
        group += list(d["group"])
        descriptors.append(d["descriptor"])
        source += [kind_of_source] * len(d["y"])
    return np.concatenate(x), np.concatenate(y), np.array(source), np.array(group), np.concatenate(descriptors)


def weights_of(y, source):
    w = np.zeros(len(y))
    for k in range(len(KINDS)):
        present = {s: np.sum((y == k) & (source == s)) for s in SHARES}
        total = sum(SHARES[s] for s in SHARES if present[s])
        for s in SHARES:
            if present[s]:
                # A handful of recordings must not be learnt by heart.
                share = SHARES[s] / total
                w[(y == k) & (source == s)] = min(share / present[s], 0.004) * COMMON.get(KINDS[k], 1)
    return w / w.sum()


class Net:
    def __init__(self, sizes, r):
        self.w = [r.standard_normal((a, b)).astype(np.float32) * np.sqrt(2 / a) for a, b in zip(sizes[:-1], sizes[1:])]
        self.b = [np.zeros(b, np.float32) for b in sizes[1:]]
        self.state = [(np.zeros_like(p), np.zeros_like(p)) for p in self.w + self.b]
        self.step = 0

    def logits(self, x):
        for i, (w, b) in enumerate(zip(self.w, self.b)):
            x = x @ w + b
            if i + 1 < len(self.w):
                x = np.maximum(x, 0)
        return x

    def train(self, x, target, rate, r, drop, decay):
        layers, masks, h = [x], [], x
        for i, (w, b) in enumerate(zip(self.w, self.b)):
            h = h @ w + b
            if i + 1 < len(self.w):
                mask = (h > 0) * (r.random(h.shape, dtype=np.float32) > drop) / (1 - drop)
                masks.append(mask.astype(np.float32))
                h = h * masks[-1]
                layers.append(h)
        p = softmax(h)
        g = (p - target) / len(x)
        grads_w, grads_b = [], []
        for i in reversed(range(len(self.w))):
            grads_w.insert(0, layers[i].T @ g)
            grads_b.insert(0, g.sum(0))
            if i:
                g = (g @ self.w[i].T) * masks[i - 1]
        self.step += 1
        for k, (p_, g_) in enumerate(zip(self.w + self.b, grads_w + grads_b)):
            m, v = self.state[k]
            m *= 0.9
            m += 0.1 * g_
            v *= 0.999
            v += 0.001 * g_ * g_
            p_ -= rate * (m / (1 - 0.9 ** self.step)) / (np.sqrt(v / (1 - 0.999 ** self.step)) + 1e-8)
            if k < len(self.w):
                p_ -= rate * decay * p_
        return -np.sum(target * np.log(p + 1e-9)) / len(x)


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def quantised(net):
    parts = []
    for w, b in zip(net.w, net.b):
        scale = np.maximum(np.abs(w).max(0), 1e-8) / 127
        parts.append((b.astype("<f4"), scale.astype("<f4"), np.round(w / scale).clip(-127, 127).astype(np.int8)))
    return parts


def write(path, nets, mean, inverse, temperature):
    sizes = [nets[0].w[0].shape[0], nets[0].w[0].shape[1], nets[0].w[1].shape[1], len(KINDS)]
    with open(path, "wb") as f:
        f.write(b"SMK1" + struct.pack("<5If", len(nets), *sizes, temperature))
        f.write(mean.astype("<f4").tobytes() + inverse.astype("<f4").tobytes())
        for net in nets:
            for bias, scale, weights in quantised(net):
                f.write(bias.tobytes() + scale.tobytes() + weights.tobytes())
        print(path, f.tell(), "bytes")


def probabilities(nets, x, temperature=1.0):
    return np.mean([softmax(n.logits(x) / temperature) for n in nets], axis=0)


def report(name, p, y, groups=None):
    coarse = [COARSE.get(k, k) for k in KINDS]
    got = p.argmax(1)
    fine = np.mean(got == y)
    rough = np.mean([coarse[a] == coarse[b] for a, b in zip(got, y)])
    top3 = np.mean([b in np.argsort(row)[-3:] for row, b in zip(p, y)])
    print(f"{name}: n {len(y)} fine {fine:.3f} coarse {rough:.3f} top3 {top3:.3f} "
          f"nll {-np.mean(np.log(p[np.arange(len(y)), y] + 1e-9)):.3f}")
    if groups is not None:
        for k in sorted(set(y)):
            these = y == k
            wrong = [KINDS[g] for g in got[these] if g != k]
            print(f"   {KINDS[k]:11s} {np.mean(got[these] == k):.2f} of {these.sum():3d}  "
                  + " ".join(f"{w}:{wrong.count(w)}" for w in sorted(set(wrong), key=lambda w: -wrong.count(w))[:5]))
    return fine, rough


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--features", required=True)
    a.add_argument("--out")
    a.add_argument("--nets", type=int, default=3)
    a.add_argument("--epochs", type=int, default=30)
    a.add_argument("--hidden", type=int, nargs=2, default=[128, 64])
    a.add_argument("--epoch-size", type=int, default=30000)
    a.add_argument("--noise", type=float, default=0.25)
    a.add_argument("--drop", type=float, default=0.25)
    a.add_argument("--blend", type=float, default=0.3)
    a.add_argument("--check", nargs="*", default=[])
    a = a.parse_args()
    x, y, source, group, _ = load(a.features)
    print(len(y), "vectors;", {s: int(np.sum(source == s)) for s in SHARES})
    w = weights_of(y, source)
    mean = (w[:, None] * x).sum(0)
    inverse = 1 / np.sqrt((w[:, None] * (x - mean) ** 2).sum(0) + 1e-3)
    x = (x - mean) * inverse
    checks = []
    for file in a.check:
        rows = [json.loads(line) for line in open(file)]
        rows = [q for q in rows if q["inputs"]]
        checks.append((file, (np.array([q["inputs"] for q in rows], np.float32) - mean) * inverse,
                       np.array([KINDS.index(q["kind"]) for q in rows])))
    nets = []
    for number in range(a.nets):
        r = np.random.default_rng(100 + number)
        net = Net([x.shape[1], *a.hidden, len(KINDS)], r)
        steps = a.epochs * a.epoch_size // 128
        for step in range(steps):
            pick = r.choice(len(y), 128, p=w) if step % 50 else None
            if pick is None:
                picks = r.choice(len(y), 128 * 50, p=w)
            pick = picks[(step % 50) * 128:(step % 50 + 1) * 128]
            batch = x[pick]
            target = np.full((128, len(KINDS)), 0.05 / len(KINDS), np.float32)
            target[np.arange(128), y[pick]] += 0.95
            # Two sounds of one kind blended are of that kind; of two kinds, partly of each.
            mate = r.permutation(128)
            share = r.beta(a.blend, a.blend, (128, 1)).astype(np.float32)
            batch = batch * share + batch[mate] * (1 - share)
            target = target * share + target[mate] * (1 - share)
            batch = batch + a.noise * r.standard_normal(batch.shape, dtype=np.float32)
            batch = batch * (r.random(batch.shape, dtype=np.float32) > 0.1)
            rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
            loss = net.train(batch, target, rate, r, a.drop, 5e-4)
        nets.append(net)
        print(f"net {number}: loss {loss:.3f}")
        for file, cx, cy in checks:
            report(f"  {file} net {number}", probabilities([net], cx), cy)
    for file, cx, cy in checks:
        report(file, probabilities(nets, cx), cy, True)
    if a.out:
        write(a.out, nets, mean, inverse, 1.0)


if __name__ == "__main__":
    main()
