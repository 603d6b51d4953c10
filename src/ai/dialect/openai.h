// OpenAI's chat completions, read and written
// (https://platform.openai.com/docs/api-reference/chat). Pure functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "ai/dialect/dialect.h"
#include "ai/request.h"
#include "base/json.h"
#include "base/result.h"

namespace samplemind::ai {

// kInvalidArgument with what is wrong and where.
Result<ChatRequest> read_openai_request(std::string_view body);
// The body for POST /chat/completions from a request of another dialect. `official`: for OpenAI
// itself, which refuses what other servers of its dialect take.
Result<std::string> write_openai_request(const ChatRequest& request, std::string_view model,
                                         bool stream, bool official);

// The client's bytes with `model` (and for streams stream_options.include_usage) set and the rest
// untouched. REQUIRES: read_openai_request took it.
std::string rewrite_openai_request(std::string_view body, std::string_view model, bool ask_usage);

// "usage", also of the older completions.
Usage read_openai_usage(const JsonValue& usage);
void write_openai_usage(JsonWriter& w, const Usage& usage);

std::string write_openai_answer(const ChatAnswer& answer);
// One chunk's JSON. `first` adds the role.
std::string write_openai_chunk(const ChatAnswer& head, const ChatDelta& delta, bool first);
// The chunk's JSON with the role in its first choice's delta: some servers leave it out, and
// clients rely on it. REQUIRES: valid JSON.
std::string with_role(std::string_view chunk);
// The extra last chunk with the usage.
std::string write_openai_usage_chunk(const ChatAnswer& answer);
// The whole answer as an event stream, [DONE] included: what a client that asked for the answer's
// pieces gets when it is there already.
std::string write_openai_stream(const ChatAnswer& answer, bool include_usage);

// An upstream's answer; kUpstream when it is no chat completion. `choices` is set to their number;
// only the first is read.
Result<ChatAnswer> read_openai_answer(std::string_view body, size_t& choices);
// A chunk's data; an error object inside a stream is kUpstream with its message.
Result<ChatDelta> read_openai_chunk(std::string_view data, size_t& choices_max, ChatAnswer& head);

class OpenAiReader final : public AnswerReader {
 public:
  Result<void> event(std::string_view name, std::string data, std::vector<ChatDelta>& out) override;
  Result<ChatAnswer> whole(std::string_view body) override;
};

class OpenAiStreamWriter final : public StreamWriter {
 public:
  explicit OpenAiStreamWriter(bool include_usage) : include_usage_(include_usage) {}
  void delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) override;
  void end(std::string& out, const ChatAnswer& answer) override;
  void error(std::string& out, const AnswerError& e) override;

 private:
  bool include_usage_;
  bool first_ = true;
  bool role_missing_ = true;
  bool native_ = false;
};

// What an answer that had begun well (status 200) says of its failure: the status that its code
// stands for, else 502.
AnswerError read_openai_error(const JsonValue& error);
// The one in a piece or a whole answer; nothing when it holds none.
std::optional<AnswerError> openai_error_in(std::string_view json);

// {"error":{"message":...,"type":...,"param":null,"code":...}}
std::string write_openai_error(std::string_view message, std::string_view type,
                               std::string_view code);

// A member of a JSON object's text: its key and where it stands. REQUIRES: `object` is valid JSON.
struct JsonMember {
  std::string key;
  size_t begin = 0;  // of the key's opening quote
  size_t value_begin = 0;
  size_t value_end = 0;
};
std::vector<JsonMember> top_level_members(std::string_view object);

}  // namespace samplemind::ai
