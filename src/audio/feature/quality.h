// Stereo image and technical faults, at the sound's own rate over all channels. A streaming
// accumulator with bounded memory; not thread-safe.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "audio/dsp/frames.h"
#include "audio/dsp/loops.h"
#include "audio/facts.h"

namespace samplemind::audio {

class StereoMeter {
 public:
  void feed(std::span<const float> interleaved);  // two channels
  // Nothing for silence.
  std::optional<StereoFacts> facts() const;
  // Of level when mixed to mono; nothing for silence.
  std::optional<double> mono_loss_db() const;

 private:
  StereoSums sums_;
};

class FaultMeter {
 public:
  explicit FaultMeter(int channels);
  void feed(std::span<const float> interleaved);
  double dc_offset() const;
  // REQUIRES: `peak` is the largest magnitude of all samples. Runs at that very level count when
  // it is full scale, or when it was reached so often that a limiter cannot be the reason.
  size_t clipped_runs() const { return runs_; }
  double clipped_share() const;

 private:
  void end_run(size_t channel);
  size_t channels_;
  std::vector<double> sums_;
  std::vector<float> last_;
  std::vector<size_t> run_;  // samples in a row at full scale with one sign
  size_t frames_ = 0;
  size_t runs_ = 0;
  size_t clipped_ = 0;
};

// Mains hum: lines at 50 or 60 Hz and their multiples that are there all the time. A sink of the
// frames of KeyProfile (2.7 Hz a bin).
class HumMeter final : public FrameSink {
 public:
  static constexpr FrameSpec kSpec{
      .size = 8192, .hop = 4096, .window = Window::kBlackmanHarris, .centred = false};
  void take(const FrameBlock& block) override;
  // By how many dB the lines of 50 or 60 Hz stand over their neighbourhood, when at least two of
  // the first four stand out by 12 dB; nothing otherwise and below 2 s of sound.
  struct Hum {
    double hz;
    double db;
  };
  std::optional<Hum> hum() const;

 private:
  static constexpr size_t kBins = 128;  // to 344 Hz
  std::array<double, kBins> log_sum_{};
  size_t frames_ = 0;
};

}  // namespace samplemind::audio
