"""Trains the key model on what make_data.py wrote: profiles of pitch classes from the engine's own code.

  train_key.py DATA models/key.bin --dump build/release/bin/rhythm_dump [--cache FEATURES.npz]

Pieces without any note (drums alone) teach "no key"; loops with a bass line or a riff, whose key is anyone's guess,
are left out. Every twelfth piece is held back; its figures are printed.
"""
import argparse, glob, os, struct, subprocess
import jax, jax.numpy as jnp, numpy as np, optax
import compose

HIDDEN, WIDTH = 32, 84


def collect(folder, dump_path, cache):
    known = {}
    if cache and os.path.exists(cache):
        with np.load(cache) as z: known = {str(n): (f, int(k), str(s)) for n, f, k, s in zip(z["names"], z["features"], z["keys"], z["styles"])}
    dump = subprocess.Popen([dump_path, "--key"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for path in sorted(glob.glob(os.path.join(folder, "[0-4]*.npz"))):
        name = os.path.basename(path)[:6]
        if name in known or path.endswith(".tmp.npz"): continue
        with np.load(path) as z: pcm, key, style = z["pcm"].astype(np.float32) / 32768, int(z["key"]), str(z["style"])
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
    g = f.reshape(-1, WIDTH // 12, 12)
    turned = jnp.stack([jnp.roll(g, -t, axis=2) for t in range(12)], 1).reshape(-1, 12, WIDTH)
    y = jax.nn.relu(turned @ p["a"] + p["b"]) @ p["c"] + p["d"]
    return jnp.concatenate([y[..., 0], y[..., 1], y[..., 2].mean(1, keepdims=True)], 1)


def main():
    ap = argparse.ArgumentParser(); ap.add_argument("data"); ap.add_argument("out"); ap.add_argument("--dump", required=True); ap.add_argument("--cache"); ap.add_argument("--steps", type=int, default=1500)
    a = ap.parse_args()
    rows = [(n, *v) for n, v in collect(a.data, a.dump, a.cache).items() if v[1] >= 0]
    held = np.array([int(n) % 12 == 0 for n, *_ in rows])
    x, y, style = np.array([r[1] for r in rows]), np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    k = jax.random.split(jax.random.PRNGKey(0), 2)
    p = dict(a=jax.random.normal(k[0], (WIDTH, HIDDEN)) * 0.1, b=jnp.zeros(HIDDEN), c=jax.random.normal(k[1], (HIDDEN, 3)) * 0.2, d=jnp.zeros(3))
    opt = optax.adamw(optax.cosine_decay_schedule(5e-3, a.steps), weight_decay=0.3)

    def loss(p, x, y, smooth=0.02):
        l = jax.nn.log_softmax(logits(p, x))
        return -((1 - smooth) * jnp.take_along_axis(l, y[:, None], 1)[:, 0] + smooth * l.mean(1)).mean()

    @jax.jit
    def step(p, s, x, y):
        v, g = jax.value_and_grad(loss)(p, x, y)
        u, s = opt.update(g, s, p)
        return optax.apply_updates(p, u), s, v
    s, rng, tr = opt.init(p), np.random.default_rng(0), np.flatnonzero(~held)
    for i in range(a.steps):
        b = rng.choice(tr, 128)
        noise = np.exp(rng.normal(size=(128, WIDTH)) * 0.45) * (rng.random((128, WIDTH // 12)) > 0.2).repeat(12, 1)
        p, s, v = step(p, s, (x[b] * noise).astype(np.float32), y[b])
    p = {k: np.asarray(v).astype(np.float16).astype(np.float32) for k, v in p.items()}
    for name, m in (("train", ~held), ("held back", held)):
        z = np.asarray(logits(p, x[m])); t = y[m]; tonal = t < 24
        conf = np.asarray(jax.nn.softmax(z)).max(1)
        print(f"{name}: {m.sum()} sounds, key {100 * (z.argmax(1) == t)[tonal].mean():.1f} % of {tonal.sum()}, no key {100 * (z.argmax(1) == t)[~tonal].mean():.1f} % of {(~tonal).sum()}, mean confidence {100 * conf.mean():.1f}, log loss {float(loss(p, x[m], t, 0.0)):.3f}")
        if name != "train": print({st: f"{100 * (z.argmax(1) == t)[style[m] == st].mean():.0f}/{(style[m] == st).sum()}" for st in sorted(set(style[m]))})
    with open(a.out, "wb") as f:
        f.write(b"SMK1" + struct.pack("<2H", WIDTH, HIDDEN))
        for n in "abcd": f.write(p[n].astype("<f2").tobytes())


if __name__ == "__main__":
    main()
