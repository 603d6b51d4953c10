// Level over time: RMS curve, dynamic range, attack and decay; and the power of bands over time.
// Streaming accumulators, bounded memory; not thread-safe.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "audio/dsp/frames.h"
#include "audio/facts.h"
#include "audio/feature/statistics.h"

namespace samplemind::audio {

// A sink of kDetailSpec: RMS of whole frames.
class EnvelopeMeter final : public FrameSink {
 public:
  explicit EnvelopeMeter(int rate_hz) : rate_hz_(rate_hz) {}
  void take(const FrameBlock& block) override;
  void feed(std::span<const float> mono);  // the same samples, for attack and decay
  // `oneshot`: attack and decay have a meaning. `duration_s` of the sound.
  EnvelopeFacts facts(bool oneshot) const;
  // Percentile of the frames' level in dBFS, of frames above -100; nothing when there are none.
  std::optional<double> level_percentile(double share) const;

 private:
  void attack_and_decay(EnvelopeFacts& f) const;
  int rate_hz_;
  size_t hop_ = 512;
  CurveMeter power_{CurveMeter::Join::kMean};
  LevelHistogram levels_;
  double loudest_db_ = -200;
  double square_ = 0;
  size_t samples_ = 0;
  float peak_ = 0;
  std::vector<float> steps_;  // the largest sample of 0.7 ms each, of the first 20 s
  float step_peak_ = 0;
  size_t step_samples_ = 0;
};

// A sink of kDetailSpec.
class BandMeter final : public FrameSink {
 public:
  void take(const FrameBlock& block) override;
  // `mono_power` is the mean power of the mono mix at the file's own rate: what lies above half the
  // analysis rate counts as air.
  BandFacts facts(double mono_power) const;

 private:
  std::array<double, kBandCount> power_{};
  size_t frames_ = 0;
  double hop_s_ = 0;
  CurveMeter energy_{CurveMeter::Join::kMean, 256};
};

}  // namespace samplemind::audio
