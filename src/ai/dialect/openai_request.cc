// Requests of OpenAI's chat completions, read and written.
#include <algorithm>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;

constexpr Dialect kMe = Dialect::kOpenAi;

// A part of a message's content.
Part read_part(JsonValue v) {
  Part p;
  const std::string type(v["type"].text());
  JsonValue::Object members = v.take_members();
  const auto member = [&members](std::string_view name) -> JsonValue* {
    for (auto& [key, value] : members) {
      if (key == name) return &value;
    }
    return nullptr;
  };
  // What is within the member `name`, or the text that stands for it.
  const auto inner = [&](std::string_view name) {
    JsonValue* v_in = member(name);
    return v_in != nullptr ? v_in->take_members() : JsonValue::Object();
  };
  if (type == "text" || type == "refusal") {
    JsonValue* text = member(type);
    if (text != nullptr && text->is_string()) {
      p.kind = type == "text" ? Kind::kText : Kind::kRefusal;
      p.text = text->take_string();
      if (JsonValue* mark = member("cache_control")) p.cache_control = std::move(*mark);
      keep_others(p.extra, members, {"type", type, "cache_control"});
      return p;
    }
  } else if (type == "image_url") {
    p.kind = Kind::kImage;
    JsonValue* image = member("image_url");
    if (image != nullptr && image->is_string()) {
      p.media = media_of_url(image->take_string());
    } else {
      JsonValue::Object url = inner("image_url");
      for (auto& [name, value] : url) {
        std::string text;
        if (name == "url" && take(value, text)) p.media = media_of_url(std::move(text));
      }
      for (auto& [name, value] : url) {
        if (name == "detail" && !take(value, p.media.detail)) break;
      }
      if (p.media.detail == "auto") p.media.detail.clear();  // as unsaid
      keep_others(p.extra, url, {"url", "detail"}, "image_url");
    }
    if (JsonValue* mark = member("cache_control")) p.cache_control = std::move(*mark);
    keep_others(p.extra, members, {"type", "image_url", "cache_control"});
    return p;
  } else if (type == "input_audio") {
    p.kind = Kind::kAudio;
    JsonValue::Object audio = inner("input_audio");
    read_input_audio(p, audio);
    keep_others(p.extra, members, {"type", "input_audio"});
    return p;
  } else if (type == "file") {
    p.kind = Kind::kDocument;
    JsonValue::Object file = inner("file");
    std::string name_of;
    for (auto& [name, value] : file) {
      std::string text;
      if (name == "file_data" && take(value, text)) {
        p.media = media_of_url(std::move(text));
        if (p.media.data.empty() && p.media.url.find("://") == std::string::npos)
          p.media.data = std::exchange(p.media.url, {});
      } else if (name == "file_id") {
        (void)take(value, p.media.file_id);
      } else if (name == "filename") {
        (void)take(value, name_of);
      }
    }
    p.media.name = std::move(name_of);
    keep_others(p.extra, file, {"file_data", "file_id", "filename"}, "file");
    keep_others(p.extra, members, {"type", "file"});
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
    for (JsonValue& each : v.take_items()) {
      if (each.is_string()) {
        parts.push_back(text_part(each.take_string()));
      } else {
        parts.push_back(read_part(std::move(each)));
      }
    }
  } else if (!v.is_null()) {
    extra.emplace_back("content", std::move(v));
  }
}

Part read_tool_call(JsonValue v) {
  Part p;
  p.kind = Kind::kToolCall;
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (name == "id") {
      (void)take(value, p.id);
    } else if (name == "function" || name == "custom") {
      p.custom = name == "custom";
      JsonValue::Object body = value.take_members();
      for (auto& [key, v_in] : body) {
        if (key == "name") (void)take(v_in, p.name);
        if (key == "arguments" || key == "input") (void)take(v_in, p.text);
      }
      keep_others(p.extra, body, {"name", "arguments", "input"}, name);
    } else if (name == "extra_content") {
      // Google's place for the signature of a call, in its own OpenAI-compatible form.
      p.signature =
          marked_signature("gemini", std::string(value["google"]["thought_signature"].text()));
    } else if (name == "type" && (value.text() == "function" || value.text() == "custom")) {
      value = JsonValue();  // the member beside it says the same
    }
  }
  keep_others(p.extra, members, {"id", "function", "custom", "extra_content"});
  return p;
}

// LiteLLM's and OpenRouter's place for reasoning with signatures.
void read_thinking_blocks(JsonValue v, std::vector<Part>& parts) {
  for (const JsonValue& each : v.items()) {
    Part p;
    p.kind = each["type"].text() == "redacted_thinking" ? Kind::kRedacted : Kind::kReasoning;
    p.text = std::string(p.kind == Kind::kRedacted ? each["data"].text() : each["thinking"].text());
    p.signature = marked_signature("anthropic", std::string(each["signature"].text()));
    parts.push_back(std::move(p));
  }
}

Message read_message(JsonValue v) {
  Message m;
  const std::string role(v["role"].text());
  JsonValue::Object members = v.take_members();
  m.role = role == "system" || role == "developer" ? Role::kSystem
           : role == "assistant"                   ? Role::kAssistant
           : role == "tool" || role == "function"  ? Role::kTool
                                                   : Role::kUser;
  m.developer = role == "developer";
  if (role == "function" || (m.role == Role::kUser && role != "user"))
    m.extra.emplace_back("role", JsonValue(role));
  Part result;
  std::vector<Part> reasoning, content, calls;
  for (auto& [name, value] : members) {
    if (value.is_null() || name == "role") continue;
    std::string text;
    if (name == "content") {
      read_content(std::move(value), content, m.extra);
    } else if (name == "tool_calls" && value.is_array()) {
      for (JsonValue& call : value.take_items()) calls.push_back(read_tool_call(std::move(call)));
    } else if (name == "tool_call_id" && m.role == Role::kTool && value.is_string()) {
      result.id = value.take_string();
    } else if (name == "thinking_blocks" && value.is_array()) {
      reasoning.clear();
      read_thinking_blocks(std::move(value), reasoning);
    } else if ((name == "reasoning_content" || name == "reasoning") && value.is_string()) {
      if (!reasoning.empty() || value.text().empty()) continue;
      reasoning.push_back(text_part(value.take_string()));
      reasoning.back().kind = Kind::kReasoning;
    } else if (name == "refusal" && value.is_string()) {
      Part p = text_part(value.take_string());
      p.kind = Kind::kRefusal;
      if (!p.text.empty()) content.push_back(std::move(p));
    } else if (name == "annotations" && value.size() == 0) {
      continue;
    } else {
      m.extra.emplace_back(std::move(name), std::move(value));
    }
  }
  if (m.role == Role::kTool) {
    result.kind = Kind::kToolResult;
    result.parts = std::move(content);
    m.parts.push_back(std::move(result));
    return m;
  }
  m.parts = std::move(reasoning);
  for (std::vector<Part>* list : {&content, &calls})
    std::move(list->begin(), list->end(), std::back_inserter(m.parts));
  return m;
}

ToolSpec read_tool(JsonValue v) {
  ToolSpec t;
  const std::string type(v["type"].is_null() ? "function" : v["type"].text());
  JsonValue::Object members = v.take_members();
  t.type = type;
  if (t.hosted()) {
    keep_others(t.extra, members, {"type"});
    return t;
  }
  for (auto& [name, value] : members) {
    if (name == "cache_control") t.cache_control = std::move(value);
    if (name != type || !value.is_object()) continue;
    JsonValue::Object body = value.take_members();
    for (auto& [key, v_in] : body) {
      if (key == "name") (void)take(v_in, t.name);
      if (key == "description") (void)take(v_in, t.description);
      if (key == "parameters" && type == "function") t.schema = std::move(v_in);
      if (key == "strict") (void)take(v_in, t.strict);
    }
    keep_others(t.extra, body,
                type == "function" ? std::initializer_list<std::string_view>{"name", "description",
                                                                             "parameters", "strict"}
                                   : std::initializer_list<std::string_view>{"name", "description"},
                type);
  }
  keep_others(t.extra, members, {"type", type, "cache_control"});
  return t;
}

bool read_tool_choice(JsonValue& v, ToolChoice& out) {
  using Mode = ToolChoice::Mode;
  const std::string_view word = v.text();
  if (word == "auto" || word == "none" || word == "required") {
    out.mode = word == "auto" ? Mode::kAuto : word == "none" ? Mode::kNone : Mode::kRequired;
    return true;
  }
  const std::string_view type = v["type"].text();
  if (v.size() == 2 && (type == "function" || type == "custom") && v[type].size() == 1 &&
      v[type]["name"].is_string()) {
    out.mode = Mode::kRequired;
    out.names = {std::string(v[type]["name"].text())};
    return true;
  }
  const JsonValue& allowed = v["allowed_tools"];
  if (type != "allowed_tools" || v.size() != 2 || allowed.size() != 2) return false;
  std::vector<std::string> names;
  for (const JsonValue& tool : allowed["tools"].items()) {
    const std::string_view name = tool[tool["type"].text()]["name"].text();
    if (name.empty() || tool.size() != 2) return false;
    names.emplace_back(name);
  }
  if (allowed["mode"].text() != "auto" && allowed["mode"].text() != "required") return false;
  out.mode = allowed["mode"].text() == "auto" ? Mode::kAuto : Mode::kRequired;
  out.names = std::move(names);
  return true;
}

bool read_format(JsonValue& v, OutputFormat& out) {
  const std::string_view type = v["type"].text();
  if ((type == "text" || type == "json_object") && v.size() == 1) {
    out.kind = type == "text" ? OutputFormat::Kind::kText : OutputFormat::Kind::kJson;
    return true;
  }
  const JsonValue& schema = v["json_schema"];
  if (type != "json_schema" || v.size() != 2 || !schema["schema"].is_object()) return false;
  for (const auto& [name, value] : schema.members()) {
    const bool fits = name == "schema" || (name == "name" && value.is_string()) ||
                      (name == "description" && value.is_string()) ||
                      (name == "strict" && (value.is_bool() || value.is_null()));
    if (!fits) return false;
  }
  out.kind = OutputFormat::Kind::kSchema;
  out.name = std::string(schema["name"].text());
  out.description = std::string(schema["description"].text());
  out.schema = schema["schema"];
  out.strict = schema["strict"].boolean();
  return true;
}

// One member of the request; false when it is of a kind that no field holds.
bool read_member(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "temperature") return take(v, r.temperature);
  if (name == "top_p") return take(v, r.top_p);
  if (name == "top_k") return take(v, r.top_k);
  if (name == "seed") return take(v, r.seed);
  if (name == "stop") return take(v, r.stop);
  if (name == "frequency_penalty") return take(v, r.frequency_penalty);
  if (name == "presence_penalty") return take(v, r.presence_penalty);
  if (name == "logprobs") return take(v, r.logprobs);
  if (name == "top_logprobs") return take(v, r.top_logprobs);
  if (name == "parallel_tool_calls") return take(v, r.parallel_tools);
  if (name == "tool_choice") return read_tool_choice(v, r.tool_choice);
  if (name == "response_format") return read_format(v, r.format);
  if (name == "reasoning_effort" && v.text() == "none") {
    r.reasoning.on = false;
    return true;
  }
  if (name == "reasoning_effort") return take(v, r.reasoning.effort);
  if (name == "max_completion_tokens") return take(v, r.max_tokens);
  if (name == "modalities") return v.size() == 1 && v[0].text() == "text";
  if (name == "n") {
    std::optional<int64_t> n;
    if (!take(v, n)) return false;
    r.choices = *n;
    return true;
  }
  if (name == "tools" && v.is_array()) {
    for (JsonValue& each : v.take_items()) r.tools.push_back(read_tool(std::move(each)));
    return true;
  }
  return false;
}

Result<void> read_messages(JsonValue& v, ChatRequest& r) {
  if (!v.is_array() || v.size() == 0)
    return bad_request("'messages' must be a list with at least one message");
  JsonValue::Array items = v.take_items();
  r.messages.reserve(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i]["role"].is_string())
      return bad_request("messages[" + std::to_string(i) + "]: 'role' is missing");
    Message m = read_message(std::move(items[i]));
    // The results of one turn belong together.
    if (m.role == Role::kTool && m.extra.empty() && !r.messages.empty() &&
        r.messages.back().role == Role::kTool && r.messages.back().extra.empty()) {
      r.messages.back().parts.push_back(std::move(m.parts.front()));
    } else {
      r.messages.push_back(std::move(m));
    }
  }
  return ok();
}

}  // namespace

Result<ChatRequest> read_openai_request(std::string_view body) {
  SM_TRY(JsonValue::Object members, read_body(body));
  ChatRequest r;
  r.dialect = kMe;
  bool messages_seen = false;
  JsonValue old_limit;
  for (auto& [name, v] : members) {
    if (name == "messages") {
      SM_CHECK_OK(read_messages(v, r));
      messages_seen = true;
    } else if (name == "model") {
      (void)take(v, r.model);
    } else if (v.is_null()) {
      continue;
    } else if (name == "stream") {
      if (!v.is_bool()) return bad_request("'stream' must be true or false");
      r.stream = v.bool_or(false);
    } else if (name == "stream_options") {
      r.include_usage = v["include_usage"].bool_or(false);
    } else if (name == "max_tokens") {
      old_limit = std::move(v);
    } else if (is_aside(name)) {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else if (!read_member(name, v, r)) {
      if (name == "temperature") return bad_request("'temperature' must be a number");
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model, or use \"auto\"");
  if (!messages_seen) return bad_request("'messages' must be a list with at least one message");
  // The newer name for the same limit goes before the older one.
  if (!old_limit.is_null()) {
    if (r.max_tokens) {
      r.aside.emplace_back("max_tokens", std::move(old_limit));
    } else if (!take(old_limit, r.max_tokens)) {
      r.extra.emplace_back("max_tokens", std::move(old_limit));
    }
  }
  link_tools(r.messages);
  for (const auto& [name, v] : r.extra) {
    if (name == "web_search_options" || name == "plugins") r.never_cache = "web search";
    if (name == "background" && v.bool_or(false)) r.never_cache = "a background job";
    if (name == "previous_response_id" || name == "conversation" || name == "cached_content" ||
        name == "file_ids")
      r.never_cache = "a reference to what the provider keeps";
    if (name == "audio") r.never_cache = "audio output";
    if (name == "n") r.never_cache = "several choices";
    if (!r.never_cache.empty()) break;
  }
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

namespace {

Result<void> write_part(JsonWriter& w, const Part& p) {
  if (p.kind != Kind::kOther) SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
  w.begin_object();
  switch (p.kind) {
    case Kind::kText:
      w.field("type", "text").field("text", p.text);
      break;
    case Kind::kRefusal:
      w.field("type", "refusal").field("refusal", p.text);
      break;
    case Kind::kImage:
      if (!p.media.file_id.empty()) return cannot_express(kMe, "an image by its file id");
      w.field("type", "image_url").key("image_url").begin_object().field("url", data_url(p.media));
      if (!p.media.detail.empty()) w.field("detail", p.media.detail);
      w.end_object();
      break;
    case Kind::kAudio: {
      const std::string& mime = p.media.mime;
      const bool mp3 = mime == "audio/mpeg" || mime == "audio/mp3";
      const bool wav = mime == "audio/wav" || mime == "audio/x-wav" || mime == "audio/wave";
      if (p.media.data.empty() || (!mp3 && !wav))
        return cannot_express(kMe, "audio other than wav and mp3 sent with the request");
      w.field("type", "input_audio").key("input_audio").begin_object();
      w.field("data", p.media.data).field("format", mp3 ? "mp3" : "wav").end_object();
      break;
    }
    case Kind::kDocument:
      if (!p.text.empty()) {
        w.field("type", "text")
            .field("text", p.media.name.empty() ? p.text : p.media.name + "\n\n" + p.text);
        break;
      }
      if (p.media.data.empty()) return cannot_express(kMe, "a document that is not sent along");
      w.field("type", "file").key("file").begin_object();
      w.field("filename", p.media.name.empty() ? std::string("document.pdf") : p.media.name);
      w.field("file_data", data_url(p.media)).end_object();
      break;
    default:
      return cannot_express(kMe, "a part of type '" + p.name + "'");
  }
  w.end_object();
  return ok();
}

// One text stands for itself; else a list of parts.
Result<void> write_content(JsonWriter& w, const std::vector<Part>& parts) {
  if (parts.size() == 1 && only_text(parts)) {
    w.value(parts[0].text);
    return ok();
  }
  w.begin_array();
  for (const Part& p : parts) SM_CHECK_OK(write_part(w, p));
  w.end_array();
  return ok();
}

void write_tool_call(JsonWriter& w, const Part& p) {
  w.begin_object().field("id", p.id).field("type", p.custom ? "custom" : "function");
  w.key(p.custom ? "custom" : "function").begin_object().field("name", p.name);
  w.field(p.custom ? "input" : "arguments", p.text.empty() && !p.custom ? "{}" : p.text);
  w.end_object();
  if (const auto own = own_signature("gemini", p.signature); !own.empty()) {
    w.key("extra_content").begin_object().key("google").begin_object();
    w.field("thought_signature", own).end_object().end_object();
  }
  w.end_object();
}

Result<void> write_assistant(JsonWriter& w, const Message& m, bool official) {
  std::vector<Part> content;
  std::string reasoning;
  bool calls = false;
  for (const Part& p : m.parts) {
    if (p.kind == Kind::kReasoning) {
      reasoning += p.text;
    } else if (p.kind == Kind::kToolCall) {
      calls = true;
    } else if (p.kind != Kind::kRedacted) {
      content.push_back(p);
    }
  }
  w.begin_object().field("role", "assistant").key("content");
  if (content.empty()) {
    if (calls) {
      w.null();
    } else {
      w.value("");
    }
  } else {
    SM_CHECK_OK(write_content(w, content));
  }
  if (!reasoning.empty() && !official) w.field("reasoning_content", reasoning);
  if (calls) {
    w.key("tool_calls").begin_array();
    for (const Part& p : m.parts) {
      if (p.kind == Kind::kToolCall) write_tool_call(w, p);
    }
    w.end_array();
  }
  w.end_object();
  return ok();
}

Result<void> write_message(JsonWriter& w, const Message& m, bool official) {
  SM_CHECK_OK(refuse_extra(kMe, m.extra, "a message's"));
  if (m.role == Role::kAssistant) return write_assistant(w, m, official);
  if (m.role != Role::kTool) {
    w.begin_object().field("role", m.role == Role::kUser ? "user"
                                   : m.developer         ? "developer"
                                                         : "system");
    w.key("content");
    SM_CHECK_OK(write_content(w, m.parts));
    w.end_object();
    return ok();
  }
  for (const Part& p : m.parts) {
    SM_CHECK_OK(refuse_extra(kMe, p.extra, "a tool result's"));
    if (!only_text(p.parts)) return cannot_express(kMe, "a tool result that is more than text");
    const std::string text = joined_text(p.parts);
    w.begin_object().field("role", "tool").field("tool_call_id", p.id);
    w.field("content", p.error ? failed_text(text) : text).end_object();
  }
  return ok();
}

void write_tool_choice(JsonWriter& w, const ToolChoice& choice) {
  using Mode = ToolChoice::Mode;
  if (choice.mode == Mode::kUnset) return;
  const std::string_view word = choice.mode == Mode::kAuto   ? "auto"
                                : choice.mode == Mode::kNone ? "none"
                                                             : "required";
  w.key("tool_choice");
  if (choice.names.empty()) {
    w.value(word);
  } else if (choice.mode == Mode::kRequired && choice.names.size() == 1) {
    w.begin_object().field("type", "function").key("function").begin_object();
    w.field("name", choice.names[0]).end_object().end_object();
  } else {
    w.begin_object().field("type", "allowed_tools").key("allowed_tools").begin_object();
    w.field("mode", word).key("tools").begin_array();
    for (const std::string& name : choice.names) {
      w.begin_object().field("type", "function").key("function").begin_object();
      w.field("name", name).end_object().end_object();
    }
    w.end_array().end_object().end_object();
  }
}

Result<void> write_tools(JsonWriter& w, const std::vector<ToolSpec>& tools) {
  if (tools.empty()) return ok();
  w.key("tools").begin_array();
  for (const ToolSpec& t : tools) {
    if (t.type != "function") return cannot_express(kMe, "a tool of type '" + t.type + "'");
    SM_CHECK_OK(refuse_extra(kMe, t.extra, "a tool's", {"eager_input_streaming", "defer_loading"}));
    write_function_tool(w, t);
  }
  w.end_array();
  return ok();
}

void write_format(JsonWriter& w, const OutputFormat& f) {
  if (f.kind == OutputFormat::Kind::kText) return;
  w.key("response_format").begin_object();
  if (f.kind == OutputFormat::Kind::kJson) {
    w.field("type", "json_object");
  } else {
    w.field("type", "json_schema").key("json_schema").begin_object();
    w.field("name", f.name.empty() ? std::string("answer") : f.name);
    if (!f.description.empty()) w.field("description", f.description);
    if (f.strict) w.field("strict", *f.strict);
    w.key("schema");
    f.schema.write(w);
    w.end_object();
  }
  w.end_object();
}

}  // namespace

Result<std::string> write_openai_request(const ChatRequest& r, std::string_view model, bool stream,
                                         bool official) {
  // Members that OpenAI's own dialects share.
  const bool verbosity = r.dialect == Dialect::kResponses;
  SM_CHECK_OK(verbosity ? refuse_extra(kMe, r.extra, "the parameter", {"verbosity"})
                        : refuse_extra(kMe, r.extra, "the parameter"));
  if (official && r.top_k) return cannot_express(kMe, "the parameter 'top_k'");
  std::string out;
  out.reserve(r.body.size() + 256);
  JsonWriter w(out);
  w.begin_object().field("model", model).key("messages").begin_array();
  for (const Message& m : r.messages) SM_CHECK_OK(write_message(w, m, official));
  w.end_array();
  SM_CHECK_OK(write_tools(w, r.tools));
  write_tool_choice(w, r.tool_choice);
  if (r.parallel_tools) w.field("parallel_tool_calls", *r.parallel_tools);
  write_format(w, r.format);
  const auto number = [&w](std::string_view name, const auto& v) {
    if (v) w.field(name, *v);
  };
  number(official ? "max_completion_tokens" : "max_tokens", r.max_tokens);
  number("temperature", r.temperature);
  number("top_p", r.top_p);
  number("top_k", r.top_k);
  number("frequency_penalty", r.frequency_penalty);
  number("presence_penalty", r.presence_penalty);
  number("seed", r.seed);
  number("logprobs", r.logprobs);
  number("top_logprobs", r.top_logprobs);
  if (r.choices != 1) w.field("n", r.choices);
  if (!r.stop.empty()) w.field("stop", r.stop);
  if (r.reasoning.on == false) {
    w.field("reasoning_effort", "none");
  } else if (!r.reasoning.effort.empty()) {
    w.field("reasoning_effort",
            r.reasoning.effort == "max" ? std::string("xhigh") : r.reasoning.effort);
  } else if (r.reasoning.budget) {
    w.field("reasoning_effort", effort_of_budget(*r.reasoning.budget));
  }
  for (const auto& [name, value] : r.extra) {
    if (!verbosity || name != "verbosity") continue;
    w.key(name);
    value.write(w);
  }
  if (stream) {
    w.field("stream", true);
    w.key("stream_options").begin_object().field("include_usage", true).end_object();
  }
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
