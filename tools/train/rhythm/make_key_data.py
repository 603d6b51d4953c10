"""Composes and renders pieces for the key model alone: more of them than the rhythm network needs, sound and key only.

  make_key_data.py OUT FIRST COUNT [--drums]      --drums: of these numbers only the pieces without a note, all of them

Piece number N is made from seed N alone, as in make_data.py; take other numbers than there. Writes OUT/N.npz: `key`
(0..11 major, 12..23 minor, 24 none: drums alone, of which every fourth is kept), `style`, `pcm` (int16, 22,050 Hz).
Loops with a bass line or a riff, whose key is anyone's guess, are left out.
"""
import os, sys
import numpy as np
import compose, render

SECONDS = 24.0


def main():
    out, first, count, drums = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), "--drums" in sys.argv[4:]
    os.makedirs(out, exist_ok=True)
    renderer = render.Renderer()
    for n in range(first, first + count):
        path = os.path.join(out, f"{n:06d}.npz")
        if os.path.exists(path): continue
        rng = np.random.default_rng([20, n])
        p = compose.compose(rng, None, SECONDS)
        if drums and (p.has_key or p.notes): continue
        if not p.has_key and (p.notes or n % 4 and not drums): continue
        x, *_ = renderer.render(rng, p, SECONDS, gm_drums=rng.random() < 0.55)
        np.savez(path + ".tmp.npz", key=(p.tonic + 12 * p.minor) if p.has_key else 24, style=p.style, pcm=np.clip(x * 32767, -32768, 32767).astype(np.int16))
        os.rename(path + ".tmp.npz", path)


if __name__ == "__main__":
    main()
