// Embeddings through the gateway: cached text by text, joined, translated.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ai/dialect/embed.h"
#include "ai/gateway.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

// The vector of a text: its length and its first letter, so that each answer shows its question.
std::string vector_of(std::string_view text) {
  return "[" + std::to_string(text.size()) + "," +
         std::to_string(static_cast<int>(text.empty() ? 0 : text[0])) + ",0.1]";
}

Reply embed_reply(const Seen& seen) {
  const auto body = JsonValue::parse(seen.body);
  std::string data;
  size_t n = 0;
  const JsonValue& input = (*body)["input"];
  const auto add = [&](std::string_view text) {
    data += std::string(n > 0 ? "," : "") + R"({"object":"embedding","index":)" +
            std::to_string(n) + R"(,"embedding":)" + vector_of(text) + "}";
    ++n;
  };
  if (input.is_string()) add(input.text());
  for (const JsonValue& each : input.items()) add(each.text());
  return json_reply(R"({"object":"list","data":[)" + data +
                    R"(],"model":"text-embedding-3-small","usage":{"prompt_tokens":)" +
                    std::to_string(n * 1000) + R"(,"total_tokens":)" + std::to_string(n * 1000) +
                    "}}");
}

std::string inputs_of(const Seen& seen) {
  const auto body = JsonValue::parse(seen.body);
  std::string out;
  for (const JsonValue& each : (*body)["input"].items()) out += std::string(each.text()) + " ";
  if ((*body)["input"].is_string()) out = (*body)["input"].text();
  return out;
}

std::string embed_body(const std::vector<std::string>& texts, std::string_view more = {}) {
  std::string out = R"({"model":"openai/text-embedding-3-small","input":)";
  JsonWriter(out).value(texts);
  return out + std::string(more) + "}";
}

class EmbedRig : public Rig {
 public:
  using Rig::Rig;
  MemorySink embed(const std::string& body,
                   const std::vector<std::pair<std::string, std::string>>& fields = {},
                   EmbedForm form = EmbedForm::kOpenAi, std::string_view tenant = "local") {
    MemorySink sink;
    net::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    CallContext context;
    context.tenant = tenant;
    context.headers = &headers;
    loop.run_until_done(shard->embed(context, form, "openai/text-embedding-3-small", body, sink));
    return sink;
  }
};

std::vector<Vector> vectors_of(const MemorySink& sink) {
  auto answer = read_embed_answer(Dialect::kOpenAi, sink.body);
  EXPECT_TRUE(answer.ok()) << sink.body;
  return answer.ok() ? answer->vectors : std::vector<Vector>();
}

TEST(Embeddings, OfAListOnlyWhatIsNewIsAskedFor) {
  FakeUpstream up([](const Seen& seen, int) { return embed_reply(seen); });
  EmbedRig rig(up);
  const auto first = rig.embed(embed_body({"kick", "toms"}));
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.headers.get("x-samplemind-cache"), "miss");
  EXPECT_EQ(first.headers.get("x-samplemind-cost-microusd"), "40");  // 2,000 tokens at $0.02/M

  const auto second = rig.embed(embed_body({"toms", "clap", "toms", "kick"}));
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.headers.get("x-samplemind-cache"), "miss");
  EXPECT_EQ(second.headers.get("x-samplemind-cached-texts"), "2/3");
  EXPECT_EQ(second.headers.get("x-samplemind-cost-microusd"), "20");
  const auto vectors = vectors_of(second);
  ASSERT_EQ(vectors.size(), 4u);
  EXPECT_EQ(vectors[0], (Vector{4, 't', 0.1f}));
  EXPECT_EQ(vectors[1], (Vector{4, 'c', 0.1f}));
  EXPECT_EQ(vectors[2], (Vector{4, 't', 0.1f}));
  EXPECT_EQ(vectors[3], (Vector{4, 'k', 0.1f}));
  ASSERT_EQ(up.seen().size(), 2u);
  EXPECT_EQ(inputs_of(up.seen()[1]), "clap ");

  const auto third = rig.embed(embed_body({"clap", "kick"}));
  EXPECT_EQ(third.headers.get("x-samplemind-cache"), "hit-memory");
  EXPECT_EQ(third.headers.get("x-samplemind-cost-microusd"), "0");
  EXPECT_EQ(third.headers.get("x-samplemind-saved-microusd"), "40");
  EXPECT_EQ(vectors_of(third)[1], (Vector{4, 'k', 0.1f}));
  EXPECT_EQ((*JsonValue::parse(third.body))["usage"]["prompt_tokens"].integer(), 2000);
  EXPECT_NE(third.body.find("0.1]"), std::string::npos) << third.body;  // as short as it came
  EXPECT_EQ(up.seen().size(), 2u);
}

TEST(Embeddings, WhatDecidesOnTheVectorIsInTheKey) {
  FakeUpstream up([](const Seen& seen, int) { return embed_reply(seen); });
  EmbedRig rig(up);
  (void)rig.embed(embed_body({"kick"}));
  EXPECT_EQ(
      rig.embed(embed_body({"kick"}, R"(,"dimensions":256)")).headers.get("x-samplemind-cache"),
      "miss");
  EXPECT_EQ(rig.embed(embed_body({"kick"}, R"(,"new_member":1)")).headers.get("x-samplemind-cache"),
            "miss");
  EXPECT_EQ(rig.embed(embed_body({"kick"}), {}, EmbedForm::kOpenAi, "bob")
                .headers.get("x-samplemind-cache"),
            "miss");
  EXPECT_EQ(rig.embed(embed_body({"kick"}), {{"x-samplemind-cache-namespace", "a"}})
                .headers.get("x-samplemind-cache"),
            "miss");
  // Who asks, and how the numbers are spelt, is not.
  EXPECT_EQ(rig.embed(embed_body({"kick"}, R"(,"user":"ann")")).headers.get("x-samplemind-cache"),
            "hit-memory");
  const auto packed = rig.embed(embed_body({"kick"}, R"(,"encoding_format":"base64")"));
  EXPECT_EQ(packed.headers.get("x-samplemind-cache"), "hit-memory");
  EXPECT_EQ(vectors_of(packed)[0], (Vector{4, 'k', 0.1f}));
  // One text alone, not in a list, is the same text; asked in another dialect, too.
  EXPECT_EQ(rig.embed(R"({"model":"openai/text-embedding-3-small","input":"kick"})")
                .headers.get("x-samplemind-cache"),
            "hit-memory");
  const auto gemini =
      rig.embed(R"({"content":{"parts":[{"text":"kick"}]}})", {}, EmbedForm::kGemini);
  EXPECT_EQ(gemini.headers.get("x-samplemind-cache"), "hit-memory");
  EXPECT_EQ(gemini.body, R"({"embedding":{"values":[4,107,0.1]}})");
}

TEST(Embeddings, WishesAreObeyed) {
  FakeUpstream up([](const Seen& seen, int) { return embed_reply(seen); });
  EmbedRig rig(up);
  EXPECT_EQ(rig.embed(embed_body({"kick"}), {{"cache-control", "only-if-cached"}}).status, 504);
  EXPECT_EQ(up.seen().size(), 0u);
  (void)rig.embed(embed_body({"kick"}), {{"cache-control", "no-store"}});
  (void)rig.embed(embed_body({"kick"}));
  EXPECT_EQ(up.seen().size(), 2u);
  (void)rig.embed(embed_body({"kick"}), {{"x-samplemind-cache-mode", "refresh"}});
  EXPECT_EQ(up.seen().size(), 3u);
  EXPECT_EQ(rig.embed(embed_body({"kick"}), {{"cache-control", "only-if-cached"}}).status, 200);
  // Token numbers are no texts: they go to the provider each time.
  const std::string numbers = R"({"model":"openai/text-embedding-3-small","input":[[1,2],[3]]})";
  const auto passed = rig.embed(numbers);
  EXPECT_EQ(passed.headers.get("x-samplemind-cache"), "bypass");
  EXPECT_EQ(up.seen().size(), 4u);
}

TEST(Embeddings, SurviveARestartOnDisk) {
  const TempFolder folder;
  FakeUpstream up([](const Seen& seen, int) { return embed_reply(seen); });
  {
    EmbedRig rig(up, {}, folder.path() / "cache");
    (void)rig.embed(embed_body({"kick"}));
    rig.gateway->flush();
  }
  EmbedRig rig(up, {}, folder.path() / "cache");
  const auto again = rig.embed(embed_body({"kick"}));
  EXPECT_EQ(again.headers.get("x-samplemind-cache"), "hit-disk");
  EXPECT_EQ(vectors_of(again)[0], (Vector{4, 'k', 0.1f}));
  EXPECT_EQ(up.seen().size(), 1u);
}

TEST(Embeddings, EqualTextsAtOnceAreOneCall) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  std::atomic<int> calls{0};
  FakeUpstream up([&](const Seen& seen, int) {
    Reply r = embed_reply(seen);
    if (calls++ == 0) r.wait_before = opened;
    return r;
  });
  EmbedRig rig(up);
  std::vector<MemorySink> sinks(5);
  std::vector<std::string> bodies;
  for (size_t i = 0; i < sinks.size(); ++i)
    bodies.push_back(embed_body({"kick", "n" + std::to_string(i % 2)}));
  int done = 0;
  const auto run = [&](size_t i) -> net::Task<void> {
    CallContext context;
    context.tenant = "local";
    co_await rig.shard->embed(context, EmbedForm::kOpenAi, {}, bodies[i], sinks[i]);
    ++done;
  };
  rig.loop.spawn(run(0));
  rig.loop.run_until_done([&]() -> net::Task<void> {
    while (calls == 0) co_await rig.loop.yield();
    for (size_t i = 1; i < sinks.size(); ++i) rig.loop.spawn(run(i));
    // The others have asked for what is theirs alone.
    while (calls < 2) co_await rig.loop.yield();
    gate.set_value();
    while (done < 5) co_await rig.loop.yield();
  }());
  for (size_t i = 0; i < sinks.size(); ++i) {
    ASSERT_EQ(sinks[i].status, 200) << sinks[i].body;
    EXPECT_EQ(vectors_of(sinks[i])[0], (Vector{4, 'k', 0.1f}));
    EXPECT_EQ(vectors_of(sinks[i])[1][1], 'n');
  }
  EXPECT_EQ(calls, 2);
}

TEST(Embeddings, AFailureReachesAllAndKeepsNothing) {
  std::atomic<int> calls{0};
  FakeUpstream up([&](const Seen& seen, int) {
    if (calls++ < 1) {
      Reply r = json_reply(R"({"error":{"message":"no","type":"invalid_request_error"}})");
      r.status = 400;
      return r;
    }
    return embed_reply(seen);
  });
  EmbedRig rig(up);
  EXPECT_EQ(rig.embed(embed_body({"kick"})).status, 400);
  EXPECT_EQ(rig.embed(embed_body({"kick"})).status, 200);
}

TEST(Embeddings, APassingFailureIsTriedAgainAndAMissingVectorIsAnError) {
  std::atomic<int> calls{0};
  FakeUpstream up([&](const Seen& seen, int) {
    if (calls++ == 0) {
      Reply r = json_reply(R"({"error":{"message":"busy"}})");
      r.status = 503;
      return r;
    }
    if (calls == 2) return embed_reply(seen);
    return json_reply(R"({"data":[{"embedding":[1]}],"usage":{"prompt_tokens":1}})");
  });
  EmbedRig rig(up, {}, {}, false, &system_clock());
  EXPECT_EQ(rig.embed(embed_body({"kick"})).status, 200);
  const auto broken = rig.embed(embed_body({"snare", "clap"}));
  EXPECT_EQ(broken.status, 502);
  EXPECT_NE(broken.body.find("2 texts were asked for and 1 vectors came"), std::string::npos)
      << broken.body;
}

TEST(Embeddings, WhatTheOperatorBlocksNeverLeaves) {
  FakeUpstream up([](const Seen& seen, int) { return embed_reply(seen); });
  EmbedRig rig(up, {{"ai.block", "Project Zeus"}});
  EXPECT_EQ(rig.embed(embed_body({"about project zeus"})).status, 400);
  EXPECT_TRUE(up.seen().empty());
}

TEST(EmbedFloats, SurviveBase64) {
  for (const Vector& v : {Vector{0}, Vector{1, -2.5f}, Vector{1e-38f, 3e38f, 0.1f, -0.0f}}) {
    const auto back = floats_of_base64(base64_of_floats(v));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, v);
  }
  for (const char* bad : {"", "A", "AAAA", "AAAAA*==", "AAAAAAAA"})
    EXPECT_FALSE(floats_of_base64(bad).ok()) << bad;
}

}  // namespace
}  // namespace samplemind::ai::test
