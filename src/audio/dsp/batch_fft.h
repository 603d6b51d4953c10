// Spectra of eight overlapping frames at once, one frame a vector lane: no shuffles, and every
// load and store is a whole vector. Plans are immutable, made once a process and shared by all
// threads; magnitudes() allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "audio/dsp/aligned.h"

namespace samplemind::audio {

inline constexpr size_t kLanes = 8;

enum class Window : uint8_t {
  kHann,            // periodic, as librosa's
  kBlackmanHarris,  // side lobes at -92 dB, for spectral peaks
};

class BatchFft {
 public:
  // The plan for this size and window. Made on the first call (some hundred microseconds); never
  // freed. REQUIRES: size is a power of two, 16..65536.
  static const BatchFft& of(size_t size, Window window);

  size_t size() const { return size_; }
  size_t bins() const { return size_ / 2 + 1; }
  size_t work_floats() const { return size_ * kLanes; }

  // Lane l holds the frame that begins at samples + l * hop:
  //   magnitude[k * kLanes + l] = | sum over n of window[n] frame_l[n] exp(-2 pi i k n / size) |
  // REQUIRES: samples holds 7 * hop + size() values, work work_floats(), magnitude bins() * kLanes.
  void magnitudes(const float* samples, size_t hop, float* work, float* magnitude) const;

 private:
  BatchFft(size_t size, Window window);

  size_t size_;
  std::vector<float> window_;    // halved: the split into real spectra adds pairs
  std::vector<uint32_t> order_;  // bit reversal of the half-size transform
  std::vector<float> twiddles_;  // six floats a butterfly of four, stage after stage
  std::vector<float> split_;     // exp(-2 pi i k / size), k = 0..size/4
};

}  // namespace samplemind::audio
