// Scores what the ear says of labelled sounds: the metrics of the music-information-retrieval
// community, so that the program can be compared with others on the same labels. Pure and
// thread-safe.
//
// A label is an object with "file" and any of tempo, beats, downbeats, onsets, key, time_signature,
// content, kind, note, lufs, lra, true_peak (and lufs_known, lra_known, true_peak_known with
// tolerances, for test signals). What a label lacks is not scored.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace samplemind::cli {

struct ScoredSound {
  const JsonValue* label = nullptr;
  const JsonValue* answer = nullptr;  // a line of `analyze --json`; null when there was none
};

struct Metric {
  double value = 0;  // a share (0..1), or an error in LU or dB
  size_t count = 0;  // sounds or families behind it
  // Of means over two sounds and more: 95 % of 1,000 bootstrap resamples of the sounds lie within.
  // The same sounds give the same bounds.
  std::optional<double> low, high;
};

// By name: acc1 (tempo within 4 %), acc1_1pct, acc2 (x1/3, x1/2, x2, x3 count too), beatF and dbF
// (within 70 ms, from 5 s on in sounds over 12 s), CMLt, AMLt, onsetF (50 ms), tsAcc, keyAcc,
// mirex, modeAcc, contentAcc, kindAcc, kindCoarse, kindMacro, noteAcc, pcAcc, ebu_*,
// *AbsErr_median, *AbsErr_max.
std::map<std::string, Metric> score(const std::vector<ScoredSound>& sounds);

}  // namespace samplemind::cli
