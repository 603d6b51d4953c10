#include "audio/dsp/fft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>

namespace samplemind::audio {
namespace {

TEST(RealFft, AgreesWithTheDefinition) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (const size_t size : {4u, 8u, 64u, 1024u}) {
    const RealFft fft(size);
    std::vector<float> x(size);
    for (float& v : x) v = uniform(random);
    std::vector<std::complex<float>> got(fft.bins());
    std::vector<std::complex<float>> work(size / 2);
    fft.transform(x, got, work);
    for (size_t k = 0; k < fft.bins(); ++k) {
      std::complex<double> sum = 0;
      for (size_t n = 0; n < size; ++n)
        sum += static_cast<double>(x[n]) *
               std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k * n % size) /
                                   static_cast<double>(size));
      EXPECT_NEAR(got[k].real(), sum.real(), 2e-4) << size << " " << k;
      EXPECT_NEAR(got[k].imag(), sum.imag(), 2e-4) << size << " " << k;
    }
  }
}

TEST(RealFft, ParsevalHolds) {
  const RealFft fft(2048);
  std::vector<float> x(2048);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(std::sin(0.3 * static_cast<double>(i)) + 0.1);
  std::vector<std::complex<float>> s(fft.bins());
  std::vector<std::complex<float>> work(1024);
  fft.transform(x, s, work);
  double time = 0, frequency = 0;
  for (const float v : x) time += static_cast<double>(v) * v;
  for (size_t k = 0; k < s.size(); ++k)
    frequency += std::norm(s[k]) * (k == 0 || k + 1 == s.size() ? 1 : 2);
  EXPECT_NEAR(frequency / 2048, time, time * 1e-5);
}

}  // namespace
}  // namespace samplemind::audio
