#include "audio/feature/envelope.h"

#include <algorithm>
#include <cmath>

#include "audio/dsp/loops.h"

namespace samplemind::audio {

namespace {
constexpr size_t kStep = 16;  // samples
constexpr double kSpan_s = 20;
constexpr double kFloor_db = -100;

}  // namespace

void EnvelopeMeter::take(const FrameBlock& block) {
  hop_ = block.spec.hop;
  for (size_t l = 0; l < block.count; ++l) {
    const double power = sum_of_squares(block.samples + l * hop_, block.spec.size) /
                         static_cast<double>(block.spec.size);
    power_.add(power);
    const double db = decibels(power);
    levels_.add(db);
    loudest_db_ = std::max(loudest_db_, db);
  }
}

void EnvelopeMeter::feed(std::span<const float> mono) {
  const auto steps_max = static_cast<size_t>(kSpan_s * rate_hz_) / kStep;
  samples_ += mono.size();
  square_ += sum_of_squares(mono.data(), mono.size());
  peak_ = std::max(peak_, largest(mono.data(), mono.size()));
  while (!mono.empty() && steps_.size() < steps_max) {
    const auto part = mono.first(std::min(mono.size(), kStep - step_samples_));
    step_peak_ = std::max(step_peak_, largest(part.data(), part.size()));
    step_samples_ += part.size();
    mono = mono.subspan(part.size());
    if (step_samples_ < kStep) continue;
    steps_.push_back(step_peak_);
    step_peak_ = 0;
    step_samples_ = 0;
  }
}

void EnvelopeMeter::attack_and_decay(EnvelopeFacts& f) const {
  const auto top = std::max_element(steps_.begin(), steps_.end());
  if (top == steps_.end() || *top <= 0) return;
  const double step_s = static_cast<double>(kStep) / rate_hz_;
  const auto reaches = [&](float share) {
    return std::find_if(steps_.begin(), steps_.end(), [&](float v) { return v >= share * *top; });
  };
  f.attack_s = static_cast<double>(reaches(0.9f) - reaches(0.1f)) * step_s;
  const auto last =
      std::find_if(steps_.rbegin(), steps_.rend(), [&](float v) { return v >= 0.1f * *top; });
  f.decay_s = static_cast<double>(last.base() - 1 - top) * step_s;
}

EnvelopeFacts EnvelopeMeter::facts(bool oneshot) const {
  EnvelopeFacts f;
  f.rms_db = power_.curve(static_cast<double>(hop_) / rate_hz_, decibels);
  const double floor = std::max(kFloor_db, loudest_db_ - 60);
  const double high = levels_.percentile(0.95, floor);
  const double low = levels_.percentile(0.10, floor);
  if (std::isfinite(high) && std::isfinite(low)) f.dynamic_range_db = high - low;
  if (samples_ > 0 && peak_ > 0)
    f.crest_db = decibels(static_cast<double>(peak_) * peak_) -
                 decibels(square_ / static_cast<double>(samples_));
  if (oneshot) attack_and_decay(f);
  return f;
}

std::optional<double> EnvelopeMeter::level_percentile(double share) const {
  const double db = levels_.percentile(share, kFloor_db);
  if (!std::isfinite(db)) return std::nullopt;
  return db;
}

void BandMeter::take(const FrameBlock& block) {
  hop_s_ = static_cast<double>(block.spec.hop) / block.rate_hz;
  // Parseval for a Hann window (mean square 3/8), both halves of the spectrum.
  const double scale =
      2.0 / (0.375 * static_cast<double>(block.spec.size) * static_cast<double>(block.spec.size));
  size_t k = 1;
  std::array<double, kLanes> total{};
  for (size_t b = 0; b < kBandCount; ++b) {
    const double end_hz = b + 1 < kBandCount ? kBandLow_hz[b + 1] : 1e9;
    float sum[kLanes] = {};
    for (; k < block.bins && block.bin_hz(k) < end_hz; ++k) {
      const float* m = block.magnitude + k * kLanes;
      for (size_t l = 0; l < kLanes; ++l) sum[l] += m[l] * m[l];
    }
    for (size_t l = 0; l < block.count; ++l) {
      power_[b] += scale * sum[l];
      total[l] += scale * sum[l];
    }
  }
  for (size_t l = 0; l < block.count; ++l) energy_.add(total[l]);
  frames_ += block.count;
}

BandFacts BandMeter::facts(double mono_power) const {
  BandFacts f;
  f.energy_db = energy_.curve(hop_s_, decibels);
  if (frames_ == 0) return f;
  std::array<double, kBandCount> power = power_;
  double sum = 0;
  for (double& p : power) {
    p /= static_cast<double>(frames_);
    sum += p;
  }
  // The two estimates differ by a per cent or so: less than that is no air.
  const double above = mono_power - sum;
  if (above > 0.02 * mono_power) {
    power[kBandCount - 1] += above;
    sum += above;
  }
  if (sum <= 0) return f;
  for (size_t b = 0; b < kBandCount; ++b) f.share[b] = power[b] / sum;
  return f;
}

}  // namespace samplemind::audio
