// OpenAI's older completions behind the gateway: untouched where the server speaks them, as a chat
// elsewhere.
#include <string>
#include <vector>

#include "ai/gateway.h"
#include "ai/test_support.h"
#include "base/json.h"

namespace samplemind::ai::test {
namespace {

const std::string kNative =
    R"({"id":"cmpl-1","object":"text_completion","created":1700000000,"model":"m","x_new":1,)"
    R"("choices":[{"text":" a time","index":0,"logprobs":null,"finish_reason":"stop","x_more":2}],)"
    R"("usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})";

MemorySink complete(Rig& rig, std::string members) {
  MemorySink sink;
  net::Headers headers;
  CallContext context;
  context.headers = &headers;
  ChatRoute route;
  route.dialect = Dialect::kCompletions;
  rig.loop.run_until_done(rig.shard->chat(context, route, "{" + members + "}", sink));
  return sink;
}

std::string text_in(const MemorySink& sink) {
  return JsonValue::parse(sink.body).value()["choices"][0]["text"].string_or("(none)");
}

// What the pieces of a stream say.
std::string streamed_text(const MemorySink& sink) {
  std::string text;
  for (size_t at = sink.body.find("data: {"); at != std::string::npos;
       at = sink.body.find("data: {", at + 1)) {
    const size_t end = sink.body.find("\n\n", at);
    const auto v = JsonValue::parse(std::string_view(sink.body).substr(at + 6, end - at - 6));
    text += (*v)["choices"][0]["text"].string_or("");
  }
  return text;
}

TEST(Completions, ServerThatSpeaksThemIsSentTheBytesAndItsAnswerPasses) {
  FakeUpstream up([](const ai::test::Seen&, int) { return json_reply(kNative); });
  Rig rig(up);
  const std::string asked = R"("model":"openai/m","prompt":"Once upon","suffix":"!","x_new":[1])";
  const MemorySink first = complete(rig, asked);
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.body, kNative);
  EXPECT_EQ(first.header("x-samplemind-cost-microusd"), "");  // no price is known, none is made up
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].path, "/v1/completions");
  EXPECT_EQ(seen[0].body, R"({"model":"m","prompt":"Once upon","suffix":"!","x_new":[1]})");
  const MemorySink hit = complete(rig, asked);
  EXPECT_EQ(hit.cache(), "hit-memory");
  EXPECT_EQ(text_in(hit), " a time");
  EXPECT_NE(hit.body.find("\"x_new\":1"), std::string::npos) << hit.body;
  // The same words as a message are another question.
  rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"Once upon"}]})");
  EXPECT_EQ(up.chats(), 2);
}

TEST(Completions, EchoLeadsEveryFormOfTheAnswer) {
  FakeUpstream up([](const ai::test::Seen&, int) { return json_reply(kNative); });
  Rig rig(up);
  const std::string asked = R"("model":"openai/m","prompt":"Once upon")";
  const MemorySink echoed = complete(rig, asked + R"(,"echo":true)");
  EXPECT_EQ(text_in(echoed), "Once upon a time") << echoed.body;
  EXPECT_NE(up.seen()[0].body.find("\"echo\":false"), std::string::npos) << up.seen()[0].body;
  const MemorySink bare = complete(rig, asked);
  EXPECT_EQ(bare.cache(), "hit-memory");
  EXPECT_EQ(text_in(bare), " a time");
  const MemorySink stream = complete(rig, asked + R"(,"echo":true,"stream":true)");
  EXPECT_EQ(stream.cache(), "hit-memory");
  EXPECT_EQ(streamed_text(stream), "Once upon a time") << stream.body;
  EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n")) << stream.body;
  EXPECT_EQ(up.chats(), 1);
}

TEST(Completions, SeveralPromptsPassAndAreNotKept) {
  const std::string two =
      R"({"id":"c","object":"text_completion","created":1,"model":"m","choices":[)"
      R"({"text":"x","index":0,"logprobs":null,"finish_reason":"stop"},)"
      R"({"text":"y","index":1,"logprobs":null,"finish_reason":"stop"}]})";
  FakeUpstream up([two](const ai::test::Seen&, int) { return json_reply(two); });
  Rig rig(up);
  for (int i = 0; i < 2; ++i) {
    const MemorySink sink = complete(rig, R"("model":"openai/m","prompt":["a","b"])");
    EXPECT_EQ(sink.body, two);
    EXPECT_EQ(sink.cache(), "bypass");
  }
  EXPECT_EQ(up.chats(), 2);
}

TEST(Completions, StreamOfAServerThatSpeaksThemPasses) {
  const std::string a =
      R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" a","index":0,"logprobs":null,"finish_reason":null}],"x_new":1})";
  const std::string b =
      R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":" time","index":0,"logprobs":null,"finish_reason":"stop"}]})";
  const std::string usage =
      R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}})";
  FakeUpstream up([&](const ai::test::Seen&, int) { return sse_reply({a, b, usage}); });
  Rig rig(up);
  const MemorySink sink = complete(rig, R"("model":"openai/m","prompt":"Once upon","stream":true)");
  EXPECT_EQ(sink.body, "data: " + a + "\n\ndata: " + b + "\n\ndata: [DONE]\n\n");
  EXPECT_NE(up.seen()[0].body.find("\"include_usage\":true"), std::string::npos);
  const MemorySink hit = complete(rig, R"("model":"openai/m","prompt":"Once upon")");
  EXPECT_EQ(hit.cache(), "hit-memory");
  EXPECT_NE(hit.body.find("\"completion_tokens\":2"), std::string::npos) << hit.body;
}

TEST(Completions, ServerThatKnowsChatsAloneIsAskedInOne) {
  FakeUpstream up([](const ai::test::Seen& seen, int) {
    if (seen.path == "/v1/completions") return json_reply(R"({"detail":"Not Found"})", 404);
    return json_reply(
        R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
        R"("message":{"role":"assistant","content":" a time"},"finish_reason":"length"}]})");
  });
  Rig rig(up);
  const MemorySink sink =
      complete(rig, R"("model":"openai/m","prompt":["Once upon"],"max_tokens":3,"echo":true)");
  EXPECT_EQ(sink.status, 200) << sink.body;
  EXPECT_EQ(text_in(sink), "Once upon a time");
  const auto body = JsonValue::parse(sink.body);
  EXPECT_EQ((*body)["object"].text(), "text_completion");
  EXPECT_EQ((*body)["choices"][0]["finish_reason"].text(), "length");
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].path, "/v1/chat/completions");
  EXPECT_EQ(seen[1].body, R"({"model":"m","messages":[{"role":"user","content":"Once upon"}],)"
                          R"("max_tokens":3})");
  // What a chat cannot say is refused by name.
  const MemorySink refused = complete(rig, R"x("model":"openai/m","prompt":"f(","suffix":")")x");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("'suffix'"), std::string::npos) << refused.body;
  // What it has not is not asked for again: neither for the last, nor for a next one.
  EXPECT_EQ(text_in(complete(rig, R"("model":"openai/m","prompt":"Twice")")), " a time");
  ASSERT_EQ(up.seen().size(), 3u);
  EXPECT_EQ(up.seen()[2].path, "/v1/chat/completions");
  complete(rig, R"("model":"openai/other","prompt":"Once")");
  EXPECT_EQ(up.seen()[3].path, "/v1/completions") << "another model may be there";
}

TEST(Completions, ModelThatIsNowhereIsLookedForEachTime) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return json_reply(R"({"error":{"message":"no such model","code":"model_not_found"}})", 404);
  });
  Rig rig(up, {{"cache.negative", "0s"}});
  for (const size_t calls : {2u, 4u}) {
    EXPECT_EQ(complete(rig, R"("model":"openai/m","prompt":"Once")").status, 404);
    EXPECT_EQ(up.seen().size(), calls);
  }
}

TEST(Completions, OverAnotherDialectThePromptIsAMessage) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return json_reply(
        R"({"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[)"
        R"({"type":"text","text":" a time"}],"stop_reason":"end_turn",)"
        R"("usage":{"input_tokens":3,"output_tokens":2}})");
  });
  Rig rig(up,
          {{"ai.anthropic.base_url", up.url("")}, {"ai.anthropic.api_key", "sk-ant-0123456789"}});
  const std::string asked = R"("model":"anthropic/claude","max_tokens":9,"prompt":"Once upon")";
  EXPECT_EQ(text_in(complete(rig, asked)), " a time");
  const MemorySink message =
      rig.chat(R"({"model":"anthropic/claude","max_tokens":9,"messages":[{"role":"user",)"
               R"("content":"Once upon"}]})");
  EXPECT_EQ(message.cache(), "hit-memory") << message.body;
  const MemorySink many =
      complete(rig, R"("model":"anthropic/claude","max_tokens":9,"prompt":["a","b"])");
  EXPECT_EQ(many.status, 400);
  EXPECT_NE(many.body.find("several texts in one 'prompt'"), std::string::npos) << many.body;
  EXPECT_EQ(complete(rig, R"("model":"anthropic/claude")").status, 400);
  EXPECT_EQ(complete(rig, R"("model":"anthropic/claude","prompt":[["a"]])").status, 400);
}

}  // namespace
}  // namespace samplemind::ai::test
