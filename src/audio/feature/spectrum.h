// Shape of the spectrum and timbre, over frames shared with chroma and harmonic-percussive
// separation. Streaming accumulators, bounded memory; not thread-safe.
#pragma once

#include <array>
#include <vector>

#include "audio/dsp/frames.h"
#include "audio/facts.h"
#include "audio/feature/spectrum_kernels_internal.h"
#include "audio/feature/statistics.h"

namespace samplemind::audio {

// The frames of level detailed and professional, and their rate.
inline constexpr int kDetailRateHz = 22050;
inline constexpr FrameSpec kDetailSpec{.size = 2048, .hop = 512};

class SpectrumMeter final : public FrameSink {
 public:
  void take(const FrameBlock& block) override;
  SpectrumFacts facts() const;

 private:
  SpreadMeter centroid_, bandwidth_, rolloff_, flatness_;
  std::array<SpreadMeter, kContrastBands> contrast_;
  uint64_t crossings_ = 0, samples_ = 0;
};

class TimbreMeter final : public FrameSink {
 public:
  TimbreMeter();
  void take(const FrameBlock& block) override;
  TimbreFacts facts() const;

 private:
  struct Tables {
    std::vector<WeightedBand> bands;
    std::vector<float> weights;  // of the bands, one after the other
    std::vector<float> cosines;  // [coefficient][band]
  };
  static Tables make_tables(int rate_hz);
  const Tables& tables_;  // made once a process
  std::array<SpreadMeter, kMfccCount> mfcc_, delta_;
  std::array<std::array<float, kMfccCount>, 9> recent_{};  // a ring, for the deltas
  size_t frames_ = 0;
};

class ChromaMeter final : public FrameSink {
 public:
  ChromaMeter();
  void take(const FrameBlock& block) override;
  ChromaFacts facts() const;

 private:
  static std::vector<float> make_weights(int rate_hz);
  const std::vector<float>& weights_;  // [bin][12], made once a process
  std::array<double, 12> sum_{}, energy_{};
  size_t frames_ = 0;
};

}  // namespace samplemind::audio
