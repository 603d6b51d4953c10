// Providers of other dialects than OpenAI's, behind the gateway: what they are sent, how their
// answers and failures reach clients of each dialect.
#include <string>
#include <vector>

#include "ai/gateway.h"
#include "ai/provider/http.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

std::string event(std::string_view json) {
  const auto parsed = JsonValue::parse(json);
  return "event: " + std::string((*parsed)["type"].text()) + "\ndata: " + std::string(json) +
         "\n\n";
}

std::vector<std::string> anthropic_events() {
  return {
      event(
          R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929","content":[],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":1},"x_new":1}})"),
      event(
          R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"),
      event(R"({"type":"ping"})"),
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})"),
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}})"),
      event(R"({"type":"content_block_stop","index":0})"),
      event(
          R"({"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}})"),
      event(R"({"type":"message_stop"})")};
}

Reply events_reply(std::vector<std::string> pieces) {
  Reply r;
  r.type = "text/event-stream";
  r.pieces = std::move(pieces);
  return r;
}

const std::string kOverloaded =
    event(R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})");

Flags anthropic_flags(const FakeUpstream& up) {
  return {{"ai.anthropic.base_url", up.url("")}, {"ai.anthropic.api_key", "sk-ant-0123456789"}};
}
Flags gemini_flags(const FakeUpstream& up) {
  return {{"ai.gemini.base_url", up.url("")}, {"ai.gemini.api_key", "AIza0123456789"}};
}

MemorySink ask(Rig& rig, ChatRoute route, std::string body,
               const std::vector<std::pair<std::string, std::string>>& fields = {}) {
  MemorySink sink;
  net::Headers headers;
  for (const auto& [name, value] : fields) headers.add(name, value);
  CallContext context;
  context.headers = &headers;
  rig.loop.run_until_done(rig.shard->chat(context, route, body, sink));
  return sink;
}

ChatRoute route_of(Dialect dialect) {
  ChatRoute r;
  r.dialect = dialect;
  return r;
}

std::string openai_ask(bool stream) {
  return std::string(R"({"model":"anthropic/claude-sonnet-4-5","max_tokens":50,"messages":[)") +
         R"({"role":"user","content":"hi"}])" + (stream ? R"(,"stream":true})" : "}");
}
std::string anthropic_ask(bool stream) {
  return std::string(R"({"model":"claude/claude-sonnet-4-5","max_tokens":50,"messages":[)") +
         R"({"role":"user","content":"hi"}],"metadata":{"user_id":"u"})" +
         (stream ? R"(,"stream":true})" : "}");
}

TEST(AnthropicProvider, AskedInOneDialectHitInTheOthers) {
  FakeUpstream up([](const ai::test::Seen&, int) { return events_reply(anthropic_events()); });
  Rig rig(up, anthropic_flags(up));
  const MemorySink first = ask(rig, route_of(Dialect::kOpenAi), openai_ask(true));
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.cache(), "miss");
  EXPECT_NE(first.body.find("\"Hel\""), std::string::npos) << first.body;
  EXPECT_TRUE(first.body.ends_with("data: [DONE]\n\n")) << first.body;
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].path, "/v1/messages");
  EXPECT_NE(seen[0].head.find("x-api-key: sk-ant-0123456789"), std::string::npos);
  EXPECT_NE(seen[0].head.find("anthropic-version: 2023-06-01"), std::string::npos);
  EXPECT_EQ(seen[0].head.find("authorization"), std::string::npos);
  const auto sent = JsonValue::parse(seen[0].body);
  EXPECT_EQ((*sent)["model"].text(), "claude-sonnet-4-5");
  EXPECT_EQ((*sent)["max_tokens"].integer(), 50);
  // Its own client always names the version; that is no other request.
  const MemorySink whole = ask(rig, route_of(Dialect::kAnthropic), anthropic_ask(false),
                               {{"anthropic-version", "2023-06-01"}});
  EXPECT_EQ(whole.cache(), "hit-memory") << whole.body;
  EXPECT_EQ((*JsonValue::parse(whole.body))["content"][0]["text"].text(), "Hello");
  EXPECT_EQ((*JsonValue::parse(whole.body))["usage"]["output_tokens"].integer(), 7);
  const MemorySink streamed = ask(rig, route_of(Dialect::kAnthropic), anthropic_ask(true));
  EXPECT_EQ(streamed.cache(), "hit-memory");
  EXPECT_TRUE(streamed.body.starts_with("event: message_start\n")) << streamed.body;
  EXPECT_TRUE(
      streamed.body.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
  EXPECT_EQ(up.seen().size(), 1u);
}

TEST(AnthropicProvider, ItsOwnClientsGetItsBytes) {
  FakeUpstream up([](const ai::test::Seen&, int) { return events_reply(anthropic_events()); });
  Rig rig(up, anthropic_flags(up));
  const MemorySink sink = ask(rig, route_of(Dialect::kAnthropic), anthropic_ask(true),
                              {{"anthropic-beta", "new-thing"}, {"x-api-key", "of-the-client"}});
  std::string all;
  for (const std::string& piece : anthropic_events()) all += piece;
  EXPECT_EQ(sink.body, all);
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_NE(seen[0].head.find("anthropic-beta: new-thing"), std::string::npos);
  EXPECT_EQ(seen[0].head.find("of-the-client"), std::string::npos) << "a client's key went on";
  std::string expected = anthropic_ask(true);
  expected.replace(expected.find("claude/"), 7, "");
  EXPECT_EQ(seen[0].body, expected);
}

TEST(AnthropicProvider, OverloadedBeforeContentIsTriedAgain) {
  std::atomic<int> calls{0};
  FakeUpstream up([&](const ai::test::Seen&, int) {
    if (calls++ == 0) return events_reply({anthropic_events()[0], kOverloaded});
    return events_reply(anthropic_events());
  });
  Rig rig(up, anthropic_flags(up));
  const MemorySink sink = ask(rig, route_of(Dialect::kOpenAi), openai_ask(true));
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_TRUE(sink.body.ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(calls, 2);
}

TEST(AnthropicProvider, OverloadedAfterContentIsOneErrorAndNothingIsKept) {
  const auto broken = anthropic_events();
  FakeUpstream up([&](const ai::test::Seen&, int) {
    return events_reply({broken[0], broken[1], broken[3], kOverloaded});
  });
  Rig rig(up, anthropic_flags(up));
  const MemorySink openai = ask(rig, route_of(Dialect::kOpenAi), openai_ask(true));
  EXPECT_EQ(openai.body.find("[DONE]"), std::string::npos) << openai.body;
  EXPECT_NE(openai.body.find("Overloaded"), std::string::npos) << openai.body;
  const MemorySink own = ask(rig, route_of(Dialect::kAnthropic), anthropic_ask(true));
  EXPECT_NE(own.body.find("event: error\n"), std::string::npos) << own.body;
  EXPECT_EQ(own.body.find("message_stop"), std::string::npos);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

TEST(AnthropicProvider, ErrorsReachEachClientInItsOwnShape) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return json_reply(
        R"({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 300000 tokens > 200000 maximum"}})",
        400);
  });
  Rig rig(up, anthropic_flags(up));
  const MemorySink openai = ask(rig, route_of(Dialect::kOpenAi), openai_ask(false));
  EXPECT_EQ(openai.status, 400);
  EXPECT_EQ((*JsonValue::parse(openai.body))["error"]["code"].text(), "context_length_exceeded");
  const MemorySink own = ask(rig, route_of(Dialect::kAnthropic), anthropic_ask(false));
  EXPECT_EQ((*JsonValue::parse(own.body))["error"]["type"].text(), "invalid_request_error");
  ChatRoute gemini = route_of(Dialect::kGemini);
  gemini.model = "anthropic/claude-sonnet-4-5";
  const MemorySink third = ask(rig, gemini, R"({"contents":[{"parts":[{"text":"hi"}]}]})");
  EXPECT_EQ((*JsonValue::parse(third.body))["error"]["status"].text(), "INVALID_ARGUMENT");
}

TEST(AnthropicProvider, WhatItCannotExpressIsRefusedByNameAndNotSent) {
  FakeUpstream up([](const ai::test::Seen&, int) { return events_reply(anthropic_events()); });
  Rig rig(up, anthropic_flags(up));
  std::string body = openai_ask(false);
  body.insert(body.size() - 1, R"(,"logit_bias":{"1":1})");
  const MemorySink sink = ask(rig, route_of(Dialect::kOpenAi), body);
  EXPECT_EQ(sink.status, 400);
  EXPECT_NE(sink.body.find("logit_bias"), std::string::npos) << sink.body;
  EXPECT_TRUE(up.seen().empty());
}

constexpr std::string_view kGeminiAnswer =
    R"({"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"gemini-2.5-flash","responseId":"r1"})";

TEST(GeminiProvider, KeyTravelsInAHeaderOnly) {
  FakeUpstream up([](const ai::test::Seen& seen, int) {
    if (seen.path.find("stream") == std::string::npos)
      return json_reply(std::string(kGeminiAnswer));
    return events_reply({"data: " + std::string(kGeminiAnswer) + "\r\n\r\n"});
  });
  Rig rig(up, gemini_flags(up));
  const auto body = [](bool stream) {
    return std::string(
               R"({"model":"google/gemini-2.5-flash","messages":[{"role":"user","content":)") +
           (stream ? R"("one"}],"stream":true})" : R"("two"}]})");
  };
  for (const bool stream : {false, true}) {
    const MemorySink sink = ask(rig, route_of(Dialect::kOpenAi), body(stream));
    EXPECT_EQ(sink.status, 200) << sink.body;
    EXPECT_NE(sink.body.find("Hello"), std::string::npos) << sink.body;
  }
  for (const ai::test::Seen& seen : up.seen()) {
    EXPECT_TRUE(seen.path.starts_with("/v1beta/models/gemini-2.5-flash:")) << seen.path;
    EXPECT_EQ(seen.path.find("AIza"), std::string::npos);
    EXPECT_NE(seen.head.find("x-goog-api-key: AIza0123456789"), std::string::npos) << seen.head;
  }
}

TEST(GeminiProvider, StreamWithoutAReasonToFinishIsCut) {
  std::string half(kGeminiAnswer);
  half.replace(half.find(R"("finishReason":"STOP",)"), 22, "");
  FakeUpstream up(
      [&](const ai::test::Seen&, int) { return events_reply({"data: " + half + "\r\n\r\n"}); });
  Rig rig(up, gemini_flags(up));
  ChatRoute route = route_of(Dialect::kGemini);
  route.model = "gemini/gemini-2.5-flash";
  route.stream = true;
  const MemorySink sink = ask(rig, route, R"({"contents":[{"parts":[{"text":"hi"}]}]})");
  EXPECT_NE(sink.body.find("\"error\""), std::string::npos) << sink.body;
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

TEST(GeminiProvider, StreamAsAList) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return events_reply({"data: " + std::string(kGeminiAnswer) + "\r\n\r\n"});
  });
  Rig rig(up, gemini_flags(up));
  ChatRoute route = route_of(Dialect::kGemini);
  route.model = "gemini/gemini-2.5-flash";
  route.stream = route.list = true;
  for (const char* state : {"miss", "hit-memory"}) {
    const MemorySink sink = ask(rig, route, R"({"contents":[{"parts":[{"text":"hi"}]}]})");
    EXPECT_EQ(sink.cache(), state);
    EXPECT_EQ(sink.header("content-type"), "application/json");
    const auto list = JsonValue::parse(sink.body);
    ASSERT_TRUE(list.ok() && list->is_array()) << sink.body;
    EXPECT_EQ((*list)[0]["candidates"][0]["content"]["parts"][0]["text"].text(), "Hello");
  }
}

MemorySink count(Rig& rig, Dialect dialect, std::string_view body) {
  MemorySink sink;
  const net::Headers headers;
  CallContext context;
  context.headers = &headers;
  ChatRoute route = route_of(dialect);
  if (dialect == Dialect::kGemini) route.model = "claude/claude-sonnet-4-5";
  rig.loop.run_until_done(rig.shard->count_tokens(context, route, body, sink));
  return sink;
}

TEST(Provider, ErrorOfACountNamesItOnce) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return json_reply(R"({"type":"error","error":{"type":"api_error","message":"broken"}})", 500);
  });
  Rig rig(up,
          {{"ai.anthropic.base_url", up.url("")}, {"ai.anthropic.api_key", "sk-ant-0123456789"}});
  const MemorySink sink = count(rig, Dialect::kAnthropic, anthropic_ask(false));
  EXPECT_GE(sink.status, 400) << sink.body;
  const size_t first = sink.body.find("anthropic: ");
  ASSERT_NE(first, std::string::npos) << sink.body;
  EXPECT_EQ(sink.body.find("anthropic: ", first + 1), std::string::npos) << sink.body;
}

// A failed count is told as a failed chat is: the same status, the same words, in each dialect.
TEST(Provider, FailedCountIsToldAsAFailedChat) {
  std::mutex mutex;
  Reply reply;
  FakeUpstream up([&](const ai::test::Seen&, int) {
    const std::lock_guard lock(mutex);
    return reply;
  });
  const auto answer_with = [&](Reply next) {
    const std::lock_guard lock(mutex);
    reply = std::move(next);
  };
  Flags flags = anthropic_flags(up);
  flags.insert(flags.end(),
               {{"ai.attempts", "1"}, {"cache.negative", "0s"}, {"ai.breaker", "false"}});
  Rig rig(up, flags);
  const std::string contents = R"({"contents":[{"parts":[{"text":"hi"}]}]})";
  const auto as_chat = [&](Dialect dialect, const std::string& body) {
    ChatRoute route = route_of(dialect);
    if (dialect == Dialect::kGemini) route.model = "claude/claude-sonnet-4-5";
    return ask(rig, route, body);
  };
  for (const auto& [status, told] : std::vector<std::pair<int, int>>{
           {400, 400}, {401, 502}, {403, 502}, {404, 404}, {413, 413}, {429, 429}, {529, 503}}) {
    Reply next = json_reply(R"({"type":"error","error":{"type":"some_error","message":"m )" +
                                std::to_string(status) + "\"}}",
                            status);
    if (status == 429) next.fields = {"Retry-After: 7"};
    answer_with(std::move(next));
    for (const Dialect dialect : {Dialect::kAnthropic, Dialect::kGemini}) {
      SCOPED_TRACE(std::to_string(status) + " for " + std::string(dialect_name(dialect)));
      const std::string body = dialect == Dialect::kGemini ? contents : anthropic_ask(false);
      const MemorySink counted = count(rig, dialect, body);
      EXPECT_EQ(counted.status, told) << counted.body;
      const MemorySink chat = as_chat(dialect, body);
      EXPECT_EQ(counted.status, chat.status);
      EXPECT_EQ(counted.body, chat.body);
      EXPECT_EQ(counted.header("retry-after"), status == 429 ? "7" : "");
      // It was asked once, so the client's own tries multiply nothing.
      EXPECT_EQ(counted.header("x-should-retry"), "");
    }
  }
  for (const char* nonsense : {"{}", "[1", R"({"input_tokens":"many"})"}) {
    answer_with(json_reply(nonsense));
    const MemorySink sink = count(rig, Dialect::kAnthropic, anthropic_ask(false));
    EXPECT_EQ(sink.status, 502) << sink.body;
    EXPECT_NE(sink.body.find("no number of tokens"), std::string::npos) << sink.body;
  }
  answer_with(failing(Reply::End::kReset));
  EXPECT_EQ(count(rig, Dialect::kAnthropic, anthropic_ask(false)).status, 502);
  answer_with(json_reply(R"({"input_tokens":12})"));
  const MemorySink good = count(rig, Dialect::kGemini, contents);
  EXPECT_EQ(good.body, R"({"totalTokens":12})");
  EXPECT_EQ(good.header("x-samplemind-estimated"), "");
  EXPECT_EQ(good.header("x-samplemind-route"), "anthropic/claude-sonnet-4-5 (named)");
}

TEST(Provider, MissingPathsAreForgottenInTime) {
  using enum Dialect;
  MissingPaths paths;
  const SteadyTime start = SteadyTime() + std::chrono::hours(1);
  EXPECT_FALSE(paths.has(kCompletions, "m", start));
  paths.add(kCompletions, "m", start);
  EXPECT_TRUE(paths.has(kCompletions, "m", start + MissingPaths::kKnown - std::chrono::seconds(1)));
  EXPECT_FALSE(paths.has(kCompletions, "m", start + MissingPaths::kKnown));
  EXPECT_FALSE(paths.has(kCompletions, "other", start));
  EXPECT_FALSE(paths.has(kResponses, "m", start));
  paths.remove(kCompletions, "m");
  EXPECT_FALSE(paths.has(kCompletions, "m", start));
  for (size_t i = 0; i < MissingPaths::kMax; ++i)
    paths.add(kCompletions, "m" + std::to_string(i), start);
  EXPECT_FALSE(paths.has(kCompletions, "m", start)) << "more than its maximum";
  EXPECT_TRUE(paths.has(kCompletions, "m0", start));
}

TEST(Provider, EachHasItsOwnLimitsAndHttpVersion) {
  const auto made = [](const Flags& flags) {
    auto config = Config::load(config_keys(), "/nonexistent/config.toml", false, flags);
    EXPECT_TRUE(config.ok());
    return make_providers(*config);
  };
  for (const std::string name : {"openai", "anthropic", "gemini", "ollama"}) {
    const std::string own = "ai." + name + ".";
    for (const auto& [http, good] :
         {std::pair("auto", true), {"1", true}, {"2", true}, {"3", false}}) {
      Flags flags{{own + "http", http}};
      if (name != "ollama") flags.emplace_back(own + "api_key", "sk-test-0123456789");
      for (const auto& provider : made(flags)) {
        if (provider->name() != name) continue;
        EXPECT_EQ(provider->configured(), good) << name << http;
      }
    }
  }
  // Its own limits go before those of all.
  FakeUpstream up([](const ai::test::Seen&, int n) {
    if (n > 0) return failing(Reply::End::kStall);
    Reply stall = sse_reply({good_stream()[0], good_stream()[1]}, false);
    stall.end = Reply::End::kStall;
    return stall;
  });
  Rig rig(up, {{"ai.openai.idle_timeout", "50ms"},
               {"ai.openai.total_timeout", "150ms"},
               {"ai.attempts", "1"}});
  const MemorySink idle = rig.chat(ask_body("hi", true));
  EXPECT_NE(idle.body.find("\"error\""), std::string::npos) << idle.body;
  const MemorySink total = rig.chat(ask_body("again"));
  EXPECT_EQ(total.status, 504) << total.body;
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

}  // namespace
}  // namespace samplemind::ai::test
