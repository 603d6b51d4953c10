// Responses at an upstream that speaks them: what passes untouched, whose ids are told, what is
// refused elsewhere.
#include <string>
#include <vector>

#include "ai/dialect/responses_retold.h"
#include "ai/gateway.h"
#include "ai/test_support.h"
#include "base/json.h"
#include "net/sse.h"

namespace samplemind::ai::test {
namespace {

const std::string kSearched =
    R"({"id":"resp_up","object":"response","created_at":1700000000,"status":"completed","x_new":1,)"
    R"("error":null,"incomplete_details":null,"metadata":{},"previous_response_id":null,"model":"m",)"
    R"("output":[{"id":"ws_up","type":"web_search_call","status":"completed","action":{"query":"q"}},)"
    R"({"id":"msg_up","type":"message","status":"completed","role":"assistant","content":[)"
    R"({"type":"output_text","text":"found","annotations":[{"type":"url_citation","url":"u"}],)"
    R"("logprobs":[]}]}],"store":true,)"
    R"("usage":{"input_tokens":3,"output_tokens":2,"total_tokens":5}})";
const std::string kHosted =
    R"({"model":"openai/m","input":"look","tools":[{"type":"web_search"}],"x_new":[1]})";

Flags native() {
  return {{"ai.openai.responses", "always"}};
}

class NativeResponses : public ::testing::Test {
 protected:
  static MemorySink ask(Rig& rig, std::string body) {
    MemorySink sink;
    net::Headers headers;
    CallContext context;
    context.headers = &headers;
    ChatRoute route;
    route.dialect = Dialect::kResponses;
    rig.loop.run_until_done(rig.shard->chat(context, route, body, sink));
    return sink;
  }
  static JsonValue json(const MemorySink& sink) { return *JsonValue::parse(sink.body); }
};

TEST_F(NativeResponses, HostedToolPassesUnderIdsOfOursAndIsNeverKept) {
  FakeUpstream up([](const ai::test::Seen&, int) { return json_reply(kSearched); });
  Rig rig(up, native());
  const MemorySink first = ask(rig, kHosted);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(first.cache(), "bypass");
  const auto seen = up.seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].path, "/v1/responses");
  EXPECT_EQ(seen[0].body,
            R"({"model":"m","input":"look","tools":[{"type":"web_search"}],"x_new":[1]})");
  const JsonValue told = json(first);
  const std::string id = told["id"].string_or("");
  EXPECT_TRUE(id.starts_with("resp_")) << id;
  EXPECT_NE(id, "resp_up");
  EXPECT_EQ(told["x_new"].integer(), 1);
  EXPECT_EQ(told["output"][0]["id"].text(), "ws_" + id.substr(5) + "_0");
  EXPECT_EQ(told["output"][0]["action"]["query"].text(), "q");
  EXPECT_EQ(told["output"][1]["content"][0]["annotations"].size(), 1u);
  // Another time it searches anew.
  EXPECT_NE(json(ask(rig, kHosted))["id"].text(), id);
  EXPECT_EQ(up.seen().size(), 2u);
  // The conversation goes on with what the tool did, and without the ids of messages.
  const MemorySink next =
      ask(rig, R"({"model":"openai/m","input":"and?","previous_response_id":")" + id + R"("})");
  ASSERT_EQ(next.status, 200) << next.body;
  const auto sent = JsonValue::parse(up.seen()[2].body);
  ASSERT_EQ((*sent)["input"].size(), 4u) << up.seen()[2].body;
  EXPECT_EQ((*sent)["input"][1]["action"]["query"].text(), "q");
  EXPECT_EQ((*sent)["input"][2]["content"][0]["text"].text(), "found");
  EXPECT_TRUE((*sent)["input"][2]["id"].is_null());
  EXPECT_EQ(json(next)["previous_response_id"].text(), id);
}

TEST_F(NativeResponses, StreamPassesUnderIdsOfOurs) {
  const std::string head = kSearched.substr(0, kSearched.find("\"output\""));
  const std::vector<std::string> data{
      R"({"type":"response.created","sequence_number":0,"response":)" + head + R"("output":[]}})",
      R"({"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_up","type":"message","role":"assistant","content":[]}})",
      R"({"type":"response.content_part.added","sequence_number":2,"item_id":"msg_up","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}})",
      R"({"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_up","output_index":0,"content_index":0,"delta":"found","obfuscation":"x"})",
      R"({"type":"response.completed","sequence_number":4,"response":)" + kSearched + "}"};
  FakeUpstream up([&](const ai::test::Seen&, int) {
    Reply r;
    r.type = "text/event-stream";
    for (const std::string& each : data)
      r.pieces.push_back("event: " + (*JsonValue::parse(each))["type"].string_or("") +
                         "\ndata: " + each + "\n\n");
    return r;
  });
  Rig rig(up, native());
  const MemorySink sink =
      ask(rig, R"({"model":"openai/m","input":"hi","stream":true,"metadata":{"a":"b"}})");
  ASSERT_EQ(sink.status, 200) << sink.body;
  net::SseReader events;
  ASSERT_TRUE(events.feed(sink.body).ok());
  std::vector<JsonValue> told;
  while (auto e = events.next()) {
    told.push_back(*JsonValue::parse(e->data));
    EXPECT_EQ(told.back()["type"].text(), e->event);
  }
  ASSERT_EQ(told.size(), data.size()) << sink.body;
  const std::string id = told[0]["response"]["id"].string_or("");
  EXPECT_NE(id, "resp_up");
  EXPECT_EQ(told[4]["response"]["id"].text(), id);
  EXPECT_EQ(told[4]["response"]["metadata"].dump(), R"({"a":"b"})");
  EXPECT_EQ(told[3]["item_id"].text(), "msg_" + id.substr(5) + "_0");
  EXPECT_EQ(told[1]["item"]["id"].text(), told[3]["item_id"].text());
  EXPECT_EQ(told[3]["obfuscation"].text(), "x");
  // It is one answer for every dialect: asked as a chat it is there.
  EXPECT_EQ(sink.cache(), "miss");
}

TEST_F(NativeResponses, PlainAnswerIsKeptForEveryDialect) {
  const std::string plain =
      R"({"id":"resp_up","object":"response","created_at":1,"status":"completed","model":"m",)"
      R"("output":[{"id":"msg_up","type":"message","role":"assistant","content":[)"
      R"({"type":"output_text","text":"yes"}]}],"usage":{"input_tokens":3,"output_tokens":2}})";
  FakeUpstream up([&](const ai::test::Seen&, int) { return json_reply(plain); });
  Rig rig(up, native());
  const MemorySink first = ask(rig, R"({"model":"openai/m","input":"hi"})");
  EXPECT_EQ(first.cache(), "miss");
  const MemorySink again = ask(rig, R"({"model":"openai/m","input":"hi"})");
  EXPECT_EQ(again.cache(), "hit-memory");
  EXPECT_EQ(json(again)["output"][0]["content"][0]["text"].text(), "yes");
  EXPECT_NE(json(again)["id"].text(), json(first)["id"].text());
  const MemorySink chat =
      rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(chat.cache(), "hit-memory") << chat.body;
  EXPECT_EQ(up.seen().size(), 1u);
}

TEST_F(NativeResponses, OtherServersAreAskedOnlyForWhatNoChatSays) {
  FakeUpstream up([](const ai::test::Seen& seen, int) {
    if (seen.path == "/v1/responses") return json_reply(R"({"detail":"Not Found"})", 404);
    return json_reply(
        R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
        R"("message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}]})");
  });
  Rig rig(up);
  EXPECT_EQ(ask(rig, R"({"model":"openai/m","input":"hi"})").status, 200);
  EXPECT_EQ(up.seen()[0].path, "/v1/chat/completions");
  const MemorySink hosted =
      ask(rig, R"({"model":"openai/m","input":"look","tools":[{"type":"web_search"}]})");
  EXPECT_EQ(hosted.status, 400);
  EXPECT_NE(hosted.body.find("web_search"), std::string::npos) << hosted.body;
  EXPECT_EQ(up.seen()[1].path, "/v1/responses");
  EXPECT_EQ(up.seen().size(), 2u);
}

// Some of OpenAI's models answer in responses alone: clients of every dialect reach them, and the
// chat is not tried each time.
TEST_F(NativeResponses, ModelThatIsNoChatIsAskedInResponses) {
  const std::string refusal =
      R"({"error":{"message":"This model is only supported in v1/responses and not in )"
      R"(v1/chat/completions.","type":"invalid_request_error","param":"model","code":null}})";
  const std::string plain =
      R"({"id":"resp_up","object":"response","created_at":1,"status":"completed","model":"m",)"
      R"("output":[{"id":"msg_up","type":"message","role":"assistant","content":[)"
      R"({"type":"output_text","text":"yes"}]}],"usage":{"input_tokens":3,"output_tokens":2}})";
  FakeUpstream up([&](const ai::test::Seen& seen, int) {
    return seen.path == "/v1/responses" ? json_reply(plain) : json_reply(refusal, 404);
  });
  Rig rig(up);
  const MemorySink first =
      rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(json(first)["choices"][0]["message"]["content"].text(), "yes");
  EXPECT_EQ(json(first)["usage"]["prompt_tokens"].integer(), 3);
  ASSERT_EQ(up.seen().size(), 2u);
  EXPECT_EQ(up.seen()[1].body,
            R"({"model":"m","input":[{"role":"user","content":"hi"}],"store":false})");
  EXPECT_EQ(rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"hi"}]})").cache(),
            "hit-memory");
  const MemorySink again =
      rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"go"}]})");
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(up.seen().size(), 3u);
  const MemorySink stop =
      rig.chat(R"({"model":"openai/m","stop":["x"],"messages":[{"role":"user","content":"go"}]})");
  EXPECT_EQ(stop.status, 400);
  EXPECT_NE(stop.body.find("'stop'"), std::string::npos) << stop.body;
}

TEST_F(NativeResponses, ModelThatIsNoChatIsLeftWhereOnlyChatsAreWanted) {
  FakeUpstream up([](const ai::test::Seen&, int) {
    return json_reply(R"({"error":{"message":"only supported in v1/responses"}})", 404);
  });
  Rig rig(up, {{"ai.openai.responses", "chat"}});
  EXPECT_EQ(rig.chat(ask_body("hi")).status, 404);
  EXPECT_EQ(up.seen().size(), 1u);
}

TEST_F(NativeResponses, ModelThatIsInNeitherTellsTheChatsError) {
  FakeUpstream up([&](const ai::test::Seen& seen, int) {
    return json_reply(seen.path == "/v1/responses"
                          ? R"({"error":{"message":"no such model","code":"model_not_found"}})"
                          : R"({"error":{"message":"This is not a chat model"}})",
                      404);
  });
  Rig rig(up, {{"cache.negative", "0s"}});
  for (const size_t calls : {2u, 4u}) {
    const MemorySink sink =
        rig.chat(R"({"model":"openai/m","messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(sink.status, 404);
    EXPECT_NE(sink.body.find("not a chat model"), std::string::npos) << sink.body;
    EXPECT_EQ(up.seen().size(), calls);
  }
}

// A stream that begins well and fails before it has said anything is a status like any other: told
// as such, tried again only where that helps.
TEST_F(NativeResponses, FailureBeforeContentIsAStatus) {
  struct Case {
    std::string error;
    int status, calls;
  };
  for (const Case& c : {Case{R"({"code":"insufficient_quota","message":"no money"})", 429, 1},
                        Case{R"({"code":"rate_limit_exceeded","message":"slow down"})", 429, 3},
                        Case{R"({"code":"invalid_prompt","message":"no"})", 400, 1},
                        Case{R"({"code":"image_too_large","message":"no"})", 400, 1},
                        Case{R"({"code":"server_error","message":"oops"})", 502, 3}}) {
    SCOPED_TRACE(c.error);
    FakeUpstream up([&](const ai::test::Seen&, int) {
      return sse_reply(
          {R"({"type":"response.created","response":{"id":"resp_up","status":"in_progress"}})",
           R"({"type":"response.failed","response":{"id":"resp_up","status":"failed","error":)" +
               c.error + "}}"},
          false);
    });
    Rig rig(up, native());
    const MemorySink sink = ask(rig, R"({"model":"openai/m","input":"hi","stream":true})");
    EXPECT_EQ(sink.status, c.status) << sink.body;
    EXPECT_FALSE(sink.started) << "nothing was said";
    EXPECT_EQ(up.seen().size(), static_cast<size_t>(c.calls));
  }
}

// The same within a chat's stream, or in place of an answer, whatever form the server gives it.
TEST_F(NativeResponses, ErrorsWithinAnswersHaveAStatus) {
  for (const auto& [error, status] : std::vector<std::pair<std::string, int>>{
           {R"({"code":429,"message":"m"})", 429},
           {R"({"code":500,"message":"m"})", 502},
           {R"({"code":529,"message":"m"})", 503},
           {R"({"code":504,"message":"m"})", 504},
           {R"({"code":403,"message":"m"})", 502},
           {R"({"code":"invalid_api_key","type":"invalid_request_error","message":"m"})", 502},
           {R"({"type":"invalid_request_error","code":"context_length_exceeded","message":"m"})",
            400},
           {R"({"type":"server_error","message":"m"})", 502},
           {R"("m")", 502},
           {"[]", 502}}) {
    const std::string piece = R"({"error":)" + error + "}";
    for (const Dialect dialect : {Dialect::kOpenAi, Dialect::kCompletions}) {
      SCOPED_TRACE(piece + std::string(dialect_name(dialect)));
      const auto reader = make_answer_reader(dialect);
      std::vector<ChatDelta> pieces;
      EXPECT_FALSE(reader->event("message", piece, pieces).ok());
      ASSERT_TRUE(reader->failure.has_value());
      EXPECT_EQ(reader->failure->status, status);
      const auto whole = make_answer_reader(dialect);
      EXPECT_FALSE(whole->whole(piece).ok());
      ASSERT_TRUE(whole->failure.has_value());
      EXPECT_EQ(whole->failure->status, status);
    }
  }
}

// Servers that tell sounds and pictures apart are believed: they have prices of their own.
TEST_F(NativeResponses, UsageTellsSoundsAndPictures) {
  const auto answer =
      make_answer_reader(Dialect::kResponses)
          ->whole(
              R"({"id":"r","object":"response","status":"completed","model":"m","output":[{"type":"message",)"
              R"("role":"assistant","content":[{"type":"output_text","text":"yes"}]}],"usage":{)"
              R"("input_tokens":90,"input_tokens_details":{"cached_tokens":10,"audio_tokens":30,)"
              R"("image_tokens":20},"output_tokens":9,"output_tokens_details":{"audio_tokens":4}}})");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->usage.audio_input_tokens, 30);
  EXPECT_EQ(answer->usage.image_input_tokens, 20);
  EXPECT_EQ(answer->usage.audio_output_tokens, 4);
  EXPECT_EQ(answer->usage.cached_input_tokens, 10);
}

TEST_F(NativeResponses, ReasoningOfOthersAndBackgroundStayHere) {
  const auto sent = rewrite_responses_request(
      R"({"model":"a","input":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"anthropic:Eq"},)"
      R"({"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":"gAAA"},{"type":"message","id":"msg_1","role":"assistant","content":"x"}], "n": 1e2})",
      "m");
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(
      *sent,
      R"({"model":"m","input":[{"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":"gAAA"},)"
      R"({"type":"message","role":"assistant","content":"x"}], "n": 1e2})");
  FakeUpstream up([](const ai::test::Seen&, int) { return json_reply(kSearched); });
  Rig rig(up, native());
  const MemorySink refused = ask(rig, R"({"model":"openai/m","input":"x","background":true})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("'background'"), std::string::npos) << refused.body;
  EXPECT_EQ(up.seen().size(), 0u);
}

// A kept response as a stream says the same as when it was told first.
TEST_F(NativeResponses, KeptResponseIsAStreamAgain) {
  const auto all = stream_of_response(kSearched);
  ASSERT_TRUE(all.ok());
  net::SseReader events;
  ASSERT_TRUE(events.feed(*all).ok());
  std::vector<std::string> types;
  const auto reader = make_answer_reader(Dialect::kResponses);
  std::vector<ChatDelta> pieces;
  std::string last;
  while (auto e = events.next()) {
    types.push_back(e->event);
    last = e->data;
    ASSERT_TRUE(reader->event(e->event, e->data, pieces).ok());
  }
  EXPECT_EQ(types,
            (std::vector<std::string>{
                "response.created", "response.in_progress", "response.output_item.added",
                "response.output_item.done", "response.output_item.added",
                "response.content_part.added", "response.output_text.delta",
                "response.output_text.annotation.added", "response.output_text.done",
                "response.content_part.done", "response.output_item.done", "response.completed"}));
  EXPECT_TRUE(reader->done && reader->finished);
  EXPECT_EQ((*JsonValue::parse(last))["response"].dump(), JsonValue::parse(kSearched)->dump());
  const auto rest = stream_of_response(kSearched, 9);
  ASSERT_TRUE(rest.ok());
  EXPECT_TRUE(
      rest->starts_with("event: response.output_item.done\ndata: {\"type\":"
                        "\"response.output_item.done\",\"sequence_number\":10,"))
      << *rest;
  EXPECT_FALSE(stream_of_response("[]").ok());
}

}  // namespace
}  // namespace samplemind::ai::test
