#include "audio/feature/loudness.h"

#include <ebur128.h>
#include <gtest/gtest.h>

#include <hwy/highway.h>

#include <cmath>
#include <numbers>
#include <random>

namespace samplemind::audio {
namespace {

struct Tone {
  double dbfs;  // of the sine's peak
  double seconds;
};

// Sines of 1 kHz, every channel alike but for `offsets_db`.
std::vector<float> tones(const std::vector<Tone>& parts, size_t channels, int rate,
                         const std::vector<double>& offsets_db = {}) {
  std::vector<float> out;
  size_t n = 0;
  for (const Tone& t : parts) {
    const auto frames = static_cast<size_t>(t.seconds * rate);
    for (size_t i = 0; i < frames; ++i, ++n) {
      const double x = std::sin(2 * std::numbers::pi * 1000 * static_cast<double>(n) / rate);
      for (size_t c = 0; c < channels; ++c) {
        const double db = t.dbfs + (offsets_db.empty() ? 0 : offsets_db[c]);
        out.push_back(static_cast<float>(x * std::pow(10, db / 20)));
      }
    }
  }
  return out;
}

LoudnessMeter meter(const std::vector<float>& sound, size_t channels, int rate,
                    size_t block = 16384) {
  LoudnessMeter m(static_cast<int>(channels), rate, true);
  for (size_t i = 0; i < sound.size(); i += block * channels)
    m.feed(std::span<const float>(sound).subspan(i, std::min(block * channels, sound.size() - i)));
  return m;
}

// EBU Tech 3341 (2016), table 1.
TEST(Loudness, EbuTech3341) {
  for (const int rate : {48000}) {
    EXPECT_NEAR(*meter(tones({{-23, 20}}, 2, rate), 2, rate).integrated_lufs(), -23, 0.1);
    EXPECT_NEAR(*meter(tones({{-33, 20}}, 2, rate), 2, rate).integrated_lufs(), -33, 0.1);
    EXPECT_NEAR(
        *meter(tones({{-36, 10}, {-23, 60}, {-36, 10}}, 2, rate), 2, rate).integrated_lufs(), -23,
        0.1);
    EXPECT_NEAR(
        *meter(tones({{-72, 10}, {-36, 10}, {-23, 60}, {-36, 10}, {-72, 10}}, 2, rate), 2, rate)
             .integrated_lufs(),
        -23, 0.1);
    EXPECT_NEAR(
        *meter(tones({{-26, 20}, {-20, 20.1}, {-26, 20}}, 2, rate), 2, rate).integrated_lufs(), -23,
        0.1);
    EXPECT_NEAR(
        *meter(tones({{0, 20}}, 5, rate, {-28, -28, -24, -30, -30}), 5, rate).integrated_lufs(),
        -23, 0.1);
  }
}

// EBU Tech 3341, true peak: cases 15 to 19, tolerance +0.2 / -0.4 dB.
TEST(Loudness, EbuTech3341TruePeak) {
  struct Case {
    int divisor;
    double phase_degrees, amplitude, expected;
  };
  for (const Case c : {Case{4, 0, 0.5, -6}, Case{4, 45, 0.5, -6}, Case{6, 60, 0.5, -6},
                       Case{8, 67.5, 0.5, -6}, Case{4, 45, 1.41, 3}}) {
    std::vector<float> sound;
    for (size_t i = 0; i < 48000; ++i) {
      // Faded in and out: a sine that begins at once overshoots by itself.
      const double fade =
          std::min({1.0, static_cast<double>(i) / 4800, static_cast<double>(47999 - i) / 4800});
      const double x = fade * c.amplitude *
                       std::sin(2 * std::numbers::pi * static_cast<double>(i) / c.divisor +
                                c.phase_degrees * std::numbers::pi / 180);
      sound.push_back(static_cast<float>(x));
      sound.push_back(static_cast<float>(x));
    }
    const double peak = *meter(sound, 2, 48000).true_peak_dbtp();
    EXPECT_LT(peak, c.expected + 0.2) << c.divisor << " " << c.phase_degrees;
    EXPECT_GT(peak, c.expected - 0.4) << c.divisor << " " << c.phase_degrees;
  }
}

// EBU Tech 3342 (2016), table 1.
TEST(Loudness, EbuTech3342) {
  const auto range = [](const std::vector<Tone>& parts) {
    return *meter(tones(parts, 2, 48000), 2, 48000).range_lu();
  };
  EXPECT_NEAR(range({{-20, 20}, {-30, 20}}), 10, 1);
  EXPECT_NEAR(range({{-20, 20}, {-15, 20}}), 5, 1);
  EXPECT_NEAR(range({{-40, 20}, {-20, 20}}), 20, 1);
  EXPECT_NEAR(range({{-50, 20}, {-35, 20}, {-20, 20}, {-35, 20}, {-50, 20}}), 15, 1);
}

// Music-like: noise through a slow filter with a moving level.
std::vector<float> programme(size_t channels, int rate, double seconds) {
  std::mt19937 random(11);
  std::normal_distribution<float> value(0, 0.1f);
  std::vector<float> out;
  std::vector<float> low(channels, 0);
  const auto frames = static_cast<size_t>(seconds * rate);
  for (size_t i = 0; i < frames; ++i) {
    const auto swell = static_cast<float>(
        0.6 + 0.5 * std::sin(2 * std::numbers::pi * static_cast<double>(i) / rate / 7));
    for (size_t c = 0; c < channels; ++c) {
      low[c] += 0.2f * (value(random) - low[c]);
      out.push_back(swell * (low[c] * 3 + value(random)));
    }
  }
  return out;
}

TEST(Loudness, AgreesWithLibebur128OnEveryTarget) {
  struct Case {
    size_t channels;
    int rate;
  };
  for (const Case c : {Case{1, 44100}, Case{2, 44100}, Case{2, 22050}, Case{1, 8000},
                       Case{1, 96000}, Case{1, 192000}, Case{6, 48000}}) {
    const std::vector<float> sound = programme(c.channels, c.rate, 7);
    ebur128_state* peer =
        ebur128_init(static_cast<unsigned>(c.channels), static_cast<unsigned long>(c.rate),
                     EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK);
    ebur128_add_frames_float(peer, sound.data(), sound.size() / c.channels);
    double integrated = 0, range = 0;
    ebur128_loudness_global(peer, &integrated);
    ebur128_loudness_range(peer, &range);
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      const LoudnessMeter ours = meter(sound, c.channels, c.rate);
      EXPECT_NEAR(*ours.integrated_lufs(), integrated, 0.001) << c.channels << " " << c.rate;
      EXPECT_NEAR(*ours.range_lu(), range, 0.05) << c.channels << " " << c.rate;
      for (size_t ch = 0; ch < c.channels; ++ch) {
        double peak = 0;
        ebur128_true_peak(peer, static_cast<unsigned>(ch), &peak);
        EXPECT_NEAR(20 * std::log10(ours.true_peak(ch)), 20 * std::log10(peak), 0.005)
            << c.channels << " " << c.rate << " " << ch << " " << hwy::TargetName(target);
      }
    }
    hwy::SetSupportedTargetsForTest(0);
    ebur128_destroy(&peer);
  }
}

// A peak between samples after a louder sample, wherever it lies: nothing that a filter could reach
// is left out.
TEST(Loudness, TruePeakBetweenSamplesIsFoundAnywhere) {
  constexpr size_t kFrames = 1200;
  for (const int rate : {44100, 96000}) {
    for (size_t at = 200; at < 560; at += 3) {
      std::vector<float> sound(kFrames, 0.0f);
      sound[40] = 0.75f;
      // A quarter of the rate, sampled at 45 degrees: samples of 0.71 of a sine of 1.
      for (size_t i = 0; i < 8; ++i) sound[at + i] = (i / 2) % 2 == 0 ? 0.71f : -0.71f;
      ebur128_state* peer =
          ebur128_init(1, static_cast<unsigned long>(rate), EBUR128_MODE_TRUE_PEAK);
      ebur128_add_frames_float(peer, sound.data(), kFrames);
      double expected = 0;
      ebur128_true_peak(peer, 0, &expected);
      ebur128_destroy(&peer);
      ASSERT_GT(expected, 0.9);
      EXPECT_NEAR(meter(sound, 1, rate).true_peak(0), expected, 1e-4) << rate << " Hz, at " << at;
    }
  }
}

TEST(Loudness, BlocksDoNotMatterAndOddCasesHaveAnswers) {
  const std::vector<float> sound = programme(2, 44100, 4);
  const LoudnessMeter once = meter(sound, 2, 44100, sound.size());
  for (const size_t block : {1u, 7u, 1000u}) {
    const LoudnessMeter m = meter(sound, 2, 44100, block);
    EXPECT_EQ(m.integrated_lufs(), once.integrated_lufs());
    EXPECT_EQ(m.range_lu(), once.range_lu());
    EXPECT_NEAR(*m.true_peak_dbtp(), *once.true_peak_dbtp(), 1e-4);
  }
  const LoudnessMeter silence = meter(std::vector<float>(2 * 44100 * 4), 2, 44100);
  EXPECT_FALSE(silence.integrated_lufs() || silence.range_lu() || silence.true_peak_dbtp());
  const LoudnessMeter brief = meter(std::vector<float>(2 * 17000, 0.1f), 2, 44100);
  EXPECT_FALSE(brief.integrated_lufs());
  EXPECT_TRUE(brief.true_peak_dbtp());
  const LoudnessMeter slow = meter(std::vector<float>(4000, 0.1f), 1, 1000);
  EXPECT_FALSE(slow.integrated_lufs());
  const LoudnessMeter wide = meter(programme(20, 44100, 1), 20, 44100);
  EXPECT_TRUE(std::isfinite(*wide.integrated_lufs()));
}

}  // namespace
}  // namespace samplemind::audio
