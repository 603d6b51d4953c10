"""Trains the rhythm network on what make_data.py wrote and writes its weights.

  train.py DATA OUT.npz --minutes 30 [--init OLD.npz]

Every twelfth piece is held back and only measured. The learning rate follows the clock, so that a run ends when it
should; pieces that appear in DATA meanwhile join in. export.py makes the engine's weight file from OUT.npz.
"""
import argparse, functools, glob, os, time
import jax, jax.numpy as jnp, numpy as np, optax

INPUTS, HIDDEN, WIDTH, POOL = 128, 64, 48, 64
DILATIONS = [1, 2, 4, 8, 16, 32, 64, 128, 256]
FPS = 22050 / 440
TEMPI = 40 * np.exp(0.03 * np.arange(62))
METERS = 5
CROP = 1024


def init(key):
    def dense(i, o, gain=1.0):
        nonlocal key
        key, k = jax.random.split(key)
        return jax.random.normal(k, (i, o)) * gain * np.sqrt(2 / i)
    p = {"in_w": dense(3 * INPUTS, HIDDEN), "in_b": jnp.zeros(HIDDEN), "mid_w": dense(3 * HIDDEN, WIDTH), "mid_b": jnp.zeros(WIDTH)}
    for i in range(len(DILATIONS)):
        p[f"a{i}_w"], p[f"a{i}_b"] = dense(3 * WIDTH, WIDTH), jnp.zeros(WIDTH)
        p[f"b{i}_w"], p[f"b{i}_b"] = dense(WIDTH, WIDTH, 0.3), jnp.zeros(WIDTH)
    p["head_w"], p["head_b"] = dense(WIDTH, 4, 0.5), jnp.array([-2.5, -4.0, -2.0, -2.0])
    p["pool_w"], p["pool_b"] = dense(WIDTH, POOL), jnp.zeros(POOL)
    p["hid_w"], p["hid_b"] = dense(POOL, POOL), jnp.zeros(POOL)
    p["tempo_w"], p["tempo_b"] = dense(POOL, len(TEMPI), 0.5), jnp.zeros(len(TEMPI))
    p["meter_w"], p["meter_b"] = dense(POOL, METERS, 0.5), jnp.zeros(METERS)
    return p


def widen(old, key):
    """Weights of a narrower network, put into one of today's widths that answers the same at first."""
    new = init(key)
    for name, w in new.items():
        if name not in old or old[name].shape == w.shape:
            new[name] = jnp.asarray(old.get(name, w)); continue
        v = old[name]
        taps = {"in_w": 1, "mid_w": 3}.get(name, 3 if name[0] == "a" and name.endswith("_w") else 1)
        if v.ndim == 1: new[name] = jnp.zeros(w.shape).at[:len(v)].set(v); continue
        if name[0] == "b" and name.endswith("_w"): w = w * 0.3
        i, o = v.shape[0] // taps, v.shape[1]
        w, v = w.reshape(taps, -1, w.shape[1]), v.reshape(taps, i, o)
        w = w.at[:, i:].set(0).at[:, :i, :o].set(v)      # what comes from new units counts for nothing yet
        new[name] = w.reshape(-1, w.shape[2])
    return new


def shifted(x, d):
    """x at t - d, t, t + d side by side; silence (0) outside."""
    z = jnp.zeros_like(x[:, :d])
    return jnp.concatenate([jnp.concatenate([z, x[:, :-d]], 1), x, jnp.concatenate([x[:, d:], z], 1)], -1)


def forward(p, x, mask, drop=None):
    """x: batch x frames x INPUTS, normalised; mask: batch x frames. Frame outputs, tempo and metre logits."""
    m = mask[..., None]
    h = jax.nn.relu(shifted(x * m, 1) @ p["in_w"] + p["in_b"]) * m
    h = jax.nn.relu(shifted(h, 1) @ p["mid_w"] + p["mid_b"]) * m
    for i, d in enumerate(DILATIONS):
        u = jax.nn.relu(shifted(h, d) @ p[f"a{i}_w"] + p[f"a{i}_b"])
        if drop is not None:
            keep = jax.random.bernoulli(jax.random.fold_in(drop, i), 0.9, (u.shape[0], 1, u.shape[2]))
            u = u * keep / 0.9
        h = (h + u @ p[f"b{i}_w"] + p[f"b{i}_b"]) * m
    out = h @ p["head_w"] + p["head_b"]
    pool = (jax.nn.relu(h @ p["pool_w"] + p["pool_b"]) * m).sum(1) / (m.sum(1) + 1e-6)
    q = jax.nn.relu(pool @ p["hid_w"] + p["hid_b"])
    return out, q @ p["tempo_w"] + p["tempo_b"], q @ p["meter_w"] + p["meter_b"]


def normalise(x):
    """The engine's RhythmNet does the same: level relative to the loud frames' loudest band, bounded below."""
    loud = x.max(1)
    k = (len(loud) * 19) // 20
    ref = max(np.partition(loud, k)[k], -9.0)
    return np.clip(x - ref, -6.5, 2.0) / 3.25 + 1.0


def bce(logit, target):
    return jnp.maximum(logit, 0) - logit * target + jnp.log1p(jnp.exp(-jnp.abs(logit)))


def loss_fn(p, batch, drop):
    out, tempo, meter = forward(p, batch["x"], batch["mask"], drop)
    m = batch["mask"][..., None]
    w = jnp.array([1.0, 1.0, 0.5, 0.5]) * (1 + batch["y"] * jnp.array([2.0, 3.0, 0.0, 0.0]))
    frame = (bce(out, batch["y"]) * w * m).sum() / m.sum()
    t = -(jax.nn.log_softmax(tempo) * batch["tempo"]).sum(-1).mean()
    mt = -(jax.nn.log_softmax(meter) * batch["meter"]).sum(-1)
    mt = (mt * batch["has_meter"]).sum() / (batch["has_meter"].sum() + 1e-6)
    return frame + 0.1 * t + 0.1 * mt, (frame, t, mt)


class Store:
    def __init__(self, folder):
        self.folder, self.items = folder, {}

    def scan(self):
        for f in sorted(glob.glob(os.path.join(self.folder, "[0-9]*.npz"))):
            if f.endswith(".tmp.npz") or f in self.items: continue
            with np.load(f) as z:
                self.items[f] = dict(x=normalise(z["x"].astype(np.float32)).astype(np.float16), beats=z["beats"], downbeats=z["downbeats"], onsets=z["onsets"], tempo=float(z["tempo"]), ts=int(z["ts"]), style=str(z["style"]), loop=bool(z["loop"]))
        names = sorted(self.items)
        number = lambda f: int(os.path.basename(f)[:6])
        return [f for f in names if number(f) % 12 or number(f) >= 500000], [f for f in names if number(f) % 12 == 0 and number(f) < 500000]


def targets(item, n):
    y = np.zeros((n, 4), np.float32)
    for c, times in ((0, item["beats"]), (1, item["downbeats"])):
        i = np.round(times * FPS).astype(int)
        for off, v in ((-1, .4), (1, .4), (0, 1)):
            j = i + off; j = j[(j >= 0) & (j < n)]; y[j, c] = np.maximum(y[j, c], v)
    flat = np.zeros(2 * n, np.float32)
    i = np.round(item["onsets"] * 2 * FPS).astype(int)
    for off, v in ((-1, .5), (1, .5), (0, 1)):
        j = i + off; j = j[(j >= 0) & (j < 2 * n)]; flat[j] = np.maximum(flat[j], v)
    y[:, 2:] = flat.reshape(n, 2)
    return y


def altered(rng, item):
    """A piece played faster or slower, higher or lower, by moving its rows and bands: (rows, item with its times)."""
    x = item["x"].astype(np.float32)
    if rng.random() < 0.4:
        ratio = np.exp(rng.uniform(-0.16, 0.16))
        at = np.arange(0, len(x) - 1, ratio)
        i = at.astype(int); f = (at - i)[:, None].astype(np.float32)
        x = x[i] * (1 - f) + x[i + 1] * f
        item = {**item, "tempo": item["tempo"] * ratio, **{k: item[k] / ratio for k in ("beats", "downbeats", "onsets")}}
    if rng.random() < 0.5:
        k = int(rng.integers(-5, 6))
        notes = np.full_like(x[:, 80:], -1.0)
        if k >= 0: notes[:, k:] = x[:, 80:128 - k]
        else: notes[:, :k] = x[:, 80 - k:]
        x = np.concatenate([x[:, :80], notes], 1)
    if rng.random() < 0.2:      # a band is missing
        lo, width = int(rng.integers(0, 40)), int(rng.integers(2, 12))
        x = x.copy(); x[:, lo:min(40, lo + width)] = -1; x[:, 40 + lo:40 + min(40, lo + width)] = -1
    return x, item


def make_batch(rng, store, names, train=True):
    b = len(names)
    out = dict(x=np.zeros((b, CROP, INPUTS), np.float32), mask=np.zeros((b, CROP), np.float32), y=np.zeros((b, CROP, 4), np.float32), tempo=np.zeros((b, len(TEMPI)), np.float32), meter=np.zeros((b, METERS), np.float32), has_meter=np.zeros(b, np.float32))
    for k, name in enumerate(names):
        item = store.items[name]
        x, item = altered(rng, item) if train else (item["x"].astype(np.float32), item)
        y = targets(item, len(x))
        n = min(len(x), CROP)
        if train and not item["loop"] and rng.random() < 0.25: n = min(n, int(rng.integers(250, CROP)))
        at = int(rng.integers(0, len(x) - n + 1)) if train else 0
        x, y = x[at:at + n], y[at:at + n]
        if train:
            x = x + rng.normal() * 0.12
            if rng.random() < 0.5:
                c = np.interp(np.arange(40), np.linspace(0, 39, 5), rng.normal(size=5) * 0.12)
                d = np.interp(np.arange(48), np.linspace(0, 47, 4), rng.normal(size=4) * 0.12)
                x = x + np.concatenate([c, c, d])
            x = np.clip(x, -1.0, 1.7)
        out["x"][k, :n], out["y"][k, :n], out["mask"][k, :n] = x, y, 1
        local = item["beats"]
        local = np.diff(local[(local >= at / FPS) & (local <= (at + n) / FPS)])
        bpm = 60 / np.median(local) if len(local) >= 2 else item["tempo"]
        g = np.exp(-0.5 * ((np.log(TEMPI) - np.log(np.clip(bpm, 40, 250))) / 0.03) ** 2)
        out["tempo"][k] = g / g.sum()
        out["meter"][k, item["ts"]] = 1
        out["has_meter"][k] = 0.0 if item["loop"] or n < 400 else 1.0
    return out


def peaks(a, threshold, gap):
    i = [k for k in range(1, len(a) - 1) if a[k] >= threshold and a[k] >= a[k - 1] and a[k] > a[k + 1]]
    out = []
    for k in i:
        if out and k - out[-1] < gap:
            if a[k] > a[out[-1]]: out[-1] = k
        else: out.append(k)
    return np.array(out)


def fmeasure(ref, est, w=.07):
    if not len(ref) or not len(est): return 0.0
    i = j = n = 0
    while i < len(ref) and j < len(est):
        d = est[j] - ref[i]
        if abs(d) <= w: n += 1; i += 1; j += 1
        elif d < 0: j += 1
        else: i += 1
    return 2 * n / (len(ref) + len(est))


def evaluate(run, p, store, names):
    fb, fd, fo, ta, ma = [], [], [], [], []
    for s in range(0, len(names) - 15, 16):
        chunk = names[s:s + 16]
        b = make_batch(np.random.default_rng(0), store, chunk, False)
        out, tempo, meter = [np.asarray(v) for v in run(p, b["x"], b["mask"])]
        out = 1 / (1 + np.exp(-out))
        for k, name in enumerate(chunk):
            item, n = store.items[name], int(b["mask"][k].sum())
            end = n / FPS
            cut = lambda t: t[t < end]
            fb.append(fmeasure(cut(item["beats"]), peaks(out[k, :n, 0], .35, 8) / FPS)); fo.append(fmeasure(cut(item["onsets"]), peaks(out[k, :n, 2:].reshape(-1), .4, 3) / FPS / 2, .05))
            if not item["loop"]:
                fd.append(fmeasure(cut(item["downbeats"]), peaks(out[k, :n, 1], .3, 20) / FPS)); ma.append(int(meter[k].argmax()) == item["ts"])
            ta.append(abs(np.log(TEMPI[tempo[k].argmax()] / item["tempo"])) < .045)
    m = lambda v: round(100 * float(np.mean(v)), 1) if v else None
    return dict(beat=m(fb), down=m(fd), onset=m(fo), tempo=m(ta), meter=m(ma), n=len(fb))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("data"); ap.add_argument("out"); ap.add_argument("--minutes", type=float, default=30); ap.add_argument("--init"); ap.add_argument("--rate", type=float, default=2e-3)
    a = ap.parse_args()
    store = Store(a.data)
    train, val = store.scan()
    rng = np.random.default_rng(1)
    p = init(jax.random.PRNGKey(0))
    if a.init: p = widen(dict(np.load(a.init)), jax.random.PRNGKey(1))
    opt = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99), optax.add_decayed_weights(1e-3))
    state = opt.init(p); mean = p

    @jax.jit
    def step(p, mean, state, batch, key, rate, decay):
        (loss, parts), g = jax.value_and_grad(loss_fn, has_aux=True)(p, batch, key)
        u, state = opt.update(g, state, p)
        p = jax.tree.map(lambda v, d: v - rate * d, p, u)
        return p, jax.tree.map(lambda m, v: decay * m + (1 - decay) * v, mean, p), state, loss, parts
    run = jax.jit(forward)
    t0, n, epoch, last = time.time(), 0, 0, time.time()
    log = []
    while True:
        done = (time.time() - t0) / 60 / a.minutes
        if done >= 1: break
        order = [train[i] for i in rng.permutation(len(train))[:1200]]
        for s in range(0, len(order) - 3, 4):
            done = (time.time() - t0) / 60 / a.minutes
            if done >= 1: break
            rate = a.rate * min(1, (n + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * min(1, done))) + 1e-5
            p, mean, state, loss, parts = step(p, mean, state, make_batch(rng, store, order[s:s + 4]), jax.random.PRNGKey(n), rate, min(0.995, n / (n + 20)))
            n += 1; log.append([float(v) for v in parts])
        epoch += 1
        if time.time() - last > 240 or done >= 1:
            last = time.time()
            print(f"{(last - t0) / 60:.1f} min, epoch {epoch}, step {n}, pieces {len(train)}, loss {np.round(np.mean(log[-120:], 0), 4)}, held back {evaluate(run, mean, store, val[:96])}", flush=True)
            np.savez(a.out, **{k: np.asarray(v) for k, v in mean.items()})
        train, val = store.scan()
    np.savez(a.out, **{k: np.asarray(v) for k, v in mean.items()})


if __name__ == "__main__":
    main()
