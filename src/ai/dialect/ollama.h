// Ollama's chat and generate (https://github.com/ollama/ollama/blob/main/docs/api.md). Pure
// functions; a reader or writer of a stream is one answer's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

// `generate`: of /api/generate, else of /api/chat. Streams are the default there.
Result<ChatRequest> read_ollama_request(std::string_view body, bool generate);
// The body for POST /api/chat.
Result<std::string> write_ollama_request(const ChatRequest& request, std::string_view model,
                                         bool stream);

// `form` says chat or generate and how the client named the model.
std::string write_ollama_answer(const Form& form, const ChatAnswer& answer);
std::string write_ollama_error(const AnswerError& error);  // {"error":"..."}

class OllamaStreamWriter final : public StreamWriter {
 public:
  explicit OllamaStreamWriter(Form form) : form_(std::move(form)) {}
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;

 private:
  Form form_;
  bool native_ = false;
};

// Ollama numbers parallel tool calls with 0 or not at all, and says "stop" after tool calls.
class OllamaReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;

 private:
  Result<ChatDelta> read(std::string_view line);
  size_t calls_ = 0;
};

}  // namespace samplemind::ai
