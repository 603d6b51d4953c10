#include "ai/guard_text.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace samplemind::ai {
namespace {

TEST(PlainEscapes, SameValueReadableAsText) {
  for (const auto& [json, plain] : std::vector<std::pair<std::string, std::string>>{
           {R"({"a":"no escape"})", R"({"a":"no escape"})"},
           {R"(["\u0061\u00e4\u20ac\ud83d\ude00\/"])", R"(["aä€😀/"])"},
           {R"(["\u0022\u005c\u000a\u007f\n\\\"\\u0061"])",
            R"(["\u0022\u005c\u000a\u007f\n\\\"\\u0061"])"},
           {R"(["\ud83d","\ude00","\ud83dx"])", R"(["\ud83d","\ude00","\ud83dx"])"},
           {R"({"\u0061":1})", R"({"a":1})"}}) {
    EXPECT_EQ(plain_escapes(json), plain);
    const auto before = JsonValue::parse(json), after = JsonValue::parse(plain);
    EXPECT_EQ(before.ok(), after.ok()) << json;
    if (!before.ok() || !after.ok()) continue;
    EXPECT_EQ(before->dump(), after->dump());
  }
  for (const char* broken : {"\\", "\"\\", "\\u", "\\u00", "\\u00g1", "\\ud83d\\u", ""})
    EXPECT_EQ(plain_escapes(broken), broken);
}

TEST(BlockedWords, AreFoundHoweverTheyAreWritten) {
  BlockedWords words;
  EXPECT_TRUE(words.empty());
  EXPECT_FALSE(words.in("anything"));
  for (const char* pattern : {"Project Nightingale", "GEHEIMNISTRÄGER", "Тайна", "sk-x", "", " "})
    words.add(pattern);
  for (const char* held : {R"({"t":"about project nightingale."})", R"(["PROJECT  NIGHTINGALE"])",
                           R"(["Project\n\tNightingale"])", "[\"project\xC2\xA0nightingale\"]",
                           R"(["proj\u0065ct nightingale"])", R"(["project\u0020nightingale"])",
                           R"(["projects: project project nightingale"])", R"(["geheimnisträger"])",
                           R"(["Geheimnistr\u00C4ger"])", R"(["ТАЙНА"])", R"(["SK-X"])"})
    EXPECT_TRUE(words.in(held)) << held;
  for (const char* free : {R"(["projectnightingale"])", R"(["project, nightingale"])",
                           R"(["project"])", R"(["geheimnistrager"])", R"([" "])", ""})
    EXPECT_FALSE(words.in(free)) << free;
}

}  // namespace
}  // namespace samplemind::ai
