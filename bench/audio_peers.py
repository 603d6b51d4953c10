#!/usr/bin/env python3
"""The ear beside librosa and Essentia: CPU time of one core for the same work on the same file, in the same run.

    cmake --preset release -DSAMPLEMIND_BENCH=ON && ninja -C build/release audio_bench
    bench/audio_peers.py [--file SOUND] [--rounds 3] [--peers PYTHON]

Without --file it composes three minutes of stereo (drums, bass, chords; seeded). --peers names a Python that has librosa
and essentia; without it one is made in the tests' cache from PyPI. All threads but one are forbidden to the peers. Rounds
are interleaved, medians printed; figures of a busy machine are upper bounds, the ratios hold."""

import argparse
import array
import json
import math
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import wave

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}

# Runs in the peers' Python: prints {stage: cpu seconds} for one round after a warm-up on ten seconds.
PEERS = r"""
import json, sys, time
import numpy as np
file, which = sys.argv[1], sys.argv[2]
out = {}
def timed(name, f):
    begun = time.process_time()
    result = f()
    out[name] = time.process_time() - begun
    return result
if which == "librosa":
    import librosa
    def all_of(y, sr):
        S = np.abs(librosa.stft(y))
        h, p = librosa.decompose.hpss(S)
        librosa.beat.beat_track(y=y, sr=sr)
        librosa.onset.onset_detect(y=y, sr=sr)
        librosa.feature.chroma_stft(S=S**2, sr=sr)
        librosa.feature.delta(librosa.feature.mfcc(y=y, sr=sr, n_mfcc=13))
        for f in (librosa.feature.spectral_centroid, librosa.feature.spectral_bandwidth,
                  librosa.feature.spectral_rolloff, librosa.feature.spectral_contrast):
            f(S=S, sr=sr)
        librosa.feature.spectral_flatness(S=S)
        librosa.feature.zero_crossing_rate(y)
        librosa.feature.rms(y=y)
    y, sr = librosa.load(file, duration=10)
    all_of(y, sr)  # numba compiles here
    y, sr = timed("decode", lambda: librosa.load(file))
    timed("tempo", lambda: librosa.beat.beat_track(y=y, sr=sr))
    timed("onsets", lambda: librosa.onset.onset_detect(y=y, sr=sr))
    timed("chroma", lambda: librosa.feature.chroma_stft(y=y, sr=sr))
    timed("timbre", lambda: librosa.feature.delta(librosa.feature.mfcc(y=y, sr=sr, n_mfcc=13)))
    timed("hpss", lambda: librosa.decompose.hpss(np.abs(librosa.stft(y))))
    timed("professional", lambda: all_of(y, sr))
    for k in list(out):
        if k != "decode":
            out[k] += out["decode"]
else:
    import essentia, essentia.standard as es
    essentia.log.infoActive = False
    essentia.log.warningActive = False
    load = lambda: es.MonoLoader(filename=file, sampleRate=44100)()
    y = timed("decode", load)
    stereo = es.AudioLoader(filename=file)()[0]
    timed("tempo", lambda: es.RhythmExtractor2013(method="multifeature")(y))
    timed("tempo fast", lambda: es.RhythmExtractor2013(method="degara")(y))
    timed("key", lambda: es.KeyExtractor()(y))
    timed("loudness", lambda: es.LoudnessEBUR128(sampleRate=44100)(stereo))
    timed("onsets", lambda: es.OnsetRate()(y))
    def frames():
        window, spectrum, mfcc = es.Windowing(type="hann"), es.Spectrum(), es.MFCC(numberCoefficients=13)
        centroid, rolloff, flat, zcr, rms = es.Centroid(range=22050), es.RollOff(), es.Flatness(), es.ZeroCrossingRate(), es.RMS()
        contrast, peaks, hpcp = es.SpectralContrast(), es.SpectralPeaks(), es.HPCP()
        for frame in es.FrameGenerator(y, frameSize=2048, hopSize=1024, startFromZero=True):
            s = spectrum(window(frame))
            mfcc(s), centroid(s), rolloff(s), flat(s), contrast(s), zcr(frame), rms(frame), hpcp(*peaks(s))
    timed("spectrum", frames)
    for k in list(out):
        if k != "decode":
            out[k] += out["decode"]
    d = out["decode"]
    out["professional"] = d + sum(out[k] - d for k in ("tempo", "key", "loudness", "onsets", "spectrum"))
print(json.dumps(out))
"""


def compose(path, seconds=180, rate=44100):
    noise = random.Random(8)
    bar = int(rate * 2)
    left, right = array.array("d", bytes(8 * bar * 4)), array.array("d", bytes(8 * bar * 4))

    def add(at, length, a, b, f):
        for i in range(int(length * rate)):
            k = int(at * rate) + i
            if k < len(left):
                v = f(i / rate)
                left[k] += a * v
                right[k] += b * v

    for beat in range(16):
        add(beat / 2, 0.2, 0.5, 0.5, lambda t: math.sin(2 * math.pi * (50 * t + 4 * (1 - math.exp(-t * 40)))) * math.exp(-18 * t))
        add(beat / 2 + 0.25, 0.05, 0.1, 0.15, lambda t: noise.uniform(-1, 1) * math.exp(-90 * t))
        if beat % 2:
            add(beat / 2, 0.15, 0.3, 0.3, lambda t: noise.uniform(-1, 1) * math.exp(-30 * t))
        if beat % 4 == 0:
            root = (220.0, 174.61, 196.0, 164.81)[beat // 4]
            for ratio in (0.25, 1, 1.25992, 1.49831):
                add(beat / 2, 1.95, 0.1, 0.08, lambda t, w=2 * math.pi * root * ratio: math.sin(w * t) + 0.4 * math.sin(2 * w * t))
    block = array.array("h", [0] * (2 * len(left)))
    for i in range(len(left)):
        block[2 * i] = int(max(-1, min(1, left[i])) * 32767)
        block[2 * i + 1] = int(max(-1, min(1, right[i])) * 32767)
    data = block.tobytes()
    with wave.open(str(path), "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(rate)
        total = seconds * rate * 4
        for at in range(0, total, len(data)):
            w.writeframes(data[:total - at])


def peers_python():
    sys.path.insert(0, str(ROOT / "tests/real"))
    from parts import kept, run

    def make(folder):
        run([sys.executable, "-m", "venv", str(folder / "venv")])
        run([str(folder / "venv/bin/python"), "-m", "pip", "install", "-q", "librosa==0.11.0", "essentia"])

    return kept("ear-peers-1", make) / "venv/bin/python"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--file")
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--peers", help="a Python with librosa and essentia")
    a.add_argument("--bench", default=str(ROOT / "build/release/bin/audio_bench"))
    o = a.parse_args()
    python = o.peers or str(peers_python())
    with tempfile.TemporaryDirectory() as folder:
        file = o.file or str(pathlib.Path(folder) / "song.wav")
        if not o.file:
            compose(file)
        seconds, ours, peers = 0.0, {}, {"librosa": {}, "essentia": {}}
        for _ in range(o.rounds):
            text = subprocess.run([o.bench, "--rounds", "3", file], check=True, capture_output=True, text=True).stdout
            seconds = float(re.search(r"([\d.]+) s of sound", text)[1])
            for name, ms in re.findall(r"^(.+?)\s+([\d.]+) ms", text, re.M):
                ours.setdefault(name, []).append(float(ms) / 1e3)
            for peer, times in peers.items():
                done = subprocess.run([python, "-c", PEERS, file, peer], check=True, capture_output=True, text=True,
                                      env={**os.environ, **ONE_THREAD})
                for name, s in json.loads(done.stdout.splitlines()[-1]).items():
                    times.setdefault(name, []).append(s)
    middle = {k: statistics.median(v) for k, v in ours.items()}
    theirs = {p: {k: statistics.median(v) for k, v in t.items()} for p, t in peers.items()}
    print(f"{seconds:.0f} s of sound, one core, CPU time with decoding, median of {o.rounds} rounds\n")
    print("| what | SampleMind ms | x real time | librosa x | Essentia x | times the faster peer |\n|---|---|---|---|---|---|")
    for name, s in middle.items():
        key = name.removeprefix("only ").removeprefix("level ")
        found = {p: t[key] for p, t in theirs.items() if key in t}
        if key == "tempo" and "tempo fast" in theirs["essentia"]:
            found["essentia"] = theirs["essentia"]["tempo fast"]
        cells = [f"{seconds / found[p]:.0f}" if p in found else "" for p in ("librosa", "essentia")]
        ratio = f"{min(found.values()) / s:.1f}" if found else ""
        print(f"| {name} | {s * 1e3:.1f} | {seconds / s:.0f} | {cells[0]} | {cells[1]} | {ratio} |")
    print("\nEssentia's tempo is its fast tracker (degara); its professional row has the accurate one. librosa works at "
          "22,050 Hz as is its default; neither peer's professional row holds true peak, groove or faults.")


if __name__ == "__main__":
    main()
