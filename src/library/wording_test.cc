#include "library/wording.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "audio/analyzer.h"
#include "audio/feature/descriptor.h"
#include "library/aimed_search.h"
#include "library/facts.h"
#include "library/query.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

Wording words_of(const std::string& text) {
  auto w = interpret(text);
  EXPECT_TRUE(w.ok()) << text;
  return std::move(*w);
}

float aim(const Wording& w, std::string_view axis) {
  for (const Aim& a : w.aims)
    if (axes()[a.axis].name == axis) return a.at;
  return -1;
}

TEST(Wording, KindsConditionsAndAims) {
  const Wording kick = words_of("Dusty, warm kick");
  EXPECT_EQ(kick.query, "kind:kick");
  EXPECT_LT(aim(kick, "brightness"), 0.35f);
  EXPECT_GT(aim(kick, "low_end"), 0.6f);
  EXPECT_TRUE(kick.rest.empty());
  const Wording airy = words_of("something airy for a chorus");
  EXPECT_EQ(airy.query, "");
  EXPECT_GT(aim(airy, "brightness"), 0.7f);
  EXPECT_TRUE(airy.rest.empty());
  EXPECT_EQ(words_of("bright hi-hat loop").query, "is:loop kind:hat");
  EXPECT_EQ(words_of("dark pad bpm:120-128 is:favourite -loop").query,
            "bpm:120-128 is:favourite -loop kind:pad");
  EXPECT_EQ(words_of("warm bass loop 128bpm in Am").query, "is:loop bpm:128 key:Am kind:bass");
  EXPECT_EQ(words_of("warm zorblax").rest, std::vector<std::string>{"zorblax"});
}

TEST(Wording, DegreesAndDenials) {
  EXPECT_FLOAT_EQ(aim(words_of("bright"), "brightness"), 0.9f);
  EXPECT_FLOAT_EQ(aim(words_of("very bright"), "brightness"), 1);
  EXPECT_FLOAT_EQ(aim(words_of("slightly bright"), "brightness"), 0.7f);
  EXPECT_FLOAT_EQ(aim(words_of("not bright"), "brightness"), 0.1f);
  EXPECT_EQ(words_of("not a loop, dark").query, "-is:loop");
  // Two words on one axis meet in the middle.
  EXPECT_FLOAT_EQ(aim(words_of("bright dark"), "brightness"), 0.5f);
}

TEST(Wording, RefusesWhatIsNone) {
  EXPECT_EQ(interpret(" \n").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(interpret(std::string(1001, 'x')).error().code(), ErrorCode::kTooLarge);
  for (const char* text : {"\"", ":", "-", "in:\"", "\xff\xfe", "......", "a a a a"})
    EXPECT_TRUE(interpret(text).ok()) << text;
}

TEST(Wording, EveryQueryOfTheVocabularyIsOne) {
  for (const std::string& kind : kind_names()) {
    const Wording w = words_of("dark " + kind);
    EXPECT_EQ(w.query.substr(0, 5), "kind:") << kind;
    EXPECT_TRUE(parse_query(w.query).ok()) << w.query;
  }
}

TEST(Wording, ComesBackFromJson) {
  Wording w = words_of("very dusty snare");
  std::string text;
  JsonWriter writer(text);
  write_json(writer, w);
  const auto again = read_wording(*JsonValue::parse(text));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->query, w.query);
  ASSERT_EQ(again->aims.size(), w.aims.size());
  for (size_t i = 0; i < w.aims.size(); ++i) EXPECT_NEAR(again->aims[i].at, w.aims[i].at, 1e-3);
  const auto plain = read_wording(*JsonValue::parse(R"({"aims":{"tone":0.25}})"));
  ASSERT_TRUE(plain.ok());
  EXPECT_FLOAT_EQ(plain->aims[0].at, 0.25f);
  for (const char* wrong :
       {R"({"aims":{"colour":1}})", R"({"aims":{"tone":2}})", R"({"aims":{"tone":"x"}})",
        R"({"aims":{"tone":{"at":1,"weight":0}}})", R"({"aims":{"tone":1,"tone":0}})"})
    EXPECT_EQ(read_wording(*JsonValue::parse(wrong)).error().code(), ErrorCode::kInvalidArgument)
        << wrong;
}

TEST(Closeness, IsRelativeToTheSoundsCompared) {
  std::vector<int16_t> values;
  for (int16_t v = 0; v < 100; ++v) values.push_back(v);
  const std::vector<Aim> high{{0, 1, 1}};
  const Closeness c = closeness(values, high);
  EXPECT_GT(c.score[99], 0.98f);
  EXPECT_LT(c.score[0], 0.02f);
  EXPECT_NEAR(c.place[50], 0.5, 0.01);
  // A value beyond the limits counts as the limit.
  EXPECT_EQ(closeness(std::vector<int16_t>{-3000, 3000}, high).score[1], 0.75f);
}

// A hit: tone or noise under an exponential, after `attack_s`.
void write_hit(const fs::path& file, double hz, double noise, double decay_s, double attack_s,
               double length_s) {
  std::string out = wav_bytes(1, length_s);
  uint32_t random = 1;
  double dull = 0;
  for (size_t i = 0; 44 + 2 * i + 1 < out.size(); ++i) {
    const double t = static_cast<double>(i) / 44100;
    random = random * 1664525 + 1013904223;
    const double white = static_cast<double>(random) / 2147483648.0 - 1;
    dull += 0.02 * (white - dull);
    const double hiss = hz < 300 ? 6 * dull : white;
    double s = (1 - noise) * std::sin(6.283185 * hz * t) + noise * hiss;
    s *= std::exp(-t / decay_s) * std::min(1.0, t / attack_s);
    const auto v = static_cast<int16_t>(std::clamp(20000 * s, -32767.0, 32767.0));
    out[44 + 2 * i] = static_cast<char>(v & 255);
    out[45 + 2 * i] = static_cast<char>(v >> 8);
  }
  std::ofstream(file, std::ios::binary) << out;
}

class Aiming : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_catalogue(folder_.path() / "home", Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok());
    catalogue_ = std::move(*opened);
    add("low tone", 80, 0, 0.15, 0.002, 0.5);
    add("high tone", 1500, 0, 0.15, 0.002, 0.5);
    add("low noise", 80, 1, 0.15, 0.002, 0.5);
    add("hiss", 4000, 1, 0.15, 0.002, 0.5);
    add("swell", 300, 0, 2.0, 0.8, 1.5);
    add("tick", 300, 0, 0.01, 0.0005, 0.08);
  }
  void add(const std::string& name, double hz, double noise, double decay_s, double attack_s,
           double length_s) {
    const fs::path file = folder_.path() / (name + ".wav");
    write_hit(file, hz, noise, decay_s, attack_s, length_s);
    const auto heard = audio::Analyzer().analyze(file);
    ASSERT_TRUE(heard.ok());
    Sample s;
    s.file = {file.string(), 1, 1};
    s.digest_hex = blake3(name).hex();
    s.analysis_version = audio::kAnalysisVersion;
    s.analysis = *heard;
    ASSERT_TRUE(catalogue_->put({s}).ok());
  }
  std::string best(const std::string& text, size_t place = 0) {
    const auto found = find_aimed(*catalogue_, words_of(text), 10);
    EXPECT_TRUE(found.ok() && found->sounds.size() == 6) << text;
    return found->sounds[place].sample.name();
  }
  TemporaryFolder folder_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(Aiming, WordsMeanWhatIsHeard) {
  EXPECT_EQ(best("very bright"), "hiss.wav");
  EXPECT_EQ(best("very dark"), "low tone.wav");
  EXPECT_EQ(best("very bright and noisy"), "hiss.wav");
  EXPECT_EQ(best("bright and clean"), "high tone.wav");
  EXPECT_EQ(best("long and swelling"), "swell.wav");
  EXPECT_EQ(best("very short"), "tick.wav");
  EXPECT_EQ(best("very dry"), "tick.wav");
  EXPECT_NE(best("not noisy"), "hiss.wav");
}

TEST_F(Aiming, WordsThatAreNamesNarrow) {
  Wording w = words_of("bright zorblax tone");
  ASSERT_TRUE(settle_words(*catalogue_, w).ok());
  EXPECT_EQ(w.rest, std::vector<std::string>{"zorblax"});
  const auto found = find_aimed(*catalogue_, w, 10);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->sounds.size(), 2u);
  EXPECT_EQ(found->sounds[0].sample.name(), "high tone.wav");
  EXPECT_EQ(found->sounds[0].places.size(), 1u);
}

}  // namespace
}  // namespace samplemind::library
