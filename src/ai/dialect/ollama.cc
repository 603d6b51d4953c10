#include "ai/dialect/ollama.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

#include "base/json.h"

namespace samplemind::ai {

namespace {

// Say nothing about the answer itself.
constexpr std::array<std::string_view, 11> kWithoutMeaning{"model",
                                                           "stream",
                                                           "stream_options",
                                                           "user",
                                                           "metadata",
                                                           "store",
                                                           "service_tier",
                                                           "prompt_cache_key",
                                                           "prompt_cache_retention",
                                                           "safety_identifier",
                                                           "parallel_tool_calls"};
constexpr std::array<std::string_view, 14> kOptions{
    "temperature", "top_p",   "seed",           "frequency_penalty", "presence_penalty", "top_k",
    "min_p",       "num_ctx", "repeat_penalty", "repeat_last_n",     "typical_p",        "tfs_z",
    "mirostat",    "num_gpu"};

template <size_t N>
bool one_of(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

Error cannot(std::string what) {
  return Error(ErrorCode::kInvalidArgument, "Ollama cannot express " + std::move(what),
               "leave it out, or choose a model of another provider");
}

bool empty(const JsonValue& v) {
  return v.is_null() || (v.is_string() && v.string()->empty()) ||
         ((v.is_array() || v.is_object()) && v.size() == 0);
}

// Content is text, or parts of which text is joined and pictures are collected.
Result<std::string> text_of(const JsonValue& content, std::vector<std::string>& images) {
  if (content.is_null()) return std::string();
  if (auto text = content.string()) return *text;
  if (!content.is_array()) return cannot("content that is neither text nor a list of parts");
  std::string joined;
  for (const JsonValue& part : content.items()) {
    const std::string type = part["type"].string_or("");
    if (type == "text" || type == "refusal") {
      if (!joined.empty()) joined += '\n';
      joined += part[type].string_or("");
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

// OpenAI's tool answers name the call, Ollama's the tool.
using ToolNames = std::map<std::string, std::string>;

Result<void> write_tool_calls(JsonWriter& w, const JsonValue& calls, ToolNames& names) {
  w.key("tool_calls").begin_array();
  for (const JsonValue& t : calls.items()) {
    const JsonValue& function = t["function"];
    if (!function.is_object()) return cannot("a call of a tool that is no function");
    const std::string name = function["name"].string_or("");
    names[t["id"].string_or("")] = name;
    // OpenAI's arguments are a string of JSON, Ollama's the object itself.
    const std::string text = function["arguments"].string_or("");
    const auto arguments = JsonValue::parse(text.empty() ? "{}" : text);
    if (!arguments.ok() || !arguments->is_object())
      return cannot("tool call arguments that are no JSON object");
    w.begin_object().key("function").begin_object().field("name", name).key("arguments");
    arguments->write(w);
    w.end_object().end_object();
  }
  w.end_array();
  return ok();
}

Result<void> write_message(JsonWriter& w, const JsonValue& m, ToolNames& names) {
  std::string role = m["role"].string_or("");
  if (role == "developer") role = "system";
  std::vector<std::string> images;
  SM_TRY(std::string text, text_of(m["content"], images));
  w.begin_object().field("role", role);
  for (const auto& [name, v] : m.members()) {
    if (name == "role" || name == "content" || name == "annotations" || empty(v)) continue;
    if (name == "tool_calls") {
      SM_CHECK_OK(write_tool_calls(w, v, names));
    } else if (name == "tool_call_id") {
      const auto known = names.find(v.string_or(""));
      if (known == names.end())
        return Error(ErrorCode::kInvalidArgument,
                     "the tool answer '" + v.string_or("") + "' belongs to no call before it");
      w.field("tool_name", known->second);
    } else if (name == "refusal") {
      text += v.string_or("");
    } else if (name == "reasoning_content" || name == "reasoning" || name == "thinking") {
      w.field("thinking", v.string_or(""));
    } else if (name == "name" && role == "tool") {
      continue;  // the call's id says it too
    } else {
      return cannot("the member '" + name + "' of a message");
    }
  }
  w.field("content", text);
  if (!images.empty()) w.field("images", images);
  w.end_object();
  return ok();
}

Result<void> write_tools(JsonWriter& w, const JsonValue& tools) {
  for (const JsonValue& tool : tools.items()) {
    const std::string type = tool["type"].string_or("");
    if (type != "function") return cannot("a tool of type '" + type + "'");
  }
  w.key("tools");
  tools.write(w);
  return ok();
}

Result<void> write_format(JsonWriter& w, const JsonValue& format) {
  const std::string type = format["type"].string_or("");
  if (type == "json_object") {
    w.field("format", "json");
  } else if (type == "json_schema") {
    const JsonValue& schema = format["json_schema"]["schema"];
    if (!schema.is_object())
      return cannot("'response_format' of type 'json_schema' without a schema");
    w.key("format");
    schema.write(w);
  } else if (type != "text") {
    return cannot("'response_format' of type '" + type + "'");
  }
  return ok();
}

// Ollama's own names too: what a client puts beside OpenAI's goes through.
Result<bool> write_option(JsonWriter& o, const std::string& name, const JsonValue& v) {
  if (one_of(kOptions, name)) {
    if (!v.is_number())
      return Error(ErrorCode::kInvalidArgument, "'" + name + "' must be a number");
    o.key(name);
    v.write(o);
  } else if (name == "stop") {
    o.key("stop").begin_array();  // always a list there
    if (auto one = v.string()) o.value(*one);
    for (const JsonValue& each : v.items()) o.value(each.string_or(""));
    o.end_array();
  } else if (name == "max_tokens" || name == "max_completion_tokens") {
    const auto n = v.integer();
    if (!n || *n < 1)
      return Error(ErrorCode::kInvalidArgument, "'" + name + "' must be a whole number above 0");
    o.field("num_predict", *n);
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<std::string> write_ollama_request(std::string_view body, std::string_view model,
                                         bool stream) {
  SM_TRY(const JsonValue r, JsonValue::parse(body));
  const bool no_tools = r["tool_choice"].string_or("") == "none";
  const bool newer_limit = !r["max_completion_tokens"].is_null();
  std::string options;
  JsonWriter o(options);
  o.begin_object();
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("model", model).field("stream", stream);
  for (const auto& [name, v] : r.members()) {
    if (v.is_null() || one_of(kWithoutMeaning, name)) continue;
    if (name == "max_tokens" && newer_limit) continue;
    SM_TRY(const bool is_option, write_option(o, name, v));
    if (is_option) continue;
    if (name == "messages") {
      ToolNames names;
      w.key("messages").begin_array();
      for (const JsonValue& m : v.items()) SM_CHECK_OK(write_message(w, m, names));
      w.end_array();
    } else if (name == "tools") {
      if (!no_tools) SM_CHECK_OK(write_tools(w, v));
    } else if (name == "tool_choice") {
      const std::string choice = v.string_or("");
      if (choice != "auto" && choice != "none")
        return cannot("'tool_choice' other than \"auto\" and \"none\"");
    } else if (name == "response_format") {
      SM_CHECK_OK(write_format(w, v));
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
      if (v.number_or(0) != 1) return cannot("'n' other than 1");
    } else if (name == "logprobs") {
      if (v.bool_or(true)) return cannot("'logprobs'");
    } else if (name == "modalities") {
      if (v.size() != 1 || v[0].string_or("") != "text")
        return cannot("'modalities' other than text");
    } else if (!empty(v)) {
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
    return Error(ErrorCode::kUpstream, "Ollama's answer holds a line that is no JSON");
  const JsonValue& r = *parsed;
  if (!r["error"].is_null())
    return Error(ErrorCode::kUpstream,
                 "Ollama broke off: " + r["error"].string_or(r["error"].dump()));
  if (!r["message"].is_object() && !r["done"].bool_or(false))
    return Error(ErrorCode::kUpstream, "Ollama's answer holds a line that is no part of an answer");
  if (head.model.empty()) head.model = r["model"].string_or("");
  ChatDelta d;
  const JsonValue& m = r["message"];
  d.text = m["content"].string_or("");
  d.reasoning = m["thinking"].string_or("");
  for (const JsonValue& t : m["tool_calls"].items()) {
    const size_t index = tools++;
    const JsonValue& arguments = t["function"]["arguments"];
    // Calls of later turns must have other names: the answer's own is part of them.
    const std::string id = "call_" +
                           head.id.substr(head.id.size() - std::min<size_t>(head.id.size(), 12)) +
                           "_" + std::to_string(index);
    d.tools.push_back({index, t["id"].string_or(id), t["function"]["name"].string_or(""),
                       arguments.is_object() ? arguments.dump() : arguments.string_or("{}")});
  }
  if (r["done"].bool_or(false)) {
    done = true;
    const std::string reason = r["done_reason"].string_or("stop");
    d.finish_reason = tools > 0 && reason == "stop" ? "tool_calls" : reason;
    const auto count = [&r](std::string_view name) {
      return std::clamp<int64_t>(r[name].integer_or(0), 0, 1'000'000'000);
    };
    Usage u;
    u.reported = r["eval_count"].is_number() || r["prompt_eval_count"].is_number();
    u.input_tokens = count("prompt_eval_count");
    u.output_tokens = count("eval_count");
    d.usage = u;
  }
  return d;
}

}  // namespace samplemind::ai
