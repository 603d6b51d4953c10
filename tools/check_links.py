#!/usr/bin/env python3
"""Checks that a built program loads nothing under the GPL or AGPL:  check_links.py PROGRAM

Only samplemind-decode, a program of its own, may use FFmpeg's libraries (Debian's build of them is GPL).
"""
import re, subprocess, sys

FORBIDDEN = re.compile(r"lib(avcodec|avformat|avutil|avfilter|swresample|swscale|postproc|fftw3|aubio|essentia|rubberband|vamp|qm-dsp|samplerate-gpl|gsl|readline|x264|x265)\b")


def forbidden(ldd_output):
    return [line.strip() for line in ldd_output.splitlines() if FORBIDDEN.search(line)]


if __name__ == "__main__":
    assert forbidden("\tlibavcodec.so.59 => /usr/lib/libavcodec.so.59 (0x0)\n\tlibz.so.1 => /lib/libz.so.1") == ["libavcodec.so.59 => /usr/lib/libavcodec.so.59 (0x0)"]
    loaded = subprocess.run(["ldd", sys.argv[1]], capture_output=True, text=True, check=True).stdout
    assert "libsndfile" in loaded or len(loaded.splitlines()) < 5, "this is not the program that was meant"
    bad = forbidden(loaded)
    print("\n".join(bad) or f"{len(loaded.splitlines())} libraries, none of them forbidden")
    sys.exit(1 if bad else 0)
