#include "audio/feature/loudness.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "audio/dsp/loops.h"

namespace samplemind::audio {

namespace {

constexpr double kOffset_lu = -0.691;
constexpr double kAbsoluteGate_lufs = -70;
constexpr double kRelativeGate_lu = -10;
constexpr double kRangeGate_lu = -20;  // EBU Tech 3342
constexpr size_t kBlockSteps = 4;
constexpr size_t kShortTermSteps = 30;
constexpr size_t kShortTermHop = 10;
constexpr size_t kChunkFrames = 4096;
constexpr size_t kPeakRun = 256;  // frames between two looks at whether a peak is possible
static_assert(kPeakRun >= kPeakTapsMax && kChunkFrames % kPeakRun == 0);

double lufs(double mean_square) {
  return kOffset_lu + 10 * std::log10(mean_square);
}
double mean_square_of(double lufs) {
  return std::pow(10, (lufs - kOffset_lu) / 10);
}
double mean(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

// The analogue prototypes behind BS.1770's coefficients at 48 kHz, brought to any rate by the
// bilinear transform.
KWeighting k_weighting(double rate_hz) {
  KWeighting k{};
  {
    const double w = std::tan(std::numbers::pi * 1681.974450955533 / rate_hz);
    const double q = 0.7071752369554196;
    const double vh = std::pow(10, 3.999843853973347 / 20);
    const double vb = std::pow(vh, 0.4996667741545416);
    const double a0 = 1 + w / q + w * w;
    k.b[0][0] = (vh + vb * w / q + w * w) / a0;
    k.b[0][1] = 2 * (w * w - vh) / a0;
    k.b[0][2] = (vh - vb * w / q + w * w) / a0;
    k.a[0][0] = 2 * (w * w - 1) / a0;
    k.a[0][1] = (1 - w / q + w * w) / a0;
  }
  {
    const double w = std::tan(std::numbers::pi * 38.13547087602444 / rate_hz);
    const double q = 0.5003270373238773;
    const double a0 = 1 + w / q + w * w;
    k.b[1][0] = 1;
    k.b[1][1] = -2;
    k.b[1][2] = 1;
    k.a[1][0] = 2 * (w * w - 1) / a0;
    k.a[1][1] = (1 - w / q + w * w) / a0;
  }
  return k;
}

std::vector<double> channel_weights(size_t channels) {
  constexpr double kSurround = 1.41;
  switch (channels) {
    case 4:
      return {1, 1, kSurround, kSurround};
    case 5:
      return {1, 1, 1, kSurround, kSurround};
    case 6:
      return {1, 1, 1, 0, kSurround, kSurround};
    case 7:
      return {1, 1, 1, 0, kSurround, kSurround, 1};
    case 8:
      return {1, 1, 1, 0, kSurround, kSurround, 1, 1};
    default:
      return std::vector<double>(channels, 1);
  }
}

}  // namespace

LoudnessMeter::LoudnessMeter(int channels, int rate_hz, bool loudness)
    : channels_(static_cast<size_t>(channels)),
      rate_hz_(rate_hz),
      loudness_(loudness),
      weights_(channel_weights(channels_)),
      filter_(k_weighting(rate_hz)),
      states_((channels_ + 1) / 2),
      energy_((channels_ + 1) / 2),
      step_frames_(std::max<size_t>(1, (static_cast<size_t>(rate_hz) + 5) / 10)),
      planes_(channels_),
      peaks_(channels_, 0) {
  // Below 3.4 kHz the shelf's corner lies above half the rate: no K-weighting is defined there.
  if (rate_hz < 4000) loudness_ = false;
  const size_t factor = rate_hz < 96000 ? 4 : rate_hz < 192000 ? 2 : 1;
  filters_.phases = factor - 1;
  filters_.count = 48 / factor;
  constexpr size_t kTaps = 49;
  for (size_t j = 0; j < kTaps; ++j) {
    // Phase 0 of the sinc is the sample itself.
    if (j % factor == 0 || factor == 1) continue;
    const double m = static_cast<double>(j) - (kTaps - 1) / 2.0;
    const double x = m * std::numbers::pi / static_cast<double>(factor);
    const double c =
        std::sin(x) / x *
        (0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(j) / (kTaps - 1)));
    filters_.taps[j % factor - 1][j / factor] = static_cast<float>(c);
  }
  for (size_t p = 0; p < filters_.phases; ++p) {
    float gain = 0;
    for (size_t t = 0; t < filters_.count; ++t) gain += std::abs(filters_.taps[p][t]);
    peak_gain_ = std::max(peak_gain_, gain * 1.001f);  // rounding
  }
  for (auto& plane : planes_) plane.assign(kPeakTapsMax + kChunkFrames, 0);
}

void LoudnessMeter::feed(std::span<const float> interleaved) {
  const size_t frames = interleaved.size() / channels_;
  frames_ += frames;
  for (size_t at = 0; at < frames; at += kChunkFrames) {
    const size_t n = std::min(kChunkFrames, frames - at);
    measure_peaks(interleaved.subspan(at * channels_, n * channels_), n);
  }
  if (loudness_) measure_energy(interleaved.data(), frames);
}

void LoudnessMeter::measure_peaks(std::span<const float> interleaved, size_t frames) {
  if (channels_ == 2) {
    split_two(interleaved.data(), frames, planes_[0].data() + kPeakTapsMax,
              planes_[1].data() + kPeakTapsMax);
  } else {
    for (size_t c = 0; c < channels_; ++c) {
      float* to = planes_[c].data() + kPeakTapsMax;
      for (size_t i = 0; i < frames; ++i) to[i] = interleaved[i * channels_ + c];
    }
  }
  for (size_t c = 0; c < channels_; ++c) {
    float* x = planes_[c].data() + kPeakTapsMax;
    // Between samples none can be larger than the filters' gain times the largest that they reach
    // back to: where that is no new peak (the tail of every hit), nothing is interpolated.
    float before = largest(x - kPeakTapsMax, kPeakTapsMax);
    float peak = peaks_[c];
    for (size_t at = 0; at < frames; at += kPeakRun) {
      const size_t n = std::min(kPeakRun, frames - at);
      const float most = largest(x + at, n);
      peak = std::max(peak, most);
      if (filters_.phases > 0 && std::max(before, most) * peak_gain_ > peak)
        peak = std::max(peak, interpolated_peak(x + at, n, filters_));
      before = most;
    }
    peaks_[c] = peak;
    std::copy(x + frames - kPeakTapsMax, x + frames, planes_[c].data());
  }
}

void LoudnessMeter::measure_energy(const float* interleaved, size_t frames) {
  while (frames > 0) {
    const size_t n = std::min(frames, step_frames_ - step_at_);
    for (size_t pair = 0; pair < states_.size(); ++pair) {
      const size_t c = 2 * pair;
      const bool second = c + 1 < channels_;
      if (weights_[c] == 0 && (!second || weights_[c + 1] == 0)) continue;
      k_weighted_energy(interleaved + c, channels_, second, n, filter_, states_[pair],
                        energy_[pair].data());
    }
    step_at_ += n;
    if (step_at_ == step_frames_) end_step();
    interleaved += n * channels_;
    frames -= n;
  }
}

void LoudnessMeter::end_step() {
  double sum = 0;
  for (size_t c = 0; c < channels_; ++c) sum += weights_[c] * energy_[c / 2][c % 2];
  for (auto& e : energy_) e = {0, 0};
  // Filters of a sound that has ended ring on towards denormals: slow, and inaudible long before.
  for (KState& state : states_) {
    for (auto& section : state.s) {
      for (auto& delay : section) {
        for (double& v : delay) v = std::abs(v) < 1e-15 ? 0 : v;
      }
    }
  }
  step_at_ = 0;
  recent_[steps_ % recent_.size()] = sum / static_cast<double>(step_frames_);
  ++steps_;
  const auto last = [&](size_t count) {
    double total = 0;
    for (size_t i = 1; i <= count; ++i) total += recent_[(steps_ - i) % recent_.size()];
    return total / static_cast<double>(count);
  };
  const double gate = mean_square_of(kAbsoluteGate_lufs);
  if (steps_ >= kBlockSteps) {
    const double block = last(kBlockSteps);
    if (block >= gate) blocks_.push_back(block);
  }
  if (steps_ >= kShortTermSteps && steps_ % kShortTermHop == 0) {
    const double block = last(kShortTermSteps);
    if (block >= gate) short_term_.push_back(block);
  }
}

std::optional<double> LoudnessMeter::integrated_lufs() const {
  if (blocks_.empty()) return std::nullopt;
  const double gate = mean(blocks_) * std::pow(10, kRelativeGate_lu / 10);
  double sum = 0;
  size_t count = 0;
  for (const double b : blocks_) {
    if (b < gate) continue;
    sum += b;
    ++count;
  }
  const double value = lufs(sum / static_cast<double>(count));
  if (!std::isfinite(value) || value <= kAbsoluteGate_lufs) return std::nullopt;
  return value;
}

std::optional<double> LoudnessMeter::range_lu() const {
  if (short_term_.empty() || !integrated_lufs()) return std::nullopt;
  const double gate = mean(short_term_) * std::pow(10, kRangeGate_lu / 10);
  std::vector<double> kept;
  std::copy_if(short_term_.begin(), short_term_.end(), std::back_inserter(kept),
               [&](double b) { return b >= gate; });
  std::sort(kept.begin(), kept.end());
  const auto at = [&](double share) {
    return kept[static_cast<size_t>(static_cast<double>(kept.size() - 1) * share + 0.5)];
  };
  return lufs(at(0.95)) - lufs(at(0.10));
}

std::optional<double> LoudnessMeter::true_peak() const {
  const double peak = *std::max_element(peaks_.begin(), peaks_.end());
  if (peak <= 0 || !std::isfinite(peak)) return std::nullopt;
  return peak;
}

std::optional<double> LoudnessMeter::true_peak_dbtp() const {
  const auto peak = true_peak();
  if (!peak) return std::nullopt;
  return 20 * std::log10(*peak);
}

}  // namespace samplemind::audio
