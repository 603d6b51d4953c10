#include "library/query.h"

#include <gtest/gtest.h>

#include "library/config_keys.h"

namespace samplemind::library {
namespace {

using Words = std::vector<std::string>;

TEST(Words, SplitAtSeparatorsCaseAndDigits) {
  EXPECT_EQ(words("Kick_C1_128bpm"), (Words{"kick", "c1", "128", "bpm"}));
  EXPECT_EQ(words("HatClosed-Tick.wav"), (Words{"hat", "closed", "tick", "wav"}));
  EXPECT_EQ(words("HHOpen808"), (Words{"hh", "open", "808"}));
  EXPECT_EQ(words("loop2"), (Words{"loop", "2"}));
  EXPECT_EQ(words("  \n''%_ "), Words{});
  EXPECT_EQ(words("F# minor"), (Words{"f", "minor"}));
  EXPECT_EQ(words("Größe"), (Words{"größe"}));
}

TEST(Words, TheIndexHoldsSplitRunsWholeToo) {
  EXPECT_EQ(index_words("Loop_DnB_174bpm"),
            (Words{"loop", "dn", "b", "dnb", "174", "bpm", "174bpm"}));
  EXPECT_EQ(index_words("kick.wav"), (Words{"kick", "wav"}));
}

TEST(ParseKey, KnowsTheUsualSpellings) {
  const std::pair<const char*, const char*> cases[] = {{"Am", "A minor"},
                                                       {"A minor", "A minor"},
                                                       {"a", "A major"},
                                                       {"F#m", "F# minor"},
                                                       {"Gb major", "F# major"},
                                                       {"Gbm", "F# minor"},
                                                       {"Cb", "B major"},
                                                       {"B#m", "C minor"},
                                                       {"8A", "A minor"},
                                                       {"8b", "C major"},
                                                       {"12A", "C# minor"},
                                                       {"1B", "B major"},
                                                       {"1m", "A minor"},
                                                       {"1d", "C major"},
                                                       {"CM", "C major"},
                                                       {" E\u266D moll ", "D# minor"},
                                                       {"C\u266F-min", "C# minor"},
                                                       {"b", "B major"},
                                                       {"Bb", "A# major"},
                                                       {"Dmaj", "D major"}};
  for (const auto& [text, canonical] : cases) {
    const auto key = parse_key(text);
    ASSERT_TRUE(key.ok()) << text << ": " << key.error().message();
    EXPECT_EQ(*key, canonical) << text;
  }
}

TEST(ParseKey, PointsAtWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"H", "at character 1:"},   {"", "at character 1:"},   {"13A", "at character 1:"},
      {"0B", "at character 1:"},  {"8C", "at character 1:"}, {"A dorian", "at character 3:"},
      {"F##", "at character 3:"}, {"Amx", "at character 2:"}};
  for (const auto& [text, where] : cases) {
    const auto key = parse_key(text);
    ASSERT_FALSE(key.ok()) << text;
    EXPECT_EQ(key.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(key.error().message().find(where), std::string::npos) << key.error().message();
  }
}

TEST(ParseRange, Forms) {
  const auto closed = parse_range("120-128", "bpm", 0.5);
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->low, 120);
  EXPECT_EQ(closed->high, 128);
  const auto single = parse_range("120", "bpm", 0.5);
  ASSERT_TRUE(single.ok());
  EXPECT_EQ(single->low, 119.5);
  EXPECT_EQ(single->high, 120.5);
  const auto below = parse_range("<100", "bpm", 0.5);
  ASSERT_TRUE(below.ok());
  EXPECT_FALSE(below->low);
  EXPECT_EQ(below->high, 100);
  const auto open = parse_range("90-", "bpm", 0.5);
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(open->low, 90);
  EXPECT_FALSE(open->high);
}

TEST(ParseRange, PointsAtWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"fast", "at character 1:"}, {"120-x", "at character 5:"}, {"120 128", "at character 5:"},
      {"128-120", "ends before"},  {"<", "at character 2:"},     {"", "at character 1:"},
      {"-5", "at character 1:"},   {"nan", "at character 1:"},   {"1e999", "at character 2:"}};
  for (const auto& [text, where] : cases) {
    const auto range = parse_range(text, "bpm", 0.5);
    ASSERT_FALSE(range.ok()) << text;
    EXPECT_NE(range.error().message().find(where), std::string::npos) << range.error().message();
  }
}

TEST(ParseLength, Units) {
  const auto below = parse_length("<2s");
  ASSERT_TRUE(below.ok());
  EXPECT_EQ(below->high, 2);
  const auto mixed = parse_length("500ms-2s");
  ASSERT_TRUE(mixed.ok());
  EXPECT_EQ(mixed->low, 0.5);
  EXPECT_EQ(mixed->high, 2);
  const auto plain = parse_length("1-4");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->high, 4);
  const auto above = parse_length(">10");
  ASSERT_TRUE(above.ok());
  EXPECT_EQ(above->low, 10);
  EXPECT_FALSE(parse_length("2x").ok());
}

TEST(ParseSort, DirectionAndNames) {
  const auto tempo = parse_sort("-tempo");
  ASSERT_TRUE(tempo.ok());
  EXPECT_EQ(tempo->first, Sort::kTempo);
  EXPECT_TRUE(tempo->second);
  EXPECT_FALSE(parse_sort("colour").ok());
  EXPECT_EQ(parse_content("one-shot").value_or(""), "oneshot");
  EXPECT_FALSE(parse_content("noise").ok());
}

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

TEST(ConfigKeys, HaveValidDefaults) {
  const auto config = Config::load(config_keys(), {});
  ASSERT_TRUE(config.ok()) << config.error().message();
  EXPECT_EQ(config->integer("library.scan_threads"), 0);
  EXPECT_TRUE(config->boolean("library.demo_pack"));
}

}  // namespace
}  // namespace samplemind::library
