"""What happens to a sound before it lies in a pack: other rooms, equalisers, tape, converters,
scissors. The kind stays the same."""

import numpy as np
from scipy import signal

from synth import SR, chance, drive, highpass, lowpass, lu, noise, norm, peak, room, u


def augment(r, x, kind):
    x = norm(np.asarray(x, np.float64))
    tonal = kind in ("bass", "keys", "mallet", "guitar", "strings", "brass", "wind", "lead", "pad", "vocal", "stab")
    if chance(r, 0.5):  # played back faster or slower
        semitones = r.normal(0, 2.0 if tonal else 3.0)
        factor = 2 ** (np.clip(semitones, -7, 7) / 12)
        at = np.arange(0, len(x) - 1, factor)
        x = np.interp(at, np.arange(len(x)), x)
    if chance(r, 0.06) and kind not in ("ambience", "pad", "crash", "cymbal"):  # a loop of it
        step = int(lu(r, 0.09, 0.6) * SR)
        hits = r.integers(3, 14)
        line = np.zeros(step * hits + len(x))
        for k in range(hits):
            if k == 0 or chance(r, 0.75):
                line[k * step:k * step + len(x)] += x * u(r, 0.4, 1)
        x = line[:step * hits]
    for _ in range(r.integers(0, 4)):
        x = peak(x, lu(r, 60, 14000), lu(r, 0.4, 4), r.normal(0, 5))
    if chance(r, 0.15):
        x = highpass(x, lu(r, 25, 250 if kind not in ("kick", "bass") else 45), 1)
    if chance(r, 0.25):
        x = lowpass(x, lu(r, 3500 if kind not in ("kick", "bass", "tom", "pad") else 1500, 16000), r.integers(1, 5))
    if chance(r, 0.2):
        x = drive(norm(x), lu(r, 0.5, 8))
    if chance(r, 0.12):  # a compressor that lifts the tail
        env = np.sqrt(np.maximum(signal.lfilter([0.002], [1, -0.998], norm(x) ** 2), 1e-8))
        x = x / env ** u(r, 0.2, 0.6)
    if chance(r, 0.25):
        x = room(r, x, lu(r, 0.08, 1.5), lu(r, 0.03, 0.5))
    if chance(r, 0.1):
        bits = r.integers(5, 11)
        x = np.round(norm(x) * 2 ** (bits - 1)) / 2 ** (bits - 1)
    if chance(r, 0.07):
        x = np.repeat(x[::(k := int(r.integers(2, 6)))], k)[:len(x)]
    if chance(r, 0.3):  # the end is cut or faded
        keep = int(len(x) * (lu(r, 0.25, 1)))
        keep = max(keep, min(len(x), int((0.03 if not tonal else 0.2) * SR)))
        x = x[:keep]
        fade = min(len(x), int(lu(r, 0.001, 0.05) * SR))
        x[-fade:] *= np.linspace(1, 0, fade)
    if chance(r, 0.1):
        x = x[int(lu(r, 10, 300)):]
    if chance(r, 0.4):
        x = np.concatenate([np.zeros(int(lu(r, 10, 9000))), x])
    if chance(r, 0.3):
        x = np.concatenate([x, np.zeros(int(lu(r, 100, 40000)))])
    x = norm(x) * lu(r, 0.05, 1)
    if chance(r, 0.25):
        x = x + noise(r, len(x)) * np.max(np.abs(x)) * 10 ** (-u(r, 45, 75) / 20)
    return x.astype(np.float32)
