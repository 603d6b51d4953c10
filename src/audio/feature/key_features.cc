// What the key model is told: frames of pitch classes, tuning corrected, summed up in profiles.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/feature/key.h"

namespace samplemind::audio {

namespace {
constexpr size_t kEdgeFrames = 16;  // the beginning and the end are three seconds
constexpr size_t kLag = 4;          // frames between a chord and the one it leads to: 0.74 s
constexpr float kBassShare = 0.7f;  // of the bass in a chord
constexpr float kSharp = 14;        // of a triad's fit, before shares are taken
constexpr float kMoveScale = 40;    // a share of all moves is about 1/144
constexpr float kTiny = 1e-6f;

using Classes = std::array<float, 12>;

// One frame, smoothed over its neighbours.
struct Harmony {
  float weight = 0;
  Classes major{}, minor{};  // shares of the 24 triads, of sum 1
  Classes root{};            // shares of the bass notes, sharpened
};

// The first profile of each group; KeyFeatures names them in this order.
enum Profile : size_t {
  kUpper,
  kBass,
  kSounds,
  kBegin,  // four: upper, bass, major, minor
  kEnd = kBegin + 4,
  kMajor = kEnd + 4,
  kMinor,
  kRoot,
  kUpperOnset,
  kBassOnset,
  kMajorOnRoot,
  kMinorOnRoot,
  kChordMove,  // eleven: from 1..11 semitones above
  kBassMove = kChordMove + 11,
  kProfileCount = kBassMove + 11,
};
static_assert(kProfileCount == kKeyProfiles);

void triad_shares(const Classes& chord, Harmony& out) {
  float square = 0;
  for (const float v : chord) square += v * v;
  const float scale = 1 / (std::numbers::sqrt3_v<float> * (std::sqrt(square) + kTiny));
  float all = 0;
  for (size_t c = 0; c < 12; ++c) {
    const float open = chord[c] + chord[(c + 7) % 12];
    out.major[c] = std::exp(kSharp * scale * (open + chord[(c + 4) % 12]));
    out.minor[c] = std::exp(kSharp * scale * (open + chord[(c + 3) % 12]));
    all += out.major[c] + out.minor[c];
  }
  for (size_t c = 0; c < 12; ++c) {
    out.major[c] /= all;
    out.minor[c] /= all;
  }
}

// How often one pitch class leads to another, kLag frames later.
class Moves {
 public:
  void add(float weight, const Classes& from, const Classes& to) {
    for (size_t i = 0; i < 12; ++i) {
      const float part = weight * from[i];
      for (size_t j = 0; j < 12; ++j) sums_[i][j] += part * to[j];
    }
  }
  // Eleven profiles: arrivals from 1..11 semitones above.
  void write(float* profiles) const {
    double total = 0;
    for (const auto& row : sums_)
      for (const double v : row) total += v;
    if (total <= 0) return;
    for (size_t s = 1; s < 12; ++s)
      for (size_t c = 0; c < 12; ++c)
        profiles[(s - 1) * 12 + c] =
            static_cast<float>(sums_[(c + s) % 12][c] / total * kMoveScale);
  }

 private:
  std::array<std::array<double, 12>, 12> sums_{};
};

// Scaled to a mean of 1; `count` values that share their total.
void normalise(const double* sums, size_t count, float* out) {
  double total = 0;
  for (size_t i = 0; i < count; ++i) total += sums[i];
  if (total <= 0) return;
  for (size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(sums[i] / total * static_cast<double>(count));
}
}  // namespace

KeyFeatures KeyProfile::features() const {
  // Which two of the 36 steps a pitch class lies between.
  std::array<size_t, 12> low{};
  const double start = tuning() * 3 + kSteps;
  const auto whole = static_cast<size_t>(start);
  const auto part = static_cast<float>(start - static_cast<double>(whole));
  for (size_t c = 0; c < 12; ++c) low[c] = (whole + 3 * c) % kSteps;
  const auto read = [&](const std::array<uint8_t, kSteps>& steps) {
    Classes out;
    for (size_t c = 0; c < 12; ++c)
      out[c] = (static_cast<float>(steps[low[c]]) * (1 - part) +
                static_cast<float>(steps[(low[c] + 1) % kSteps]) * part) /
               255;
    return out;
  };

  const size_t n = frames_.size();
  std::array<double, kChordMove * 12> sums{};
  const auto add = [&](size_t profile, double weight, const Classes& values) {
    for (size_t c = 0; c < 12; ++c) sums[profile * 12 + c] += weight * values[c];
  };
  Moves chords, basses;
  std::array<Harmony, kLag> before;  // the last kLag frames
  Classes last_upper{}, last_bass{};
  // Of the frame before, this one and the one after.
  std::array<Classes, 3> upper{}, bass{};
  std::array<float, 3> weight{};
  for (size_t i = 0; i <= n; ++i) {
    std::rotate(upper.begin(), upper.begin() + 1, upper.end());
    std::rotate(bass.begin(), bass.begin() + 1, bass.end());
    std::rotate(weight.begin(), weight.begin() + 1, weight.end());
    weight[2] = i < n ? weights_[i] : 0;
    upper[2] = i < n ? read(frames_[i].upper) : Classes{};
    bass[2] = i < n ? read(frames_[i].bass) : Classes{};
    if (i == 0) continue;
    const size_t at = i - 1;

    Harmony h;
    h.weight = weight[1];
    Classes chord{};
    const float scale = 1 / (weight[0] + weight[1] + weight[2] + kTiny);
    float root_sum = 0;
    for (size_t c = 0; c < 12; ++c) {
      float high = 0, deep = 0;
      for (size_t k = 0; k < 3; ++k) {
        high += weight[k] * upper[k][c];
        deep += weight[k] * bass[k][c];
      }
      deep *= scale;
      chord[c] = high * scale + kBassShare * deep;
      h.root[c] = deep * deep * deep * deep;
      root_sum += h.root[c];
    }
    for (float& v : h.root) v /= root_sum + 1e-9f;
    triad_shares(chord, h);

    const Classes& up = upper[1];
    const Classes& down = bass[1];
    const float top = *std::max_element(up.begin(), up.end());
    Classes sounds{}, upper_onset{}, bass_onset{}, major_on_root{}, minor_on_root{};
    for (size_t c = 0; c < 12; ++c) {
      sounds[c] = up[c] > 0.35f * top ? 1.0f : 0.0f;
      upper_onset[c] = std::max(up[c] - last_upper[c], 0.0f);
      bass_onset[c] = std::max(down[c] - last_bass[c], 0.0f);
      major_on_root[c] = h.major[c] * h.root[c];
      minor_on_root[c] = h.minor[c] * h.root[c];
    }
    last_upper = up;
    last_bass = down;
    const double w = h.weight;
    add(kUpper, w, up);
    add(kBass, w, down);
    add(kSounds, w, sounds);
    for (const size_t edge : {kBegin, kEnd}) {
      if (edge == kBegin ? at >= kEdgeFrames : at + kEdgeFrames < n) continue;
      add(edge, w, up);
      add(edge + 1, w, down);
      add(edge + 2, w, h.major);
      add(edge + 3, w, h.minor);
    }
    add(kMajor, w, h.major);
    add(kMinor, w, h.minor);
    add(kRoot, w, h.root);
    add(kUpperOnset, w, upper_onset);
    add(kBassOnset, w, bass_onset);
    add(kMajorOnRoot, w, major_on_root);
    add(kMinorOnRoot, w, minor_on_root);
    if (at >= kLag) {
      const Harmony& from = before[at % kLag];
      const float both = std::sqrt(from.weight * h.weight);
      Classes one, other;
      for (size_t c = 0; c < 12; ++c) {
        one[c] = from.major[c] + from.minor[c];
        other[c] = h.major[c] + h.minor[c];
      }
      chords.add(both, one, other);
      basses.add(both, from.root, h.root);
    }
    before[at % kLag] = h;
  }

  KeyFeatures f{};
  for (size_t p = 0; p < kChordMove; ++p) {
    // The two triad profiles share their total.
    const bool triads = p == kBegin + 2 || p == kEnd + 2 || p == kMajor;
    normalise(&sums[p * 12], triads ? 24 : 12, &f[p * 12]);
    if (triads) ++p;
  }
  chords.write(&f[kChordMove * 12]);
  basses.write(&f[kBassMove * 12]);
  return f;
}

}  // namespace samplemind::audio
