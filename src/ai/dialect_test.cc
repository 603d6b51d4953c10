#include <gtest/gtest.h>

#include "ai/dialect/ollama.h"
#include "ai/dialect/openai.h"
#include "ai/money.h"
#include "ai/provider.h"
#include "base/json.h"

namespace samplemind::ai {
namespace {

JsonValue parsed(std::string_view text) {
  auto value = JsonValue::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : JsonValue();
}

// --- OpenAI
// ---------------------------------------------------------------------------------------

// An answer with everything in it that a client may see.
constexpr std::string_view kFullAnswer =
    R"({"id":"chatcmpl-9","object":"chat.completion","created":1700000000,"model":"m-2024",)"
    R"("system_fingerprint":"fp_7","service_tier":"default","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"Hi é 😀","refusal":null,"reasoning_content":"hm",)"
    R"("tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},)"
    R"({"id":"c2","type":"custom","custom":{"name":"g","input":"free \n text"}}],)"
    R"("annotations":[{"type":"url_citation"}]},"logprobs":{"content":[{"token":"Hi","logprob":-0.25}],)"
    R"("refusal":null},"finish_reason":"tool_calls","stop_reason":32}],"usage":{"prompt_tokens":10,)"
    R"("completion_tokens":7,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":4},)"
    R"("completion_tokens_details":{"reasoning_tokens":3},"x_cost":0.5}})";

TEST(OpenAi, AnswerComesBackWithEveryMember) {
  size_t choices = 0;
  auto answer = read_openai_answer(kFullAnswer, choices);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(choices, 1u);
  EXPECT_TRUE(answer->complete());
  EXPECT_EQ(answer->usage.cached_input_tokens, 4);
  const JsonValue back = parsed(write_openai_answer(*answer));
  const JsonValue first = parsed(kFullAnswer);
  EXPECT_EQ(back.members().size(), first.members().size());
  for (const auto& [name, value] : first.members()) {
    if (name == "choices") continue;
    EXPECT_EQ(back[name].dump(), value.dump()) << name;
  }
  for (const auto& [name, value] : first["choices"][0].members()) {
    if (name == "message") continue;
    EXPECT_EQ(back["choices"][0][name].dump(), value.dump()) << name;
  }
  for (const auto& [name, value] : first["choices"][0]["message"].members())
    EXPECT_EQ(back["choices"][0]["message"][name].dump(), value.dump()) << name;
}

TEST(OpenAi, AnswerSurvivesAStreamAndBack) {
  size_t choices = 0;
  const ChatAnswer answer = *read_openai_answer(kFullAnswer, choices);
  const std::string stream = write_openai_stream(answer, true);
  ChatAnswer head, whole;
  size_t at = 0, events = 0;
  bool done = false;
  while (at < stream.size()) {
    const size_t end = stream.find("\n\n", at);
    ASSERT_EQ(stream.compare(at, 6, "data: "), 0);
    const std::string data = stream.substr(at + 6, end - at - 6);
    at = end + 2;
    if (data == "[DONE]") {
      done = true;
      continue;
    }
    auto delta = read_openai_chunk(data, choices, head);
    ASSERT_TRUE(delta.ok()) << data;
    EXPECT_EQ(delta->has_role, events == 0);
    ++events;
    append(whole, *delta);
  }
  EXPECT_TRUE(done);
  whole.id = head.id;
  whole.created_s = head.created_s;
  whole.model = head.model;
  EXPECT_EQ(parsed(write_openai_answer(whole)).dump(), parsed(write_openai_answer(answer)).dump());
}

TEST(OpenAi, ToolCallPiecesAreJoinedByIndex) {
  ChatAnswer head, whole;
  size_t choices = 0;
  for (
      const char* delta :
      {R"({"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]})",
       R"({"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{"}}]})",
       R"({"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]})",
       R"({"tool_calls":[{"index":1,"function":{"arguments":"}"}},{"index":0,"function":{"arguments":":1}"}}]})"}) {
    auto d = read_openai_chunk("{\"choices\":[{\"index\":0,\"delta\":" + std::string(delta) + "}]}",
                               choices, head);
    ASSERT_TRUE(d.ok());
    append(whole, *d);
  }
  ASSERT_EQ(whole.tool_calls.size(), 2u);
  EXPECT_EQ(whole.tool_calls[0].arguments, "{\"x\":1}");
  EXPECT_EQ(whole.tool_calls[1].arguments, "{}");
  EXPECT_EQ(whole.tool_calls[1].name, "g");
  EXPECT_FALSE(
      read_openai_chunk(R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":99999999}]}}]})",
                        choices, head)
          .ok());
}

TEST(OpenAi, WhatCannotBeKeptIsNotComplete) {
  size_t choices = 0;
  auto answer = read_openai_answer(
      R"({"choices":[{"message":{"content":[{"type":"text","text":"x"}]},"finish_reason":"stop"}]})",
      choices);
  ASSERT_TRUE(answer.ok());
  EXPECT_FALSE(answer->complete());
}

TEST(OpenAi, AbsurdUsageNeverBecomesAnAbsurdBill) {
  size_t choices = 0;
  const ChatAnswer a = *read_openai_answer(
      R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":-5,)"
      R"("completion_tokens":9e300,"prompt_tokens_details":{"cached_tokens":100}}})",
      choices);
  EXPECT_EQ(a.usage.input_tokens, 0);
  EXPECT_EQ(a.usage.cached_input_tokens, 0);
  EXPECT_GE(*cost_microusd("openai", "gpt-4o", a.usage), 0);
}

TEST(OpenAi, RewritingTouchesOnlyWhatMustChange) {
  EXPECT_EQ(rewrite_openai_request(R"({"a":"\"model\":1","m\u006fdel" : "x", "b":{"model":"y"}})",
                                   "new \"name\"", false),
            R"({"a":"\"model\":1","m\u006fdel" : "new \"name\"", "b":{"model":"y"}})");
  EXPECT_EQ(rewrite_openai_request(R"( {"model":"x","stream":true})", "y", true),
            R"( {"stream_options":{"include_usage":true},"model":"y","stream":true})");
  EXPECT_EQ(rewrite_openai_request(
                R"({"stream_options":{"include_usage":false,"z":[1]},"model":"x"})", "y", true),
            R"({"stream_options":{"include_usage":true,"z":[1]},"model":"y"})");
  EXPECT_EQ(rewrite_openai_request(R"({"stream_options":null,"model":"x"})", "y", true),
            R"({"stream_options":{"include_usage":true},"model":"y"})");
}

TEST(OpenAi, RoleIsPutIntoTheFirstDelta) {
  EXPECT_EQ(with_role(R"({"delta":{},"choices":[{"index":0,"delta":{"content":"{"}}]})"),
            R"({"delta":{},"choices":[{"index":0,"delta":{"role":"assistant","content":"{"}}]})");
  EXPECT_EQ(with_role(R"({"choices":[{"delta":{ }}]})"),
            R"({"choices":[{"delta":{"role":"assistant" }}]})");
  for (const char* left : {R"({"choices":[]})", R"({"choices":[{"delta":null}]})", "{}", "[]"})
    EXPECT_EQ(with_role(left), left);
}

// --- Ollama
// ---------------------------------------------------------------------------------------

Result<std::string> for_ollama(std::string_view openai_body, std::string_view model, bool stream) {
  SM_TRY(const ChatRequest request, read_openai_request(openai_body));
  return write_ollama_request(request, model, stream);
}

TEST(Ollama, RequestIsTranslated) {
  auto body = for_ollama(
      R"({"model":"x","messages":[{"role":"developer","content":"be brief"},)"
      R"({"role":"user","content":[{"type":"text","text":"what"},{"type":"image_url","image_url":)"
      R"({"url":"data:image/png;base64,QUJD"}}]},{"role":"assistant","content":null,"tool_calls":)"
      R"([{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
      R"({"role":"tool","tool_call_id":"c1","content":"42"}],"temperature":0.5,"top_p":1,"seed":7,)"
      R"("stop":"END","max_tokens":5,"max_completion_tokens":9,"user":"u","stream":true,"n":1,)"
      R"("response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{"type":"object"}}},)"
      R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto",)"
      R"("options":{"num_ctx":2048},"keep_alive":"5m","reasoning_effort":"low","logprobs":true})",
      "llama", true);
  ASSERT_TRUE(body.ok()) << body.error().message();
  EXPECT_EQ(
      parsed(*body).dump(),
      R"({"model":"llama","stream":true,"messages":[{"role":"system","content":"be brief"},)"
      R"({"role":"user","content":"what","images":["QUJD"]},{"role":"assistant","content":"",)"
      R"("tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},)"
      R"({"role":"tool","content":"42","tool_name":"f"}],)"
      R"("tools":[{"type":"function","function":{"name":"f"}}],"format":{"type":"object"},)"
      R"("think":"low","logprobs":true,"keep_alive":"5m","options":{"temperature":0.5,"top_p":1,)"
      R"("seed":7,"num_predict":9,"stop":["END"],"num_ctx":2048}})");
}

TEST(Ollama, WhatItCannotSayIsRefusedByName) {
  const auto with = [](std::string_view more) {
    return R"({"model":"x","messages":[{"role":"user","content":"hi"}],)" + std::string(more) + "}";
  };
  const auto saying = [](std::string_view messages) {
    return R"({"model":"x","messages":[)" + std::string(messages) + "]}";
  };
  const std::vector<std::pair<std::string, std::string>> cases{
      {with(R"("logit_bias":{"1":1})"), "logit_bias"},
      {with(R"("n":2)"), "'n'"},
      {with(R"("tool_choice":"required")"), "tool_choice"},
      {with(R"("tools":[{"type":"web_search"}])"), "web_search"},
      {with(R"("max_tokens":1.5)"), "max_tokens"},
      {with(R"("temperature":"hot")"), "temperature"},
      {with(R"("response_format":{"type":"grammar"})"), "grammar"},
      {saying(R"({"role":"user","content":[{"type":"input_audio"}]})"), "input_audio"},
      {saying(
           R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y"}}]})"),
       "remote image"},
      {saying(R"({"role":"tool","tool_call_id":"nobody","content":"x"})"), "nobody"},
      {saying(R"({"role":"user","content":"x","name":"Ann"})"), "'name'"}};
  for (const auto& [body, word] : cases) {
    const auto result = for_ollama(body, "m", false);
    ASSERT_FALSE(result.ok()) << body;
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(result.error().message().find(word), std::string::npos) << result.error().message();
  }
  EXPECT_TRUE(
      for_ollama(with(R"("logit_bias":null,"tools":[],"modalities":["text"])"), "m", false).ok());
}

TEST(Ollama, ParallelToolCallsGetIndexesAndIds) {
  OllamaReader reader;
  ChatAnswer whole;
  reader.made_id = "0123456789abcdef";
  for (
      const char* line :
      {R"({"model":"m","message":{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"function":{"index":0,"name":"f","arguments":{"a":1}}}]},"done":false})",
       R"({"model":"m","message":{"content":"","tool_calls":[{"function":{"index":0,"name":"g","arguments":{}}}]},"done":false})",
       R"({"model":"m","message":{"content":""},"done":true,"done_reason":"stop","eval_count":4})"}) {
    std::vector<ChatDelta> pieces;
    ASSERT_TRUE(reader.event("chat", line, pieces).ok());
    for (const ChatDelta& d : pieces) append(whole, d);
  }
  ASSERT_EQ(whole.tool_calls.size(), 2u);
  EXPECT_EQ(whole.tool_calls[0].arguments, "{\"a\":1}");
  EXPECT_EQ(whole.tool_calls[1].name, "g");
  EXPECT_NE(whole.tool_calls[0].id, whole.tool_calls[1].id);
  EXPECT_EQ(whole.finish_reason, "tool_calls");
  EXPECT_EQ(whole.reasoning, "hm");
  EXPECT_EQ(whole.usage.output_tokens, 4);
  EXPECT_TRUE(reader.done);
}

TEST(Ollama, NonsenseIsAnError) {
  for (const char* line :
       {"", "nonsense", "[]", R"({"error":"out of memory"})", R"({"status":"x"})"}) {
    OllamaReader reader;
    std::vector<ChatDelta> pieces;
    const auto read = reader.event("chat", line, pieces);
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_EQ(read.error().code(), ErrorCode::kUpstream);
  }
}

// --- Money, Retry-After
// ---------------------------------------------------------------------------

TEST(Money, CostIsWholeMicroDollarsRoundedUp) {
  Usage u;
  u.reported = true;
  u.input_tokens = 1000;
  u.cached_input_tokens = 400;
  u.output_tokens = 10;
  EXPECT_EQ(cost_microusd("openai", "gpt-4o", u), 600 * 2.5 + 400 * 1.25 + 10 * 10);
  EXPECT_EQ(cost_microusd("openai", "gpt-4o-2024-08-06", u), cost_microusd("openai", "gpt-4o", u));
  EXPECT_EQ(cost_microusd("openai", "gpt-4o-mini", u), 126);  // 90 + 30 + 6
  u = Usage();
  u.reported = true;
  u.input_tokens = 1;
  EXPECT_EQ(cost_microusd("openai", "gpt-4o-mini", u), 1);
  EXPECT_EQ(cost_microusd("openai", "gpt-4o-audio", u), std::nullopt) << "unknown is never free";
  EXPECT_EQ(cost_microusd("ollama", "anything", u), 0);
  u.reported = false;
  EXPECT_EQ(cost_microusd("openai", "gpt-4o", u), std::nullopt);
  EXPECT_EQ(cost_microusd("ollama", "anything", u), 0);
  EXPECT_EQ(prices_date().size(), 10u);
}

TEST(RetryAfter, SecondsAndDates) {
  constexpr int64_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT
  EXPECT_EQ(parse_retry_after_ms("2", kNow), 2000);
  EXPECT_EQ(parse_retry_after_ms("0.5", kNow), 500);
  EXPECT_EQ(parse_retry_after_ms("Sun, 06 Nov 1994 08:49:47 GMT", kNow), 10000);
  EXPECT_EQ(parse_retry_after_ms("Sun, 06 Nov 1994 08:49:30 GMT", kNow), 0) << "stale";
  for (const char* bad : {"", "-1", "soon", "2 s", "nan", "inf", "1e99"})
    EXPECT_EQ(parse_retry_after_ms(bad, kNow), std::nullopt) << bad;
}

}  // namespace
}  // namespace samplemind::ai
