// The bodies of the fake provider's answers; no sockets here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace samplemind::testing {

enum class FakeDialect : uint8_t { kOpenAi, kOllama, kAnthropic, kGemini };
FakeDialect dialect_of_path(const std::string& path);

// One answer before it is written in a dialect.
struct FakeAnswer {
  FakeDialect dialect = FakeDialect::kOpenAi;
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
std::string joined(const std::vector<std::string>& pieces);
std::string arguments_of(const FakeAnswer& a);  // of each call: {"echo": token}
// Reads a chat request of any dialect; `tokens` is the length of the answer.
FakeAnswer make_answer(const JsonValue& request, const std::string& path, int tokens);
std::string last_role(const JsonValue& request);

// The whole answer as one JSON body.
std::string whole_body(const FakeAnswer& a);
// The stream's frames in order (SSE events, or Ollama's lines). The first `*content_frames` of them
// are before the finish; what follows is finish, usage and the terminal marker.
std::vector<std::string> stream_frames(const FakeAnswer& a, size_t* content_frames);

// Anthropic's and Gemini's (fake_foreign.cc).
std::string foreign_whole_body(const FakeAnswer& a);
std::vector<std::string> foreign_stream_frames(const FakeAnswer& a, size_t* content_frames);

// As OpenAI says it (type, code); the other dialects name the status in their own way.
std::string error_body(FakeDialect dialect, int status, const std::string& message,
                       const std::string& type, const std::string& code);
// The same within a stream, as its next event or line.
std::string error_frame(FakeDialect dialect, int status, const std::string& message);
std::string models_body();
std::string embeddings_body(const JsonValue& request);     // OpenAI's
std::string batch_embed_body(const JsonValue& request);    // Gemini's
std::string embed_content_body(const JsonValue& request);  // Gemini's
std::string ollama_embed_body(const JsonValue& request);   // of /api/embed
std::string gemini_models_body();
std::string tags_body();
std::string show_body(const std::string& model);

}  // namespace samplemind::testing
