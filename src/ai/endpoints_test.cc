// Several endpoints of one provider: their shares, who has which model, one standing in for
// another.
#include "ai/endpoints.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "ai/gateway/books.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string listing(const std::vector<std::string>& models) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("data").begin_array();
  for (const std::string& each : models) w.begin_object().field("id", each).end_object();
  w.end_array().end_object();
  return out;
}

// A server of OpenAI's dialect with these models; `chat` instead of a good answer.
FakeUpstream::Handler serving(std::vector<std::string> models,
                              std::function<Reply(const Seen&, int)> chat = {}) {
  return [models = std::move(models), chat = std::move(chat)](const Seen& seen, int n) {
    if (seen.path == "/v1/models") return json_reply(listing(models));
    if (chat) return chat(seen, n);
    if (seen.path == "/v1/embeddings") {
      return json_reply(
          R"({"object":"list","model":"embed-1","data":[{"object":"embedding","index":0,)"
          R"("embedding":[0.5,0.25]}],"usage":{"prompt_tokens":2,"total_tokens":2}})");
    }
    return json_reply(answer_body("good"));
  };
}
std::function<Reply(const Seen&, int)> always(Reply reply) {
  return [reply](const Seen&, int) { return reply; };
}
Reply failed(int status, std::string_view message = "no") {
  return json_reply(R"({"error":{"message":")" + std::string(message) + R"(","type":"x"}})",
                    status);
}

// OpenAI's own address and one more.
struct Pool {
  Pool(FakeUpstream::Handler first_handler, FakeUpstream::Handler lab_handler, Flags flags = {})
      : first(std::move(first_handler)), lab(std::move(lab_handler)), rig(first, all(flags)) {}
  Flags all(Flags flags) {
    flags.emplace_back("ai.endpoints.lab.url", lab.url("/v1"));
    flags.emplace_back("ai.endpoints.lab.api_key", "sk-lab-0123456789");
    flags.emplace_back("log.requests", "none");
    return flags;
  }
  MemorySink ask(std::string_view model, std::string_view text, Headers fields = {}) {
    return rig.chat(R"({"model":")" + std::string(model) +
                        R"(","messages":[{"role":"user","content":")" + std::string(text) + "\"}]}",
                    fields);
  }
  FakeUpstream first, lab;
  Rig rig;
};

TEST(Endpoints, ShareByWeightAndKeepTheirConversations) {
  Pool pool(serving({"m"}), serving({"m"}), {{"ai.endpoints.lab.weight", "3"}});
  for (int i = 0; i < 400; ++i)
    ASSERT_EQ(pool.ask("openai/m", "question " + std::to_string(i)).status, 200);
  EXPECT_EQ(pool.first.chats() + pool.lab.chats(), 400);
  // 300 are expected; six standard deviations either way.
  EXPECT_NEAR(pool.lab.chats(), 300, 52);
  // Each has its own key, and only that.
  for (const Seen& seen : pool.lab.seen()) {
    EXPECT_NE(seen.head.find("sk-lab-0123456789"), std::string::npos);
    EXPECT_EQ(seen.head.find("sk-test"), std::string::npos);
  }
  for (const Seen& seen : pool.first.seen()) EXPECT_EQ(seen.head.find("sk-lab"), std::string::npos);
  // The next question of a conversation goes where the first went.
  const int before = pool.lab.chats();
  const int first_before = pool.first.chats();
  for (int i = 0; i < 20; ++i) {
    (void)pool.rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"begin"},)"
                        R"({"role":"assistant","content":"yes"},{"role":"user","content":")" +
                        std::to_string(i) + "\"}]}");
  }
  EXPECT_TRUE(pool.lab.chats() == before || pool.first.chats() == first_before);
}

TEST(Endpoints, AModelIsAskedForWhereItIs) {
  Pool pool(serving({"m", "only-first"}), serving({"m", "only-lab"}));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(pool.ask("openai/only-lab", std::to_string(i)).status, 200);
    EXPECT_EQ(pool.ask("only-first", std::to_string(i)).status, 200);
  }
  EXPECT_EQ(pool.lab.chats(), 8);
  EXPECT_EQ(pool.first.chats(), 8);
  // An endpoint that was named stands alone, by any model's name.
  for (int i = 0; i < 4; ++i) EXPECT_EQ(pool.ask("lab/m", "x" + std::to_string(i)).status, 200);
  EXPECT_EQ(pool.lab.chats(), 12);
  const MemorySink named = pool.ask("lab/m", "route");
  EXPECT_EQ(named.header("x-samplemind-model"), "openai/m");
  EXPECT_TRUE(named.header("x-samplemind-route").starts_with("lab/m (named"))
      << named.header("x-samplemind-route");
  EXPECT_EQ(pool.ask("nobody-has-it", "x").status, 404);
}

TEST(Endpoints, OnesFaultIsTheOthersTurn) {
  std::vector<Reply> faults{failed(500), failed(503), failed(429),
                            failed(401), failed(404), failing(Reply::End::kReset)};
  for (Reply& fault : faults) {
    // Its weight has everything begin at the one that fails.
    Pool pool(serving({"m"}, always(fault)), serving({"m"}), {{"ai.endpoints.lab.weight", "0"}});
    const MemorySink sink = pool.ask("openai/m", "hi");
    EXPECT_EQ(sink.status, 200) << sink.body;
    // No second try where another can be asked; a connection that was kept may be stale.
    EXPECT_LE(pool.first.chats(), fault.nothing ? 2 : 1);
    EXPECT_EQ(pool.lab.chats(), 1);
    const std::string route = sink.header("x-samplemind-route");
    EXPECT_TRUE(route.starts_with("lab/m (named; first openai:")) << route;
    // The answer is kept for all of them.
    EXPECT_EQ(pool.ask("openai/m", "hi").cache(), "hit-memory");
    EXPECT_EQ(pool.ask("lab/m", "hi").cache(), "hit-memory");
  }
  // What one says of the request, the other would say as well.
  Pool pool(serving({"m"}, always(failed(400))), serving({"m"}),
            {{"ai.endpoints.lab.weight", "0"}});
  EXPECT_EQ(pool.ask("openai/m", "hi").status, 400);
  EXPECT_EQ(pool.lab.chats(), 0);
}

TEST(Endpoints, WhenAllFailTheFirstErrorIsToldWithTheOthers) {
  Pool pool(serving({"m"}, always(failed(500, "one is down"))),
            serving({"m"}, always(failed(503, "two is full"))),
            {{"ai.endpoints.lab.weight", "0"}, {"ai.attempts", "2"}});
  const MemorySink sink = pool.ask("openai/m", "hi");
  EXPECT_EQ(sink.status, 502) << sink.body;
  EXPECT_NE(sink.body.find("one is down"), std::string::npos) << sink.body;
  EXPECT_NE(sink.body.find("two is full"), std::string::npos) << sink.body;
  EXPECT_EQ(pool.first.chats(), 1);
  EXPECT_EQ(pool.lab.chats(), 2);  // the last may be tried again
}

TEST(Endpoints, OneThatIsDownDelaysNobodyAndIsFoundAgain) {
  std::atomic<bool> up = false;
  Pool pool(serving({"m"}), [&up](const Seen& seen, int n) {
    if (!up) return failing(Reply::End::kReset);
    return serving({"m", "new"})(seen, n);
  });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pool.ask("openai/m", std::to_string(i)).status, 200);
  EXPECT_EQ(pool.first.chats(), 20);
  EXPECT_EQ(pool.lab.chats(), 0);  // it did not list: it comes last
  up = true;
  pool.rig.clock.advance(std::chrono::seconds(40));
  (void)pool.ask("openai/m", "asks for the list behind");
  for (int i = 0; i < 200 && pool.lab.others() < 2; ++i)
    (void)pool.ask("openai/m", "again " + std::to_string(i));
  EXPECT_EQ(pool.ask("openai/new", "x").status, 200);
  EXPECT_GE(pool.lab.chats(), 1);
}

TEST(Endpoints, LocalOnlyGoesToThoseThatAreHere) {
  Pool pool(serving({"m"}), serving({"m"}),
            {{"ai.endpoints.far.url", "http://192.0.2.1/v1"},  // an address of nobody's (RFC 5737)
             {"ai.endpoints.far.models", "m"},
             {"ai.endpoints.far.weight", "1000000"},
             {"ai.connect_timeout", "20ms"}});
  for (int i = 0; i < 5; ++i) {
    const MemorySink sink =
        pool.ask("openai/m", std::to_string(i), {{"x-samplemind-residency", "local-only"}});
    EXPECT_EQ(sink.status, 200) << sink.body;
    EXPECT_EQ(sink.header("x-samplemind-route").find("far"), std::string::npos);
  }
  // Others go there first, and come back when nobody answers.
  const MemorySink sink = pool.ask("openai/m", "anywhere");
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_NE(sink.header("x-samplemind-route").find("first far:"), std::string::npos)
      << sink.header("x-samplemind-route");
}

TEST(Endpoints, AutoAndAliasesUseThemTogether) {
  Pool pool(serving({"gpt-4o-mini"}, always(failed(500))), serving({"gpt-4o-mini"}),
            {{"ai.aliases.fast", "openai/gpt-4o-mini"}, {"ai.aliases.mine", "lab/gpt-4o-mini"}});
  EXPECT_EQ(pool.ask("auto", "one").status, 200);
  EXPECT_EQ(pool.ask("fast", "two").status, 200);
  EXPECT_EQ(pool.ask("mine", "three").status, 200);
  EXPECT_EQ(pool.lab.chats(), 3);
}

TEST(Endpoints, AutoWorksWithoutTheProvidersOwnAddress) {
  FakeUpstream lab(serving({"m"}));
  FakeUpstream unused(serving({}));
  Rig rig(unused, {{"ai.openai.api_key", ""},
                   {"ai.openai.base_url", ""},
                   {"ai.endpoints.lab.url", lab.url("/v1")},
                   {"log.requests", "none"}});
  const MemorySink sink =
      rig.chat(R"({"model":"auto","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_EQ(sink.header("x-samplemind-model"), "openai/m");
  EXPECT_EQ(unused.others() + unused.chats(), 0);
}

TEST(Endpoints, EmbeddingsStandInToo) {
  Pool pool(serving({"embed-1"}, always(failed(500))), serving({"embed-1"}),
            {{"ai.endpoints.lab.weight", "0"}});
  MemorySink sink;
  net::Headers headers;
  CallContext context;
  context.headers = &headers;
  const std::string body = R"({"model":"openai/embed-1","input":"kick"})";
  pool.rig.loop.run_until_done(pool.rig.shard->embed(context, EmbedForm::kOpenAi, {}, body, sink));
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_NE(sink.body.find("0.25"), std::string::npos) << sink.body;
}

TEST(Endpoints, MoneyIsTheModelsWhereverItWas) {
  Pool pool(serving({"gpt-4o-mini"}, always(failed(500))), serving({"gpt-4o-mini"}),
            {{"ai.endpoints.lab.weight", "0"}});
  EXPECT_EQ(pool.ask("openai/gpt-4o-mini", "hi").header("x-samplemind-cost-microusd"), "210");
  const auto rows = pool.rig.gateway->books().ledger->usage(UsageBy::kModel, 1);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().sum.tries, 2);
  EXPECT_EQ(rows->front().sum.cost_microusd, 210);
}

TEST(Endpoints, WhatCannotBeIsSaidAtTheStart) {
  const auto read = [](const Flags& flags) {
    auto config = Config::load(config_keys(), "/nonexistent/config.toml", false, flags);
    EXPECT_TRUE(config.ok()) << config.error().message();
    return read_endpoints(*config);
  };
  const std::string url = "http://127.0.0.1:8000/v1";
  const std::vector<std::pair<Flags, std::string>> bad{
      {{{"ai.endpoints.lab.weight", "1"}}, "ai.endpoints.lab.url: is missing"},
      {{{"ai.endpoints.openai.url", url}}, "'openai' is taken"},
      {{{"ai.endpoints.claude.url", url}}, "'claude' is taken"},
      {{{"ai.endpoints.a b.url", url}}, "a name is made of"},
      {{{"ai.endpoints.lab.url", "lab:8000"}}, "ai.endpoints.lab.url"},
      {{{"ai.endpoints.lab.url", url}, {"ai.endpoints.lab.provider", "opnai"}},
       "there is no provider 'opnai'"},
      {{{"ai.endpoints.lab.url", url}, {"ai.endpoints.lab.weight", "-1"}}, "not below 0"},
      {{{"ai.openai.weight", "-1"}}, "not below 0"},
      {{{"ai.endpoints.lab.url", url}, {"ai.endpoints.lab.key_env", "SM_TEST_NOT_SET"}},
       "SM_TEST_NOT_SET is not set"},
  };
  for (const auto& [flags, message] : bad) {
    const auto list = read(flags);
    ASSERT_FALSE(list.ok()) << message;
    EXPECT_NE(list.error().message().find(message), std::string::npos) << list.error().message();
  }
  ::setenv("SM_TEST_LAB_KEY", "sk-lab-from-env-0123", 1);
  const auto good = read({{"ai.endpoints.lab.url", url},
                          {"ai.endpoints.lab.key_env", "SM_TEST_LAB_KEY"},
                          {"ai.endpoints.studio.url", "studio:11434"},
                          {"ai.endpoints.studio.provider", "ollama"},
                          {"ai.endpoints.studio.models", "a,b"}});
  ::unsetenv("SM_TEST_LAB_KEY");
  ASSERT_TRUE(good.ok()) << good.error().message();
  ASSERT_EQ(good->size(), 6u);
  EXPECT_EQ((*good)[4].key, "sk-lab-from-env-0123");
  EXPECT_EQ((*good)[5].models, (std::vector<std::string>{"a", "b"}));
}

}  // namespace
}  // namespace samplemind::ai::test
