// Requests of Gemini's generateContent, read and written.
#include <algorithm>
#include <array>
#include <cctype>

#include "ai/dialect/gemini.h"
#include "ai/dialect/parts.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;

constexpr Dialect kMe = Dialect::kGemini;

// Google's JSON takes both spellings.
void to_camel(JsonValue::Object& members) {
  for (auto& [name, value] : members) {
    size_t to = 0;
    bool up = false;
    for (const char c : name) {
      if (c == '_' && to > 0) {
        up = true;
        continue;
      }
      name[to++] = up ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      up = false;
    }
    name.resize(to);
  }
}
JsonValue::Object members_of(JsonValue& v) {
  JsonValue::Object members = v.take_members();
  to_camel(members);
  return members;
}

std::string lower(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// What a function answered is an object there: one member "result", "output" or "error" with text
// stands for that text.
void read_response(JsonValue v, Part& result) {
  if (v.size() == 1 && v.is_object()) {
    auto& [name, value] = v.members().front();
    if ((name == "result" || name == "output" || name == "error") && value.is_string()) {
      result.error = name == "error";
      result.parts.push_back(text_part(std::string(value.text())));
      return;
    }
  }
  result.parts.push_back(text_part(v.dump()));
}

Kind kind_of_mime(std::string_view mime) {
  if (mime.starts_with("image/")) return Kind::kImage;
  return mime.starts_with("audio/") ? Kind::kAudio : Kind::kDocument;
}

Part read_part(JsonValue v) {
  Part p;
  JsonValue::Object members = members_of(v);
  bool known = false;
  bool thought = false;
  for (auto& [name, value] : members) {
    if (name == "text" && take(value, p.text)) {
      known = true;
    } else if (name == "thought" && value.is_bool()) {
      thought = value.bool_or(false);
    } else if (name == "thoughtSignature") {
      (void)take(value, p.signature);
      p.signature = marked_signature("gemini", std::move(p.signature));
    } else if (name == "inlineData" || name == "fileData") {
      JsonValue::Object data = members_of(value);
      for (auto& [key, inner] : data) {
        if (key == "mimeType") (void)take(inner, p.media.mime);
        if (key == "data") (void)take(inner, p.media.data);
        if (key == "fileUri") (void)take(inner, p.media.url);
        if (key == "displayName") (void)take(inner, p.media.name);
      }
      p.kind = kind_of_mime(p.media.mime);
      known = true;
      keep_others(p.extra, data, {"mimeType", "data", "fileUri", "displayName"}, name);
    } else if (name == "functionCall") {
      p.kind = Kind::kToolCall;
      p.text = "{}";
      JsonValue::Object call = members_of(value);
      for (auto& [key, inner] : call) {
        if (key == "id") (void)take(inner, p.id);
        if (key == "name") (void)take(inner, p.name);
        if (key == "args" && inner.is_object()) p.text = inner.dump();
      }
      known = true;
      keep_others(p.extra, call, {"id", "name", "args"}, name);
    } else if (name == "functionResponse") {
      p.kind = Kind::kToolResult;
      JsonValue::Object response = members_of(value);
      for (auto& [key, inner] : response) {
        if (key == "id") (void)take(inner, p.id);
        if (key == "name") (void)take(inner, p.name);
        if (key == "response") read_response(std::move(inner), p);
      }
      known = true;
      keep_others(p.extra, response, {"id", "name", "response"}, name);
    }
  }
  if (!known) {
    p.kind = Kind::kOther;
    for (const auto& [name, value] : members) {
      if (name != "thought" && name != "thoughtSignature") p.name = name;
    }
    keep_others(p.extra, members, {"thoughtSignature"});
    return p;
  }
  if (thought && p.kind == Kind::kText) p.kind = Kind::kReasoning;
  keep_others(p.extra, members,
              {"text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall",
               "functionResponse"});
  return p;
}

Result<std::vector<Part>> read_parts(JsonValue v, std::string_view where) {
  std::vector<Part> parts;
  if (v.is_string()) {
    parts.push_back(text_part(v.take_string()));
    return parts;
  }
  JsonValue::Array items;
  if (v.is_object()) {
    items.push_back(std::move(v));
  } else {
    items = v.take_items();
  }
  for (JsonValue& each : items) {
    if (each.is_string()) {
      parts.push_back(text_part(each.take_string()));
    } else if (each.is_object()) {
      parts.push_back(read_part(std::move(each)));
    } else {
      return bad_request(std::string(where) + ": a part must be an object");
    }
  }
  return parts;
}

Result<void> read_content(JsonValue v, size_t index, std::vector<Message>& messages) {
  const std::string where = "contents[" + std::to_string(index) + "]";
  if (!v.is_object()) return bad_request(where + " must be an object");
  Message m;
  const std::string role = v["role"].string_or("user");
  JsonValue::Object members = members_of(v);
  m.role = role == "model" || role == "assistant" ? Role::kAssistant
           : role == "system"                     ? Role::kSystem
                                                  : Role::kUser;
  if (role != "user" && role != "model" && role != "function")
    return bad_request(where + ": 'role' must be user or model, not '" + role + "'");
  for (auto& [name, value] : members) {
    if (name == "parts") {
      SM_TRY(m.parts, read_parts(std::move(value), where));
    }
  }
  keep_others(m.extra, members, {"role", "parts"});
  // What functions answered comes first.
  std::stable_partition(m.parts.begin(), m.parts.end(),
                        [](const Part& p) { return p.kind == Kind::kToolResult; });
  add_message(messages, std::move(m));
  return ok();
}

void read_tools(JsonValue v, ChatRequest& r) {
  JsonValue::Array items;
  if (v.is_object()) {
    items.push_back(std::move(v));
  } else {
    items = v.take_items();
  }
  for (JsonValue& item : items) {
    JsonValue::Object members = members_of(item);
    for (auto& [name, value] : members) {
      if (value.is_null()) continue;
      if (name != "functionDeclarations") {
        ToolSpec hosted;
        hosted.type = name;
        hosted.extra.emplace_back(name, std::move(value));
        r.tools.push_back(std::move(hosted));
        continue;
      }
      for (JsonValue& each : value.take_items()) {
        ToolSpec t;
        JsonValue::Object function = members_of(each);
        for (auto& [key, inner] : function) {
          if (key == "name") (void)take(inner, t.name);
          if (key == "description") (void)take(inner, t.description);
          if (key == "parameters") t.schema = schema_of_gemini(inner);
          if (key == "parametersJsonSchema") t.schema = std::move(inner);
        }
        keep_others(t.extra, function,
                    {"name", "description", "parameters", "parametersJsonSchema"});
        r.tools.push_back(std::move(t));
      }
    }
  }
}

void read_tool_config(JsonValue v, ChatRequest& r) {
  using Mode = ToolChoice::Mode;
  JsonValue::Object members = members_of(v);
  for (auto& [name, value] : members) {
    if (name != "functionCallingConfig") continue;
    JsonValue::Object config = members_of(value);
    for (auto& [key, inner] : config) {
      if (key == "mode") {
        const std::string mode = lower(inner.text());
        r.tool_choice.mode = mode == "any"         ? Mode::kRequired
                             : mode == "none"      ? Mode::kNone
                             : mode == "auto"      ? Mode::kAuto
                             : mode == "validated" ? Mode::kAuto
                                                   : Mode::kUnset;
        for (ToolSpec& t : r.tools) {
          if (mode == "validated") t.strict = true;
        }
        if (r.tool_choice.mode == Mode::kUnset && !mode.empty())
          r.extra.emplace_back("functionCallingConfig.mode", JsonValue(mode));
      }
      if (key == "allowedFunctionNames") (void)take(inner, r.tool_choice.names);
    }
    keep_others(r.extra, config, {"mode", "allowedFunctionNames"}, name);
  }
  keep_others(r.extra, members, {"functionCallingConfig"}, "toolConfig");
}

void read_thinking(JsonValue v, ChatRequest& r) {
  JsonValue::Object members = members_of(v);
  for (auto& [name, value] : members) {
    if (name == "includeThoughts") (void)take(value, r.reasoning.visible);
    if (name == "thinkingBudget") (void)take(value, r.reasoning.budget);
    if (name == "thinkingLevel") r.reasoning.effort = lower(value.text());
  }
  if (r.reasoning.budget == 0) {
    r.reasoning.on = false;
    r.reasoning.budget.reset();
  }
  keep_others(r.extra, members, {"includeThoughts", "thinkingBudget", "thinkingLevel"},
              "thinkingConfig");
}

bool read_setting(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "temperature") return take(v, r.temperature);
  if (name == "topP") return take(v, r.top_p);
  if (name == "topK") return take(v, r.top_k);
  if (name == "seed") return take(v, r.seed);
  if (name == "maxOutputTokens") return take(v, r.max_tokens);
  if (name == "stopSequences") return take(v, r.stop);
  if (name == "frequencyPenalty") return take(v, r.frequency_penalty);
  if (name == "presencePenalty") return take(v, r.presence_penalty);
  if (name == "responseLogprobs") return take(v, r.logprobs);
  if (name == "logprobs") return take(v, r.top_logprobs);
  if (name == "candidateCount") {
    std::optional<int64_t> n;
    if (!take(v, n)) return false;
    r.choices = *n;
    return true;
  }
  if (name == "responseModalities") return v.size() == 1 && lower(v[0].text()) == "text";
  if (name == "thinkingConfig" && v.is_object()) {
    read_thinking(std::move(v), r);
    return true;
  }
  if (name == "responseMimeType") {
    if (v.text() != "application/json") return v.text() == "text/plain";
    if (r.format.kind == OutputFormat::Kind::kText) r.format.kind = OutputFormat::Kind::kJson;
    return true;
  }
  if ((name == "responseSchema" || name == "responseJsonSchema") && v.is_object()) {
    r.format.kind = OutputFormat::Kind::kSchema;
    r.format.schema = name == "responseSchema" ? schema_of_gemini(v) : std::move(v);
    return true;
  }
  return false;
}

}  // namespace

JsonValue schema_of_gemini(const JsonValue& schema) {
  if (schema.is_array()) {
    JsonValue::Array items;
    for (const JsonValue& each : schema.items()) items.push_back(schema_of_gemini(each));
    return JsonValue(std::move(items));
  }
  if (!schema.is_object()) return schema;
  JsonValue::Object members;
  const bool nullable = schema["nullable"].bool_or(false);
  for (const auto& [name, value] : schema.members()) {
    if (name == "type" && value.is_string()) {
      if (nullable) {
        JsonValue::Array both{JsonValue(lower(value.text())), JsonValue(std::string("null"))};
        members.emplace_back(name, JsonValue(std::move(both)));
      } else {
        members.emplace_back(name, JsonValue(lower(value.text())));
      }
    } else if (name == "nullable" || name == "propertyOrdering" || name == "property_ordering") {
      continue;
    } else if (name == "properties") {
      JsonValue::Object properties;
      for (const auto& [key, inner] : value.members())
        properties.emplace_back(key, schema_of_gemini(inner));
      members.emplace_back(name, JsonValue(std::move(properties)));
    } else if (name == "items" || name == "anyOf" || name == "any_of") {
      members.emplace_back(name == "any_of" ? "anyOf" : name, schema_of_gemini(value));
    } else if ((name == "minItems" || name == "maxItems" || name == "minLength" ||
                name == "maxLength" || name == "minProperties" || name == "maxProperties") &&
               value.is_string()) {
      // Google writes 64-bit numbers as text.
      const auto number = JsonValue::parse(value.text());
      members.emplace_back(name, number.ok() && number->is_number() ? *number : value);
    } else {
      members.emplace_back(name, value);
    }
  }
  return JsonValue(std::move(members));
}

Result<ChatRequest> read_gemini_request(std::string_view body, std::string_view model,
                                        bool stream) {
  SM_TRY(JsonValue::Object members, read_body(body));
  to_camel(members);
  ChatRequest r;
  r.dialect = kMe;
  r.model = model.starts_with("models/") ? model.substr(7) : model;
  r.stream = stream;
  if (r.model.empty()) return bad_request("the path names no model");
  Message system;
  system.role = Role::kSystem;
  JsonValue tool_config;
  for (auto& [name, v] : members) {
    if (v.is_null()) continue;
    if (name == "contents") {
      JsonValue::Array items;
      if (v.is_object()) {
        items.push_back(std::move(v));
      } else if (v.is_string()) {
        r.messages.emplace_back().parts.push_back(text_part(v.take_string()));
      } else {
        items = v.take_items();
      }
      for (size_t i = 0; i < items.size(); ++i)
        SM_CHECK_OK(read_content(std::move(items[i]), i, r.messages));
    } else if (name == "systemInstruction") {
      if (v.is_string()) {
        system.parts.push_back(text_part(v.take_string()));
        continue;
      }
      JsonValue::Object inner = members_of(v);
      for (auto& [key, value] : inner) {
        if (key == "parts") {
          SM_TRY(system.parts, read_parts(std::move(value), "systemInstruction"));
        }
      }
      keep_others(r.extra, inner, {"role", "parts"}, name);
    } else if (name == "tools") {
      read_tools(std::move(v), r);
    } else if (name == "toolConfig") {
      tool_config = std::move(v);
    } else if (name == "generationConfig") {
      JsonValue::Object settings = members_of(v);
      for (auto& [key, value] : settings) {
        if (!value.is_null() && !read_setting(key, value, r))
          r.extra.emplace_back("generationConfig." + key, std::move(value));
      }
    } else if (name == "model") {
      continue;  // the path's goes before it
    } else if (name == "labels" || name == "serviceTier" || name == "store") {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else {
      if (name == "cachedContent") r.never_cache = "a reference to what the provider keeps";
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.messages.empty()) return bad_request("'contents' must be a list with at least one content");
  if (!tool_config.is_null()) read_tool_config(std::move(tool_config), r);
  if (!system.parts.empty()) r.messages.insert(r.messages.begin(), std::move(system));
  link_tools(r.messages);
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

namespace {

// From Gemini 3 on reasoning is told by level, and calls must bring their signature: this one says
// that there is none (https://ai.google.dev/gemini-api/docs/thought-signatures).
bool is_gemini_2(std::string_view model) {
  return model.find("gemini-2") != std::string_view::npos ||
         model.find("gemini-1") != std::string_view::npos;
}
constexpr std::string_view kNoSignature = "skip_thought_signature_validator";

Result<void> write_part(JsonWriter& w, const Part& p, bool wants_signature) {
  SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
  if (!p.media.file_id.empty()) return cannot_express(kMe, "a file by another provider's id");
  w.begin_object();
  switch (p.kind) {
    case Kind::kText:
    case Kind::kRefusal:
      w.field("text", p.text);
      break;
    case Kind::kImage:
    case Kind::kAudio:
    case Kind::kDocument:
      if (!p.text.empty()) {
        w.field("text", p.media.name.empty() ? p.text : p.media.name + "\n\n" + p.text);
        break;
      }
      if (p.media.data.empty())
        return cannot_express(kMe, p.kind == Kind::kImage
                                       ? "a remote image: send its bytes as a data: URL"
                                       : "remote media: send its bytes");
      w.key("inlineData").begin_object().field("mimeType", p.media.mime);
      w.field("data", p.media.data).end_object();
      break;
    case Kind::kToolCall: {
      SM_TRY(const JsonValue arguments, arguments_object(kMe, p));
      w.key("functionCall").begin_object().field("name", p.name).key("args");
      arguments.write(w);
      w.end_object();
      break;
    }
    case Kind::kToolResult: {
      if (p.name.empty())
        return bad_request("the tool answer '" + p.id + "' belongs to no call before it");
      if (!only_text(p.parts)) return cannot_express(kMe, "a tool result that is more than text");
      const std::string text = joined_text(p.parts);
      w.key("functionResponse").begin_object().field("name", p.name).key("response");
      const auto object = JsonValue::parse(text);
      if (object.ok() && object->is_object() && !p.error) {
        object->write(w);
      } else {
        w.begin_object().field(p.error ? "error" : "result", text).end_object();
      }
      w.end_object();
      break;
    }
    default:
      return cannot_express(kMe, "a part of type '" + p.name + "'");
  }
  if (const auto own = own_signature("gemini", p.signature); !own.empty()) {
    w.field("thoughtSignature", own);
  } else if (wants_signature) {
    w.field("thoughtSignature", kNoSignature);
  }
  w.end_object();
  return ok();
}

Result<void> write_contents(JsonWriter& w, const ChatRequest& r, bool signatures) {
  std::vector<const Part*> system;
  for (const Message& m : r.messages) {
    SM_CHECK_OK(refuse_extra(kMe, m.extra, "a message's"));
    for (const Part& p : m.parts) {
      if (m.role == Role::kSystem) system.push_back(&p);
    }
  }
  if (!system.empty()) {
    w.key("systemInstruction").begin_object().key("parts").begin_array();
    for (const Part* p : system) SM_CHECK_OK(write_part(w, *p, false));
    w.end_array().end_object();
  }
  w.key("contents").begin_array();
  for (const Message& m : r.messages) {
    const auto goes_out = [](const Part& p) {
      return p.kind != Kind::kReasoning && p.kind != Kind::kRedacted;
    };
    if (m.role == Role::kSystem || std::none_of(m.parts.begin(), m.parts.end(), goes_out)) continue;
    w.begin_object().field("role", m.role == Role::kAssistant ? "model" : "user");
    w.key("parts").begin_array();
    bool first_call = true;
    for (const Part& p : m.parts) {
      if (!goes_out(p)) continue;
      const bool call = p.kind == Kind::kToolCall;
      SM_CHECK_OK(write_part(w, p, call && first_call && signatures));
      first_call &= !call;
    }
    w.end_array().end_object();
  }
  w.end_array();
  return ok();
}

Result<void> write_tools(JsonWriter& w, const ChatRequest& r) {
  if (r.tools.empty()) return ok();
  bool strict = false;
  w.key("tools").begin_array().begin_object().key("functionDeclarations").begin_array();
  for (const ToolSpec& t : r.tools) {
    if (t.type != "function") return cannot_express(kMe, "a tool of type '" + t.type + "'");
    SM_CHECK_OK(refuse_extra(kMe, t.extra, "a tool's", {"eager_input_streaming"}));
    strict |= t.strict.value_or(false);
    w.begin_object().field("name", t.name);
    if (!t.description.empty()) w.field("description", t.description);
    if (t.schema.is_object()) {
      w.key("parametersJsonSchema");
      t.schema.write(w);
    }
    w.end_object();
  }
  w.end_array().end_object().end_array();
  if (r.parallel_tools == false) return cannot_express(kMe, "'parallel_tool_calls': false");
  using Mode = ToolChoice::Mode;
  const ToolChoice& choice = r.tool_choice;
  if (choice.mode == Mode::kUnset && !strict) return ok();
  if (!choice.names.empty() && choice.mode != Mode::kRequired)
    return cannot_express(kMe, "a free choice among some of the tools ('tool_choice')");
  w.key("toolConfig").begin_object().key("functionCallingConfig").begin_object();
  w.field("mode", choice.mode == Mode::kNone       ? "NONE"
                  : choice.mode == Mode::kRequired ? "ANY"
                  : strict                         ? "VALIDATED"
                                                   : "AUTO");
  if (!choice.names.empty()) w.field("allowedFunctionNames", choice.names);
  w.end_object().end_object();
  return ok();
}

void write_thinking(JsonWriter& w, const Reasoning& think, std::string_view model) {
  if (!think.said()) return;
  const bool old = is_gemini_2(model);
  w.key("thinkingConfig").begin_object();
  if (think.on == false) {
    if (old) {
      w.field("thinkingBudget", 0);
    } else {
      w.field("thinkingLevel", "minimal");
    }
  } else {
    if (think.budget && (old || think.effort.empty())) {
      w.field("thinkingBudget", *think.budget);
    } else if (!think.effort.empty()) {
      if (old) {
        w.field("thinkingBudget", std::min<int64_t>(budget_of_effort(think.effort), 24576));
      } else {
        w.field("thinkingLevel", think.effort == "xhigh" || think.effort == "max"
                                     ? std::string("high")
                                     : think.effort);
      }
    } else if (think.on == true && old) {
      w.field("thinkingBudget", -1);
    }
    w.field("includeThoughts", think.visible.value_or(true));
  }
  w.end_object();
}

}  // namespace

Result<std::string> write_gemini_request(const ChatRequest& r, std::string_view model) {
  SM_CHECK_OK(refuse_extra(kMe, r.extra, "the parameter"));
  std::string out;
  out.reserve(r.body.size() + 256);
  JsonWriter w(out);
  w.begin_object();
  SM_CHECK_OK(write_contents(w, r, !is_gemini_2(model)));
  SM_CHECK_OK(write_tools(w, r));
  std::string settings;
  JsonWriter s(settings);
  s.begin_object();
  const auto number = [&s](std::string_view name, const auto& v) {
    if (v) s.field(name, *v);
  };
  number("temperature", r.temperature);
  number("topP", r.top_p);
  number("topK", r.top_k);
  number("seed", r.seed);
  number("maxOutputTokens", r.max_tokens);
  number("frequencyPenalty", r.frequency_penalty);
  number("presencePenalty", r.presence_penalty);
  number("responseLogprobs", r.logprobs);
  number("logprobs", r.top_logprobs);
  if (r.choices != 1) s.field("candidateCount", r.choices);
  if (!r.stop.empty()) s.field("stopSequences", r.stop);
  if (r.format.kind != OutputFormat::Kind::kText) s.field("responseMimeType", "application/json");
  if (r.format.kind == OutputFormat::Kind::kSchema) {
    s.key("responseJsonSchema");
    r.format.schema.write(s);
  }
  write_thinking(s, r.reasoning, model);
  s.end_object();
  if (settings != "{}") w.key("generationConfig").raw(settings);
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
