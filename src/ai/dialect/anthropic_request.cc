// Requests of Anthropic's messages, read and written.
#include <algorithm>
#include <cctype>

#include "ai/dialect/anthropic.h"
#include "ai/dialect/parts.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;

constexpr Dialect kMe = Dialect::kAnthropic;
// The API wants a limit; a request of another dialect that names none gets this one.
constexpr int64_t kMaxTokens = 8192;
constexpr int64_t kMaxTokensOfClaude3 = 4096;
constexpr int64_t kBudgetMin = 1024;

Result<std::vector<Part>> read_blocks(JsonValue v, std::string_view where);

// source: base64, url, file, text or content.
void read_source(JsonValue v, Part& p) {
  const std::string type(v["type"].text());
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (name == "media_type") (void)take(value, p.media.mime);
    if (name == "data") (void)take(value, type == "text" ? p.text : p.media.data);
    if (name == "url") (void)take(value, p.media.url);
    if (name == "file_id") (void)take(value, p.media.file_id);
  }
  if (type == "text" && p.media.mime == "text/plain") p.media.mime.clear();
  const bool known = type == "base64" || type == "url" || type == "file" || type == "text";
  if (!known) p.extra.emplace_back("source.type", JsonValue(type));
  keep_others(p.extra, members, {"type", "media_type", "data", "url", "file_id"}, "source");
}

Result<Part> read_block(JsonValue v, std::string_view where) {
  Part p;
  const std::string type(v["type"].text());
  if (type.empty()) return bad_request(std::string(where) + ": a block without a 'type'");
  JsonValue::Object members = v.take_members();
  const auto text = [&members](std::string_view name, std::string& out) {
    for (auto& [key, value] : members) {
      if (key == name) (void)take(value, out);
    }
  };
  for (auto& [name, value] : members) {
    if (name == "cache_control") p.cache_control = std::move(value);
  }
  if (type == "text") {
    text("text", p.text);
    keep_others(p.extra, members, {"type", "text", "cache_control"});
  } else if (type == "image" || type == "document") {
    p.kind = type == "image" ? Kind::kImage : Kind::kDocument;
    for (auto& [name, value] : members) {
      if (name == "source") read_source(std::move(value), p);
    }
    text("title", p.media.name);
    keep_others(p.extra, members, {"type", "source", "title", "cache_control"});
  } else if (type == "thinking") {
    p.kind = Kind::kReasoning;
    text("thinking", p.text);
    text("signature", p.signature);
    p.signature = marked_signature("anthropic", std::move(p.signature));
    keep_others(p.extra, members, {"type", "thinking", "signature", "cache_control"});
  } else if (type == "redacted_thinking") {
    p.kind = Kind::kRedacted;
    text("data", p.text);
    keep_others(p.extra, members, {"type", "data", "cache_control"});
  } else if (type == "tool_use") {
    p.kind = Kind::kToolCall;
    text("id", p.id);
    text("name", p.name);
    for (auto& [name, value] : members) {
      if (name == "input") p.text = value.dump();
    }
    keep_others(p.extra, members, {"type", "id", "name", "input", "cache_control"});
  } else if (type == "tool_result") {
    p.kind = Kind::kToolResult;
    text("tool_use_id", p.id);
    for (auto& [name, value] : members) {
      if (name == "is_error") p.error = value.bool_or(false);
      if (name == "content" && !value.is_null()) {
        SM_TRY(p.parts, read_blocks(std::move(value), where));
      }
    }
    keep_others(p.extra, members, {"type", "tool_use_id", "content", "is_error", "cache_control"});
  } else {
    p.kind = Kind::kOther;
    p.name = type;
    keep_others(p.extra, members, {"cache_control"});
  }
  return p;
}

Result<std::vector<Part>> read_blocks(JsonValue v, std::string_view where) {
  std::vector<Part> parts;
  if (v.is_string()) {
    parts.push_back(text_part(v.take_string()));
    return parts;
  }
  if (!v.is_array())
    return bad_request(std::string(where) + ": 'content' must be text or a list of blocks");
  for (JsonValue& each : v.take_items()) {
    SM_TRY(Part p, read_block(std::move(each), where));
    parts.push_back(std::move(p));
  }
  return parts;
}

Result<void> read_message(JsonValue v, size_t index, std::vector<Message>& messages) {
  const std::string where = "messages[" + std::to_string(index) + "]";
  const std::string role(v["role"].text());
  if (role != "user" && role != "assistant" && role != "system")
    return bad_request(where + ": 'role' must be user or assistant");
  Message m;
  m.role = role == "user" ? Role::kUser : role == "assistant" ? Role::kAssistant : Role::kSystem;
  JsonValue::Object members = v.take_members();
  bool content = false;
  for (auto& [name, value] : members) {
    if (name != "content") continue;
    content = true;
    SM_TRY(m.parts, read_blocks(std::move(value), where));
  }
  if (!content) return bad_request(where + ": 'content' is missing");
  keep_others(m.extra, members, {"role", "content"});
  add_message(messages, std::move(m));
  return ok();
}

ToolSpec read_tool(JsonValue v) {
  ToolSpec t;
  const std::string type(v["type"].text());
  JsonValue::Object members = v.take_members();
  if (!type.empty() && type != "custom") {
    t.type = type;
    for (auto& [name, value] : members) {
      if (name == "name") (void)take(value, t.name);
    }
    keep_others(t.extra, members, {"type", "name", "cache_control"});
    return t;
  }
  for (auto& [name, value] : members) {
    if (name == "name") (void)take(value, t.name);
    if (name == "description") (void)take(value, t.description);
    if (name == "input_schema") t.schema = std::move(value);
    if (name == "strict") (void)take(value, t.strict);
    if (name == "cache_control") t.cache_control = std::move(value);
  }
  keep_others(t.extra, members,
              {"type", "name", "description", "input_schema", "strict", "cache_control"});
  return t;
}

bool read_tool_choice(JsonValue& v, ChatRequest& r) {
  using Mode = ToolChoice::Mode;
  const std::string_view type = v["type"].text();
  for (const auto& [name, value] : v.members()) {
    if (name != "type" && name != "name" && name != "disable_parallel_tool_use") return false;
  }
  if (type == "tool") {
    if (v["name"].text().empty()) return false;
    r.tool_choice.names = {std::string(v["name"].text())};
  } else if (type != "auto" && type != "any" && type != "none") {
    return false;
  }
  r.tool_choice.mode = type == "auto"   ? Mode::kAuto
                       : type == "none" ? Mode::kNone
                                        : Mode::kRequired;
  if (v["disable_parallel_tool_use"].is_bool())
    r.parallel_tools = !v["disable_parallel_tool_use"].bool_or(false);
  return true;
}

bool read_thinking(JsonValue& v, Reasoning& out) {
  const std::string_view type = v["type"].text();
  for (const auto& [name, value] : v.members()) {
    if (name != "type" && name != "budget_tokens" && name != "display") return false;
  }
  if (type != "enabled" && type != "disabled" && type != "adaptive") return false;
  if (!v["budget_tokens"].is_null() && !v["budget_tokens"].integer()) return false;
  out.on = type != "disabled";
  out.adaptive = type == "adaptive";
  out.budget = v["budget_tokens"].integer();
  const std::string_view display = v["display"].text();
  if (!display.empty()) out.visible = display != "omitted";
  return true;
}

bool read_format(const JsonValue& v, OutputFormat& out) {
  if (v["type"].text() != "json_schema" || !v["schema"].is_object() || v.size() != 2) return false;
  out.kind = OutputFormat::Kind::kSchema;
  out.schema = v["schema"];
  return true;
}

void read_output_config(JsonValue v, ChatRequest& r) {
  JsonValue::Object members = v.take_members();
  for (auto& [name, value] : members) {
    if (name == "effort" && take(value, r.reasoning.effort)) continue;
    if (name == "format" && read_format(value, r.format)) continue;
    if (!value.is_null()) r.extra.emplace_back("output_config." + name, std::move(value));
  }
}

bool read_member(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "max_tokens") return take(v, r.max_tokens);
  if (name == "temperature") return take(v, r.temperature);
  if (name == "top_p") return take(v, r.top_p);
  if (name == "top_k") return take(v, r.top_k);
  if (name == "stop_sequences") return take(v, r.stop);
  if (name == "tool_choice") return read_tool_choice(v, r);
  if (name == "thinking") return read_thinking(v, r.reasoning);
  if (name == "output_format") return read_format(v, r.format);
  if (name == "output_config" && v.is_object()) {
    read_output_config(std::move(v), r);
    return true;
  }
  if (name == "tools" && v.is_array()) {
    for (JsonValue& each : v.take_items()) r.tools.push_back(read_tool(std::move(each)));
    return true;
  }
  return false;
}

}  // namespace

Result<ChatRequest> read_anthropic_request(std::string_view body) {
  SM_TRY(JsonValue::Object members, read_body(body));
  ChatRequest r;
  r.dialect = kMe;
  bool messages_seen = false;
  Message system;
  system.role = Role::kSystem;
  for (auto& [name, v] : members) {
    if (v.is_null()) continue;
    if (name == "messages") {
      messages_seen = v.size() > 0 && v.is_array();
      JsonValue::Array items = v.take_items();
      r.messages.reserve(items.size() + 1);
      for (size_t i = 0; i < items.size(); ++i)
        SM_CHECK_OK(read_message(std::move(items[i]), i, r.messages));
    } else if (name == "model") {
      (void)take(v, r.model);
    } else if (name == "system") {
      SM_TRY(system.parts, read_blocks(std::move(v), "system"));
    } else if (name == "stream") {
      if (!v.is_bool()) return bad_request("'stream' must be true or false");
      r.stream = v.bool_or(false);
    } else if (is_aside(name) || name == "cache_control") {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else if (!read_member(name, v, r)) {
      if (name == "container" || name == "mcp_servers" || name == "context_management")
        r.never_cache = "what the provider keeps or asks elsewhere (" + name + ")";
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model, or use \"auto\"");
  if (!messages_seen) return bad_request("'messages' must be a list with at least one message");
  if (!system.parts.empty()) r.messages.insert(r.messages.begin(), std::move(system));
  link_tools(r.messages);
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

bool thinks_adaptively(std::string_view model) {
  // claude-opus-4-6, claude-sonnet-5: family, then the version; older ones have the version first.
  // A number of many digits is a date.
  int version[2] = {0, 0};
  size_t found = 0;
  for (size_t i = 0; i < model.size() && found < 2;) {
    if (std::isdigit(static_cast<unsigned char>(model[i])) == 0) {
      ++i;
      continue;
    }
    int value = 0;
    size_t digits = 0;
    for (; i < model.size() && std::isdigit(static_cast<unsigned char>(model[i])) != 0; ++i) {
      if (++digits < 4) value = value * 10 + (model[i] - '0');
    }
    if (digits > 2) break;
    version[found++] = value;
  }
  return found > 0 && (version[0] > 4 || (version[0] == 4 && version[1] >= 6));
}

namespace {

void write_mark(JsonWriter& w, const JsonValue& cache_control) {
  if (cache_control.is_null()) return;
  w.key("cache_control");
  cache_control.write(w);
}

void write_source(JsonWriter& w, const Part& p) {
  w.key("source").begin_object();
  if (!p.text.empty()) {
    w.field("type", "text").field("media_type", "text/plain").field("data", p.text);
  } else if (!p.media.data.empty()) {
    w.field("type", "base64").field("media_type", p.media.mime).field("data", p.media.data);
  } else {
    w.field("type", "url").field("url", p.media.url);
  }
  w.end_object();
}

Result<void> write_block(JsonWriter& w, const Part& p);

Result<void> write_tool_result(JsonWriter& w, const Part& p) {
  w.field("type", "tool_result").field("tool_use_id", p.id).key("content");
  if (p.parts.size() == 1 && only_text(p.parts)) {
    w.value(p.parts[0].text);
  } else {
    w.begin_array();
    for (const Part& each : p.parts) SM_CHECK_OK(write_block(w, each));
    w.end_array();
  }
  if (p.error) w.field("is_error", true);
  return ok();
}

Result<void> write_block(JsonWriter& w, const Part& p) {
  SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
  if (!p.media.file_id.empty()) return cannot_express(kMe, "a file by another provider's id");
  w.begin_object();
  switch (p.kind) {
    case Kind::kText:
    case Kind::kRefusal:
      w.field("type", "text").field("text", p.text);
      break;
    case Kind::kImage:
      w.field("type", "image");
      write_source(w, p);
      break;
    case Kind::kDocument:
      if (p.text.empty() && !p.media.mime.empty() && p.media.mime != "application/pdf")
        return cannot_express(kMe, "a document of type '" + p.media.mime + "'");
      w.field("type", "document");
      write_source(w, p);
      if (!p.media.name.empty()) w.field("title", p.media.name);
      break;
    case Kind::kReasoning:
      w.field("type", "thinking").field("thinking", p.text).field("signature", own_signature("anthropic", p.signature));
      break;
    case Kind::kRedacted:
      w.field("type", "redacted_thinking").field("data", p.text);
      break;
    case Kind::kToolCall: {
      SM_TRY(const JsonValue arguments, arguments_object(kMe, p));
      w.field("type", "tool_use").field("id", p.id).field("name", p.name).key("input");
      arguments.write(w);
      break;
    }
    case Kind::kToolResult:
      SM_CHECK_OK(write_tool_result(w, p));
      break;
    case Kind::kAudio:
      return cannot_express(kMe, "audio");
    case Kind::kOther:
      return cannot_express(kMe, "a part of type '" + p.name + "'");
  }
  write_mark(w, p.cache_control);
  w.end_object();
  return ok();
}

// Reasoning that nobody signed is not taken back; empty texts are not taken at all.
bool goes_out(const Part& p) {
  if (p.kind == Kind::kReasoning) return !own_signature("anthropic", p.signature).empty();
  return (p.kind != Kind::kText && p.kind != Kind::kRefusal) || !p.text.empty();
}

Result<void> write_messages(JsonWriter& w, const std::vector<Message>& messages) {
  std::vector<const Part*> system;
  for (const Message& m : messages) {
    SM_CHECK_OK(refuse_extra(kMe, m.extra, "a message's"));
    if (m.role != Role::kSystem) continue;
    for (const Part& p : m.parts) {
      if (p.kind != Kind::kText) return cannot_express(kMe, "a system message that is not text");
      if (goes_out(p)) system.push_back(&p);
    }
  }
  if (system.size() == 1 && system[0]->cache_control.is_null() && system[0]->extra.empty()) {
    w.field("system", system[0]->text);
  } else if (!system.empty()) {
    w.key("system").begin_array();
    for (const Part* p : system) SM_CHECK_OK(write_block(w, *p));
    w.end_array();
  }
  // A turn's results and what the user adds to them are one message.
  std::vector<std::pair<bool, std::vector<const Part*>>> turns;  // the assistant's?
  for (const Message& m : messages) {
    if (m.role == Role::kSystem) continue;
    const bool assistant = m.role == Role::kAssistant;
    for (const Part& p : m.parts) {
      if (!goes_out(p)) continue;
      if (turns.empty() || turns.back().first != assistant) turns.emplace_back().first = assistant;
      turns.back().second.push_back(&p);
    }
  }
  w.key("messages").begin_array();
  for (const auto& [assistant, parts] : turns) {
    w.begin_object().field("role", assistant ? "assistant" : "user").key("content");
    const Part& first = *parts.front();
    if (parts.size() == 1 && first.kind == Kind::kText && first.extra.empty() &&
        first.cache_control.is_null()) {
      w.value(first.text);
    } else {
      w.begin_array();
      for (const Part* p : parts) SM_CHECK_OK(write_block(w, *p));
      w.end_array();
    }
    w.end_object();
  }
  w.end_array();
  return ok();
}

Result<void> write_tools(JsonWriter& w, const ChatRequest& r) {
  if (!r.tools.empty()) {
    w.key("tools").begin_array();
    for (const ToolSpec& t : r.tools) {
      if (t.type != "function") return cannot_express(kMe, "a tool of type '" + t.type + "'");
      SM_CHECK_OK(refuse_extra(kMe, t.extra, "a tool's"));
      w.begin_object().field("name", t.name);
      if (!t.description.empty()) w.field("description", t.description);
      w.key("input_schema");
      if (t.schema.is_object()) {
        t.schema.write(w);
      } else {
        w.raw(R"({"type":"object","properties":{}})");
      }
      if (t.strict) w.field("strict", *t.strict);
      write_mark(w, t.cache_control);
      w.end_object();
    }
    w.end_array();
  }
  using Mode = ToolChoice::Mode;
  const ToolChoice& choice = r.tool_choice;
  const bool one_only = r.parallel_tools == false && !r.tools.empty();
  if (choice.mode == Mode::kUnset && !one_only) return ok();
  if (choice.names.size() > 1 || (choice.names.size() == 1 && choice.mode != Mode::kRequired))
    return cannot_express(kMe, "a choice among some of the tools ('tool_choice')");
  w.key("tool_choice").begin_object();
  if (!choice.names.empty()) {
    w.field("type", "tool").field("name", choice.names[0]);
  } else {
    w.field("type", choice.mode == Mode::kNone       ? "none"
                    : choice.mode == Mode::kRequired ? "any"
                                                     : "auto");
  }
  if (one_only && choice.mode != Mode::kNone) w.field("disable_parallel_tool_use", true);
  w.end_object();
  return ok();
}

// What the target has no word for.
Result<void> refuse_parameters(const ChatRequest& r) {
  SM_CHECK_OK(refuse_extra(kMe, r.extra, "the parameter"));
  if (r.frequency_penalty.value_or(0) != 0)
    return cannot_express(kMe, "the parameter 'frequency_penalty'");
  if (r.presence_penalty.value_or(0) != 0)
    return cannot_express(kMe, "the parameter 'presence_penalty'");
  if (r.seed) return cannot_express(kMe, "the parameter 'seed'");
  if (r.logprobs.value_or(false) || r.top_logprobs.value_or(0) > 0)
    return cannot_express(kMe, "'logprobs'");
  if (r.choices != 1) return cannot_express(kMe, "'n' other than 1");
  if (r.temperature.value_or(0) > 1) return cannot_express(kMe, "a 'temperature' above 1");
  if (r.format.kind == OutputFormat::Kind::kJson)
    return cannot_express(kMe, "'response_format' without a schema");
  return ok();
}

}  // namespace

Result<std::string> write_anthropic_request(const ChatRequest& r, std::string_view model,
                                            bool stream) {
  SM_CHECK_OK(refuse_parameters(r));
  const Reasoning& think = r.reasoning;
  const bool adaptive = thinks_adaptively(model);
  const bool thinks = think.on.value_or(!think.effort.empty() || think.budget.value_or(0) != 0);
  std::optional<int64_t> budget;
  if (thinks && !adaptive) {
    budget = think.budget && *think.budget > 0 ? *think.budget : budget_of_effort(think.effort);
    budget = std::max(*budget, kBudgetMin);
  }
  int64_t limit = r.max_tokens.value_or(
      (model.find("claude-3-") != std::string_view::npos ? kMaxTokensOfClaude3 : kMaxTokens) +
      budget.value_or(0));
  // The limit counts thinking, too, and must be above its budget.
  if (budget && *budget >= limit) {
    if (limit <= kBudgetMin) {
      budget.reset();
    } else {
      budget = std::max(kBudgetMin, limit / 2);
    }
  }
  std::string out;
  out.reserve(r.body.size() + 256);
  JsonWriter w(out);
  w.begin_object().field("model", model).field("max_tokens", limit);
  SM_CHECK_OK(write_messages(w, r.messages));
  SM_CHECK_OK(write_tools(w, r));
  if (r.temperature) w.field("temperature", *r.temperature);
  if (r.top_p) w.field("top_p", *r.top_p);
  if (r.top_k) w.field("top_k", *r.top_k);
  if (!r.stop.empty()) w.field("stop_sequences", r.stop);
  if (budget) {
    w.key("thinking").begin_object().field("type", "enabled").field("budget_tokens", *budget);
    w.end_object();
  } else if (thinks && adaptive) {
    w.key("thinking").begin_object().field("type", "adaptive").end_object();
  }
  std::string effort;
  if (thinks && adaptive) {
    effort = !think.effort.empty()           ? think.effort
             : think.budget.value_or(-1) > 0 ? effort_of_budget(*think.budget)
                                             : std::string();
    if (effort == "minimal") effort = "low";
  }
  if (!effort.empty() || r.format.kind == OutputFormat::Kind::kSchema) {
    w.key("output_config").begin_object();
    if (!effort.empty()) w.field("effort", effort);
    if (r.format.kind == OutputFormat::Kind::kSchema) {
      w.key("format").begin_object().field("type", "json_schema").key("schema");
      r.format.schema.write(w);
      w.end_object();
    }
    w.end_object();
  }
  if (stream) w.field("stream", true);
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
