// OpenAI's chat completions, read and written
// (https://platform.openai.com/docs/api-reference/chat). Pure functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/chat.h"
#include "base/json.h"
#include "base/result.h"

namespace samplemind::ai {

// What the gateway must know of a request; everything else in it stays as it is.
struct OpenAiRequest {
  std::string model;
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
  bool sampling = false;       // temperature above 0 (the default is 1)
  bool tools = false;          // offers tools of any kind
  // Why the answer must be neither cached nor shared with an equal request; empty when it may.
  std::string never_cache;
};

// kInvalidArgument with what is wrong and where.
Result<OpenAiRequest> read_openai_request(std::string_view body);

// The client's bytes with `model` (and for streams stream_options.include_usage) set and the rest
// untouched. REQUIRES: read_openai_request took it.
std::string rewrite_openai_request(std::string_view body, std::string_view model, bool ask_usage);

std::string write_openai_answer(const ChatAnswer& answer);
// One chunk's JSON. `first` adds the role.
std::string write_openai_chunk(const ChatAnswer& head, const ChatDelta& delta, bool first);
// The chunk's JSON with the role in its first choice's delta: some servers leave it out, and
// clients rely on it. REQUIRES: valid JSON.
std::string with_role(std::string_view chunk);
// The extra last chunk with the usage.
std::string write_openai_usage_chunk(const ChatAnswer& answer);
// The whole answer as an event stream, [DONE] included.
std::string write_openai_stream(const ChatAnswer& answer, bool include_usage);

// An upstream's answer; kUpstream when it is no chat completion. `choices` is set to their number;
// only the first is read.
Result<ChatAnswer> read_openai_answer(std::string_view body, size_t& choices);
// A chunk's data; an error object inside a stream is kUpstream with its message.
Result<ChatDelta> read_openai_chunk(std::string_view data, size_t& choices_max, ChatAnswer& head);

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
