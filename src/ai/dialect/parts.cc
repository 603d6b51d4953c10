#include "ai/dialect/parts.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

namespace samplemind::ai {

Error bad_request(std::string message) {
  return Error(ErrorCode::kInvalidArgument, std::move(message));
}

Error cannot_express(Dialect target, std::string what) {
  return Error(ErrorCode::kInvalidArgument,
               std::string(dialect_name(target)) + " cannot express " + std::move(what),
               "leave it out, or choose a model of another provider");
}

Result<JsonValue::Object> read_body(std::string_view body) {
  auto parsed = JsonValue::parse(body);
  if (!parsed.ok()) return bad_request("the request's body is " + parsed.error().message());
  if (!parsed->is_object()) return bad_request("the request's body must be a JSON object");
  JsonValue::Object members = parsed->take_members();
  std::vector<std::string_view> names;
  names.reserve(members.size());
  for (const auto& [name, value] : members) names.push_back(name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return bad_request("'" + std::string(*twice) + "' is given twice");
  return members;
}

bool take(JsonValue& v, std::string& out) {
  if (!v.is_string()) return false;
  out = v.take_string();
  return true;
}
bool take(JsonValue& v, std::optional<double>& out) {
  if (!v.is_number() || v.large_integer()) return false;
  out = v.number();
  return true;
}
bool take(JsonValue& v, std::optional<int64_t>& out) {
  if (!v.is_number()) return false;
  const auto whole = v.integer();
  if (whole) out = whole;
  return whole.has_value();
}
bool take(JsonValue& v, std::optional<bool>& out) {
  if (!v.is_bool()) return false;
  out = v.boolean();
  return true;
}
bool take(JsonValue& v, std::vector<std::string>& out) {
  if (v.is_string()) {
    out = {v.take_string()};
    return true;
  }
  if (!v.is_array()) return false;
  for (const JsonValue& each : v.items()) {
    if (!each.is_string()) return false;
  }
  for (JsonValue& each : v.take_items()) out.push_back(each.take_string());
  return true;
}

void keep_others(ExtraValues& extra, JsonValue::Object& members,
                 std::initializer_list<std::string_view> known, std::string_view prefix) {
  for (auto& [name, value] : members) {
    if (value.is_null() || std::find(known.begin(), known.end(), name) != known.end()) continue;
    extra.emplace_back(prefix.empty() ? std::move(name) : std::string(prefix) + "." + name,
                       std::move(value));
  }
}

void read_input_audio(Part& part, JsonValue::Object& audio) {
  for (auto& [name, value] : audio) {
    std::string format;
    if (name == "data") (void)take(value, part.media.data);
    if (name == "format" && take(value, format))
      part.media.mime = format == "mp3" ? "audio/mpeg" : "audio/" + format;
  }
  keep_others(part.extra, audio, {"data", "format"}, "input_audio");
}

bool says_nothing(const JsonValue& v) {
  return v.is_null() || (v.is_string() && v.text().empty()) ||
         ((v.is_array() || v.is_object()) && v.size() == 0);
}

Result<void> refuse_extra(Dialect target, const ExtraValues& extra, std::string_view where,
                          std::initializer_list<std::string_view> harmless) {
  for (const auto& [name, value] : extra) {
    // What an earlier answer named as its sources is nothing that its reader must be told again.
    const bool sources = value.is_array() && (name == "annotations" || name == "citations");
    if (sources || says_nothing(value) ||
        std::find(harmless.begin(), harmless.end(), name) != harmless.end())
      continue;
    const std::string_view type = value["type"].text();
    return cannot_express(target, std::string(where) + " '" + name + "'" +
                                      (type.empty() ? "" : " of type '" + std::string(type) + "'"));
  }
  return ok();
}

void add_message(std::vector<Message>& messages, Message m) {
  const auto rest = std::find_if(m.parts.begin(), m.parts.end(),
                                 [](const Part& p) { return p.kind != Part::Kind::kToolResult; });
  if (m.role == Message::Role::kUser && rest != m.parts.begin()) {
    Message results;
    results.role = Message::Role::kTool;
    std::move(m.parts.begin(), rest, std::back_inserter(results.parts));
    m.parts.erase(m.parts.begin(), rest);
    messages.push_back(std::move(results));
    if (m.parts.empty() && m.extra.empty()) return;
  }
  messages.push_back(std::move(m));
}

void write_function_tool(JsonWriter& w, const ToolSpec& tool) {
  w.begin_object().field("type", "function").key("function").begin_object();
  w.field("name", tool.name);
  if (!tool.description.empty()) w.field("description", tool.description);
  if (!tool.schema.is_null()) {
    w.key("parameters");
    tool.schema.write(w);
  }
  if (tool.strict) w.field("strict", *tool.strict);
  w.end_object().end_object();
}

Part text_part(std::string text) {
  Part p;
  p.text = std::move(text);
  return p;
}

Part tool_call_part(std::string id, std::string name, std::string arguments) {
  Part p;
  p.kind = Part::Kind::kToolCall;
  p.id = std::move(id);
  p.name = std::move(name);
  p.text = std::move(arguments);
  return p;
}

Media media_of_url(std::string url) {
  Media m;
  const size_t comma = url.find(";base64,");
  if (url.starts_with("data:") && comma != std::string::npos) {
    m.mime = url.substr(5, comma - 5);
    m.data = url.substr(comma + 8);
  } else {
    m.url = std::move(url);
  }
  return m;
}

std::string data_url(const Media& media) {
  if (media.data.empty()) return media.url;
  return "data:" + media.mime + ";base64," + media.data;
}

std::string joined_text(const std::vector<Part>& parts) {
  std::string out;
  bool first = true;
  for (const Part& p : parts) {
    if (p.kind != Part::Kind::kText && p.kind != Part::Kind::kRefusal) continue;
    if (!first) out += '\n';
    first = false;
    out += p.text;
  }
  return out;
}

bool only_text(const std::vector<Part>& parts) {
  return std::all_of(parts.begin(), parts.end(),
                     [](const Part& p) { return p.kind == Part::Kind::kText && p.extra.empty(); });
}

Result<JsonValue> arguments_object(Dialect target, const Part& call) {
  if (call.custom) return cannot_express(target, "a call of a tool that is no function");
  auto parsed = JsonValue::parse(call.text.empty() ? "{}" : call.text);
  if (!parsed.ok() || !parsed->is_object())
    return cannot_express(target, "tool call arguments that are no JSON object");
  return parsed;
}

std::string failed_text(std::string text) {
  const std::string_view lead = std::string_view(text).substr(0, 5);
  return lead == "Error" || lead == "error" ? text : "Error: " + text;
}

void link_tools(std::vector<Message>& messages) {
  std::map<std::string, std::string> names;                 // of calls by id
  std::map<std::string, std::vector<std::string>> waiting;  // made ids of calls by name
  size_t made = 0;
  for (Message& m : messages) {
    for (Part& p : m.parts) {
      if (p.kind == Part::Kind::kToolCall) {
        if (p.id.empty()) {
          p.id = "call_" + std::to_string(++made);
          waiting[p.name].push_back(p.id);
        }
        names[p.id] = p.name;
      } else if (p.kind == Part::Kind::kToolResult) {
        if (p.id.empty()) {
          std::vector<std::string>& ids = waiting[p.name];
          if (!ids.empty()) {
            p.id = ids.front();
            ids.erase(ids.begin());
          }
        }
        if (const auto it = names.find(p.id); it != names.end() && p.name.empty())
          p.name = it->second;
      }
    }
  }
}

std::string marked_signature(std::string_view owner, std::string signature) {
  if (signature.empty() || signature.find(':') != std::string::npos) return signature;
  return std::string(owner) + ":" + signature;
}

std::string_view unmarked_signature(std::string_view signature) {
  const size_t colon = signature.find(':');
  return colon == std::string_view::npos ? signature : signature.substr(colon + 1);
}

std::string_view own_signature(std::string_view owner, std::string_view signature) {
  const size_t colon = signature.find(':');
  if (colon != std::string_view::npos && signature.substr(0, colon) != owner) return {};
  return unmarked_signature(signature);
}

std::string told_signature(std::string_view owner, std::string_view signature) {
  const std::string_view own = own_signature(owner, signature);
  return std::string(own.empty() ? signature : own);
}

std::string effort_of_budget(int64_t tokens) {
  if (tokens < 0) return "medium";
  return tokens <= 1024 ? "low" : tokens <= 8192 ? "medium" : "high";
}

int64_t budget_of_effort(std::string_view effort) {
  if (effort == "minimal" || effort == "low") return 1024;
  if (effort == "medium" || effort.empty()) return 8192;
  return effort == "high" ? 24576 : 32768;
}

bool is_aside(std::string_view name) {
  constexpr std::array<std::string_view, 8> kAside{"user",
                                                   "metadata",
                                                   "store",
                                                   "service_tier",
                                                   "safety_identifier",
                                                   "prompt_cache_key",
                                                   "inference_geo",
                                                   "prompt_cache_retention"};
  return std::find(kAside.begin(), kAside.end(), name) != kAside.end();
}

}  // namespace samplemind::ai
