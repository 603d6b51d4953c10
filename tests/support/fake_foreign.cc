// The fake provider's answers as Anthropic and Gemini write them.
#include <algorithm>

#include "support/fake_dialects_internal.h"

namespace samplemind::testing {

namespace {

int64_t count_of(const FakeAnswer& a) {
  return static_cast<int64_t>(a.pieces.size());
}

std::string anthropic_reason(const FakeAnswer& a) {
  if (a.finish == "tool_calls") return "tool_use";
  if (a.finish == "length") return "max_tokens";
  return a.finish == "content_filter" ? "refusal" : "end_turn";
}

void anthropic_usage(JsonWriter& w, const FakeAnswer& a, int64_t output) {
  w.key("usage").begin_object().field("input_tokens", a.input_tokens - a.cached_tokens);
  w.field("cache_read_input_tokens", a.cached_tokens).field("output_tokens", output).end_object();
}

void anthropic_head(JsonWriter& w, const FakeAnswer& a) {
  w.begin_object().field("id", "msg_" + a.token).field("type", "message");
  w.field("role", "assistant").field("model", a.model);
}

void anthropic_call(JsonWriter& w, const FakeAnswer& a, size_t i, const std::string& input) {
  w.begin_object().field("type", "tool_use");
  w.field("id", "toolu_" + a.token + "_" + std::to_string(i)).field("name", a.tools[i]);
  w.key("input").raw(input).end_object();
}

// One event; `body` writes the members after the type.
template <typename Body>
std::string anthropic_event(const std::string& type, const Body& body) {
  std::string out = "event: " + type + "\ndata: ";
  JsonWriter w(out);
  w.begin_object().field("type", type);
  body(w);
  w.end_object();
  return out + "\n\n";
}

std::string anthropic_delta(size_t index, const char* type, const char* member,
                            const std::string& text) {
  return anthropic_event("content_block_delta", [&](JsonWriter& w) {
    w.field("index", index).key("delta").begin_object().field("type", type);
    w.field(member, text).end_object();
  });
}

std::string anthropic_stop(size_t index) {
  return anthropic_event("content_block_stop", [&](JsonWriter& w) { w.field("index", index); });
}

std::vector<std::string> anthropic_frames(const FakeAnswer& a, size_t* content_frames) {
  std::vector<std::string> frames;
  std::string head = anthropic_event("message_start", [&](JsonWriter& w) {
    w.key("message");
    anthropic_head(w, a);
    w.key("content").begin_array().end_array().key("stop_reason").null();
    w.key("stop_sequence").null();
    anthropic_usage(w, a, 0);
    w.end_object();
  });
  size_t index = 0;
  if (!a.pieces.empty()) {
    head += anthropic_event("content_block_start", [&](JsonWriter& w) {
      w.field("index", 0).key("content_block").begin_object().field("type", "text");
      w.field("text", "").end_object();
    });
    head += "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for (const std::string& piece : a.pieces)
      frames.push_back(anthropic_delta(0, "text_delta", "text", piece));
    frames.back() += anthropic_stop(index++);
  }
  for (size_t i = 0; i < a.tools.size(); ++i, ++index) {
    frames.push_back(anthropic_event("content_block_start", [&](JsonWriter& w) {
      w.field("index", index).key("content_block");
      anthropic_call(w, a, i, "{}");
    }));
    const std::string all = arguments_of(a);
    for (size_t at = 0; at < all.size(); at += 7)
      frames.push_back(
          anthropic_delta(index, "input_json_delta", "partial_json", all.substr(at, 7)));
    frames.back() += anthropic_stop(index);
  }
  if (frames.empty()) frames.emplace_back();
  frames.front() = head + frames.front();
  *content_frames = frames.size();
  frames.push_back(anthropic_event("message_delta", [&](JsonWriter& w) {
    w.key("delta").begin_object().field("stop_reason", anthropic_reason(a));
    w.key("stop_sequence").null().end_object();
    if (a.usage) {
      w.key("usage").begin_object().field("output_tokens", count_of(a)).end_object();
    }
  }));
  frames.push_back(anthropic_event("message_stop", [](JsonWriter&) {}));
  return frames;
}

std::string anthropic_body(const FakeAnswer& a) {
  std::string out;
  JsonWriter w(out);
  anthropic_head(w, a);
  w.key("content").begin_array();
  if (!a.pieces.empty()) {
    w.begin_object().field("type", "text").field("text", joined(a.pieces)).end_object();
  }
  for (size_t i = 0; i < a.tools.size(); ++i) anthropic_call(w, a, i, arguments_of(a));
  w.end_array().field("stop_reason", anthropic_reason(a)).key("stop_sequence").null();
  if (a.usage) anthropic_usage(w, a, count_of(a));
  w.end_object();
  return out;
}

// A part of a Gemini answer: the text, the calls, and at the end the reason with the counts.
std::string gemini_body(const FakeAnswer& a, const std::string& text, bool calls, bool end) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("candidates").begin_array().begin_object().key("content").begin_object();
  w.field("role", "model").key("parts").begin_array();
  if (!text.empty() || !calls) w.begin_object().field("text", text).end_object();
  for (size_t i = 0; calls && i < a.tools.size(); ++i) {
    w.begin_object().key("functionCall").begin_object().field("name", a.tools[i]);
    w.key("args").raw(arguments_of(a)).end_object().end_object();
  }
  w.end_array().end_object();
  if (end) {
    w.field("finishReason", a.finish == "length"           ? "MAX_TOKENS"
                            : a.finish == "content_filter" ? "SAFETY"
                                                           : "STOP");
  }
  w.field("index", 0).end_object().end_array();
  if (a.usage && end) {
    w.key("usageMetadata").begin_object().field("promptTokenCount", a.input_tokens);
    w.field("candidatesTokenCount", count_of(a));
    w.field("totalTokenCount", a.input_tokens + count_of(a));
    w.field("cachedContentTokenCount", a.cached_tokens).end_object();
  }
  w.field("modelVersion", a.model).field("responseId", a.token).end_object();
  return out;
}

std::vector<std::string> gemini_frames(const FakeAnswer& a, size_t* content_frames) {
  std::vector<std::string> frames;
  const auto add = [&](const std::string& text, bool calls, bool end) {
    frames.push_back("data: " + gemini_body(a, text, calls, end) + "\r\n\r\n");
  };
  for (const std::string& piece : a.pieces) add(piece, false, false);
  if (!a.tools.empty()) add("", true, false);
  *content_frames = frames.size();
  add("", false, true);
  return frames;
}

}  // namespace

std::string foreign_whole_body(const FakeAnswer& a) {
  if (a.dialect == FakeDialect::kAnthropic) return anthropic_body(a);
  return gemini_body(a, joined(a.pieces), !a.tools.empty(), true);
}

std::vector<std::string> foreign_stream_frames(const FakeAnswer& a, size_t* content_frames) {
  return a.dialect == FakeDialect::kAnthropic ? anthropic_frames(a, content_frames)
                                              : gemini_frames(a, content_frames);
}

std::string error_body(FakeDialect dialect, int status, const std::string& message,
                       const std::string& type, const std::string& code) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  if (dialect == FakeDialect::kOllama) {
    w.field("error", message);
  } else if (dialect == FakeDialect::kAnthropic) {
    w.field("type", "error").key("error").begin_object();
    w.field("type", status == 404                    ? "not_found_error"
                    : status == 401                  ? "authentication_error"
                    : status == 429                  ? "rate_limit_error"
                    : status == 503 || status == 529 ? "overloaded_error"
                    : status >= 500                  ? "api_error"
                                                     : "invalid_request_error");
    w.field("message", message).end_object();
  } else if (dialect == FakeDialect::kGemini) {
    w.key("error").begin_object().field("code", status).field("message", message);
    w.field("status", status == 404   ? "NOT_FOUND"
                      : status == 401 ? "UNAUTHENTICATED"
                      : status == 429 ? "RESOURCE_EXHAUSTED"
                      : status == 503 ? "UNAVAILABLE"
                      : status >= 500 ? "INTERNAL"
                                      : "INVALID_ARGUMENT");
    w.end_object();
  } else {
    w.key("error").begin_object().field("message", message).field("type", type);
    w.key("param").null().field("code", code).end_object();
  }
  w.end_object();
  return out;
}

std::string error_frame(FakeDialect dialect, int status, const std::string& message) {
  const std::string body = error_body(dialect, status, message, "server_error", "overloaded");
  if (dialect == FakeDialect::kOllama) return body + "\n";
  return (dialect == FakeDialect::kAnthropic ? "event: error\ndata: " : "data: ") + body + "\n\n";
}

std::string gemini_models_body() {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("models").begin_array();
  for (const char* name : {"fake-small", "fake-large"}) {
    w.begin_object().field("name", std::string("models/") + name).field("displayName", name);
    w.field("inputTokenLimit", 1'048'576).field("outputTokenLimit", 65'536);
    w.key("supportedGenerationMethods").begin_array().value("generateContent").end_array();
    w.end_object();
  }
  w.end_array().end_object();
  return out;
}

}  // namespace samplemind::testing
