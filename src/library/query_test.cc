#include "library/query.h"

#include <gtest/gtest.h>

namespace samplemind::library {
namespace {

TEST(Words, OfFileNames) {
  EXPECT_EQ(words("KickDrum_C1_128bpm.wav"),
            (std::vector<std::string>{"kick", "drum", "c1", "128", "bpm", "wav"}));
  EXPECT_EQ(words("TR-808 snare02"), (std::vector<std::string>{"tr", "808", "snare", "02"}));
  EXPECT_EQ(words("Größe é"), (std::vector<std::string>{"größe", "é"}));
  EXPECT_TRUE(words("-- ()").empty());
}

TEST(Ranges, AllForms) {
  EXPECT_EQ(*parse_range("120-128", "bpm", 0.5)->low, 120);
  EXPECT_EQ(*parse_range("120-128", "bpm", 0.5)->high, 128);
  EXPECT_EQ(*parse_range("120", "bpm", 0.5)->low, 119.5);
  EXPECT_FALSE(parse_range("<100", "bpm", 0.5)->low.has_value());
  EXPECT_EQ(*parse_range(">= 90", "bpm", 0.5)->low, 90);
  EXPECT_FALSE(parse_range("90-", "bpm", 0.5)->high.has_value());
  EXPECT_DOUBLE_EQ(*parse_length("500ms-2s")->low, 0.5);
  EXPECT_DOUBLE_EQ(*parse_length("<1m")->high, 60);
  EXPECT_DOUBLE_EQ(*parse_length("<2")->high, 2);
}

TEST(Ranges, ErrorsPointAtTheCharacter) {
  EXPECT_EQ(
      parse_range("120-fast", "bpm", 0.5).error().message(),
      "bpm '120-fast': at character 5: a number was expected, as in 120, 120-128, <100 or >90");
  EXPECT_NE(parse_range("12x", "bpm", 0.5).error().message().find("at character 3"),
            std::string::npos);
  EXPECT_FALSE(parse_range("128-120", "bpm", 0.5).ok());
  EXPECT_FALSE(parse_range("", "bpm", 0.5).ok());
  EXPECT_FALSE(parse_range("-5", "bpm", 0.5).ok());
}

TEST(Keys, AllNotations) {
  for (const char* text : {"Am", "A minor", "a min", "8A", "8a", "1m", "A_minor", "amoll"})
    EXPECT_EQ(parse_key(text).value_or("?"), "A minor") << text;
  for (const char* text : {"F#m", "Gbm", "G♭ minor", "F♯m", "11A", "4m"})
    EXPECT_EQ(parse_key(text).value_or("?"), "F# minor") << text;
  for (const char* text : {"C", "C major", "Cmaj", "8B", "1d", "B#"})
    EXPECT_EQ(parse_key(text).value_or("?"), "C major") << text;
  EXPECT_EQ(parse_key("5A").value_or("?"), "C minor");
  EXPECT_EQ(parse_key("12B").value_or("?"), "E major");
  for (const char* text : {"", "H", "Am7", "13A", "0B", "x minor"})
    EXPECT_FALSE(parse_key(text).ok()) << text;
}

TEST(Sorts, AndContent) {
  EXPECT_EQ(parse_sort("-tempo")->first, Sort::kTempo);
  EXPECT_TRUE(parse_sort("-tempo")->second);
  EXPECT_FALSE(parse_sort("colour").ok());
  EXPECT_EQ(*parse_content("One-Shot"), "oneshot");
  EXPECT_FALSE(parse_content("song").ok());
}

}  // namespace
}  // namespace samplemind::library
