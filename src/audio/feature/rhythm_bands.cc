#include "audio/feature/rhythm_bands.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace samplemind::audio {

namespace {
double mel(double hz) {
  return 2595 * std::log10(1 + hz / 700);
}
double hertz(double m) {
  return 700 * (std::pow(10, m / 2595) - 1);
}

std::vector<double> mel_centres() {
  constexpr double kLowHz = 30, kHighHz = 10500;
  const double step = (mel(kHighHz) - mel(kLowHz)) / (kRhythmMelBands + 1);
  std::vector<double> centres;
  for (size_t i = 0; i < kRhythmMelBands + 2; ++i)
    centres.push_back(hertz(mel(kLowHz) + step * static_cast<double>(i)));
  return centres;
}

std::vector<double> note_centres() {
  std::vector<double> centres;
  for (size_t i = 0; i < kRhythmNoteBands + 2; ++i)
    centres.push_back(440 * std::pow(2, (47 + static_cast<double>(i) - 69) / 12));
  return centres;
}
}  // namespace

BandLevels::BandLevels(const FrameSpec& spec, int rate_hz, std::span<const double> centres_hz) {
  SM_ASSERT(centres_hz.size() >= 3);
  const size_t bins = spec.size / 2 + 1;
  const double bin_hz = static_cast<double>(rate_hz) / static_cast<double>(spec.size);
  const float scale = 4.0f / static_cast<float>(spec.size);  // a Hann-windowed sine has size / 4
  for (size_t b = 1; b + 1 < centres_hz.size(); ++b) {
    const double left = centres_hz[b - 1], centre = centres_hz[b], right = centres_hz[b + 1];
    // Low triangles can be narrower than a bin: each takes the bins on both sides of its centre.
    const auto first = static_cast<size_t>(
        std::max(0.0, std::min(std::ceil(left / bin_hz), std::floor(centre / bin_hz))));
    const auto last = std::min(bins - 1, static_cast<size_t>(std::max(std::floor(right / bin_hz),
                                                                      std::ceil(centre / bin_hz))));
    Filter filter;
    filter.first = first;
    for (size_t k = first; k <= last; ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      const double slope =
          hz < centre ? (hz - left) / (centre - left) : (right - hz) / (right - centre);
      const double near = 1 - std::abs(hz - centre) / bin_hz;
      filter.weights.push_back(static_cast<float>(std::max({slope, near, 0.0})) * scale);
    }
    filters_.push_back(std::move(filter));
  }
}

void BandLevels::take(const FrameBlock& block) {
  const size_t row = rows_.size();
  rows_.resize(row + block.count * filters_.size());
  for (size_t b = 0; b < filters_.size(); ++b) {
    const Filter& filter = filters_[b];
    std::array<float, kLanes> sum{};
    const float* m = block.magnitude + filter.first * kLanes;
    for (const float w : filter.weights) {
      for (size_t l = 0; l < kLanes; ++l) sum[l] += w * m[l];
      m += kLanes;
    }
    for (size_t l = 0; l < block.count; ++l)
      rows_[row + l * filters_.size() + b] = std::log(1e-6f + sum[l]);
  }
}

RhythmBands::RhythmBands()
    : mel_(kRhythmShortSpec, kRhythmBandsRate, mel_centres()),
      notes_(kRhythmLongSpec, kRhythmBandsRate, note_centres()) {}

void RhythmBands::subscribe(FrameEngine& engine) {
  engine.subscribe(kRhythmShortSpec, mel_);
  engine.subscribe(kRhythmLongSpec, notes_);
}

size_t RhythmBands::ready() const {
  auto& self = const_cast<RhythmBands&>(*this);
  return std::min(self.mel_.rows().size() / (2 * kRhythmMelBands),
                  self.notes_.rows().size() / kRhythmNoteBands);
}

void RhythmBands::take(size_t frames, std::vector<float>& out) {
  SM_ASSERT(frames <= ready());
  const float* mel = mel_.rows().data();
  const float* note = notes_.rows().data();
  for (size_t i = 0; i < frames; ++i) {
    out.insert(out.end(), mel, mel + 2 * kRhythmMelBands);
    out.insert(out.end(), note, note + kRhythmNoteBands);
    mel += 2 * kRhythmMelBands;
    note += kRhythmNoteBands;
  }
  const auto cut = [](std::vector<float>& rows, size_t values) {
    rows.erase(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(values));
  };
  cut(mel_.rows(), frames * 2 * kRhythmMelBands);
  cut(notes_.rows(), frames * kRhythmNoteBands);
}

void RhythmBands::finish() {
  std::vector<float>& rows = mel_.rows();
  if (rows.size() % (2 * kRhythmMelBands) != 0) {
    const std::vector<float> last(rows.end() - kRhythmMelBands, rows.end());
    rows.insert(rows.end(), last.begin(), last.end());
  }
}

}  // namespace samplemind::audio
