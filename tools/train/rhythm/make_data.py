"""Composes and renders pieces, and has the engine turn them into the network's input.

  make_data.py OUT FIRST COUNT --dump build/release/bin/rhythm_dump

Piece number N is made from seed N alone, so the same numbers give the same set. Writes OUT/N.npz: `x` (frames x
inputs, float16), `beats`, `downbeats`, `onsets` (seconds), `tempo`, `ts` (index into compose.METERS), `key` (0..11
major, 12..23 minor, -1 none), `style`, `seconds`, `loop`, and the sound itself as int16 (`pcm`, for the key model). Pieces that are not held back (see
train.py) come a second time as N + 500,000, played 4 to 14 % faster or slower.
"""
import argparse, os, struct, subprocess
import numpy as np
import compose, render


def features(dump, x):
    dump.stdin.write(struct.pack("<I", len(x)) + x.astype("<f4").tobytes()); dump.stdin.flush()
    frames, = struct.unpack("<I", dump.stdout.read(4))
    width, = (128,)
    return np.frombuffer(dump.stdout.read(frames * width * 4), "<f4").reshape(frames, width)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out"); ap.add_argument("first", type=int); ap.add_argument("count", type=int)
    ap.add_argument("--dump", required=True); ap.add_argument("--style"); ap.add_argument("--seconds", type=float, default=24.0)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    dump = subprocess.Popen([a.dump], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    renderer = render.Renderer()
    for n in range(a.first, a.first + a.count):
        path = os.path.join(a.out, f"{n:06d}.npz")
        if os.path.exists(path): continue
        rng = np.random.default_rng([20, n])
        p = compose.compose(rng, a.style, a.seconds)
        x, beats, downbeats, onsets = renderer.render(rng, p, a.seconds, gm_drums=rng.random() < 0.55)
        keep = lambda t: t[(t > -0.02) & (t < len(x) / render.RATE)]
        inner = np.diff(p.seconds[:p.beats + 1])
        tempo = 60 / np.median(inner)
        tmp = path + ".tmp.npz"
        np.savez(tmp, x=features(dump, x).astype(np.float16), beats=keep(beats), downbeats=keep(downbeats), onsets=keep(onsets), tempo=tempo, ts=compose.METERS.index(p.ts),
                 key=(p.tonic + 12 * p.minor) if p.has_key else -1, style=p.style, seconds=len(x) / render.RATE, loop=p.loop, pcm=np.clip(x * 32767, -32768, 32767).astype(np.int16))
        os.rename(tmp, path)
        if n % 12 == 0: continue
        ratio = np.exp(rng.choice([-1, 1]) * rng.uniform(0.04, 0.13))
        y = np.interp(np.arange(0, len(x) - 1, ratio), np.arange(len(x)), x).astype(np.float32)
        path = os.path.join(a.out, f"{n + 500000:06d}.npz")
        np.savez(path + ".tmp.npz", x=features(dump, y * 10 ** (-rng.uniform(0, 20) / 20)).astype(np.float16), beats=keep(beats) / ratio, downbeats=keep(downbeats) / ratio, onsets=keep(onsets) / ratio, tempo=tempo * ratio,
                 ts=compose.METERS.index(p.ts), key=-1, style=p.style, seconds=len(y) / render.RATE, loop=p.loop)
        os.rename(path + ".tmp.npz", path)


if __name__ == "__main__":
    main()
