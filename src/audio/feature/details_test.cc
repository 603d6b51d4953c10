// The facts of levels detailed and professional on sounds with known answers. How they compare with
// librosa's is tested in tests/real/librosa_test.py.
#include <gtest/gtest.h>

#include <hwy/highway.h>

#include <random>

#include "audio/analysis_json.h"
#include "audio/analyzer.h"
#include "audio/feature/groove.h"
#include "audio/feature/quality.h"
#include "audio/feature/separation.h"
#include "audio/feature/spectrum.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

using test::clicks;
using test::sine;

class DetailsTest : public testing::Test {
 protected:
  Analysis hear(const std::vector<float>& sound, int channels = 1, int rate = 44100,
                int format = SF_FORMAT_WAV | SF_FORMAT_FLOAT) {
    AnalysisOptions options;
    options.level = Level::kProfessional;
    const auto a = Analyzer().analyze(
        test::write(folder_.path / "sound", sound, channels, rate, format), options);
    EXPECT_TRUE(a.ok()) << (a.ok() ? "" : a.error().message());
    return a.ok() ? *a : Analysis();
  }
  test::TemporaryFolder folder_;
};

std::vector<float> noise(double seconds, float level, unsigned seed = 3, int rate = 44100) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-level, level);
  std::vector<float> out(static_cast<size_t>(seconds * rate));
  for (float& x : out) x = value(random);
  return out;
}

std::vector<float> stereo(const std::vector<float>& left, const std::vector<float>& right) {
  std::vector<float> out;
  for (size_t i = 0; i < left.size(); ++i) {
    out.push_back(left[i]);
    out.push_back(right[i]);
  }
  return out;
}

TEST_F(DetailsTest, SpectrumOfASineAndOfNoise) {
  const Analysis tone = hear(sine(1000, 3));
  EXPECT_NEAR(tone.spectrum->centroid_hz.mean, 1000, 15);
  EXPECT_NEAR(tone.spectrum->rolloff_hz.mean, 1000, 25);
  EXPECT_LT(tone.spectrum->flatness.mean, 0.01);
  EXPECT_NEAR(tone.spectrum->zero_crossing_rate, 2000.0 / 22050, 0.001);
  const Analysis hiss = hear(noise(3, 0.3f));
  EXPECT_GT(hiss.spectrum->flatness.mean, 0.4);
  EXPECT_NEAR(hiss.spectrum->centroid_hz.mean, 5300, 400);
  // A is the tenth pitch class from C.
  const Analysis a = hear(sine(440, 3));
  EXPECT_GT(a.chroma->pitch_classes[9], 0.7);
  EXPECT_NEAR(a.chroma->chroma[9], 1, 0.02);
}

TEST_F(DetailsTest, HarmonicAndPercussiveShares) {
  const Analysis tone = hear(sine(440, 3));
  EXPECT_GT(tone.harmonic_percussive->harmonic, 0.9);
  std::vector<float> hits(44100 * 3);
  for (int i = 0; i < 12; ++i) hits[static_cast<size_t>(5000 + i * 11000)] = 1;
  const Analysis beats = hear(hits);
  EXPECT_GT(beats.harmonic_percussive->percussive, 0.9);
  EXPECT_LT(beats.harmonic_percussive->harmonic, 0.05);
}

// The same separation, straight from its definition.
HarmonicPercussiveFacts plain_separation(const std::vector<std::vector<float>>& frames) {
  const auto n = static_cast<int>(frames.size());
  const auto bins = static_cast<int>(frames[0].size());
  const auto mirrored = [](int i, int size) {
    i = ((i % (2 * size)) + 2 * size) % (2 * size);
    return static_cast<size_t>(i < size ? i : 2 * size - 1 - i);
  };
  double harmonic = 0, percussive = 0, all = 0;
  std::vector<float> window(31);
  for (int t = 0; t < n; ++t) {
    for (int k = 0; k < bins; ++k) {
      const auto median = [&](bool over_time) {
        for (int d = -15; d <= 15; ++d) {
          window[static_cast<size_t>(d + 15)] =
              over_time ? frames[mirrored(t + d, n)][static_cast<size_t>(k)]
                        : frames[static_cast<size_t>(t)][mirrored(k + d, bins)];
        }
        std::nth_element(window.begin(), window.begin() + 15, window.end());
        return static_cast<double>(window[15]);
      };
      const double h = median(true), p = median(false);
      const double x = frames[static_cast<size_t>(t)][static_cast<size_t>(k)];
      const double sum = h * h + p * p;
      if (sum > 0) {
        harmonic += std::pow(x * h * h / sum, 2);
        percussive += std::pow(x * p * p / sum, 2);
      }
      all += x * x;
    }
  }
  return {harmonic / all, percussive / all};
}

class Collector final : public FrameSink {
 public:
  void take(const FrameBlock& block) override {
    for (size_t l = 0; l < block.count; ++l) {
      frames.emplace_back();
      for (size_t k = 0; k < block.bins; ++k)
        frames.back().push_back(block.magnitude[k * kLanes + l]);
    }
  }
  std::vector<std::vector<float>> frames;
};

TEST_F(DetailsTest, SeparationIsThatOfTheDefinitionOnEveryTarget) {
  std::vector<float> sound = noise(3, 0.05f, 3, 22050);
  test::add(sound, sine(500, 3, 0.3, 22050), 0, 22050);
  for (int i = 0; i < 6; ++i) sound[static_cast<size_t>(2000 + i * 9000)] = 1;
  // One frame, fewer than the window, around a batch, several batches.
  for (const size_t samples : {300u, 6000u, 7700u, 24000u, 40960u, 66150u}) {
    HarmonicPercussiveFacts expected;
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      FrameEngine engine(22050);
      SeparationMeter meter;
      Collector all;
      engine.subscribe(kDetailSpec, meter);
      engine.subscribe(kDetailSpec, all);
      engine.feed(std::span<const float>(sound).first(samples));
      engine.finish();
      if (expected.harmonic == 0) expected = plain_separation(all.frames);
      const HarmonicPercussiveFacts got = meter.finish();
      EXPECT_NEAR(got.harmonic, expected.harmonic, 1e-4) << samples << hwy::TargetName(target);
      EXPECT_NEAR(got.percussive, expected.percussive, 1e-4) << samples << hwy::TargetName(target);
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}

TEST_F(DetailsTest, EveryTargetGivesTheSameFactsWithinATolerance) {
  std::vector<float> sound = clicks(120, 6);
  test::add(sound, sine(220, 6, 0.2), 0);
  test::add(sound, noise(6, 0.02f), 0);
  std::vector<Analysis> all;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    all.push_back(hear(sound));
  }
  hwy::SetSupportedTargetsForTest(0);
  ASSERT_GE(all.size(), 2u);
  for (const Analysis& a : all) {
    const Analysis& first = all[0];
    EXPECT_NEAR(*a.loudness_lufs, *first.loudness_lufs, 1e-4);
    EXPECT_NEAR(*a.true_peak_dbtp, *first.true_peak_dbtp, 1e-3);
    EXPECT_NEAR(*a.tempo_bpm, *first.tempo_bpm, 0.01);
    EXPECT_EQ(a.key, first.key);
    EXPECT_EQ(a.onsets_s.size(), first.onsets_s.size());
    EXPECT_NEAR(a.spectrum->centroid_hz.mean, first.spectrum->centroid_hz.mean, 0.05);
    EXPECT_NEAR(a.spectrum->flatness.mean, first.spectrum->flatness.mean, 1e-4);
    for (size_t c = 0; c < kMfccCount; ++c)
      EXPECT_NEAR(a.timbre->mfcc_mean[c], first.timbre->mfcc_mean[c], 0.01);
    for (size_t c = 0; c < 12; ++c) EXPECT_NEAR(a.chroma->chroma[c], first.chroma->chroma[c], 1e-4);
    EXPECT_NEAR(a.harmonic_percussive->harmonic, first.harmonic_percussive->harmonic, 1e-4);
  }
}

TEST_F(DetailsTest, StereoImage) {
  const std::vector<float> a = noise(1, 0.3f, 1), b = noise(1, 0.3f, 2);
  std::vector<float> inverted = a;
  for (float& x : inverted) x = -x;
  const auto both = hear(stereo(a, a), 2).stereo;
  EXPECT_NEAR(both->width, 0, 1e-6);
  EXPECT_NEAR(both->correlation, 1, 1e-6);
  const Analysis apart = hear(stereo(a, b), 2);
  EXPECT_NEAR(apart.stereo->width, 0.5, 0.01);
  EXPECT_NEAR(apart.stereo->correlation, 0, 0.02);
  EXPECT_NEAR(*apart.quality->mono_loss_db, 3, 0.1);
  const Analysis against = hear(stereo(a, inverted), 2);
  EXPECT_NEAR(against.stereo->width, 1, 1e-6);
  EXPECT_NEAR(against.stereo->correlation, -1, 1e-6);
  EXPECT_NE(std::count(against.quality->issues.begin(), against.quality->issues.end(), "mono"), 0);
  std::vector<float> half = a;
  for (float& x : half) x *= 0.5f;
  EXPECT_NEAR(hear(stereo(a, half), 2).stereo->balance_db, -6.02, 0.01);
  EXPECT_FALSE(hear(a).stereo.has_value());
}

TEST_F(DetailsTest, AttackAndDecayOfAHit) {
  std::vector<float> hit(44100 * 2);
  for (size_t i = 0; i < hit.size(); ++i) {
    const double t = static_cast<double>(i) / 44100 - 0.5;  // after half a second of silence
    if (t < 0) continue;
    const double level = t < 0.05 ? t / 0.05 : std::pow(10, -(t - 0.05) * 40 / 20);
    hit[i] = static_cast<float>(0.7 * level * std::sin(2 * std::numbers::pi * 1000 * t));
  }
  const Analysis a = hear(hit);
  ASSERT_EQ(a.content, "oneshot");
  EXPECT_NEAR(*a.envelope->attack_s, 0.04, 0.003);
  EXPECT_NEAR(*a.envelope->decay_s, 0.5, 0.01);
}

TEST_F(DetailsTest, PitchOfAToneHasANoteName) {
  std::vector<float> tone = sine(233.08, 1.2);
  for (size_t i = 0; i < tone.size(); ++i)
    tone[i] *= static_cast<float>(std::exp(-static_cast<double>(i) / 20000));
  const Analysis a = hear(tone);
  ASSERT_TRUE(a.f0_hz.has_value());
  EXPECT_NEAR(*a.f0_hz, 233.08, 1);
  std::string json;
  JsonWriter w(json);
  write_json(w, "x", a);
  EXPECT_NE(json.find("\"note\":\"A#3\""), std::string::npos) << json;
}

TEST_F(DetailsTest, FaultsAreFoundAndCleanSoundsHaveNone) {
  std::vector<float> loud = sine(100, 2, 1.5);
  for (float& x : loud) x = std::clamp(x, -1.0f, 1.0f);
  const Analysis clipped = hear(loud);
  // The corners of what was cut overshoot between the samples.
  EXPECT_EQ(clipped.quality->issues, (std::vector<std::string>{"clipping", "intersample_peaks"}));
  EXPECT_NEAR(static_cast<double>(clipped.quality->clipped_runs), 400, 2);
  EXPECT_NEAR(clipped.quality->clipped_share, 0.535, 0.01);

  std::vector<float> shifted = noise(2, 0.3f);
  for (float& x : shifted) x += 0.05f;
  const Analysis offset = hear(shifted);
  EXPECT_NEAR(offset.quality->dc_offset, 0.05, 0.002);
  EXPECT_NE(std::count(offset.quality->issues.begin(), offset.quality->issues.end(), "dc_offset"),
            0);

  for (const double mains : {50.0, 60.0}) {
    std::vector<float> humming = noise(8, 0.1f);
    for (const int h : {1, 2, 3}) test::add(humming, sine(mains * h, 8, 0.02 / h), 0);
    const Analysis hum = hear(humming);
    ASSERT_TRUE(hum.quality->hum_hz.has_value());
    EXPECT_EQ(*hum.quality->hum_hz, mains);
  }
  // A bass on G1 (49 Hz) is music.
  std::vector<float> bass = noise(8, 0.1f);
  for (const int h : {1, 2, 3}) test::add(bass, sine(48.9994 * h, 8, 0.2 / h), 0);
  EXPECT_FALSE(hear(bass).quality->hum_hz.has_value());

  std::vector<float> between;  // full-scale samples on both sides of a crest
  for (size_t i = 0; i < 44100; ++i)
    between.push_back(static_cast<float>(
        0.99 * std::sqrt(2.0) *
        std::sin(std::numbers::pi / 2 * static_cast<double>(i) + std::numbers::pi / 4)));
  const Analysis peaks = hear(between);
  EXPECT_NEAR(peaks.quality->intersample_db, 3, 0.2);
  EXPECT_EQ(peaks.quality->issues, (std::vector<std::string>{"intersample_peaks"}));

  const Analysis clean = hear(clicks(120, 8));
  EXPECT_TRUE(clean.quality->issues.empty()) << clean.quality->issues[0];
}

TEST_F(DetailsTest, BandsOfTonesAreTheirs) {
  const std::vector<std::pair<double, size_t>> tones{{40, 0},   {120, 1},  {350, 2},  {1000, 3},
                                                     {3000, 4}, {6000, 5}, {15000, 6}};
  for (const auto& [hz, band] : tones) EXPECT_GT(hear(sine(hz, 2)).bands->share[band], 0.95) << hz;
}

TEST(Groove, PatternSwingAndTiming) {
  constexpr double kFps = 100;
  const auto play = [&](double swing, double late_s) {
    std::vector<float> strength(3300, 0.01f);
    std::vector<double> beats, onsets;
    for (int b = 0; b < 32; ++b) {
      const double at = 0.5 + b;  // 60 BPM
      beats.push_back(at);
      const double eighth = at + swing / (1 + swing);
      for (const double t : {at + late_s, eighth + late_s}) onsets.push_back(t);
      strength[static_cast<size_t>(std::lround((at + late_s) * kFps))] = b % 4 == 0 ? 1.0f : 0.6f;
      strength[static_cast<size_t>(std::lround((eighth + late_s) * kFps))] = 0.3f;
    }
    return *find_groove(strength, kFps, beats, {}, onsets, std::nullopt);
  };
  const GrooveFacts straight = play(1, 0.01);
  ASSERT_EQ(straight.pattern.size(), 16u);
  EXPECT_EQ(straight.bars, 8u);
  EXPECT_NEAR(straight.pattern[0], 1, 1e-6);
  EXPECT_NEAR(straight.pattern[4], 0.6, 1e-6);
  EXPECT_NEAR(straight.pattern[2], 0.3, 1e-6);
  EXPECT_LT(straight.pattern[1], 0.05);
  EXPECT_NEAR(*straight.swing, 1, 0.05);
  EXPECT_NEAR(straight.timing_mean_ms, 10, 0.5);
  EXPECT_NEAR(straight.timing_deviation_ms, 0, 0.5);
  EXPECT_NEAR(*play(2, 0).swing, 2, 0.1);
  EXPECT_FALSE(find_groove({}, kFps, std::vector<double>{1, 2, 3}, {}, {}, std::nullopt));
}

TEST_F(DetailsTest, OddSoundsHaveDefinedAnswers) {
  const auto print = [](const Analysis& a) {
    std::string out;
    JsonWriter w(out);
    write_json(w, "x", a);
    return out;
  };
  for (const auto& sound :
       {std::vector<float>(44100 * 2), std::vector<float>(44100 * 2, 0.5f), noise(2, 0.5f),
        std::vector<float>(441, 0.3f), std::vector<float>(1, 0.5f), sine(440, 0.03)}) {
    const std::string json = print(hear(sound));
    EXPECT_TRUE(JsonValue::parse(json).ok());
    EXPECT_EQ(json.find("nan"), std::string::npos) << json;
    EXPECT_EQ(json.find("inf"), std::string::npos) << json;
  }
  const Analysis silence = hear(std::vector<float>(44100 * 2));
  EXPECT_FALSE(silence.spectrum || silence.quality || silence.harmonic_percussive);
}

}  // namespace
}  // namespace samplemind::audio
