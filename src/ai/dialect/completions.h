// OpenAI's older completions (https://platform.openai.com/docs/api-reference/completions): a prompt
// that goes on. Servers of OpenAI's dialect that serve it are asked in it, all others in a chat of
// one message. Pure functions; a reader or writer of a stream is one answer's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/result.h"

namespace samplemind::ai {

// One prompt is one user's message. Several prompts and prompts of tokens are an extra "prompt",
// which only a server of this dialect takes; `choices` is then that of all prompts together. `echo`
// without log probabilities becomes `lead`: the writers below begin with it.
Result<ChatRequest> read_completions_request(std::string_view body);
// The client's bytes for a server of the same dialect, without an `echo` that the writers do.
std::string rewrite_completions_request(const ChatRequest& request, std::string_view model,
                                        bool ask_usage);

std::string write_completions_answer(const Form& form, const ChatAnswer& answer);

class CompletionsStreamWriter final : public StreamWriter {
 public:
  explicit CompletionsStreamWriter(const Form& form) : form_(form) {}
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;

 private:
  Form form_;
  size_t told_ = 0;  // bytes of text, for the offsets of tokens
  bool first_ = true;
  bool native_ = false;
};

class CompletionsReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;

 private:
  Result<ChatDelta> read(std::string_view data);
};

}  // namespace samplemind::ai
