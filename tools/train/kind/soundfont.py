"""Single notes of a General MIDI sound font, through libfluidsynth (called, not linked)."""

import ctypes
import ctypes.util

import numpy as np

SR = 44100

# What the General MIDI programs (0..127) are. Left out: what has no clear place among the kinds.
PROGRAMS = {}
for first, last, kind in [(0, 7, "keys"), (8, 15, "mallet"), (16, 23, "keys"), (24, 31, "guitar"), (32, 39, "bass"),
                          (40, 45, "strings"), (48, 49, "strings"), (50, 51, "pad"), (52, 54, "vocal"),
                          (55, 55, "stab"), (56, 61, "brass"), (62, 63, "stab"), (64, 79, "wind"), (80, 87, "lead"),
                          (88, 95, "pad"), (97, 97, "pad"), (99, 99, "pad"), (101, 101, "ambience"), (102, 103, "fx"),
                          (104, 107, "guitar"), (108, 108, "mallet"), (109, 109, "wind"), (110, 110, "strings"),
                          (111, 111, "wind"), (112, 112, "mallet"), (113, 113, "cowbell"), (114, 114, "mallet"),
                          (115, 115, "perc"), (116, 118, "tom"), (119, 119, "fx"), (121, 121, "vocal"),
                          (122, 122, "ambience"), (123, 125, "fx"), (126, 126, "ambience"), (127, 127, "fx")]:
    for program in range(first, last + 1):
        PROGRAMS[program] = kind
RANGES = {"bass": (24, 50), "guitar": (40, 76), "strings": (36, 88), "brass": (38, 80), "wind": (50, 92),
          "lead": (48, 90), "pad": (40, 76), "vocal": (45, 79), "keys": (34, 88), "mallet": (45, 96), "stab": (45, 76),
          "tom": (36, 72), "perc": (50, 84), "cowbell": (50, 84), "fx": (36, 84), "ambience": (36, 84)}

# The drum map's notes.
DRUMS = {27: "fx", 28: "clap", 29: "fx", 30: "fx", 31: "rim", 33: "perc", 35: "kick", 36: "kick", 37: "rim",
         38: "snare", 39: "clap", 40: "snare", 41: "tom", 42: "hat_closed", 43: "tom", 44: "hat_closed", 45: "tom",
         46: "hat_open", 47: "tom", 48: "tom", 49: "crash", 50: "tom", 51: "ride", 52: "crash", 53: "ride",
         54: "perc", 55: "crash", 56: "cowbell", 57: "crash", 58: "perc", 59: "ride", 60: "perc", 61: "perc",
         62: "perc", 63: "perc", 64: "perc", 65: "perc", 66: "perc", 67: "cowbell", 68: "cowbell", 69: "perc",
         70: "perc", 73: "perc", 74: "perc", 75: "perc", 76: "perc", 77: "perc", 78: "perc", 79: "perc", 80: "perc",
         81: "perc", 82: "perc", 83: "perc"}
KITS = [0, 8, 16, 24, 25, 26, 30, 32, 40]


class SoundFont:
    def __init__(self, path):
        self.lib = ctypes.CDLL(ctypes.util.find_library("fluidsynth") or "libfluidsynth.so.3")
        for name in ("new_fluid_settings", "new_fluid_synth"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        settings = ctypes.c_void_p(self.lib.new_fluid_settings())
        self.lib.fluid_settings_setnum(settings, b"synth.sample-rate", ctypes.c_double(SR))
        self.lib.fluid_settings_setint(settings, b"synth.reverb.active", 0)
        self.lib.fluid_settings_setint(settings, b"synth.chorus.active", 0)
        self.lib.fluid_settings_setnum(settings, b"synth.gain", ctypes.c_double(0.6))
        self.synth = ctypes.c_void_p(self.lib.new_fluid_synth(settings))
        self.font = self.lib.fluid_synth_sfload(self.synth, path.encode(), 1)
        self.lib.fluid_set_log_function(1, None, None)  # a missing preset is no error here
        if self.font < 0:
            raise RuntimeError("cannot load " + path)

    def _write(self, seconds):
        n = int(seconds * SR)
        left = np.zeros(n, np.float32)
        right = np.zeros(n, np.float32)
        pointer = ctypes.POINTER(ctypes.c_float)
        self.lib.fluid_synth_write_float(self.synth, n, left.ctypes.data_as(pointer), 0, 1,
                                         right.ctypes.data_as(pointer), 0, 1)
        return (left + right) / 2

    def play(self, notes, velocity, hold_s, tail_s, program=None, kit=None, bend=0.0):
        """One sound: notes struck together. `bend` in semitones (-2..2). Silence when the font has none."""
        channel = 9 if kit is not None else 0
        bank, number = (128, kit) if kit is not None else (0, program)
        if self.lib.fluid_synth_program_select(self.synth, channel, self.font, bank, number) != 0:
            return np.zeros(0, np.float32)
        self.lib.fluid_synth_pitch_bend(self.synth, channel, int(8192 + bend / 2 * 8191))
        for note in notes:
            self.lib.fluid_synth_noteon(self.synth, channel, int(note), int(velocity))
        x = self._write(hold_s)
        for note in notes:
            self.lib.fluid_synth_noteoff(self.synth, channel, int(note))
        x = np.concatenate([x, self._write(tail_s)])
        self.lib.fluid_synth_all_sounds_off(self.synth, channel)
        self._write(0.01)
        level = np.abs(x)
        top = level.max() if len(x) else 0
        if top < 1e-4:
            return np.zeros(0, np.float32)
        loud = np.nonzero(level > top * 1e-3)[0]
        return x[loud[0]:loud[-1] + 1].astype(np.float64)
