#include "cli/eval_score.h"

#include <gtest/gtest.h>

namespace samplemind::cli {
namespace {

JsonValue json(std::string_view text) {
  auto v = JsonValue::parse(text);
  EXPECT_TRUE(v.ok());
  return v.ok() ? std::move(*v) : JsonValue();
}

std::map<std::string, Metric> score_one(std::string_view label, std::string_view answer) {
  const JsonValue l = json(label), a = json(answer);
  return score({{&l, &a}});
}

TEST(EvalScore, TempoWithinTolerancesAndOctaves) {
  const auto close = score_one(R"({"tempo":120})", R"({"tempo_bpm":122})");
  EXPECT_EQ(close.at("acc1").value, 1);
  EXPECT_EQ(close.at("acc1_1pct").value, 0);
  const auto doubled = score_one(R"({"tempo":120})", R"({"tempo_bpm":240})");
  EXPECT_EQ(doubled.at("acc1").value, 0);
  EXPECT_EQ(doubled.at("acc2").value, 1);
  EXPECT_EQ(score_one(R"({"tempo":120})", R"({"tempo_bpm":null})").at("acc2").value, 0);
}

TEST(EvalScore, BeatsAreMatchedOnceAndTheirPaceCounts) {
  const char* label = R"({"duration":3,"beats":[0,0.5,1,1.5,2,2.5]})";
  const auto right = score_one(label, R"({"beats_s":[0.01,0.5,1,1.5,2,2.5]})");
  EXPECT_EQ(right.at("beatF").value, 1);
  EXPECT_EQ(right.at("CMLt").value, 1);
  const auto half = score_one(label, R"({"beats_s":[0,1,2]})");
  EXPECT_NEAR(half.at("beatF").value, 6.0 / 9, 1e-12);
  EXPECT_EQ(half.at("CMLt").value, 0);
  EXPECT_EQ(half.at("AMLt").value, 1);
  EXPECT_EQ(score_one(label, R"({"beats_s":[]})").at("beatF").value, 0);
}

TEST(EvalScore, KeysByTheirRelation) {
  const auto weight = [](const char* found) {
    return score_one(R"({"key":"C major"})", std::string(R"({"key":")") + found + "\"}")
        .at("mirex")
        .value;
  };
  EXPECT_EQ(weight("C major"), 1);
  EXPECT_EQ(weight("G major"), 0.5);
  EXPECT_EQ(weight("F major"), 0);
  EXPECT_EQ(weight("A minor"), 0.3);
  EXPECT_EQ(weight("C minor"), 0.2);
  EXPECT_EQ(score_one(R"({"key":"Bb minor"})", R"({"key":"A# minor"})").at("keyAcc").value, 1);
}

TEST(EvalScore, FamiliesOfKinds) {
  const auto m =
      score_one(R"({"content":"oneshot","kind":"rim"})", R"({"content":"oneshot","kind":"snare"})");
  EXPECT_EQ(m.at("kindAcc").value, 0);
  EXPECT_EQ(m.at("kindCoarse").value, 1);
  EXPECT_EQ(m.at("contentAcc").value, 1);
}

TEST(EvalScore, ALostAnswerIsWrongAndWhatHasNoLabelIsNotScored) {
  const JsonValue label = json(R"({"tempo":100,"lufs":-14,"duration":5})");
  const auto m = score({{&label, nullptr}});
  EXPECT_EQ(m.at("acc1").value, 0);
  EXPECT_EQ(m.count("lufsAbsErr_median"), 0u);
  EXPECT_EQ(m.count("keyAcc"), 0u);
}

TEST(EvalScore, IntervalsHoldTheMeanAndNarrowWithTheNumberOfSounds) {
  const JsonValue label = json(R"({"tempo":100})");
  const JsonValue right = json(R"({"tempo_bpm":100})"), wrong = json(R"({"tempo_bpm":90})");
  const auto width = [&](size_t n) {
    std::vector<ScoredSound> sounds;
    for (size_t i = 0; i < n; ++i) sounds.push_back({&label, i % 4 == 0 ? &wrong : &right});
    const Metric m = score(sounds).at("acc1");
    EXPECT_EQ(m.value, 0.75);
    EXPECT_LT(*m.low, 0.75);
    EXPECT_GT(*m.high, 0.75);
    EXPECT_EQ(*score(sounds).at("acc1").low, *m.low);
    return *m.high - *m.low;
  };
  // Of a share p over n sounds the interval is about 2 * 1.96 * sqrt(p (1 - p) / n) wide.
  EXPECT_NEAR(width(100), 0.17, 0.03);
  EXPECT_NEAR(width(1600), 0.042, 0.008);
  EXPECT_FALSE(score({{&label, &right}}).at("acc1").low.has_value());
}

}  // namespace
}  // namespace samplemind::cli
