#include "audio/dsp/frames.h"

#include <gtest/gtest.h>

#include <hwy/highway.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <random>

#include "audio/dsp/fft.h"

namespace samplemind::audio {
namespace {

std::vector<float> noise(size_t n) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<float> out(n);
  for (float& x : out) x = value(random);
  return out;
}

class Collector final : public FrameSink {
 public:
  void take(const FrameBlock& block) override {
    EXPECT_EQ(block.first, frames.size());
    for (size_t l = 0; l < block.count; ++l) {
      std::vector<float> frame;
      for (size_t k = 0; k < block.bins; ++k) frame.push_back(block.magnitude[k * kLanes + l]);
      frames.push_back(std::move(frame));
    }
    for (size_t l = block.count; l < kLanes; ++l)
      for (size_t k = 0; k < block.bins; ++k) EXPECT_EQ(block.magnitude[k * kLanes + l], 0);
  }
  std::vector<std::vector<float>> frames;
};

std::vector<std::vector<float>> spectra(const FrameSpec& spec, std::span<const float> sound,
                                        size_t block) {
  FrameEngine engine(22050);
  Collector all;
  engine.subscribe(spec, all);
  for (size_t i = 0; i < sound.size(); i += block)
    engine.feed(sound.subspan(i, std::min(block, sound.size() - i)));
  engine.finish();
  return all.frames;
}

double window_value(Window window, size_t i, size_t size) {
  const double x = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(size);
  if (window == Window::kHann) return 0.5 - 0.5 * std::cos(x);
  return 0.35875 - 0.48829 * std::cos(x) + 0.14128 * std::cos(2 * x) - 0.01168 * std::cos(3 * x);
}

// Against the plain transform, for odd and even numbers of stages, on every target.
TEST(Frames, MagnitudesAreThoseOfThePlainTransform) {
  const std::vector<float> sound = noise(20000);
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    for (const size_t size : {16u, 32u, 256u, 512u, 1024u, 2048u, 8192u}) {
      for (const Window window : {Window::kHann, Window::kBlackmanHarris}) {
        const FrameSpec spec{.size = size, .hop = size / 4 + 3, .window = window, .centred = false};
        const auto frames = spectra(spec, sound, 4096);
        const RealFft fft(size);
        std::vector<float> frame(size);
        std::vector<std::complex<float>> spectrum(fft.bins()), work(size / 2);
        for (const size_t f : {size_t{0}, size_t{1}, std::min<size_t>(7, frames.size() - 2)}) {
          for (size_t i = 0; i < size; ++i)
            frame[i] = static_cast<float>(sound[f * spec.hop + i] * window_value(window, i, size));
          fft.transform(frame, spectrum, work);
          const float tolerance = 2e-6f * static_cast<float>(size);
          for (size_t k = 0; k < fft.bins(); ++k)
            ASSERT_NEAR(frames[f][k], std::abs(spectrum[k]), tolerance)
                << size << " " << f << " " << k << " " << hwy::TargetName(target);
        }
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

TEST(Frames, NumberOfFramesAndIndependenceOfBlockSizes) {
  for (const size_t samples : {1u, 100u, 511u, 512u, 2048u, 5000u, 44100u}) {
    const std::vector<float> sound = noise(samples);
    const FrameSpec spec{.size = 2048, .hop = 512};
    const auto once = spectra(spec, sound, samples);
    EXPECT_EQ(once.size(), 1 + samples / 512) << samples;
    EXPECT_EQ(spectra(spec, sound, 1000), once) << samples;
    EXPECT_EQ(spectra(spec, sound, 17), once) << samples;
  }
  const FrameSpec plain{.size = 1024, .hop = 512, .window = Window::kHann, .centred = false};
  EXPECT_EQ(spectra(plain, noise(127), 512).size(), 0u);  // less than an eighth of a frame
  EXPECT_EQ(spectra(plain, noise(128), 512).size(), 1u);
  EXPECT_EQ(spectra(plain, noise(1024), 512).size(), 2u);
  EXPECT_EQ(spectra(plain, {}, 512).size(), 0u);
}

TEST(Frames, EqualSpecsShareATransformAndGetTheSame) {
  FrameEngine engine(22050);
  Collector a, b, other;
  engine.subscribe({.size = 512, .hop = 128}, a);
  engine.subscribe({.size = 512, .hop = 128}, b);
  engine.subscribe({.size = 256, .hop = 128}, other);
  engine.feed(noise(3000));
  engine.finish();
  EXPECT_EQ(a.frames, b.frames);
  EXPECT_EQ(other.frames.size(), a.frames.size());
}

}  // namespace
}  // namespace samplemind::audio
