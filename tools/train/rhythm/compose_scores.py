"""Music as scores have it: four-part chorales and fiddle tunes. Metre is heard in them by harmony, phrases and figures
alone, so they are written by the habits of their kind: chords change on strong beats and may last over weak ones,
suspensions fall on strong beats, long notes begin there, phrases end there; tunes begin with short pick-ups, which come
back before each part, figures last a beat, and the last bars of phrases come to rest."""
import numpy as np
from compose import DORIAN, HARMONIC, MAJOR, MINOR, MIXO, Harmony, Piece, choose_key, instrument, pick, put_chords, rhythm_map, vel


def phrases(rng, bpb, pickup, beats):
    """(first beat, last sounding beat, beat after) of each phrase."""
    out, at = [], pickup - 1 if pickup else 0
    if pickup > 1: at = 0
    while at < beats:
        if bpb == 4:
            if pickup: last, after = (at + 7, at + 8) if rng.random() < 0.75 else (at + 5, at + 8)
            else: last, after = (at + 6, at + 8) if rng.random() < 0.8 else (at + 7, at + 8)
            if rng.random() < 0.12: last, after = last + 4, after + 4
        else:
            start = 1 if pickup else 0
            last, after = (at + 3 + start, at + 6) if rng.random() < 0.6 else (at + 9 + start, at + 12)
        out.append((at, last, after))
        at = after
    return out


def harmony_plan(rng, bpb, pickup, beats, plan):
    """A scale degree a beat: changes into strong beats, cadences at the ends of phrases."""
    follows = {0: [3, 4, 5, 1, 4, 3], 1: [4, 4, 0], 2: [5, 3], 3: [4, 0, 1, 4], 4: [0, 0, 5, 4, 0], 5: [1, 3, 4, 2], 6: [0, 0]}
    strong = lambda b: (b - pickup) % bpb in ((0, 2) if bpb == 4 else (0,))
    degrees = [0] * beats
    d = pick(rng, [0, 0, 4])
    for first, last, after in plan:
        cadence = pick(rng, [[1, 4, 0], [3, 4, 0], [1, 4, 0], [5, 3, 4], [0, 1, 4], [1, 4, 5], [4, 4, 0]])
        for b in range(max(first, 0), min(after, beats)):
            if b > last: pass
            elif last - b < 3 and last - b < last - first: d = cadence[2 - (last - b)]
            elif b == first: d = pick(rng, [0, 0, 0, 4, 5])
            elif strong(b) or rng.random() > 0.35: d = int(pick(rng, [x for x in follows[d] if x != d] or [0]))
            degrees[b] = d
    return degrees, strong


def chorale(rng, seconds):
    """Four voices in quarters with passing eighths and suspensions."""
    ts, bpb = ("3/4", 3) if rng.random() < 0.14 else ("4/4", 4)
    bpm = float(rng.uniform(60, 120))
    beats = int(np.ceil(seconds / 60 * bpm)) + bpb
    pickup = int(rng.choice([0, 1, 1]))
    p = Piece("chorale", ts, bpb, bpm, 0, False, beats, pickup=pickup)
    choose_key(rng, p)
    scale = HARMONIC if p.minor else MAJOR
    plan = phrases(rng, bpb, pickup, beats)
    ends = {last for _, last, _ in plan}
    rhythm_map(rng, p, drift=rng.choice([0, 0, 0.01, 0.03]), fermatas=[e for e in ends if e < beats] if rng.random() < 0.2 else [])
    p.jitter_s = rng.choice([0, 0, 0.004, 0.012])
    fam = pick(rng, ["choir", "organ", "strings", "strings", "piano", "piano", "brass", "reed", "pad"])
    one = instrument(rng, [fam])
    for v in "SATB": p.tracks[v] = one if rng.random() < 0.85 else instrument(rng, [fam])
    degrees, strong = harmony_plan(rng, bpb, pickup, beats, plan)
    accent = rng.uniform(2, 10) if rng.random() < 0.3 else 0
    busy, tied = rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.4)
    key_of, shift = {}, 0
    for first, _, _ in plan:
        if first > 0: shift = int(pick(rng, [0, 0, 7, 5, 3 if p.minor else 9])) if shift == 0 else 0
        key_of[first] = shift
    lo, hi = [60, 55, 48, 38], [79, 74, 69, 60]
    prev = [72, 67, 64, 48]
    open_note = {}                            # voice -> index of its last note
    def sound(v, b, length, q, extra=0): open_note[v] = len(p.notes); p.notes.append((b, length, "SATB"[v], q, vel(rng, (84 if v == 0 else 76) + extra, 8)))
    def hold(v, by): i = open_note[v]; n = p.notes[i]; p.notes[i] = (n[0], n[1] + by, *n[2:])
    for first, last, after in plan:
        shift = key_of[first]
        for b in range(max(first, 0), min(after, beats)):
            if b > last:
                if rng.random() < 0.8:
                    for v in range(4): hold(v, 1)
                continue
            d = degrees[b]
            sc = scale if not (d == 2 and p.minor) else MINOR
            pcs = [(p.tonic + shift + sc[(d + 2 * k) % 7]) % 12 for k in range(3)]
            if d == 4 and rng.random() < 0.3: pcs.append((p.tonic + shift + sc[3]) % 12)
            same = b > max(first, 0) and degrees[b - 1] == d
            root = rng.random() < (0.85 if strong(b) or b == last else 0.5)
            for v in range(4):
                allowed = [q for q in range(lo[v], hi[v] + 1) if q % 12 in (pcs[:1] if v == 3 and root else pcs)]
                restless = 6 if v in (0, 3) and not (same and rng.random() < 0.3) else 0
                q = min(allowed, key=lambda q: abs(q - prev[v]) + rng.random() * 3 + (restless if q == prev[v] else 0))
                extra = accent * (1 if (b - pickup) % bpb == 0 else 0.4 if strong(b) else 0)
                ending = b == last
                if same and not strong(b) and q == prev[v] and v in open_note and rng.random() < 0.5: hold(v, 1)
                elif strong(b) and v in open_note and b > max(first, 0) and 0 < prev[v] - q <= 2 and not ending and rng.random() < tied:
                    hold(v, 0.5); sound(v, b + 0.5, 0.47, q)          # a suspension resolves
                elif not ending and b + 1 <= last and rng.random() < busy * (0.8 if strong(b) else 1.2):
                    near = [x for x in range(q - 3, q + 4) if (x - p.tonic - shift) % 12 in scale and x != q]
                    sound(v, b, 0.48, q, extra); sound(v, b + 0.5, 0.48, pick(rng, near) if near else q, -3)
                else: sound(v, b, 0.98, q, extra)
                prev[v] = q
    return p


CELLS = {4: [[0, 1, 2, 3], [0, -1, -2, -3], [0, 2, 4, 2], [0, -2, -4, -2], [0, 1, 0, -1], [0, -3, 0, -3], [0, 2, 1, 0], [0, -1, 0, 2], [0, 2, 0, 2], [0, 4, 2, 0], [0, -2, -3, -4]],
         3: [[0, 1, 2], [0, -1, -2], [0, 2, 4], [0, -2, -4], [0, 1, 0], [0, -1, 0], [0, 2, 0], [0, -3, 0]], 2: [[0, 1], [0, -1], [0, 2], [0, -2], [0, 0], [0, -3], [0, 4]]}
STEPS = {"2/4": 4, "2/2": 4, "6/8": 3, "4/4": 2, "3/4": 2}


def tune_bar(rng, kind, bpb, b, start, degree, dotted, long_first):
    """One bar: (beat, length, scale position), and the position reached. Bars 3 and 7 come to rest."""
    steps, seq, pos = STEPS[kind], [], start
    rest = b % 4 == 3 and rng.random() < (0.9 if b == 7 else 0.55)
    for beat in range(bpb):
        want = degree(b + beat / bpb)
        pos = min(range(0, 16), key=lambda x: abs(x - pos) * 0.7 + (0 if (x - want) % 7 in (0, 2, 4) else 3) + rng.random() * 2)
        if b == 7 and beat == bpb - 1: pos = 7 if rng.random() < .75 else 0
        cell = pick(rng, CELLS[steps])
        if rest and beat == bpb - 1: seq.append((beat, 1.0, pos)); continue
        if rest and rng.random() < 0.3: lengths = {4: [2, 2], 3: [3], 2: [2]}[steps]
        elif steps == 4: lengths = [3, 1] if dotted and rng.random() < 0.6 else [3, 1] if dotted else pick(rng, [[2, 1, 1]] * 2 + [[1, 1, 1, 1]] * 2) if rng.random() < (long_first if beat == 0 else long_first * 0.5) else pick(rng, [[1, 1, 1, 1]] * 8 + [[1, 1, 2], [2, 2], [1, 2, 1]])
        elif steps == 3: lengths = pick(rng, [[2, 1], [1, 1, 1], [1, 1, 1], [3] if rng.random() < long_first else [1, 1, 1]])
        else: lengths = pick(rng, [[1, 1]] * 4 + ([[2]] * 3 if beat == 0 else [[2]]))
        i = 0
        for n in lengths:
            seq.append((beat + i / steps, n / steps, int(np.clip(pos + cell[i], 0, 15)))); i += n
        pos = seq[-1][2] + int(pick(rng, [-1, 1, 1, -1, 2, -2]))
    return seq, pos


def fiddle(rng, seconds):
    """A tune for one instrument: parts of eight bars over simple chords, with pick-ups."""
    kind = pick(rng, ["2/4", "2/4", "2/4", "2/2", "2/2", "6/8", "6/8", "4/4", "3/4"])
    bpb, steps = int(kind[0]) if kind != "6/8" else 2, STEPS[kind]
    bpm = float(rng.uniform(*{"2/4": (90, 140), "2/2": (82, 130), "6/8": (88, 140), "4/4": (120, 220), "3/4": (100, 190)}[kind]))
    beats = int(np.ceil(seconds / 60 * bpm / bpb)) * bpb + bpb
    p = Piece("fiddle", kind, bpb, bpm, 0, False, beats)
    p.tonic, p.minor = int(pick(rng, [2, 7, 9, 0, 5, 10, 4, 2, 7, 9, int(rng.integers(12))])), bool(rng.random() < 0.25)
    lead = pick(rng, {4: [0, 0, 1, 2, 2, 2, 3], 3: [0, 0, 1, 1, 2], 2: [0, 0, 1, 2]}[steps])   # steps of pick-up
    p.pickup = 1 if lead else 0
    rhythm_map(rng, p, drift=rng.choice([0, 0, 0.006, 0.015]))
    p.jitter_s = rng.choice([0, 0, 0.003, 0.008])
    if kind in ("2/2", "4/4") and rng.random() < 0.4: p.swing, p.swing_unit = rng.uniform(0.55, 0.67), 0.5 if kind == "2/2" else 1.0
    p.tracks["melody"] = instrument(rng, ["folk", "folk", "strings", "pipe", "piano"])
    h = Harmony(rng, p, per_bar=pick(rng, [1, 1, 1, 2, 0.5]), plain=True)
    h.scale = (MAJOR if rng.random() < .85 else MIXO) if not p.minor else pick(rng, [MINOR, DORIAN, DORIAN])
    if rng.random() < 0.6: h.prog = list(pick(rng, [[0, 0, 0, 4], [0, 0, 3, 4], [0, 4, 0, 4], [0, 3, 0, 4], [0, 0, 4, 0], [0, 6, 0, 6]])) + [0, pick(rng, [0, 3, 1]), pick(rng, [0, 4]), pick(rng, [0, 4])]
    degree = lambda bar: h.prog[int(np.floor(bar * h.per_bar + 1e-6)) % len(h.prog)]
    dotted, long_first = steps == 4 and rng.random() < 0.12, rng.uniform(0, 0.6)
    def part():
        store, pos = [], int(rng.integers(4, 11))
        for b in range(8):
            seq, pos = tune_bar(rng, kind, bpb, b, pos, degree, dotted, long_first)
            store.append(seq)
        form = pick(rng, [[0, 1, 2, 3, 0, 1, 6, 7], [0, 1, 0, 3, 0, 1, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 2, 3, 0, 0, 6, 7]])
        return [store[k] for k in form]
    a, b_part = part(), part()
    song = (a + a + b_part + b_part) if rng.random() < 0.7 else (a + b_part)
    octave, legato = int(pick(rng, [4, 4, 5, 4])), rng.uniform(0.5, 1.0)
    accent = rng.uniform(0, 18) if rng.random() < 0.5 else 0
    short = rng.random() < 0.1 and lead == 2        # a triplet of short notes instead
    upbeat = [int(np.clip(7 + k * pick(rng, [1, -1, 2]), 0, 14)) for k in range(3)]
    def put_lead(at):
        count, width = (3, 2 / 3 / steps) if short else (lead, 1 / steps)
        for k in range(count): p.notes.append((at - (count - k) * width, width * legato, "melody", h.pitch(upbeat[k], octave), vel(rng, 78)))
    if lead: put_lead(p.pickup)
    for bar in range((beats - p.pickup) // bpb):
        at_bar = p.pickup + bar * bpb
        again = lead and bar % 8 == 7 and rng.random() < 0.85
        room = bpb - lead / steps if again else bpb
        for at, ln, ps in song[bar % len(song)]:
            if at >= room - 1e-6: continue
            p.notes.append((at_bar + at, min(ln, room - at) * legato, "melody", h.pitch(ps, octave), vel(rng, 80 + (accent if at % 1 == 0 else 0) + (accent * .5 if at == 0 else 0), 10)))
        if again: put_lead(at_bar + bpb)
    if rng.random() < 0.25: put_chords(rng, p, h, "folk", 0, ["guitar", "piano", "organ"])
    return p
