// Requests and answers of all dialects, written from the providers' documentation and the types of
// their own clients (docs/dialects.md names the versions). Shared by the tests of the dialects and
// the fuzz corpus; and how those tests read streams.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
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

// As a client of the dialect asks for its answer.
Form form_of(Dialect dialect, bool stream);
// A stream's bytes as its client reads them: pieces in order. Fails the test when the stream does
// not end well.
std::vector<ChatDelta> pieces_in(Dialect dialect, std::string_view bytes, ChatAnswer& head);
ChatAnswer joined(const std::vector<ChatDelta>& pieces, const ChatAnswer& head);

}  // namespace samplemind::ai::test
