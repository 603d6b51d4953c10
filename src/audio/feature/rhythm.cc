#include "audio/feature/rhythm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace samplemind::audio {

namespace {

constexpr double kBandLowHz = 30;
constexpr double kBandHighHz = 10500;
constexpr float kCompression = 100;  // log(1 + c x)

double mel(double hz) {
  return 2595 * std::log10(1 + hz / 700);
}
double hertz(double m) {
  return 700 * (std::pow(10, m / 2595) - 1);
}

float mean(std::span<const float> v) {
  return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0f) / static_cast<float>(v.size());
}

}  // namespace

OnsetStrength::OnsetStrength() : bands_(bands()) {}

// Made once: a short sound takes less time than they do.
const OnsetStrength::Bands& OnsetStrength::bands() {
  static const Bands bands = make_bands();
  return bands;
}

OnsetStrength::Bands OnsetStrength::make_bands() {
  Bands bands;
  constexpr size_t kBins = kRhythmFrame / 2 + 1;
  const double mel_low = mel(kBandLowHz);
  const double mel_step = (mel(kBandHighHz) - mel_low) / (kBands + 1);
  const double bin_hz = static_cast<double>(kRhythmRateHz) / kRhythmFrame;
  for (size_t b = 0; b < kBands; ++b) {
    const double left = hertz(mel_low + mel_step * static_cast<double>(b));
    const double centre = hertz(mel_low + mel_step * static_cast<double>(b + 1));
    const double right = hertz(mel_low + mel_step * static_cast<double>(b + 2));
    Band& band = bands[b];
    // Low triangles can be narrower than a bin: every band takes the bin nearest to its centre at
    // least.
    const auto first =
        static_cast<size_t>(std::min(std::ceil(left / bin_hz), std::round(centre / bin_hz)));
    const auto last =
        static_cast<size_t>(std::max(std::floor(right / bin_hz), std::round(centre / bin_hz)));
    band.first = first;
    for (size_t k = first; k <= std::min(last, kBins - 1); ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      const double w =
          hz < centre ? (hz - left) / (centre - left) : (right - hz) / (right - centre);
      band.weights.push_back(static_cast<float>(std::max(w, 0.1)));
    }
  }
  return bands;
}

void OnsetStrength::take(const FrameBlock& block) {
  // By an eighth, not by doubling: of six hours the unused half would be 16 MB.
  if (full_.size() + kLanes > full_.capacity())
    full_.reserve(full_.capacity() + std::max<size_t>(4096, full_.capacity() / 8));
  std::array<Levels, kLanes> levels;
  for (size_t b = 0; b < kBands; ++b) {
    float sum[kLanes] = {};
    const float* m = block.magnitude + bands_[b].first * kLanes;
    for (const float w : bands_[b].weights) {
      for (size_t l = 0; l < kLanes; ++l) sum[l] += w * m[l];
      m += kLanes;
    }
    for (size_t l = 0; l < kLanes; ++l)
      levels[l][b] = std::log1p(kCompression * sum[l] / (kRhythmFrame / 4.0f));
  }
  for (size_t l = 0; l < block.count; ++l) {
    if (energy_.size() < kEnergyMax) {
      const float* hop = block.samples + l * kRhythmHop + kRhythmFrame / 2;
      double square = 0;
      for (size_t i = 0; i < kRhythmHop; ++i) square += static_cast<double>(hop[i]) * hop[i];
      energy_.push_back(static_cast<float>(std::sqrt(square / kRhythmHop)));
    }
    frame(levels[l]);
  }
}

void OnsetStrength::frame(const Levels& levels) {
  Levels& before = before_[frames_ % kLag];
  float full = 0;
  if (frames_ < kLag) {
    // The very first frames compare with silence: a sound that begins at once has its onset there.
    full = std::accumulate(levels.begin(), levels.end(), 0.0f) * (frames_ == 0 ? 0.7f : 0.3f);
  } else {
    for (size_t b = 0; b < kBands; ++b) {
      float reference = before[b];
      if (b > 0) reference = std::max(reference, before[b - 1]);
      if (b + 1 < kBands) reference = std::max(reference, before[b + 1]);
      full += std::max(0.0f, levels[b] - reference);
    }
  }
  before = levels;
  ++frames_;
  full_.push_back(full / kBands);
}

std::vector<double> pick_onsets(const OnsetStrength& strength) {
  const std::vector<float>& s = strength.full();
  const auto n = static_cast<ptrdiff_t>(s.size());
  std::vector<double> onsets;
  if (n == 0) return onsets;
  const float peak = *std::max_element(s.begin(), s.end());
  if (peak < 0.02f) return onsets;
  const float floor = std::max(0.02f, 0.06f * peak);
  constexpr ptrdiff_t kBefore = 3, kAfter = 3, kMeanBefore = 12, kMeanAfter = 8;
  double last = -1;
  for (ptrdiff_t i = 0; i < n; ++i) {
    const auto range = [&](ptrdiff_t back, ptrdiff_t ahead) {
      const ptrdiff_t a = std::max<ptrdiff_t>(0, i - back);
      const ptrdiff_t b = std::min(n, i + ahead + 1);
      return std::span<const float>(s).subspan(static_cast<size_t>(a), static_cast<size_t>(b - a));
    };
    const auto near = range(kBefore, kAfter);
    if (s[static_cast<size_t>(i)] < *std::max_element(near.begin(), near.end())) continue;
    if (s[static_cast<size_t>(i)] < mean(range(kMeanBefore, kMeanAfter)) + floor) continue;
    const double t = static_cast<double>(i) / kRhythmFps;
    if (last >= 0 && t - last < 0.03) continue;
    onsets.push_back(t);
    last = t;
  }
  return onsets;
}

}  // namespace samplemind::audio
