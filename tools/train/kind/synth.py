"""Sounds of every kind by synthesis, each a function of a random generator: drum machines, struck
and plucked bodies, subtractive and FM voices, formants, noise. Mono float arrays at 44.1 kHz."""

import numpy as np
from scipy import signal

SR = 44100
TAU = 2 * np.pi


def u(r, low, high):
    return r.uniform(low, high)


def lu(r, low, high):
    """Log-uniform."""
    return float(np.exp(r.uniform(np.log(low), np.log(high))))


def chance(r, p):
    return r.random() < p


def times(seconds):
    return np.arange(max(16, int(seconds * SR))) / SR


def decay(t, tau):
    return np.exp(-t / tau)


def noise(r, n):
    return r.standard_normal(n)


def butter(x, kind, hz, order=2):
    hz = np.clip(np.atleast_1d(hz), 15, SR * 0.47)
    if len(hz) == 2 and hz[1] < hz[0] * 1.1:
        hz[1] = min(hz[0] * 1.1, SR * 0.48)
    sos = signal.butter(order, hz if len(hz) > 1 else hz[0], kind, fs=SR, output="sos")
    return signal.sosfilt(sos, x)


def lowpass(x, hz, order=2):
    return butter(x, "lowpass", hz, order)


def highpass(x, hz, order=2):
    return butter(x, "highpass", hz, order)


def bandpass(x, low, high, order=2):
    return butter(x, "bandpass", [low, high], order)


def peak(x, hz, q, gain_db):
    a = 10 ** (gain_db / 40)
    w = TAU * min(hz, SR * 0.45) / SR
    alpha = np.sin(w) / (2 * q)
    b = [1 + alpha * a, -2 * np.cos(w), 1 - alpha * a]
    c = [1 + alpha / a, -2 * np.cos(w), 1 - alpha / a]
    return signal.lfilter(b, c, x)


def resonant(x, hz, q):
    """Second-order low-pass with resonance."""
    w = TAU * np.clip(hz, 20, SR * 0.45) / SR
    alpha = np.sin(w) / (2 * q)
    c = np.cos(w)
    b = np.array([(1 - c) / 2, 1 - c, (1 - c) / 2])
    return signal.lfilter(b, [1 + alpha, -2 * c, 1 - alpha], x)


def swept(x, curve_hz, q):
    """A resonant low-pass whose frequency follows a curve, in blocks of 256 samples."""
    out = np.empty_like(x)
    z = np.zeros(2)
    for i in range(0, len(x), 256):
        w = TAU * np.clip(curve_hz[min(i, len(curve_hz) - 1)], 20, SR * 0.45) / SR
        alpha = np.sin(w) / (2 * q)
        c = np.cos(w)
        b = np.array([(1 - c) / 2, 1 - c, (1 - c) / 2]) / (1 + alpha)
        a = np.array([1, -2 * c / (1 + alpha), (1 - alpha) / (1 + alpha)])
        out[i:i + 256], z = signal.lfilter(b, a, x[i:i + 256], zi=z)
    return out


def phase(hz):
    return TAU * np.cumsum(hz) / SR


def sine(hz, n):
    return np.sin(phase(np.broadcast_to(hz, (n,))))


def saw(hz, n, r=None):
    p = phase(np.broadcast_to(hz, (n,))) / TAU + (r.random() if r is not None else 0)
    return 2 * (p % 1) - 1


def pulse(hz, n, width=0.5, r=None):
    p = phase(np.broadcast_to(hz, (n,))) / TAU + (r.random() if r is not None else 0)
    return np.where(p % 1 < width, 1.0, -1.0)


def drive(x, amount):
    return np.tanh(x * amount) / np.tanh(max(amount, 1e-3))


def norm(x):
    top = np.max(np.abs(x))
    return x / top if top > 0 else x


def adsr(t, attack, sustain_level, decay_s, length, release):
    env = np.minimum(1, t / max(attack, 1e-4))
    env = env * (sustain_level + (1 - sustain_level) * np.exp(-np.maximum(0, t - attack) / decay_s))
    return env * np.exp(-np.maximum(0, t - length) / max(release, 1e-3))


def modes(r, t, ratios, f0, tau, spread=0.3, tilt=0.8):
    out = np.zeros(len(t))
    for k, ratio in enumerate(ratios):
        hz = f0 * ratio
        if hz > SR * 0.45:
            continue
        out += (np.sin(TAU * hz * t + r.random() * TAU) * np.exp(-t / (tau / (1 + k * spread)))
                * (k + 1) ** -tilt * u(r, 0.4, 1))
    return out


MEMBRANE = [1, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501, 3.6, 4.06]


def room(r, x, seconds, wet):
    n = int(seconds * SR)
    tail = noise(r, n) * np.exp(-np.arange(n) / (n / 5))
    tail = lowpass(tail, lu(r, 2000, 12000), 1)
    tail[0] = 0
    y = signal.fftconvolve(x, tail)
    y = norm(y) * wet * np.max(np.abs(x))
    y[:len(x)] += x
    return y


# ---- drums

def kick(r):
    style = r.random()
    if style < 0.6:  # an oscillator that falls
        f0 = lu(r, 35, 75)
        tau = lu(r, 0.05, 0.7) if chance(r, 0.8) else lu(r, 0.03, 0.08)
        t = times(min(3, tau * 6 + 0.05))
        f = f0 + lu(r, 30, 900) * decay(t, lu(r, 0.004, 0.07))
        if chance(r, 0.4):
            f = f + lu(r, 200, 3000) * decay(t, lu(r, 0.001, 0.006))
        x = np.sin(phase(f) + u(r, 0, 1.5)) * decay(t, tau)
        if chance(r, 0.3):
            x = np.sin(phase(f)) * np.clip(1 - t / (tau * 2.5), 0, 1) ** u(r, 0.3, 1.5)
        x = x + u(r, 0, 0.5) * noise(r, len(t)) * decay(t, lu(r, 0.001, 0.01))
        if chance(r, 0.35):
            x = x + u(r, 0, 0.15) * bandpass(noise(r, len(t)), 300, 8000) * decay(t, tau * 0.5)
        if chance(r, 0.5):
            x = drive(x, lu(r, 1, 25))
        if chance(r, 0.4):
            x = lowpass(x, lu(r, 300, 8000))
        if chance(r, 0.1):
            x = room(r, x, u(r, 0.1, 0.8), u(r, 0.1, 0.4))
        return x
    # a bass drum: membrane, beater, shell
    f0 = lu(r, 42, 85)
    tau = lu(r, 0.04, 0.25)
    t = times(tau * 5 + 0.1)
    bend = 1 + u(r, 0.1, 1.2) * decay(t, lu(r, 0.005, 0.03))
    x = np.sin(phase(f0 * bend)) * decay(t, tau)
    x += u(r, 0.1, 0.6) * modes(r, t, MEMBRANE[1:6], f0, tau * u(r, 0.2, 0.6))
    click = bandpass(noise(r, len(t)), lu(r, 500, 2500), lu(r, 3000, 9000)) * decay(t, lu(r, 0.002, 0.012))
    x += u(r, 0.05, 1.2) * norm(click)
    x += u(r, 0.02, 0.15) * lowpass(noise(r, len(t)), lu(r, 300, 4000)) * decay(t, u(r, 0.03, 0.15))
    if chance(r, 0.4):
        x = room(r, x, u(r, 0.1, 0.5), u(r, 0.05, 0.3))
    return x


def snare(r):
    style = r.random()
    f0 = lu(r, 120, 330)
    body_tau = lu(r, 0.02, 0.16)
    wire_tau = lu(r, 0.03, 0.28)
    t = times(max(body_tau, wire_tau) * 5 + 0.05)
    n = len(t)
    bend = 1 + u(r, 0, 0.8) * decay(t, lu(r, 0.005, 0.03))
    body = np.sin(phase(f0 * bend)) * decay(t, body_tau)
    body += u(r, 0, 0.8) * np.sin(phase(f0 * u(r, 1.4, 1.9) * bend)) * decay(t, body_tau * 0.7)
    if style < 0.55:  # struck drum
        body += u(r, 0.1, 0.9) * modes(r, t, MEMBRANE[1:], f0, body_tau, 0.2)
        wires = noise(r, n) * decay(t, wire_tau) * (1 - 0.7 * decay(t, u(r, 0.002, 0.02)))
        wires = bandpass(wires, lu(r, 300, 2500), lu(r, 6000, 18000), 1)
        x = norm(body) * u(r, 0.2, 1) + norm(wires) * u(r, 0.25, 1)
        stick = highpass(noise(r, n), lu(r, 1000, 4000)) * decay(t, lu(r, 0.0015, 0.006))
        x += u(r, 0.1, 0.9) * norm(stick)
        if chance(r, 0.25):  # shell rings
            x += u(r, 0.05, 0.3) * modes(r, t, [1, 1.47, 2.09, 2.56], f0 * u(r, 1.5, 3), u(r, 0.05, 0.3))
    else:
        hiss = noise(r, n) * decay(t, wire_tau)
        low = lu(r, 200, 3500)
        hiss = highpass(hiss, low, 1 if chance(r, 0.5) else 2)
        x = norm(body) * u(r, 0, 1) + norm(hiss) * u(r, 0.5, 1)
        if chance(r, 0.4):
            x += u(r, 0, 1) * noise(r, n) * decay(t, 0.003)
    if chance(r, 0.25):  # gated or cut
        x = x * (t < lu(r, 0.06, 0.3))
    if chance(r, 0.3):
        x = drive(norm(x), lu(r, 1.5, 10))
    if chance(r, 0.35):
        x = room(r, x, u(r, 0.1, 0.9), u(r, 0.1, 0.6))
    return x


def rim(r):
    t = times(lu(r, 0.06, 0.4))
    n = len(t)
    style = r.random()
    if style < 0.3:  # a drum machine's two resonators
        x = sine(lu(r, 350, 900), n) * decay(t, lu(r, 0.004, 0.03))
        x += u(r, 0.5, 1.2) * sine(lu(r, 1200, 2600), n) * decay(t, lu(r, 0.003, 0.02))
        x = highpass(drive(norm(x), lu(r, 1, 8)), 300)
    elif style < 0.75:  # side stick
        x = modes(r, t, sorted(r.uniform(1, 7, 7)), lu(r, 350, 1100), lu(r, 0.008, 0.04), 0.15, 0.3)
        x += u(r, 0.3, 1.2) * norm(bandpass(noise(r, n), lu(r, 800, 2500), lu(r, 4000, 12000))) * decay(t, lu(r, 0.002, 0.012))
        x += u(r, 0, 0.4) * sine(lu(r, 150, 400), n) * decay(t, lu(r, 0.01, 0.06))
    else:  # rim shot
        x = modes(r, t, [1, 1.6, 2.1, 2.9, 3.7, 4.9], lu(r, 200, 700), lu(r, 0.02, 0.1), 0.1, 0.3)
        x += u(r, 0.5, 1.5) * norm(highpass(noise(r, n), 1500)) * decay(t, lu(r, 0.003, 0.02))
        x += u(r, 0, 0.4) * norm(highpass(noise(r, n), 1500)) * decay(t, lu(r, 0.03, 0.12))
    if chance(r, 0.3):
        x = room(r, x, u(r, 0.05, 0.5), u(r, 0.05, 0.4))
    return x


def clap(r):
    total = lu(r, 0.15, 0.7)
    t = times(total)
    n = len(t)
    hands = 1 if chance(r, 0.15) else r.integers(2, 7)
    gap = u(r, 0.005, 0.016)
    env = np.zeros(n)
    at = 0.0
    for k in range(hands):
        start = int(at * SR)
        if start >= n:
            break
        tau = lu(r, 0.002, 0.009)
        env[start:] = np.maximum(env[start:] * 0.6, u(r, 0.5, 1) * np.exp(-t[:n - start] / tau))
        at += gap * u(r, 0.6, 1.4)
    last = int(max(0, at - gap) * SR)
    env[min(last, n - 1):] += u(r, 0.15, 0.8) * np.exp(-t[:n - min(last, n - 1)] / lu(r, 0.02, 0.12))
    centre = lu(r, 700, 2600)
    x = noise(r, n) * env
    x = bandpass(x, centre / u(r, 1.3, 3), min(centre * u(r, 1.3, 6), 19000), 1 if chance(r, 0.5) else 2)
    if chance(r, 0.3):
        x = peak(x, centre, u(r, 1, 5), u(r, 3, 15))
    if chance(r, 0.3):
        x = drive(norm(x), lu(r, 1, 6))
    if chance(r, 0.5):
        x = room(r, x, u(r, 0.1, 0.7), u(r, 0.1, 0.6))
    return x


def metal(r, n, base=None):
    base = base or lu(r, 250, 700)
    x = np.zeros(n)
    if chance(r, 0.4):  # six square waves
        for ratio in [1, 1.342, 1.2312, 1.6532, 1.9523, 2.1523]:
            x += pulse(base * ratio * u(r, 0.97, 1.03), n, r=r)
    else:
        t = np.arange(n) / SR
        for hz in r.uniform(1500, 15000, r.integers(15, 45)):
            x += np.sin(TAU * hz * t + r.random() * TAU) * u(r, 0.2, 1)
    return norm(x)


def hat(r, tau, attack_noise=0.3):
    t = times(min(2.5, tau * 6 + 0.02))
    n = len(t)
    mix = r.random()
    x = mix * metal(r, n) + (1 - mix) * norm(noise(r, n))
    x = highpass(x, lu(r, 2500, 9000), 2 if chance(r, 0.6) else 4)
    env = decay(t, tau)
    if chance(r, 0.2):
        env = env * np.clip(1 - t / (tau * u(r, 1.5, 4)), 0, 1)
    x = x * env + attack_noise * u(r, 0, 1) * norm(highpass(noise(r, n), 3000)) * decay(t, 0.003)
    if chance(r, 0.2):
        x += u(r, 0, 0.2) * bandpass(noise(r, n), 300, 1500) * decay(t, 0.01)
    if chance(r, 0.2):
        x = room(r, x, u(r, 0.05, 0.3), u(r, 0.05, 0.2))
    return x


def hat_closed(r):
    if chance(r, 0.25):  # pedal: two plates meet
        t = times(0.3)
        x = np.pad(hat(r, lu(r, 0.02, 0.07)), (int(u(r, 0, 0.015) * SR), 0))
        low = bandpass(noise(r, len(t)), 400, 3000) * decay(t, 0.01) * u(r, 0, 0.4)
        m = min(len(x), len(low))
        x[:m] += low[:m]
        return x
    return hat(r, lu(r, 0.008, 0.065))


def hat_open(r):
    x = hat(r, lu(r, 0.11, 0.6))
    if chance(r, 0.4):
        x = x[:int(lu(r, 0.14, 0.9) * SR)]
        x[-min(400, len(x)):] *= np.linspace(1, 0, min(400, len(x)))
    return x


def tom(r):
    f0 = lu(r, 60, 320)
    tau = lu(r, 0.06, 0.5)
    t = times(tau * 5 + 0.05)
    n = len(t)
    bend = 1 + u(r, 0.02, 0.5) * decay(t, lu(r, 0.01, 0.1))
    if chance(r, 0.25):  # electronic
        bend = 1 + u(r, 0.3, 2.5) * decay(t, lu(r, 0.03, 0.2))
    x = np.sin(phase(f0 * bend)) * decay(t, tau)
    x += u(r, 0, 0.7) * sum(np.sin(phase(f0 * k * bend)) * decay(t, tau * u(r, 0.2, 0.7)) * u(r, 0.1, 0.6)
                            for k in MEMBRANE[1:7])
    stick = bandpass(noise(r, n), lu(r, 400, 2000), lu(r, 3000, 10000)) * decay(t, lu(r, 0.002, 0.015))
    x = norm(x) + u(r, 0, 0.5) * norm(stick)
    if chance(r, 0.4):
        x += u(r, 0.02, 0.3) * norm(bandpass(noise(r, n), 200, 6000)) * decay(t, lu(r, 0.03, 0.2))
    if chance(r, 0.15):
        x = drive(x, lu(r, 1, 5))
    if chance(r, 0.35):
        x = room(r, x, u(r, 0.1, 0.8), u(r, 0.05, 0.4))
    return x


def plate(r, seconds, tau, low=300, bright=0.5, count=120):
    """Many inharmonic partials, the high ones dying sooner, over a bed of noise."""
    t = times(seconds)
    x = np.zeros(len(t))
    strike = noise(r, 40) * np.hanning(40)
    for hz in np.exp(r.uniform(np.log(low), np.log(15000), count)):
        pole = np.exp(-(1 + hz / 9000 * bright) / (tau * u(r, 0.5, 1.5)) / SR)
        excite = np.zeros(len(t))
        excite[:40] = np.roll(strike, r.integers(40)) * u(r, 0.1, 1)
        x += signal.lfilter([1.0], [1.0, -2 * pole * np.cos(TAU * hz / SR), pole * pole], excite) * np.sin(TAU * hz / SR)
    return norm(x), t


def crash(r):
    tau = lu(r, 0.25, 1.6)
    x, t = plate(r, min(4, tau * 3.5 + 0.2), tau, lu(r, 200, 900), u(r, 0, 2), r.integers(30, 70))
    n = len(t)
    wash = norm(highpass(noise(r, n), lu(r, 400, 4000), 1)) * decay(t, tau * u(r, 0.6, 1.2))
    x = x * u(r, 0.1, 1) + wash * u(r, 0.3, 1)
    x = x * (1 - u(r, 0, 0.7) * decay(t, u(r, 0.005, 0.05)))
    x += u(r, 0, 0.5) * norm(bandpass(noise(r, n), 300, 12000)) * decay(t, lu(r, 0.003, 0.03))
    return highpass(x, lu(r, 100, 600))


def ride(r):
    tau = lu(r, 0.3, 1.8)
    x, t = plate(r, min(4, tau * 3 + 0.2), tau, lu(r, 300, 1500), u(r, 0, 1), r.integers(20, 45))
    n = len(t)
    ping = modes(r, t, sorted(r.uniform(1, 6, 8)), lu(r, 500, 2500), tau * u(r, 0.2, 0.8), 0.1, 0.3)
    stick = highpass(noise(r, n), lu(r, 2000, 6000)) * decay(t, lu(r, 0.003, 0.02))
    wash = norm(highpass(noise(r, n), lu(r, 3000, 7000), 1)) * decay(t, tau)
    x = x * u(r, 0.2, 0.8) + norm(ping) * u(r, 0.15, 1) + norm(stick) * u(r, 0.3, 1) + wash * u(r, 0, 0.35)
    return highpass(x, lu(r, 200, 700))


def cymbal(r):
    style = r.random()
    if style < 0.35:  # choked or sizzling
        x = crash(r)
        cut = int(lu(r, 0.08, 0.5) * SR)
        x = x[:cut] if chance(r, 0.6) else x
        x[-min(900, len(x)):] *= np.linspace(1, 0, min(900, len(x)))
        return x
    if style < 0.7:  # swell, roll
        x = crash(r)
        t = np.arange(len(x)) / SR
        return x * np.minimum(1, t / u(r, 0.2, 1.5)) ** u(r, 0.5, 2)
    x, t = plate(r, u(r, 1.5, 4), u(r, 0.8, 2.5), lu(r, 60, 200), u(r, 0, 3), 60)  # gong
    return x * np.minimum(1, t / lu(r, 0.001, 0.2))


def cowbell(r):
    t = times(lu(r, 0.1, 0.8))
    n = len(t)
    base = lu(r, 380, 1100)
    ratio = u(r, 1.35, 1.6)
    tau = lu(r, 0.03, 0.2)
    if chance(r, 0.5):
        x = pulse(base, n, r=r) + pulse(base * ratio, n, r=r) * u(r, 0.6, 1.2)
        x = bandpass(x, base * 0.9, base * u(r, 2, 8), 1)
        env = 0.6 * decay(t, lu(r, 0.005, 0.02)) + 0.6 * decay(t, tau)
        x = x * env
    else:
        x = modes(r, t, [1, ratio, 2.2 * u(r, 0.9, 1.1), 3.4 * u(r, 0.9, 1.1), 4.6, 5.9], base, tau, 0.15, 0.4)
        x += u(r, 0, 0.5) * norm(highpass(noise(r, n), 2000)) * decay(t, 0.004)
    return room(r, x, u(r, 0.05, 0.4), u(r, 0, 0.3)) if chance(r, 0.3) else x


def perc(r):
    style = r.integers(0, 9)
    if style == 0:  # shaker, maracas, cabasa
        t = times(lu(r, 0.03, 0.25))
        n = len(t)
        rise = u(r, 0.05, 0.6) * t[-1]
        env = np.minimum(1, t / rise) ** u(r, 0.5, 2) * np.exp(-np.maximum(0, t - rise) / lu(r, 0.01, 0.06))
        x = highpass(noise(r, n), lu(r, 2500, 7000)) * env
        if chance(r, 0.3):
            x = x * (0.5 + 0.5 * np.abs(noise(r, n)) ** 2)
        return x
    if style == 1:  # tambourine
        t = times(lu(r, 0.15, 0.6))
        n = len(t)
        x = highpass(metal(r, n), 4000) * decay(t, lu(r, 0.03, 0.15))
        for _ in range(r.integers(1, 5)):
            d = int(u(r, 0.005, 0.06) * SR)
            x[d:] += u(r, 0.2, 0.7) * x[:n - d]
        x += u(r, 0, 0.4) * sine(lu(r, 200, 600), n) * decay(t, 0.02)
        return x
    if style == 2:  # conga, bongo, djembe
        f0 = lu(r, 130, 650)
        tau = lu(r, 0.03, 0.2)
        t = times(tau * 5 + 0.05)
        x = sine(f0 * (1 + u(r, 0, 0.15) * decay(t, 0.02)), len(t)) * decay(t, tau)
        x += u(r, 0.1, 0.6) * modes(r, t, MEMBRANE[1:8], f0, tau * 0.4)
        x += u(r, 0, 1.2) * norm(bandpass(noise(r, len(t)), 800, 6000)) * decay(t, lu(r, 0.002, 0.02))
        return x
    if style == 3:  # wood block, claves
        f0 = lu(r, 600, 3200)
        t = times(lu(r, 0.05, 0.3))
        return modes(r, t, [1, u(r, 1.4, 2.8), u(r, 2.5, 4.5)], f0, lu(r, 0.01, 0.05), 0.5, 1) + \
            u(r, 0, 0.4) * noise(r, len(t)) * decay(t, 0.002)
    if style == 4:  # triangle
        t = times(lu(r, 0.2, 2.5))
        x = modes(r, t, sorted(r.uniform(1, 7, 9)), lu(r, 1200, 4000), lu(r, 0.08, 0.9), 0.05, 0.1)
        return highpass(x, 1000)
    if style == 5:  # guiro, vibraslap: repeated strokes
        t = times(u(r, 0.15, 0.7))
        n = len(t)
        rate = lu(r, 18, 80)
        strokes = np.maximum(0, np.sin(phase(np.full(n, rate) * np.linspace(1, u(r, 0.7, 1.6), n)))) ** 8
        return bandpass(noise(r, n), lu(r, 800, 3000), lu(r, 4000, 12000)) * strokes * np.minimum(1, (t[-1] - t) * 20)
    if style == 6:  # tabla: bends
        f0 = lu(r, 80, 450)
        tau = lu(r, 0.05, 0.35)
        t = times(tau * 4 + 0.05)
        bend = 1 + u(r, -0.35, 0.5) * (1 - decay(t, u(r, 0.03, 0.15)))
        x = sum(np.sin(phase(f0 * k * bend)) * decay(t, tau / k ** 0.5) * u(r, 0.2, 1) for k in (1, 2, 3, 4, 5))
        return x + u(r, 0, 0.8) * norm(bandpass(noise(r, len(t)), 1000, 7000)) * decay(t, lu(r, 0.003, 0.015))
    if style == 7:  # tick
        t = times(lu(r, 0.01, 0.08))
        return bandpass(noise(r, len(t)), lu(r, 500, 4000), lu(r, 5000, 16000)) * decay(t, lu(r, 0.0008, 0.008))
    f0 = lu(r, 200, 3000)  # small electronic hit
    t = times(lu(r, 0.04, 0.3))
    f = f0 * (1 + u(r, -0.4, 1.5) * decay(t, lu(r, 0.004, 0.05)))
    x = np.sin(phase(f) + u(r, 0, 4) * np.sin(phase(f * u(r, 0.5, 3.7))) * decay(t, 0.03))
    return x * decay(t, lu(r, 0.01, 0.07))
