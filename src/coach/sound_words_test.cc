#include "coach/sound_words.h"

#include <gtest/gtest.h>

namespace samplemind::coach {
namespace {

TEST(SoundWords, SameWordsSameBytesAndTheSchemaNamesEveryAxis) {
  const std::string body = write_sound_request("dusty warm kick", "auto");
  EXPECT_EQ(body, write_sound_request("dusty warm kick", "auto"));
  const auto r = JsonValue::parse(body);
  ASSERT_TRUE(r.ok()) << body;
  EXPECT_EQ((*r)["messages"][1]["content"].string(), "dusty warm kick");
  const std::string system = (*r)["messages"][0]["content"].string_or("");
  EXPECT_NE(system.find("hat_closed"), std::string::npos);
  EXPECT_NE(system.find("- brightness: 0 dark, 1 bright"), std::string::npos);
  EXPECT_EQ(system.find("KINDS"), std::string::npos);
  const JsonValue& aim =
      (*r)["response_format"]["json_schema"]["schema"]["properties"]["aims"]["items"];
  EXPECT_EQ(aim["properties"]["axis"]["enum"].size(), library::axes().size());
}

TEST(SoundWords, AGoodAnswerAlsoBetweenFences) {
  const auto w = read_sound_answer(
      "Here it is:\n```json\n{\"query\":\"kind:kick -is:loop\",\"aims\":[{\"axis\":\"brightness\","
      "\"at\":0.2,\"weight\":9},{\"axis\":\"tone\",\"at\":0.9,\"weight\":-1}],\"means\":\"dark\"}"
      "\n```",
      "dark kick");
  ASSERT_TRUE(w.ok()) << w.error().message();
  EXPECT_EQ(w->query, "kind:kick -is:loop");
  ASSERT_EQ(w->aims.size(), 2u);
  EXPECT_EQ(library::axes()[w->aims[0].axis].name, "brightness");
  EXPECT_EQ(w->aims[0].weight, 3.0f);
  EXPECT_EQ(w->aims[1].weight, 1.0f);
  EXPECT_EQ(w->understood[0].second, "dark");
  EXPECT_TRUE(w->rest.empty());
}

TEST(SoundWords, WhatDoesNotExistIsLeftOutAndTold) {
  const auto w = read_sound_answer(
      R"({"query":"kind:kick kind:zorb bpm:fast colour:red in:mine sort:bpm dusty vinylpack",
          "aims":[{"axis":"warmth","at":0.5},{"axis":"tone","at":7},{"axis":"tone","at":0.5},
                  {"axis":"tone","at":0.6},{"at":1},3],"mood":"x"})",
      "words");
  ASSERT_TRUE(w.ok()) << w.error().message();
  EXPECT_EQ(w->query, "kind:kick");
  ASSERT_EQ(w->aims.size(), 1u);
  EXPECT_EQ(w->aims[0].at, 0.5f);
  const std::vector<std::string> left_out{"kind:zorb",
                                          "bpm:fast",
                                          "colour:red",
                                          "in:mine",
                                          "sort:bpm",
                                          "vinylpack",
                                          "warmth",
                                          "tone",
                                          "tone",
                                          "an aim without an axis",
                                          "an aim without an axis"};
  EXPECT_EQ(w->rest, left_out);
}

TEST(SoundWords, NoInterpretation) {
  for (const char* answer :
       {"", "I cannot help with that.", "{", "}{", "[1]", "{\"query\":3}",
        R"({"query":"","aims":[],"means":"nothing"})", R"({"query":"dusty"})"}) {
    const auto w = read_sound_answer(answer, "x");
    ASSERT_FALSE(w.ok()) << answer;
    EXPECT_EQ(w.error().code(), ErrorCode::kUpstream) << answer;
  }
  EXPECT_FALSE(read_sound_answer("{" + std::string(20000, ' ') + "}", "x").ok());
}

TEST(SoundWords, Readers) {
  EXPECT_EQ(*parse_reader("model"), Reader::kModel);
  EXPECT_EQ(parse_reader("gpt").error().code(), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace samplemind::coach
