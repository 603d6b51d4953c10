"""Renders composed pieces: General MIDI banks through libfluidsynth, drum machines and synthesisers of our own, effects."""
import ctypes, ctypes.util, io
import numpy as np
from scipy import signal

RATE = 22050
FONTS = ["/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf3/MuseScore_General_Full.sf3"]
GM_DRUM = dict(kick=[36, 35], snare=[38, 40], rim=[37], clap=[39], hat_c=[42], hat_p=[44], hat_o=[46], ride=[51, 59, 53], crash=[49, 57], tom1=[50, 48], tom2=[47, 45], tom3=[43, 41], cowbell=[56], shaker=[70, 82, 69], perc=[60, 62, 64, 54, 75, 76])
GM_KITS = [0, 0, 8, 16, 24, 25, 25, 32, 40, 48]


class Fluid:
    def __init__(self, font):
        f = self.f = ctypes.CDLL(ctypes.util.find_library("fluidsynth"))
        for name in ("new_fluid_settings", "new_fluid_synth"): getattr(f, name).restype = ctypes.c_void_p
        f.fluid_synth_set_gain.argtypes = [ctypes.c_void_p, ctypes.c_float]
        s = ctypes.c_void_p(f.new_fluid_settings())
        f.fluid_settings_setnum(s, b"synth.sample-rate", ctypes.c_double(2 * RATE))
        f.fluid_settings_setint(s, b"synth.dynamic-sample-loading", 1)
        f.fluid_settings_setint(s, b"synth.reverb.active", 0)
        f.fluid_settings_setint(s, b"synth.chorus.active", 0)
        f.fluid_settings_setint(s, b"synth.polyphony", 96)
        self.s = ctypes.c_void_p(f.new_fluid_synth(s))
        if f.fluid_synth_sfload(self.s, font.encode(), 1) < 0: raise RuntimeError(font)
        f.fluid_synth_set_gain(self.s, 0.4)
        f.fluid_synth_set_interp_method(self.s, -1, 1)

    def render(self, events, programs, seconds):
        """events: (time, channel, pitch, velocity or 0); programs: channel -> program. Mono at RATE."""
        f, s = self.f, self.s
        f.fluid_synth_system_reset(s)
        for ch, prog in programs.items(): f.fluid_synth_program_change(s, ch, prog)
        total = int(seconds * 2 * RATE)
        out, at = [], 0
        def advance(to):
            nonlocal at
            n = min(to, total) - at
            if n <= 0: return
            l, r = np.empty(n, np.float32), np.empty(n, np.float32)
            p = ctypes.POINTER(ctypes.c_float)
            f.fluid_synth_write_float(s, n, l.ctypes.data_as(p), 0, 1, r.ctypes.data_as(p), 0, 1)
            out.append((l + r) * 0.5); at += n
        for t, ch, pitch, v in sorted(events, key=lambda e: (e[0], e[3])):
            advance(int(t * 2 * RATE))
            if v: f.fluid_synth_noteon(s, ch, int(pitch), int(v))
            else: f.fluid_synth_noteoff(s, ch, int(pitch))
        advance(total)
        x = np.concatenate(out)
        # fluidsynth renders blocks of 64: events are up to 1.5 ms early or late, which no ear minds
        return signal.resample_poly(x, 1, 2).astype(np.float32)


def env(n, attack, decay):
    t = np.arange(n) / RATE
    return np.minimum(1, t / max(attack, 1e-4)) * np.exp(-t / decay)


def band(x, lo, hi):
    lo, hi = max(20, lo), min(RATE * 0.49, hi)
    return signal.sosfilt(signal.butter(2, [lo, hi], "bandpass", fs=RATE, output="sos"), x)


def drum_kit(rng):
    """One random drum machine: name -> waveform."""
    kit = {}
    n = RATE
    t = np.arange(n) / RATE
    noise = lambda: rng.normal(size=n)
    f0, f1, sweep, dec = rng.uniform(38, 65), rng.uniform(90, 400), rng.uniform(0.01, 0.07), rng.uniform(0.06, 0.45)
    phase = 2 * np.pi * np.cumsum(f0 + f1 * np.exp(-t / sweep)) / RATE
    kick = np.sin(phase) * env(n, 0.001, dec) + rng.uniform(0, .5) * noise() * env(n, 0.0003, rng.uniform(.002, .01))
    kit["kick"] = np.tanh(kick * rng.uniform(1, 4))
    ft = rng.uniform(150, 260)
    kit["snare"] = rng.uniform(.2, 1) * np.sin(2 * np.pi * ft * t + 3 * np.exp(-t / .02)) * env(n, .0005, rng.uniform(.04, .12)) + band(noise(), rng.uniform(700, 2500), rng.uniform(6000, 10500)) * env(n, .0005, rng.uniform(.05, .22))
    kit["rim"] = band(noise(), 900, 4500) * env(n, .0003, .012) + np.sin(2 * np.pi * rng.uniform(400, 1800) * t) * env(n, .0003, .02)
    clap = band(noise(), 700, rng.uniform(3000, 7000))
    e = sum(np.where(t >= d, np.exp(-np.maximum(0, t - d) / .006), 0) for d in (0, .011, .022)) * .7 + np.where(t >= .03, np.exp(-np.maximum(0, t - .03) / rng.uniform(.04, .15)), 0)
    kit["clap"] = clap * e
    lo = rng.uniform(4000, 7500)
    metal = sum(signal.square(2 * np.pi * f * rng.uniform(.9, 1.1) * t) for f in (205, 304, 369, 522, 540, 800)) * .12
    src = lambda: band(noise() if rng.random() < .5 else metal * 3 + noise() * .3, lo, 10800)
    kit["hat_c"] = src() * env(n, .0005, rng.uniform(.012, .05))
    kit["hat_p"] = kit["hat_c"] * .7
    kit["hat_o"] = src() * env(n, .001, rng.uniform(.1, .4))
    kit["ride"] = band(noise() * .3 + metal * 2, rng.uniform(2500, 5000), 10500) * env(n, .001, rng.uniform(.2, .6))
    kit["crash"] = band(noise(), rng.uniform(1500, 4000), 10800) * env(n, .002, rng.uniform(.4, .9))
    for i, f in enumerate((180, 130, 90)):
        f *= rng.uniform(.8, 1.2)
        kit[f"tom{i + 1}"] = np.sin(2 * np.pi * np.cumsum(f * (1 + .6 * np.exp(-t / .04))) / RATE) * env(n, .001, rng.uniform(.1, .35)) + .1 * noise() * env(n, .0005, .01)
    kit["cowbell"] = band(signal.square(2 * np.pi * rng.uniform(500, 600) * t) + signal.square(2 * np.pi * rng.uniform(780, 860) * t), 500, 4000) * env(n, .0005, rng.uniform(.05, .2))
    kit["shaker"] = band(noise(), 3500, 9500) * env(n, rng.uniform(.005, .03), rng.uniform(.02, .06))
    kit["perc"] = np.sin(2 * np.pi * rng.uniform(250, 900) * t * (1 + .2 * np.exp(-t / .01))) * env(n, .0005, rng.uniform(.03, .15))
    return {k: (v / (np.abs(v).max() + 1e-9) * (0.9 if k in ("kick", "snare", "clap") else rng.uniform(.2, .5))).astype(np.float32) for k, v in kit.items()}


class Synth:
    """A subtractive synthesiser: two wave tables, bright and dark, mixed by an envelope."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        k = np.arange(1, 65)
        shape = rng.integers(4)
        amp = [1 / k, (k % 2) / k, (k % 2) / k ** 2, rng.random(64) / k ** rng.uniform(.3, 1.5)][shape]
        ph = rng.uniform(0, 2 * np.pi, 64) if rng.random() < .3 else np.zeros(64)
        cut = rng.uniform(4, 40)
        self.amp, self.ph, self.cut = amp, ph, cut
        self.attack = rng.choice([.001, .003, .008, .02, .06, .15], p=[.3, .25, .2, .1, .1, .05])
        self.decay = rng.choice([.08, .2, .5, 2])
        self.sustain = rng.choice([0, .3, .7, 1])
        self.release = rng.choice([.02, .05, .2])
        self.filter_decay = rng.uniform(.03, .5)
        self.detune = rng.choice([0, .002, .006])
        self.gain = rng.uniform(.1, .25)
        self.cache = {}

    def table(self, limit, cut):
        x = np.arange(2048) / 2048 * 2 * np.pi
        k = np.arange(1, 65)
        a = self.amp / (1 + (k / cut) ** 4) * (k <= limit)
        w = (a[:, None] * np.sin(k[:, None] * x + self.ph[:, None])).sum(0)
        return w / (np.abs(w).max() + 1e-9)

    def note(self, pitch, length, velocity):
        f = 440 * 2 ** ((pitch - 69) / 12)
        key = int(pitch) // 2
        if key not in self.cache:
            lim = max(1, int(RATE * .45 / f))
            self.cache[key] = (self.table(lim, self.cut), self.table(lim, max(1.5, self.cut / 6)))
        bright, dark = self.cache[key]
        n = int((length + self.release) * RATE)
        t = np.arange(n) / RATE
        out = 0
        for d in ((0,) if not self.detune else (-self.detune, self.detune)):
            i = (t * f * (1 + d) * 2048).astype(np.int64) & 2047
            m = np.exp(-t / self.filter_decay)
            out = out + bright[i] * m + dark[i] * (1 - m)
        e = np.minimum(1, t / self.attack) * (self.sustain + (1 - self.sustain) * np.exp(-np.maximum(0, t - self.attack) / self.decay)) * np.clip((length + self.release - t) / self.release, 0, 1)
        return (out * e * self.gain * (velocity / 100)).astype(np.float32)


def effects(rng, x):
    if rng.random() < .6:    # tone
        X = np.fft.rfft(x)
        f = np.fft.rfftfreq(len(x), 1 / RATE)
        g = np.interp(np.log2(np.maximum(f, 20)), np.linspace(4.3, 13.5, 7), rng.normal(size=7) * rng.uniform(1, 5))
        x = np.fft.irfft(X * 10 ** (g / 20), len(x)).astype(np.float32)
    if rng.random() < .45:   # room
        t60 = rng.uniform(.15, 2.0)
        n = int(t60 * RATE)
        ir = rng.normal(size=n) * np.exp(-6.9 * np.arange(n) / n) * np.minimum(1, np.arange(n) / (RATE * rng.uniform(.001, .02)))
        ir = band(ir, 150, rng.uniform(3000, 9000))
        wet = signal.fftconvolve(x, ir)[:len(x)]
        x = x + wet * (np.sqrt((x ** 2).mean()) / (np.sqrt((wet ** 2).mean()) + 1e-9)) * rng.uniform(.05, .5)
    if rng.random() < .4:    # compression, limiting
        e = np.sqrt(signal.lfilter([1 - .9985], [1, -.9985], x ** 2) + 1e-9)
        x = x * np.maximum(e, e.max() * 1e-3) ** (-rng.uniform(.2, .7))
    if rng.random() < .2:
        x = np.tanh(x / (np.abs(x).max() + 1e-9) * rng.uniform(1, 5))
    x = x / (np.abs(x).max() + 1e-9)
    if rng.random() < .2: x = x + rng.normal(size=len(x)) * 10 ** (-rng.uniform(25, 55) / 20)
    if rng.random() < .15: x = signal.sosfilt(signal.butter(4, rng.uniform(3500, 9000), fs=RATE, output="sos"), x)
    if rng.random() < .08: x = np.round(x * 127) / 127
    x = x.astype(np.float32)
    if rng.random() < .08:
        import soundfile as sf
        buf = io.BytesIO()
        sf.write(buf, x * .9, RATE, format="OGG", subtype="VORBIS"); buf.seek(0)
        y = sf.read(buf, dtype="float32")[0]
        x = y[:len(x)] if len(y) >= len(x) else np.pad(y, (0, len(x) - len(y)))
    return x * np.float32(10 ** (-rng.uniform(0, 30) / 20))


class Renderer:
    def __init__(self):
        self.fluids = [Fluid(f) for f in FONTS]

    def render(self, rng, p, seconds, gm_drums, dry=False):
        """Samples and labels (seconds) of a piece."""
        lead = 0.0 if p.loop else float(rng.choice([0, 0, rng.uniform(0, 1.2)]))
        length = float(p.seconds[p.beats]) if p.loop else seconds
        offs = {k: (0 if not p.jitter_s else rng.normal() * p.jitter_s * .7) for k in list(p.tracks) + ["drums"]}
        gain = {k: 10 ** (rng.uniform(-7, 4) / 20) for k in p.tracks}
        onset_times, events, programs, extra = [], [], {}, np.zeros(int(length * RATE) + 4 * RATE, np.float32)
        detune = float(rng.normal() * .12) if rng.random() < .3 else 0.0
        synths, ch_of = {}, {}
        free = [c for c in range(16) if c != 9]
        for k, (kind, what) in p.tracks.items():
            if kind == "gm": ch_of[k] = free[len(ch_of) % 15]; programs[ch_of[k]] = what
            else: synths[k] = Synth(what)
        add = lambda t, w: None if t < 0 or t >= length else extra.__setitem__(slice(int(t * RATE), int(t * RATE) + len(w)), extra[int(t * RATE):int(t * RATE) + len(w)] + w[:max(0, len(extra) - int(t * RATE))])
        for b, ln, track, pitch, v in p.notes:
            t = float(p.time(b)) + lead + offs[track] + (rng.normal() * p.jitter_s if p.jitter_s else 0)
            t = max(0.0, t)
            end = t + max(.04, float(p.time(b + ln)) - float(p.time(b)))
            if t >= length - .01: continue
            v = int(np.clip(v * gain[track], 12, 127)) if track in ch_of else v
            if track in ch_of: events += [(t, ch_of[track], pitch, v), (end, ch_of[track], pitch, 0)]
            else: add(t, synths[track].note(pitch + detune, end - t, v) * gain[track])
            if v > 25: onset_times.append(t)
        kit = None if gm_drums else drum_kit(rng)
        dgain = 10 ** (rng.uniform(-8, 3) / 20)
        if gm_drums: programs[9] = int(rng.choice(GM_KITS))
        names = {d: int(rng.choice(GM_DRUM[d])) for _, d, _ in p.hits}
        spread = (-5, 2) if rng.random() < 0.6 else (-14, 4)      # some mixes hide the kick or let a hat stand out
        gains = {d: 10 ** (rng.uniform(*spread) / 20) for d in names}
        for b, d, v in p.hits:
            t = max(0.0, float(p.time(b)) + lead + offs["drums"] + (rng.normal() * p.jitter_s * .6 if p.jitter_s else 0))
            if t >= length - .01: continue
            v = float(np.clip(v * gains[d], 10, 127))
            if gm_drums: events += [(t, 9, names[d], int(np.clip(v * dgain, 10, 127))), (t + .1, 9, names[d], 0)]
            else: add(t, kit[d] * ((v / 100) ** 1.5 * dgain * gains[d]))
            if v > 22: onset_times.append(t)
        x = np.zeros(int(length * RATE), np.float32)
        if events:
            fluid = self.fluids[0 if rng.random() < .5 else 1]
            for c in range(16): fluid.f.fluid_synth_pitch_bend(fluid.s, c, 8192 + int(detune * 4096))
            y = fluid.render(events, programs, length)
            x[:len(y)] += y[:len(x)]
        e = extra[:len(x)]
        if np.abs(e).max() > 0 and np.abs(x).max() > 0: x = x / np.abs(x).max() + e / np.abs(e).max() * 10 ** (rng.uniform(-7, 5) / 20)
        else: x = x + e
        x = x / (np.abs(x).max() + 1e-9) if dry else effects(rng, x)
        grid = p.seconds[:p.beats + 1] + lead
        downs = set(p.downbeats())
        # A pick-up of less than a beat: the beat before it is not sounded and may lie before the file.
        first = 0
        beats = np.array([grid[i] for i in range(first, p.beats) if grid[i] < length])
        down = np.array([grid[i] for i in sorted(downs) if i < p.beats and grid[i] < length])
        on = []
        for t in sorted(onset_times):
            if not on or t - on[-1] > .03: on.append(t)
        start = 0.0
        notes = [n[0] for n in p.notes] + [h[0] for h in p.hits]
        if p.style == "fiddle" and p.pickup:     # begin with the first note, as a recording does
            start = max(0.0, float(p.time(min(notes))) + lead - rng.choice([0, .05, .25]))
        elif not p.loop and rng.random() < .2: start = float(rng.uniform(0, min(4, length / 4)))
        k = int(start * RATE)
        return x[k:], beats - k / RATE, down - k / RATE, np.array(on) - k / RATE
