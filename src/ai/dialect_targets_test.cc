// OpenAI's responses and older completions as what an upstream is asked in; completions by their
// own clients only. The matrix test has the other four.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>
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

// No request of another dialect is ever sent as completions: what it would say there is another
// question.
TEST(Targets, OthersAreNotWrittenAsCompletions) {
  for (const CorpusRequest& c : test::corpus_requests()) {
    if (c.dialect == kCompletions) continue;
    const auto request = read_request(c.dialect, c.body, "some-model", false);
    ASSERT_TRUE(request.ok()) << c.name;
    const auto out = write_request(target_of(kCompletions, false), *request);
    ASSERT_FALSE(out.ok()) << c.name << *out;
    EXPECT_EQ(out.error().code(), ErrorCode::kInvalidArgument);
  }
}

// OpenAI serves some models in responses alone: every other dialect's requests come back from there
// the same, or are refused by name, or lose what is named here.
TEST(Targets, RequestsAsResponsesComeBackTheSameOrAreRefusedByName) {
  const std::map<std::string_view, std::string> refused{{"o_sampling", "'stop'"},
                                                        {"o_seed", "'seed'"},
                                                        {"o_penalties", "'frequency_penalty'"},
                                                        {"o_choices", "'n'"},
                                                        {"o_logit_bias", "'logit_bias'"},
                                                        {"o_audio", "audio"},
                                                        {"o_web", "'web_search'"},
                                                        {"o_name", "'name'"},
                                                        {"a_turns", "'stop'"},
                                                        {"a_citations", "'citations'"},
                                                        {"a_web", "'web_search_20250305'"},
                                                        {"g_system", "'stop'"},
                                                        {"g_safety", "'safetySettings'"},
                                                        {"g_audio", "audio"},
                                                        {"g_file", "not sent along"},
                                                        {"g_search", "'googleSearch'"},
                                                        {"g_two", "'candidateCount'"},
                                                        {"l_options", "'stop'"},
                                                        {"l_num_ctx", "'options.num_ctx'"},
                                                        {"c_sampling", "'stop'"},
                                                        {"c_echo", "'stop'"},
                                                        {"c_seed", "'seed'"},
                                                        {"c_echo_logprobs", "'echo'"},
                                                        {"c_suffix", "'suffix'"},
                                                        {"c_many", "several texts"},
                                                        {"c_tokens", "of tokens"},
                                                        {"c_choices", "'n'"},
                                                        {"c_best_of", "'best_of'"},
                                                        {"c_bias", "'logit_bias'"}};
  // A document's title, a budget for reasoning, what others signed, the mark of a failed tool, a
  // schema without a name.
  const std::set<std::string_view> lossy{"a_text_document", "a_thinking", "a_signed",
                                         "a_failed_tool",   "a_schema",   "g_schema",
                                         "g_signed",        "l_schema",   "l_thought"};
  std::map<Dialect, int> same;
  for (const CorpusRequest& c : test::corpus_requests()) {
    if (c.dialect == kResponses) continue;
    SCOPED_TRACE(c.name);
    const auto request = read_request(c.dialect, c.body, "some-model", false);
    ASSERT_TRUE(request.ok());
    for (const bool stream : {false, true}) {
      const auto out = write_request(target_of(kResponses, stream), *request);
      if (const auto refusal = refused.find(c.name); refusal != refused.end()) {
        ASSERT_FALSE(out.ok()) << *out;
        EXPECT_EQ(out.error().code(), ErrorCode::kInvalidArgument);
        EXPECT_NE(out.error().message().find(refusal->second), std::string::npos)
            << out.error().message();
        continue;
      }
      if (!out.ok()) {
        ADD_FAILURE() << out.error().message();
        continue;
      }
      const auto back = read_request(kResponses, *out);
      ASSERT_TRUE(back.ok()) << *out << back.error().message();
      EXPECT_EQ(back->stream, stream);
      EXPECT_NE(out->find("\"store\":false"), std::string::npos);
      std::string again = canonical_request(*back);
      // Unsaid is false everywhere but there.
      for (const std::string_view unsaid : {"\"strict\":false,", ",\"strict\":false"}) {
        for (size_t at = again.find(unsaid); at != std::string::npos; at = again.find(unsaid))
          again.erase(at, unsaid.size());
      }
      if (lossy.contains(c.name)) {
        EXPECT_NE(again, canonical_request(*request)) << "no loss after all";
        continue;
      }
      EXPECT_EQ(again, canonical_request(*request)) << *out;
      ++same[c.dialect];
    }
  }
  for (const Dialect from : {kOpenAi, kAnthropic, kGemini, kOllama, kCompletions})
    EXPECT_GE(same[from], 6) << dialect_name(from);
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
