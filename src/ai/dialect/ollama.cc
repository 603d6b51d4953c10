#include "ai/dialect/ollama.h"

#include <array>
#include <optional>
#include <vector>

#include "base/json.h"

namespace samplemind::ai {

namespace {

Error cannot(std::string what) {
  return Error(ErrorCode::kInvalidArgument, "Ollama cannot express " + std::move(what),
               "leave it out, or choose a model of another provider");
}

// Content is text, or parts of which text is joined and pictures are collected.
Result<std::string> text_of(const JsonValue& content, std::vector<std::string>& images) {
  if (content.is_null()) return std::string();
  if (auto text = content.string()) return *text;
  std::string joined;
  for (const JsonValue& part : content.items()) {
    const std::string type = part["type"].string_or("");
    if (type == "text") {
      if (!joined.empty()) joined += '\n';
      joined += part["text"].string_or("");
    } else if (type == "image_url") {
      const std::string url = part["image_url"]["url"].string_or(part["image_url"].string_or(""));
      const size_t comma = url.find(";base64,");
      if (!url.starts_with("data:") || comma == std::string::npos)
        return cannot("a remote image: send its bytes as a data: URL");
      images.push_back(url.substr(comma + 8));
    } else {
      return cannot("a content part of type '" + type + "'");
    }
  }
  return joined;
}

Result<void> write_message(JsonWriter& w, const JsonValue& m) {
  std::string role = m["role"].string_or("");
  if (role == "developer") role = "system";
  std::vector<std::string> images;
  SM_TRY(const std::string text, text_of(m["content"], images));
  w.begin_object().field("role", role).field("content", text);
  if (!images.empty()) w.field("images", images);
  if (auto name = m["name"].string(); name && role == "tool") w.field("tool_name", *name);
  if (m["tool_calls"].size() > 0) {
    w.key("tool_calls").begin_array();
    for (const JsonValue& t : m["tool_calls"].items()) {
      // OpenAI's arguments are a string of JSON, Ollama's the object itself.
      const std::string text_arguments = t["function"]["arguments"].string_or("{}");
      const auto arguments = JsonValue::parse(text_arguments.empty() ? "{}" : text_arguments);
      if (!arguments.ok() || !arguments->is_object())
        return cannot("tool call arguments that are no JSON object");
      w.begin_object()
          .key("function")
          .begin_object()
          .field("name", t["function"]["name"].string_or(""))
          .key("arguments");
      arguments->write(w);
      w.end_object().end_object();
    }
    w.end_array();
  }
  w.end_object();
  return ok();
}

}  // namespace

Result<std::string> write_ollama_request(std::string_view body, std::string_view model,
                                         bool stream) {
  SM_TRY(const JsonValue r, JsonValue::parse(body));
  std::string options;
  JsonWriter o(options);
  o.begin_object();
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("model", model).field("stream", stream);
  for (const auto& [name, v] : r.members()) {
    if (v.is_null() || name == "model" || name == "stream" || name == "stream_options" ||
        name == "user" || name == "metadata" || name == "store" || name == "service_tier" ||
        name == "safety_identifier" || name == "prompt_cache_key" ||
        name == "parallel_tool_calls") {
      continue;
    }
    if (name == "messages") {
      w.key("messages").begin_array();
      for (const JsonValue& m : v.items()) SM_CHECK_OK(write_message(w, m));
      w.end_array();
    } else if (name == "tools") {
      w.key("tools");
      v.write(w);
    } else if (name == "tool_choice") {
      if (v.string_or("") != "auto") return cannot("'tool_choice' other than \"auto\"");
    } else if (name == "response_format") {
      const std::string type = v["type"].string_or("");
      if (type == "json_object") {
        w.field("format", "json");
      } else if (type == "json_schema") {
        w.key("format");
        v["json_schema"]["schema"].write(w);
      } else if (type != "text") {
        return cannot("'response_format' of type '" + type + "'");
      }
    } else if (name == "temperature" || name == "top_p" || name == "seed" || name == "stop" ||
               name == "frequency_penalty" || name == "presence_penalty" || name == "top_k" ||
               name == "min_p" || name == "num_ctx") {
      o.key(name);
      v.write(o);
    } else if (name == "max_tokens" || name == "max_completion_tokens") {
      o.field("num_predict", v.integer_or(0));
    } else if (name == "reasoning_effort") {
      w.key("think");
      if (v.string_or("") == "none") {
        w.value(false);
      } else {
        v.write(w);
      }
    } else if (name == "keep_alive" || name == "think") {
      w.key(name);
      v.write(w);
    } else if (name == "options") {
      for (const auto& [key, value] : v.members()) {
        o.key(key);
        value.write(o);
      }
    } else if (name == "n") {
      if (v.number_or(1) != 1) return cannot("'n' other than 1");
    } else if (name == "logprobs") {
      if (v.bool_or(true)) return cannot("'logprobs'");
    } else {
      return cannot("the parameter '" + name + "'");
    }
  }
  o.end_object();
  if (options != "{}") w.key("options").raw(options);
  w.end_object();
  return out;
}

Result<ChatDelta> OllamaReader::read(std::string_view line, ChatAnswer& head) {
  auto parsed = JsonValue::parse(line);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "Ollama's stream holds a line that is no JSON");
  const JsonValue& r = *parsed;
  if (auto error = r["error"].string())
    return Error(ErrorCode::kUpstream, "Ollama broke off: " + *error);
  if (!r["message"].is_object() && !r["done"].bool_or(false))
    return Error(ErrorCode::kUpstream, "Ollama's stream holds a line that is no answer");
  if (head.model.empty()) head.model = r["model"].string_or("");
  ChatDelta d;
  const JsonValue& m = r["message"];
  d.text = m["content"].string_or("");
  d.reasoning = m["thinking"].string_or("");
  for (const JsonValue& t : m["tool_calls"].items()) {
    const size_t index = tools++;
    d.tools.push_back({index, t["id"].string_or("call_" + std::to_string(index)),
                       t["function"]["name"].string_or(""), t["function"]["arguments"].dump()});
  }
  if (r["done"].bool_or(false)) {
    done = true;
    const std::string reason = r["done_reason"].string_or("stop");
    d.finish_reason = tools > 0            ? "tool_calls"
                      : reason == "length" ? "length"
                      : reason == "stop"   ? "stop"
                                           : reason;
    Usage u;
    u.reported = r["eval_count"].is_number() || r["prompt_eval_count"].is_number();
    u.input_tokens = r["prompt_eval_count"].integer_or(0);
    u.output_tokens = r["eval_count"].integer_or(0);
    d.usage = u;
  }
  return d;
}

}  // namespace samplemind::ai
