#include "audio/feature/descriptor.h"

#include <gtest/gtest.h>

#include <random>

#include "audio/analyzer.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

using test::clicks;
using test::sine;

// A kick: a sine that falls from 200 to 50 Hz and dies away.
std::vector<float> kick(double level = 0.8, double decay_s = 0.12, int rate = 44100) {
  std::vector<float> out(static_cast<size_t>(rate * 0.5));
  double phase = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    phase += 2 * std::numbers::pi * (50 + 150 * std::exp(-t / 0.03)) / rate;
    out[i] = static_cast<float>(level * std::sin(phase) * std::exp(-t / decay_s));
  }
  return out;
}

std::vector<float> hat(double decay_s = 0.03, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> noise(0, 0.3f);
  std::vector<float> out(22050);
  float last = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const float n = noise(random);
    out[i] = (n - last) * static_cast<float>(std::exp(-static_cast<double>(i) / 44100 / decay_s));
    last = n;
  }
  return out;
}

class DescriptorTest : public testing::Test {
 protected:
  std::string describe(const std::vector<float>& sound, int rate = 44100,
                       int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) {
    const auto a = Analyzer().analyze(test::write(folder_.path / "sound", sound, 1, rate, format));
    EXPECT_TRUE(a.ok());
    return a.ok() ? a->descriptor : "";
  }
  static float far(const std::string& a, const std::string& b) {
    const auto d = distance(a, b);
    EXPECT_TRUE(d.has_value());
    return d.value_or(99);
  }
  test::TemporaryFolder folder_;
};

TEST_F(DescriptorTest, LikeSoundsAreNearAndUnlikeOnesFar) {
  const std::string a = describe(kick()), b = describe(kick(0.8, 0.16));
  const std::string c = describe(hat()), d = describe(hat(0.04, 2));
  EXPECT_EQ(far(a, a), 0);
  EXPECT_LT(far(a, b), 0.5f);
  EXPECT_LT(far(c, d), 0.5f);
  EXPECT_GT(far(a, c), 1.0f);
  EXPECT_GT(far(a, c), 3 * std::max(far(a, b), far(c, d)));
}

TEST_F(DescriptorTest, LevelSilenceBeforeRateAndCodecHardlyMatter) {
  const std::string whole = describe(kick());
  std::vector<float> late(44100, 0.0f);
  const std::vector<float> sound = kick();
  late.insert(late.end(), sound.begin(), sound.end());
  const float other = far(whole, describe(hat()));
  EXPECT_LT(far(whole, describe(kick(0.08))), 0.05f * other);  // 20 dB quieter
  EXPECT_LT(far(whole, describe(late)), 0.2f * other);
  EXPECT_LT(far(whole, describe(kick(0.8, 0.12, 96000), 96000)), 0.1f * other);
  EXPECT_LT(far(whole, describe(sound, 44100, SF_FORMAT_OGG | SF_FORMAT_VORBIS)), 0.2f * other);
  EXPECT_LT(far(whole, describe(sound, 44100, SF_FORMAT_WAV | SF_FORMAT_PCM_U8)), 0.25f * other);
}

TEST_F(DescriptorTest, EveryAspectHearsItsOwn) {
  const auto tone = [&](double hz) {
    std::vector<float> out = sine(hz, 1.5);
    for (int h = 2; h <= 5; ++h) test::add(out, sine(hz * h, 1.5, 0.5 / h), 0);
    return describe(out);
  };
  const auto pitches = aspect_distances(tone(220), tone(220 * std::pow(2, 6 / 12.0)));
  ASSERT_TRUE(pitches.has_value());
  EXPECT_GT(pitches->pitch, 0.7f);
  EXPECT_GT(pitches->pitch, 3 * pitches->envelope);
  const auto beats = aspect_distances(describe(clicks(120, 4)), describe(clicks(155, 4)));
  const auto same = aspect_distances(describe(clicks(120, 4)), describe(clicks(120, 6)));
  ASSERT_TRUE(beats && same);
  EXPECT_GT(beats->rhythm, 2 * same->rhythm);
  EXPECT_GT(beats->rhythm, beats->timbre);
  const auto lengths = aspect_distances(describe(hat(0.02)), describe(hat(0.2)));
  ASSERT_TRUE(lengths.has_value());
  EXPECT_GT(lengths->envelope, 2 * lengths->pitch);
}

TEST_F(DescriptorTest, OddSoundsHaveDefinedDescriptors) {
  EXPECT_EQ(describe(std::vector<float>(44100)), "");
  EXPECT_TRUE(is_descriptor(describe(std::vector<float>(1, 0.5f))));
  EXPECT_TRUE(is_descriptor(describe(std::vector<float>(441, 0.5f))));
  EXPECT_TRUE(is_descriptor(describe(std::vector<float>(44100, 0.5f))));
  std::vector<float> click(44100, 0.0f);
  click[22050] = 1;
  EXPECT_TRUE(is_descriptor(describe(click)));
  EXPECT_TRUE(is_descriptor(describe(sine(440, 30))));
}

TEST(Descriptor, OnlyThisVersionIsCompared) {
  std::string a(kDescriptorBytes, '\0');
  a[0] = kDescriptorVersion;
  std::string other = a;
  other[0] = kDescriptorVersion + 1;
  EXPECT_TRUE(is_descriptor(a));
  EXPECT_FALSE(is_descriptor(""));
  EXPECT_FALSE(is_descriptor(other));
  EXPECT_FALSE(is_descriptor(a + "x"));
  EXPECT_FALSE(distance(a, other).has_value());
  EXPECT_FALSE(aspect_distances("", a).has_value());
  EXPECT_TRUE(descriptor_vector(other).empty());
  EXPECT_EQ(distance(a, a), 0.0f);
}

TEST(Descriptor, ThePartsCoverItAndTheVectorHasItsDistances) {
  size_t next = 0;
  for (const AspectPart& part : kAspectParts) {
    EXPECT_EQ(part.first, next);
    next += part.dims;
  }
  EXPECT_EQ(next, kDescriptorDims);
  std::mt19937 random(7);
  std::uniform_int_distribution<int> any(-127, 127);
  for (int round = 0; round < 20; ++round) {
    std::string a(kDescriptorHeaderBytes, '\0');
    a[0] = kDescriptorVersion;
    std::string b = a;
    for (size_t i = 0; i < kDescriptorDims; ++i) {
      a.push_back(static_cast<char>(any(random)));
      b.push_back(static_cast<char>(any(random)));
    }
    const AspectWeights weights{0.5f, 2, 0, 1};
    const auto va = descriptor_vector(a, weights), vb = descriptor_vector(b, weights);
    ASSERT_EQ(va.size(), kDescriptorDims);
    double sum = 0;
    for (size_t i = 0; i < va.size(); ++i) sum += std::pow(va[i] - vb[i], 2);
    EXPECT_NEAR(*distance(a, b, weights), std::sqrt(sum), 1e-3);
    EXPECT_EQ(*distance(a, b, weights), *distance(b, a, weights));
  }
  EXPECT_EQ(similarity(0), 1);
  EXPECT_FLOAT_EQ(similarity(1), 0.5f);
  EXPECT_LT(similarity(3), 0.01f);
}

}  // namespace
}  // namespace samplemind::audio
