#include "audio/feature/kind.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <set>

#include "audio/analysis_json.h"
#include "audio/analyzer.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

using test::sine;

constexpr int kRate = 44100;

std::vector<float> shaped(double seconds, double decay_s, auto&& f) {
  std::vector<float> out(static_cast<size_t>(seconds * kRate));
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    out[i] = static_cast<float>(0.8 * f(t) * std::exp(-t / decay_s));
  }
  return out;
}

class Noise {
 public:
  double operator()() { return normal_(random_); }

 private:
  std::mt19937 random_{5};
  std::normal_distribution<double> normal_{0, 0.3};
};

class KindTest : public testing::Test {
 protected:
  Analysis hear(const std::vector<float>& sound) {
    const auto a = Analyzer().analyze(test::write(folder_.path / "sound", sound));
    EXPECT_TRUE(a.ok());
    return a.ok() ? *a : Analysis();
  }
  test::TemporaryFolder folder_;
};

TEST_F(KindTest, PlainDrumsAreNamed) {
  const Analysis kick = hear(shaped(0.6, 0.12, [](double t) {
    return std::sin(2 * std::numbers::pi * (50 * t + 150 * 0.02 * (1 - std::exp(-t / 0.02))));
  }));
  EXPECT_EQ(kick.kind, "kick");
  Noise noise;
  double last = 0;
  const Analysis hat = hear(shaped(0.2, 0.025, [&](double) {
    const double n = noise();
    const double high = n - last;
    last = n;
    return high;
  }));
  EXPECT_EQ(hat.kind, "hat_closed");
  const Analysis bell = hear(shaped(2, 0.5, [](double t) {
    double sum = 0;
    for (const double ratio : {1.0, 2.76, 5.4, 8.9})
      sum += std::sin(2 * std::numbers::pi * 880 * ratio * t) * std::exp(-t * ratio) / ratio / 2;
    return sum;
  }));
  EXPECT_EQ(bell.kind, "mallet");
}

TEST_F(KindTest, LevelAndSilenceBeforeDoNotMatter) {
  const auto sound = [](double level) {
    return shaped(0.6, 0.12, [level](double t) {
      return level * std::sin(2 * std::numbers::pi * (50 * t + 3 * (1 - std::exp(-t / 0.02))));
    });
  };
  const Analysis loud = hear(sound(1)), quiet = hear(sound(0.1));
  std::vector<float> late(kRate, 0.0f);
  const std::vector<float> after = sound(1);
  late.insert(late.end(), after.begin(), after.end());
  const Analysis later = hear(late);
  EXPECT_EQ(loud.kind, quiet.kind);
  EXPECT_EQ(loud.kind, later.kind);
  EXPECT_NEAR(*loud.kind_confidence, *quiet.kind_confidence, 0.05);
  EXPECT_NEAR(*loud.kind_confidence, *later.kind_confidence, 0.2);
}

TEST_F(KindTest, ProbabilitiesAreListedAndSumToOne) {
  const Analysis a =
      hear(shaped(0.3, 0.05, [](double t) { return std::sin(2 * std::numbers::pi * 300 * t); }));
  ASSERT_FALSE(a.kinds.empty());
  double sum = 0;
  for (size_t i = 0; i < a.kinds.size(); ++i) {
    sum += a.kinds[i].second;
    EXPECT_GE(a.kinds[i].second, 0.005);
    EXPECT_LE(a.kinds[i].second, a.kinds[i > 0 ? i - 1 : 0].second);
  }
  EXPECT_GT(sum, 0.9);
  EXPECT_LE(sum, 1.001);
  if (a.kind) {
    EXPECT_EQ(*a.kind, a.kinds[0].first);
    EXPECT_GE(*a.kind_confidence, kKindProbabilityMin);
  } else {
    EXPECT_LT(a.kinds[0].second, kKindProbabilityMin);
  }
  std::string text;
  JsonWriter w(text);
  write_json(w, "x", a);
  const Analysis back = analysis_from_json(*JsonValue::parse(text));
  ASSERT_EQ(back.kinds.size(), a.kinds.size());
  for (size_t i = 0; i < a.kinds.size(); ++i) {
    EXPECT_EQ(back.kinds[i].first, a.kinds[i].first);
    EXPECT_NEAR(back.kinds[i].second, a.kinds[i].second, 0.00051);
  }
}

TEST_F(KindTest, SilenceAndMusicHaveNoKind) {
  EXPECT_FALSE(hear(std::vector<float>(kRate)).kind.has_value());
  EXPECT_TRUE(hear(std::vector<float>(kRate)).kinds.empty());
  const Analysis music = hear(test::clicks(120, 20));
  EXPECT_EQ(music.content, "music");
  EXPECT_FALSE(music.kind.has_value());
}

TEST(Kind, TheNetworkGivesProbabilitiesForAnyInput) {
  std::set<std::string_view> names(kKindNames.begin(), kKindNames.end());
  EXPECT_EQ(names.size(), kKindCount);
  std::mt19937 random(3);
  std::uniform_real_distribution<float> any(-3, 3);
  for (int round = 0; round < 20; ++round) {
    std::array<float, kKindInputs> in;
    for (float& v : in) v = any(random);
    const KindProbabilities p = kind_probabilities(in);
    EXPECT_NEAR(std::accumulate(p.begin(), p.end(), 0.0f), 1, 1e-4);
    EXPECT_EQ(p, kind_probabilities(in));
    for (const float v : p) EXPECT_GE(v, 0);
  }
}

}  // namespace
}  // namespace samplemind::audio
