// A model request free of any provider's dialect: what each dialect reads into and writes from,
// what the cache's key is made of, and what a router looks at. Strings are UTF-8.
//
// Nothing of a request is lost on the way in: what no field holds is kept by name in an `extra`
// list (members that are null say nothing and are left out). What a target cannot express is
// refused by name when the request is written for it, never dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace samplemind::ai {

enum class Dialect : uint8_t {
  kOpenAi,          // chat completions
  kResponses,       // OpenAI's responses
  kCompletions,     // OpenAI's older completions
  kAnthropic,       // messages
  kGemini,          // generateContent
  kOllama,          // /api/chat
  kOllamaGenerate,  // /api/generate
};
std::string_view dialect_name(Dialect dialect);  // "OpenAI", "Anthropic", ...

using ExtraValues = std::vector<std::pair<std::string, JsonValue>>;

// Bytes, or where they are. One of data, url and file_id is set.
struct Media {
  std::string mime;     // "image/png"; empty: unknown
  std::string data;     // base64
  std::string url;      // never fetched by us
  std::string file_id;  // of a file that the provider keeps
  std::string name;
  std::string detail;  // OpenAI's: low, high, auto
};

struct Part {
  enum class Kind : uint8_t {
    kText,
    kImage,
    kAudio,
    kDocument,    // media, or plain text in `text`
    kReasoning,   // `text` with its `signature`, when the provider gave one
    kRedacted,    // reasoning that only the provider can read, in `text`
    kRefusal,     // `text`
    kToolCall,    // `id`, `name`, arguments in `text`
    kToolResult,  // `id` of the call, its `name` where known, `parts`
    kOther,       // kept whole in `extra`; `name` is its type
  };
  Kind kind = Kind::kText;
  bool custom = false;  // tool call: `text` is free text, not JSON
  bool error = false;   // tool result: the tool failed
  std::string text;
  std::string id, name;
  std::string signature;
  Media media;
  std::vector<Part> parts;
  JsonValue cache_control;  // Anthropic's mark; never changes an answer
  ExtraValues extra;
};

struct Message {
  enum class Role : uint8_t { kSystem, kUser, kAssistant, kTool };
  Role role = Role::kUser;
  bool developer = false;  // a system message that OpenAI's dialect called so
  std::vector<Part> parts;
  ExtraValues extra;
};

struct ToolSpec {
  std::string type = "function";  // else "custom", or a hosted tool that is kept whole in `extra`
  std::string name;
  std::string description;
  JsonValue schema;  // of its arguments; null: none
  std::optional<bool> strict;
  JsonValue cache_control;
  ExtraValues extra;
  bool hosted() const { return type != "function" && type != "custom"; }
};

struct ToolChoice {
  enum class Mode : uint8_t { kUnset, kAuto, kNone, kRequired };
  Mode mode = Mode::kUnset;
  std::vector<std::string> names;  // only these may be called; one name with kRequired: this one
};

struct OutputFormat {
  enum class Kind : uint8_t { kText, kJson, kSchema };
  Kind kind = Kind::kText;
  std::string name;
  std::string description;
  JsonValue schema;
  std::optional<bool> strict;
};

struct Reasoning {
  std::optional<bool> on;
  std::string effort;             // minimal, low, medium, high, xhigh, max
  std::optional<int64_t> budget;  // tokens; -1: as the model likes
  std::optional<bool> visible;    // is the text of the reasoning wanted
  bool adaptive = false;          // Anthropic's: the model decides
  bool said() const { return on || !effort.empty() || budget || visible; }
};

struct ChatRequest {
  Dialect dialect = Dialect::kOpenAi;
  std::string body;  // as it came
  std::string model;
  bool stream = false;
  bool include_usage = false;  // OpenAI's stream_options.include_usage

  std::vector<Message> messages;
  std::vector<ToolSpec> tools;
  ToolChoice tool_choice;
  std::optional<bool> parallel_tools;
  OutputFormat format;
  Reasoning reasoning;
  std::optional<int64_t> max_tokens, top_k, seed, top_logprobs;
  std::optional<double> temperature, top_p, frequency_penalty, presence_penalty;
  std::optional<bool> logprobs;
  int64_t choices = 1;
  std::vector<std::string> stop;
  std::string lead;   // of completions: what the answer is told after; no part of the key
  ExtraValues extra;  // that may change the answer
  // That may, too, but only wish for a manner of it: left out, not refused, where a target has no
  // such wish.
  ExtraValues hints;
  // That cannot: the user's id, metadata, service tier. Not part of the key.
  ExtraValues aside;

  // Why the answer must be neither cached nor shared with an equal request; empty when it may.
  std::string never_cache;

  bool sampling() const { return temperature.value_or(1) > 0; }
  bool has_tools() const { return !tools.empty(); }
};

// The request as one text, the same for all dialects and spellings of the same request, in the
// manner of RFC 8785. Left out: the model, streaming, what is `aside`, marks for prompt caches; ids
// of tool calls count only as links between calls and results.
std::string canonical_request(const ChatRequest& request);

// Hosted tools, remote media, files and the like: why an answer cannot be kept; empty when it can.
// Readers call it last; what they found themselves stays.
std::string reason_not_to_cache(const ChatRequest& request);

}  // namespace samplemind::ai
