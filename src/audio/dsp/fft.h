// Real FFT of a fixed power-of-two size, plainly written: what the tests hold the vector transform
// (batch_fft.h) against; the program itself does not use it. Plans are immutable after
// construction; transform() allocates nothing and may be called from several threads with different
// buffers.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace samplemind::audio {

class RealFft {
 public:
  // REQUIRES: size is a power of two, 4..2^20.
  explicit RealFft(size_t size);
  size_t size() const { return size_; }
  size_t bins() const { return size_ / 2 + 1; }
  // spectrum[k] = sum over n of signal[n] exp(-2 pi i k n / size), k = 0..size/2 (unnormalised).
  // REQUIRES: signal has size() values, spectrum bins(), work size()/2. `work` and `spectrum` must
  // differ.
  void transform(std::span<const float> signal, std::span<std::complex<float>> spectrum,
                 std::span<std::complex<float>> work) const;

 private:
  size_t size_;
  std::vector<std::complex<float>>
      twiddles_;  // of the half-size complex transform, stage after stage
  std::vector<std::complex<float>> split_twiddles_;  // of the split into real spectra
  std::vector<uint32_t> order_;                      // bit reversal
};

// Periodic Hann window.
std::vector<float> hann_window(size_t size);

}  // namespace samplemind::audio
