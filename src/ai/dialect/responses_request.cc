// Requests of OpenAI's responses, read.
#include <algorithm>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "ai/dialect/responses.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;

Part read_media(Kind kind, JsonValue::Object& members) {
  Part p;
  p.kind = kind;
  for (auto& [name, value] : members) {
    std::string text;
    if (name == "image_url" || name == "file_url") {
      if (take(value, text)) p.media = media_of_url(std::move(text));
    } else if (name == "file_data" && take(value, text)) {
      p.media = media_of_url(std::move(text));
      if (p.media.data.empty() && p.media.url.find("://") == std::string::npos)
        p.media.data = std::exchange(p.media.url, {});
    }
  }
  for (auto& [name, value] : members) {
    if (name == "file_id") (void)take(value, p.media.file_id);
    if (name == "filename") (void)take(value, p.media.name);
    if (name == "detail") (void)take(value, p.media.detail);
  }
  if (p.media.detail == "auto") p.media.detail.clear();  // as unsaid
  keep_others(p.extra, members,
              {"type", "image_url", "file_url", "file_data", "file_id", "filename", "detail",
               "prompt_cache_breakpoint"});
  return p;
}

// A part of a message's content or of a tool's output.
Part read_part(JsonValue v) {
  const std::string type(v["type"].text());
  JsonValue::Object members = v.take_members();
  Part p;
  const bool refusal = type == "refusal";
  if (refusal || type == "input_text" || type == "output_text" || type == "text") {
    p.kind = refusal ? Kind::kRefusal : Kind::kText;
    for (auto& [name, value] : members) {
      if (name == (refusal ? "refusal" : "text")) (void)take(value, p.text);
    }
    // What an answer has besides its text tells nothing when it comes back.
    keep_others(p.extra, members,
                {"type", "text", "refusal", "annotations", "logprobs", "prompt_cache_breakpoint"});
    return p;
  }
  if (type == "input_image") return read_media(Kind::kImage, members);
  if (type == "input_file") return read_media(Kind::kDocument, members);
  if (type == "input_audio") {
    p.kind = Kind::kAudio;
    for (auto& [name, value] : members) {
      if (name != "input_audio") continue;
      JsonValue::Object audio = value.take_members();
      read_input_audio(p, audio);
    }
    keep_others(p.extra, members, {"type", "input_audio"});
    return p;
  }
  p.kind = Kind::kOther;
  p.name = type;
  keep_others(p.extra, members, {});
  return p;
}

void read_content(JsonValue v, std::vector<Part>& parts, ExtraValues& extra) {
  if (v.is_string()) {
    parts.push_back(text_part(v.take_string()));
  } else if (v.is_array()) {
    for (JsonValue& each : v.take_items()) parts.push_back(read_part(std::move(each)));
  } else if (!v.is_null()) {
    extra.emplace_back("content", std::move(v));
  }
}

Message read_message(JsonValue v) {
  Message m;
  const std::string role(v["role"].text());
  m.role = role == "assistant"                       ? Role::kAssistant
           : role == "system" || role == "developer" ? Role::kSystem
                                                     : Role::kUser;
  m.developer = role == "developer";
  JsonValue::Object members = v.take_members();
  if (m.role == Role::kUser && role != "user") m.extra.emplace_back("role", JsonValue(role));
  for (auto& [name, value] : members) {
    if (name == "content") read_content(std::move(value), m.parts, m.extra);
  }
  keep_others(m.extra, members, {"type", "role", "content", "id", "status"});
  return m;
}

Part read_call(JsonValue v, bool custom) {
  JsonValue::Object members = v.take_members();
  Part p;
  p.kind = Kind::kToolCall;
  p.custom = custom;
  for (auto& [name, value] : members) {
    if (name == "call_id") (void)take(value, p.id);
    if (name == "name") (void)take(value, p.name);
    if (name == (custom ? "input" : "arguments")) (void)take(value, p.text);
    if (name == "extra_content")
      p.signature =
          marked_signature("gemini", std::string(value["google"]["thought_signature"].text()));
  }
  keep_others(p.extra, members,
              {"type", "id", "status", "call_id", "name", "input", "arguments", "extra_content"});
  return p;
}

Part read_result(JsonValue v) {
  JsonValue::Object members = v.take_members();
  Part p;
  p.kind = Kind::kToolResult;
  for (auto& [name, value] : members) {
    if (name == "call_id") (void)take(value, p.id);
    if (name == "output") read_content(std::move(value), p.parts, p.extra);
  }
  keep_others(p.extra, members, {"type", "id", "status", "call_id", "output"});
  return p;
}

std::string texts_of(const JsonValue& list) {
  std::string out;
  for (const JsonValue& each : list.items()) {
    if (!out.empty()) out += "\n\n";
    out += each["text"].text();
  }
  return out;
}

Part read_reasoning(const JsonValue& v) {
  Part p;
  p.kind = Kind::kReasoning;
  p.text = texts_of(v["summary"].size() > 0 ? v["summary"] : v["content"]);
  p.signature = marked_signature("openai", v["encrypted_content"].string_or(""));
  if (p.text.empty() && p.signature.starts_with(kRedactedMark)) {
    p.kind = Kind::kRedacted;
    p.text = p.signature.substr(kRedactedMark.size());
    p.signature.clear();
  }
  return p;
}

// The message of the assistant that grows: reasoning, text and calls of one turn are one message.
Message& assistants(std::vector<Message>& messages) {
  if (messages.empty() || messages.back().role != Role::kAssistant) {
    messages.emplace_back();
    messages.back().role = Role::kAssistant;
  }
  return messages.back();
}

bool speaks(const Message& m) {
  return std::any_of(m.parts.begin(), m.parts.end(), [](const Part& p) {
    return p.kind != Kind::kReasoning && p.kind != Kind::kRedacted;
  });
}

Result<void> read_item(JsonValue v, size_t i, ChatRequest& r) {
  if (!v.is_object()) return bad_request("input[" + std::to_string(i) + "] must be an object");
  const std::string type(v["type"].text());
  std::vector<Message>& messages = r.messages;
  if (type == "message" || (type.empty() && v["role"].is_string())) {
    if (!v["role"].is_string())
      return bad_request("input[" + std::to_string(i) + "]: 'role' is missing");
    Message m = read_message(std::move(v));
    for (auto it = m.extra.begin(); it != m.extra.end(); ++it) {
      if (it->first != "phase") continue;
      r.hints.emplace_back("phase." + std::to_string(i), std::move(it->second));
      m.extra.erase(it);
      break;
    }
    if (m.role == Role::kAssistant && !messages.empty() && m.extra.empty() &&
        messages.back().role == Role::kAssistant && !speaks(messages.back())) {
      for (Part& p : m.parts) messages.back().parts.push_back(std::move(p));
    } else {
      messages.push_back(std::move(m));
    }
  } else if (type == "function_call" || type == "custom_tool_call") {
    assistants(messages).parts.push_back(read_call(std::move(v), type == "custom_tool_call"));
  } else if (type == "function_call_output" || type == "custom_tool_call_output") {
    if (messages.empty() || messages.back().role != Role::kTool) {
      messages.emplace_back();
      messages.back().role = Role::kTool;
    }
    messages.back().parts.push_back(read_result(std::move(v)));
  } else if (type == "reasoning") {
    assistants(messages).parts.push_back(read_reasoning(v));
  } else if (type == "item_reference" || (type.empty() && v["id"].is_string())) {
    return bad_request("input[" + std::to_string(i) + "]: there is no item '" +
                       v["id"].string_or("") + "': it was never kept, is gone, or is not yours");
  } else if (type.empty()) {
    return bad_request("input[" + std::to_string(i) + "]: 'type' is missing");
  } else {
    Part p;
    p.kind = Kind::kOther;
    p.name = type;
    p.extra.emplace_back(type, std::move(v));
    assistants(messages).parts.push_back(std::move(p));
  }
  return ok();
}

ToolSpec read_tool(JsonValue v) {
  ToolSpec t;
  t.type = v["type"].is_null() ? "function" : std::string(v["type"].text());
  JsonValue::Object members = v.take_members();
  if (t.hosted()) {
    keep_others(t.extra, members, {"type"});
    return t;
  }
  for (auto& [name, value] : members) {
    if (name == "name") (void)take(value, t.name);
    if (name == "description") (void)take(value, t.description);
    if (name == "parameters" && t.type == "function") t.schema = std::move(value);
    if (name == "strict") (void)take(value, t.strict);
    if (name == "format" && t.type == "custom")
      t.extra.emplace_back("custom.format", std::move(value));
  }
  keep_others(t.extra, members, {"type", "name", "description", "parameters", "strict", "format"});
  return t;
}

bool read_tool_choice(const JsonValue& v, ToolChoice& out) {
  using Mode = ToolChoice::Mode;
  const std::string_view word = v.is_string() ? v.text() : v["mode"].text();
  const Mode mode = word == "auto"       ? Mode::kAuto
                    : word == "none"     ? Mode::kNone
                    : word == "required" ? Mode::kRequired
                                         : Mode::kUnset;
  if (v.is_string()) {
    out.mode = mode;
    return mode != Mode::kUnset;
  }
  const std::string_view type = v["type"].text();
  if ((type == "function" || type == "custom") && v.size() == 2 && v["name"].is_string()) {
    out.mode = Mode::kRequired;
    out.names = {std::string(v["name"].text())};
    return true;
  }
  if (type != "allowed_tools" || v.size() != 3 || (mode != Mode::kAuto && mode != Mode::kRequired))
    return false;
  std::vector<std::string> names;
  for (const JsonValue& tool : v["tools"].items()) {
    const std::string_view kind = tool["type"].text();
    if (tool.size() != 2 || tool["name"].text().empty() || (kind != "function" && kind != "custom"))
      return false;
    names.emplace_back(tool["name"].text());
  }
  out.mode = mode;
  out.names = std::move(names);
  return !out.names.empty();
}

bool read_format(JsonValue& v, OutputFormat& out) {
  const std::string_view type = v["type"].text();
  if ((type == "text" || type == "json_object") && v.size() == 1) {
    out.kind = type == "text" ? OutputFormat::Kind::kText : OutputFormat::Kind::kJson;
    return true;
  }
  if (type != "json_schema" || !v["schema"].is_object()) return false;
  for (const auto& [name, value] : v.members()) {
    const bool fits = name == "type" || name == "schema" ||
                      ((name == "name" || name == "description") && value.is_string()) ||
                      value.is_null() || (name == "strict" && value.is_bool());
    if (!fits) return false;
  }
  out.kind = OutputFormat::Kind::kSchema;
  out.name = std::string(v["name"].text());
  out.description = std::string(v["description"].text());
  out.schema = v["schema"];
  out.strict = v["strict"].boolean();
  return true;
}

void read_text(JsonValue v, ChatRequest& r) {
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (value.is_null() || (name == "format" && read_format(value, r.format))) continue;
    // As chat completions has it.
    r.extra.emplace_back(name == "verbosity" ? name : "text." + name, std::move(value));
  }
}

void read_reasoning_wish(JsonValue v, ChatRequest& r) {
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (value.is_null()) continue;
    if (name == "effort" && value.text() == "none") {
      r.reasoning.on = false;
    } else if (name == "effort" && take(value, r.reasoning.effort)) {
      continue;
    } else if (name == "summary" || name == "generate_summary") {
      r.reasoning.visible = true;
      if (value.text() != "auto") r.hints.emplace_back("reasoning.summary", std::move(value));
    } else {
      r.extra.emplace_back("reasoning." + name, std::move(value));
    }
  }
}

void read_include(const JsonValue& v, ChatRequest& r) {
  for (const JsonValue& each : v.items()) {
    const std::string_view what = each.text();
    // Signatures are always given.
    if (what == "reasoning.encrypted_content") continue;
    if (what == "message.output_text.logprobs") {
      r.logprobs = true;
    } else {
      r.hints.emplace_back("include." + std::string(what), JsonValue(true));
    }
  }
}

// One member of the request; false when it is of a kind that no field holds.
bool read_member(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "temperature") return take(v, r.temperature);
  if (name == "top_p") return take(v, r.top_p);
  if (name == "max_output_tokens") return take(v, r.max_tokens);
  if (name == "parallel_tool_calls") return take(v, r.parallel_tools);
  if (name == "top_logprobs") return take(v, r.top_logprobs);
  if (name == "tool_choice") return read_tool_choice(v, r.tool_choice);
  if (name == "truncation" && v.text() == "disabled") return true;
  if (name == "background" && v.boolean() == false) return true;
  if (name == "tools" && v.is_array()) {
    for (JsonValue& each : v.take_items()) r.tools.push_back(read_tool(std::move(each)));
  } else if (name == "text" && v.is_object()) {
    read_text(std::move(v), r);
  } else if (name == "reasoning" && v.is_object()) {
    read_reasoning_wish(std::move(v), r);
  } else if (name == "include" && v.is_array()) {
    read_include(v, r);
  } else if (name == "max_tool_calls") {
    r.hints.emplace_back(name, std::move(v));  // of hosted tools, which are refused by name
  } else {
    return false;
  }
  return true;
}

Result<void> read_input(JsonValue& v, ChatRequest& r) {
  if (v.is_string()) {
    r.messages.emplace_back();
    r.messages.back().parts.push_back(text_part(v.take_string()));
    return ok();
  }
  if (!v.is_array() || v.size() == 0)
    return bad_request("'input' must be a text or a list with at least one item");
  JsonValue::Array items = v.take_items();
  for (size_t i = 0; i < items.size(); ++i) SM_CHECK_OK(read_item(std::move(items[i]), i, r));
  return ok();
}

}  // namespace

Result<ChatRequest> read_responses_request(std::string_view body) {
  SM_TRY(JsonValue::Object members, read_body(body));
  ChatRequest r;
  r.dialect = Dialect::kResponses;
  bool input_seen = false;
  std::string instructions;
  for (auto& [name, v] : members) {
    if (name == "input" && !v.is_null()) {
      SM_CHECK_OK(read_input(v, r));
      input_seen = true;
    } else if (name == "model") {
      (void)take(v, r.model);
    } else if (v.is_null()) {
      continue;
    } else if (name == "stream") {
      if (!v.is_bool()) return bad_request("'stream' must be true or false");
      r.stream = v.bool_or(false);
    } else if (name == "instructions") {
      if (!take(v, instructions)) return bad_request("'instructions' must be a text");
    } else if (name == "previous_response_id") {
      return bad_request("'previous_response_id' names a response that is not kept here");
    } else if (is_aside(name) || name == "stream_options" || name == "prompt_cache_options") {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else if (!read_member(name, v, r)) {
      if (name == "temperature") return bad_request("'temperature' must be a number");
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model, or use \"auto\"");
  if (!input_seen) return bad_request("'input' must be a text or a list with at least one item");
  if (!instructions.empty()) {
    Message system;
    system.role = Role::kSystem;
    system.parts.push_back(text_part(std::move(instructions)));
    r.messages.insert(r.messages.begin(), std::move(system));
  }
  if (r.top_logprobs.value_or(0) > 0) r.logprobs = true;
  link_tools(r.messages);
  for (const auto& [name, v] : r.extra) {
    if (name == "background") r.never_cache = "a background job";
    if (name == "conversation" || name == "prompt")
      r.never_cache = "a reference to what the provider keeps";
    if (!r.never_cache.empty()) break;
  }
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

// --- What was said before ------------------------------------------------------------------------

namespace {

std::string_view text_of(std::string_view body, const JsonMember& m) {
  return body.substr(m.value_begin, m.value_end - m.value_begin);
}

bool is_object(std::string_view body) {
  const auto parsed = JsonValue::parse(body);
  return parsed.ok() && parsed->is_object();
}

bool is_reference(const JsonValue& item) {
  const std::string_view type = item["type"].text();
  return item["id"].is_string() &&
         (type == "item_reference" || (type.empty() && item["role"].is_null()));
}

}  // namespace

ResponseReferences references_of_request(std::string_view body) {
  ResponseReferences out;
  const auto parsed = JsonValue::parse(body);
  if (!parsed.ok()) return out;
  out.previous = (*parsed)["previous_response_id"].string_or("");
  out.keep = (*parsed)["store"].bool_or(true);
  for (const JsonValue& item : (*parsed)["input"].items()) {
    if (is_reference(item)) out.items.push_back(item["id"].string_or(""));
  }
  return out;
}

std::string input_items(std::string_view body) {
  if (!is_object(body)) return {};
  for (const JsonMember& m : top_level_members(body)) {
    if (m.key != "input") continue;
    const std::string_view value = text_of(body, m);
    if (value.starts_with('"'))
      return R"({"type":"message","role":"user","content":)" + std::string(value) + "}";
    if (value.starts_with('[')) {
      const std::string_view inside = value.substr(1, value.size() - 2);
      return inside.find_first_not_of(" \t\r\n") == std::string_view::npos ? std::string()
                                                                           : std::string(inside);
    }
  }
  return {};
}

std::string expand_responses_request(std::string_view body, std::string_view before,
                                     const std::map<std::string, std::string>& items) {
  std::string now = input_items(body);
  if (!items.empty()) {
    const auto list = JsonValue::parse("[" + now + "]");
    now.clear();
    for (const JsonValue& item : list.ok() ? list->items() : JsonValue::Array()) {
      const auto known = is_reference(item) ? items.find(item["id"].string_or("")) : items.end();
      if (!now.empty()) now += ',';
      now += known != items.end() ? known->second : item.dump();
    }
  }
  std::string out = "{\"input\":[" + std::string(before);
  if (!before.empty() && !now.empty()) out += ',';
  out += now + "]";
  for (const JsonMember& m : top_level_members(body)) {
    if (m.key == "input" || m.key == "previous_response_id") continue;
    out += "," + std::string(body.substr(m.begin, m.value_end - m.begin));
  }
  return out + "}";
}

std::string response_of_item(std::string_view item_id) {
  const size_t begin = item_id.find('_');
  const size_t end = item_id.rfind('_');
  if (begin == std::string_view::npos || end <= begin + 1) return {};
  return "resp_" + std::string(item_id.substr(begin + 1, end - begin - 1));
}

ResponseEcho echo_of_request(std::string_view body, std::string id, int64_t created_s) {
  ResponseEcho echo;
  echo.id = std::move(id);
  echo.created_s = created_s;
  constexpr std::string_view kUnsaid[] = {"input", "model", "stream", "stream_options", "include"};
  for (const JsonMember& m : top_level_members(body)) {
    if (std::find(std::begin(kUnsaid), std::end(kUnsaid), m.key) == std::end(kUnsaid))
      echo.members.emplace_back(m.key, text_of(body, m));
  }
  return echo;
}

}  // namespace samplemind::ai
