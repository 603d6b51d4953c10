// Peak, RMS and the silence at both ends. A streaming accumulator over the sound at its own rate;
// memory does not grow with the sound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace samplemind::audio {

struct Levels {
  double peak_dbfs = 0;  // of the largest sample; 0 is full scale
  double rms_dbfs = 0;   // over all channels; a full-scale sine has -3
  // Time before the first and after the last sample within 60 dB of the peak (0.7 ms steps).
  double silence_start_s = 0;
  double silence_end_s = 0;
};

class LevelMeter {
 public:
  LevelMeter(int channels, int rate_hz);
  void feed(std::span<const float> interleaved);  // whole frames
  // Nothing for digital silence (below -100 dBFS) and for no sound at all.
  std::optional<Levels> levels() const;
  double peak() const { return std::max(peak_, pending_); }  // linear, of all samples

 private:
  void step(float loudest);
  struct Mark {
    size_t step;
    float loudest;
  };
  size_t channels_;
  int rate_hz_;
  float peak_ = 0;
  double square_ = 0;
  size_t samples_ = 0;
  size_t steps_ = 0;   // whole steps so far
  float pending_ = 0;  // the loudest sample of the step in progress
  size_t pending_samples_ = 0;
  // Whatever the final peak: the first loud step is one that was louder than all before it, the
  // last loud one is louder than all after it. Loudness counts in steps below 1 %, so that the
  // lists stay short (4,000 marks at most).
  std::vector<Mark> rising_;
  std::vector<Mark> falling_;
};

}  // namespace samplemind::audio
