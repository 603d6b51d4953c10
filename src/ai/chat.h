// A chat answer free of any provider's dialect: what the cache keeps and every dialect can write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ai/request.h"

namespace samplemind::ai {

struct Usage {
  int64_t input_tokens = 0;
  int64_t cached_input_tokens =
      0;  // part of input_tokens that the provider read from its own prompt cache
  int64_t output_tokens = 0;
  int64_t cache_write_tokens = 0;     // part of input_tokens that the provider stored in that cache
  int64_t cache_write_1h_tokens = 0;  // part of cache_write_tokens: kept for an hour
  int64_t reasoning_tokens = 0;       // part of output_tokens
  int64_t audio_input_tokens = 0;     // part of input_tokens
  int64_t audio_output_tokens = 0;    // part of output_tokens
  int64_t image_input_tokens = 0;     // part of input_tokens
  bool reported = false;              // false: the provider said nothing
  std::string openai_json;  // the provider's own account in OpenAI's dialect, when it gave one
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON text; of a custom tool: its free text
  bool custom = false;    // OpenAI's "custom" tools, whose input is no JSON
  std::string signature;  // Gemini's, to be given back with the call
};

// Members that no dialect of ours knows, kept as they came: name and JSON text.
using ExtraMembers = std::vector<std::pair<std::string, std::string>>;

// Where a piece of an answer belongs: providers interleave reasoning, text and calls, and sign
// them.
struct Block {
  enum class Kind : uint8_t { kText, kReasoning, kRedacted, kToolCall, kOther };
  Kind kind = Kind::kText;
  size_t size = 0;        // bytes of `text` or `reasoning` that are this block's
  std::string signature;  // of reasoning or of text
  std::string data;       // redacted reasoning; kOther: the block's JSON
  ExtraMembers extra;     // citations and the like
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
  std::string logprobs;  // comma-separated JSON objects, one a token, in OpenAI's form
  std::string refusal_logprobs;
  std::string reasoning_field;  // its name in OpenAI's dialect where it is not "reasoning_content"
  ExtraMembers extra;           // beside "choices"
  ExtraMembers choice_extra;    // beside "message"
  ExtraMembers message_extra;   // within "message"
  // How text, reasoning and calls follow each other; empty: reasoning, text, then the calls.
  std::vector<Block> blocks;
  // stop, tool_calls, length, content_filter, or what only its provider says ("pause_turn"); empty
  // while it grows
  std::string finish_reason;
  std::string finish_detail;  // the provider's own word for it where that says more ("SAFETY")
  std::string stop_sequence;  // the one that ended it, where the provider says
  Usage usage;
  std::string response_json;  // OpenAI's response as an upstream told it; not kept in the cache
  bool lossy = false;         // holds something that the fields above cannot keep

  // Only these may be stored: an answer that was cut by its length or by a filter is no answer to
  // keep.
  bool complete() const {
    return !lossy && (finish_reason == "stop" || finish_reason == "tool_calls");
  }
  // Whole as far as it goes: kept only where the configuration asks for it.
  bool cut_by_length() const { return !lossy && finish_reason == "length"; }
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
    bool custom = false;
    std::string signature;
  };
  std::vector<Tool> tools;
  std::string logprobs;
  std::string refusal_logprobs;
  std::string reasoning_field;
  ExtraMembers extra, choice_extra, message_extra;
  // For the block that the piece belongs to. `opens`: it is a new one, even after one of its kind.
  bool opens = false;
  std::string signature;  // of the reasoning or the text in this piece
  std::string redacted;   // a block of redacted reasoning
  std::string other;      // a block that no field here holds, as JSON
  ExtraMembers block_extra;
  std::string finish_reason, finish_detail, stop_sequence;
  std::optional<Usage> usage;
  // The piece as an upstream of the dialect `native` sent it; clients of that dialect get it
  // unchanged, unknown fields included.
  std::string native_data;
  std::string native_event;   // its name, where the dialect names its events
  std::string response_json;  // as in ChatAnswer, in the last piece
  Dialect native = Dialect::kOpenAi;
  bool lossy = false;       // as in ChatAnswer
  bool has_role = false;    // native_data names the role
  bool usage_only = false;  // OpenAI's extra last chunk: only for clients who asked for it

  bool has_content() const {
    return !text.empty() || !reasoning.empty() || !refusal.empty() || !tools.empty() ||
           !redacted.empty() || !other.empty();
  }
};

// Adds the piece to the answer. Extra members: lists grow, text within the message grows, of
// anything else the first stays at the top and the last within the choice.
void append(ChatAnswer& answer, const ChatDelta& delta);

// The blocks of an answer, also of one that names none.
std::vector<Block> blocks_of(const ChatAnswer& answer);

// The answer as pieces, one a block and one for its end: what a stream of it would have said.
std::vector<ChatDelta> pieces_of(const ChatAnswer& answer);

}  // namespace samplemind::ai
