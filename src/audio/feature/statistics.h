// Running statistics of a feature over a sound's frames: small, streaming, the same whatever the
// block sizes.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "audio/facts.h"

namespace samplemind::audio {

class SpreadMeter {
 public:
  void add(double v) {
    // Welford's: no cancellation however long the sound.
    ++count_;
    const double off = v - mean_;
    mean_ += off / static_cast<double>(count_);
    squares_ += off * (v - mean_);
    least_ = count_ == 1 ? v : std::min(least_, v);
    most_ = count_ == 1 ? v : std::max(most_, v);
  }
  Spread spread() const {
    if (count_ == 0) return {};
    return {mean_, std::sqrt(squares_ / static_cast<double>(count_)), least_, most_};
  }

 private:
  uint64_t count_ = 0;
  double mean_ = 0, squares_ = 0, least_ = 0, most_ = 0;
};

// A curve of at most kCurveMax values: when it is full, neighbours are joined and the step doubles.
class CurveMeter {
 public:
  enum class Join { kMean, kMost };
  explicit CurveMeter(Join join, size_t values_max = kCurveMax)
      : join_(join), values_max_(values_max) {}
  void add(double v) {
    pending_ = join_ == Join::kMean  ? pending_ + v
               : pending_count_ == 0 ? v
                                     : std::max(pending_, v);
    if (++pending_count_ < step_) return;
    values_.push_back(taken());
    if (values_.size() < values_max_) return;
    for (size_t i = 0; i < values_.size() / 2; ++i) {
      const double a = values_[2 * i], b = values_[2 * i + 1];
      values_[i] = join_ == Join::kMean ? (a + b) / 2 : std::max(a, b);
    }
    values_.resize(values_.size() / 2);
    step_ *= 2;
  }
  // `of` is applied to each value; `unit_s` is the time between calls of add().
  template <class F>
  Curve curve(double unit_s, F of) const {
    CurveMeter ended = *this;
    if (ended.pending_count_ > 0) ended.values_.push_back(ended.taken());
    Curve c;
    c.step_s = unit_s * static_cast<double>(step_);
    for (const double v : ended.values_) c.values.push_back(static_cast<float>(of(v)));
    return c;
  }

 private:
  double taken() {
    const double v =
        join_ == Join::kMean ? pending_ / static_cast<double>(pending_count_) : pending_;
    pending_ = 0;
    pending_count_ = 0;
    return v;
  }
  Join join_;
  size_t values_max_;
  size_t step_ = 1;
  size_t pending_count_ = 0;
  double pending_ = 0;
  std::vector<double> values_;
};

// Percentiles of levels in dB, in steps of 0.25 from -140 to 20.
class LevelHistogram {
 public:
  void add(double db) {
    const auto i = static_cast<int>((db + 140) * 4);
    ++counts_[static_cast<size_t>(std::clamp(i, 0, static_cast<int>(counts_.size()) - 1))];
  }
  // Of values at or above `floor_db`; `share` 0..1. NaN when there are none.
  double percentile(double share, double floor_db) const {
    const auto first = static_cast<size_t>(
        std::clamp((floor_db + 140) * 4, 0.0, static_cast<double>(counts_.size())));
    uint64_t total = 0;
    for (size_t i = first; i < counts_.size(); ++i) total += counts_[i];
    if (total == 0) return std::nan("");
    const double wanted = share * static_cast<double>(total);
    uint64_t seen = 0;
    for (size_t i = first; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (static_cast<double>(seen) >= wanted && counts_[i] > 0)
        return (static_cast<double>(i) + 0.5) / 4 - 140;
    }
    return 20;
  }

 private:
  std::array<uint64_t, 640> counts_{};
};

inline double decibels(double power) {
  return power > 1e-12 ? 10 * std::log10(power) : -120;
}

}  // namespace samplemind::audio
