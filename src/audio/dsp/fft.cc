#include "audio/dsp/fft.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace samplemind::audio {

using Complex = std::complex<float>;

namespace {
// Without -ffast-math std::complex's product checks for NaN; signals here are finite.
inline Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}
}  // namespace

RealFft::RealFft(size_t size) : size_(size) {
  SM_ASSERT(size >= 4 && size <= (1u << 20) && (size & (size - 1)) == 0);
  const size_t half = size / 2;
  for (size_t length = 2; length <= half; length *= 2) {
    for (size_t k = 0; k < length / 2; ++k) {
      const double angle =
          -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
      twiddles_.emplace_back(static_cast<float>(std::cos(angle)),
                             static_cast<float>(std::sin(angle)));
    }
  }
  for (size_t k = 0; k <= half; ++k) {
    const double angle = -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(size);
    split_twiddles_.emplace_back(static_cast<float>(std::cos(angle)),
                                 static_cast<float>(std::sin(angle)));
  }
  order_.resize(half);
  for (size_t i = 1, j = 0; i < half; ++i) {
    size_t bit = half / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    order_[i] = static_cast<uint32_t>(j);
  }
}

void RealFft::transform(std::span<const float> signal, std::span<Complex> spectrum,
                        std::span<Complex> work) const {
  const size_t half = size_ / 2;
  SM_ASSERT(signal.size() == size_ && spectrum.size() >= half + 1 && work.size() >= half);
  // Even samples as real, odd ones as imaginary parts: one complex transform of half the size.
  for (size_t i = 0; i < half; ++i) {
    const size_t j = order_[i];
    work[i] = {signal[2 * j], signal[2 * j + 1]};
  }
  const Complex* twiddle = twiddles_.data();
  for (size_t length = 2; length <= half; length *= 2) {
    const size_t step = length / 2;
    for (size_t block = 0; block < half; block += length) {
      Complex* low = work.data() + block;
      Complex* high = low + step;
      for (size_t k = 0; k < step; ++k) {
        const Complex t = times(high[k], twiddle[k]);
        high[k] = low[k] - t;
        low[k] += t;
      }
    }
    twiddle += step;
  }
  for (size_t k = 0; k <= half; ++k) {
    const Complex a = work[k % half];
    const Complex b = std::conj(work[(half - k) % half]);
    const Complex even = 0.5f * (a + b);
    const Complex d = 0.5f * (a - b);
    const Complex odd{d.imag(), -d.real()};
    spectrum[k] = even + times(split_twiddles_[k], odd);
  }
}

std::vector<float> hann_window(size_t size) {
  std::vector<float> w(size);
  for (size_t i = 0; i < size; ++i) {
    w[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                                   static_cast<double>(size)));
  }
  return w;
}

}  // namespace samplemind::audio
