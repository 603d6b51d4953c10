#include <algorithm>
#include <cstdio>

#include "support/fake_dialects_internal.h"

namespace samplemind::testing {

namespace {

constexpr int64_t kCreated = 1'700'000'000;
constexpr const char* kTime = "2025-01-01T00:00:00Z";

std::string text_of(const JsonValue& content) {
  if (auto text = content.string()) return *text;
  std::string joined;
  for (const JsonValue& part : content.items()) joined += part["text"].string_or("");
  return joined;
}

void write_usage(JsonWriter& w, const FakeAnswer& a) {
  const auto out = static_cast<int64_t>(a.pieces.size());
  w.key("usage").begin_object();
  w.field("prompt_tokens", a.input_tokens).field("completion_tokens", out);
  w.field("total_tokens", a.input_tokens + out);
  w.key("prompt_tokens_details").begin_object();
  w.field("cached_tokens", a.cached_tokens).end_object().end_object();
}

void chunk_head(JsonWriter& w, const FakeAnswer& a) {
  w.begin_object().field("id", "chatcmpl-" + a.token).field("object", "chat.completion.chunk");
  w.field("created", kCreated).field("model", a.model);
}

// One SSE event with one choice; `delta` is JSON.
std::string sse(const FakeAnswer& a, const std::string& delta, const std::string& finish = {}) {
  std::string out = "data: ";
  JsonWriter w(out);
  chunk_head(w, a);
  w.key("choices").begin_array().begin_object().field("index", 0).key("delta").raw(delta);
  w.key("finish_reason");
  if (finish.empty()) {
    w.null();
  } else {
    w.value(finish);
  }
  w.end_object().end_array().end_object();
  return out + "\n\n";
}

std::string text_delta(const std::string& text) {
  std::string out;
  JsonWriter(out).begin_object().field("content", text).end_object();
  return out;
}

std::string tool_delta(size_t index, const FakeAnswer& a, const std::string& piece, bool first) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("tool_calls").begin_array().begin_object().field("index", index);
  if (first)
    w.field("id", "call_" + a.token + "_" + std::to_string(index)).field("type", "function");
  w.key("function").begin_object();
  if (first) w.field("name", a.tools[index]);
  w.field("arguments", piece).end_object().end_object().end_array().end_object();
  return out;
}

// One line of Ollama's; `done` adds reason and counts.
std::string ollama_line(const FakeAnswer& a, const std::string& text, bool tools, bool done) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("model", a.model).field("created_at", kTime);
  if (a.generate) {
    w.field("response", text);
  } else {
    w.key("message").begin_object().field("role", "assistant").field("content", text);
    if (tools) {
      w.key("tool_calls").begin_array();
      for (const std::string& name : a.tools) {
        w.begin_object().key("function").begin_object().field("name", name);
        w.key("arguments").raw(arguments_of(a)).end_object().end_object();
      }
      w.end_array();
    }
    w.end_object();
  }
  w.field("done", done);
  if (done) {
    w.field("done_reason", a.finish == "tool_calls" ? "stop" : a.finish);
    w.field("total_duration", 1'000'000).field("load_duration", 1000);
    if (a.usage) {
      w.field("prompt_eval_count", a.input_tokens).field("eval_count", a.pieces.size());
      w.field("eval_duration", 900'000);
    }
  }
  w.end_object();
  return out + "\n";
}

// One answer to a schema: each property has a value of its type, texts are the token.
std::string value_for(const JsonValue& schema, const std::string& token) {
  const std::string type = schema["type"].string_or("object");
  std::string out;
  JsonWriter w(out);
  if (type == "object") {
    w.begin_object();
    for (const auto& [name, inner] : schema["properties"].members())
      w.key(name).raw(value_for(inner, token));
    w.end_object();
  } else if (type == "array") {
    w.begin_array().raw(value_for(schema["items"], token)).end_array();
  } else if (type == "integer" || type == "number") {
    w.value(7);
  } else if (type == "boolean") {
    w.value(true);
  } else {
    w.value(token);
  }
  return out;
}

const JsonValue& schema_of(const JsonValue& r) {
  if (r["response_format"].is_object()) return r["response_format"]["json_schema"]["schema"];
  if (r["output_config"].is_object()) return r["output_config"]["format"]["schema"];
  if (r["generationConfig"].is_object()) return r["generationConfig"]["responseJsonSchema"];
  return r["format"];
}

// The names of the functions that may be called.
std::vector<std::string> tool_names(const JsonValue& request) {
  std::vector<std::string> names;
  for (const JsonValue& t : request["tools"].items()) {
    for (const JsonValue& f : t["functionDeclarations"].items())
      names.push_back(f["name"].string_or(""));
    const JsonValue& named = t["function"].is_object() ? t["function"] : t;
    if (named["name"].is_string()) names.push_back(named["name"].string_or(""));
  }
  return names;
}

bool must_call(const JsonValue& r) {
  return r["tool_choice"].string_or("") == "required" ||
         r["tool_choice"]["type"].string_or("") == "any" ||
         r["toolConfig"]["functionCallingConfig"]["mode"].string_or("") == "ANY";
}

// The numbers of a text: 16 from its digest.
void write_vector(JsonWriter& w, const std::string& text) {
  w.begin_array();
  for (const char c : fnv1a_hex(text)) w.value(c / 128.0);
  w.end_array();
}

std::vector<std::string> inputs_of(const JsonValue& request) {
  std::vector<std::string> inputs;
  if (auto one = request["input"].string()) inputs.push_back(*one);
  for (const JsonValue& each : request["input"].items()) inputs.push_back(each.string_or(""));
  return inputs;
}

}  // namespace

std::string joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

std::string arguments_of(const FakeAnswer& a) {
  return "{\"echo\":\"" + a.token + "\"}";
}

FakeDialect dialect_of_path(const std::string& path) {
  if (path.starts_with("/api/")) return FakeDialect::kOllama;
  if (path.starts_with("/v1/messages")) return FakeDialect::kAnthropic;
  return path.starts_with("/v1beta/") ? FakeDialect::kGemini : FakeDialect::kOpenAi;
}

std::string fnv1a_hex(const std::string& text) {
  uint64_t h = 14695981039346656037u;
  for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 1099511628211u;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(h));
  return hex;
}

std::string last_role(const JsonValue& request) {
  const size_t n = request["messages"].size();
  return n == 0 ? "" : request["messages"][n - 1]["role"].string_or("");
}

FakeAnswer make_answer(const JsonValue& request, const std::string& path, int tokens) {
  FakeAnswer a;
  a.dialect = dialect_of_path(path);
  a.generate = path == "/api/generate";
  a.model = request["model"].string_or("");
  a.usage_chunk = request["stream_options"]["include_usage"].bool_or(false);
  std::string last = request["prompt"].string_or("");
  size_t characters = last.size();
  const bool gemini = a.dialect == FakeDialect::kGemini;
  for (const JsonValue& m : request[gemini ? "contents" : "messages"].items()) {
    const std::string text = text_of(m[gemini ? "parts" : "content"]);
    characters += text.size();
    if (m["role"].string_or("user") == "user") last = text;
  }
  a.token = fnv1a_hex(last);
  a.input_tokens = static_cast<int64_t>(characters / 4 + 1);
  if (must_call(request) || last.find("call the tool") != std::string::npos)
    a.tools = tool_names(request);
  if (!a.tools.empty()) {
    a.finish = "tool_calls";
    return a;
  }
  if (const JsonValue& schema = schema_of(request);
      schema.is_object() && last.find("as JSON") != std::string::npos) {
    a.pieces.push_back(value_for(schema, a.token));
    return a;
  }
  const int64_t limit = request["max_completion_tokens"].integer_or(
      request["max_tokens"].integer_or(request["options"]["num_predict"].integer_or(
          request["generationConfig"]["maxOutputTokens"].integer_or(tokens))));
  if (limit > 0 && limit < tokens) {
    tokens = static_cast<int>(limit);
    a.finish = "length";
  }
  a.pieces.push_back("echo:" + a.token);
  for (int i = 1; i < tokens; ++i) a.pieces.push_back(" t" + std::to_string(i));
  return a;
}

std::string whole_body(const FakeAnswer& a) {
  if (a.dialect == FakeDialect::kAnthropic || a.dialect == FakeDialect::kGemini)
    return foreign_whole_body(a);
  if (a.dialect == FakeDialect::kOllama)
    return ollama_line(a, joined(a.pieces), !a.tools.empty(), true);
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("id", "chatcmpl-" + a.token).field("object", "chat.completion");
  w.field("created", kCreated).field("model", a.model).key("choices").begin_array().begin_object();
  w.field("index", 0).key("message").begin_object().field("role", "assistant").key("content");
  if (a.tools.empty()) {
    w.value(joined(a.pieces));
  } else {
    w.null().key("tool_calls").begin_array();
    for (size_t i = 0; i < a.tools.size(); ++i) {
      w.begin_object().field("id", "call_" + a.token + "_" + std::to_string(i));
      w.field("type", "function").key("function").begin_object().field("name", a.tools[i]);
      w.field("arguments", arguments_of(a)).end_object().end_object();
    }
    w.end_array();
  }
  w.end_object().field("finish_reason", a.finish).end_object().end_array();
  if (a.usage) write_usage(w, a);
  w.end_object();
  return out;
}

std::vector<std::string> stream_frames(const FakeAnswer& a, size_t* content_frames) {
  if (a.dialect == FakeDialect::kAnthropic || a.dialect == FakeDialect::kGemini)
    return foreign_stream_frames(a, content_frames);
  std::vector<std::string> frames;
  if (a.dialect == FakeDialect::kOllama) {
    for (const std::string& piece : a.pieces) frames.push_back(ollama_line(a, piece, false, false));
    if (!a.tools.empty()) frames.push_back(ollama_line(a, "", true, false));
    *content_frames = frames.size();
    frames.push_back(ollama_line(a, "", false, true));
    return frames;
  }
  // OpenAI names the role first, in an event without text.
  const std::string role = sse(a, R"({"role":"assistant","content":""})");
  for (const std::string& piece : a.pieces) frames.push_back(sse(a, text_delta(piece)));
  for (size_t i = 0; i < a.tools.size(); ++i) {
    frames.push_back(sse(a, tool_delta(i, a, "", true)));
    const std::string all = arguments_of(a);
    for (size_t at = 0; at < all.size(); at += 7)
      frames.push_back(sse(a, tool_delta(i, a, all.substr(at, 7), false)));
  }
  if (frames.empty())
    frames.push_back(role);
  else
    frames.front() = role + frames.front();
  *content_frames = frames.size();
  frames.push_back(sse(a, "{}", a.finish));
  if (a.usage && a.usage_chunk) {
    std::string out = "data: ";
    JsonWriter w(out);
    chunk_head(w, a);
    w.key("choices").begin_array().end_array();
    write_usage(w, a);
    w.end_object();
    frames.push_back(out + "\n\n");
  }
  frames.push_back("data: [DONE]\n\n");
  return frames;
}

std::string models_body() {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("object", "list").key("data").begin_array();
  for (const char* name : {"fake-small", "fake-large", "gpt-4o-mini"}) {
    w.begin_object().field("id", name).field("object", "model").field("created", kCreated);
    w.field("owned_by", "fake").end_object();
  }
  w.end_array().end_object();
  return out;
}

std::string embeddings_body(const JsonValue& request) {
  const std::vector<std::string> inputs = inputs_of(request);
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("object", "list").field("model", request["model"].string_or(""));
  w.key("data").begin_array();
  int64_t tokens = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    tokens += static_cast<int64_t>(inputs[i].size() / 4 + 1);
    w.begin_object().field("object", "embedding").field("index", i).key("embedding");
    write_vector(w, inputs[i]);
    w.end_object();
  }
  w.end_array().key("usage").begin_object().field("prompt_tokens", tokens);
  w.field("total_tokens", tokens).end_object().end_object();
  return out;
}

std::string batch_embed_body(const JsonValue& request) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("embeddings").begin_array();
  for (const JsonValue& each : request["requests"].items()) {
    w.begin_object().key("values");
    write_vector(w, text_of(each["content"]["parts"]));
    w.end_object();
  }
  w.end_array().end_object();
  return out;
}

std::string embed_content_body(const JsonValue& request) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("embedding").begin_object().key("values");
  write_vector(w, text_of(request["content"]["parts"]));
  w.end_object().end_object();
  return out;
}

std::string ollama_embed_body(const JsonValue& request) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("model", request["model"].string_or("")).key("embeddings").begin_array();
  for (const std::string& text : inputs_of(request)) write_vector(w, text);
  w.end_array().field("prompt_eval_count", 2).end_object();
  return out;
}

std::string tags_body() {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("models").begin_array();
  for (const char* name : {"llama3.2:3b-instruct-q8_0", "fake-local:latest"}) {
    w.begin_object().field("name", name).field("model", name).field("modified_at", kTime);
    w.field("size", 3'400'000'000).field("digest", fnv1a_hex(name)).key("details").begin_object();
    w.field("format", "gguf").field("family", "llama").field("parameter_size", "3.2B");
    w.field("quantization_level", "Q8_0").end_object().end_object();
  }
  w.end_array().end_object();
  return out;
}

std::string show_body(const std::string& model) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("modelfile", "FROM " + model).field("template", "{{ .Prompt }}");
  w.key("details").begin_object().field("family", "llama").field("parameter_size", "3.2B");
  w.end_object().key("model_info").begin_object().field("general.architecture", "llama");
  w.field("llama.context_length", 131072).end_object();
  w.key("capabilities").begin_array().value("completion").value("tools").end_array().end_object();
  return out;
}

}  // namespace samplemind::testing
