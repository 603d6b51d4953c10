// Requests of other dialects in the form of OpenAI's responses: for the models that OpenAI serves
// there alone. Nothing is kept by it (`store` false), and no earlier response is referred to.
#include <set>
#include <span>

#include "ai/dialect/parts.h"
#include "ai/dialect/responses.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

using Kind = Part::Kind;
using Role = Message::Role;
constexpr Dialect kMe = Dialect::kResponses;

Error not_in_responses(const std::string& what) {
  return Error(ErrorCode::kInvalidArgument,
               "this model is served in OpenAI's responses alone, which cannot express " + what,
               "leave it out, or choose another model");
}

Result<void> write_input_part(JsonWriter& w, const Part& p) {
  SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
  w.begin_object();
  if (p.kind == Kind::kText) {
    w.field("type", "input_text").field("text", p.text);
  } else if (p.kind == Kind::kImage) {
    if (!p.media.file_id.empty()) return not_in_responses("an image by another's file id");
    w.field("type", "input_image").field("image_url", data_url(p.media));
    w.field("detail", p.media.detail.empty() ? std::string("auto") : p.media.detail);
  } else if (p.kind == Kind::kDocument && !p.text.empty()) {
    w.field("type", "input_text")
        .field("text", p.media.name.empty() ? p.text : p.media.name + "\n\n" + p.text);
  } else if (p.kind == Kind::kDocument) {
    if (p.media.data.empty()) return not_in_responses("a document that is not sent along");
    w.field("type", "input_file");
    w.field("filename", p.media.name.empty() ? std::string("document.pdf") : p.media.name);
    w.field("file_data", data_url(p.media));
  } else if (p.kind == Kind::kAudio) {
    return not_in_responses("audio");
  } else {
    return not_in_responses("a part of type '" + p.name + "'");
  }
  w.end_object();
  return ok();
}

// One text stands for itself; else a list of parts.
Result<void> write_input(JsonWriter& w, const std::vector<Part>& parts) {
  if (parts.size() == 1 && only_text(parts)) {
    w.value(parts[0].text);
    return ok();
  }
  w.begin_array();
  for (const Part& p : parts) SM_CHECK_OK(write_input_part(w, p));
  w.end_array();
  return ok();
}

void write_call(JsonWriter& w, const Part& p) {
  w.begin_object().field("type", p.custom ? "custom_tool_call" : "function_call");
  w.field("call_id", p.id).field("name", p.name);
  w.field(p.custom ? "input" : "arguments", p.text.empty() && !p.custom ? "{}" : p.text);
  w.end_object();
}

// Reasoning that OpenAI signed; whatever another said, or nobody signed, it refuses.
void write_reasoning(JsonWriter& w, const Part& p) {
  const auto own = own_signature("openai", p.signature);
  if (own.empty()) return;
  w.begin_object().field("type", "reasoning").key("summary").begin_array();
  if (!p.text.empty())
    w.begin_object().field("type", "summary_text").field("text", p.text).end_object();
  w.end_array().field("encrypted_content", own).end_object();
}

bool is_said(const Part& p) {
  return p.kind == Kind::kText || p.kind == Kind::kRefusal;
}

Result<void> write_said(JsonWriter& w, std::span<const Part> parts) {
  for (const Part& p : parts) SM_CHECK_OK(refuse_extra(kMe, p.extra, "the part's"));
  w.begin_object().field("role", "assistant").key("content");
  if (parts.size() == 1 && parts[0].kind == Kind::kText) {
    w.value(parts[0].text).end_object();
    return ok();
  }
  w.begin_array();
  for (const Part& p : parts) {
    const bool refusal = p.kind == Kind::kRefusal;
    w.begin_object().field("type", refusal ? "refusal" : "output_text");
    w.field(refusal ? "refusal" : "text", p.text);
    if (!refusal) w.key("annotations").begin_array().end_array();
    w.end_object();
  }
  w.end_array().end_object();
  return ok();
}

// Text, reasoning and calls as items in their order; texts that follow each other are one message.
Result<void> write_assistant(JsonWriter& w, const Message& m) {
  for (size_t i = 0; i < m.parts.size(); ++i) {
    const Part& p = m.parts[i];
    if (is_said(p)) {
      const size_t begin = i;
      while (i + 1 < m.parts.size() && is_said(m.parts[i + 1])) ++i;
      SM_CHECK_OK(write_said(w, std::span(m.parts).subspan(begin, i + 1 - begin)));
      continue;
    }
    if (p.kind == Kind::kReasoning) {
      write_reasoning(w, p);
    } else if (p.kind == Kind::kToolCall) {
      SM_CHECK_OK(refuse_extra(kMe, p.extra, "a call's"));
      write_call(w, p);
    } else if (p.kind != Kind::kRedacted) {
      return not_in_responses("a part of type '" + p.name + "' in an answer");
    }
  }
  return ok();
}

Result<void> write_messages(JsonWriter& w, const std::vector<Message>& messages) {
  std::set<std::string> custom;  // ids of calls of custom tools
  for (const Message& m : messages) {
    SM_CHECK_OK(refuse_extra(kMe, m.extra, "a message's"));
    if (m.role == Role::kAssistant) {
      for (const Part& p : m.parts) {
        if (p.kind == Kind::kToolCall && p.custom) custom.insert(p.id);
      }
      SM_CHECK_OK(write_assistant(w, m));
      continue;
    }
    if (m.role != Role::kTool) {
      w.begin_object().field("role", m.role == Role::kUser ? "user"
                                     : m.developer         ? "developer"
                                                           : "system");
      w.key("content");
      SM_CHECK_OK(write_input(w, m.parts));
      w.end_object();
      continue;
    }
    for (const Part& p : m.parts) {
      SM_CHECK_OK(refuse_extra(kMe, p.extra, "a tool result's"));
      const bool of_custom = custom.contains(p.id);
      w.begin_object().field("type",
                             of_custom ? "custom_tool_call_output" : "function_call_output");
      w.field("call_id", p.id).key("output");
      if (p.error) {
        if (!only_text(p.parts)) return not_in_responses("a failed tool's result beyond its text");
        w.value(failed_text(joined_text(p.parts)));
      } else if (p.parts.empty()) {
        w.value("");
      } else {
        SM_CHECK_OK(write_input(w, p.parts));
      }
      w.end_object();
    }
  }
  return ok();
}

Result<void> write_tools(JsonWriter& w, const std::vector<ToolSpec>& tools) {
  if (tools.empty()) return ok();
  w.key("tools").begin_array();
  for (const ToolSpec& t : tools) {
    if (t.hosted()) return not_in_responses("another's tool of type '" + t.type + "'");
    SM_CHECK_OK(refuse_extra(kMe, t.extra, "a tool's", {"eager_input_streaming", "defer_loading"}));
    w.begin_object().field("type", t.type).field("name", t.name);
    if (!t.description.empty()) w.field("description", t.description);
    if (t.type == "function") {
      w.key("parameters");
      t.schema.write(w);
      // Unsaid is true here, and false everywhere else.
      w.field("strict", t.strict.value_or(false));
    }
    w.end_object();
  }
  w.end_array();
  return ok();
}

void write_tool_choice(JsonWriter& w, const ToolChoice& choice) {
  using Mode = ToolChoice::Mode;
  if (choice.mode == Mode::kUnset) return;
  const std::string_view word = choice.mode == Mode::kAuto   ? "auto"
                                : choice.mode == Mode::kNone ? "none"
                                                             : "required";
  w.key("tool_choice");
  const auto tool = [&w](const std::string& name) {
    w.begin_object().field("type", "function").field("name", name).end_object();
  };
  if (choice.names.empty()) {
    w.value(word);
  } else if (choice.mode == Mode::kRequired && choice.names.size() == 1) {
    tool(choice.names[0]);
  } else {
    w.begin_object().field("type", "allowed_tools").field("mode", word).key("tools").begin_array();
    for (const std::string& name : choice.names) tool(name);
    w.end_array().end_object();
  }
}

void write_text(JsonWriter& w, const ChatRequest& r) {
  const JsonValue* verbosity = nullptr;
  for (const auto& [name, value] : r.extra) {
    if (name == "verbosity") verbosity = &value;
  }
  const OutputFormat& f = r.format;
  if (f.kind == OutputFormat::Kind::kText && verbosity == nullptr) return;
  w.key("text").begin_object();
  if (f.kind == OutputFormat::Kind::kJson)
    w.key("format").begin_object().field("type", "json_object").end_object();
  if (f.kind == OutputFormat::Kind::kSchema) {
    w.key("format").begin_object().field("type", "json_schema");
    w.field("name", f.name.empty() ? std::string("answer") : f.name);
    if (!f.description.empty()) w.field("description", f.description);
    if (f.strict) w.field("strict", *f.strict);
    w.key("schema");
    f.schema.write(w);
    w.end_object();
  }
  if (verbosity != nullptr) {
    w.key("verbosity");
    verbosity->write(w);
  }
  w.end_object();
}

void write_reasoning_wish(JsonWriter& w, const Reasoning& wish) {
  std::string effort = wish.effort == "max" ? "xhigh" : wish.effort;
  if (wish.on == false) {
    effort = "none";
  } else if (effort.empty() && wish.budget) {
    effort = effort_of_budget(*wish.budget);
  }
  const bool visible = wish.visible.value_or(false);
  if (effort.empty() && !visible) return;
  w.key("reasoning").begin_object();
  if (!effort.empty()) w.field("effort", effort);
  if (visible) w.field("summary", "auto");
  w.end_object();
}

bool has_own_reasoning(const ChatRequest& r) {
  for (const Message& m : r.messages) {
    for (const Part& p : m.parts) {
      if (p.kind == Kind::kReasoning && !own_signature("openai", p.signature).empty()) return true;
    }
  }
  return false;
}

Result<void> refuse_parameters(const ChatRequest& r) {
  const auto refuse = [](const char* name) {
    return not_in_responses("the parameter '" + std::string(name) + "'");
  };
  if (!r.stop.empty()) return refuse("stop");
  if (r.seed) return refuse("seed");
  if (r.top_k) return refuse("top_k");
  if (r.frequency_penalty.value_or(0) != 0) return refuse("frequency_penalty");
  if (r.presence_penalty.value_or(0) != 0) return refuse("presence_penalty");
  const bool verbosity = r.dialect == Dialect::kOpenAi;
  return verbosity ? refuse_extra(kMe, r.extra, "the parameter", {"verbosity"})
                   : refuse_extra(kMe, r.extra, "the parameter");
}

}  // namespace

Result<std::string> write_responses_request(const ChatRequest& r, std::string_view model,
                                            bool stream) {
  SM_CHECK_OK(refuse_parameters(r));
  std::string out;
  out.reserve(r.body.size() + 256);
  JsonWriter w(out);
  w.begin_object().field("model", model).key("input").begin_array();
  SM_CHECK_OK(write_messages(w, r.messages));
  w.end_array();
  SM_CHECK_OK(write_tools(w, r.tools));
  write_tool_choice(w, r.tool_choice);
  if (r.parallel_tools) w.field("parallel_tool_calls", *r.parallel_tools);
  write_text(w, r);
  if (r.max_tokens) w.field("max_output_tokens", *r.max_tokens);
  if (r.temperature) w.field("temperature", *r.temperature);
  if (r.top_p) w.field("top_p", *r.top_p);
  if (r.top_logprobs) w.field("top_logprobs", *r.top_logprobs);
  write_reasoning_wish(w, r.reasoning);
  const bool logprobs = r.logprobs.value_or(false);
  const bool reasons = r.reasoning.said() || has_own_reasoning(r);
  if (logprobs || reasons) {
    w.key("include").begin_array();
    if (logprobs) w.value("message.output_text.logprobs");
    if (reasons) w.value("reasoning.encrypted_content");
    w.end_array();
  }
  w.field("store", false);
  if (stream) w.field("stream", true);
  w.end_object();
  return out;
}

}  // namespace samplemind::ai
