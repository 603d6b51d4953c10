// Ollama's chat (https://github.com/ollama/ollama/blob/main/docs/api.md), as a target of requests
// in OpenAI's dialect. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "ai/chat.h"
#include "base/result.h"

namespace samplemind::ai {

// The body for POST /api/chat. What Ollama cannot express is refused by name with kInvalidArgument,
// never dropped in silence.
Result<std::string> write_ollama_request(std::string_view openai_body, std::string_view model,
                                         bool stream);

// State of one answer: Ollama numbers parallel tool calls with 0 or not at all, and says "stop"
// after tool calls.
struct OllamaReader {
  size_t tools = 0;
  bool done = false;
  // One line of the stream, or the whole answer. kUpstream for an error object or what is no
  // answer.
  Result<ChatDelta> read(std::string_view line, ChatAnswer& head);
};

}  // namespace samplemind::ai
