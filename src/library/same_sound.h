// Whether two files hold one recording: re-encoded, louder, a little trimmed. A descriptor tells
// that two sounds are alike; two hits of one snare are that as well. Here they are laid over each
// other, wave on wave. Pure but for reading files; for any thread.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"

namespace samplemind::library {

// What is compared of a sound: its first 6 s in mono at 22,050 Hz, from sample to sample (which
// lifts the highs: basses of one pitch differ there), and the course of its level.
struct SoundTrace {
  std::vector<float> wave;
  std::vector<float> level;  // a value each millisecond
};
// Errors as in audio::Decoder; kDataLoss for a sound of less than 10 ms or without any level.
Result<SoundTrace> trace_of(const std::filesystem::path& path);

// The normalised cross-correlation of the two where they fit best, to a part of a sample, over at
// least 70 % of the shorter: 0..1. A half-length shift is not looked for: at most a tenth of the
// longer and 0.25 s.
double sameness(const SoundTrace& a, const SoundTrace& b);

// From here on two files are one recording: mp3 at 128 kbit/s, ogg, opus, other levels, rates and
// mild equalisers lie above, hits of one drum below (docs/benchmarks.md).
inline constexpr double kSameSound = 0.85;

}  // namespace samplemind::library
