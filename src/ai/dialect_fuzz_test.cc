// The fuzz targets of the dialects over the corpus and over changed copies of it: see
// net/fuzz_corpus_test.cc.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "../../fuzz/ai_targets.h"
#include "ai/dialect/dialect.h"
#include "ai/dialect_corpus_test.h"
#include "ai/guard_text.h"
#include "ai/request_log.h"

namespace samplemind::fuzz {
namespace {

// The byte that chooses the dialect.
char letter(ai::Dialect d) {
  return d == ai::Dialect::kOpenAi        ? '\0'
         : d == ai::Dialect::kAnthropic   ? '\1'
         : d == ai::Dialect::kGemini      ? '\2'
         : d == ai::Dialect::kOllama      ? '\3'
         : d == ai::Dialect::kCompletions ? '\6'
                                          : '\5';
}

void try_all(void (*target)(std::string_view), const std::string& seed, int times) {
  target(seed);
  uint64_t state = 42;
  const auto random = [&state](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  static constexpr std::string_view kPieces[] = {"null", "[]",    "{}",   "\"\"",
                                                 "-1",   "1e400", "true", "{\"type\":\"text\"}",
                                                 ",",    "\"",    "}",    "0"};
  for (int i = 0; i < times; ++i) {
    std::string changed = seed;
    // A value in place of another keeps it JSON more often than a byte does.
    const size_t at = 1 + random(changed.size());
    const size_t colon = changed.find_first_of(":[", at);
    const std::string_view piece = kPieces[random(std::size(kPieces))];
    if (random(3) != 0 && colon != std::string::npos) {
      const size_t end = changed.find_first_of(",]}", colon + 1);
      if (end != std::string::npos) changed.replace(colon + 1, end - colon - 1, piece);
    } else {
      changed.replace(std::min(at, changed.size()), random(3), piece);
    }
    target(changed);
  }
  for (size_t i = 0; i < seed.size(); i += 7) target(std::string_view(seed).substr(0, i));
}

TEST(DialectFuzz, Requests) {
  for (const ai::test::CorpusRequest& c : ai::test::corpus_requests())
    try_all(dialect_request, letter(c.dialect) + std::string(c.body), 150);
}

TEST(DialectFuzz, Answers) {
  for (const ai::test::CorpusAnswer& c : ai::test::corpus_answers())
    try_all(dialect_answer, letter(c.dialect) + std::string(c.body), 300);
}

TEST(DialectFuzz, Streams) {
  for (const ai::test::CorpusAnswer& c : ai::test::corpus_answers()) {
    ai::Form form;
    form.dialect = c.dialect;
    form.stream = true;
    const auto answer = ai::make_answer_reader(c.dialect)->whole(c.body);
    ASSERT_TRUE(answer.ok());
    // Events become lines of their data.
    std::string lines(1, letter(c.dialect));
    const std::string stream = ai::write_stream(form, *answer);
    for (size_t at = 0; at < stream.size();) {
      const size_t end = std::min(stream.find('\n', at), stream.size());
      const std::string_view line = std::string_view(stream).substr(at, end - at);
      if (line.starts_with("data: ")) lines += std::string(line.substr(6)) + "\n";
      if (line.starts_with("{")) lines += std::string(line) + "\n";
      at = end + 1;
    }
    try_all(dialect_stream, lines, 300);
  }
}

TEST(DialectFuzz, GuardedText) {
  for (const ai::test::CorpusRequest& c : ai::test::corpus_requests())
    try_all(guard_text, std::string(c.body), 50);
  try_all(guard_text, R"(["\u0061\u00e4\ud83d\ude00\/","\ud83d","\u0022\\\u000a"])", 2000);
}

// Nor does redaction make anything else of JSON.
TEST(DialectFuzz, RedactedStaysJson) {
  for (const ai::test::CorpusRequest& c : ai::test::corpus_requests()) {
    const auto out = JsonValue::parse(ai::redacted_json(ai::plain_escapes(c.body), true, true));
    EXPECT_TRUE(out.ok()) << c.name;
  }
}

TEST(DialectFuzz, Embeddings) {
  const std::vector<std::string> seeds{
      std::string("\0", 1) + R"({"model":"m","input":["a","b"],"encoding_format":"base64"})",
      std::string("\1") + R"({"content":{"parts":[{"text":"a"}]},"outputDimensionality":8})",
      std::string("\2") +
          R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}}]})",
      std::string("\3") + R"({"model":"m","input":"a","truncate":true})",
      std::string("\0", 1) + R"({"data":[{"embedding":[0.5,-1]}],"usage":{"prompt_tokens":3}})",
      std::string("\4") + R"({"embeddings":[[0.5,-1]],"prompt_eval_count":3})"};
  for (const std::string& seed : seeds) try_all(dialect_embed, seed, 500);
}

}  // namespace
}  // namespace samplemind::fuzz
