// A chat answer free of any provider's dialect: what the cache keeps and every dialect can write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace samplemind::ai {

struct Usage {
  int64_t input_tokens = 0;
  int64_t cached_input_tokens =
      0;  // part of input_tokens that the provider read from its own prompt cache
  int64_t output_tokens = 0;
  int64_t reasoning_tokens = 0;  // part of output_tokens
  bool reported = false;         // false: the provider said nothing
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text
};

// One choice, complete or growing. Strings are UTF-8.
struct ChatAnswer {
  std::string id;
  int64_t created_s = 0;
  std::string model;     // as the provider named it
  std::string provider;  // "ollama", "openai"
  std::string text;
  std::string reasoning;
  std::string refusal;
  std::vector<ToolCall> tool_calls;
  std::string logprobs;       // comma-separated JSON objects, one a token, in OpenAI's form
  std::string finish_reason;  // stop, tool_calls, length, content_filter; empty while it grows
  Usage usage;

  // Only these may be stored: an answer that was cut by its length or by a filter is no answer to
  // keep.
  bool complete() const { return finish_reason == "stop" || finish_reason == "tool_calls"; }
};

// A piece of a streamed answer. Any of its parts may be empty.
struct ChatDelta {
  std::string text;
  std::string reasoning;
  std::string refusal;
  struct Tool {
    size_t index = 0;
    std::string id;    // in the first piece only
    std::string name;  // likewise
    std::string arguments;
  };
  std::vector<Tool> tools;
  std::string logprobs;
  std::string finish_reason;
  std::optional<Usage> usage;
  // The piece as an upstream of OpenAI's dialect sent it; clients of that dialect get it unchanged,
  // unknown fields included.
  std::string openai_data;
  bool usage_only = false;  // OpenAI's extra last chunk: only for clients who asked for it

  bool has_content() const {
    return !text.empty() || !reasoning.empty() || !refusal.empty() || !tools.empty();
  }
};

// Adds the piece to the answer.
void append(ChatAnswer& answer, const ChatDelta& delta);

}  // namespace samplemind::ai
