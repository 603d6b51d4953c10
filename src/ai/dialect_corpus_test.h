// Requests and answers of all dialects, written from the providers' documentation and the types of
// their own clients (docs/dialects.md names the versions). Shared by the matrix test and the fuzz
// corpus.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ai/request.h"

namespace samplemind::ai::test {

// Targets by letter: O OpenAI's chat completions, A Anthropic, G Gemini, L Ollama.
struct CorpusRequest {
  std::string_view name;
  Dialect dialect;
  std::string_view body;
  std::map<char, std::string> refused = {};  // by what the refusal names
  std::string_view lossy = {};               // comes back as something else
  std::vector<std::string_view> aside = {};  // changes that are no difference
};
const std::vector<CorpusRequest>& corpus_requests();

struct CorpusAnswer {
  std::string_view name;
  Dialect dialect;
  std::string_view body;
};
const std::vector<CorpusAnswer>& corpus_answers();

}  // namespace samplemind::ai::test
