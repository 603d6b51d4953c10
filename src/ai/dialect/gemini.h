// Gemini's generateContent (https://ai.google.dev/api/generate-content). Pure functions; a reader
// or writer of a stream is one answer's. Both spellings of names are read, camelCase and
// snake_case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

// The path names the model and whether the answer is streamed.
Result<ChatRequest> read_gemini_request(std::string_view body, std::string_view model, bool stream);
Result<std::string> write_gemini_request(const ChatRequest& request, std::string_view model);

std::string write_gemini_answer(const ChatAnswer& answer);
// {"error":{"code":400,"message":...,"status":"INVALID_ARGUMENT"}}
std::string write_gemini_error(const AnswerError& error);

// Schemas there write types in capitals; ours are JSON Schema's.
JsonValue schema_of_gemini(const JsonValue& schema);

class GeminiStreamWriter final : public StreamWriter {
 public:
  // `list`: one JSON list instead of events.
  explicit GeminiStreamWriter(bool list) : list_(list) {}
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;

 private:
  void piece(std::string& out, std::string_view json);
  bool list_;
  bool first_ = true;
  bool native_ = false;
};

class GeminiReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;
  // Nothing marks the end but a reason to finish and the end of the body.
  void ended() override { done = finished; }

 private:
  Result<ChatDelta> read(const JsonValue& v);
  size_t calls_ = 0;
  Usage usage_;
};

}  // namespace samplemind::ai
