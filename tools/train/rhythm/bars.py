"""What the bar network is given for each beat; the engine's src/audio/feature/bars.cc computes the same."""
import numpy as np

FPS = 22050 / 440
HARMONY_LAGS, PATTERN_LAGS = [1, 2, 3, 4, 6, 8], [2, 3, 4]
INPUTS = 99


def reduce(x):
    """Normalised rows of the frame network to rises (10), levels (10) and pitch classes (12) a frame."""
    n = len(x)
    mel = x[:, :80].reshape(2 * n, 40)
    rise = np.maximum(0, mel - np.concatenate([np.full((2, 40), -1, np.float32), mel[:-2]]))
    rises = rise.reshape(n, 2, 10, 4).mean(3).max(1)
    levels = mel.reshape(n, 2, 10, 4).mean(3).mean(1)
    chroma = x[:, 80:].reshape(n, 4, 12).max(1)
    return np.concatenate([rises, levels, chroma], 1)


def cosine(a, b):
    return (a * b).sum(-1) / (np.sqrt((a * a).sum(-1) * (b * b).sum(-1)) + 1e-3)


def bar_features(bands, logits, beats):
    """bands: frames x 32; logits: frames x 4 of the frame network; beats in seconds. A row a beat."""
    bands, logits = bands.astype(np.float32), logits.astype(np.float32)
    n, k = len(bands), len(beats)
    period = np.diff(beats)
    period = np.concatenate([period, period[-1:]])
    rows, chroma = np.zeros((k, INPUTS), np.float32), np.zeros((k, 12))
    total = np.concatenate([np.zeros((1, 32)), np.cumsum(bands.astype(np.float64), 0)])
    odds = lambda v: np.clip(v.max(), -6, 6) / 4
    for i in range(k):
        edge = [min(max(int(round((beats[i] + period[i] * q / 4) * FPS)) - 1, 0), n - 1) for q in range(5)]
        for q in range(4):
            lo, hi = edge[q], max(edge[q] + 1, min(edge[q + 1], n))
            rows[i, q * 10:q * 10 + 10] = bands[lo:hi, :10].max(0)
            rows[i, 40 + q * 10:50 + q * 10] = (total[hi, 10:20] - total[lo, 10:20]) / (hi - lo)
            rows[i, 80 + q] = odds(logits[lo:hi, 2:])
        here = min(max(int(round(beats[i] * FPS)), 0), n - 1)
        rows[i, 84], rows[i, 85] = odds(logits[max(0, here - 1):here + 2, 0]), odds(logits[max(0, here - 1):here + 2, 1])
        hi = min(max(edge[0] + 2, edge[4]), n)
        lo = min(edge[0] + 1, hi - 1)
        chroma[i] = (total[hi, 20:] - total[lo, 20:]) / (hi - lo)
    chroma -= chroma.mean(1, keepdims=True)
    for j, lag in enumerate(HARMONY_LAGS):
        if k > lag: rows[lag:, 86 + j] = cosine(chroma[lag:], chroma[:-lag])
    around = np.concatenate([np.zeros((4, 12)), chroma, np.zeros((4, 12))])
    span = lambda first, count: sum(around[4 + first + s:4 + first + s + k] for s in range(count))
    rows[:, 92], rows[:, 93] = cosine(span(0, 2), span(-2, 2)), cosine(span(0, 4), span(-4, 4))
    pattern = rows[:, :80] - rows[:, :80].mean(0)
    for j, lag in enumerate(PATTERN_LAGS):
        if k > max(4, lag): rows[lag:, 94 + j] = cosine(pattern[lag:], pattern[:-lag])
    rows[:, 97], rows[:, 98] = np.log(period / 0.5), 1
    return rows
