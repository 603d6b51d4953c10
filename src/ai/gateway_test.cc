#include "ai/gateway.h"

#include <algorithm>

#include "ai/test_support.h"
#include "base/json.h"
#include "net/sse.h"

namespace samplemind::ai::test {
namespace {

// What a client makes of an event stream: the text of the first choice, and whether it ended well.
struct Told {
  std::string text, finish, error;
  bool done = false;
  bool usage = false;
  bool role_first = false;
};
Told read_events(std::string_view body) {
  Told told;
  net::SseReader reader;
  EXPECT_TRUE(reader.feed(body).ok());
  bool first = true;
  while (auto event = reader.next()) {
    EXPECT_FALSE(told.done) << "something follows [DONE]";
    if (event->data == "[DONE]") {
      told.done = true;
      continue;
    }
    const auto parsed = JsonValue::parse(event->data);
    EXPECT_TRUE(parsed.ok()) << event->data;
    if (!parsed.ok()) continue;
    if (auto message = (*parsed)["error"]["message"].string()) told.error += *message;
    const JsonValue& choice = (*parsed)["choices"][0];
    if (first) told.role_first = choice["delta"]["role"].string_or("") == "assistant";
    first = false;
    told.text += choice["delta"]["content"].string_or("");
    if (auto finish = choice["finish_reason"].string()) told.finish = *finish;
    told.usage |= (*parsed)["usage"].is_object();
  }
  EXPECT_FALSE(reader.partial());
  return told;
}

std::string error_code(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["error"]["code"].string_or("") : "no JSON";
}
std::string error_message(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["error"]["message"].string_or("") : "no JSON";
}
std::string content_of(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["choices"][0]["message"]["content"].string_or("") : "no JSON";
}

TEST(Gateway, RepeatedRequestIsAnsweredFromMemoryWithoutAnUpstreamCall) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("Hello")); });
  Rig rig(up);
  const MemorySink first = rig.chat(ask_body("hi"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.cache(), "miss");
  EXPECT_EQ(first.body, answer_body("Hello")) << "the same dialect passes untouched";
  EXPECT_EQ(first.header("x-samplemind-cost-microusd"), "210");  // 1000 * 0.15 + 100 * 0.60
  rig.clock.advance(std::chrono::seconds(61));
  const MemorySink second = rig.chat(ask_body("hi"));
  EXPECT_EQ(second.cache(), "hit-memory");
  EXPECT_EQ(content_of(second), "Hello");
  EXPECT_EQ(second.header("age"), "61");
  EXPECT_EQ(second.header("x-samplemind-cost-microusd"), "0");
  EXPECT_EQ(second.header("x-samplemind-saved-microusd"), "210");
  EXPECT_EQ(second.header("x-samplemind-cache-key"), first.header("x-samplemind-cache-key"));
  EXPECT_NE(second.body.find("\"system_fingerprint\":\"fp_1\""), std::string::npos);
  const MemorySink third = rig.chat(ask_body("hi"));  // by the shortcut of bodies seen before
  EXPECT_EQ(third.body, second.body);
  EXPECT_EQ(up.chats(), 1);
  const CacheStats stats = rig.gateway->cache_stats();
  EXPECT_EQ(stats.hits_memory, 2u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.saved_microusd, 420u);
}

TEST(Gateway, RequestReachesTheUpstreamUnchangedButForItsModel) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
  Rig rig(up);
  rig.chat(
      R"( { "top_k" : 5 , "model" : "openai/gpt-4o-mini","messages":[{"role":"user","content":"h\u00e9","x_new":[1.50]}]})",
      {{"OpenAI-Beta", "b1"}, {"Authorization", "Bearer client-secret"}});
  const Seen seen = up.seen().at(0);
  EXPECT_EQ(
      seen.body,
      R"( { "top_k" : 5 , "model" : "gpt-4o-mini","messages":[{"role":"user","content":"h\u00e9","x_new":[1.50]}]})");
  EXPECT_EQ(seen.path, "/v1/chat/completions");
  EXPECT_NE(seen.head.find("Bearer sk-test-0123456789"), std::string::npos) << seen.head;
  EXPECT_EQ(seen.head.find("client-secret"), std::string::npos);
  EXPECT_NE(seen.head.find("b1"), std::string::npos);
}

TEST(Gateway, StreamIsStoredAndReplayedWholeAndStreamed) {
  FakeUpstream up([](const Seen&, int) { return sse_reply(good_stream()); });
  Rig rig(up);
  const MemorySink live = rig.chat(ask_body("hi", true));
  Told told = read_events(live.body);
  EXPECT_EQ(live.cache(), "miss");
  EXPECT_EQ(told.text, "Hello");
  EXPECT_TRUE(told.done && told.role_first);
  EXPECT_FALSE(told.usage) << "usage only for clients who asked for it";
  EXPECT_NE(up.seen().at(0).body.find("\"include_usage\":true"), std::string::npos);
  const MemorySink whole = rig.chat(ask_body("hi"));
  EXPECT_EQ(whole.cache(), "hit-memory");
  EXPECT_EQ(content_of(whole), "Hello");
  EXPECT_NE(whole.body.find("\"prompt_tokens\":1000"), std::string::npos);
  const MemorySink streamed =
      rig.chat(ask_body("hi", true, R"(,"stream_options":{"include_usage":true})"));
  told = read_events(streamed.body);
  EXPECT_EQ(streamed.cache(), "hit-memory");
  EXPECT_EQ(told.text, "Hello");
  EXPECT_EQ(told.finish, "stop");
  EXPECT_TRUE(told.done && told.role_first && told.usage);
  EXPECT_EQ(up.chats(), 1);
}

TEST(Gateway, WholeAnswerIsReplayedAsStream) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("Hello")); });
  Rig rig(up);
  rig.chat(ask_body("hi"));
  const MemorySink streamed = rig.chat(ask_body("hi", true));
  const Told told = read_events(streamed.body);
  EXPECT_EQ(streamed.cache(), "hit-memory");
  EXPECT_EQ(streamed.header("content-type"), "text/event-stream");
  EXPECT_EQ(told.text, "Hello");
  EXPECT_TRUE(told.done && told.role_first);
}

TEST(Gateway, MissingRoleIsAddedToTheFirstChunk) {
  FakeUpstream up([](const Seen&, int) {
    return sse_reply(
        {chunk(R"({"content":"a"})"), chunk(R"({"content":"b"})"), chunk("{}", "stop")});
  });
  Rig rig(up);
  const MemorySink live = rig.chat(ask_body("hi", true));
  EXPECT_TRUE(read_events(live.body).role_first);
  EXPECT_EQ(live.body.find("role", live.body.find("role") + 4), std::string::npos) << live.body;
}

// --- What is never kept -----------------------------------------------------------------------

struct Incomplete {
  const char* name;
  Reply reply;
};
class NeverStored : public testing::TestWithParam<int> {};
std::vector<Incomplete> incomplete_answers() {
  std::vector<std::string> good = good_stream();
  Reply cut = sse_reply({good[0], good[1]}, false);
  cut.end = Reply::End::kCut;
  Reply reset = cut;
  reset.end = Reply::End::kReset;
  Reply no_done = sse_reply(good, false);
  Reply malformed = sse_reply({good[0], good[1], "{\"choices\":[{", good[3]});
  Reply no_finish = sse_reply({good[0], good[1]});
  Reply error_inside =
      sse_reply({good[0], good[1], R"({"error":{"message":"overloaded","type":"server_error"}})"});
  return {{"cut", cut},       {"reset", reset},         {"no [DONE]", no_done},
          {"bad", malformed}, {"no finish", no_finish}, {"error", error_inside}};
}
TEST_P(NeverStored, BrokenStreamEndsWithOneErrorEventAndIsNotKept) {
  const Incomplete broken = incomplete_answers()[static_cast<size_t>(GetParam())];
  SCOPED_TRACE(broken.name);
  FakeUpstream up(
      [&](const Seen&, int n) { return n == 0 ? broken.reply : sse_reply(good_stream()); });
  Rig rig(up);
  const MemorySink sink = rig.chat(ask_body("hi", true));
  EXPECT_EQ(sink.status, 200) << "content had gone out before";
  const Told told = read_events(sink.body);
  EXPECT_NE(told.error, "");
  EXPECT_FALSE(told.done);
  EXPECT_TRUE(sink.finished);
  EXPECT_EQ(up.chats(), 1) << "no second try after content";
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
  EXPECT_EQ(rig.chat(ask_body("hi", true)).cache(), "miss");
  EXPECT_EQ(up.chats(), 2);
}
INSTANTIATE_TEST_SUITE_P(All, NeverStored, testing::Range(0, 6));

TEST(Gateway, FailureBeforeContentIsTriedAgain) {
  for (const Reply& bad : {failing(Reply::End::kReset), failing(Reply::End::kCut),
                           json_reply(R"({"error":{"message":"boom"}})", 500),
                           json_reply("not json", 503), sse_reply({good_stream()[0]}, false)}) {
    FakeUpstream up([&](const Seen&, int n) { return n == 0 ? bad : sse_reply(good_stream()); });
    Rig rig(up);
    const MemorySink sink = rig.chat(ask_body("hi", true));
    EXPECT_EQ(read_events(sink.body).text, "Hello") << bad.status;
    EXPECT_TRUE(read_events(sink.body).done);
    EXPECT_GE(up.chats(), 2);
  }
}

TEST(Gateway, TriesAreBounded) {
  FakeUpstream up([](const Seen&, int) {
    Reply r = json_reply(R"({"error":{"message":"slow down","code":"rate_limit_exceeded"}})", 429);
    r.fields = {"Retry-After: 0"};
    return r;
  });
  Rig rig(up);
  const MemorySink sink = rig.chat(ask_body("hi"));
  EXPECT_EQ(sink.status, 429);
  EXPECT_EQ(sink.header("retry-after"), "0");
  EXPECT_EQ(sink.header("x-should-retry"), "false") << "the client would make nine of three";
  EXPECT_EQ(error_code(sink), "rate_limit_exceeded");
  EXPECT_EQ(up.chats(), 3);
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "");
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

// A model that keeps failing is left alone, then probed; another model of the same provider is not
// touched by that.
TEST(Gateway, FailingModelIsLeftAloneAndProbed) {
  std::atomic<bool> broken = true;
  FakeUpstream up([&](const Seen& seen, int) {
    const bool bad = broken && seen.body.find("gpt-4o-mini") != std::string::npos;
    return bad ? json_reply(R"({"error":{"message":"down"}})", 503) : json_reply(answer_body("x"));
  });
  Rig rig(up, {{"ai.attempts", "1"}});
  int number = 0;
  const auto ask = [&] { return rig.chat(ask_body("n" + std::to_string(number++))); };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(error_message(ask()), "openai: down");
  EXPECT_EQ(up.chats(), 10);
  const MemorySink paused = ask();
  EXPECT_EQ(paused.status, 503);
  EXPECT_EQ(error_code(paused), "upstream_paused");
  EXPECT_EQ(paused.header("retry-after"), "5");
  EXPECT_NE(error_message(paused).find("gpt-4o-mini"), std::string::npos);
  EXPECT_EQ(up.chats(), 10) << "no call";
  EXPECT_EQ(
      rig.chat(R"({"model":"openai/other","messages":[{"role":"user","content":"x"}]})").status,
      200);
  rig.clock.advance(std::chrono::seconds(5));
  EXPECT_EQ(error_message(ask()), "openai: down") << "the probe";
  EXPECT_EQ(error_code(ask()), "upstream_paused");
  rig.clock.advance(std::chrono::seconds(10));
  broken = false;
  EXPECT_EQ(ask().status, 200);
  EXPECT_EQ(ask().status, 200);
  EXPECT_EQ(up.chats(), 14);
}

TEST(Gateway, RetriesAreAShareOfTheCalls) {
  FakeUpstream up([](const Seen&, int) {
    return json_reply(R"({"error":{"message":"busy"}})", 429);  // says nothing of the health
  });
  Rig rig(up);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(rig.chat(ask_body("n" + std::to_string(i))).status, 429);
  // 50 calls, the reserve of 10 retries, a fifth of 50 more.
  EXPECT_GE(up.chats(), 65);
  EXPECT_LE(up.chats(), 70);
}

// Every call takes 30 ms of the clock, which the second try then waits for: it cannot come first.
TEST(Hedge, SecondTryAnswersForASlowFirst) {
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> slow_call = -1;
  FakeClock* clock = nullptr;
  FakeUpstream up([&](const Seen&, int n) {
    clock->advance(std::chrono::milliseconds(30));
    Reply r = sse_reply(good_stream());
    if (n == slow_call) r.wait_after_first = released;  // the role alone, then nothing
    return r;
  });
  Rig rig(up, {{"ai.hedge", "true"}});
  clock = &rig.clock;
  for (int i = 0; i < 20; ++i) {
    const MemorySink sink = rig.chat(ask_body("n" + std::to_string(i), true));
    EXPECT_EQ(read_events(sink.body).text, "Hello");
  }
  EXPECT_EQ(up.chats(), 20) << "no second try before enough is known";
  // Usually one; more where a call began before the one before it was read to its very end.
  const size_t idle = rig.shard->connections();
  slow_call = 20;
  const Counter& spent =
      rig.metrics.counter("samplemind_cost_microusd_total", "Spent, in millionths of a dollar.");
  const uint64_t spent_before = spent.value();
  const MemorySink sink = rig.chat(ask_body("slow", true));
  const Told told = read_events(sink.body);
  EXPECT_EQ(told.text, "Hello");
  EXPECT_TRUE(told.done && told.role_first);
  EXPECT_EQ(up.chats(), 22);
  EXPECT_EQ(
      rig.metrics
          .counter("samplemind_upstream_hedges_won_total", "Second tries that answered sooner.")
          .value(),
      1u);
  // The loser had read the question, too: 1000 tokens more at $0.15 a million.
  EXPECT_EQ(spent.value() - spent_before, 210u + 150u);
  EXPECT_EQ(rig.chat(ask_body("slow")).cache(), "hit-memory");
  // The loser was cancelled: its connection is closed, not kept. The winner took an idle one where
  // there was a second.
  const size_t kept = std::max<size_t>(1, idle - 1);
  for (int i = 0; i < 2000 && rig.shard->connections() > kept; ++i)
    rig.loop.run_until_done(rig.loop.sleep_for(std::chrono::milliseconds(1)));
  EXPECT_EQ(rig.shard->connections(), kept);
  // Tools may act: never twice.
  slow_call = 22;
  release.set_value();
  const MemorySink tools = rig.chat(
      ask_body("tools", true, R"(,"tools":[{"type":"function","function":{"name":"f"}}])"));
  EXPECT_EQ(read_events(tools.body).text, "Hello");
  EXPECT_EQ(up.chats(), 23);
}

TEST(Gateway, LongRetryAfterIsHandedOnAndNotWaitedFor) {
  FakeUpstream up([](const Seen&, int) {
    Reply r = json_reply(R"({"error":{"message":"slow down"}})", 429);
    r.fields = {"Retry-After: 300"};
    return r;
  });
  Rig rig(up);
  const MemorySink sink = rig.chat(ask_body("hi"));
  EXPECT_EQ(sink.status, 429);
  EXPECT_EQ(sink.header("retry-after"), "300");
  EXPECT_EQ(sink.header("x-should-retry"), "") << "later is fine";
  EXPECT_EQ(up.chats(), 1);
}

TEST(Gateway, RetryIsNoSoonerThanTheProviderAsks) {
  std::vector<SteadyTime> calls;
  FakeUpstream up([&](const Seen&, int n) {
    calls.push_back(system_clock().steady());
    Reply r = json_reply(R"({"error":{"message":"slow down"}})", 429);
    r.fields = {"retry-after-ms: 60"};
    return n == 0 ? r : json_reply(answer_body("x"));
  });
  Rig rig(up);
  EXPECT_EQ(rig.chat(ask_body("hi")).status, 200);
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_GE(calls[1] - calls[0], std::chrono::milliseconds(60));
}

TEST(Gateway, OneDeadlineCoversAllTries) {
  FakeUpstream up([](const Seen&, int) { return failing(Reply::End::kStall); });
  Rig rig(up, {{"ai.total_timeout", "50ms"}}, {}, false, &system_clock());
  EXPECT_EQ(rig.chat(ask_body("hi")).status, 504);
  EXPECT_EQ(up.chats(), 1);
}

TEST(Gateway, ModelNamesCannotForgeHeaders) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
  Rig rig(up);
  const std::string body =
      R"({"model":"openai/a\r\nset-cookie: b","messages":[{"role":"user","content":"x"}]})";
  for (const char* state : {"miss", "hit-memory"}) {
    const MemorySink sink = rig.chat(body);
    EXPECT_EQ(sink.cache(), state);
    EXPECT_EQ(sink.header("x-samplemind-model"), "openai/a%0D%0Aset-cookie:%20b");
  }
}

TEST(Gateway, WhatTheProviderForbidsToRepeatIsNotRepeated) {
  FakeUpstream up([](const Seen&, int) {
    Reply r = json_reply(R"({"error":{"message":"no"}})", 500);
    r.fields = {"x-should-retry: false"};
    return r;
  });
  Rig rig(up);
  EXPECT_EQ(rig.chat(ask_body("hi")).status, 502);
  EXPECT_EQ(up.chats(), 1);
}

TEST(Gateway, UpstreamErrorsKeepTheirMeaning) {
  struct Case {
    int upstream, client, calls;
    const char* code;
  };
  for (const Case& c : {Case{400, 400, 1, "bad_thing"}, Case{401, 502, 1, "upstream_key_refused"},
                        Case{403, 502, 1, "upstream_key_refused"}, Case{404, 404, 1, "bad_thing"},
                        Case{422, 422, 1, "bad_thing"}, Case{500, 502, 3, "bad_thing"},
                        Case{503, 503, 3, "bad_thing"}, Case{529, 503, 3, "bad_thing"}}) {
    FakeUpstream up([&](const Seen&, int) {
      return json_reply(R"({"error":{"message":"what happened","code":"bad_thing"}})", c.upstream);
    });
    Rig rig(up, {{"cache.negative", "0s"}});
    for (const bool stream : {false, true}) {
      const int before = up.chats();
      const MemorySink sink = rig.chat(ask_body("hi", stream));
      EXPECT_EQ(sink.status, c.client) << c.upstream;
      EXPECT_EQ(error_code(sink), c.code) << c.upstream;
      EXPECT_NE(error_message(sink).find("what happened"), std::string::npos);
      EXPECT_EQ(sink.body.find("sk-test"), std::string::npos);
      EXPECT_EQ(up.chats() - before, c.calls) << c.upstream;
    }
  }
}

TEST(Gateway, DeadUpstreamIsAClearError) {
  FakeUpstream up([](const Seen&, int) { return Reply(); });
  Rig rig(up, {{"ai.openai.base_url", "http://127.0.0.1:1/v1"}});
  const MemorySink sink = rig.chat(ask_body("hi"));
  EXPECT_EQ(sink.status, 502);
  EXPECT_EQ(error_code(sink), "upstream_unreachable");
  const MemorySink bare =
      rig.chat(R"({"model":"gpt-9","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(bare.status, 503);
  EXPECT_EQ(error_code(bare), "provider_unreachable");
}

TEST(Gateway, SilentUpstreamIsATimeout) {
  FakeUpstream up([](const Seen&, int) { return failing(Reply::End::kStall); });
  Rig rig(up, {{"ai.openai.first_byte_timeout", "30ms"}, {"ai.attempts", "1"}});
  const MemorySink sink = rig.chat(ask_body("hi"));
  EXPECT_EQ(sink.status, 504);
  EXPECT_EQ(error_code(sink), "upstream_timeout");
}

TEST(Gateway, StalledStreamIsCutByTheIdleLimit) {
  Reply stall = sse_reply({good_stream()[0], good_stream()[1]}, false);
  stall.end = Reply::End::kStall;
  FakeUpstream up([&](const Seen&, int) { return stall; });
  Rig rig(up, {{"ai.idle_timeout", "50ms"}});
  const MemorySink sink = rig.chat(ask_body("hi", true));
  const Told told = read_events(sink.body);
  EXPECT_EQ(told.text, "Hel");
  EXPECT_NE(told.error, "");
  EXPECT_FALSE(told.done);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

TEST(Gateway, OnlyCompleteAnswersAreKept) {
  for (const char* finish : {"length", "content_filter", "something_new"}) {
    FakeUpstream up([&](const Seen&, int) { return json_reply(answer_body("Hel", finish)); });
    Rig rig(up);
    EXPECT_EQ(rig.chat(ask_body("hi")).status, 200);
    EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "miss") << finish;
    EXPECT_EQ(up.chats(), 2);
  }
}

TEST(Gateway, RequestsThatReachOutsideAreNeitherKeptNorShared) {
  const std::string head = R"({"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":)";
  const std::vector<std::string> bodies{
      ask_body("hi", false, R"(,"tools":[{"type":"web_search"}])"),
      ask_body("hi", false, R"(,"web_search_options":{})"),
      ask_body("hi", false, R"(,"store":false)"),
      ask_body("hi", false, R"(,"background":true)"),
      ask_body("hi", false, R"(,"n":2)"),
      ask_body("hi", false, R"(,"previous_response_id":"r1")"),
      head + R"([{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}]}]})",
      head + R"([{"type":"video_url","video_url":{"url":"https://example.org/a.mp4"}}]}]})",
      head + R"([{"type":"file","file":{"file_id":"file-1"}}]}]})"};
  for (const std::string& body : bodies) {
    FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
    Rig rig(up);
    EXPECT_EQ(rig.chat(body).cache(), "bypass") << body;
    EXPECT_EQ(rig.chat(body).cache(), "bypass") << body;
    EXPECT_EQ(up.chats(), 2) << body;
    EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
  }
}

// --- What the client may ask of the cache -----------------------------------------------------

TEST(Gateway, ClientCacheControlIsObeyed) {
  int n = 0;
  FakeUpstream up([&](const Seen&, int) { return json_reply(answer_body(std::to_string(++n))); });
  Rig rig(up);
  const std::string body = ask_body("hi");
  const MemorySink none = rig.chat(body, {{"cache-control", "only-if-cached"}});
  EXPECT_EQ(none.status, 504);
  EXPECT_EQ(error_code(none), "not_cached");
  EXPECT_EQ(up.chats(), 0);
  EXPECT_EQ(rig.chat(body, {{"Cache-Control", "No-Store"}}).cache(), "bypass");
  EXPECT_EQ(content_of(rig.chat(body)), "2") << "no-store left nothing";
  EXPECT_EQ(content_of(rig.chat(body, {{"cache-control", "only-if-cached"}})), "2");
  EXPECT_EQ(content_of(rig.chat(body, {{"cache-control", "private, no-cache"}})), "3");
  EXPECT_EQ(content_of(rig.chat(body)), "3") << "no-cache replaced what was there";
  rig.clock.advance(std::chrono::seconds(100));
  EXPECT_EQ(content_of(rig.chat(body, {{"cache-control", "max-age=100"}})), "3");
  EXPECT_EQ(content_of(rig.chat(body, {{"cache-control", "max-age=99"}})), "4");
  EXPECT_EQ(content_of(rig.chat(body, {{"cache-control", "max-age=0"}})), "5");
  EXPECT_EQ(content_of(rig.chat(body, {{"x-samplemind-cache-mode", "refresh"}})), "6");
  EXPECT_EQ(content_of(rig.chat(body, {{"x-samplemind-cache-mode", "bypass"}})), "7");
  EXPECT_EQ(content_of(rig.chat(body)), "6");
  EXPECT_EQ(rig.chat(body, {{"x-samplemind-cache-mode", "sometimes"}}).status, 400);
  rig.clock.advance(std::chrono::hours(24 * 7));
  EXPECT_EQ(rig.chat(body).cache(), "miss") << "the time to live is seven days";
}

TEST(Gateway, SamplingMayBypass) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
  Rig rig(up, {{"cache.sampling", "bypass"}});
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "bypass");
  EXPECT_EQ(rig.chat(ask_body("hi", false, ",\"temperature\":0")).cache(), "miss");
  EXPECT_EQ(rig.chat(ask_body("hi", false, ",\"temperature\":0.0")).cache(), "hit-memory");
}

TEST(Gateway, TenantsHeadersAndModelsKeepApart) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
  Rig rig(up);
  const std::string body = ask_body("hi");
  EXPECT_EQ(rig.chat(body).cache(), "miss");
  EXPECT_EQ(rig.chat(body, {}, "other").cache(), "miss");
  EXPECT_EQ(rig.chat(body, {{"openai-beta", "x"}}).cache(), "miss");
  EXPECT_EQ(rig.chat(body, {{"user-agent", "x"}}).cache(), "hit-memory");
  std::string other = body;
  other.replace(other.find("4o-mini"), 7, "4o");
  EXPECT_EQ(rig.chat(other).cache(), "miss");
  EXPECT_EQ(rig.chat(ask_body("hi", false, ",\"logit_bias\":{\"1\":2}")).cache(), "miss");
  EXPECT_EQ(rig.chat(ask_body("hi", false, ",\"user\":\"u\",\"metadata\":{}")).cache(),
            "hit-memory");
}

TEST(Gateway, DiskTierAnswersAfterARestart) {
  const TempFolder folder;
  FakeUpstream up([](const Seen&, int) { return sse_reply(good_stream()); });
  std::string whole;
  {
    Rig rig(up, {}, folder.path() / "cache");
    rig.chat(ask_body("hi", true));
    whole = rig.chat(ask_body("hi")).body;
  }
  Rig rig(up, {}, folder.path() / "cache");
  const MemorySink from_disk = rig.chat(ask_body("hi"));
  EXPECT_EQ(from_disk.cache(), "hit-disk");
  EXPECT_EQ(from_disk.body, whole);
  EXPECT_EQ(from_disk.header("x-samplemind-saved-microusd"), "210");
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "hit-memory");
  EXPECT_EQ(up.chats(), 1);
}

// --- Single flight -----------------------------------------------------------------------------

struct Client {
  MemorySink sink;
  net::CancelToken cancel = net::CancelToken::create();
  bool done = false;
};
net::Task<void> one_client(Rig& rig, const std::string& body, Client& client, int& left) {
  CallContext context;
  context.cancel = client.cancel;
  co_await rig.shard->openai_chat(context, body, client.sink);
  client.done = true;
  if (--left == 0) rig.loop.stop();
}

TEST(SingleFlight, EqualRequestsMakeOneCallStreamedToAll) {
  std::promise<void> go;
  const std::shared_future<void> wait = go.get_future().share();
  FakeUpstream up([&](const Seen&, int) {
    Reply r = sse_reply(good_stream());
    r.wait_before = wait;
    return r;
  });
  Rig rig(up);
  constexpr int kClients = 50;
  std::vector<std::unique_ptr<Client>> clients;
  int left = kClients;
  const std::string streamed = ask_body("hi", true);
  const std::string whole = ask_body("hi", false);
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<Client>());
    rig.loop.spawn(one_client(rig, i % 5 == 4 ? whole : streamed, *clients.back(), left));
  }
  rig.loop.post([&] { rig.loop.post([&] { go.set_value(); }); });
  rig.loop.keep_alive(true);
  rig.loop.run();
  int misses = 0, coalesced = 0;
  for (int i = 0; i < kClients; ++i) {
    const MemorySink& sink = clients[static_cast<size_t>(i)]->sink;
    EXPECT_EQ(i % 5 == 4 ? content_of(sink) : read_events(sink.body).text, "Hello");
    misses += sink.cache() == "miss";
    coalesced += sink.cache() == "coalesced";
  }
  EXPECT_EQ(misses, 1);
  EXPECT_EQ(coalesced, kClients - 1);
  EXPECT_EQ(up.chats(), 1);
}

TEST(SingleFlight, FirstClientLeavingHarmsNobody) {
  std::promise<void> go;
  const std::shared_future<void> wait = go.get_future().share();
  FakeUpstream up([&](const Seen&, int) {
    Reply r = sse_reply(good_stream());
    r.pieces[0] += r.pieces[1];  // content at once
    r.pieces.erase(r.pieces.begin() + 1);
    r.wait_after_first = wait;
    return r;
  });
  Rig rig(up);
  Client leader, follower;
  int left = 2;
  const std::string body = ask_body("hi", true);
  bool left_already = false;
  leader.sink.on_write = [&] {
    if (std::exchange(left_already, true)) return;
    leader.cancel.cancel();  // gone in the middle of the answer
    rig.loop.post([&] { go.set_value(); });
  };
  rig.loop.spawn(one_client(rig, body, leader, left));
  rig.loop.spawn(one_client(rig, body, follower, left));
  rig.loop.keep_alive(true);
  rig.loop.run();
  EXPECT_FALSE(read_events(leader.sink.body).done);
  EXPECT_EQ(read_events(follower.sink.body).text, "Hello");
  EXPECT_TRUE(read_events(follower.sink.body).done);
  EXPECT_EQ(up.chats(), 1);
  EXPECT_EQ(rig.chat(body).cache(), "hit-memory");
}

TEST(SingleFlight, LastClientLeavingCancelsTheUpstreamCall) {
  for (const bool stream : {false, true}) {
    FakeUpstream up([](const Seen&, int) { return failing(Reply::End::kStall); });
    Rig rig(up);
    Client one, two;
    int left = 2;
    const std::string body = ask_body("hi", stream);
    rig.loop.spawn(one_client(rig, body, one, left));
    rig.loop.spawn(one_client(rig, body, two, left));
    net::Loop::Timer leave;
    const std::function<void()> leave_once_asked = [&] {
      if (up.chats() == 0) {
        leave = rig.loop.after(std::chrono::milliseconds(1), leave_once_asked);
        return;
      }
      one.cancel.cancel();
      two.cancel.cancel();
    };
    leave = rig.loop.after(std::chrono::milliseconds(1), leave_once_asked);
    rig.loop.keep_alive(true);
    rig.loop.run();
    // The call's own task goes on until the transport has noticed.
    while (rig.shard->connections() > 0)
      rig.loop.run_until_done(rig.loop.sleep_for(std::chrono::milliseconds(1)));
    EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
    EXPECT_EQ(up.chats(), 1);
  }
}

TEST(SingleFlight, UpstreamFailureReachesAllAndStoresNothing) {
  std::promise<void> go;
  const std::shared_future<void> wait = go.get_future().share();
  FakeUpstream up([&](const Seen&, int) {
    Reply r = json_reply(R"({"error":{"message":"no"}})", 400);
    r.wait_before = wait;
    return r;
  });
  Rig rig(up);
  std::vector<std::unique_ptr<Client>> clients;
  int left = 10;
  const std::string body = ask_body("hi", true);
  for (int i = 0; i < 10; ++i) {
    clients.push_back(std::make_unique<Client>());
    rig.loop.spawn(one_client(rig, body, *clients.back(), left));
  }
  rig.loop.post([&] { go.set_value(); });
  rig.loop.keep_alive(true);
  rig.loop.run();
  for (const auto& client : clients) EXPECT_EQ(client->sink.status, 400);
  EXPECT_EQ(up.chats(), 1);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

TEST(Gateway, ShardMayGoWhileACallIsOnItsWay) {
  FakeUpstream up([](const Seen&, int) { return failing(Reply::End::kStall); });
  Rig rig(up);
  Client client;
  int left = 1;
  const std::string body = ask_body("hi", true);
  rig.loop.spawn(one_client(rig, body, client, left));
  const net::Loop::Timer stop =
      rig.loop.after(std::chrono::milliseconds(20), [&] { rig.loop.stop(); });
  rig.loop.keep_alive(true);
  rig.loop.run();
  EXPECT_FALSE(client.done);
}

TEST(Gateway, ConnectionServesTheNextRequestAfterAStream) {
  FakeUpstream up([](const Seen&, int) { return sse_reply(good_stream()); });
  Rig rig(up);
  for (int i = 0; i < 20; ++i) rig.chat(ask_body(std::to_string(i), true));
  // Two at most at a time: the last bytes of one answer may come after the next request has begun.
  EXPECT_LE(up.connections(), 3);
}

// --- Names of models ---------------------------------------------------------------------------

Reply ollama(const Seen& seen, int) {
  if (seen.path == "/api/tags") {
    return json_reply(
        R"({"models":[{"name":"tiny:latest","size":5,"digest":"d1"},{"name":"qwen2.5:7b-instruct","size":7,"digest":"d2"}]})");
  }
  if (seen.path == "/api/show")
    return json_reply(R"({"model_info":{"llama.context_length":4096}})");
  if (seen.body.find("\"stream\":true") == std::string::npos) {
    return json_reply(
        R"({"model":"tiny","message":{"role":"assistant","content":"Hello"},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2})");
  }
  Reply r;
  r.type = "application/x-ndjson";
  r.pieces = {R"({"model":"tiny","message":{"role":"assistant","content":"Hel"},"done":false})",
              "\n{\"model\":\"tiny\",\"message\":{\"content\":\"lo\"},\"done\":false}\n{\"mod",
              "el\":\"tiny\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\","
              "\"prompt_eval_count\":3,\"eval_count\":2}\n"};
  return r;
}
std::string named(std::string_view model, bool stream = false) {
  return "{\"model\":\"" + std::string(model) +
         "\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]" +
         (stream ? ",\"stream\":true}" : "}");
}

TEST(Router, NamesAliasesAndAuto) {
  FakeUpstream up(ollama);
  Rig rig(up, {{"ai.aliases.quick", "ollama/tiny"}}, {}, true);
  EXPECT_EQ(content_of(rig.chat(named("tiny"))), "Hello");
  EXPECT_EQ(rig.chat(named("tiny:latest")).cache(), "hit-memory");
  EXPECT_EQ(rig.chat(named("quick")).header("x-samplemind-model"), "ollama/tiny");
  EXPECT_EQ(rig.chat(named("auto")).header("x-samplemind-model"), "ollama/qwen2.5:7b-instruct");
  const MemorySink unknown = rig.chat(named("tini"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_code(unknown), "model_not_found");
  EXPECT_NE(error_message(unknown).find("did you mean 'tiny:latest'"), std::string::npos)
      << error_message(unknown);
}

TEST(Router, ListsAreAskedOnceForAll) {
  FakeUpstream up(ollama);
  Rig rig(up, {{"ai.openai.api_key", ""}}, {}, true);
  std::vector<std::unique_ptr<Client>> clients;
  int left = 20;
  std::vector<std::string> bodies;
  for (int i = 0; i < 20; ++i) bodies.push_back(named("tiny", i % 2 == 0));
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<Client>());
    rig.loop.spawn(one_client(rig, bodies[static_cast<size_t>(i)], *clients.back(), left));
  }
  rig.loop.keep_alive(true);
  rig.loop.run();
  for (const auto& client : clients) EXPECT_EQ(client->sink.status, 200) << client->sink.body;
  EXPECT_EQ(up.others(), 1);
  EXPECT_EQ(up.chats(), 1);
}

TEST(Ollama, StreamsAndTellsItsModels) {
  FakeUpstream up(ollama);
  Rig rig(up, {}, {}, true);
  const MemorySink live = rig.chat(named("ollama/tiny", true));
  Told told = read_events(live.body);
  EXPECT_EQ(told.text, "Hello");
  EXPECT_TRUE(told.done && told.role_first);
  EXPECT_EQ(live.header("x-samplemind-model"), "ollama/tiny");
  const auto models = rig.loop.run_until_done(rig.shard->models());
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0].name, "tiny:latest");
  EXPECT_EQ(models[0].context_tokens, 4096);
  EXPECT_EQ(models[0].size_bytes, 5);
  EXPECT_EQ(models[0].input_usd_per_million, 0.0);
  EXPECT_TRUE(models[0].local);
  const auto states = rig.loop.run_until_done(rig.shard->provider_states());
  ASSERT_EQ(states.size(), 4u);
  EXPECT_TRUE(states[0].usable);
  EXPECT_FALSE(states[1].usable);
  EXPECT_NE(states[1].remedy, "");
}

TEST(Ollama, CutAnswerIsAnError) {
  FakeUpstream up([](const Seen&, int) {
    Reply r;
    r.type = "application/x-ndjson";
    r.pieces = {"{\"model\":\"t\",\"message\":{\"content\":\"Hel\"},\"done\":false}\n"};
    return r;
  });
  Rig rig(up, {}, {}, true);
  const Told told = read_events(rig.chat(named("ollama/tiny", true)).body);
  EXPECT_EQ(told.text, "Hel");
  EXPECT_NE(told.error, "");
  EXPECT_FALSE(told.done);
  EXPECT_EQ(rig.gateway->cache_stats().memory_entries, 0u);
}

TEST(Ollama, WhatItCannotExpressIsRefusedByName) {
  FakeUpstream up(ollama);
  Rig rig(up, {}, {}, true);
  std::string body = named("ollama/tiny");
  body.insert(1, "\"logit_bias\":{\"1\":2},");
  const MemorySink sink = rig.chat(body);
  EXPECT_EQ(sink.status, 400);
  EXPECT_NE(error_message(sink).find("logit_bias"), std::string::npos);
  EXPECT_EQ(up.chats(), 0);
}

TEST(Ollama, LoadsAModelWithoutAQuestion) {
  FakeUpstream up([](const Seen& seen, int) {
    if (seen.body.find("none") != std::string::npos)
      return json_reply(R"({"error":"model 'none' not found"})", 404);
    if (seen.path == "/api/generate" && seen.body.find("embedder") != std::string::npos)
      return json_reply(R"({"error":"\"embedder\" does not support generate"})", 400);
    return json_reply(R"({"done":true,"done_reason":"load"})");
  });
  Rig rig(up, {}, {}, true);
  const auto load = [&](const char* name) {
    return rig.loop.run_until_done(rig.shard->load(name, {}));
  };
  EXPECT_TRUE(load("ollama/tiny").ok());
  EXPECT_TRUE(load("embedder").ok());
  const auto none = load("none");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(none.error().message().find("pull-models none"), std::string::npos);
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen[0].body, R"({"model":"tiny","stream":false})");
  EXPECT_EQ(seen[2].path, "/api/embed");
}

TEST(Ollama, PullTellsProgressAndItsEnd) {
  FakeUpstream up([](const Seen& seen, int) {
    Reply r;
    r.type = "application/x-ndjson";
    r.pieces = {"{\"status\":\"pulling\",\"total\":10,\"completed\":4}\n"};
    if (seen.body.find("good") != std::string::npos)
      r.pieces.push_back("{\"status\":\"success\"}\n");
    if (seen.body.find("none") != std::string::npos)
      r.pieces.push_back("{\"error\":\"file does not exist\"}\n");
    return r;
  });
  Rig rig(up, {}, {}, true);
  std::vector<PullProgress> told;
  const std::function<void(const PullProgress&)> tell = [&](const PullProgress& p) {
    told.push_back(p);
  };
  EXPECT_TRUE(rig.loop.run_until_done(rig.shard->pull("good", tell, {})).ok());
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].completed_bytes, 4);
  EXPECT_EQ(told[0].total_bytes, 10);
  EXPECT_EQ(rig.loop.run_until_done(rig.shard->pull("cut", tell, {})).error().code(),
            ErrorCode::kUpstream);
  EXPECT_NE(rig.loop.run_until_done(rig.shard->pull("none", tell, {}))
                .error()
                .message()
                .find("does not exist"),
            std::string::npos);
}

TEST(Ask, StreamsTextAndAnswersFromTheCache) {
  FakeUpstream up([](const Seen&, int) { return sse_reply(good_stream()); });
  Rig rig(up);
  std::vector<std::string> pieces;
  const std::function<void(std::string_view)> on_text = [&](std::string_view t) {
    pieces.emplace_back(t);
  };
  AskOptions options;
  auto first = rig.loop.run_until_done(rig.shard->ask(ask_body("hi", true), options, on_text));
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(pieces, (std::vector<std::string>{"Hel", "lo"}));
  EXPECT_EQ(first->answer.text, "Hello");
  EXPECT_EQ(first->answer.provider, "openai");
  EXPECT_EQ(first->cache, CacheState::kMiss);
  EXPECT_EQ(first->cost_microusd, 210);
  auto second = rig.loop.run_until_done(rig.shard->ask(ask_body("hi", true), options, on_text));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->cache, CacheState::kHitMemory);
  EXPECT_EQ(second->answer.text, "Hello");
  EXPECT_EQ(second->cost_microusd, 0);
  EXPECT_EQ(second->saved_microusd, 210);
  options.fresh = true;
  auto third = rig.loop.run_until_done(rig.shard->ask(ask_body("hi", true), options, on_text));
  EXPECT_EQ(third->cache, CacheState::kMiss);
  EXPECT_EQ(up.chats(), 2);
}

TEST(Ask, RetryBeforeContentTellsTheTextOnce) {
  FakeUpstream up([](const Seen&, int n) {
    return n == 0 ? sse_reply({good_stream()[0]}, false) : sse_reply(good_stream());
  });
  Rig rig(up);
  std::string text;
  const std::function<void(std::string_view)> on_text = [&](std::string_view t) { text += t; };
  auto answer = rig.loop.run_until_done(rig.shard->ask(ask_body("hi", true), {}, on_text));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(text, "Hello");
  EXPECT_EQ(up.chats(), 2);
}

TEST(Gateway, BadConfigurationIsNamed) {
  Metrics metrics;
  for (const auto& [key, value] : Flags{{"ai.order", "ollama,opneai"},
                                        {"cache.sampling", "never"},
                                        {"cache.replay", "slowly"},
                                        {"ai.ca_file", "/nonexistent/ca.pem"},
                                        {"cache.ttl", "0s"},
                                        {"ai.aliases.x", ""}}) {
    auto config = Config::load(config_keys(), "/nonexistent/config.toml", false, {{key, value}});
    ASSERT_TRUE(config.ok()) << key;
    const auto made = Gateway::create(*config, {}, metrics);
    ASSERT_FALSE(made.ok()) << key;
    EXPECT_NE(made.error().message().find(key), std::string::npos) << made.error().message();
  }
}

TEST(Gateway, BadRequestsSayWhatIsWrong) {
  FakeUpstream up([](const Seen&, int) { return Reply(); });
  Rig rig(up);
  for (const auto& [body, word] : std::vector<std::pair<std::string, std::string>>{
           {"", "JSON"},
           {"[]", "object"},
           {"{\"messages\":[{\"role\":\"user\"}]}", "model"},
           {"{\"model\":\"x\"}", "messages"},
           {"{\"model\":\"x\",\"messages\":[{}]}", "role"},
           {named("x").substr(0, named("x").size() - 1) + ",\"stream\":1}", "stream"},
           {ask_body("x", false, ",\"stream\":true,\"stream\":false"), "twice"}}) {
    const MemorySink sink = rig.chat(body);
    EXPECT_EQ(sink.status, 400) << body;
    EXPECT_NE(error_message(sink).find(word), std::string::npos) << sink.body;
  }
  EXPECT_EQ(up.chats(), 0);
}

}  // namespace
}  // namespace samplemind::ai::test
