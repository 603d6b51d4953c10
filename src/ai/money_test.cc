#include "ai/money.h"
#include "ai/dialect/dialect.h"

#include <gtest/gtest.h>

namespace samplemind::ai {
namespace {

Usage usage(int64_t input, int64_t cached, int64_t written, int64_t output) {
  Usage u;
  u.reported = true;
  u.input_tokens = input;
  u.cached_input_tokens = cached;
  u.cache_write_tokens = written;
  u.output_tokens = output;
  return u;
}

// Four prices: plain input, read from the prompt cache, written to it, output.
TEST(Money, F2PromptCacheTokensHaveTheirOwnPrices) {
  const PriceTable& t = PriceTable::builtin();
  EXPECT_EQ(t.cost("claude", "claude-sonnet-4-5", usage(1000, 600, 300, 10)),
            100 * 3 + 180 + 1125 + 150);
  EXPECT_EQ(t.cost("anthropic", "claude-sonnet-4-5-20250929", usage(1000, 600, 300, 10)),
            t.cost("claude", "claude-sonnet-4-5", usage(1000, 600, 300, 10)));
  // Where a provider has no price of its own for it, the plain one.
  EXPECT_EQ(t.cost("openai", "gpt-4o", usage(1000, 0, 1000, 0)), 2500);
}

TEST(Money, F3NothingIsNegative) {
  const PriceTable& t = PriceTable::builtin();
  EXPECT_EQ(t.cost("openai", "gpt-4o", usage(-5, -3, -2, -1)), 0);
  EXPECT_EQ(t.cost("openai", "gpt-4o", usage(10, 1000, 1000, 0)), 13) << "no more cached than sent";
  EXPECT_EQ(t.estimate("openai", "gpt-4o", -10, -10), 0);
  EXPECT_LE(*t.cost("openai", "gpt-4o", usage(INT64_MAX, 0, 0, INT64_MAX)),
            int64_t{9000000000000000});
}

TEST(Money, F5UnknownIsNeverFree) {
  const PriceTable& t = PriceTable::builtin();
  EXPECT_FALSE(t.price("openai", "fake-small"));
  EXPECT_FALSE(t.cost("openai", "fake-small", usage(1, 0, 0, 1)));
  EXPECT_FALSE(t.estimate("openai", "fake-small", 1, 1));
  EXPECT_FALSE(t.price("openai", "gpt-4o-2")) << "another model, no date";
  EXPECT_FALSE(t.price("gpt-4o", "gpt-4o"));
  EXPECT_EQ(t.estimate("ollama", "whatever", 1000, 1000), 0);
}

TEST(Money, LongRequestsAndSoundCostMore) {
  const PriceTable& t = PriceTable::builtin();
  EXPECT_EQ(t.cost("gemini", "gemini-2.5-pro", usage(200000, 0, 0, 1000)), 250000 + 10000);
  EXPECT_EQ(t.cost("gemini", "gemini-2.5-pro", usage(200001, 0, 0, 1000)), 500003 + 15000);
  Usage u = usage(1000, 0, 0, 100);
  u.audio_input_tokens = 400;
  u.audio_output_tokens = 50;
  EXPECT_EQ(t.cost("openai", "gpt-audio", u), 600 * 2.5 + 400 * 32 + 50 * 10 + 50 * 64);
}

// Sound and pictures have prices of their own: each provider's account of them is read.
TEST(Money, SoundAndPicturesAreCountedWhereTheyAreReported) {
  const auto table = PriceTable::with({{"openai/x.input", "1"},
                                       {"openai/x.output", "10"},
                                       {"openai/x.audio_input", "4"},
                                       {"openai/x.audio_output", "40"},
                                       {"openai/x.image_input", "3"}});
  ASSERT_TRUE(table.ok());
  const auto openai =
      make_answer_reader(Dialect::kOpenAi)
          ->whole(R"({"id":"c","model":"x","choices":[{"message":{"content":"a"},"finish_reason":)"
                  R"("stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":100,)"
                  R"("prompt_tokens_details":{"audio_tokens":400,"image_tokens":200},)"
                  R"("completion_tokens_details":{"audio_tokens":50}}})");
  const auto gemini =
      make_answer_reader(Dialect::kGemini)
          ->whole(R"({"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],)"
                  R"("usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,)"
                  R"("promptTokensDetails":[{"modality":"TEXT","tokenCount":400},)"
                  R"({"modality":"IMAGE","tokenCount":200},{"modality":"AUDIO","tokenCount":400}],)"
                  R"("candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":50}]}})");
  for (const auto* answer : {&openai, &gemini}) {
    ASSERT_TRUE(answer->ok());
    EXPECT_EQ(table->cost("openai", "x", (*answer)->usage),
              400 * 1 + 400 * 4 + 200 * 3 + 50 * 10 + 50 * 40);
  }
}

TEST(Money, TheUsersPricesWin) {
  auto t = PriceTable::with({{"openai/gpt-4o.input", "1"},
                             {"openai/gpt-4.1.output", "3"},
                             {"openai/my-model.input", "2"},
                             {"openai/my-model.output", "4"},
                             {"claude/claude-9.input", "1"},
                             {"claude/claude-9.output", "2"}});
  ASSERT_TRUE(t.ok()) << t.error().message();
  EXPECT_EQ(t->cost("openai", "gpt-4o", usage(10, 0, 0, 10)), 10 + 100);
  EXPECT_EQ(t->cost("openai", "gpt-4.1", usage(10, 0, 0, 10)), 20 + 30) << "dots in a name";
  EXPECT_EQ(t->cost("openai", "my-model", usage(10, 5, 0, 10)), 20 + 40);
  EXPECT_EQ(t->cost("anthropic", "claude-9", usage(10, 0, 0, 10)), 30);
  for (const auto& [name, value] : std::map<std::string, std::string>{{"gpt-4o.input", "1"},
                                                                      {"openai/x.input", "1"},
                                                                      {"openai/gpt-4o.inputs", "1"},
                                                                      {"openai/gpt-4o.input", "-1"},
                                                                      {"openai/gpt-4o.output", "x"},
                                                                      {"openai/gpt-4o", "1"}}) {
    EXPECT_FALSE(PriceTable::with({{name, value}}).ok()) << name;
  }
}

TEST(Money, TheTableIsDatedAndWhole) {
  EXPECT_EQ(PriceTable::builtin().date().size(), 10u);
  const ModelTraits* traits = PriceTable::builtin().traits("gemini", "gemini-2.5-flash");
  ASSERT_NE(traits, nullptr);
  EXPECT_TRUE(traits->audio && traits->image && traits->tools && traits->schema);
  EXPECT_EQ(traits->context_tokens, 1048576);
  EXPECT_FALSE(PriceTable::builtin().traits("openai", "gpt-4o")->audio);
}

TEST(Money, DollarsForPeople) {
  EXPECT_EQ(dollars(0), "$0");
  EXPECT_EQ(dollars(126), "$0.000126");
  EXPECT_EQ(dollars(2500000), "$2.50");
  EXPECT_EQ(dollars(12345678), "$12.3457");
  EXPECT_EQ(*parse_dollars("$2.50"), 2500000);
  EXPECT_EQ(*parse_dollars("0.000001"), 1);
  for (const char* bad : {"", "$", "-1", "x", "1e12", "nan", "inf", "1 "})
    EXPECT_FALSE(parse_dollars(bad).ok()) << bad;
}

}  // namespace
}  // namespace samplemind::ai
