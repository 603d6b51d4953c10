"""Trains what tells a loop from a one-shot (src/audio/feature/content.cc): composes both, has the engine measure them.

  train_content.py --dump build/release/bin/rhythm_dump [--loops 1500] [--ones 2000] [--cache FEATURES.npz]

Loops: composed ones, and whole bars cut out of composed pieces (all of it, drums alone, one instrument alone).
One-shots: notes, chords and strums of the General MIDI banks, drum hits, and what is long and restless but struck or
swept once: cymbals that shimmer, wind, crackle, rolls, sweeps, wobbles. Prints the figures of a five-fold
cross-validation and the table for content.cc. Sound number N is made from seed N alone.
"""
import argparse, os, struct, subprocess
import numpy as np
from scipy import signal
import compose, render

RATE = render.RATE
STYLES = ["rock", "fourfloor", "techno", "boombap", "hiphop", "trap", "dnb", "breaks", "funk", "reggae", "latin", "pop", "edm", "house", "halftime", "six8", "waltz"]


def loop(rng, renderer):
    u = rng.random()
    p = compose.compose(rng, "loop" if u < .45 else "loop_tonal" if u < .7 else STYLES[rng.integers(len(STYLES))], 26.0)
    if p.loop: return renderer.render(rng, p, 26.0, gm_drums=rng.random() < .55)[0]
    p.seconds = np.arange(p.beats + 9) * 60.0 / p.bpm
    part, tracks = rng.random(), list(p.tracks)
    if p.hits and tracks:
        if part < .3: p.notes = [n for n in p.notes if n[2] == tracks[0]]
        elif part < .5: p.notes = []
        elif part < .75:
            p.hits = []
            if rng.random() < .6: p.notes = [n for n in p.notes if n[2] == tracks[rng.integers(len(tracks))]] or p.notes
    x, _, downbeats, _ = renderer.render(rng, p, 26.0, gm_drums=rng.random() < .55)
    bars = min(int(rng.choice([1, 2, 2, 4])), len(downbeats) - 1)
    if bars < 1: return None
    first = int(rng.integers(0, len(downbeats) - bars))
    return x[max(0, round(downbeats[first] * RATE)):round(downbeats[first + bars] * RATE)]


def struck(rng, renderer):
    u, fluid = rng.random(), renderer.fluids[rng.integers(len(renderer.fluids))]
    velocity = int(rng.integers(50, 127))
    if u < .7:
        program, notes, root, hold = int(rng.integers(128)), int(rng.choice([1, 1, 1, 1, 2, 3, 3, 4])), int(rng.integers(30, 84)), float(rng.uniform(.2, 4))
        intervals, strum = [0, int(rng.choice([3, 4])), 7, int(rng.choice([10, 11, 12]))], rng.choice([0, 0, .01, .03])
        events = [e for i in range(notes) for e in ((i * strum, 0, root + intervals[i], velocity), (hold, 0, root + intervals[i], 0))]
        x = fluid.render(events, {0: program}, hold + float(rng.uniform(.1, 2)))
        if rng.random() < .3: x = x[:int(hold * RATE)]
    elif u < .85:
        drum = int(rng.integers(27, 88))
        x = fluid.render([(0, 9, drum, velocity), (.1, 9, drum, 0)], {9: int(rng.choice(render.GM_KITS))}, float(rng.uniform(.7, 3)))
    else:
        kit = render.drum_kit(rng)
        hit, x = kit[list(kit)[rng.integers(len(kit))]], np.zeros(int(rng.uniform(.7, 3) * RATE), np.float32)
        x[:min(len(hit), len(x))] = hit[:len(x)]
    return finish(rng, x, .6)


def restless(rng, _):
    seconds = float(np.exp(rng.uniform(np.log(.7), np.log(9))))
    n = int(seconds * RATE)
    t, u, noise = np.arange(n) / RATE, rng.random(), rng.normal(size=n)
    if u < .25:     # wind, hiss
        low = rng.uniform(30, 3000)
        x = render.band(noise, low, low * rng.uniform(1.5, 20))
        m = signal.sosfiltfilt(signal.butter(2, rng.uniform(.3, 8), fs=RATE, output="sos"), rng.normal(size=n))
        x *= np.exp(rng.uniform(0, 1.2) * m / (m.std() + 1e-9))
    elif u < .4:    # crackle
        x = np.zeros(n)
        at = rng.integers(0, n, size=max(1, int(seconds * rng.uniform(3, 80))))
        x[at] = rng.normal(size=len(at))
        x = render.band(x, rng.uniform(100, 2000), 9000) + noise * rng.uniform(0, .02)
    elif u < .6:    # cymbals
        x = sum(rng.normal() * np.sin(2 * np.pi * np.exp(rng.uniform(np.log(300), np.log(9000))) * t + rng.uniform(0, 6)) for _ in range(60)) * .1
        x = (x + render.band(noise, 2000, 10500) * .6) * np.minimum(1, t / rng.uniform(.001, .05)) * np.exp(-t / rng.uniform(.3, 2.5))
    elif u < .72:   # rolls, ratchets
        kit, x, at = render.drum_kit(rng), np.zeros(n), 0.0
        hit, step, swell = kit[list(kit)[rng.integers(len(kit))]], rng.uniform(.03, .09), rng.uniform(-1, 1)
        while at < seconds - .02:
            i = int(at * RATE)
            k = min(len(hit), n - i)
            x[i:i + k] += hit[:k] * (1 + swell * at / seconds) * rng.uniform(.7, 1)
            at += step * rng.uniform(.85, 1.15)
    elif u < .86:   # sweeps, risers, sirens
        f = np.exp(np.interp(t, np.sort(rng.uniform(0, seconds, 4)), rng.uniform(np.log(60), np.log(4000), 4)))
        phase = 2 * np.pi * np.cumsum(f * (1 + rng.uniform(0, .1) * np.sin(2 * np.pi * rng.uniform(2, 9) * t))) / RATE
        x = (signal.sawtooth(phase) if rng.random() < .5 else np.sin(phase)) + rng.uniform(0, .4) * noise
        x *= np.interp(t, [0, .05 * seconds, rng.uniform(.3, .9) * seconds, seconds], [0, 1, 1, rng.uniform(0, 1)])
    else:           # drones with tremolo
        f = rng.uniform(40, 700)
        x = sum(signal.sawtooth(2 * np.pi * f * k * (1 + rng.normal() * .003) * t) for k in (1, 1, 1.5, 2))
        x = render.band(x, 40, rng.uniform(400, 6000)) * (1 + rng.uniform(0, .5) * np.sin(2 * np.pi * rng.uniform(.2, 7) * t))
        x *= np.minimum(1, t / rng.uniform(.01, .8)) * np.minimum(1, (seconds - t) / rng.uniform(.01, 1))
    return finish(rng, x, .5)


def finish(rng, x, wet):
    peak = np.abs(x).max()
    if peak < 1e-3: return None
    x = (x / peak * rng.uniform(.3, .99)).astype(np.float32)
    if rng.random() < wet: x = render.effects(rng, x)
    heard = np.nonzero(np.abs(x) > 2e-4)[0]
    return x[heard[0]:heard[-1] + 1] if len(heard) and rng.random() < .7 else x


def measure(o):
    renderer, dump = render.Renderer(), subprocess.Popen([o.dump, "--content"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    x, y = [], []
    for label, make, count in ((1, loop, o.loops), (0, struck, o.ones * 3 // 4), (0, restless, o.ones - o.ones * 3 // 4)):
        for n in range(count):
            rng = np.random.default_rng([77, {loop: 0, struck: 1, restless: 2}[make], n])
            sound = make(rng, renderer)
            if sound is None or len(sound) < .6 * RATE or len(sound) > 15.5 * RATE or np.abs(sound).max() < 1e-3: continue
            dump.stdin.write(struct.pack("<I", len(sound)) + sound.astype("<f4").tobytes()); dump.stdin.flush()
            size, = struct.unpack("<I", dump.stdout.read(4))
            x.append(np.frombuffer(dump.stdout.read(4 * size), "<f4")); y.append(label)
    return np.array(x), np.array(y)


def fit(x, y, ridge=3.0):
    """Logistic regression by Newton's method: (mean, 1 / deviation, weights with the bias last)."""
    mean, scale = x.mean(0), 1 / (x.std(0) + 1e-6)
    z = np.c_[np.clip((x - mean) * scale, -3, 3), np.ones(len(x))]
    w = np.zeros(z.shape[1])
    penalty = np.full(len(w), ridge); penalty[-1] = 0
    for _ in range(30):
        p = 1 / (1 + np.exp(-z @ w))
        w -= np.linalg.solve((z.T * (p * (1 - p))) @ z + np.diag(penalty), z.T @ (p - y) + penalty * w)
    return mean, scale, w


def logit(model, x):
    mean, scale, w = model
    return np.c_[np.clip((x - mean) * scale, -3, 3), np.ones(len(x))] @ w


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--dump", required=True); a.add_argument("--loops", type=int, default=1500); a.add_argument("--ones", type=int, default=2000); a.add_argument("--cache")
    o = a.parse_args()
    if o.cache and os.path.exists(o.cache):
        with np.load(o.cache) as z: x, y = z["x"], z["y"]
    else:
        x, y = measure(o)
        if o.cache: np.savez(o.cache, x=x, y=y)
    order = np.random.default_rng(1).permutation(len(x))
    said = np.zeros(len(x))
    for fold in range(5):
        held = order[fold::5]
        said[held] = logit(fit(np.delete(x, held, 0), np.delete(y, held)), x[held])
    print(f"cross-validated: {np.mean(said[y == 1] > 0):.3f} of {sum(y)} loops, {np.mean(said[y == 0] <= 0):.3f} of {sum(1 - y)} one-shots right")
    mean, scale, w = fit(x, y)
    for m, s, v in zip(mean, scale, w): print(f"    {{{m:.4f}, {s:.4f}, {v:.4f}}},")
    print(f"bias {w[-1]:.4f}")


if __name__ == "__main__":
    main()
