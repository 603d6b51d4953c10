#include "ai/response_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "ai/dialect/responses.h"
#include "ai/test_support.h"

namespace samplemind::ai {
namespace {

using test::TempFolder;

StoredResponse response(std::string id, std::string tenant, int64_t created_ms,
                        std::string text = "{}") {
  return {std::move(id), std::move(tenant), created_ms, R"({"role":"user","content":"hi"})",
          std::move(text)};
}

TEST(ResponseStore, KeepsOverARestartForItsTenantAlone) {
  const TempFolder folder;
  const FakeClock clock;
  const auto file = folder.path() / "responses.db";
  const std::string id = new_response_id();
  EXPECT_EQ(id.size(), 53u);
  EXPECT_NE(id, new_response_id());
  {
    auto store = *ResponseStore::open(file, clock);
    store->put(response(id, "a", clock.unix_ms(), R"({"x":1})"));
    // At once, before it is on disk.
    ASSERT_TRUE((*store->get("a", id)).has_value());
  }
  auto store = *ResponseStore::open(file, clock);
  const auto found = *store->get("a", id);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->response, R"({"x":1})");
  EXPECT_EQ(found->input, R"({"role":"user","content":"hi"})");
  EXPECT_FALSE((*store->get("b", id)).has_value());
  EXPECT_FALSE(*store->erase("b", id));
  EXPECT_TRUE(*store->erase("a", id));
  EXPECT_FALSE(*store->erase("a", id));
  EXPECT_FALSE((*store->get("a", id)).has_value());
}

TEST(ResponseStore, ForgetsAfterThirtyDays) {
  FakeClock clock;
  auto store = *ResponseStore::open({}, clock);
  store->put(response("resp_old", "a", clock.unix_ms()));
  store->flush();
  clock.advance(std::chrono::milliseconds(kResponseKeptMs - 1));
  EXPECT_TRUE((*store->get("a", "resp_old")).has_value());
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE((*store->get("a", "resp_old")).has_value());
}

TEST(ResponseStore, AboveItsSizeTheOldestGo) {
  FakeClock clock;
  auto store = *ResponseStore::open({}, clock, 64 << 10);
  for (int i = 0; i < 64; ++i) {
    std::string noise;
    for (int k = 0; k < 512; ++k) noise += new_response_id();
    store->put(response("resp_" + std::to_string(i), "a", clock.unix_ms() + i, noise));
  }
  store->flush();
  EXPECT_FALSE((*store->get("a", "resp_0")).has_value());
  EXPECT_TRUE((*store->get("a", "resp_63")).has_value());
}

TEST(ResponseStore, ADamagedFileIsToldAndAForeignOneNotTouched) {
  const TempFolder folder;
  const auto file = folder.path() / "responses.db";
  {
    FILE* f = std::fopen(file.c_str(), "w");
    std::fputs("this is no database, and was never one; it is long enough to be read as such", f);
    std::fclose(f);
  }
  const auto store = ResponseStore::open(file);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code(), ErrorCode::kUnavailable);
}

TEST(Responses, RequestsAreExpandedInPlace) {
  EXPECT_EQ(input_items(R"({"input": "a\"b"})"),
            R"({"type":"message","role":"user","content":"a\"b"})");
  EXPECT_EQ(input_items(R"({"input":[ ]})"), "");
  EXPECT_EQ(response_of_item("msg_ab12_3"), "resp_ab12");
  EXPECT_EQ(response_of_item("msg_ab12"), "");
  const std::string body =
      R"({"model":"m","previous_response_id":"resp_1","input":[{"type":"item_reference","id":"fc_1_0"},{"role":"user","content":"go"}],"n":1e2})";
  const ResponseReferences refers = references_of_request(body);
  EXPECT_EQ(refers.previous, "resp_1");
  EXPECT_EQ(refers.items, std::vector<std::string>{"fc_1_0"});
  EXPECT_TRUE(refers.keep);
  EXPECT_EQ(
      expand_responses_request(body, R"({"role":"user","content":"hi"})",
                               {{"fc_1_0", "{\"f\":1}"}}),
      R"({"input":[{"role":"user","content":"hi"},{"f":1},{"role":"user","content":"go"}],"model":"m","n":1e2})");
}

// Conversations over a provider that speaks chat completions; it answers "yes".
class Conversation : public ::testing::Test {
 protected:
  test::MemorySink ask(std::string body, Dialect dialect = Dialect::kResponses,
                       std::string_view tenant = "local") {
    test::MemorySink sink;
    const net::Headers headers;
    CallContext context;
    context.tenant = tenant;
    context.headers = &headers;
    ChatRoute route;
    route.dialect = dialect;
    rig.loop.run_until_done(rig.shard->chat(context, route, body, sink));
    return sink;
  }
  static std::string request(std::string_view input, std::string_view more = {}) {
    return R"({"model":"openai/gpt-4o-mini","input":)" + std::string(input) + std::string(more) +
           "}";
  }
  static std::string after(const test::MemorySink& previous) {
    return R"(,"previous_response_id":")" + id_of(previous) + "\"";
  }
  static JsonValue json(const test::MemorySink& sink) { return *JsonValue::parse(sink.body); }
  static std::string id_of(const test::MemorySink& sink) { return json(sink)["id"].string_or(""); }
  std::string messages(size_t call) {
    return (*JsonValue::parse(upstream.seen().at(call).body))["messages"].dump();
  }
  test::FakeUpstream upstream{[](const test::Seen& seen, int) {
    return seen.body.find("\"stream\":true") != std::string::npos
               ? test::sse_reply(test::good_stream())
               : test::json_reply(test::answer_body("yes"));
  }};
  test::Rig rig{upstream};
};

TEST_F(Conversation, GoesOnFromWhatWasSaid) {
  const auto first = ask(request(R"("hi")", R"(,"instructions":"be brief")"));
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(json(first)["output"][0]["content"][0]["text"].text(), "yes");
  const auto second = ask(request(R"([{"role":"user","content":"go"}])", after(first)));
  ASSERT_EQ(second.status, 200) << second.body;
  // Instructions are of one turn alone.
  EXPECT_EQ(messages(1), R"([{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},)"
                         R"({"role":"user","content":"go"}])");
  EXPECT_EQ(json(second)["previous_response_id"].text(), id_of(first));
  const auto third = ask(request(R"("on")", after(second)));
  EXPECT_EQ((*JsonValue::parse(messages(2))).size(), 5u);
  // The same conversation in chat completions is the same request.
  const auto chat =
      ask(R"({"model":"openai/gpt-4o-mini","messages":[{"role":"user","content":"hi"},)"
          R"({"role":"assistant","content":"yes"},{"role":"user","content":"go"}]})",
          Dialect::kOpenAi);
  EXPECT_EQ(chat.cache(), "hit-memory") << chat.body;
  EXPECT_EQ(upstream.chats(), 3);
}

TEST_F(Conversation, AHitIsANewResponse) {
  const auto first = ask(request(R"("hi")"));
  const auto again = ask(request(R"("hi")"));
  EXPECT_EQ(again.cache(), "hit-memory");
  EXPECT_NE(id_of(first), id_of(again));
  const auto streamed = ask(request(R"("hi")", R"(,"stream":true)"));
  EXPECT_EQ(streamed.cache(), "hit-memory");
  EXPECT_NE(streamed.body.find("event: response.completed"), std::string::npos);
  EXPECT_EQ(streamed.body.find(id_of(first)), std::string::npos);
  // Each of them is kept.
  const auto next = ask(request(R"("go")", after(again)));
  EXPECT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(upstream.chats(), 2);
}

TEST_F(Conversation, AStreamedOneIsKeptBeforeItsLastEvent) {
  const auto first = ask(request(R"("hi")", R"(,"stream":true)"));
  const size_t at = first.body.find("\"id\":\"resp_") + 6;
  const std::string id = first.body.substr(at, first.body.find('"', at) - at);
  const auto next = ask(request(R"("go")", R"(,"previous_response_id":")" + id + "\""));
  ASSERT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(messages(1), R"([{"role":"user","content":"hi"},{"role":"assistant","content":)"
                         R"("Hello"},{"role":"user","content":"go"}])");
}

TEST_F(Conversation, UnknownIdsAndThoseOfOthersAreErrors) {
  const auto mine = ask(request(R"("hi")"));
  const auto foreign = ask(request(R"("go")", after(mine)), Dialect::kResponses, "another");
  EXPECT_EQ(foreign.status, 400);
  EXPECT_EQ(json(foreign)["error"]["code"].text(), "previous_response_not_found");
  EXPECT_EQ(ask(request(R"("go")", R"(,"previous_response_id":"resp_none")")).status, 400);
  const auto item = ask(request(R"([{"type":"item_reference","id":"msg_none_0"}])"));
  EXPECT_EQ(json(item)["error"]["code"].text(), "item_not_found") << item.body;
  EXPECT_EQ(upstream.chats(), 1);
  bool gone = false;
  const auto erase = [&]() -> net::Task<void> {
    gone = (co_await rig.shard->delete_response("local", id_of(mine))).value();
  };
  rig.loop.run_until_done(erase());
  EXPECT_TRUE(gone);
  EXPECT_EQ(ask(request(R"("go")", after(mine))).status, 400);
}

TEST_F(Conversation, StoreFalseKeepsNothing) {
  const auto first = ask(request(R"("hi")", R"(,"store":false)"));
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.cache(), "bypass");
  EXPECT_EQ(ask(request(R"("go")", after(first))).status, 400);
}

TEST_F(Conversation, ItemsAreReferredToByTheirIds) {
  const auto first = ask(request(R"("hi")"));
  const std::string item = json(first)["output"][0]["id"].string_or("");
  const auto next =
      ask(request(R"([{"role":"user","content":"hi"},{"type":"item_reference","id":")" + item +
                  R"("},{"role":"user","content":"go"}])"));
  ASSERT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(messages(1), R"([{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},)"
                         R"({"role":"user","content":"go"}])");
}

}  // namespace
}  // namespace samplemind::ai
