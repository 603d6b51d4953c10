// The gateway over two providers: who is asked, what it costs, what stays forbidden.
#include <gtest/gtest.h>

#include "ai/gateway/books.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

Reply openai_models() {
  return json_reply(R"({"data":[{"id":"gpt-4o-mini"},{"id":"gpt-4.1"},{"id":"gpt-4"}]})");
}
Reply ollama_answer(std::string_view text = "local") {
  return json_reply(R"({"model":"tiny:latest","message":{"role":"assistant","content":")" +
                    std::string(text) +
                    R"("},"done":true,"done_reason":"stop","prompt_eval_count":5,"eval_count":2})"
                    "\n");
}
FakeUpstream::Handler ollama(std::function<Reply(const Seen&, int)> chat = {}) {
  return [chat](const Seen& seen, int n) {
    if (seen.path == "/api/tags") return json_reply(R"({"models":[{"name":"tiny:latest"}]})");
    return chat ? chat(seen, n) : ollama_answer();
  };
}
FakeUpstream::Handler openai(std::function<Reply(const Seen&, int)> chat) {
  return [chat](const Seen& seen, int n) {
    if (seen.path == "/v1/models") return openai_models();
    return chat(seen, n);
  };
}
Reply good(const Seen&, int) {
  return json_reply(answer_body("hosted"));
}
Reply refusal(int status, std::string code, std::string message = "no") {
  return json_reply(
      R"({"error":{"message":")" + message + R"(","type":"x","code":")" + code + "\"}}", status);
}

struct Two {
  Two(FakeUpstream::Handler local_handler, FakeUpstream::Handler hosted_handler, Flags flags = {},
      const std::filesystem::path& folder = {})
      : local(std::move(local_handler)),
        hosted(std::move(hosted_handler)),
        rig(hosted, all(flags), folder) {}
  Flags all(Flags flags) {
    flags.emplace_back("ai.ollama.host", "127.0.0.1:" + std::to_string(local.port()));
    flags.emplace_back("log.requests", "none");
    return flags;
  }
  MemorySink chat(std::string body, Headers fields = {}, VirtualKeyPtr key = nullptr) {
    MemorySink sink;
    net::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    CallContext context;
    context.key = key;
    if (key) context.tenant = key->tenant;
    context.headers = &headers;
    rig.loop.run_until_done(rig.shard->openai_chat(context, body, sink));
    return sink;
  }
  int64_t sum(int64_t UsageEntry::*member) {
    int64_t n = 0;
    const auto rows = rig.gateway->books().ledger->usage(UsageBy::kModel, 1);
    if (!rows.ok()) return -1;
    for (const UsageRow& row : rows.value()) n += row.sum.*member;
    return n;
  }
  FakeUpstream local, hosted;
  Rig rig;
};

std::string asking(std::string_view model, std::string_view text, std::string_view more = {}) {
  return R"({"model":")" + std::string(model) + R"(","messages":[{"role":"user","content":")" +
         std::string(text) + "\"}]" + std::string(more) + "}";
}

VirtualKeyPtr key(std::vector<Budget> budgets = {}, std::vector<std::string> models = {}) {
  auto k = std::make_shared<VirtualKey>();
  k->id = "0000000a";
  k->tenant = "band";
  k->budgets = std::move(budgets);
  k->models = std::move(models);
  return k;
}

TEST(Routing, AutoGoesWhereTheRulesSayAndTellsWhy) {
  Two two(ollama(), openai(good));
  const MemorySink fact = two.chat(asking("auto", "how long is a bar"));
  EXPECT_EQ(fact.header("x-samplemind-model"), "ollama/tiny:latest");
  const std::string route = fact.header("x-samplemind-route");
  EXPECT_NE(route.find("task factual"), std::string::npos) << route;
  EXPECT_NE(route.find("rule speed.factual"), std::string::npos) << route;
  EXPECT_NE(route.find("then openai/gpt-4o-mini"), std::string::npos) << route;
  EXPECT_NE(route.find("anthropic: not configured"), std::string::npos) << route;
  // The same body again: from the cache, by the quick way, and still told.
  (void)two.chat(asking("auto", "how long is a bar"));
  const MemorySink again = two.chat(asking("auto", "how long is a bar"));
  EXPECT_EQ(again.cache(), "hit-memory");
  EXPECT_EQ(again.header("x-samplemind-route"), route);
  const MemorySink tools =
      two.chat(asking("auto:cost", "go",
                      R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])"));
  EXPECT_EQ(tools.header("x-samplemind-model"), "openai/gpt-4o-mini");
  EXPECT_EQ(two.chat(asking("auto", "x"), {{"x-samplemind-task", "tool"}}).status, 400);
  EXPECT_EQ(two.chat(asking("auto:fast", "x")).status, 404);
  EXPECT_EQ(two.chat(asking("auto", "x"), {{"x-samplemind-priority", "cheap"}}).status, 400);
}

TEST(Routing, AFailureBeforeContentGoesToTheNext) {
  Two two(ollama([](const Seen&, int) { return refusal(500, "", "broken"); }), openai(good),
          {{"ai.attempts", "2"}});
  const MemorySink s = two.chat(asking("auto", "how long is a bar"));
  EXPECT_EQ(s.status, 200);
  EXPECT_EQ(s.header("x-samplemind-model"), "openai/gpt-4o-mini");
  EXPECT_EQ(two.local.chats(), 2) << "one retry, then the next";
  EXPECT_EQ(two.hosted.chats(), 1);
  EXPECT_EQ(two.sum(&UsageEntry::tries), 3);
  const std::string route = s.header("x-samplemind-route");
  EXPECT_TRUE(route.starts_with("openai/gpt-4o-mini (")) << route;
  EXPECT_NE(route.find("; first ollama: broken"), std::string::npos) << route;
  // It is kept under the model that gave it, never under the one that was meant.
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", "how long is a bar")).cache(), "hit-memory");
  EXPECT_EQ(two.chat(asking("ollama/tiny:latest", "how long is a bar")).status, 502);
}

TEST(Routing, C6StreamsFallThroughBeforeContentAndNeverAfter) {
  int calls = 0;
  Two two(
      ollama([&](const Seen&, int) {
        ++calls;
        Reply r = ollama_answer();
        r.type = "application/x-ndjson";
        r.pieces = {R"({"model":"tiny","message":{"role":"assistant","content":""},"done":false})"
                    "\n"};
        if (calls > 1)
          r.pieces.push_back(
              R"({"model":"tiny","message":{"role":"assistant","content":"Hal"},"done":false})"
              "\n");
        r.end = Reply::End::kCut;
        return r;
      }),
      openai([](const Seen&, int) { return sse_reply(good_stream()); }), {{"ai.attempts", "1"}});
  const MemorySink first = two.chat(asking("auto", "how long is a bar", ",\"stream\":true"));
  EXPECT_EQ(first.status, 200);
  EXPECT_NE(first.body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(first.header("x-samplemind-model"), "openai/gpt-4o-mini");
  const MemorySink second = two.chat(asking("auto", "how long is a beat", ",\"stream\":true"));
  EXPECT_NE(second.body.find("Hal"), std::string::npos);
  EXPECT_NE(second.body.find("\"error\""), std::string::npos);
  EXPECT_EQ(second.body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(two.hosted.chats(), 1);
}

TEST(Routing, ANamedModelIsThatModelOrAnError) {
  Two two(ollama([](const Seen&, int) { return refusal(500, "", "broken"); }), openai(good),
          {{"ai.attempts", "1"}});
  const MemorySink s = two.chat(asking("ollama/tiny:latest", "x"));
  EXPECT_EQ(s.status, 502);
  EXPECT_EQ(two.hosted.chats(), 0) << "a local model's request never leaves the machine";
}

TEST(Routing, S12TooLongGoesToALargerModelOnceEach) {
  Two two(ollama(), openai([](const Seen& seen, int) {
            return seen.body.find("gpt-4.1") != std::string::npos
                       ? json_reply(answer_body("hosted"))
                       : refusal(400, "context_length_exceeded");
          }),
          {{"ai.aliases.big", "openai/gpt-4o-mini"}});
  // gpt-4 is no larger than gpt-4o-mini and is not asked.
  const auto table = RouteTable::load(
      "[alias.sizes]\ntargets = [\"openai/gpt-4o-mini\", \"openai/gpt-4\", \"openai/gpt-4.1\"]",
      "r", {}, {"ollama", "gemini", "anthropic", "openai"});
  ASSERT_TRUE(table.ok());
  two.rig.gateway->books().routes = *table;
  const MemorySink s = two.chat(asking("sizes", "x"));
  EXPECT_EQ(s.status, 200);
  EXPECT_EQ(s.header("x-samplemind-model"), "openai/gpt-4.1");
  EXPECT_EQ(two.hosted.chats(), 2);
}

TEST(Routing, S13AContentFilterIsTheAnswer) {
  Two two(ollama([](const Seen&, int) { return refusal(400, "content_filter", "filtered"); }),
          openai(good));
  const MemorySink s = two.chat(asking("auto", "how long"));
  EXPECT_EQ(s.status, 400);
  EXPECT_EQ(two.hosted.chats(), 0);
}

TEST(Routing, C7S14TheFirstErrorIsKeptAndTheChainListed) {
  Two two(ollama([](const Seen&, int) { return refusal(503, "", "overloaded first"); }),
          openai([](const Seen&, int) { return refusal(400, "", "no prefill here"); }),
          {{"ai.attempts", "1"}});
  const MemorySink s = two.chat(asking("auto", "how long"));
  EXPECT_EQ(s.status, 503);
  EXPECT_NE(s.body.find("overloaded first"), std::string::npos) << s.body;
  EXPECT_NE(s.body.find("no prefill here"), std::string::npos) << s.body;
}

TEST(Routing, D2NoMoreTriesThanAllowedInAll) {
  Two two(ollama([](const Seen&, int) { return refusal(500, ""); }),
          openai([](const Seen&, int) { return refusal(500, ""); }),
          {{"ai.attempts", "3"}, {"ai.attempts_total", "3"}});
  EXPECT_EQ(two.chat(asking("auto", "how long")).status, 502);
  EXPECT_EQ(two.local.chats() + two.hosted.chats(), 3);
}

TEST(Routing, LocalOnlyStaysHere) {
  Two two(ollama([](const Seen&, int) { return refusal(500, ""); }), openai(good),
          {{"ai.attempts", "1"}});
  // Both fakes are on this machine; what counts is the address.
  const MemorySink s = two.chat(asking("auto", "x"), {{"x-samplemind-residency", "local-only"}});
  EXPECT_EQ(s.status, 200);
  EXPECT_EQ(two.chat(asking("auto", "x"), {{"x-samplemind-residency", "here"}}).status, 400);
  Two far(ollama(), openai(good),
          {{"ai.openai.base_url", "http://models.example.com/v1"}, {"ai.attempts", "1"}});
  const MemorySink named =
      far.chat(asking("openai/gpt-4o-mini", "x"), {{"x-samplemind-residency", "local-only"}});
  EXPECT_EQ(named.status, 403);
  EXPECT_NE(named.body.find("not on this machine"), std::string::npos) << named.body;
}

TEST(Routing, AKeysModels) {
  Two two(ollama(), openai(good));
  const VirtualKeyPtr only_local = key({}, {"ollama/*"});
  EXPECT_EQ(two.chat(asking("ollama/tiny:latest", "x"), {}, only_local).status, 200);
  const MemorySink no = two.chat(asking("openai/gpt-4o-mini", "x"), {}, only_local);
  EXPECT_EQ(no.status, 403);
  EXPECT_NE(no.body.find("model_not_allowed"), std::string::npos) << no.body;
  // Also when the answer lies in the cache already.
  const VirtualKeyPtr all = key();
  (void)two.chat(asking("openai/gpt-4o-mini", "y"), {}, all);
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", "y"), {}, all).cache(), "hit-memory");
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", "y"), {}, all).cache(), "hit-memory");
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", "y"), {}, only_local).status, 403);
}

TEST(Routing, RateLimitsAreToldAndCountHitsToo) {
  Two two(ollama(), openai(good));
  auto k = std::make_shared<VirtualKey>(*key());
  k->requests_per_minute = 2;
  const MemorySink first = two.chat(asking("openai/gpt-4o-mini", "x"), {}, k);
  EXPECT_EQ(first.header("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.header("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(first.header("x-ratelimit-reset-requests"), "30s");
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", "x"), {}, k).status, 200);
  const MemorySink no = two.chat(asking("openai/gpt-4o-mini", "x"), {}, k);
  EXPECT_EQ(no.status, 429);
  EXPECT_EQ(no.header("retry-after"), "30");
  EXPECT_NE(no.body.find("rate_limit_exceeded"), std::string::npos);
  EXPECT_EQ(two.hosted.chats(), 1);
}

TEST(Routing, F1BudgetsRefuseSettleAndGiveBack) {
  int calls = 0;
  Two two(ollama(), openai([&](const Seen&, int) {
            return ++calls == 1 ? refusal(400, "", "bad") : json_reply(answer_body("hosted"));
          }));
  // A call of 1000 + 100 tokens costs 210 micro-dollars; with max_tokens 100 about 63 are held.
  const VirtualKeyPtr k = key({{300, Period::kDay, ""}});
  const auto ask = [&](std::string text) {
    return two.chat(asking("openai/gpt-4o-mini", text, ",\"max_tokens\":100"), {}, k);
  };
  EXPECT_EQ(ask("one").status, 400);
  EXPECT_EQ(two.rig.gateway->books().ledger->budget_states({*k})[0].held_microusd, 0);
  const MemorySink paid = ask("two");
  EXPECT_EQ(paid.status, 200);
  EXPECT_EQ(paid.header("x-samplemind-cost-microusd"), "210");
  EXPECT_EQ(ask("two").header("x-samplemind-cost-microusd"), "0") << "from the cache";
  EXPECT_EQ(ask("three").status, 200);
  const MemorySink no = ask("four");
  EXPECT_EQ(no.status, 429);
  EXPECT_NE(no.body.find("budget_exceeded"), std::string::npos) << no.body;
  EXPECT_NE(no.header("retry-after"), "");
  EXPECT_EQ(ask("two").cache(), "hit-memory") << "what is known costs nothing";
  EXPECT_EQ(two.chat(asking("ollama/tiny:latest", "x"), {}, k).status, 200) << "F5";
  // Nobody knows this one's price.
  const MemorySink unknown = two.chat(asking("openai/new-model", "x"), {}, k);
  EXPECT_EQ(unknown.status, 429);
  EXPECT_NE(unknown.body.find("price_unknown"), std::string::npos);
  // 'auto' goes on to the model that costs nothing.
  const MemorySink free =
      two.chat(asking("auto:cost", "x",
                      R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])"),
               {}, k);
  EXPECT_EQ(free.header("x-samplemind-model"), "ollama/tiny:latest");
}

TEST(Routing, ACutStreamIsBilledAsEstimated) {
  Two two(ollama(), openai([](const Seen&, int) {
            Reply r = sse_reply({chunk(R"({"role":"assistant","content":""})"),
                                 chunk(R"({"content":"twelve bytes"})")},
                                false);
            r.end = Reply::End::kCut;
            return r;
          }),
          {{"ai.attempts", "1"}});
  (void)two.chat(asking("openai/gpt-4o-mini", "x", ",\"stream\":true"));
  EXPECT_EQ(two.sum(&UsageEntry::estimated), 1);
  EXPECT_EQ(two.sum(&UsageEntry::output_tokens), 3);
  EXPECT_GT(two.sum(&UsageEntry::cost_microusd), 0);
}

TEST(Routing, UsageAndTheLogTellTheSame) {
  Two two(ollama(), openai(good));
  for (int i = 0; i < 3; ++i) (void)two.chat(asking("openai/gpt-4o-mini", "same"));
  (void)two.chat(asking("openai/gpt-4o-mini", "other"),
                 {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  EXPECT_EQ(two.sum(&UsageEntry::requests), 4);
  EXPECT_EQ(two.sum(&UsageEntry::hits), 2);
  EXPECT_EQ(two.sum(&UsageEntry::tries), 2);
  EXPECT_EQ(two.sum(&UsageEntry::cost_microusd), 420);
  EXPECT_EQ(two.sum(&UsageEntry::saved_microusd), 420);
  const auto last = two.rig.gateway->books().log.last(10);
  ASSERT_EQ(last.size(), 4u);
  EXPECT_EQ(last[0].trace_id, "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(last[0].cost_microusd, 210);
  EXPECT_EQ(last[1].cache, "hit-memory");
  EXPECT_EQ(last[1].request_body, "");
  const std::string sent = two.hosted.seen().back().head;
  EXPECT_NE(sent.find("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"), std::string::npos)
      << sent;
  EXPECT_EQ(sent.find("b7ad6b7169203331"), std::string::npos) << "our span is the parent";
}

TEST(Routing, TheCallersKeyIsNeverForwarded) {
  Two two(ollama(), openai(good));
  (void)two.chat(asking("openai/gpt-4o-mini", "x"), {{"authorization", "Bearer sm-caller-secret"},
                                                     {"x-api-key", "sm-caller-secret"},
                                                     {"x-goog-api-key", "sm-caller-secret"}});
  for (const Seen& seen : two.hosted.seen())
    EXPECT_EQ(seen.head.find("caller-secret"), std::string::npos);
}

TEST(Routing, GuardrailsRefuseAndRedact) {
  Two two(ollama(), openai(good),
          {{"ai.block", "Project Nightingale"},
           {"ai.redact", "secrets,personal"},
           {"ai.request_tokens_max", "500"}});
  const MemorySink no = two.chat(asking("openai/gpt-4o-mini", "tell project nightingale all"));
  EXPECT_EQ(no.status, 400);
  EXPECT_NE(no.body.find("blocked"), std::string::npos) << no.body;
  EXPECT_EQ(no.body.find("ightingale"), std::string::npos) << "the pattern is not told";
  for (const char* spelled : {"PROJECT\\nNightingale", "proj\\u0065ct  \\u004eightingale"})
    EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", spelled)).status, 400) << spelled;
  EXPECT_EQ(two.chat(asking("openai/gpt-4o-mini", std::string(4000, 'x'))).status, 413);
  (void)two.chat(asking("openai/gpt-4o-mini",
                        "my key is sk-proj-abcdefghijklmnop0123456789, mail ann@example.org",
                        ",\"seed\":4111111111111111"));
  const std::string sent = two.hosted.seen().back().body;
  EXPECT_NE(sent.find("my key is [redacted], mail [redacted]"), std::string::npos) << sent;
  EXPECT_NE(sent.find("4111111111111111"), std::string::npos) << "a number of the request's own";
  (void)two.chat(asking("openai/gpt-4o-mini", "mail \\u0061nn\\u0040example.org"));
  EXPECT_NE(two.hosted.seen().back().body.find("mail [redacted]"), std::string::npos);
}

TEST(Routing, AConversationStaysWithItsModel) {
  Two two(ollama(), openai(good));
  const std::string begun = asking("auto", "start");
  EXPECT_EQ(two.chat(begun).header("x-samplemind-model"), "ollama/tiny:latest");
  const std::string on =
      R"({"model":"auto:cost","messages":[{"role":"user","content":"start"},{"role":"assistant","content":"a"},{"role":"user","content":"go on"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]})";
  EXPECT_EQ(two.chat(on).header("x-samplemind-model"), "ollama/tiny:latest");
}

}  // namespace
}  // namespace samplemind::ai::test
