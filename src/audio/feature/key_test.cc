#include "audio/feature/key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

namespace samplemind::audio {
namespace {

void add_note(std::vector<float>& x, double start_s, double length_s, double midi) {
  const double hz = 440 * std::exp2((midi - 69) / 12);
  const auto first = static_cast<size_t>(start_s * kKeyRateHz);
  const auto count = static_cast<size_t>(length_s * kKeyRateHz);
  for (size_t i = 0; i < count && first + i < x.size(); ++i) {
    const double t = static_cast<double>(i) / kKeyRateHz;
    double value = 0;
    for (int h = 1; h <= 5 && h * hz < kKeyRateHz / 2.2; ++h)
      value += std::sin(2 * std::numbers::pi * hz * h * t) / (h * h);
    x[first + i] += static_cast<float>(0.1 * value * std::exp(-t / 0.8));
  }
}

// Four chords of two seconds, twice, over a bass that plays each one's first note.
std::vector<float> progression(double tonic, const std::vector<std::vector<int>>& chords) {
  std::vector<float> x(static_cast<size_t>(16.0 * kKeyRateHz), 0);
  for (size_t k = 0; k < 8; ++k) {
    const auto& chord = chords[k % 4];
    for (const int n : chord) add_note(x, 2.0 * static_cast<double>(k), 1.9, tonic + n);
    add_note(x, 2.0 * static_cast<double>(k), 1.9, tonic - 24 + chord[0]);
  }
  return x;
}

// I IV V I (harmonic in minor) from MIDI tonic `tonic`.
std::vector<float> cadence(int tonic, bool minor, double cents = 0) {
  const int third = minor ? 3 : 4;
  return progression(tonic + cents / 100,
                     {{0, third, 7}, {5, minor ? 8 : 9, 12}, {7, 11, 14}, {0, third, 7}});
}

KeyProfile listen(const std::vector<float>& x) {
  FrameEngine engine(kKeyRateHz);
  KeyProfile profile;
  engine.subscribe(KeyProfile::kSpec, profile);
  engine.feed(x);
  engine.finish();
  return profile;
}

TEST(KeyProfile, NamesTheKeyOfACadenceInAllKeys) {
  for (int tonic = 60; tonic < 72; ++tonic) {
    for (const bool minor : {false, true}) {
      const auto key = listen(cadence(tonic, minor)).key();
      ASSERT_TRUE(key);
      EXPECT_EQ(key->tonic, tonic % 12) << minor;
      EXPECT_EQ(key->minor, minor) << tonic;
      EXPECT_GT(key->confidence, 0.4);
      EXPECT_LE(key->confidence, 1.0);
    }
  }
}

// The same seven notes: where chords and bass lead tells which is home.
TEST(KeyProfile, RelativesAreToldApartByWhereChordsLead) {
  const std::vector<int> c{0, 4, 7}, f{5, 9, 12}, g{7, 11, 14}, a_minor{9, 12, 16};
  for (int tonic = 60; tonic < 72; ++tonic) {
    const auto major = listen(progression(tonic, {c, f, g, c})).key();
    const auto minor = listen(progression(tonic, {a_minor, f, g, a_minor})).key();
    ASSERT_TRUE(major && minor);
    EXPECT_EQ(major->tonic, tonic % 12);
    EXPECT_FALSE(major->minor) << tonic;
    EXPECT_EQ(minor->tonic, (tonic + 9) % 12);
    EXPECT_TRUE(minor->minor) << tonic;
  }
}

TEST(KeyProfile, FeaturesHaveTheirStatedScale) {
  const KeyFeatures f = listen(cadence(62, false)).features();
  const auto mean = [&](size_t first, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count * 12; ++i) sum += f[first * 12 + i];
    return sum / static_cast<double>(count * 12);
  };
  for (const size_t p : {0, 1, 2, 3, 4, 7, 8, 13, 14, 15}) EXPECT_NEAR(mean(p, 1), 1, 1e-4) << p;
  for (const size_t p : {5, 9, 11}) EXPECT_NEAR(mean(p, 2), 1, 1e-4) << p;
  EXPECT_LE(mean(18, 11), 40.0 / 132);
  EXPECT_GT(mean(18, 11), 0);
  // A chord on the fifth leads home oftener than away from there: D from A, seven semitones above.
  EXPECT_GT(f[(18 + 6) * 12 + 2], f[(18 + 6) * 12 + 9]);
  EXPECT_GT(f[(29 + 6) * 12 + 2], f[(29 + 6) * 12 + 9]);
}

TEST(KeyProfile, TuningIsMeasuredAndCorrected) {
  for (const double cents : {-35.0, -20.0, 0.0, 20.0, 35.0}) {
    const KeyProfile profile = listen(cadence(62, false, cents));
    ASSERT_TRUE(profile.tuning_cents());
    EXPECT_NEAR(*profile.tuning_cents(), cents, 4);
    ASSERT_TRUE(profile.key());
    EXPECT_EQ(profile.key()->name(), "D major") << cents;
  }
}

TEST(KeyProfile, LevelDoesNotMatter) {
  std::vector<float> x = cadence(65, true);
  const auto loud = listen(x).key();
  for (float& v : x) v *= 0.1f;
  const auto quiet = listen(x).key();
  ASSERT_TRUE(loud && quiet);
  EXPECT_EQ(loud->name(), quiet->name());
  EXPECT_NEAR(loud->confidence, quiet->confidence, 0.02);
}

TEST(KeyProfile, NoiseAndSilenceHaveNoKey) {
  EXPECT_FALSE(listen({}).key());
  EXPECT_FALSE(listen(std::vector<float>(8 * kKeyRateHz, 0)).key());
  EXPECT_FALSE(listen(std::vector<float>(8 * kKeyRateHz, 0)).tuning_cents());
  std::vector<float> x(8 * kKeyRateHz);
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 0.2f);
  for (float& v : x) v = noise(random);
  EXPECT_FALSE(listen(x).key());
}

TEST(Key, CamelotAndOpenKey) {
  const auto names = [](int tonic, bool minor) {
    Key k;
    k.tonic = tonic;
    k.minor = minor;
    return k.camelot() + " " + k.open_key();
  };
  EXPECT_EQ(names(0, false), "8B 1d");   // C major
  EXPECT_EQ(names(9, true), "8A 1m");    // A minor
  EXPECT_EQ(names(7, false), "9B 2d");   // G major
  EXPECT_EQ(names(4, true), "9A 2m");    // E minor
  EXPECT_EQ(names(5, false), "7B 12d");  // F major
  EXPECT_EQ(names(6, true), "11A 4m");   // F# minor
  EXPECT_EQ(names(11, false), "1B 6d");  // B major
  EXPECT_EQ(names(8, true), "1A 6m");    // G# minor
  EXPECT_EQ(names(4, false), "12B 5d");  // E major
  EXPECT_EQ(parse_key("G# minor")->camelot(), "1A");
  EXPECT_FALSE(parse_key("H minor"));
  EXPECT_FALSE(parse_key(""));
}

}  // namespace
}  // namespace samplemind::audio
