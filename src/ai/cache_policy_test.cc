// What may be answered from the cache, for how long and to whom: headers, configuration, refusals.
#include "ai/gateway.h"
#include "ai/gateway/replay.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

using namespace std::chrono_literals;

std::string content_of(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["choices"][0]["message"]["content"].string_or("") : "no JSON";
}
std::string message_of(const MemorySink& sink) {
  const auto parsed = JsonValue::parse(sink.body);
  return parsed.ok() ? (*parsed)["error"]["message"].string_or("") : "no JSON";
}
// The text of a stream in OpenAI's dialect.
std::string text_of_stream(std::string_view body) {
  std::string text;
  for (size_t at = body.find("data: {"); at != body.npos; at = body.find("data: {", at + 1)) {
    const auto event = JsonValue::parse(body.substr(at + 6, body.find('\n', at) - at - 6));
    if (event.ok()) text += (*event)["choices"][0]["delta"]["content"].string_or("");
  }
  return text;
}
size_t count_of(std::string_view body, std::string_view what) {
  size_t n = 0;
  for (size_t at = body.find(what); at != body.npos; at = body.find(what, at + 1)) ++n;
  return n;
}
FakeUpstream counting() {
  return FakeUpstream(
      [](const Seen&, int n) { return json_reply(answer_body("answer " + std::to_string(n))); });
}

TEST(CachePolicy, TtlOfOneRequest) {
  FakeUpstream up = counting();
  Rig rig(up);
  const std::string body = ask_body("hi");
  EXPECT_EQ(rig.chat(body, {{"x-samplemind-cache-ttl", "60"}}).cache(), "miss");
  rig.clock.advance(59s);
  const MemorySink hit = rig.chat(body);
  EXPECT_EQ(hit.cache(), "hit-memory");
  EXPECT_EQ(hit.header("age"), "59");
  EXPECT_EQ(hit.header("x-samplemind-cache-key").size(), 64u);
  EXPECT_EQ(hit.header("x-samplemind-cost-microusd"), "0");
  EXPECT_NE(hit.header("x-samplemind-saved-microusd"), "");
  rig.clock.advance(1s);
  EXPECT_EQ(rig.chat(body).cache(), "miss");
}

// Case B10, B11: checked at the edge, with its unit.
TEST(CachePolicy, TtlIsReadWithItsUnitAndNonsenseIsRefused) {
  FakeUpstream up = counting();
  Rig rig(up);
  EXPECT_EQ(rig.chat(ask_body("a"), {{"x-samplemind-cache-ttl", "2m"}}).status, 200);
  rig.clock.advance(119s);
  EXPECT_EQ(rig.chat(ask_body("a")).cache(), "hit-memory");
  rig.clock.advance(1s);
  EXPECT_EQ(rig.chat(ask_body("a")).cache(), "miss");
  for (const char* bad : {"", "0", "-1", "1.5", "10ms", "forever", "999999999999999999",
                          "99999999999999999999", "800d", "1 0"}) {
    const MemorySink refused = rig.chat(ask_body("b"), {{"x-samplemind-cache-ttl", bad}});
    EXPECT_EQ(refused.status, 400) << bad;
    EXPECT_NE(message_of(refused).find("x-samplemind-cache-ttl"), std::string::npos) << bad;
  }
}

TEST(CachePolicy, TtlOfOneModel) {
  FakeUpstream up = counting();
  Rig rig(up, {{"cache.ttls.openai/gpt-4o-mini", "10s"}});
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "miss");
  rig.clock.advance(9s);
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "hit-memory");
  rig.clock.advance(1s);
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "miss");
}

TEST(CachePolicy, NamespacesKeepApart) {
  FakeUpstream up = counting();
  Rig rig(up);
  const auto in = [&](const char* space) {
    return rig.chat(ask_body("hi"), {{"x-samplemind-cache-namespace", space}});
  };
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "miss");
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "hit-memory");
  EXPECT_EQ(in("team-a").cache(), "miss");
  EXPECT_EQ(in("team-a").cache(), "hit-memory");
  // Twice: by the fingerprint, then by the body seen before.
  EXPECT_EQ(content_of(in("team-a")), "answer 1");
  EXPECT_EQ(in("team-b").cache(), "miss");
  EXPECT_EQ(content_of(rig.chat(ask_body("hi"))), "answer 0");
  for (const char* bad : {"", "a b", "a/b", "\xC3\xA9"}) EXPECT_EQ(in(bad).status, 400) << bad;
  EXPECT_EQ(in(std::string(65, 'a').c_str()).status, 400);
}

TEST(CachePolicy, StaleAnswerIsGivenWhileANewOneIsFetched) {
  FakeUpstream up = counting();
  Rig rig(up, {{"cache.ttl", "10s"}, {"cache.stale", "60s"}});
  const std::string body = ask_body("hi");
  EXPECT_EQ(content_of(rig.chat(body)), "answer 0");
  rig.clock.advance(9s);
  const MemorySink fresh = rig.chat(body);
  EXPECT_EQ(fresh.header("x-samplemind-cache-stale"), "");
  rig.clock.advance(1s);
  const MemorySink stale = rig.chat(body);
  EXPECT_EQ(content_of(stale), "answer 0");
  EXPECT_EQ(stale.cache(), "hit-memory");
  EXPECT_EQ(stale.header("x-samplemind-cache-stale"), "true");
  while (rig.gateway->cache_stats().refreshes == 0 || up.chats() < 2 ||
         content_of(rig.chat(body)) == "answer 0")
    rig.loop.run_until_done(rig.loop.sleep_for(1ms));
  const MemorySink renewed = rig.chat(body);
  EXPECT_EQ(content_of(renewed), "answer 1");
  EXPECT_EQ(renewed.header("x-samplemind-cache-stale"), "");
  EXPECT_EQ(renewed.header("age"), "0");
  EXPECT_EQ(up.chats(), 2) << "one refresh, however many asked meanwhile";
  rig.clock.advance(70s);
  EXPECT_EQ(rig.chat(body).cache(), "miss") << "past its ttl and past cache.stale";
}

TEST(CachePolicy, MaxAgeIsStricterThanStale) {
  FakeUpstream up = counting();
  Rig rig(up, {{"cache.ttl", "10s"}, {"cache.stale", "60s"}});
  rig.chat(ask_body("hi"));
  rig.clock.advance(20s);
  EXPECT_EQ(rig.chat(ask_body("hi"), {{"cache-control", "max-age=15"}}).cache(), "miss");
}

TEST(CachePolicy, RefusalsOfTheRequestAreRepeatedForSeconds) {
  for (const int status : {400, 404, 413, 415, 422}) {
    FakeUpstream up([status](const Seen&, int) {
      return json_reply(R"({"error":{"message":"no good","type":"t","code":"c"}})", status);
    });
    Rig rig(up);
    const MemorySink first = rig.chat(ask_body("hi"));
    rig.clock.advance(2s);
    const MemorySink again = rig.chat(ask_body("hi"));
    EXPECT_EQ(up.chats(), 1) << status;
    EXPECT_EQ(again.status, first.status);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(first.cache(), "");
    EXPECT_EQ(again.cache(), "hit-memory");
    EXPECT_EQ(again.header("age"), "2");
    EXPECT_EQ(rig.gateway->cache_stats().hits_negative, 1u);
    // Whoever asks for a new answer gets one, and so does everybody after the seconds.
    rig.chat(ask_body("hi"), {{"cache-control", "no-cache"}});
    EXPECT_EQ(up.chats(), 2);
    rig.clock.advance(6s);
    rig.chat(ask_body("hi"));
    EXPECT_EQ(up.chats(), 3);
  }
}

TEST(CachePolicy, WhatMayPassIsNeverRepeated) {
  for (const int status : {401, 403, 408, 409, 429, 500, 503}) {
    FakeUpstream up([status](const Seen&, int) { return json_reply("{}", status); });
    Rig rig(up, {{"ai.attempts", "1"}, {"ai.breaker", "false"}});
    rig.chat(ask_body("hi"));
    rig.chat(ask_body("hi"));
    EXPECT_EQ(up.chats(), 2) << status;
  }
  FakeUpstream up([](const Seen&, int) { return json_reply("{}", 400); });
  Rig off(up, {{"cache.negative", "0s"}});
  off.chat(ask_body("hi"));
  off.chat(ask_body("hi"));
  EXPECT_EQ(up.chats(), 2);
}

// Case B3.
TEST(CachePolicy, AnswersCutByTheirLengthAreKeptOnlyWhenAskedFor) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("cut", "length")); });
  const TempFolder folder;
  {
    Rig off(up);
    EXPECT_EQ(off.chat(ask_body("hi")).cache(), "miss");
    EXPECT_EQ(off.chat(ask_body("hi")).cache(), "miss");
    Rig on(up, {{"cache.length", "true"}}, folder.path());
    EXPECT_EQ(on.chat(ask_body("hi")).cache(), "miss");
    EXPECT_EQ(on.chat(ask_body("hi")).cache(), "hit-memory");
    on.gateway->flush();
  }
  Rig again(up, {{"cache.length", "true"}}, folder.path());
  const MemorySink hit = again.chat(ask_body("hi"));
  EXPECT_EQ(hit.cache(), "hit-disk");
  EXPECT_NE(hit.body.find("\"length\""), std::string::npos);
}

TEST(CachePolicy, KeptCutAnswersAreNotGivenOnceTheyAreNoLongerWanted) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("cut", "length")); });
  const TempFolder folder;
  {
    Rig on(up, {{"cache.length", "true"}}, folder.path());
    on.chat(ask_body("hi"));
    on.gateway->flush();
  }
  Rig off(up, {}, folder.path());
  EXPECT_EQ(off.chat(ask_body("hi")).cache(), "miss");
}

TEST(CachePolicy, OnlyIfCachedNeverCalls) {
  FakeUpstream up = counting();
  Rig rig(up);
  EXPECT_EQ(rig.chat(ask_body("hi"), {{"cache-control", "only-if-cached"}}).status, 504);
  EXPECT_EQ(up.chats(), 0);
  rig.chat(ask_body("hi"));
  EXPECT_EQ(rig.chat(ask_body("hi"), {{"cache-control", "only-if-cached"}}).cache(), "hit-memory");
}

TEST(CachePolicy, AKeysOwnSamplingGoesBeforeTheSetting) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("x")); });
  Rig rig(up, {{"cache.sampling", "cache"}});
  const auto ask = [&](const char* sampling, std::string_view more) {
    auto key = std::make_shared<VirtualKey>();
    key->id = sampling;
    key->tenant = "local";
    key->sampling = sampling;
    MemorySink sink;
    CallContext context;
    context.key = key;
    const std::string body = ask_body("hi", false, more);
    rig.loop.run_until_done(rig.shard->openai_chat(context, body, sink));
    return sink.cache();
  };
  EXPECT_EQ(ask("bypass", ""), "bypass");
  EXPECT_EQ(ask("bypass", ",\"temperature\":0"), "miss");
  EXPECT_EQ(ask("cache", ""), "miss");
  EXPECT_EQ(ask("", ""), "hit-memory");
  EXPECT_EQ(ask("bypass", ""), "bypass") << "also once the answer is there";
}

TEST(CachePolicy, AStreamIsReplayedAtOnceOrAtAPace) {
  std::string words =
      "Ein h\xC3\xBC"
      "bscher Satz, ";
  for (int i = 0; i < 20; ++i) words += "wort" + std::to_string(i) + " ";
  FakeUpstream up([&](const Seen&, int) { return json_reply(answer_body(words)); });
  Rig rig(up, {{"cache.replay_rate", "1000"}});
  const std::string body = ask_body("hi", true);
  EXPECT_EQ(rig.chat(ask_body("hi")).cache(), "miss");
  const MemorySink once = rig.chat(body);
  EXPECT_EQ(once.cache(), "hit-memory");
  EXPECT_FALSE(once.started) << "one write";
  EXPECT_EQ(text_of_stream(once.body), words);
  for (const char* round : {"parsed", "seen before"}) {
    const auto begin = std::chrono::steady_clock::now();
    const MemorySink paced = rig.chat(body, {{"x-samplemind-replay", "paced"}});
    EXPECT_EQ(paced.cache(), "hit-memory") << round;
    EXPECT_TRUE(paced.started && paced.finished) << round;
    EXPECT_EQ(text_of_stream(paced.body), words) << round;
    EXPECT_TRUE(paced.body.ends_with("data: [DONE]\n\n")) << round;
    const auto events = count_of(paced.body, "data: ");
    EXPECT_GT(events, 22U) << round;
    // A token is four bytes: so many of them at a thousand a second.
    EXPECT_GE(std::chrono::steady_clock::now() - begin,
              std::chrono::microseconds(words.size() * 250 - 2000));
  }
  EXPECT_EQ(rig.chat(body, {{"x-samplemind-replay", "slow"}}).status, 400);
  EXPECT_EQ(up.chats(), 1);
}

TEST(CachePolicy, APacedReplayEndsWithItsClient) {
  FakeUpstream up([](const Seen&, int) { return json_reply(answer_body("a b c d e f g h i j")); });
  Rig rig(up, {{"cache.replay", "paced"}, {"cache.replay_rate", "20"}});
  (void)rig.chat(ask_body("hi"));
  const net::CancelToken gone = net::CancelToken::create();
  MemorySink sink;
  sink.on_write = [&] { gone.cancel(); };
  CallContext context;
  context.cancel = gone;
  const std::string body = ask_body("hi", true);
  rig.loop.run_until_done(rig.shard->openai_chat(context, body, sink));
  EXPECT_TRUE(sink.started);
  EXPECT_FALSE(sink.finished);
}

TEST(SmallPieces, WordsOfOnePieceAreThatPiece) {
  for (const bool reasoning : {false, true}) {
    ChatDelta whole;
    std::string text = "one  two\n\xE2\x82\xAC\xE2\x82\xAC";
    text += std::string(100, 'x') + " \xF0\x9F\x8E\xB5";
    (reasoning ? whole.reasoning : whole.text) = text;
    whole.opens = true;
    whole.signature = "signed";
    SmallPieces words(whole);
    std::string joined, signature;
    size_t count = 0;
    while (const auto d = words.next()) {
      const std::string& piece = reasoning ? d->reasoning : d->text;
      ASSERT_FALSE(piece.empty());
      EXPECT_NE(static_cast<unsigned char>(piece[0]) & 0xC0, 0x80) << "within a character";
      EXPECT_EQ(d->opens, count == 0);
      EXPECT_TRUE(signature.empty());
      signature = d->signature;
      joined += piece;
      ++count;
    }
    EXPECT_EQ(joined, text);
    EXPECT_EQ(signature, "signed");
    EXPECT_GT(count, 6U);
  }
  ChatDelta end;
  end.finish_reason = "stop";
  SmallPieces one(end);
  EXPECT_TRUE(one.next().has_value());
  EXPECT_FALSE(one.next().has_value());
}

TEST(CachePolicy, RedisSettingsAreCheckedAtTheStart) {
  const auto problem = [](Flags flags) {
    auto config = Config::load(config_keys(), "/nonexistent/config.toml", false, flags);
    if (!config.ok()) return config.error().message();
    Metrics metrics;
    auto made = Gateway::create(*config, {}, metrics);
    return made.ok() ? std::string() : made.error().message();
  };
  EXPECT_EQ(problem({{"cache.redis.url", "redis://127.0.0.1:1"}}), "");
  EXPECT_EQ(problem({{"cache.redis.url", "rediss://[::1]:6380/3"}}), "");
  for (const char* bad : {"http://x", "redis://", "redis://h:0", "redis://h:70000", "redis://h/x",
                          "redis://u:p@h", "redis://a,redis://b", "redis://a,rediss://b"})
    EXPECT_NE(problem({{"cache.redis.url", bad}}).find("cache.redis.url"), std::string::npos)
        << bad << ": " << problem({{"cache.redis.url", bad}});
  EXPECT_EQ(problem({{"cache.redis.url", "redis://a,redis://b"}, {"cache.redis.cluster", "true"}}),
            "");
  EXPECT_NE(problem({{"cache.redis.url", "redis://a"}, {"cache.redis.budget", "10s"}}), "");
  EXPECT_NE(problem({{"cache.redis.url", "rediss://a"}, {"cache.redis.ca_file", "/nonexistent"}}),
            "");
}

}  // namespace
}  // namespace samplemind::ai::test
