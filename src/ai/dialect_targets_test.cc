// OpenAI's responses and older completions as what an upstream is asked in: by their own clients
// only. The matrix test has the other four.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ai/canonical_json.h"
#include "ai/dialect/dialect.h"
#include "ai/dialect_corpus_test.h"
#include "base/json.h"

namespace samplemind::ai {
namespace {

using enum Dialect;
using test::CorpusAnswer;
using test::CorpusRequest;
using test::form_of;
using test::joined;
using test::pieces_in;

constexpr std::array<Dialect, 2> kOwnOnly{kResponses, kCompletions};
constexpr std::array<Dialect, 6> kClients{kOpenAi, kAnthropic, kGemini,
                                          kOllama, kResponses, kCompletions};

Target target_of(Dialect dialect, bool stream) {
  Target t;
  t.dialect = dialect;
  t.model = "some-model";
  t.stream = stream;
  return t;
}

// Asked for whole and as a stream, the upstream reads the request that the client wrote; what is
// left out on the way is named here.
TEST(Targets, TheirOwnClientsRequestsComeBackTheSame) {
  int same = 0;
  for (const CorpusRequest& c : test::corpus_requests()) {
    if (c.dialect != kResponses && c.dialect != kCompletions) continue;
    for (const bool stream : {false, true}) {
      SCOPED_TRACE(std::string(c.name) + (stream ? " streamed" : ""));
      std::string body(c.body);
      if (stream) body.insert(1, "\"stream\":true,");
      const auto request = read_request(c.dialect, body);
      ASSERT_TRUE(request.ok()) << request.error().message();
      EXPECT_EQ(request->stream, stream);
      const auto out = write_request(target_of(c.dialect, stream), *request);
      ASSERT_TRUE(out.ok()) << out.error().message();
      const auto back = read_request(c.dialect, *out);
      ASSERT_TRUE(back.ok()) << *out;
      EXPECT_EQ(back->model, "some-model");
      EXPECT_EQ(back->stream, stream);
      EXPECT_EQ(canonical_request(*back), canonical_request(*request)) << *out;
      // Only completions must be asked to count.
      EXPECT_EQ(out->find("include_usage") != std::string::npos,
                stream && c.dialect == kCompletions);
      ++same;
    }
  }
  EXPECT_GE(same, 50);
}

// No request of another dialect is ever sent there in disguise.
TEST(Targets, OthersAreNotWrittenForThem) {
  for (const CorpusRequest& c : test::corpus_requests()) {
    for (const Dialect to : kOwnOnly) {
      if (to == c.dialect) continue;
      const auto request = read_request(c.dialect, c.body, "some-model", false);
      ASSERT_TRUE(request.ok()) << c.name;
      const auto out = write_request(target_of(to, false), *request);
      ASSERT_FALSE(out.ok()) << c.name << *out;
      EXPECT_EQ(out.error().code(), ErrorCode::kInvalidArgument);
    }
  }
}

// Their answers reach clients of every dialect, whole and streamed.
TEST(Targets, TheirAnswersReachEveryClient) {
  int told = 0;
  for (const CorpusAnswer& c : test::corpus_answers()) {
    if (c.dialect != kResponses && c.dialect != kCompletions) continue;
    const auto answer = make_answer_reader(c.dialect)->whole(c.body);
    ASSERT_TRUE(answer.ok()) << c.name;
    ChatAnswer head;
    const ChatAnswer streamed =
        joined(pieces_in(c.dialect, write_stream(form_of(c.dialect, true), *answer), head), head);
    for (const Dialect to : kClients) {
      SCOPED_TRACE(std::string(c.name) + " for " + std::string(dialect_name(to)));
      for (const ChatAnswer* from : {&*answer, &streamed}) {
        const auto back = make_answer_reader(to)->whole(write_answer(form_of(to, false), *from));
        ASSERT_TRUE(back.ok());
        EXPECT_EQ(back->text + back->refusal, answer->text + answer->refusal);
        EXPECT_EQ(back->cut_by_length(), answer->cut_by_length());
        EXPECT_EQ(back->usage.input_tokens, answer->usage.input_tokens);
        EXPECT_EQ(back->usage.output_tokens, answer->usage.output_tokens);
        // Completions have no place for calls.
        EXPECT_EQ(back->tool_calls.size(), to == kCompletions ? 0 : answer->tool_calls.size());
        ++told;
      }
    }
  }
  EXPECT_GE(told, 7 * 6 * 2);
}

}  // namespace
}  // namespace samplemind::ai
