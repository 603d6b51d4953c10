"""Trains the key model on what make_key_data.py and make_data.py wrote: profiles from the engine's own code.

  train_key.py models/key.bin DATA... --dump build/release/bin/rhythm_dump [--cache FEATURES.npz]
  train_key.py - DATA... --dump ... --folds 4 [--without 18-28,29-39]      cross-validates, without some profiles

Three trainings that differ in their random numbers are averaged. Pieces without any note (drums alone) teach "no key";
loops with a bass line or a riff, whose key is anyone's guess, are left out. Every twelfth piece is held back; its
figures are printed. Profiles are numbered as in src/audio/feature/key.h.
"""
import argparse, glob, os, struct, subprocess
import jax, jax.numpy as jnp, numpy as np, optax
import compose

PROFILES, HIDDEN, NETS, BATCH, NO_KEY = 40, 32, 3, 128, 2  # NO_KEY: how often a piece without a key is shown, a keyed one once
WIDTH = 12 * PROFILES


def collect(folders, dump_path, cache):
    known = {}
    if cache and os.path.exists(cache):
        with np.load(cache) as z: known = {str(n): (f, int(k), str(s)) for n, f, k, s in zip(z["names"], z["features"], z["keys"], z["styles"])}
    dump = subprocess.Popen([dump_path, "--key"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for path in sorted(p for folder in folders for p in glob.glob(os.path.join(folder, "[0-4]*.npz"))):
        name = os.path.basename(path)[:6]
        if name in known or path.endswith(".tmp.npz"): continue
        with np.load(path) as z:
            if "pcm" not in z: continue
            pcm, key, style = z["pcm"].astype(np.float32) / 32768, int(z["key"]), str(z["style"])
        if key < 0:
            number = int(name)
            p = compose.compose(np.random.default_rng([20, number]), None if number < 200000 else style, 24.0)
            key = -2 if p.notes else 24
        dump.stdin.write(struct.pack("<I", len(pcm)) + pcm.astype("<f4").tobytes()); dump.stdin.flush()
        known[name] = (np.frombuffer(dump.stdout.read(4 * WIDTH), "<f4"), key, style)
    if cache: np.savez(cache, names=list(known), features=np.array([v[0] for v in known.values()]), keys=[v[1] for v in known.values()], styles=[v[2] for v in known.values()])
    return known


def logits(p, f):
    """f: batch x WIDTH. The twelve turns of the profiles, each scored alike; 24 keys and none."""
    g = f.reshape(-1, PROFILES, 12)
    turned = jnp.stack([jnp.roll(g, -t, axis=2) for t in range(12)], 1).reshape(-1, 12, WIDTH)
    y = jax.nn.relu(turned @ p["a"] + p["b"]) @ p["c"] + p["d"]
    return jnp.concatenate([y[..., 0], y[..., 1], y[..., 2].mean(1, keepdims=True)], 1)


def loss(p, x, y, smooth=0.02):
    l = jax.nn.log_softmax(logits(p, x))
    return -((1 - smooth) * jnp.take_along_axis(l, y[:, None], 1)[:, 0] + smooth * l.mean(1)).mean()


def train(x, y, seed, steps):
    k = jax.random.split(jax.random.PRNGKey(seed), 2)
    p = dict(a=jax.random.normal(k[0], (WIDTH, HIDDEN)) * 0.04, b=jnp.zeros(HIDDEN), c=jax.random.normal(k[1], (HIDDEN, 3)) * 0.2, d=jnp.zeros(3))
    opt = optax.adamw(optax.cosine_decay_schedule(5e-3, steps), weight_decay=0.3)

    @jax.jit
    def step(p, s, x, y):
        u, s = opt.update(jax.grad(loss)(p, x, y), s, p)
        return optax.apply_updates(p, u), s
    s, rng = opt.init(p), np.random.default_rng(seed)
    weights = np.where(y == 24, NO_KEY, 1) / np.where(y == 24, NO_KEY, 1).sum()
    for b in rng.choice(len(x), (steps, BATCH), p=weights):
        noise = np.exp(rng.normal(size=(BATCH, WIDTH)) * 0.3) * (rng.random((BATCH, PROFILES)) > 0.15).repeat(12, 1)
        p, s = step(p, s, (x[b] * noise).astype(np.float32), y[b])
    return p


def averaged(nets):
    """One network whose scores are the mean of theirs."""
    return dict(a=np.concatenate([n["a"] for n in nets], 1), b=np.concatenate([n["b"] for n in nets]), c=np.concatenate([n["c"] for n in nets]) / len(nets), d=np.mean([n["d"] for n in nets], 0))


def report(name, p, x, y, style):
    z, tonal = np.asarray(logits(p, x)), y < 24
    right, conf = z.argmax(1) == y, np.asarray(jax.nn.softmax(z)).max(1)
    print(f"{name}: {len(y)} sounds, key {100 * right[tonal].mean():.1f} % of {tonal.sum()}, no key {100 * right[~tonal].mean():.1f} % of {(~tonal).sum()}, mean confidence {100 * conf.mean():.1f}, log loss {float(loss(p, x, y, 0.0)):.3f}", flush=True)
    if name == "held back": print({st: f"{100 * right[style == st].mean():.0f}/{(style == st).sum()}" for st in sorted(set(style))})


def main():
    ap = argparse.ArgumentParser(); ap.add_argument("out"); ap.add_argument("data", nargs="+"); ap.add_argument("--dump", required=True); ap.add_argument("--cache"); ap.add_argument("--steps", type=int, default=2000); ap.add_argument("--folds", type=int, default=0); ap.add_argument("--without", default="")
    a = ap.parse_args()
    rows = [(n, *v) for n, v in collect(a.data, a.dump, a.cache).items() if v[1] >= 0]
    number, x, y, style = np.array([int(r[0]) for r in rows]), np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    for part in filter(None, a.without.split(",")):
        first, last = (int(v) for v in (part + "-" + part).split("-")[:2])
        x[:, 12 * first:12 * last + 12] = 0
    if a.folds:
        right = []
        for f in range(a.folds):
            m = number % a.folds == f
            right += list((np.asarray(logits(train(x[~m], y[~m], f, a.steps), x[m])).argmax(1) == y[m])[y[m] < 24])
        print(f"cross-validated over {a.folds} parts, one network each, without [{a.without}]: key {100 * np.mean(right):.1f} % of {len(right)}")
        return
    held = number % 12 == 0
    p = averaged([train(x[~held], y[~held], seed, a.steps) for seed in range(NETS)])
    p = {k: np.asarray(v).astype(np.float16).astype(np.float32) for k, v in p.items()}
    for name, m in (("train", ~held), ("held back", held)): report(name, p, x[m], y[m], style[m])
    with open(a.out, "wb") as f:
        f.write(b"SMK1" + struct.pack("<2H", WIDTH, HIDDEN * NETS))
        for n in "abcd": f.write(p[n].astype("<f2").tobytes())


if __name__ == "__main__":
    main()
