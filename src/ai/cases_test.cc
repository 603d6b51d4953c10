// The cache failures of other gateways, one test a case: what makes a key (A) and what may be kept
// (B), and what is of no part alone (D4, E2). The other tests are beside their parts: docs/cases.md
// says which test shows which case.
#include <thread>

#include "ai/gateway.h"
#include "ai/test_support.h"
#include "base/json.h"
#include "net/sse.h"

namespace samplemind::ai::test {
namespace {

constexpr std::string_view kQuestion = R"("messages":[{"role":"user","content":"hi"}])";

std::string with(std::string_view members, std::string_view messages = kQuestion) {
  return R"({"model":"openai/gpt-4o-mini",)" + std::string(messages) +
         (members.empty() ? "" : "," + std::string(members)) + "}";
}
std::string content_of(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["choices"][0]["message"]["content"].string_or("") : "no JSON";
}
FakeUpstream counting() {
  return FakeUpstream(
      [](const Seen&, int n) { return json_reply(answer_body("answer " + std::to_string(n))); });
}

// Each of the bodies asks something else: none may be answered by another's answer.
void expect_apart(const std::vector<std::string>& bodies) {
  FakeUpstream up = counting();
  Rig rig(up);
  for (size_t i = 0; i < bodies.size(); ++i) {
    const MemorySink sink = rig.chat(bodies[i]);
    EXPECT_EQ(sink.status, 200) << sink.body;
    EXPECT_EQ(sink.cache(), "miss") << bodies[i];
    EXPECT_EQ(content_of(sink), "answer " + std::to_string(i));
  }
  for (size_t i = 0; i < bodies.size(); ++i)
    EXPECT_EQ(content_of(rig.chat(bodies[i])), "answer " + std::to_string(i)) << bodies[i];
  EXPECT_EQ(up.chats(), static_cast<int>(bodies.size()));
}
void expect_same(const std::vector<std::string>& bodies) {
  FakeUpstream up = counting();
  Rig rig(up);
  for (const std::string& body : bodies) EXPECT_EQ(content_of(rig.chat(body)), "answer 0") << body;
  EXPECT_EQ(up.chats(), 1);
}

TEST(Cases, A1_EveryMemberCountsButTheIgnored) {
  expect_apart({with(""), with(R"("max_tokens":10)"), with(R"("max_tokens":11)"),
                with(R"("logit_bias":{"50256":-100})"), with(R"("stop":["x"])"),
                with(R"("seed":1)"), with(R"("temperature":0.1)"), with(R"("temperature":0.2)")});
  expect_same({with(""), with(R"("user":"a")"), with(R"("user":"b")"),
               with(R"("metadata":{"trace":"1"})"), with(R"("service_tier":"flex")")});
}

TEST(Cases, A2_AnotherModelIsAnotherKeyAndNoCacheReadsNothing) {
  FakeUpstream up = counting();
  Rig rig(up);
  EXPECT_EQ(content_of(rig.chat(with(""))), "answer 0");
  std::string other = with("");
  other.replace(other.find("gpt-4o-mini"), 11, "gpt-4o");
  EXPECT_EQ(content_of(rig.chat(other)), "answer 1");
  EXPECT_EQ(content_of(rig.chat(with(""), {{"cache-control", "no-cache"}})), "answer 2");
  EXPECT_EQ(content_of(rig.chat(with(""))), "answer 2") << "and what it got is the newer answer";
}

TEST(Cases, A3_MembersOfOneProviderCount) {
  expect_apart({with(R"("top_k":1)"), with(R"("top_k":2)"), with(R"("options":{"num_ctx":2048})"),
                with(R"("options":{"num_ctx":4096})"), with(R"("x_vendor":true)")});
}

TEST(Cases, A4_ReasoningCounts) {
  expect_apart({with(""), with(R"("reasoning_effort":"low")"), with(R"("reasoning_effort":"high")"),
                with(R"("thinking":{"type":"enabled","budget_tokens":1024})"),
                with(R"("thinking":{"type":"enabled","budget_tokens":2048})")});
}

TEST(Cases, A5_OrderOfMembersDoesNotMatter) {
  expect_same({with(R"("seed":7,"top_p":0.5)"), with(R"("top_p":5e-1 , "seed" : 7.0)"),
               R"({"top_p":0.50,"seed":7,"messages":[{"content":"h\u0069","role":"user"}],)"
               R"("model":"openai/gpt-4o-mini"})"});
}

TEST(Cases, A6_SchemasAreComparedByTheirMeaning) {
  const std::string schema =
      R"("response_format":{"type":"json_schema","json_schema":{"name":"n","schema":)";
  expect_same({with(schema + R"({"type":"object","properties":{"a":{},"b":{}}}}})"),
               with(schema + R"({"properties":{"b":{},"a":{}},"type":"object"}}})")});
  expect_apart({with(schema + R"({"type":"object","required":["a","b"]}}})"),
                with(schema + R"({"type":"object","required":["b","a"]}}})")});
}

TEST(Cases, A7_PicturesAndSoundsCountByteByByte) {
  const auto picture = [](std::string_view base64) {
    return with("", R"("messages":[{"role":"user","content":[{"type":"text","text":"what?"},)"
                    R"({"type":"image_url","image_url":{"url":"data:image/png;base64,)" +
                        std::string(base64) + R"("}}]}])");
  };
  const auto sound = [](std::string_view base64) {
    return with("", R"("messages":[{"role":"user","content":[{"type":"text","text":"what?"},)"
                    R"({"type":"input_audio","input_audio":{"format":"wav","data":")" +
                        std::string(base64) + R"("}}]}])");
  };
  expect_apart({picture("AAAA"), picture("AAAB"), sound("AAAA"), sound("AAAB")});
  expect_same({picture("AAAA"), picture("AAAA")});
}

TEST(Cases, A8_TenantsDoNotShare) {
  FakeUpstream up = counting();
  Rig rig(up);
  EXPECT_EQ(content_of(rig.chat(with(""), {}, "one")), "answer 0");
  EXPECT_EQ(content_of(rig.chat(with(""), {}, "two")), "answer 1");
  EXPECT_EQ(content_of(rig.chat(with(""), {}, "one")), "answer 0");
  EXPECT_EQ(content_of(rig.chat(with(""), {}, "two")), "answer 1");
}

TEST(Cases, B1_FailuresAreNotKept) {
  for (const int status : {401, 429, 500, 503}) {
    FakeUpstream up([status](const Seen&, int n) {
      return n == 0 ? json_reply(answer_body("not this"), status) : json_reply(answer_body("this"));
    });
    Rig rig(up, {{"ai.attempts", "1"}});
    EXPECT_GE(rig.chat(with("")).status, 400) << status;
    const MemorySink sink = rig.chat(with(""));
    EXPECT_EQ(sink.status, 200) << status;
    EXPECT_EQ(sink.cache(), "miss");
    EXPECT_EQ(content_of(sink), "this");
  }
}

TEST(Cases, B2_WhatIsCutIsNotKept) {
  std::vector<std::string> no_finish = good_stream();
  no_finish.erase(no_finish.begin() + 3);
  Reply cut = sse_reply(good_stream(), false);
  cut.end = Reply::End::kCut;
  Reply half = json_reply(answer_body("half an answer").substr(0, 100));
  for (const Reply& bad : {sse_reply(good_stream(), false), cut, sse_reply(no_finish)}) {
    FakeUpstream up([&](const Seen&, int n) { return n == 0 ? bad : sse_reply(good_stream()); });
    Rig rig(up, {{"ai.attempts", "1"}});
    const MemorySink first = rig.chat(with(R"("stream":true)"));
    EXPECT_EQ(first.body.find("[DONE]"), std::string::npos);
    EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
    const MemorySink second = rig.chat(with(R"("stream":true)"));
    EXPECT_EQ(second.cache(), "miss");
    EXPECT_NE(second.body.find("[DONE]"), std::string::npos);
  }
  FakeUpstream up([&](const Seen&, int) { return half; });
  Rig rig(up, {{"ai.attempts", "1"}});
  EXPECT_GE(rig.chat(with("")).status, 500);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

struct Replay {
  std::string text, reasoning, refusal, arguments, name, finish;
  size_t tools = 0, logprobs = 0;
  int64_t tokens = 0;
  bool done = false;
  bool operator==(const Replay&) const = default;
};

// Both forms of an answer, brought to one.
Replay read_whole(std::string_view body) {
  Replay r;
  const auto v = JsonValue::parse(body);
  EXPECT_TRUE(v.ok()) << body;
  if (!v.ok()) return r;
  const JsonValue& choice = (*v)["choices"][0];
  r.text = choice["message"]["content"].string_or("");
  r.reasoning = choice["message"]["reasoning_content"].string_or("");
  r.refusal = choice["message"]["refusal"].string_or("");
  for (const JsonValue& t : choice["message"]["tool_calls"].items()) {
    ++r.tools;
    r.name += t["function"]["name"].string_or("");
    r.arguments += t["function"]["arguments"].string_or("");
  }
  r.logprobs = choice["logprobs"]["content"].size();
  r.finish = choice["finish_reason"].string_or("");
  r.tokens = (*v)["usage"]["completion_tokens"].integer_or(0);
  r.done = true;
  return r;
}
Replay read_stream(std::string_view body) {
  Replay r;
  net::SseReader reader;
  EXPECT_TRUE(reader.feed(body).ok());
  while (auto event = reader.next()) {
    if (event->data == "[DONE]") {
      r.done = true;
      continue;
    }
    const auto v = JsonValue::parse(event->data);
    EXPECT_TRUE(v.ok()) << event->data;
    if (!v.ok()) continue;
    const JsonValue& choice = (*v)["choices"][0];
    r.text += choice["delta"]["content"].string_or("");
    r.reasoning += choice["delta"]["reasoning_content"].string_or("");
    r.refusal += choice["delta"]["refusal"].string_or("");
    for (const JsonValue& t : choice["delta"]["tool_calls"].items()) {
      r.tools = std::max<size_t>(r.tools, static_cast<size_t>(t["index"].integer_or(0)) + 1);
      r.name += t["function"]["name"].string_or("");
      r.arguments += t["function"]["arguments"].string_or("");
    }
    r.logprobs += choice["logprobs"]["content"].size();
    if (auto f = choice["finish_reason"].string()) r.finish = *f;
    r.tokens = std::max(r.tokens, (*v)["usage"]["completion_tokens"].integer_or(0));
  }
  EXPECT_FALSE(reader.partial());
  return r;
}

std::string rich_answer() {
  return R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
         R"("message":{"role":"assistant","content":"text","reasoning_content":"because",)"
         R"("refusal":"not that","tool_calls":[{"id":"a","type":"function","function":{"name":"f",)"
         R"("arguments":"{\"x\":1}"}},{"id":"b","type":"function","function":{"name":"g",)"
         R"("arguments":"{}"}}]},"logprobs":{"content":[{"token":"text","logprob":-0.5,"bytes":[1],)"
         R"("top_logprobs":[]}],"refusal":null},"finish_reason":"tool_calls"}],)"
         R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})";
}

// B4, B5, B6: from memory and from disk, in the form it came and in the other, nothing is lost, and
// a replayed stream is a valid one.
TEST(Cases, B4_B5_B6_AnswersAreReplayedInEitherFormWithAllTheyHold) {
  FakeUpstream up([](const Seen&, int) { return json_reply(rich_answer()); });
  const Replay wanted = read_whole(rich_answer());
  const TempFolder folder;
  const std::string whole = with("");
  const std::string stream = with(R"("stream":true,"stream_options":{"include_usage":true})");
  {
    Rig rig(up, {}, folder.path());
    EXPECT_EQ(read_whole(rig.chat(whole).body), wanted);
    const MemorySink again = rig.chat(whole);
    EXPECT_EQ(again.cache(), "hit-memory");
    EXPECT_EQ(read_whole(again.body), wanted);
    EXPECT_EQ(read_whole(rig.chat(whole).body), wanted) << "and once more";
    EXPECT_EQ(read_stream(rig.chat(stream).body), wanted);
    rig.gateway->flush();
  }
  for (const std::string& first : {whole, stream}) {
    Rig rig(up, {}, folder.path());
    const MemorySink sink = rig.chat(first);
    EXPECT_EQ(sink.cache(), "hit-disk");
    EXPECT_EQ(first == whole ? read_whole(sink.body) : read_stream(sink.body), wanted);
    EXPECT_EQ(read_whole(rig.chat(whole).body), wanted);
    EXPECT_EQ(read_stream(rig.chat(stream).body), wanted);
  }
  EXPECT_EQ(up.chats(), 1);
}

// There is no cache of nearly equal questions: one word, sign or digit is another question.
TEST(Cases, B7_NearlyTheSameIsNotTheSame) {
  std::vector<std::string> bodies;
  for (const char* text :
       {"turn the reverb on", "turn the reverb off", "do not turn the reverb on", "is 120 bpm fast",
        "is 121 bpm fast", "is -120 bpm fast", "Is 120 bpm fast", "is 120 bpm fast?"})
    bodies.push_back(
        with("", R"("messages":[{"role":"user","content":")" + std::string(text) + "\"}]"));
  expect_apart(bodies);
}

TEST(Cases, B9_HitsTellWhatTheySaveAndKeepTheUsage) {
  FakeUpstream up = counting();
  Rig rig(up);
  const MemorySink paid = rig.chat(with(""));
  const MemorySink hit = rig.chat(with(""));
  EXPECT_EQ(hit.header("x-samplemind-cost-microusd"), "0");
  EXPECT_GT(std::stoll(paid.header("x-samplemind-cost-microusd")), 0);
  EXPECT_EQ(hit.header("x-samplemind-saved-microusd"), paid.header("x-samplemind-cost-microusd"));
  EXPECT_EQ(read_whole(hit.body).tokens, read_whole(paid.body).tokens);
  EXPECT_EQ(hit.cache(), "hit-memory");
}

TEST(Cases, B10_TheStoreHealsItself) {
  FakeUpstream up = counting();
  Rig rig(up);
  EXPECT_EQ(rig.chat(with(""), {{"x-samplemind-cache-ttl", "never"}}).status, 400);
  EXPECT_EQ(up.chats(), 0);
  rig.chat(with(""));
  rig.chat(with(""));
  const auto cleared = rig.loop.run_until_done(rig.shard->clear_cache(CacheFilter()));
  ASSERT_TRUE(cleared.ok());
  EXPECT_EQ(cleared->entries, 1u);
  EXPECT_EQ(rig.chat(with("")).cache(), "miss") << "what is remembered of the body leads nowhere";
  EXPECT_EQ(rig.chat(with("")).cache(), "hit-memory");
}

// A first target that says nothing leaves the second its share of the time.
TEST(Cases, D4_ASilentTargetDoesNotStarveTheNext) {
  FakeUpstream silent([](const Seen& seen, int) {
    return seen.path == "/api/tags" ? json_reply(R"({"models":[{"name":"tiny:latest"}]})")
                                    : failing(Reply::End::kStall);
  });
  FakeUpstream good([](const Seen& seen, int) {
    return seen.path == "/v1/models" ? json_reply(R"({"data":[{"id":"gpt-4o-mini"}]})")
                                     : json_reply(answer_body("in time"));
  });
  Rig rig(good,
          {{"ai.ollama.host", "127.0.0.1:" + std::to_string(silent.port())},
           {"ai.total_timeout", "1s"}},
          {}, false, &system_clock());
  const MemorySink sink =
      rig.chat(R"({"model":"auto","messages":[{"role":"user","content":"how long is a bar"}]})");
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_EQ(content_of(sink), "in time");
  EXPECT_EQ(silent.chats(), 1);
}

// A cold local model may hold back its headers for minutes: its limit is its own, and nobody who
// leaves stops the load that others wait for (SingleFlight.FirstClientLeavingHarmsNobody).
TEST(Cases, E2_AColdLocalModelIsWaitedFor) {
  const auto defaults = Config::load(config_keys(), "/nonexistent/config.toml", false, {});
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(defaults->duration_ms("ai.ollama.first_byte_timeout"), 300000);
  EXPECT_EQ(defaults->duration_ms("ai.openai.first_byte_timeout"), 60000);
  std::promise<void> loaded;
  FakeUpstream cold([&, wait = loaded.get_future().share()](const Seen& seen, int) {
    if (seen.path == "/api/tags") return json_reply(R"({"models":[{"name":"tiny:latest"}]})");
    Reply r = json_reply(
        R"({"model":"tiny:latest","message":{"role":"assistant","content":"awake"},"done":true,)"
        R"("done_reason":"stop","prompt_eval_count":5,"eval_count":2})"
        "\n");
    r.wait_before = wait;
    return r;
  });
  Rig rig(cold, {{"ai.openai.first_byte_timeout", "20ms"}, {"ai.idle_timeout", "20ms"}}, {}, true);
  std::thread loading([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));  // longer than any other limit
    loaded.set_value();
  });
  const MemorySink sink =
      rig.chat(R"({"model":"ollama/tiny:latest","messages":[{"role":"user","content":"hi"}]})");
  loading.join();
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_EQ(content_of(sink), "awake");
  EXPECT_EQ(cold.chats(), 1);
}

}  // namespace
}  // namespace samplemind::ai::test
