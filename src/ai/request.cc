#include "ai/request.h"

#include <algorithm>
#include <map>

#include "ai/canonical_json.h"

namespace samplemind::ai {

std::string_view dialect_name(Dialect dialect) {
  switch (dialect) {
    case Dialect::kOpenAi:
    case Dialect::kResponses:
    case Dialect::kCompletions:
      return "OpenAI";
    case Dialect::kAnthropic:
      return "Anthropic";
    case Dialect::kGemini:
      return "Gemini";
    case Dialect::kOllama:
    case Dialect::kOllamaGenerate:
      break;
  }
  return "Ollama";
}

namespace {

// Appends members in the order they are given; that order is fixed, which is all a key needs.
class Canonical {
 public:
  std::string out;

  void open(char bracket) {
    separate();
    out += bracket;
    comma_ = false;
  }
  void close(char bracket) {
    out += bracket;
    comma_ = true;
  }
  void key(std::string_view name) {
    separate();
    append_canonical_string(out, name);
    out += ':';
    comma_ = false;
  }
  void text(std::string_view s) {
    separate();
    append_canonical_string(out, s);
  }
  void value(const JsonValue& v) {
    separate();
    append_canonical(out, v);
  }
  // Left out when empty.
  void field(std::string_view name, const std::string& s) {
    if (s.empty()) return;
    key(name);
    text(s);
  }
  void field(std::string_view name, const std::optional<int64_t>& n) {
    if (!n) return;
    key(name);
    raw(std::to_string(*n));
  }
  void field(std::string_view name, const std::optional<double>& n) {
    if (!n) return;
    key(name);
    raw(ecmascript_number(*n));
  }
  void field(std::string_view name, const std::optional<bool>& b) {
    if (!b) return;
    key(name);
    raw(*b ? "true" : "false");
  }
  void flag(std::string_view name, bool b) {
    if (b) field(name, std::optional<bool>(true));
  }
  void field(std::string_view name, const JsonValue& v) {
    if (v.is_null()) return;
    key(name);
    value(v);
  }
  void field(std::string_view name, const std::vector<std::string>& list) {
    if (list.empty()) return;
    key(name);
    open('[');
    for (const std::string& each : list) text(each);
    close(']');
  }
  // By name: two spellings may differ in order.
  void extra(const ExtraValues& members, std::string_view name = "+") {
    if (members.empty()) return;
    std::vector<const std::pair<std::string, JsonValue>*> sorted;
    for (const auto& member : members) sorted.push_back(&member);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto* a, const auto* b) { return a->first < b->first; });
    key(name);
    open('{');
    for (const auto* member : sorted) field(member->first, member->second);
    close('}');
  }

 private:
  void raw(std::string_view s) {
    separate();
    out += s;
  }
  void separate() {
    if (comma_) out += ',';
    comma_ = true;
  }
  bool comma_ = false;
};

// Ids of calls are made anew for each answer: what counts is which call a result belongs to.
using CallNumbers = std::map<std::string, size_t>;

std::string_view kind_name(Part::Kind kind) {
  using Kind = Part::Kind;
  switch (kind) {
    case Kind::kText:
      return "text";
    case Kind::kImage:
      return "image";
    case Kind::kAudio:
      return "audio";
    case Kind::kDocument:
      return "document";
    case Kind::kReasoning:
      return "reasoning";
    case Kind::kRedacted:
      return "redacted";
    case Kind::kRefusal:
      return "refusal";
    case Kind::kToolCall:
      return "call";
    case Kind::kToolResult:
      return "result";
    case Kind::kOther:
      break;
  }
  return "other";
}

void write_parts(Canonical& c, const std::vector<Part>& parts, CallNumbers& calls);

void write_part(Canonical& c, const Part& p, CallNumbers& calls) {
  c.open('{');
  c.key(kind_name(p.kind));
  if (p.kind == Part::Kind::kToolCall && !p.custom) {
    // White space within the arguments is the client's, not the model's.
    const auto arguments = JsonValue::parse(p.text.empty() ? "{}" : p.text);
    if (arguments.ok() && arguments->is_object()) {
      c.value(*arguments);
    } else {
      c.text(p.text);
    }
  } else {
    c.text(p.text);
  }
  if (p.kind == Part::Kind::kToolCall) {
    c.field("name", p.name);
    if (!p.id.empty()) calls.emplace(p.id, calls.size());
    c.flag("custom", p.custom);
  } else if (p.kind == Part::Kind::kToolResult) {
    if (const auto it = calls.find(p.id); it != calls.end()) {
      c.field("call", std::optional<int64_t>(static_cast<int64_t>(it->second)));
    } else {
      c.field("id", p.id);
      c.field("name", p.name);
    }
    c.flag("error", p.error);
    c.key("parts");
    write_parts(c, p.parts, calls);
  } else {
    c.field("id", p.id);
    c.field("name", p.name);
  }
  c.field("signature", p.signature);
  c.field("mime", p.media.mime);
  c.field("data", p.media.data);
  c.field("url", p.media.url);
  c.field("file", p.media.file_id);
  c.field("title", p.media.name);
  c.field("detail", p.media.detail);
  c.extra(p.extra);
  c.close('}');
}

void write_parts(Canonical& c, const std::vector<Part>& parts, CallNumbers& calls) {
  c.open('[');
  for (const Part& p : parts) write_part(c, p, calls);
  c.close(']');
}

void write_message(Canonical& c, const Message& m, CallNumbers& calls) {
  constexpr std::string_view kRoles[] = {"system", "user", "assistant", "tool"};
  c.open('{');
  c.key(kRoles[static_cast<size_t>(m.role)]);
  write_parts(c, m.parts, calls);
  c.extra(m.extra);
  c.close('}');
}

void write_tool(Canonical& c, const ToolSpec& t) {
  c.open('{');
  c.key(t.type);
  c.text(t.name);
  c.field("description", t.description);
  c.field("schema", t.schema);
  c.field("strict", t.strict);
  c.extra(t.extra);
  c.close('}');
}

void write_reasoning(Canonical& c, const Reasoning& r) {
  if (!r.said()) return;
  c.key("reasoning");
  c.open('{');
  c.field("on", r.on);
  c.field("effort", r.effort);
  c.field("budget", r.budget);
  c.field("visible", r.visible);
  c.flag("adaptive", r.adaptive);
  c.close('}');
}

void write_format(Canonical& c, const OutputFormat& f) {
  if (f.kind == OutputFormat::Kind::kText) return;
  c.key("format");
  c.open('{');
  c.flag(f.kind == OutputFormat::Kind::kJson ? "json" : "schema", true);
  c.field("name", f.name);
  c.field("description", f.description);
  c.field("as", f.schema);
  c.field("strict", f.strict);
  c.close('}');
}

// Models that look things up by themselves.
bool searching_model(std::string_view name) {
  return name.ends_with(":online") || name.find("-search-preview") != std::string_view::npos ||
         name.find("-search-api") != std::string_view::npos ||
         name.find("deep-research") != std::string_view::npos;
}

std::string reason_in(const std::vector<Part>& parts) {
  for (const Part& p : parts) {
    if (!p.media.file_id.empty()) return "a file id";
    if (!p.media.url.empty()) return "remote media";
    for (const auto& [name, value] : p.extra) {
      if (name.ends_with("file_id") || !value["file_id"].is_null()) return "a file id";
      if (!name.ends_with("_url")) continue;
      const std::string_view url = value.is_object() ? value["url"].text() : value.text();
      if (!url.starts_with("data:")) return "remote media";
    }
    if (std::string why = reason_in(p.parts); !why.empty()) return why;
  }
  return {};
}

}  // namespace

std::string canonical_request(const ChatRequest& r) {
  Canonical c;
  c.out.reserve(r.body.size() + 256);
  CallNumbers calls;
  c.open('{');
  c.key("messages");
  c.open('[');
  for (const Message& m : r.messages) write_message(c, m, calls);
  c.close(']');
  if (!r.tools.empty()) {
    c.key("tools");
    c.open('[');
    for (const ToolSpec& t : r.tools) write_tool(c, t);
    c.close(']');
  }
  // A free choice is what a request with tools means when it says nothing.
  const bool free_choice =
      r.tool_choice.mode == ToolChoice::Mode::kAuto && r.tool_choice.names.empty();
  if (r.tool_choice.mode != ToolChoice::Mode::kUnset && !free_choice)
    c.field("tool_choice", std::optional<int64_t>(static_cast<int64_t>(r.tool_choice.mode)));
  c.field("tool_names", r.tool_choice.names);
  c.field("parallel_tools", r.parallel_tools);
  write_format(c, r.format);
  write_reasoning(c, r.reasoning);
  c.field("max_tokens", r.max_tokens);
  c.field("temperature", r.temperature);
  c.field("top_p", r.top_p);
  c.field("top_k", r.top_k);
  c.field("frequency_penalty", r.frequency_penalty);
  c.field("presence_penalty", r.presence_penalty);
  c.field("seed", r.seed);
  c.field("stop", r.stop);
  c.field("logprobs", r.logprobs);
  c.field("top_logprobs", r.top_logprobs);
  if (r.choices != 1) c.field("choices", std::optional<int64_t>(r.choices));
  c.extra(r.extra);
  c.extra(r.hints, "~");
  c.close('}');
  return std::move(c.out);
}

std::string reason_not_to_cache(const ChatRequest& r) {
  for (const ToolSpec& t : r.tools) {
    // Hosted tools act on the world or read it anew: only plain functions give the same answer
    // twice.
    if (t.hosted()) return "the hosted tool " + t.type;
  }
  if (searching_model(r.model)) return "web search";
  for (const auto& [name, value] : r.aside) {
    if (name == "store" && value.boolean() == false) return "store: false";
  }
  if (r.choices != 1) return "several choices";
  for (const Message& m : r.messages) {
    for (const auto& [name, value] : m.extra) {
      if (name == "audio" && !value["id"].is_null()) return "an audio id";
    }
    if (std::string why = reason_in(m.parts); !why.empty()) return why;
  }
  return {};
}

}  // namespace samplemind::ai
