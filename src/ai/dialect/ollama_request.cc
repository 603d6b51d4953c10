// Requests of Ollama's chat and generate, read and written.
#include <algorithm>
#include <array>

#include "ai/dialect/ollama.h"
#include "ai/dialect/parts.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;

constexpr Dialect kMe = Dialect::kOllama;
// Ollama's own settings, taken beside OpenAI's parameters, too.
constexpr std::array<std::string_view, 8> kOptions{"min_p",         "num_ctx",   "repeat_penalty",
                                                   "repeat_last_n", "typical_p", "tfs_z",
                                                   "mirostat",      "num_gpu"};

Part image_part(std::string data) {
  Part p;
  p.kind = Kind::kImage;
  // The kind of picture is not said: it stands in its first bytes.
  p.media.mime = data.starts_with("/9j/")     ? "image/jpeg"
                 : data.starts_with("R0lGOD") ? "image/gif"
                 : data.starts_with("UklGR")  ? "image/webp"
                                              : "image/png";
  p.media.data = std::move(data);
  return p;
}

void read_images(JsonValue& v, std::vector<Part>& parts) {
  for (JsonValue& each : v.take_items()) {
    if (each.is_string()) parts.push_back(image_part(each.take_string()));
  }
}

Part read_call(JsonValue v) {
  Part p;
  p.kind = Kind::kToolCall;
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (name == "id") (void)take(value, p.id);
    if (name != "function") continue;
    JsonValue::Object function = value.take_members();
    for (auto& [key, inner] : function) {
      if (key == "name") (void)take(inner, p.name);
      if (key == "arguments") p.text = inner.is_object() ? inner.dump() : inner.take_string();
    }
    keep_others(p.extra, function, {"name", "arguments", "index"}, name);
  }
  keep_others(p.extra, members, {"id", "type", "function"});
  return p;
}

Message read_message(JsonValue v) {
  Message m;
  const std::string role(v["role"].text());
  m.role = role == "system"      ? Role::kSystem
           : role == "assistant" ? Role::kAssistant
           : role == "tool"      ? Role::kTool
                                 : Role::kUser;
  JsonValue::Object members = v.take_members();
  if (m.role == Role::kUser && role != "user") m.extra.emplace_back("role", JsonValue(role));
  Part result;
  std::vector<Part> reasoning, content, calls;
  for (auto& [name, value] : members) {
    if (name == "content" && value.is_string()) {
      std::string text = value.take_string();
      if (!text.empty() || m.role != Role::kAssistant)
        content.insert(content.begin(), text_part(std::move(text)));
    } else if (name == "thinking" && value.is_string()) {
      if (value.text().empty()) continue;
      reasoning.push_back(text_part(value.take_string()));
      reasoning.back().kind = Kind::kReasoning;
    } else if (name == "images" && value.is_array()) {
      read_images(value, content);
    } else if (name == "tool_calls" && value.is_array()) {
      for (JsonValue& each : value.take_items()) calls.push_back(read_call(std::move(each)));
    } else if ((name == "tool_name" || name == "name") && m.role == Role::kTool) {
      (void)take(value, result.name);
    } else if (name == "tool_call_id" && m.role == Role::kTool) {
      (void)take(value, result.id);
    } else if (name != "role" && !says_nothing(value)) {
      m.extra.emplace_back(std::move(name), std::move(value));
    }
  }
  if (m.role == Role::kTool) {
    result.kind = Kind::kToolResult;
    result.parts = std::move(content);
    m.parts.push_back(std::move(result));
    return m;
  }
  for (std::vector<Part>* list : {&reasoning, &content, &calls})
    std::move(list->begin(), list->end(), std::back_inserter(m.parts));
  return m;
}

bool read_option(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "temperature") return take(v, r.temperature);
  if (name == "top_p") return take(v, r.top_p);
  if (name == "top_k") return take(v, r.top_k);
  if (name == "seed") return take(v, r.seed);
  if (name == "stop") return take(v, r.stop);
  if (name == "frequency_penalty") return take(v, r.frequency_penalty);
  if (name == "presence_penalty") return take(v, r.presence_penalty);
  // Negative ones have a meaning of their own there.
  if (name == "num_predict" && v.number_or(-1) > 0) return take(v, r.max_tokens);
  return false;
}

void read_tools(JsonValue& v, ChatRequest& r) {
  for (JsonValue& each : v.take_items()) {
    ToolSpec t;
    const std::string type = each["type"].string_or("function");
    JsonValue::Object members = each.take_members();
    if (type != "function") t.type = type;
    for (auto& [name, value] : members) {
      if (name != "function") continue;
      JsonValue::Object function = value.take_members();
      for (auto& [key, inner] : function) {
        if (key == "name") (void)take(inner, t.name);
        if (key == "description") (void)take(inner, t.description);
        if (key == "parameters") t.schema = std::move(inner);
        if (key == "strict") (void)take(inner, t.strict);
      }
      keep_others(t.extra, function, {"name", "description", "parameters", "strict"}, "function");
    }
    keep_others(t.extra, members, {"type", "function"});
    r.tools.push_back(std::move(t));
  }
}

bool read_member(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "logprobs") return take(v, r.logprobs);
  if (name == "top_logprobs") return take(v, r.top_logprobs);
  if (name == "tools" && v.is_array()) {
    read_tools(v, r);
    return true;
  }
  if (name == "options" && v.is_object()) {
    JsonValue::Object options = v.take_members();
    for (auto& [key, value] : options) {
      if (!value.is_null() && !read_option(key, value, r))
        r.extra.emplace_back("options." + key, std::move(value));
    }
    return true;
  }
  if (name == "think") {
    if (take(v, r.reasoning.on)) return true;
    return take(v, r.reasoning.effort);
  }
  if (name == "format") {
    if (v.is_string() && (v.text().empty() || v.text() == "json")) {
      r.format.kind = v.text().empty() ? OutputFormat::Kind::kText : OutputFormat::Kind::kJson;
      return true;
    }
    if (!v.is_object()) return false;
    r.format.kind = OutputFormat::Kind::kSchema;
    r.format.schema = std::move(v);
    return true;
  }
  return false;
}

}  // namespace

Result<ChatRequest> read_ollama_request(std::string_view body, bool generate) {
  SM_TRY(JsonValue::Object members, read_body(body));
  ChatRequest r;
  r.dialect = generate ? Dialect::kOllamaGenerate : Dialect::kOllama;
  r.stream = true;
  Message system, user;
  system.role = Role::kSystem;
  std::vector<Part> images;
  for (auto& [name, v] : members) {
    if (v.is_null()) continue;
    if (name == "model") {
      (void)take(v, r.model);
    } else if (name == "stream") {
      if (!v.is_bool()) return bad_request("'stream' must be true or false");
      r.stream = v.bool_or(true);
    } else if (name == "messages" && !generate) {
      if (!v.is_array()) return bad_request("'messages' must be a list");
      for (JsonValue& each : v.take_items()) {
        if (!each["role"].is_string())
          return bad_request("messages[" + std::to_string(r.messages.size()) +
                             "]: 'role' is missing");
        Message m = read_message(std::move(each));
        if (m.role == Role::kTool && m.extra.empty() && !r.messages.empty() &&
            r.messages.back().role == Role::kTool && r.messages.back().extra.empty()) {
          r.messages.back().parts.push_back(std::move(m.parts.front()));
        } else {
          r.messages.push_back(std::move(m));
        }
      }
    } else if (name == "prompt" && generate && v.is_string()) {
      if (!v.text().empty()) user.parts.insert(user.parts.begin(), text_part(v.take_string()));
    } else if (name == "system" && generate && v.is_string()) {
      if (!v.text().empty()) system.parts.push_back(text_part(v.take_string()));
    } else if (name == "images" && generate && v.is_array()) {
      read_images(v, images);
    } else if (name == "keep_alive") {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else if (!read_member(name, v, r) && !says_nothing(v)) {
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model, or use \"auto\"");
  if (generate) {
    std::move(images.begin(), images.end(), std::back_inserter(user.parts));
    if (!user.parts.empty()) {
      if (!system.parts.empty()) r.messages.push_back(std::move(system));
      r.messages.push_back(std::move(user));
    }
  }
  // A request that asks nothing loads the model, or unloads it.
  if (r.messages.empty()) r.never_cache = "a request that loads a model";
  link_tools(r.messages);
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

namespace {

// Texts joined, pictures collected.
Result<std::string> text_of(const std::vector<Part>& parts, std::vector<std::string>& images) {
  std::string joined;
  const auto add = [&joined](const std::string& text) {
    if (!joined.empty()) joined += '\n';
    joined += text;
  };
  for (const Part& p : parts) {
    switch (p.kind) {
      case Kind::kText:
      case Kind::kRefusal:
        SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
        add(p.text);
        break;
      case Kind::kImage:
        if (p.media.data.empty())
          return cannot_express(kMe, "a remote image: send its bytes as a data: URL");
        SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
        images.push_back(p.media.data);
        break;
      case Kind::kDocument:
        if (p.text.empty()) return cannot_express(kMe, "a document that is not plain text");
        SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
        add(p.media.name.empty() ? p.text : p.media.name + "\n\n" + p.text);
        break;
      case Kind::kAudio:
        return cannot_express(kMe, "audio (a content part of type 'input_audio')");
      case Kind::kOther:
        return cannot_express(kMe, "a content part of type '" + p.name + "'");
      default:
        break;
    }
  }
  return joined;
}

Result<void> write_message(JsonWriter& w, const Message& m) {
  constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};
  SM_CHECK_OK(m.role == Role::kTool ? refuse_extra(kMe, m.extra, "a message's", {"name"})
                                    : refuse_extra(kMe, m.extra, "a message's"));
  if (m.role == Role::kTool) {
    for (const Part& p : m.parts) {
      if (p.name.empty())
        return bad_request("the tool answer '" + p.id + "' belongs to no call before it");
      std::vector<std::string> images;
      SM_TRY(const std::string text, text_of(p.parts, images));
      w.begin_object().field("role", "tool").field("content", p.error ? failed_text(text) : text);
      w.field("tool_name", p.name);
      if (!images.empty()) w.field("images", images);
      w.end_object();
    }
    return ok();
  }
  std::vector<std::string> images;
  SM_TRY(const std::string text, text_of(m.parts, images));
  w.begin_object().field("role", kRoles[static_cast<size_t>(m.role)]).field("content", text);
  std::string thinking;
  bool calls = false;
  for (const Part& p : m.parts) {
    if (p.kind == Kind::kReasoning) thinking += p.text;
    calls |= p.kind == Kind::kToolCall;
  }
  if (!thinking.empty()) w.field("thinking", thinking);
  if (!images.empty()) w.field("images", images);
  if (calls) {
    w.key("tool_calls").begin_array();
    for (const Part& p : m.parts) {
      if (p.kind != Kind::kToolCall) continue;
      SM_TRY(const JsonValue arguments, arguments_object(kMe, p));
      w.begin_object().key("function").begin_object().field("name", p.name).key("arguments");
      arguments.write(w);
      w.end_object().end_object();
    }
    w.end_array();
  }
  w.end_object();
  return ok();
}

Result<void> write_tools(JsonWriter& w, const ChatRequest& r) {
  using Mode = ToolChoice::Mode;
  for (const ToolSpec& t : r.tools) {
    if (t.type != "function") return cannot_express(kMe, "a tool of type '" + t.type + "'");
    SM_CHECK_OK(refuse_extra(kMe, t.extra, "a tool's", {"eager_input_streaming"}));
  }
  if (r.tool_choice.mode == Mode::kRequired || !r.tool_choice.names.empty())
    return cannot_express(kMe, "'tool_choice' other than \"auto\" and \"none\"");
  if (r.tools.empty() || r.tool_choice.mode == Mode::kNone) return ok();
  if (r.parallel_tools == false) return cannot_express(kMe, "'parallel_tool_calls': false");
  w.key("tools").begin_array();
  for (const ToolSpec& t : r.tools) write_function_tool(w, t);
  w.end_array();
  return ok();
}

// What of OpenAI's extra members is Ollama's own.
Result<void> write_extra(JsonWriter& w, JsonWriter& o, const ChatRequest& r) {
  for (const auto& [name, v] : r.extra) {
    if (says_nothing(v)) continue;
    if (name.starts_with("options.")) {
      o.key(std::string_view(name).substr(8));
      v.write(o);
    } else if (std::find(kOptions.begin(), kOptions.end(), name) != kOptions.end()) {
      if (!v.is_number()) return bad_request("'" + name + "' must be a number");
      o.key(name);
      v.write(o);
    } else if (name == "options" && v.is_object()) {
      for (const auto& [key, value] : v.members()) {
        o.key(key);
        value.write(o);
      }
    } else if (name == "keep_alive" || name == "think") {
      w.key(name);
      v.write(w);
    } else {
      return refuse_extra(kMe, {{name, v}}, "the parameter");
    }
  }
  for (const auto& [name, v] : r.aside) {
    if (name != "keep_alive") continue;
    w.key(name);
    v.write(w);
  }
  return ok();
}

void write_think(JsonWriter& w, const Reasoning& think) {
  if (think.on == false) {
    w.field("think", false);
  } else if (!think.effort.empty()) {
    w.field("think", think.effort == "minimal"                          ? "low"
                     : think.effort == "xhigh" || think.effort == "max" ? "high"
                                                                        : think.effort.c_str());
  } else if (think.on == true || think.budget) {
    w.field("think", true);
  }
}

}  // namespace

Result<std::string> write_ollama_request(const ChatRequest& r, std::string_view model,
                                         bool stream) {
  if (r.max_tokens && *r.max_tokens < 1)
    return bad_request("'max_tokens' must be a whole number above 0");
  if (r.choices != 1) return cannot_express(kMe, "'n' other than 1");
  std::string options;
  JsonWriter o(options);
  o.begin_object();
  std::string out;
  out.reserve(r.body.size() + 256);
  JsonWriter w(out);
  w.begin_object().field("model", model).field("stream", stream).key("messages").begin_array();
  for (const Message& m : r.messages) SM_CHECK_OK(write_message(w, m));
  w.end_array();
  SM_CHECK_OK(write_tools(w, r));
  if (r.format.kind == OutputFormat::Kind::kJson) w.field("format", "json");
  if (r.format.kind == OutputFormat::Kind::kSchema) {
    w.key("format");
    r.format.schema.write(w);
  }
  write_think(w, r.reasoning);
  if (r.logprobs.value_or(false)) w.field("logprobs", true);
  if (r.top_logprobs.value_or(0) > 0) w.field("top_logprobs", *r.top_logprobs);
  const auto number = [&o](std::string_view name, const auto& v) {
    if (v) o.field(name, *v);
  };
  number("temperature", r.temperature);
  number("top_p", r.top_p);
  number("top_k", r.top_k);
  number("seed", r.seed);
  number("num_predict", r.max_tokens);
  number("frequency_penalty", r.frequency_penalty);
  number("presence_penalty", r.presence_penalty);
  if (!r.stop.empty()) o.field("stop", r.stop);
  SM_CHECK_OK(write_extra(w, o, r));
  o.end_object();
  if (options != "{}") w.key("options").raw(options);
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
