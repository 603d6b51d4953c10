// Loudness and true peak after ITU-R BS.1770-4, EBU R128 and EBU Tech 3342. A streaming accumulator
// over the sound at its own rate; memory does not grow with the sound.
#pragma once

#include <memory>
#include <optional>
#include <span>

namespace samplemind::audio {

class LoudnessMeter {
 public:
  // `loudness` false: the true peak alone is measured.
  LoudnessMeter(int channels, int rate_hz, bool loudness);
  ~LoudnessMeter();
  LoudnessMeter(LoudnessMeter&&) noexcept;
  void feed(std::span<const float> interleaved);  // whole frames
  // Of everything fed so far. Absent: integrated below one gating block (0.4 s) and below -70 LUFS;
  // range also below 3 s; true peak for digital silence.
  std::optional<double> integrated_lufs() const;
  std::optional<double> range_lu() const;
  std::optional<double> true_peak_dbtp() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samplemind::audio
