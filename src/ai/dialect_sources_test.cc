// What answers name beside their text: sources (annotations, citations, grounding), ratings, and
// signatures of texts. To whom each is told and for whom it is lost, as docs/dialects.md says it.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ai/cache/record.h"
#include "ai/dialect/dialect.h"
#include "ai/dialect/responses_retold.h"
#include "ai/dialect_corpus_test.h"
#include "base/json.h"

namespace samplemind::ai {
namespace {

using enum Dialect;
using test::form_of;
using test::joined;
using test::pieces_in;

constexpr std::array<Dialect, 6> kClients{kOpenAi, kAnthropic, kGemini,
                                          kOllama, kResponses, kCompletions};

struct Case {
  std::string_view name;
  Dialect from;
  std::string_view body;    // the answer, whole
  std::string_view marker;  // what is told, or lost
  std::vector<Dialect> told;
};

const std::vector<Case>& cases() {
  // clang-format off
  static const std::vector<Case> all{
      {"OpenAI's annotations", kOpenAi,
       R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"found","annotations":[{"type":"url_citation","url_citation":{"url":"https://example.org/u","title":"T","start_index":0,"end_index":5}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})",
       "https://example.org/u", {kOpenAi}},
      {"Anthropic's citations", kAnthropic,
       R"({"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"found","citations":[{"type":"char_location","cited_text":"the-source","document_index":0,"document_title":null,"start_char_index":0,"end_char_index":1}]}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":7}})",
       "the-source", {kAnthropic}},
      {"Gemini's grounding", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"found"}],"role":"model"},"finishReason":"STOP","index":0,"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://example.org/u","title":"T"}}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"g","responseId":"r"})",
       "https://example.org/u", {kGemini, kOpenAi}},
      {"Gemini's citations", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"found"}],"role":"model"},"finishReason":"STOP","index":0,"citationMetadata":{"citationSources":[{"startIndex":0,"endIndex":5,"uri":"https://example.org/u"}]}}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"g","responseId":"r"})",
       "https://example.org/u", {kGemini, kOpenAi}},
      {"Gemini's safety ratings", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"found"}],"role":"model"},"finishReason":"STOP","index":0,"safetyRatings":[{"category":"HARM_CATEGORY_HARASSMENT","probability":"NEGLIGIBLE"}]}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"g","responseId":"r"})",
       "HARM_CATEGORY_HARASSMENT", {kGemini, kOpenAi}},
      {"Gemini's signature of a text", kGemini,
       R"({"candidates":[{"content":{"parts":[{"text":"found","thoughtSignature":"CpwBsigned"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13},"modelVersion":"g","responseId":"r"})",
       "CpwBsigned", {kGemini}},
      {"annotations of a response", kResponses,
       R"({"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"m","output":[{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"found","annotations":[{"type":"url_citation","url":"https://example.org/u","title":"T","start_index":0,"end_index":5}],"logprobs":[]}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}})",
       "https://example.org/u", {kResponses}},
  };
  // clang-format on
  return all;
}

bool is_told(const Case& c, Dialect to) {
  return std::find(c.told.begin(), c.told.end(), to) != c.told.end();
}

// As a cache keeps the answer.
ChatAnswer from_record(const ChatAnswer& answer) {
  CacheRecord record;
  record.answer = answer;
  const auto back = decode_record(encode_record(record), record.key);
  EXPECT_TRUE(back.ok());
  return back.ok() ? back->answer : ChatAnswer();
}

TEST(Sources, AreToldOrLostAsTheTableSays) {
  for (const Case& c : cases()) {
    const auto answer = make_answer_reader(c.from)->whole(c.body);
    ASSERT_TRUE(answer.ok()) << c.name << answer.error().message();
    // A response's are told as their upstream's bytes, or not at all: nothing to be kept.
    EXPECT_EQ(answer->complete(), c.from != kResponses) << c.name;
    if (!answer->complete()) continue;
    const ChatAnswer kept = from_record(*answer);
    for (const Dialect to : kClients) {
      SCOPED_TRACE(std::string(c.name) + " for " + std::string(dialect_name(to)));
      const std::string whole = write_answer(form_of(to, false), *answer);
      EXPECT_EQ(write_answer(form_of(to, false), kept), whole);
      EXPECT_EQ(whole.find(c.marker) != std::string::npos, is_told(c, to)) << whole;
      const std::string stream = write_stream(form_of(to, true), kept);
      EXPECT_EQ(stream.find(c.marker) != std::string::npos, is_told(c, to)) << stream;
      // The text is never lost with it.
      EXPECT_NE(whole.find("found"), std::string::npos);
      EXPECT_NE(stream.find("found"), std::string::npos);
      // Read as a stream of its own dialect and told piece by piece it is no different.
      ChatAnswer head;
      const std::vector<ChatDelta> pieces =
          pieces_in(c.from, write_stream(form_of(c.from, true), *answer), head);
      const auto writer = make_stream_writer(form_of(to, true));
      std::string bytes;
      ChatAnswer grown;
      for (const ChatDelta& d : pieces) {
        append(grown, d);
        writer->delta(bytes, grown, d);
      }
      writer->end(bytes, grown);
      EXPECT_EQ(bytes.find(c.marker) != std::string::npos, is_told(c, to)) << bytes;
      EXPECT_NE(bytes.find("found"), std::string::npos) << bytes;
    }
  }
}

// Other servers' annotations come as bytes, whole and streamed, and the answer is kept by nobody.
TEST(Sources, OfAResponseAreItsUpstreamsBytes) {
  const std::string_view body = cases().back().body;
  const auto answer = make_answer_reader(kResponses)->whole(body);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->response_json, body);
  const auto stream = stream_of_response(body);
  ASSERT_TRUE(stream.ok());
  ChatAnswer head;
  const ChatAnswer streamed = joined(pieces_in(kResponses, *stream, head), head);
  EXPECT_TRUE(streamed.lossy);
  EXPECT_NE(streamed.response_json.find("https://example.org/u"), std::string::npos);
}

// Unsaid and "auto" are one wish, and one key.
TEST(Sources, DetailOfAPictureIsAutoUnlessSaid) {
  const auto chat = [](const std::string& more) {
    return canonical_request(*read_request(
        kOpenAi,
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{)"
        R"("url":"data:image/png;base64,iVBORw0KGgo=")" +
            more + "}}]}]}"));
  };
  const std::string response = canonical_request(*read_request(
      kResponses,
      R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image","detail":"auto",)"
      R"("image_url":"data:image/png;base64,iVBORw0KGgo="}]}]})"));
  EXPECT_EQ(chat(R"(,"detail":"auto")"), chat(""));
  EXPECT_EQ(response, chat(""));
  EXPECT_NE(chat(R"(,"detail":"high")"), chat(""));
}

// What an earlier answer named as its sources is no question: it goes back to its own dialect and
// is left out for the others. Citations that are asked for are refused there by name.
TEST(Sources, OfEarlierAnswersAreLeftOutElsewhere) {
  struct Told {
    Dialect dialect;
    std::string_view body, marker;
  };
  // clang-format off
  const std::vector<Told> told{
      {kOpenAi, R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"found","annotations":[{"type":"url_citation","url_citation":{"url":"https://example.org/u"}}]},{"role":"user","content":"go"}]})",
       "example.org"},
      {kAnthropic, R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"found","citations":[{"type":"char_location","cited_text":"the-source"}]}]},{"role":"user","content":"go"}]})",
       "the-source"},
      {kResponses, R"({"model":"m","max_output_tokens":9,"input":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"output_text","text":"found","annotations":[{"type":"url_citation","url":"https://example.org/u"}]}]},{"role":"user","content":"go"}]})",
       "example.org"},
      {kGemini, R"({"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"found","thoughtSignature":"CpwBsigned"}]},{"role":"user","parts":[{"text":"go"}]}],"generationConfig":{"maxOutputTokens":9}})",
       "CpwBsigned"}};
  // clang-format on
  for (const Told& t : told) {
    const auto request = read_request(t.dialect, t.body, "m", false);
    ASSERT_TRUE(request.ok()) << t.marker;
    for (const Dialect to : {kOpenAi, kAnthropic, kGemini, kOllama}) {
      SCOPED_TRACE(std::string(dialect_name(t.dialect)) + " for " + std::string(dialect_name(to)));
      Target target;
      target.dialect = to;
      target.model = "some-model";
      const auto out = write_request(target, *request);
      ASSERT_TRUE(out.ok()) << out.error().message();
      EXPECT_NE(out->find("found"), std::string::npos) << *out;
      EXPECT_EQ(out->find(t.marker) != std::string::npos, to == t.dialect) << *out;
    }
  }
}

}  // namespace
}  // namespace samplemind::ai
