#!/usr/bin/env python3
"""Golden values: what level professional measures, against real librosa where definitions agree.

librosa comes from PyPI by name and version into the tests' cache; this file then runs itself there. A 22,050 Hz file is
compared, so that no resampler stands between the two."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

LIBROSA = "librosa==0.11.0"


def in_librosa():
    """Runs this file again in a Python that has librosa; it is made once and kept."""
    from parts import kept, run

    def make(folder):
        run([sys.executable, "-m", "venv", str(folder / "venv")])
        run([str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", LIBROSA])

    folder = kept(LIBROSA.replace("==", "-"), make)
    # A virtual environment's Python knows its packages by the path that it is called by.
    python = str(folder / "venv/bin/python")
    os.execv(python, [python, __file__, "--compare"])


def sound(rate):
    """Twelve seconds: chords, a bass, hits and hiss, with half a second of silence before."""
    import numpy as np
    random = np.random.default_rng(5)
    t = np.arange(12 * rate) / rate
    y = np.zeros_like(t)
    for i, chord in enumerate([(220, 277.2, 329.6), (196, 246.9, 293.7), (174.6, 220, 261.6), (164.8, 207.7, 246.9)]):
        part = (t >= 3 * i) & (t < 3 * i + 3)
        for hz in chord:
            for h in range(1, 6):
                y[part] += 0.05 / h * np.sin(2 * np.pi * hz * h * t[part])
        y[part] += 0.1 * np.sin(2 * np.pi * chord[0] / 4 * t[part])
    for beat in np.arange(0, 12, 0.5):
        at = int(beat * rate)
        n = min(rate // 8, len(y) - at)
        y[at:at + n] += 0.4 * random.standard_normal(n) * np.exp(-np.arange(n) / (rate * 0.02))
    y += 0.003 * random.standard_normal(len(y))
    return np.concatenate([np.zeros(rate // 2), y]).astype(np.float32)


def compare():
    import librosa
    import numpy as np
    import soundfile
    rate = 22050
    failures, rows = [], []

    def check(name, ours, theirs, tolerance, relative=True):
        ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
        off = np.abs(ours - theirs)
        if relative:
            off = off / np.maximum(np.abs(theirs), 1e-9)
        worst = float(np.max(off))
        rows.append(f"{name:28} {float(ours[0]):12.5g} {float(theirs[0]):12.5g}   worst {worst:.2g} of {tolerance}")
        if not worst <= tolerance:
            failures.append(rows[-1])

    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "sound.wav"
        y = sound(rate)
        soundfile.write(file, y, rate, subtype="FLOAT")
        out = subprocess.run([os.environ["SAMPLEMIND_BIN"], "analyze", "--level", "professional", "--json", str(file)],
                             capture_output=True, text=True, check=True)
        a = json.loads(out.stdout)
        tone = pathlib.Path(folder) / "tone.wav"
        n = np.arange(rate)
        soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 233.08 / rate * n) * np.exp(-n / 9000), rate, subtype="FLOAT")
        out = subprocess.run([os.environ["SAMPLEMIND_BIN"], "analyze", "--level", "detailed", "--json", str(tone)],
                             capture_output=True, text=True, check=True)
        f0 = json.loads(out.stdout)["f0_hz"]
        yin = np.median(librosa.yin(soundfile.read(tone)[0], fmin=60, fmax=1000, sr=rate)[2:20])

    S = np.abs(librosa.stft(y))  # 2,048 samples, hop 512, Hann, zeros around: as ours
    s = a["spectrum"]
    feature = librosa.feature
    for name, curve in [("centroid_hz", feature.spectral_centroid(S=S, sr=rate)[0]),
                        ("bandwidth_hz", feature.spectral_bandwidth(S=S, sr=rate)[0]),
                        ("rolloff_hz", feature.spectral_rolloff(S=S, sr=rate)[0]),
                        ("flatness", feature.spectral_flatness(S=S)[0])]:
        check(name + " mean", s[name]["mean"], curve.mean(), 0.005)
        check(name + " deviation", s[name]["deviation"], curve.std(), 0.01)
        check(name + " max", s[name]["max"], curve.max(), 0.005)
    # librosa clips at 80 dB under the loudest of the file, which a stream cannot know.
    contrast = feature.spectral_contrast(S=S, sr=rate, linear=True)
    check("contrast bands", len(s["contrast_db"]), contrast.shape[0], 0)
    check("zero crossing rate", s["zero_crossing_rate"], feature.zero_crossing_rate(y)[0].mean(), 0.02)

    mel = feature.melspectrogram(S=S**2, sr=rate)
    mfcc = feature.mfcc(S=librosa.power_to_db(mel, top_db=None), n_mfcc=13)
    check("mfcc mean", a["timbre"]["mfcc_mean"], mfcc.mean(axis=1), 0.1, relative=False)
    check("mfcc deviation", a["timbre"]["mfcc_deviation"], mfcc.std(axis=1), 0.1, relative=False)
    delta = feature.delta(mfcc)[:, 4:-4]
    check("mfcc delta mean", a["timbre"]["delta_mean"], delta.mean(axis=1), 0.02, relative=False)
    check("mfcc delta deviation", a["timbre"]["delta_deviation"], delta.std(axis=1), 0.02, relative=False)

    chroma = feature.chroma_stft(S=S**2, sr=rate, tuning=0)
    check("chroma", a["chroma"]["mean"], np.where(np.isfinite(chroma), chroma, 0).mean(axis=1), 0.002, relative=False)

    rms = feature.rms(y=y, frame_length=2048, hop_length=512, pad_mode="constant")[0]
    ours = np.array(a["envelope"]["rms_db"]["values"])
    check("rms frames", len(ours), len(rms), 0)
    check("rms curve", 10 ** (ours[ours > -100] / 20), rms[ours > -100], 0.001)

    harmonic, percussive = librosa.decompose.hpss(S)
    total = (S**2).sum()
    check("harmonic share", a["harmonic_percussive"]["harmonic"], (harmonic**2).sum() / total, 0.002, relative=False)
    check("percussive share", a["harmonic_percussive"]["percussive"], (percussive**2).sum() / total, 0.002,
          relative=False)
    check("f0", f0, yin, 0.005)

    # Contrast by librosa's own definition without the clipping.
    frequencies = librosa.fft_frequencies(sr=rate)
    edges = np.concatenate([[0], 200 * 2.0 ** np.arange(7)])
    theirs = []
    for k in range(7):
        band = (frequencies >= edges[k]) & (frequencies <= edges[k + 1])
        index = np.flatnonzero(band)
        if k > 0:
            band[index[0] - 1] = True
        if k == 6:
            band[index[-1] + 1:] = True
        part = S[band]
        if k < 6:
            part = part[:-1]
        count = int(max(np.rint(0.02 * band.sum()), 1))
        ordered = np.sort(part, axis=0)
        peak, valley = ordered[-count:].mean(axis=0), ordered[:count].mean(axis=0)
        check(f"contrast linear {k}", (peak - valley).mean(), contrast[k].mean(), 0.001)
        theirs.append((10 * np.log10(np.maximum(peak, 1e-10)) - 10 * np.log10(np.maximum(valley, 1e-10))).mean())
    check("contrast", [band["mean"] for band in s["contrast_db"]], np.array(theirs), 0.05, relative=False)

    print(f"{'librosa ' + librosa.__version__:28} {'ours':>12} {'librosa':>12}")
    print("\n".join(rows))
    if failures:
        print("\nOUT OF TOLERANCE:\n" + "\n".join(failures))
        sys.exit(1)


if __name__ == "__main__":
    if "--compare" in sys.argv:
        compare()
    else:
        in_librosa()
