// Loudness and true peak after ITU-R BS.1770-4, EBU R128 and EBU Tech 3342. A streaming accumulator
// over the sound at its own rate; memory grows by 0.3 MB an hour (the energies of gating blocks).
//
// Channels in the order of a wav file: 1 mono, 2 L R, 3 L R C, 4 L R Ls Rs, 5 L R C Ls Rs,
// 6 L R C LFE Ls Rs, 7 and 8 with two more at the back. LFE does not count, Ls and Rs count 1.41.
// Of more than 8 channels the layout is unknown: all count alike.
//
// True peak: four times oversampled below 96 kHz, twice below 192 kHz, the largest sample above,
// with the interpolator of libebur128 (a Hann-windowed sinc of 49 taps).
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "audio/feature/loudness_kernels_internal.h"

namespace samplemind::audio {

class LoudnessMeter {
 public:
  // `loudness` false: the true peak alone is measured.
  LoudnessMeter(int channels, int rate_hz, bool loudness);
  void feed(std::span<const float> interleaved);  // whole frames
  // Of everything fed so far. Absent: integrated below one gating block (0.4 s) and below -70 LUFS;
  // range also below 3 s; true peak for digital silence.
  std::optional<double> integrated_lufs() const;
  std::optional<double> range_lu() const;
  std::optional<double> true_peak_dbtp() const;
  std::optional<double> true_peak() const;  // linear
  // Linear, of one channel; at least its largest sample.
  double true_peak(size_t channel) const { return peaks_[channel]; }

 private:
  void measure_peaks(std::span<const float> interleaved, size_t frames);
  void measure_energy(const float* interleaved, size_t frames);
  void end_step();

  size_t channels_;
  int rate_hz_;
  bool loudness_;
  size_t frames_ = 0;

  // Loudness: energies of steps of 100 ms are joined to gating blocks of 0.4 s (every 0.1 s) and
  // short-term blocks of 3 s (every 1 s).
  std::vector<double> weights_;  // a channel; 0 does not count
  KWeighting filter_{};
  std::vector<KState> states_;  // a pair of channels
  std::vector<std::array<double, 2>> energy_;
  size_t step_frames_;
  size_t step_at_ = 0;
  size_t steps_ = 0;
  std::array<double, 30> recent_{};  // weighted energies of the last steps, a ring
  std::vector<double> blocks_;       // mean squares of gating blocks above the absolute gate
  std::vector<double> short_term_;   // likewise of short-term blocks

  // True peak: each channel by itself, with the last samples of the block before in front.
  PeakFilters filters_;
  float peak_gain_ = 1;  // no filter's output is larger than this times its largest input
  std::vector<std::vector<float>> planes_;
  std::vector<float> peaks_;
};

}  // namespace samplemind::audio
