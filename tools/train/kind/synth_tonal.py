"""The pitched kinds, textures, voices and effects; see synth.py."""

import numpy as np
from scipy import signal

from synth import (SR, TAU, adsr, bandpass, butter, chance, crash, decay, drive, highpass, kick, lowpass, lu, modes,
                   noise, norm, peak, phase, pulse, resonant, room, saw, sine, swept, times, u)

CHORDS = [[0, 4, 7], [0, 3, 7], [0, 4, 7, 11], [0, 3, 7, 10], [0, 7], [0, 5, 7], [0, 7, 12], [0, 3, 7, 10, 14],
          [0, 4, 7, 14], [0, 3, 6], [0, 2, 7]]


def hz_of(midi):
    return 440 * 2 ** ((midi - 69) / 12)


def notes_of(r, low, high, chord_share):
    root = r.uniform(low, high)
    if chance(r, chord_share):
        return [root + k for k in CHORDS[r.integers(len(CHORDS))]]
    return [root]


def vibrato(r, t, depth=None, onset=None):
    depth = u(r, 0, 0.012) if depth is None else depth
    return 1 + depth * np.sin(TAU * u(r, 4, 7) * t + r.random()) * np.minimum(1, t / (onset or u(r, 0.1, 0.6)))


def oscillator(r, f, n, detune=0.0, voices=1, shape=None):
    shape = r.integers(0, 3) if shape is None else shape
    x = np.zeros(n)
    for _ in range(voices):
        g = f * (1 + detune * r.standard_normal())
        x += saw(g, n, r) if shape == 0 else pulse(g, n, u(r, 0.1, 0.5), r) if shape == 1 else sine(g, n)
    return x / voices ** 0.5


def pluck(r, f, seconds, bright=0.5, damp=0.5, loss=None):
    """Karplus and Strong's string."""
    n = int(seconds * SR)
    period = max(4, int(SR / f))
    burst = noise(r, period)
    burst = lowpass(burst, 500 + bright * 12000, 1)
    pick = max(1, int(period * u(r, 0.05, 0.45)))
    burst = burst - np.roll(burst, pick)
    x = np.zeros(n)
    x[:min(period, n)] = burst[:min(period, n)]
    loss = loss or lu(r, 0.3, 5)
    g = 10 ** (-3 * period / SR / loss)
    a = np.zeros(period + 2)
    a[0] = 1
    a[period] = -g * (1 - damp / 2)
    a[period + 1] = -g * damp / 2
    return norm(signal.lfilter([1], a, x))


def additive(r, f, t, partials, tilt, odd=False, inharmonic=0.0, tau=None):
    x = np.zeros(len(t))
    for k in range(1, partials + 1, 2 if odd else 1):
        g = f * k * np.sqrt(1 + inharmonic * k * k)
        if np.max(g) > SR * 0.45:
            break
        amplitude = k ** -tilt * u(r, 0.3, 1)
        ring = np.exp(-t * (k ** 0.6) / tau) if tau else 1.0
        x += amplitude * np.sin(phase(np.broadcast_to(g, t.shape)) + r.random() * TAU) * ring
    return x


def bass(r):
    f = hz_of(u(r, 24, 48))
    length = lu(r, 0.15, 2.5)
    t = times(length + u(r, 0.05, 0.5))
    n = len(t)
    style = r.random()
    if style < 0.45:  # filter envelope over saw or square
        x = oscillator(r, f, n, u(r, 0, 0.008), r.integers(1, 4), r.integers(0, 2)) + u(r, 0, 1) * sine(f, n)
        base = lu(r, 80, 800)
        x = swept(x, base + lu(r, 100, 5000) * decay(t, lu(r, 0.03, 0.6)), lu(r, 0.7, 12))
        x = x * adsr(t, lu(r, 0.001, 0.03), u(r, 0.2, 1), lu(r, 0.1, 1), length, 0.05)
    elif style < 0.6:  # FM
        x = np.sin(phase(np.full(n, f)) + lu(r, 0.5, 6) * decay(t, lu(r, 0.05, 0.5)) * sine(f * r.integers(1, 4), n))
        x = x * adsr(t, 0.003, u(r, 0.1, 1), lu(r, 0.1, 1), length, 0.05)
    elif style < 0.75:  # a long sub, driven or not
        x = np.sin(phase(f * (1 + u(r, 0, 1.5) * decay(t, lu(r, 0.005, 0.04))))) * adsr(t, 0.002, u(r, 0.3, 1), lu(r, 0.3, 2), length, 0.1)
        x = drive(x, lu(r, 0.5, 8))
    else:  # a string
        x = pluck(r, f * u(r, 1, 1.6), length + 0.3, u(r, 0.02, 0.5), u(r, 0.3, 0.9), lu(r, 0.5, 4))
        x = lowpass(x, lu(r, 500, 5000), 1)
        if chance(r, 0.3):
            x[:400] += 0.3 * highpass(noise(r, 400), 2000) * decay(np.arange(400) / SR, 0.003)
    return drive(norm(x), lu(r, 1, 8)) if chance(r, 0.25) else x


def keys(r):
    length = lu(r, 0.3, 3)
    t = times(length + 0.4)
    n = len(t)
    x = np.zeros(n)
    style = r.random()
    for midi in notes_of(r, 36, 84, 0.35):
        f = hz_of(midi)
        if style < 0.4:  # piano
            tau = lu(r, 0.4, 3) * (60 / midi)
            v = additive(r, f, t, 14, u(r, 0.8, 1.8), inharmonic=lu(r, 1e-4, 1e-3), tau=tau)
            knock = lowpass(noise(r, n), lu(r, 300, 2500)) * decay(t, lu(r, 0.005, 0.03))
            v = norm(v) + u(r, 0, 0.3) * norm(knock)
        elif style < 0.6:  # electric piano
            v = np.sin(phase(np.full(n, f)) + lu(r, 0.3, 3) * decay(t, lu(r, 0.1, 0.8)) * sine(f * r.choice([1, 1, 2, 14]), n))
            v = v * decay(t, lu(r, 0.4, 2))
        elif style < 0.85:  # organ
            v = sum(u(r, 0, 1) * sine(f * k, n) for k in (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8) if f * k < 18000)
            v = v * adsr(t, lu(r, 0.002, 0.03), 1, 1, length, 0.03)
            v = v * (1 + u(r, 0, 0.3) * sine(u(r, 5, 7), n))
        else:  # harpsichord, clavinet
            v = pluck(r, f, length + 0.4, u(r, 0.6, 1), u(r, 0.02, 0.3), lu(r, 0.5, 3))[:n]
            v = highpass(v, lu(r, 100, 600), 1)
        x[:len(v)] += v
    x = x * np.exp(-np.maximum(0, t - length) / 0.08)
    return room(r, x, u(r, 0.2, 1.2), u(r, 0.05, 0.3)) if chance(r, 0.3) else x


def mallet(r):
    t = times(lu(r, 0.2, 4))
    f = hz_of(u(r, 50, 98))
    ratios = [[1, 3.98, 10.1], [1, 4, 9.6], [1, 2.76, 5.4, 8.9], [1, 2, 2.4, 3, 4.2, 5.4, 6.8], [1, 5.95, 12.3],
              [0.5, 1, 1.19, 1.5, 2, 2.66, 3.1]][r.integers(6)]
    x = modes(r, t, ratios, f, lu(r, 0.06, 1.8), u(r, 0.3, 2), u(r, 0.5, 2))
    if chance(r, 0.3):
        x = np.sin(TAU * f * t + lu(r, 0.5, 4) * decay(t, lu(r, 0.05, 0.6)) * np.sin(TAU * f * u(r, 1.4, 7.1) * t)) * decay(t, lu(r, 0.1, 1.2))
    x += u(r, 0, 0.3) * noise(r, len(t)) * decay(t, lu(r, 0.001, 0.008))
    if chance(r, 0.15):
        x = x * (1 + 0.4 * np.sin(TAU * u(r, 4, 7) * t))
    return room(r, x, u(r, 0.2, 1.5), u(r, 0.05, 0.4)) if chance(r, 0.3) else x


def guitar(r):
    length = lu(r, 0.25, 4)
    notes = notes_of(r, 40, 72, 0.4)
    distorted = chance(r, 0.3)
    muted = chance(r, 0.2)
    n = int((length + 0.5) * SR)
    x = np.zeros(n)
    at = 0
    for midi in notes + ([notes[0] + 12] if chance(r, 0.3) else []):
        v = pluck(r, hz_of(midi), length + 0.3, u(r, 0.15, 0.8), u(r, 0.1, 0.7), lu(r, 0.1, 0.3) if muted else lu(r, 0.8, 5))
        m = min(len(v), n - at)
        x[at:at + m] += v[:m] * u(r, 0.6, 1)
        at += int(u(r, 0.002, 0.04) * SR)
    x = peak(x, lu(r, 90, 250), 1.5, u(r, 0, 8))
    if distorted:
        x = lowpass(drive(norm(x), lu(r, 5, 80)), lu(r, 2000, 6000), 2)
    return x * np.minimum(1, (n - np.arange(n)) / (0.05 * SR))


def strings(r):
    x = None
    short = chance(r, 0.3)
    if chance(r, 0.25):  # pizzicato
        x = lowpass(pluck(r, hz_of(u(r, 40, 84)), 1.2, u(r, 0.1, 0.5), u(r, 0.4, 0.9), lu(r, 0.15, 0.7)), lu(r, 1500, 6000), 1)
        return peak(x, u(r, 250, 600), 2, u(r, 0, 10))
    length = lu(r, 0.2, 0.5) if short else lu(r, 0.7, 4)
    t = times(length + 0.4)
    n = len(t)
    x = np.zeros(n)
    for midi in notes_of(r, 40, 88, 0.25):
        f = hz_of(midi) * vibrato(r, t, u(r, 0.001, 0.01))
        for _ in range(r.integers(1, 6)):
            x += saw(f * (1 + 0.004 * r.standard_normal()) * (1 + 0.001 * lowpass(noise(r, n), 20, 1)), n, r)
    x += u(r, 0, 0.4) * bandpass(noise(r, n), 1500, 8000)  # the bow
    for _ in range(4):
        x = peak(x, lu(r, 250, 4000), u(r, 1, 6), u(r, -6, 9))
    x = lowpass(x, lu(r, 2500, 9000), 1)
    x = x * adsr(t, lu(r, 0.02, 0.1) if short else lu(r, 0.04, 0.5), u(r, 0.6, 1), 0.5, length, u(r, 0.05, 0.3))
    if chance(r, 0.15):
        x = x * (0.6 + 0.4 * sine(u(r, 8, 14), n))
    return room(r, x, u(r, 0.3, 1.5), u(r, 0.05, 0.4)) if chance(r, 0.5) else x


def brass(r):
    length = lu(r, 0.15, 2.5)
    t = times(length + 0.3)
    n = len(t)
    x = np.zeros(n)
    env = adsr(t, lu(r, 0.02, 0.12), u(r, 0.5, 0.95), lu(r, 0.1, 0.5), length, lu(r, 0.03, 0.15))
    for midi in notes_of(r, 38, 80, 0.3):
        f = hz_of(midi) * vibrato(r, t, u(r, 0, 0.008)) * (1 - u(r, 0, 0.04) * decay(t, 0.03))
        for _ in range(r.integers(1, 4)):
            x += saw(f * (1 + 0.003 * r.standard_normal()), n, r)
    x = swept(x, 150 + lu(r, 1000, 6000) * env ** u(r, 1, 2.5), u(r, 0.7, 1.5))
    x = peak(x, lu(r, 500, 1800), u(r, 1, 3), u(r, 0, 8)) * env
    return room(r, x, u(r, 0.2, 1), u(r, 0.05, 0.3)) if chance(r, 0.4) else x


def wind(r):
    length = lu(r, 0.25, 4)
    t = times(length + 0.3)
    n = len(t)
    f = hz_of(u(r, 48, 92)) * vibrato(r, t)
    style = r.random()
    if style < 0.45:  # flute
        x = additive(r, f, t, 6, u(r, 1.2, 3)) + u(r, 0.02, 0.3) * bandpass(noise(r, n), np.mean(f) * 0.7, min(15000, np.mean(f) * 6), 1)
    elif style < 0.75:  # clarinet
        x = additive(r, f, t, 15, u(r, 0.7, 1.5), odd=True)
    else:  # oboe, saxophone
        x = saw(f, n, r)
        for _ in range(3):
            x = peak(x, lu(r, 500, 3500), u(r, 1.5, 5), u(r, 2, 12))
        x = lowpass(x, lu(r, 2500, 7000), 1) + u(r, 0, 0.1) * bandpass(noise(r, n), 1000, 8000)
    x = norm(x) + u(r, 0, 0.3) * highpass(noise(r, n), 1500) * decay(t, lu(r, 0.01, 0.05))
    x = x * adsr(t, lu(r, 0.02, 0.2), u(r, 0.7, 1), 0.5, length, lu(r, 0.03, 0.2))
    return room(r, x, u(r, 0.2, 1.5), u(r, 0.05, 0.4)) if chance(r, 0.4) else x


def lead(r):
    length = lu(r, 0.2, 2.5)
    t = times(length + 0.2)
    n = len(t)
    f = hz_of(u(r, 52, 92)) * vibrato(r, t)
    if chance(r, 0.3):
        f = f * 2 ** (u(r, -12, 12) / 12 * decay(t, lu(r, 0.02, 0.2)))
    x = oscillator(r, f, n, u(r, 0, 0.012), r.integers(1, 6), r.integers(0, 2))
    if chance(r, 0.25):
        x = np.sin(phase(f) + lu(r, 1, 8) * np.sin(phase(f * r.choice([0.5, 1, 2, 3]))))
    x = swept(x, lu(r, 600, 6000) + lu(r, 100, 6000) * decay(t, lu(r, 0.05, 0.8)), lu(r, 0.7, 6))
    x = x * adsr(t, lu(r, 0.001, 0.04), u(r, 0.5, 1), 0.4, length, lu(r, 0.01, 0.15))
    if chance(r, 0.3):
        x = drive(norm(x), lu(r, 1, 10))
    if chance(r, 0.3):  # echo
        d = int(u(r, 0.1, 0.4) * SR)
        x = np.concatenate([x, np.zeros(d * 2)])
        x[d:] += 0.4 * x[:-d]
    return x


def pad(r):
    length = u(r, 1, 5)
    t = times(length + 1)
    n = len(t)
    x = np.zeros(n)
    for midi in notes_of(r, 40, 72, 0.75):
        x += oscillator(r, hz_of(midi) * vibrato(r, t, u(r, 0, 0.004)), n, u(r, 0.001, 0.01), r.integers(2, 6), r.integers(0, 3))
    base = lu(r, 300, 5000)
    x = swept(x, base * (1 + u(r, 0, 0.8) * np.sin(TAU * lu(r, 0.05, 0.8) * t + r.random() * TAU)), lu(r, 0.7, 3))
    if chance(r, 0.3):
        x += u(r, 0, 0.2) * bandpass(noise(r, n), 500, 6000)
    x = x * adsr(t, lu(r, 0.1, 1.5), u(r, 0.7, 1), 1, length, u(r, 0.2, 1))
    return room(r, x, u(r, 0.5, 2.5), u(r, 0.1, 0.6)) if chance(r, 0.6) else x


def stab(r):
    length = lu(r, 0.06, 0.5)
    t = times(length + 0.5)
    n = len(t)
    x = np.zeros(n)
    root = u(r, 45, 72)
    for k in CHORDS[r.integers(len(CHORDS))]:
        x += oscillator(r, hz_of(root + k), n, u(r, 0, 0.01), r.integers(1, 4), r.integers(0, 2))
    x = swept(x, lu(r, 300, 3000) + lu(r, 500, 8000) * decay(t, lu(r, 0.03, 0.3)), lu(r, 0.7, 4))
    x = x * adsr(t, 0.002, u(r, 0, 0.8), lu(r, 0.05, 0.3), length, lu(r, 0.01, 0.1))
    if chance(r, 0.35):
        x = norm(x) + u(r, 0.1, 0.5) * noise(r, n) * decay(t, lu(r, 0.02, 0.15))
    if chance(r, 0.3):
        x = x + 0.5 * np.max(np.abs(x)) * np.pad(norm(kick(r)), (0, n))[:n]
    return room(r, x, u(r, 0.2, 1.5), u(r, 0.05, 0.6)) if chance(r, 0.5) else x


def ambience(r):
    seconds = u(r, 1.2, 6)
    t = times(seconds)
    n = len(t)
    style = r.integers(0, 6)
    if style == 0:  # wind, sea
        x = noise(r, n)
        x = swept(x, lu(r, 200, 2000) * np.exp(u(r, 0.2, 1) * norm(lowpass(noise(r, n), 1, 1))), lu(r, 0.7, 5))
    elif style == 1:  # drone
        x = np.zeros(n)
        for _ in range(r.integers(3, 12)):
            f = lu(r, 40, 900)
            x += sine(f * (1 + 0.002 * sine(lu(r, 0.05, 2), n)), n) * (1 + 0.6 * sine(lu(r, 0.05, 3), n)) * u(r, 0.2, 1) * (100 / f) ** 0.5
        x = norm(x) + u(r, 0, 0.15) * lowpass(noise(r, n), lu(r, 300, 3000))
    elif style == 2:  # rain, vinyl, crackle
        x = noise(r, n) * (r.random(n) < lu(r, 0.0005, 0.05)) * np.abs(noise(r, n))
        x = bandpass(x, lu(r, 300, 2000), lu(r, 4000, 16000), 1) + u(r, 0, 0.05) * noise(r, n)
    elif style == 3:  # applause, crowd
        env = np.zeros(n)
        for at in r.integers(0, n, int(seconds * lu(r, 15, 150))):
            m = min(1200, n - at)
            env[at:at + m] += u(r, 0.2, 1) * np.exp(-np.arange(m) / 200)
        x = bandpass(noise(r, n) * env, lu(r, 500, 1200), lu(r, 2500, 9000), 1)
        x = room(r, x, 0.6, 0.3)[:n]
    elif style == 4:  # hum, buzz
        f = lu(r, 45, 130)
        x = additive(r, np.full(n, f) * (1 + 0.002 * lowpass(noise(r, n), 3, 1)), t, 20, u(r, 0.3, 1.5)) + u(r, 0, 0.5) * lowpass(noise(r, n), 2000, 1)
    else:  # room tone, whoosh of a dark place
        x = lowpass(noise(r, n), lu(r, 150, 3000), 1) + u(r, 0, 0.5) * bandpass(noise(r, n), 200, 500)
        x = x * (1 + 0.7 * norm(lowpass(noise(r, n), 2, 1)))
    x = x * np.minimum(1, t / u(r, 0.01, 1)) * np.minimum(1, (seconds - t) / u(r, 0.05, 1))
    return room(r, x, u(r, 0.5, 3), u(r, 0.2, 0.8)) if chance(r, 0.4) else x


VOWELS = [(730, 1090, 2440, 3400), (530, 1840, 2480, 3500), (270, 2290, 3010, 3600), (570, 840, 2410, 3300),
          (300, 870, 2240, 3200), (660, 1720, 2410, 3500), (440, 1020, 2240, 3300), (490, 1350, 1690, 3300)]


def formants(x, table, scale):
    out = np.zeros(len(x))
    for k, hz in enumerate(table):
        f = hz * scale
        w = TAU * min(f, 18000) / SR
        q = f / (60 + f * 0.04)
        rr = np.exp(-w / (2 * q))
        out += norm(signal.lfilter([1 - rr], [1, -2 * rr * np.cos(w), rr * rr], x)) * 0.6 ** k
    return out


def vocal(r):
    seconds = lu(r, 0.2, 3)
    t = times(seconds)
    n = len(t)
    style = r.random()
    scale = u(r, 0.85, 1.25)
    if style < 0.15:  # breath, whisper
        x = noise(r, n) * np.minimum(1, t / u(r, 0.02, 0.4)) * np.minimum(1, (seconds - t) / u(r, 0.05, 0.4))
        return highpass(formants(x, VOWELS[r.integers(8)], scale), 200) + 0.1 * x
    base = hz_of(u(r, 40, 76))
    singers = r.integers(3, 9) if style < 0.5 else 1
    notes = [0] if singers == 1 else CHORDS[r.integers(len(CHORDS))] if chance(r, 0.5) else [0]
    if singers == 1 and chance(r, 0.5):  # speech: pitch wanders, syllables
        curve = base * 2 ** (norm(lowpass(noise(r, n), 3, 1)) * u(r, 0.05, 0.4))
    else:
        curve = base * np.ones(n)
    source = np.zeros(n)
    for note in notes:
        for _ in range(singers):
            f = curve * 2 ** (note / 12) * vibrato(r, t, u(r, 0.003, 0.02)) * (1 + 0.004 * r.standard_normal())
            source += lowpass(saw(f, n, r), lu(r, 800, 3000), 1)
    source = norm(source) + u(r, 0.005, 0.1) * noise(r, n)
    syllables = 1 if singers > 1 or chance(r, 0.5) else r.integers(2, 6)
    x = np.zeros(n)
    edges = np.sort(np.concatenate([[0, n], r.integers(n // 8, n, syllables - 1)]))
    for a, b in zip(edges[:-1], edges[1:]):
        if b - a < 400:
            continue
        v1 = np.array(VOWELS[r.integers(8)])
        part = formants(source[a:b], v1, scale)
        if chance(r, 0.5):
            w = np.linspace(0, 1, b - a)
            part = part * (1 - w) + w * formants(source[a:b], VOWELS[r.integers(8)], scale)
        k = np.arange(b - a)
        part = part * np.minimum(1, k / (u(r, 0.01, 0.08) * SR)) * np.minimum(1, (b - a - k) / (u(r, 0.02, 0.08) * SR))
        if chance(r, 0.35):  # a consonant
            m = min(b - a, int(u(r, 0.02, 0.1) * SR))
            part[:m] += u(r, 0.1, 0.7) * norm(highpass(noise(r, m), lu(r, 1500, 6000))) * np.hanning(m)
        x[a:b] = part
    if singers > 1:
        x = x * np.minimum(1, t / u(r, 0.02, 0.5))
    x = highpass(x, 80)
    return room(r, x, u(r, 0.3, 2), u(r, 0.1, 0.5)) if chance(r, 0.4) else x


def fx(r):
    seconds = lu(r, 0.15, 4)
    t = times(seconds)
    n = len(t)
    p = t / seconds
    style = r.integers(0, 12)
    if style == 0:  # noise sweep, riser, fall
        a, b = lu(r, 100, 2000), lu(r, 2000, 15000)
        curve = a * (b / a) ** (p if chance(r, 0.5) else 1 - p)
        x = swept(noise(r, n), curve, lu(r, 0.7, 8)) * (p ** u(r, 0, 2) if chance(r, 0.5) else (1 - p) ** u(r, 0.3, 2))
    elif style == 1:  # zap
        x = oscillator(r, lu(r, 60, 400) + lu(r, 1000, 9000) * decay(t, lu(r, 0.02, 0.2)), n) * decay(t, lu(r, 0.05, 0.4))
    elif style == 2:  # impact, explosion
        x = swept(noise(r, n), 80 + lu(r, 500, 8000) * decay(t, lu(r, 0.05, 0.8)), 0.8) * decay(t, lu(r, 0.15, 1.2))
        x = drive(norm(x) + u(r, 0.3, 1) * sine(lu(r, 25, 70), n) * decay(t, lu(r, 0.2, 1)), lu(r, 1, 8))
        x = room(r, x, u(r, 0.5, 2), u(r, 0.2, 0.8))
    elif style == 3:  # reversed cymbal
        x = crash(r)[::-1]
    elif style == 4:  # scratch
        speed = np.sin(TAU * lu(r, 1.5, 8) * t + r.random() * TAU) * u(r, 0.5, 2)
        src = norm(bandpass(noise(r, 8192), 300, 6000, 1)) + sine(lu(r, 150, 900), 8192)
        x = src[(np.cumsum(speed) % 8192).astype(int)] * np.abs(speed)
    elif style == 5:  # robot: ring modulation and FM in steps
        steps = r.integers(2, 14)
        f = np.repeat(np.exp(r.uniform(np.log(60), np.log(2500), steps)), n // steps + 1)[:n]
        x = np.sin(phase(f) + lu(r, 1, 12) * np.sin(phase(f * u(r, 0.3, 5)))) * sine(lu(r, 20, 900), n)
        x = x * (0.3 + 0.7 * (np.repeat(r.random(steps), n // steps + 1)[:n] > 0.25))
    elif style == 6:  # siren, bleeps
        f = lu(r, 300, 1500) * 2 ** (u(r, 0.2, 1.2) * np.sin(TAU * lu(r, 0.7, 12) * t))
        if chance(r, 0.5):
            f = np.where((t * lu(r, 3, 20)) % 1 < 0.5, f, f * u(r, 1.2, 2.5))
        x = oscillator(r, f, n)
    elif style == 7:  # glitch: pieces of noise, tones and silence
        x = np.zeros(n)
        for _ in range(r.integers(3, 25)):
            m = int(lu(r, 0.003, 0.08) * SR)
            at = r.integers(0, max(1, n - m))
            m = min(m, n - at)
            piece = noise(r, m) if chance(r, 0.4) else oscillator(r, lu(r, 50, 6000), m)
            x[at:at + m] += piece * u(r, 0.2, 1)
        x = np.round(x * 6) / 6
    elif style == 8:  # whoosh
        env = np.exp(-((p - u(r, 0.3, 0.8)) / u(r, 0.1, 0.3)) ** 2)
        x = swept(noise(r, n), 200 + lu(r, 1000, 8000) * env, lu(r, 0.7, 4)) * env
    elif style == 9:  # stop, rewind
        f = lu(r, 100, 900) * np.maximum(0.02, (1 - p) if chance(r, 0.6) else p) ** u(r, 0.5, 2)
        x = saw(f, n) + u(r, 0, 1) * sine(f * u(r, 1.1, 4), n) + u(r, 0, 0.4) * noise(r, n)
    elif style == 10:  # creature: rough formants
        f = lu(r, 80, 700) * (1 + u(r, 0.1, 0.5) * norm(lowpass(noise(r, n), lu(r, 5, 40), 1)))
        x = formants(saw(f, n), VOWELS[r.integers(8)], u(r, 0.6, 1.8)) * np.abs(norm(lowpass(noise(r, n), 12, 1)))
    else:  # door, knock, mechanical clatter
        x = np.zeros(n)
        for _ in range(r.integers(1, 8)):
            m = int(lu(r, 0.02, 0.4) * SR)
            at = r.integers(0, max(1, n - 100))
            m = min(m, n - at)
            tt = np.arange(m) / SR
            hit = modes(r, tt, sorted(r.uniform(1, 9, 6)), lu(r, 80, 900), lu(r, 0.01, 0.1)) + u(r, 0.2, 2) * noise(r, m) * decay(tt, lu(r, 0.003, 0.05))
            x[at:at + m] += hit * u(r, 0.2, 1)
        x = bandpass(x, 60, lu(r, 2000, 12000), 1)
    if chance(r, 0.2):
        x = drive(norm(x), lu(r, 1, 10))
    return room(r, x, u(r, 0.3, 2), u(r, 0.1, 0.5)) if chance(r, 0.3) else x
