// Anthropic's messages (https://docs.anthropic.com/en/api/messages). Pure functions; a reader or
// writer of a stream is one answer's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

Result<ChatRequest> read_anthropic_request(std::string_view body);
Result<std::string> write_anthropic_request(const ChatRequest& request, std::string_view model,
                                            bool stream);

// From Claude 4.6 on the model decides how much it thinks and is told an effort; older ones take a
// budget.
bool thinks_adaptively(std::string_view model);

std::string write_anthropic_answer(const ChatAnswer& answer);
// {"type":"error","error":{"type":...,"message":...}}
std::string write_anthropic_error(const AnswerError& error);

class AnthropicStreamWriter final : public StreamWriter {
 public:
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;

 private:
  struct Call {
    std::string id, name;
    std::string held;  // arguments that wait until the call's block is open
    std::string said;
    bool closed = false;
  };
  void start(std::string& out, const ChatAnswer& head);
  void close(std::string& out);
  void text_like(std::string& out, Block::Kind kind, const ChatDelta& d);
  void tool(std::string& out, const ChatDelta::Tool& t);
  void write_call(std::string& out, size_t index);
  bool started_ = false;
  bool native_ = false;
  std::optional<Block::Kind> open_;
  size_t tool_ = 0;    // the call whose block is open
  size_t blocks_ = 0;  // begun so far
  std::vector<Call> calls_;
};

class AnthropicReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;

 private:
  Result<void> read(const JsonValue& v, ChatDelta& d);
  void block_start(const JsonValue& v, ChatDelta& d);
  void block_delta(const JsonValue& v, ChatDelta& d);
  Usage usage_;
  std::string kind_;  // of the open block
  bool opens_ = false;
  size_t calls_ = 0;
  std::string input_;  // of a call that begins with its arguments
  bool said_ = false;  // arguments came in pieces
};

}  // namespace samplemind::ai
