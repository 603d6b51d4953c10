#include "audio/feature/kind.h"

#include <algorithm>
#include <cmath>

#include "audio/feature/descriptor_internal.h"

namespace samplemind::audio {

const std::array<std::string_view, kKindCount> kKindNames{
    "kick",   "snare",   "rim",  "clap", "hat_closed", "hat_open", "tom",    "crash",   "ride",
    "cymbal", "cowbell", "perc", "bass", "keys",       "mallet",   "guitar", "strings", "brass",
    "wind",   "lead",    "pad",  "stab", "ambience",   "vocal",    "fx"};

namespace {
// Frame numbers (10 ms each) between which a moment's mean is taken.
constexpr std::array<size_t, kKindMoments + 1> kEdges{0,  1,  2,  3,  4,  6,   8,   11, 15,
                                                      20, 28, 40, 56, 80, 120, 200, 400};
constexpr float kFloorDb = -70;

// How often the level rises clearly after the first 80 ms: rolls, loops and double hits.
float attacks_later(const SoundProfile& profile) {
  const auto level = profile.level_db();
  size_t count = 0;
  float lowest = 0;
  for (size_t i = 16; i < level.size(); ++i) {
    lowest = std::min(lowest, level[i]);
    if (level[i] > lowest + 9 && level[i] > -24) {
      ++count;
      lowest = 0;
    }
  }
  return static_cast<float>(std::log2(1.0 + static_cast<double>(count)));
}

// How uneven level is from step to step in the first 300 ms: a clap's flutter, a noise's grain.
float flutter(const SoundProfile& profile) {
  const auto level = profile.level_db();
  const size_t n = std::min<size_t>(level.size(), 60);
  float sum = 0;
  size_t steps = 0;
  for (size_t i = 1; i + 1 < n; ++i) {
    if (level[i] < -40) continue;
    sum += std::abs(level[i + 1] - 2 * level[i] + level[i - 1]);
    ++steps;
  }
  return steps > 0 ? sum / static_cast<float>(steps) / 6 : 0;
}
}  // namespace

std::array<float, kKindInputs> kind_inputs(const SoundProfile& profile) {
  std::array<float, kKindInputs> in{};
  const auto head = profile.head();
  for (size_t m = 0; m < kKindMoments; ++m) {
    const size_t from = kEdges[m];
    const size_t to = std::min(kEdges[m + 1], head.size());
    for (size_t b = 0; b < kMelBands; ++b) {
      float sum = 0;
      for (size_t i = from; i < to; ++i) sum += head[i][b] - kFloorDb;
      // What lies beyond the sound's end is silence.
      in[m * kMelBands + b] = sum / static_cast<float>(kEdges[m + 1] - from) / -kFloorDb;
    }
  }
  const std::span<float> rest = std::span<float>(in).subspan(kKindMoments * kMelBands);
  describe_timbre(profile, rest.subspan(0, kTimbreDims));
  describe_envelope(profile, rest.subspan(kTimbreDims, kEnvelopeDims));
  std::array<float, kPitchDims> pitch{};
  describe_pitch(profile, pitch);
  std::copy(pitch.begin() + 12, pitch.end(), rest.begin() + kTimbreDims + kEnvelopeDims);
  rest[kTimbreDims + kEnvelopeDims + 4] = attacks_later(profile);
  rest[kTimbreDims + kEnvelopeDims + 5] = flutter(profile);
  return in;
}

}  // namespace samplemind::audio
