"""Trains the bar network (src/audio/feature/bars.h) on what make_data.py wrote and writes its weights.

  train_bars.py DATA W.npz OUT.bin [--minutes 4] [--nets 3] [--test TEST_VALUES.h]

W.npz: the frame network of train.py, whose answers are part of the input (now and then they are hidden). Each piece is
seen with its true beats, with beats twice as fast, with every second beat, with those between, with three for two and two
for three; the first teaches where bars begin, all of them what the right pace is. Every twelfth piece is held back and
only measured. Minutes are of CPU time, so that a busy machine trains as long, and for each of the networks, whose
answers are averaged.
"""
import argparse, glob, os, struct, time
import jax, jax.numpy as jnp, numpy as np, optax
import export, train
from bars import FPS, INPUTS, bar_features, reduce

WIDTH, CROP = 48, 96
FRAME_NET = slice(80, 86)     # its part of the inputs
DILATIONS = [1, 2, 4, 8, 16]
PACES = 6
BEATS_A_BAR = {0: 2, 1: 2, 2: 3, 3: 4, 4: 2}


def init(key):
    def dense(i, o, gain=1.0):
        nonlocal key
        key, k = jax.random.split(key)
        return jax.random.normal(k, (i, o)) * gain * np.sqrt(2 / i)
    p = {"in_w": dense(3 * INPUTS, WIDTH), "in_b": jnp.zeros(WIDTH)}
    for i in range(len(DILATIONS)):
        p[f"a{i}_w"], p[f"a{i}_b"] = dense(3 * WIDTH, WIDTH), jnp.zeros(WIDTH)
        p[f"b{i}_w"], p[f"b{i}_b"] = dense(WIDTH, WIDTH, 0.3), jnp.zeros(WIDTH)
    p["head_w"], p["head_b"] = dense(WIDTH, 1, 0.5), jnp.array([-1.2])
    p["pool_w"], p["pool_b"] = dense(WIDTH, WIDTH), jnp.zeros(WIDTH)
    p["meter_w"], p["meter_b"] = dense(WIDTH, train.METERS, 0.5), jnp.zeros(train.METERS)
    p["pace_w"], p["pace_b"] = dense(WIDTH, PACES, 0.5), jnp.zeros(PACES)
    return p


def forward(p, x, mask, drop=None):
    """x: pieces x beats x INPUTS, normalised. Log-odds of first beats, metre and pace logits."""
    m = mask[..., None]
    keep = lambda h, rate, k: h if drop is None else h * jax.random.bernoulli(jax.random.fold_in(drop, k), rate, (h.shape[0], 1, h.shape[2])) / rate
    h = jax.nn.relu(train.shifted(keep(x, 0.9, 99) * m, 1) @ p["in_w"] + p["in_b"]) * m
    for i, d in enumerate(DILATIONS):
        h = keep(h, 0.85, i)
        u = jax.nn.relu(train.shifted(h, d) @ p[f"a{i}_w"] + p[f"a{i}_b"])
        h = (h + u @ p[f"b{i}_w"] + p[f"b{i}_b"]) * m
    pool = (jax.nn.relu(h @ p["pool_w"] + p["pool_b"]) * m).sum(1) / (m.sum(1) + 1e-6)
    return (h @ p["head_w"] + p["head_b"])[..., 0], pool @ p["meter_w"] + p["meter_b"], pool @ p["pace_w"] + p["pace_b"]


def sequences(data, frame_net):
    """Of every piece: its features at each pace, with labels."""
    run, items = jax.jit(train.forward), []
    for f in sorted(glob.glob(os.path.join(data, "[0-9]*.npz"))):
        if ".tmp." in f: continue
        number = int(os.path.basename(f)[:6])
        rng = np.random.default_rng(number)
        with np.load(f) as z:
            x, beats, downbeats, ts, loop = train.normalise(z["x"].astype(np.float32)), z["beats"], z["downbeats"], int(z["ts"]), bool(z["loop"])
        n = len(x)
        padded = np.zeros((1, -(-n // 1024) * 1024, x.shape[1]), np.float32)
        padded[0, :n] = x
        logits = np.asarray(run(frame_net, padded, np.arange(padded.shape[1])[None] < n)[0])[0, :n]
        bands = reduce(x)
        b = beats[beats < n / FPS - 0.05]
        if len(b) < 6: continue
        first = np.array([len(downbeats) > 0 and np.min(np.abs(downbeats - t)) < 0.03 for t in b])
        def add(times, flags, pace):
            times = np.sort(np.maximum(times + rng.normal(size=len(times)) * 0.006, 0))
            items.append(dict(x=bar_features(bands, logits, times), first=flags, ts=ts, pace=pace, loop=loop, held=number % 12 == 0 and number < 500000))
        add(b, first, 0)
        between = lambda first, step: np.interp(np.arange(first, len(b) - 1 + 1e-9, step), np.arange(len(b)), b)
        gap, none = np.median(np.diff(b)), lambda t: np.zeros(len(t), bool)
        if gap / 2 > 60 / 270: t = between(0, 0.5); add(t, none(t), 1)
        for o in (0, 1):
            if len(b) >= 8 and gap * 2 < 60 / 35: add(b[o::2], first[o::2], 2)
        add(between(0.5, 1), first[:-1], 3)
        if gap * 2 / 3 > 60 / 250: t = between(rng.integers(0, 2) / 3, 2 / 3); add(t, none(t), 4)
        if gap * 1.5 < 60 / 38 and len(b) > 10 and (ts == 2 or rng.random() < 0.25): t = between(rng.integers(0, 3) / 2, 1.5); add(t, none(t), 5)
    return items


def make_batch(rng, items, drawing=True):
    b = len(items)
    out = dict(x=np.zeros((b, CROP, INPUTS), np.float32), mask=np.zeros((b, CROP), np.float32), first=np.zeros((b, CROP), np.float32),
               ts=np.array([i["ts"] for i in items]), pace=np.array([i["pace"] for i in items]), bars=np.zeros(b, np.float32))
    for k, item in enumerate(items):
        n = min(len(item["x"]), CROP)
        if drawing and n > 16 and rng.random() < 0.5: n = int(rng.integers(12, n + 1))
        at = int(rng.integers(0, len(item["x"]) - n + 1)) if drawing else 0
        x = item["x"][at:at + n]
        if drawing: x = x + rng.normal(size=x.shape) * 0.15 + rng.normal(size=(1, INPUTS)) * 0.15
        if drawing and rng.random() < 0.35: x[:, FRAME_NET] = 0      # what the frame network says may be wrong: look for yourself
        out["x"][k, :n], out["mask"][k, :n], out["first"][k, :n] = x, 1, item["first"][at:at + n]
        out["bars"][k] = item["pace"] == 0 and not item["loop"] and n >= 12
    return out


def loss_fn(p, batch, drop):
    first, meter, pace = forward(p, batch["x"], batch["mask"], drop)
    w = batch["mask"] * (batch["pace"] == 0)[:, None]
    bars = (train.bce(first, batch["first"]) * w).sum() / (w.sum() + 1e-6)
    chosen = lambda logits, index: -jnp.take_along_axis(jax.nn.log_softmax(logits), index[:, None], 1)[:, 0]
    m = (chosen(meter, batch["ts"]) * batch["bars"]).sum() / (batch["bars"].sum() + 1e-6)
    return bars + 0.2 * m + 0.3 * chosen(pace, batch["pace"]).mean()


def evaluate(run, p, items):
    phase, meter, pace = [], [], []
    for s in range(0, len(items), 32):
        chunk = (items[s:s + 32] * 32)[:32]
        b = make_batch(None, chunk, False)
        first, mt, pc = [np.asarray(v) for v in run(p, b["x"], b["mask"])]
        for k in range(min(32, len(items) - s)):
            item, n = chunk[k], int(b["mask"][k].sum())
            pace.append(pc[k].argmax() == item["pace"])
            bar = BEATS_A_BAR[item["ts"]]
            if item["pace"] or item["loop"] or n < 2 * bar or not item["first"][:n].any(): continue
            phase.append(np.argmax([first[k, o:n:bar].mean() for o in range(bar)]) == np.argmax(item["first"]) % bar)
            meter.append(mt[k].argmax() == item["ts"])
    return dict(phase=round(100 * np.mean(phase), 1), meter=round(100 * np.mean(meter), 1), pace=round(100 * np.mean(pace), 1), n=len(phase))


def write(path, nets, mean, scale):
    half = lambda v: np.asarray(v, "<f2").tobytes()
    names = ["in"] + [f"{c}{i}" for i in range(len(DILATIONS)) for c in "ab"] + ["head", "pool", "meter", "pace"]
    with open(path, "wb") as f:
        f.write(b"SMB2" + struct.pack(f"<{4 + len(DILATIONS)}H", INPUTS, WIDTH, len(nets), len(DILATIONS), *DILATIONS) + half(mean) + half(scale))
        for p in nets:
            for name in names: f.write(half(p[name + "_w"]) + half(p[name + "_b"]))


def write_test(path, nets, frame_net, mean, scale):
    """What the engine's unit test must answer for made-up rows (export.test_rows) and beats."""
    rows = train.normalise(export.test_rows())
    beats = 0.3 + 0.5 * np.arange(int((len(rows) / FPS - 0.5) / 0.5))
    logits = np.asarray(train.forward(frame_net, rows[None], np.ones((1, len(rows))))[0])[0]
    x = (bar_features(reduce(rows), logits, beats) - mean) * scale
    soft = lambda v: v - v.max() - np.log(np.exp(v - v.max()).sum())
    answers = [[np.asarray(v)[0] for v in forward(p, x[None].astype(np.float32), np.ones((1, len(x))))] for p in nets]
    first, meter, pace = [np.mean([f(a[k]) for a in answers], 0) for k, f in ((0, np.asarray), (1, soft), (2, soft))]
    line = lambda name, v: f"inline constexpr std::array<float, {len(v)}> {name}{{" + ", ".join(f"{float(a):.5f}f" for a in v) + "};\n"
    with open(path, "w") as f:
        f.write("// Written by tools/train/rhythm/train_bars.py: what the bar network in JAX answers for made-up rows and beats.\n#pragma once\n\n#include <array>\n\n// clang-format off\nnamespace samplemind::audio {\n")
        f.write(line("kTestBars", first) + line("kTestBarMeter", meter) + line("kTestPace", pace) + "}  // namespace samplemind::audio\n")


def fit(items, held, minutes, seed):
    """One network: the running mean of its weights."""
    rng = np.random.default_rng(seed)
    p = average = init(jax.random.PRNGKey(seed))
    opt = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99), optax.add_decayed_weights(2e-3))
    state = opt.init(p)

    @jax.jit
    def step(p, average, state, batch, key, rate, decay):
        loss, g = jax.value_and_grad(loss_fn)(p, batch, key)
        u, state = opt.update(g, state, p)
        p = jax.tree.map(lambda v, d: v - rate * d, p, u)
        return p, jax.tree.map(lambda m, v: decay * m + (1 - decay) * v, average, p), state, loss
    run = jax.jit(forward)
    weight = np.array([(1.6, 0.8, 0.4, 0.8, 1.2 if i["ts"] == 4 else 0.3, 1.2)[i["pace"]] for i in items])
    weight /= weight.sum()
    begun, n, last = time.process_time(), 0, 0
    while (done := (time.process_time() - begun) / 60 / minutes) < 1:
        batch = make_batch(rng, [items[i] for i in rng.choice(len(items), 32, p=weight)])
        rate = 3e-3 * min(1, (n + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * done)) + 1e-5
        p, average, state, loss = step(p, average, state, batch, jax.random.PRNGKey(n), rate, min(0.995, n / (n + 20)))
        n += 1
        if done - last > 0.2:
            last = done
            print(f"network {seed}, {done * minutes:.1f} min, step {n}, sequences {len(items)}, loss {float(loss):.3f}, held back {evaluate(run, average, held)}", flush=True)
    print(f"network {seed}, step {n}, held back {evaluate(run, average, held)}", flush=True)
    return average


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("data"); ap.add_argument("frame_net"); ap.add_argument("out"); ap.add_argument("--minutes", type=float, default=4); ap.add_argument("--seed", type=int, default=0); ap.add_argument("--nets", type=int, default=3); ap.add_argument("--test")
    a = ap.parse_args()
    frame_net = {k: jnp.asarray(v.astype(np.float16), jnp.float32) for k, v in np.load(a.frame_net).items()}  # as the engine reads them
    items = sequences(a.data, frame_net)
    held = [i for i in items if i["held"]]
    items = [i for i in items if not i["held"]]
    every = np.concatenate([i["x"] for i in items])
    mean, scale = every.mean(0), 1 / (every.std(0) + 1e-3)
    mean[-1], scale[-1] = 0, 1
    mean, scale = np.float32(np.float16(mean)), np.float32(np.float16(scale))
    for i in items + held: i["x"] = (i["x"] - mean) * scale
    nets = [fit(items, held, a.minutes, seed) for seed in range(a.seed, a.seed + a.nets)]
    write(a.out, nets, mean, scale)
    # As the engine reads them.
    nets = [{k: jnp.asarray(np.asarray(v, np.float16), jnp.float32) for k, v in p.items()} for p in nets]
    if a.test: write_test(a.test, nets, frame_net, mean, scale)


if __name__ == "__main__":
    main()
