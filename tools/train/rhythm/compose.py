"""Composes short pieces of music by program, with exact labels: beats, bars, metre, key, onsets.

A piece is a list of notes and drum hits on a grid of beats, a map from beats to seconds (human drift, ritardando,
fermatas, swing, jitter), and tracks that say what plays the notes. Everything follows from a numpy Generator.
"""
import dataclasses
import numpy as np

METERS = ["2/4", "2/2", "3/4", "4/4", "6/8"]
MAJOR, MINOR, HARMONIC, DORIAN = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 3, 5, 7, 8, 11], [0, 2, 3, 5, 7, 9, 10]
MIXO, PENTA_MIN = [0, 2, 4, 5, 7, 9, 10], [0, 3, 5, 7, 10]

# Progressions in scale degrees (0 = tonic), one chord a bar or half a bar.
PROGS_MAJ = [[0, 4, 5, 3], [0, 5, 3, 4], [5, 3, 0, 4], [0, 3, 4, 4], [0, 3, 0, 4], [0, 0, 3, 4], [0, 2, 3, 4], [3, 4, 2, 5], [0, 5, 1, 4], [1, 4, 0, 0],
             [0, 3, 1, 4], [0, 4, 3, 3], [0, 3, 4, 3], [0, 0, 0, 0], [0, 0, 3, 3], [0, 1, 3, 0], [2, 5, 1, 4], [0, 4, 0, 4], [0, 0, 4, 4], [0, 6, 3, 0]]
PROGS_MIN = [[0, 5, 2, 6], [0, 6, 5, 6], [0, 3, 4, 0], [0, 5, 3, 4], [0, 3, 6, 2], [0, 0, 5, 6], [0, 6, 5, 4], [0, 3, 0, 4], [0, 0, 3, 4], [1, 4, 0, 0],
             [0, 0, 0, 0], [0, 5, 0, 6], [0, 2, 6, 3], [5, 6, 0, 0], [0, 4, 5, 3], [0, 6, 0, 6], [0, 0, 6, 5], [3, 0, 4, 0], [0, 2, 5, 4]]


@dataclasses.dataclass
class Piece:
    style: str
    ts: str
    bpb: int
    bpm: float
    tonic: int
    minor: bool
    beats: int
    seconds: np.ndarray = None          # time of each beat 0..beats
    pickup: int = 0                     # beats before the first downbeat
    swing: float = 0.5                  # where the second half of the swung unit falls
    swing_unit: float = 1.0             # in beats
    notes: list = dataclasses.field(default_factory=list)   # (beat, length, track, pitch, velocity)
    hits: list = dataclasses.field(default_factory=list)    # (beat, drum, velocity)
    tracks: dict = dataclasses.field(default_factory=dict)  # name -> ("gm", program) or ("synth", kind)
    jitter_s: float = 0.0
    loop: bool = False
    has_key: bool = True

    def time(self, beat):
        whole = np.floor(beat / self.swing_unit)
        f = beat / self.swing_unit - whole
        s = self.swing
        f = np.where(f < 0.5, f * 2 * s, s + (f - 0.5) * 2 * (1 - s))
        return np.interp((whole + f) * self.swing_unit, np.arange(len(self.seconds)), self.seconds)

    def downbeats(self):
        return [i for i in range(self.beats) if (i - self.pickup) % self.bpb == 0 and i >= self.pickup]


class Harmony:
    """Chords over time; pitch classes of the scale and of the chord at a beat."""

    def __init__(self, rng, p, per_bar=1, plain=False):
        self.p = p
        if p.minor:
            self.scale = [MINOR, MINOR, HARMONIC, DORIAN][rng.integers(4)]
            prog = list(PROGS_MIN[rng.integers(len(PROGS_MIN))])
        else:
            self.scale = MAJOR if plain or rng.random() < 0.85 else MIXO
            prog = list(PROGS_MAJ[rng.integers(len(PROGS_MAJ))])
        if rng.random() < 0.3:
            other = (PROGS_MIN if p.minor else PROGS_MAJ)
            prog += list(other[rng.integers(len(other))])
        self.prog, self.per_bar = prog, per_bar
        self.raise_fifth = p.minor and rng.random() < 0.5
        self.sevenths = rng.random() < 0.35

    def degree(self, beat):
        bars = (beat - self.p.pickup) / self.p.bpb
        return self.prog[int(np.floor(bars * self.per_bar + 1e-6)) % len(self.prog)]

    def pitch(self, degree, octave):
        o, d = divmod(degree, 7)
        return 12 * (octave + 1 + o) + self.p.tonic + self.scale[d]

    def chord(self, beat, octave=4, size=3):
        d = self.degree(beat)
        out = [self.pitch(d + 2 * k, octave) for k in range(4 if self.sevenths and size > 3 else 3)]
        if self.raise_fifth and d == 4:
            out = [q + 1 if (q - self.p.tonic) % 12 == 10 else q for q in out]
        return out

    def bass(self, beat, octave=2):
        return self.pitch(self.degree(beat), octave)


def rhythm_map(rng, p, drift=None, rit=False, fermatas=()):
    n = p.beats + 8
    d = np.full(n, 60.0 / p.bpm)
    if drift is None:
        drift = rng.choice([0, 0, 0, 0.004, 0.01, 0.02, 0.05])
    if drift:
        walk = np.convolve(rng.normal(size=n + 16), np.hanning(9) / 4.5, "same")[8:8 + n]
        trend = np.sin(np.arange(n) / n * np.pi * rng.uniform(0.5, 3) + rng.uniform(0, 6)) * rng.random()
        d = d * np.exp(drift * (walk + trend))
    if rit:
        k = rng.integers(2, 5)
        d[p.beats - k:p.beats] *= np.linspace(1.05, rng.uniform(1.15, 1.6), k)
    for f in fermatas:
        d[f] *= rng.uniform(1.5, 2.5)
    p.seconds = np.concatenate([[0], np.cumsum(d)])


def vel(rng, base, spread=12):
    return int(np.clip(base + rng.normal() * spread * 0.5, 15, 127))


def put_pattern(rng, p, drum, pattern, bars, steps_beat, level, drop=0.0, add=0.0, skip=()):
    """pattern: a string over one or more bars; x strong, o soft, g ghost."""
    per_bar = p.bpb * steps_beat
    for bar in range(bars):
        if bar in skip:
            continue
        for s in range(per_bar):
            c = pattern[(bar * per_bar + s) % len(pattern)]
            if c == "." and rng.random() < add:
                c = "g"
            if c == "." or rng.random() < drop:
                continue
            v = {"x": level, "o": level * 0.75, "g": level * 0.42}[c]
            p.hits.append((p.pickup + bar * p.bpb + s / steps_beat, drum, vel(rng, v)))


def pick(rng, items):
    return items[rng.integers(len(items))]


def random_line(rng, density, n, forced=()):
    s = ["x" if rng.random() < density else "." for _ in range(n)]
    for f in forced:
        s[f] = "x"
    return "".join(s)


# Style tables: kick, snare, hat choices over sixteen steps (4 a beat).
K_ROCK = ["x.......x.......", "x.......x.x.....", "x.....x.x.......", "x.x.....x.......", "x.......x.....x.", "x..x....x.x.....", "x.....x.x.x.....", "x...x...x...x..."]
S_BACK = ["....x.......x..."]
H_8 = ["x.o.x.o.x.o.x.o.", "x.x.x.x.x.x.x.x.", "o.x.o.x.o.x.o.x."]
H_16 = ["xgogxgogxgogxgog", "xoxoxoxoxoxoxoxo", "x.ogx.ogx.ogx.og"]
H_4 = ["x...x...x...x...", "o...x...o...x..."]
OFF8 = ["..x...x...x...x."]
K_HIP = ["x.....x...x.....", "x.........x.....", "x..x......x.....", "x.x.......x..x..", "x......xx.......", "x.....x.x.....x.", "x..x..x...x.....", "x.......x.x....."]
K_TRAP = ["x.........x.....", "x.....x.........", "x..x......x..x..", "x.....x...x.....", "x..............x", "x......x..x.....", "x.x.......x....."]
K_DNB = ["x.........x.....", "x..x......x.....", "x.........x..x..", "x.x.......x....."]
BREAKS = [("x.x.......xx....", "....x..g.g..x..g"), ("x.......x.x.....", "....x..x.x..x..."), ("x..x......x..x..", "....x..g.g..x..."), ("x.x...x...x.....", "....x..g....x.g.")]
# Grooves whose first beat or beats are weak: off-beat hats and bells louder than the kick, tresillo, two-step, half-time fills.
SYNCOPATED = [("x..x..x.x..x..x.", "....x.......x...", "..x...x...x...x."), ("x.....x....x....", "....x.......x...", "x.xxx.xxx.xxx.xx"), ("......x...x.....", "....x.......x...", "x.o.x.o.x.o.x.o."),
              ("x..x..x...x.x...", "....x..x....x..x", "x.x.x.x.x.x.x.x."), ("x..........x..x.", "........x.......", "x.xxx.x.x.xxx.x."), ("x......x..x.....", "....x.......x..x", "..x...x...x...x."),
              ("..x...x...x...x.", "....x.......x...", "x.x.x.x.x.x.x.x."), ("x.x...x.......x.", "....x.......x...", "x.oxx.oxx.oxx.ox"), ("x.....x.......x.", "........x.......", "x.x.xxx.x.x.xxx."), ("x..x.......x....", "....x..x.x..x...", "..x.x.x...x.x.x.")]
K_FUNK = ["x..x..x...x..x..", "x.x....x..x.....", "x.....xx..x..x..", "x..x....x.x..x..", "x.x...x..x....x.", "x...x..x..x....."]


def rest_drums(rng, p, bars):
    """Lets some drums be silent for a while, as in breaks and build-ups: the pulse goes on without them."""
    length = int(pick(rng, [1, 2, 4, 4, 8]))
    first = int(rng.integers(0, max(1, bars - length + 1)))
    silent = pick(rng, [None, {"kick"}, {"kick", "snare", "clap", "rim"}, {"hat_c", "hat_o", "ride", "shaker"}])
    inside = lambda b: first <= (b - p.pickup) / p.bpb < first + length
    p.hits = [x for x in p.hits if not (inside(x[0]) and (silent is None or x[1] in silent))]


def late_entries(rng, p):
    """Tracks that begin some bars later, or are silent for some."""
    for name in list(p.tracks):
        if rng.random() > 0.3: continue
        bars = pick(rng, [2, 4, 4, 8]) * p.bpb
        at = 0 if rng.random() < 0.6 else int(rng.integers(0, max(1, p.beats)))
        kept = [n for n in p.notes if n[2] != name or not at <= n[0] - p.pickup < at + bars]
        if len(kept) > len(p.notes) * 0.4: p.notes = kept


def drums(rng, p, style, bars):
    """Lays a groove of the style; returns the name of what keeps time."""
    q4 = p.bpb == 4 and p.ts == "4/4"
    intro = int(rng.choice([0, 0, 0, 0, 1, 2])) if bars > 6 else 0
    skip = set(range(intro))
    fill = {b for b in range(bars) if b % 4 == 3 and rng.random() < 0.35} | ({b for b in range(bars) if rng.random() < 0.03})
    put = lambda d, pat, level=100, st=4, **k: put_pattern(rng, p, d, pat, bars, st, level, skip=skip | (fill if d in ("snare",) else set()), **k)
    hat = "hat_c" if rng.random() < 0.75 else "ride"
    sn = pick(rng, ["snare", "snare", "clap", "rim"]) if style in ("hiphop", "trap", "boombap", "fourfloor", "house", "reggaeton", "halftime") else "snare"
    if not q4:
        if p.ts == "6/8":
            put("kick", pick(rng, ["x..x..", "x....."]) if rng.random() < 0.3 else pick(rng, ["x.....", "x....x", "x.x...", "x..o.."]), st=3)
            put(sn, "...x..", st=3)
            put(hat, pick(rng, ["xooxoo", "x.ox.o", "xxxxxx", "x..x..", "xgoxgo"]), 75, st=3)
        elif p.ts == "3/4":
            put("kick", pick(rng, ["x.....", "x....o", "x...o."]), st=2)
            put(pick(rng, ["snare", "hat_c", "rim"]), pick(rng, ["..x.x.", "..o.o.", "....x.", "..x..."]), 80, st=2)
            if rng.random() < 0.6:
                put(hat, pick(rng, ["xoxoxo", "x.x.x.", "x.o.o."]), 70, st=2)
        else:
            put("kick", "x..." if rng.random() < 0.5 else "x.x.", st=2)
            put("snare", pick(rng, ["..x.", ".x.x", "...."]), 80, st=2)
        return hat
    if style in ("rock", "pop", "indie"):
        put("kick", pick(rng, K_ROCK), add=0.01); put(sn, pick(rng, S_BACK + (["....x.......x..g"] if rng.random() < .3 else [])))
        put(hat if rng.random() < 0.8 else "hat_o", pick(rng, H_8 + H_8 + H_4 + (H_16 if p.bpm < 105 else [])), 80)
    elif style == "ballad_drums":
        put("kick", pick(rng, K_ROCK)); put(sn, S_BACK[0], 85); put(hat, pick(rng, H_8 + H_4 + H_16), 60)
    elif style in ("fourfloor", "house", "techno", "disco", "edm"):
        put("kick", "x...x...x...x...")
        if rng.random() < 0.8: put(pick(rng, ["clap", "snare"]), S_BACK[0], drop=0.03)
        if rng.random() < 0.85: put("hat_o" if rng.random() < 0.6 else "hat_c", OFF8[0], 85)
        if rng.random() < 0.6: put("hat_c", pick(rng, H_16 + H_8), 60)
        if rng.random() < 0.3: put(pick(rng, ["shaker", "cowbell", "perc"]), random_line(rng, 0.3, 16), 60)
    elif style in ("boombap", "hiphop"):
        put("kick", pick(rng, K_HIP), add=0.01); put(sn, S_BACK[0], drop=0.02)
        put("hat_c", pick(rng, H_8 + H_8 + H_16 + H_4), 75, drop=0.05, add=0.03)
        if style == "hiphop" and rng.random() < 0.4:     # trap drums written at the slow level
            p.hits = [h for h in p.hits if h[1] != "hat_c"]
            put("hat_c", pick(rng, ["xoxoxoxoxoxoxoxo", "x.o.x.o.x.oox.o."]), 75)
    elif style == "trap":
        put("kick", pick(rng, K_TRAP)); put(sn, "........x......." if rng.random() < 0.85 else S_BACK[0])
        put("hat_c", pick(rng, H_8 + ["xoxoxoxoxoxoxoxo", "x.o.x.o.x.oox.o."]), 75, drop=0.04)
        for bar in range(bars):
            if bar not in skip and rng.random() < 0.5:
                at, n = rng.integers(0, 8) / 2, pick(rng, [3, 4, 6, 8])
                for k in range(n): p.hits.append((p.pickup + bar * 4 + at + k * pick(rng, [0.5, 0.5, 1.0]) / n, "hat_c", vel(rng, 60)))
    elif style == "halftime":
        put("kick", pick(rng, ["x...............", "x.........x.....", "x..x............", "x.....x.........", "x.....x...x....."])); put(sn, pick(rng, ["........x.......", "....x.......x..."]))
        put("hat_c", pick(rng, H_8 + H_4 + H_8), 70)
    elif style == "dnb":
        put("kick", pick(rng, K_DNB), add=0.01); put("snare", pick(rng, ["....x.......x...", "....x..g....x...", "....x..g.g..x..."]))
        put(hat, pick(rng, H_8 + H_16 + ["x.xox.oxx.xox.ox"]), 70)
    elif style == "breaks":
        k, s = pick(rng, BREAKS)
        put("kick", k, add=0.02); put("snare", s, add=0.02); put(hat, pick(rng, H_8 + H_16), 75)
    elif style == "funk":
        put("kick", pick(rng, K_FUNK)); put("snare", pick(rng, ["....x..g.g..x..g", "....x.......x...", "....x.g..g..x..."])); put(hat, pick(rng, H_16 + H_8), 75)
    elif style == "reggae":
        kind = rng.integers(3)
        put("kick", ["........x.......", "x.......x.......", "x...x...x...x..."][kind]); put(pick(rng, ["rim", "snare"]), "........x.......", 90)
        put("hat_c", pick(rng, H_8 + OFF8 + ["x.oox.oox.oox.oo"]), 70)
    elif style in ("swing", "shuffle"):
        p.swing, p.swing_unit = rng.uniform(0.6, 0.68), 1.0
        if style == "swing":
            put("ride", pick(rng, ["x...x.o.x...x.o.", "x...x.o.x...x.o.", "x...x...x...x..."]), 80, add=0.0); put("hat_p", "....x.......x...", 65)
            if rng.random() < 0.5: put("kick", "x...x...x...x...", 50)
            put("snare", "................", add=0.04)
        else:
            put("kick", pick(rng, ["x.......x.......", "x.......x.x.....", "x...x...x...x..."])); put("snare", S_BACK[0]); put(hat, pick(rng, H_8 + H_4), 75)
    elif style == "latin":
        put("kick", pick(rng, ["x..x....x..x....", "x.....x.x.....x.", "x..xx..xx..xx..x"])); put("rim", pick(rng, ["x..x..x...x.x...", "..x.x...x..x..x.", "x..x...x..x.x..."]), 85)
        put(pick(rng, ["shaker", "hat_c"]), pick(rng, H_8 + H_16), 65)
        if rng.random() < .4: put("cowbell", pick(rng, H_4 + ["x.x.x.xxx.x.x.xx"]), 60)
    elif style == "reggaeton":
        put("kick", "x...x...x...x..." if rng.random() < 0.6 else "x.......x......."); put(sn, "...x..x....x..x.", 90)
        if rng.random() < .6: put("hat_c", pick(rng, H_8 + H_16), 60)
    elif style == "punk":
        put("kick", "x...x...x...x..." if rng.random() < 0.6 else "x.x.....x.x....."); put("snare", "..x...x...x...x." if rng.random() < 0.4 else S_BACK[0]); put(hat, pick(rng, H_8 + H_4), 80)
    elif style == "march":
        put("kick", "x.......x......."); put("snare", pick(rng, ["x...x.x.x...x.xx", "..x...x...x...x.", "x.xxx.x.x.xxx.x."]), 75)
    elif style == "syncopated":
        k, s, h = pick(rng, SYNCOPATED)
        if rng.random() < 0.5: k, s = pick(rng, SYNCOPATED)[0], pick(rng, SYNCOPATED)[1]
        put("kick", k, add=0.02); put(pick(rng, ["snare", "clap", "rim"]), s); put(pick(rng, ["hat_c", "hat_o", "ride", "shaker"]), h if rng.random() < 0.6 else pick(rng, H_8 + H_16 + OFF8), 85)
        if rng.random() < 0.4: put(pick(rng, ["perc", "cowbell", "tom1"]), pick(rng, ["x..x..x.", "..x...x.", "x..x..x...x.x...", "..x..x.."]), 75)
    elif style == "free":    # any pattern at all that repeats
        put("kick", random_line(rng, 0.15, 16, (0,))); put(sn, random_line(rng, 0.06, 16, pick(rng, [(4, 12), (8,), (4, 12)]))); put(hat, pick(rng, H_8 + H_16 + H_4 + OFF8), 70, drop=.05)
    if rng.random() < 0.4:
        put_pattern(rng, p, "crash", "x" + "." * (16 * 4 - 1), bars, 4, 95, skip=skip)
    if rng.random() < 0.25: rest_drums(rng, p, bars)
    for b in fill:
        for k in range(pick(rng, [4, 8, 8, 6])):
            if rng.random() < 0.85: p.hits.append((p.pickup + b * 4 + 4 - 2 + k / 4, pick(rng, ["snare", "tom1", "tom2", "tom3"]), vel(rng, 80, 20))) if k < 8 else None
    return hat


GM = dict(piano=[0, 1, 2, 3, 4, 5, 6, 7], mallet=[8, 9, 10, 11, 12, 13, 14, 15], organ=[16, 17, 18, 19, 20, 21, 22, 23], guitar=[24, 25, 26, 27, 28, 29, 30],
          bass=[32, 33, 34, 35, 36, 37, 38, 39, 43], strings=[40, 41, 42, 44, 45, 46, 48, 49, 50, 51], choir=[52, 53, 54, 91], brass=[56, 57, 58, 60, 61, 62, 63],
          reed=[64, 65, 66, 67, 68, 69, 70, 71], pipe=[72, 73, 74, 75, 77, 78, 79], lead=list(range(80, 88)), pad=list(range(88, 96)), folk=[21, 22, 24, 25, 40, 73, 74, 78, 105, 109, 110, 15])


def instrument(rng, families, synth=0.0):
    if rng.random() < synth:
        return ("synth", int(rng.integers(1 << 30)))
    return ("gm", int(pick(rng, GM[pick(rng, families)])))


def put_bass(rng, p, h, style, synth):
    p.tracks["bass"] = instrument(rng, ["bass"], synth)
    bars = (p.beats - p.pickup) // p.bpb
    steps = 3 if p.ts == "6/8" else 2 if p.bpb == 3 else 4
    n = steps * p.bpb
    if style == "swing":
        for b in range(p.pickup, p.beats):
            c = h.chord(b, 2)
            p.notes.append((b, 0.9, "bass", pick(rng, c) if (b - p.pickup) % 2 else h.bass(b), vel(rng, 90)))
        return
    kind = rng.integers(5)
    if kind == 0: line = ["x" if i % (n if rng.random() < .5 else max(1, n // 2)) == 0 else "." for i in range(n)]
    elif kind == 1: line = ["x" if i % max(1, steps // 2) == 0 else "." for i in range(n)]
    elif kind == 2: line = ["x" if i % steps == 0 else "." for i in range(n)]
    elif kind == 3 and p.ts == "4/4": line = list(pick(rng, K_FUNK + K_HIP + K_ROCK))
    else: line = list(random_line(rng, 0.3 if style == "funk" else 0.18, n, (0,)))
    if style in ("house", "techno", "edm", "disco") and rng.random() < 0.4: line = list("..x...x...x...x.")
    if style == "reggae": line = list(pick(rng, ["x.....x.x.....x.", "..x.x...x.x.....", "x..x..x.x......."]))
    at = [i for i, c in enumerate(line) if c != "."] or [0]
    low = rng.random() < 0.75
    for bar in range(bars):
        for k, i in enumerate(at):
            b = p.pickup + bar * p.bpb + i / steps
            nxt = at[k + 1] if k + 1 < len(at) else n
            pit = h.bass(b, 2 if low else 1) if rng.random() < 0.7 else pick(rng, h.chord(b, 2))
            p.notes.append((b, max(0.1, (nxt - i) / steps * rng.uniform(0.4, 1.0)), "bass", pit, vel(rng, 92)))


def put_chords(rng, p, h, style, synth, families=("piano", "guitar", "organ", "strings", "pad", "brass")):
    name = f"chords{len(p.tracks)}"
    p.tracks[name] = instrument(rng, list(families), synth)
    bars = (p.beats - p.pickup) // p.bpb
    steps = 3 if p.ts == "6/8" else 2 if p.bpb == 3 else 4
    n = steps * p.bpb
    kind = rng.integers(6)
    if kind == 0: at = [0]
    elif kind == 1: at = [0, n // 2] if p.bpb != 3 else [0]
    elif kind == 2: at = list(range(0, n, steps))
    elif kind == 3: at = list(range(0, n, max(1, steps // 2)))
    elif kind == 4: at = sorted({0} | {int(i) for i in np.flatnonzero(rng.random(n) < 0.22)})
    else: at = list(range(steps // 2, n, steps))
    if p.bpb == 3 and rng.random() < 0.5: at = list(range(steps, n, steps))
    if style == "reggae": at = list(range(2, 16, 4)) if rng.random() < 0.6 else [4, 12]
    if style == "swing" and rng.random() < .5: at = pick(rng, [[0, 6], [4, 12], [6, 14], [2, 8]])
    long = rng.random() < 0.6
    octave = int(rng.integers(3, 5))
    arp = style == "ballad" and rng.random() < 0.6 or rng.random() < 0.2
    level = rng.uniform(60, 95)
    if arp:
        sub = pick(rng, [1, 2, 2, 4]) if steps == 4 else steps
        if p.bpm > 120: sub = min(sub, 2)
        shape = pick(rng, [[0, 1, 2, 1], [0, 1, 2, 3], [0, 2, 1, 2], [2, 1, 0, 1], [0, 1, 2, 3, 2, 1]])
        if steps == 3: shape = pick(rng, [[0, 1, 2], [0, 1, 2, 3, 2, 1], [0, 2, 1]])
        for i in range(int((p.beats - p.pickup) * sub)):
            b = p.pickup + i / sub
            c = h.chord(b, octave) + [h.chord(b, octave)[0] + 12]
            p.notes.append((b, (1 / sub) * rng.uniform(0.8, 2.5), name, c[shape[i % len(shape)]], vel(rng, level + (8 if i % sub == 0 else 0))))
        return
    roll = rng.choice([0, 0, 0, 0.012]) 
    for bar in range(bars):
        for k, i in enumerate(at):
            b = p.pickup + bar * p.bpb + i / steps
            nxt = at[k + 1] if k + 1 < len(at) else n + at[0]
            length = (nxt - i) / steps * (rng.uniform(0.8, 1.0) if long else rng.uniform(0.2, 0.5))
            for j, q in enumerate(h.chord(b, octave, 4)):
                p.notes.append((b + j * roll, max(0.08, length), name, q, vel(rng, level + (6 if i == 0 else 0))))


def put_riff(rng, p, h, synth):
    """An arpeggio, a gated chord or an off-beat figure of a sequencer, over one or two bars."""
    name = f"riff{len(p.tracks)}"
    p.tracks[name] = instrument(rng, ["lead", "pad", "bass", "mallet", "guitar", "piano"], synth)
    steps = p.bpb * 4 * int(pick(rng, [1, 1, 2]))
    kind = rng.integers(5)
    if kind == 0: line = "x" * steps
    elif kind == 1: line = (pick(rng, ["x..x..x.", "x..x..x..x..x.x.", "x.xx.xx.", "..x...x.", "..x...x...x..xx.", ".x.x.xxx"]) * steps)[:steps]
    elif kind == 2: line = ("x." * steps)[:steps]
    else: line = random_line(rng, rng.uniform(0.2, 0.6), steps, (0,) if kind == 3 else ())
    at = [i for i, c in enumerate(line) if c == "x"] or [0]
    octave, length, chordal = int(rng.integers(2, 6)), rng.uniform(0.3, 1.2), rng.random() < 0.25
    order = [int(rng.integers(0, 4)) for _ in range(len(at) if rng.random() < 0.5 else int(pick(rng, [3, 4, 4, 8])))]
    level = rng.uniform(60, 95)
    for start in range(p.pickup * 4, p.beats * 4, steps):
        for k, i in enumerate(at):
            b = (start + i) / 4
            if b >= p.beats: break
            c = h.chord(b, octave) + [h.chord(b, octave)[0] + 12]
            for q in (c[:3] if chordal else [c[order[k % len(order)] % len(c)]]): p.notes.append((b, max(0.1, length / 4), name, q, vel(rng, level, 10)))


def put_melody(rng, p, h, style, synth, families=("reed", "pipe", "lead", "guitar", "strings", "piano", "mallet", "brass")):
    p.tracks["melody"] = instrument(rng, list(families), synth)
    steps = 3 if p.ts == "6/8" else 2 if p.bpb == 3 or p.bpm > 130 else 4
    bars = (p.beats - p.pickup) // p.bpb
    n = steps * p.bpb
    motif = [sorted({int(i) for i in np.flatnonzero(rng.random(n) < (0.25 + 0.25 * (np.arange(n) % steps == 0)))}) or [0] for _ in range(2)]
    pos = int(rng.integers(7, 15))
    for bar in range(bars):
        if bar % 8 == 7 and rng.random() < 0.5: continue
        at = motif[bar % 4 // 2] if rng.random() < 0.8 else motif[1]
        for k, i in enumerate(at):
            b = p.pickup + bar * p.bpb + i / steps
            nxt = at[k + 1] if k + 1 < len(at) else n
            pos = int(np.clip(pos + rng.integers(-2, 3), 5, 17))
            if i % steps == 0 and rng.random() < 0.6:      # a chord note on the beat
                want = {q % 12 for q in h.chord(b)}
                pos = min(range(5, 18), key=lambda x: abs(x - pos) + (0 if h.pitch(x, 4) % 12 in want else 3))
            p.notes.append((b, max(.1, (nxt - i) / steps * rng.uniform(.6, 1)), "melody", h.pitch(pos, 4), vel(rng, 88, 18)))


STYLES = {  # weight, tempo range
    "rock": (5, 90, 185), "pop": (6, 75, 135), "indie": (3, 95, 170), "ballad_drums": (3, 55, 90), "fourfloor": (4, 112, 138), "house": (3, 115, 130), "techno": (3, 122, 150), "disco": (2, 105, 130), "edm": (4, 100, 200),
    "boombap": (5, 76, 100), "hiphop": (5, 68, 105), "trap": (4, 125, 165), "halftime": (3, 58, 82), "dnb": (5, 158, 184), "breaks": (4, 105, 178), "funk": (5, 84, 122), "reggae": (5, 66, 100), "swing": (5, 95, 240),
    "shuffle": (3, 80, 150), "latin": (3, 84, 130), "reggaeton": (2, 84, 106), "punk": (2, 150, 215), "march": (1, 95, 130), "free": (3, 70, 180), "syncopated": (9, 70, 175), "electro": (6, 84, 175), "waltz": (7, 80, 200), "six8": (8, 45, 115), "ballad": (7, 50, 95), "drift": (4, 65, 140),
    "chorale": (13, 60, 120), "fiddle": (16, 80, 140), "solo": (6, 60, 150), "loop": (12, 70, 180), "loop_tonal": (4, 80, 180)}


def choose_key(rng, p):
    p.tonic, p.minor = int(rng.integers(12)), bool(rng.random() < 0.5)


def compose(rng, style=None, seconds=24.0):
    if style is None:
        names = list(STYLES)
        w = np.array([STYLES[s][0] for s in names], float)
        style = names[rng.choice(len(names), p=w / w.sum())]
    if style == "click": return click(rng, seconds)
    if style in ("chorale", "fiddle"):
        import compose_scores
        return getattr(compose_scores, style)(rng, seconds)
    lo, hi = STYLES[style][1:]
    bpm = float(rng.uniform(lo, hi)) if rng.random() < 0.5 else float(rng.integers(lo, hi + 1))
    ts, bpb = ("3/4", 3) if style == "waltz" else ("6/8", 2) if style == "six8" else ("4/4", 4)
    if style == "solo" and rng.random() < 0.4: ts, bpb = [("3/4", 3), ("6/8", 2), ("2/4", 2)][rng.integers(3)]
    if style == "drift" and rng.random() < 0.25: ts, bpb = "3/4", 3
    loop = style.startswith("loop")
    if loop:
        bars = int(rng.choice([1, 1, 2, 2, 4, 8]))
        base = pick(rng, ["rock", "fourfloor", "techno", "boombap", "hiphop", "trap", "dnb", "breaks", "breaks", "funk", "reggae", "latin", "reggaeton", "free", "edm", "house", "syncopated"])
        if style == "loop": lo, hi = STYLES[base][1:]; bpm = float(rng.uniform(lo, hi)) if rng.random() < 0.3 else float(rng.integers(lo, hi + 1))
        beats = bars * bpb
    else:
        beats = int(np.ceil(seconds / 60 * bpm / bpb)) * bpb
    p = Piece(style, ts, bpb, bpm, 0, False, beats, loop=loop)
    choose_key(rng, p)
    human = rng.random() < 0.5 and not loop
    p.jitter_s = rng.uniform(0.002, 0.014) if human else 0.0
    if loop or style in ("techno", "house", "edm", "trap", "fourfloor", "dnb", "electro"): rhythm_map(rng, p, drift=0)
    elif style == "drift": rhythm_map(rng, p, drift=rng.uniform(0.02, 0.07))
    elif style in ("ballad", "solo"): rhythm_map(rng, p, drift=rng.choice([0, 0.01, 0.02, 0.03]), rit=rng.random() < 0.2)
    else: rhythm_map(rng, p)
    if style in ("hiphop", "boombap", "funk", "halftime", "breaks", "pop", "reggae", "syncopated") and rng.random() < 0.4: p.swing, p.swing_unit = rng.uniform(0.5, 0.64), 0.5
    elif style in ("rock", "pop", "reggae", "ballad_drums", "drift") and rng.random() < 0.12: p.swing, p.swing_unit = rng.uniform(0.55, 0.67), 1.0
    bars = beats // bpb
    h = Harmony(rng, p, per_bar=pick(rng, [1, 1, 1, 2, 0.5]))
    synth = {"edm": .6, "techno": .7, "house": .5, "trap": .5, "dnb": .5, "loop": .6, "loop_tonal": .5, "fourfloor": .5, "hiphop": .3, "boombap": .3, "halftime": .5, "breaks": .4, "syncopated": .4, "electro": .85}.get(style, 0.05)
    if style == "loop":
        drums(rng, p, base, bars)
        p.has_key = False
        part = rng.random()
        if part < 0.35:      # one or two drums alone
            keep = set(rng.permutation(sorted({d for _, d, _ in p.hits}))[:rng.integers(1, 3)])
            if any(d in keep for _, d, _ in p.hits): p.hits = [x for x in p.hits if x[1] in keep]
        if rng.random() < 0.25: put_bass(rng, p, h, base, synth); p.has_key = False
        return p
    if style == "loop_tonal":
        p.has_key = False
        [put_bass, put_chords, put_melody][rng.integers(3)](rng, p, h, "edm", synth)
        if rng.random() < .3: put_bass(rng, p, h, "edm", synth)
        return p
    if style == "solo":
        if rng.random() < 0.6:
            put_chords(rng, p, h, "ballad", 0, ["piano", "guitar", "mallet", "organ", "strings"])
        if rng.random() < 0.8 or not p.notes: put_melody(rng, p, h, style, 0, ["strings", "piano", "reed", "pipe", "guitar"])
        if rng.random() < 0.3: put_bass(rng, p, h, style, 0)
        return p
    drumless = style in ("ballad", "drift") and rng.random() < 0.8 or style in ("waltz", "six8") and rng.random() < 0.4 or rng.random() < 0.04
    if not drumless:
        groove = pick(rng, ["edm", "techno", "breaks", "syncopated", "trap", "halftime", "dnb", "house", "free"]) if style == "electro" else style
        drums(rng, p, groove if style not in ("ballad", "drift") else "ballad_drums", bars)
    alone = style in ("fourfloor", "boombap", "trap", "dnb", "breaks", "halftime", "hiphop", "rock", "funk", "latin", "techno", "free", "syncopated") and rng.random() < 0.12
    if alone and not drumless:
        p.has_key = False
        return p
    if style == "electro":
        for _ in range(int(rng.integers(1, 4))): put_riff(rng, p, h, synth)
    if rng.random() < 0.88: put_bass(rng, p, h, style, synth)
    for _ in range(int(rng.choice([1, 1, 1, 2, 2]))): put_chords(rng, p, h, style, synth)
    if rng.random() < 0.55: put_melody(rng, p, h, style, synth)
    if rng.random() < 0.35: late_entries(rng, p)
    return p


def click(rng, seconds):
    """A metronome: one sound a beat, another or a louder one at the bar's first perhaps. By name only, not in STYLES."""
    ts = pick(rng, ["4/4", "4/4", "3/4", "2/4"])
    bpm = float(rng.uniform(45, 210))
    p = Piece("click", ts, int(ts[0]), bpm, 0, False, int(np.ceil(seconds / 60 * bpm)), has_key=False)
    rhythm_map(rng, p, drift=0)
    low, high = rng.permutation(["rim", "cowbell", "perc", "hat_c", "snare", "kick"])[:2]
    accent = rng.random() < 0.8
    for b in range(p.beats):
        first = b % p.bpb == 0 and accent
        p.hits.append((b, high if first else low, 100 if first else 75))
    return p
