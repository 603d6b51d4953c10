// The bodies of the fake provider's answers; no sockets here.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace samplemind::testing {

// One answer before it is written in a dialect.
struct FakeAnswer {
  bool ollama = false;
  bool generate = false;  // Ollama's /api/generate
  bool usage = true;
  bool usage_chunk = false;  // OpenAI: the client asked for include_usage
  std::string model;
  std::string token;
  std::string finish = "stop";
  std::vector<std::string> pieces;  // the text, a token each
  std::vector<std::string> tools;   // names of the functions that are called
  int64_t input_tokens = 0;
  int64_t cached_tokens = 0;
};

std::string fnv1a_hex(const std::string& text);
// Reads a chat request of either dialect; `tokens` is the length of the answer.
FakeAnswer make_answer(const JsonValue& request, const std::string& path, int tokens);
std::string last_role(const JsonValue& request);

// The whole answer as one JSON body.
std::string whole_body(const FakeAnswer& a);
// The stream's frames in order (SSE events, or NDJSON lines). The first `*content_frames` of them
// are before the finish; what follows is finish, usage and the terminal marker.
std::vector<std::string> stream_frames(const FakeAnswer& a, size_t* content_frames);

std::string error_body(bool ollama, const std::string& message, const std::string& type,
                       const std::string& code);
std::string models_body();
std::string embeddings_body(const JsonValue& request);
std::string tags_body();
std::string show_body(const std::string& model);

}  // namespace samplemind::testing
