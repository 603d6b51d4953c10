#include "ai/dialect/openai.h"

#include <simdjson.h>

#include <algorithm>
#include <array>

#include "ai/dialect/parts.h"

namespace samplemind::ai {

namespace {

// The members of `object` that are not in `known`, as they are; null ones say nothing.
template <size_t N>
ExtraMembers extra_members(const JsonValue& object, const std::array<std::string_view, N>& known) {
  ExtraMembers extra;
  for (const auto& [name, value] : object.members()) {
    if (!value.is_null() && std::find(known.begin(), known.end(), name) == known.end())
      extra.emplace_back(name, value.dump());
  }
  return extra;
}
constexpr std::array<std::string_view, 7> kAnswerMembers{"id",      "object", "created", "model",
                                                         "choices", "usage",  "error"};
constexpr std::array<std::string_view, 5> kChoiceMembers{"index", "message", "delta", "logprobs",
                                                         "finish_reason"};
constexpr std::array<std::string_view, 6> kMessageMembers{
    "role", "content", "refusal", "reasoning", "reasoning_content", "tool_calls"};

void write_extra(JsonWriter& w, const ExtraMembers& extra) {
  for (const auto& [name, json] : extra) w.key(name).raw(json);
}

// A count as we can use it: nonsense from outside never becomes a negative or absurd bill.
int64_t token_count(const JsonValue& v) {
  return std::clamp<int64_t>(v.integer_or(0), 0, 1'000'000'000);
}

std::string logprob_items(const JsonValue& choice, std::string_view list) {
  std::string out;
  for (const JsonValue& item : choice["logprobs"][list].items()) {
    if (!out.empty()) out += ',';
    out += item.dump();
  }
  return out;
}

void write_logprobs(JsonWriter& w, const std::string& content, const std::string& refusal) {
  if (content.empty() && refusal.empty()) {
    w.null();
    return;
  }
  const auto list = [&w](std::string_view name, const std::string& items) {
    w.key(name);
    if (items.empty()) {
      w.null();
    } else {
      w.raw("[" + items + "]");
    }
  };
  w.begin_object();
  list("content", content);
  list("refusal", refusal);
  w.end_object();
}

void write_head(JsonWriter& w, const ChatAnswer& a, std::string_view object) {
  w.field("id", a.id).field("object", object).field("created", a.created_s).field("model", a.model);
}

// `index` only within a stream, where later pieces have neither id nor name.
void write_tool(JsonWriter& w, const ToolCall& t, std::optional<size_t> index) {
  const bool first = !index || !t.name.empty();
  w.begin_object();
  if (index) w.field("index", *index);
  if (!t.id.empty()) w.field("id", t.id);
  if (first) w.field("type", t.custom ? "custom" : "function");
  w.key(t.custom ? "custom" : "function").begin_object();
  if (first) w.field("name", t.name);
  w.field(t.custom ? "input" : "arguments", t.arguments).end_object();
  if (!t.signature.empty()) {
    w.key("extra_content").begin_object().key("google").begin_object();
    w.field("thought_signature", told_signature("gemini", t.signature));
    w.end_object().end_object();
  }
  w.end_object();
}

// Signed reasoning, as LiteLLM writes it: a client that gives it back lets the model go on from it.
void write_thinking(JsonWriter& w, std::string_view text, std::string_view signature) {
  w.begin_object().field("type", "thinking").field("thinking", text);
  w.field("signature", told_signature("anthropic", signature)).end_object();
}
void write_redacted(JsonWriter& w, std::string_view data) {
  w.begin_object().field("type", "redacted_thinking").field("data", data).end_object();
}
void write_thinking_blocks(JsonWriter& w, const ChatAnswer& a) {
  const bool any = std::any_of(a.blocks.begin(), a.blocks.end(), [](const Block& b) {
    return b.kind == Block::Kind::kRedacted ||
           (b.kind == Block::Kind::kReasoning && !b.signature.empty());
  });
  if (!any) return;
  w.key("thinking_blocks").begin_array();
  size_t at = 0;
  for (const Block& b : a.blocks) {
    if (b.kind == Block::Kind::kRedacted) write_redacted(w, b.data);
    if (b.kind != Block::Kind::kReasoning) continue;
    write_thinking(w,
                   std::string_view(a.reasoning).substr(std::min(at, a.reasoning.size()), b.size),
                   b.signature);
    at += b.size;
  }
  w.end_array();
}

ToolCall read_tool(const JsonValue& t) {
  ToolCall call;
  call.custom = t["custom"].is_object();
  const JsonValue& body = t[call.custom ? "custom" : "function"];
  call.id = t["id"].string_or("");
  call.name = body["name"].string_or("");
  call.arguments = body[call.custom ? "input" : "arguments"].string_or("");
  call.signature =
      marked_signature("gemini", t["extra_content"]["google"]["thought_signature"].string_or(""));
  return call;
}

// Reasons that only another provider has: the answer is there, if not all that was asked for.
std::string openai_finish(const std::string& reason) {
  constexpr std::array<std::string_view, 5> kKnown{"stop", "length", "tool_calls", "content_filter",
                                                   "function_call"};
  if (reason.empty() || std::find(kKnown.begin(), kKnown.end(), reason) != kKnown.end())
    return reason;
  return "stop";
}

std::string_view reasoning_field(const std::string& name) {
  return name.empty() ? std::string_view("reasoning_content") : std::string_view(name);
}

std::string read_reasoning(const JsonValue& message, std::string& field) {
  if (auto text = message["reasoning_content"].string(); text && !text->empty()) return *text;
  auto text = message["reasoning"].string();
  if (text && !text->empty()) field = "reasoning";
  return text.value_or("");
}

// `i` at the opening quote; gives the place after the closing one. The text is valid JSON.
size_t skip_string(std::string_view s, size_t i) {
  const size_t begin = i + 1;
  for (size_t from = begin;;) {
    const size_t quote = std::min(s.find('"', from), s.size());
    size_t run = quote;  // of backslashes before the quote: an odd number escapes it
    while (run > begin && s[run - 1] == '\\') --run;
    if (quote == s.size() || (quote - run) % 2 == 0) return std::min(quote + 1, s.size());
    from = quote + 1;
  }
}

size_t skip_space(std::string_view s, size_t i) {
  while (i < s.size() && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r')) ++i;
  return i;
}

size_t skip_value(std::string_view s, size_t i) {
  if (s[i] == '"') return skip_string(s, i);
  if (s[i] == '{' || s[i] == '[') {
    int depth = 0;
    do {
      const char c = s[i];
      if (c == '"') {
        i = skip_string(s, i);
        continue;
      }
      depth += static_cast<int>(c == '{' || c == '[') - static_cast<int>(c == '}' || c == ']');
      ++i;
    } while (depth > 0 && i < s.size());
    return i;
  }
  while (i < s.size() && std::string_view(",}] \t\r\n").find(s[i]) == std::string_view::npos) ++i;
  return i;
}

}  // namespace

Usage read_openai_usage(const JsonValue& u) {
  Usage usage;
  usage.reported = u.is_object();
  if (!usage.reported) return usage;
  const JsonValue& input = u["prompt_tokens_details"];
  usage.input_tokens = token_count(u["prompt_tokens"]);
  usage.output_tokens = token_count(u["completion_tokens"]);
  usage.cached_input_tokens = std::min(token_count(input["cached_tokens"]), usage.input_tokens);
  usage.cache_write_tokens = std::min(token_count(input["cache_write_tokens"]),
                                      usage.input_tokens - usage.cached_input_tokens);
  usage.reasoning_tokens = token_count(u["completion_tokens_details"]["reasoning_tokens"]);
  usage.audio_input_tokens = token_count(input["audio_tokens"]);
  usage.image_input_tokens = token_count(input["image_tokens"]);
  usage.audio_output_tokens = token_count(u["completion_tokens_details"]["audio_tokens"]);
  usage.openai_json = u.dump();
  return usage;
}

void write_openai_usage(JsonWriter& w, const Usage& u) {
  w.key("usage");
  if (!u.openai_json.empty()) {
    w.raw(u.openai_json);
    return;
  }
  w.begin_object();
  w.field("prompt_tokens", u.input_tokens)
      .field("completion_tokens", u.output_tokens)
      .field("total_tokens", u.input_tokens + u.output_tokens);
  w.key("prompt_tokens_details").begin_object().field("cached_tokens", u.cached_input_tokens);
  if (u.cache_write_tokens > 0) w.field("cache_write_tokens", u.cache_write_tokens);
  w.end_object();
  w.key("completion_tokens_details")
      .begin_object()
      .field("reasoning_tokens", u.reasoning_tokens)
      .end_object();
  w.end_object();
}

std::vector<JsonMember> top_level_members(std::string_view s) {
  std::vector<JsonMember> members;
  size_t i = skip_space(s, 0);
  if (i >= s.size() || s[i] != '{') return members;
  i = skip_space(s, i + 1);
  while (i < s.size() && s[i] == '"') {
    JsonMember m;
    m.begin = i;
    i = skip_string(s, i);
    const std::string_view quoted = s.substr(m.begin, i - m.begin);
    if (quoted.find('\\') == std::string_view::npos) {
      m.key = quoted.substr(1, quoted.size() - 2);
    } else if (const auto key = JsonValue::parse(quoted); key.ok()) {
      m.key = key->string_or("");
    }
    i = skip_space(s, skip_space(s, i) + 1);  // the colon
    m.value_begin = i;
    i = skip_value(s, i);
    m.value_end = i;
    members.push_back(std::move(m));
    i = skip_space(s, i);
    if (i < s.size() && s[i] == ',') i = skip_space(s, i + 1);
  }
  return members;
}

std::string rewrite_openai_request(std::string_view body, std::string_view model, bool ask_usage) {
  std::string out;
  out.reserve(body.size() + model.size() + 64);
  size_t copied = 0;
  bool options_seen = false;
  const std::vector<JsonMember> members = top_level_members(body);
  for (const JsonMember& m : members) {
    std::string replacement;
    if (m.key == "model") {
      append_json_string(replacement, model);
    } else if (m.key == "stream_options" && ask_usage) {
      options_seen = true;
      const std::string_view old = body.substr(m.value_begin, m.value_end - m.value_begin);
      replacement = "{\"include_usage\":true";
      for (const JsonMember& inner : top_level_members(old)) {
        if (inner.key != "include_usage")
          replacement += "," + std::string(old.substr(inner.begin, inner.value_end - inner.begin));
      }
      replacement += '}';
    } else {
      continue;
    }
    out.append(body, copied, m.value_begin - copied);
    out += replacement;
    copied = m.value_end;
  }
  out.append(body, copied);
  if (ask_usage && !options_seen) {
    const size_t brace = out.find('{');
    out.insert(brace + 1, "\"stream_options\":{\"include_usage\":true},");
  }
  return out;
}

std::string write_openai_answer(const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, a, "chat.completion");
  write_extra(w, a.extra);
  w.key("choices")
      .begin_array()
      .begin_object()
      .field("index", 0)
      .key("message")
      .begin_object()
      .field("role", "assistant");
  w.key("content");
  if (a.text.empty() && (!a.tool_calls.empty() || !a.refusal.empty())) {
    w.null();
  } else {
    w.value(a.text);
  }
  w.field_or_null("refusal", a.refusal);
  if (!a.reasoning.empty()) w.field(reasoning_field(a.reasoning_field), a.reasoning);
  if (!a.tool_calls.empty()) {
    w.key("tool_calls").begin_array();
    for (const ToolCall& t : a.tool_calls) write_tool(w, t, std::nullopt);
    w.end_array();
  }
  write_thinking_blocks(w, a);
  write_extra(w, a.message_extra);
  w.end_object();
  w.key("logprobs");
  write_logprobs(w, a.logprobs, a.refusal_logprobs);
  w.field("finish_reason", openai_finish(a.finish_reason));
  write_extra(w, a.choice_extra);
  w.end_object().end_array();
  if (a.usage.reported) write_openai_usage(w, a.usage);
  w.end_object();
  return out;
}

std::string write_openai_chunk(const ChatAnswer& head, const ChatDelta& d, bool first) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, head, "chat.completion.chunk");
  write_extra(w, d.extra);
  w.key("choices").begin_array().begin_object().field("index", 0).key("delta").begin_object();
  if (first) w.field("role", "assistant");
  if (!d.text.empty() || (first && d.tools.empty() && d.refusal.empty() && d.reasoning.empty()))
    w.field("content", d.text);
  if (!d.reasoning.empty()) w.field(reasoning_field(head.reasoning_field), d.reasoning);
  if (!d.refusal.empty()) w.field("refusal", d.refusal);
  if (!d.tools.empty()) {
    w.key("tool_calls").begin_array();
    for (const ChatDelta::Tool& t : d.tools)
      write_tool(w, ToolCall{t.id, t.name, t.arguments, t.custom, t.signature}, t.index);
    w.end_array();
  }
  if (!d.redacted.empty() || (!d.signature.empty() && d.text.empty())) {
    w.key("thinking_blocks").begin_array();
    if (!d.redacted.empty()) write_redacted(w, d.redacted);
    if (!d.signature.empty()) write_thinking(w, d.reasoning, d.signature);
    w.end_array();
  }
  write_extra(w, d.message_extra);
  w.end_object();
  if (!d.logprobs.empty() || !d.refusal_logprobs.empty()) {
    w.key("logprobs");
    write_logprobs(w, d.logprobs, d.refusal_logprobs);
  }
  w.field_or_null("finish_reason", openai_finish(d.finish_reason));
  write_extra(w, d.choice_extra);
  w.end_object().end_array().end_object();
  return out;
}

std::string with_role(std::string_view chunk) {
  std::string out(chunk);
  for (const JsonMember& top : top_level_members(chunk)) {
    if (top.key != "choices") continue;
    const size_t choice = chunk.find('{', top.value_begin);
    if (choice >= top.value_end) break;
    for (const JsonMember& m : top_level_members(chunk.substr(choice))) {
      if (m.key != "delta" || chunk[choice + m.value_begin] != '{') continue;
      const size_t inside = choice + m.value_begin + 1;
      const bool empty = chunk[skip_space(chunk, inside)] == '}';
      out.insert(inside, empty ? "\"role\":\"assistant\"" : "\"role\":\"assistant\",");
      return out;
    }
    break;
  }
  return out;
}

std::string write_openai_usage_chunk(const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, a, "chat.completion.chunk");
  w.key("choices").begin_array().end_array();
  write_openai_usage(w, a.usage);
  w.end_object();
  return out;
}

std::string write_openai_stream(const ChatAnswer& a, bool include_usage) {
  std::string out;
  bool first = true;
  for (const ChatDelta& d : pieces_of(a)) {
    out += "data: " + write_openai_chunk(a, d, first) + "\n\n";
    first = false;
  }
  if (include_usage && a.usage.reported) out += "data: " + write_openai_usage_chunk(a) + "\n\n";
  out += "data: [DONE]\n\n";
  return out;
}

Result<ChatAnswer> read_openai_answer(std::string_view body, size_t& choices) {
  const Error nonsense(ErrorCode::kUpstream, "the provider's answer is no chat completion");
  auto parsed = JsonValue::parse(body);
  if (!parsed.ok() || !(*parsed)["choices"].is_array()) return nonsense;
  const JsonValue& r = *parsed;
  choices = r["choices"].size();
  if (choices == 0) return nonsense;
  const JsonValue& choice = r["choices"][0];
  const JsonValue& message = choice["message"];
  ChatAnswer a;
  a.id = r["id"].string_or("");
  a.created_s = r["created"].integer_or(0);
  a.model = r["model"].string_or("");
  a.text = message["content"].string_or("");
  a.lossy = !message["content"].is_null() && !message["content"].is_string();
  a.reasoning = read_reasoning(message, a.reasoning_field);
  a.refusal = message["refusal"].string_or("");
  for (const JsonValue& t : message["tool_calls"].items()) a.tool_calls.push_back(read_tool(t));
  a.logprobs = logprob_items(choice, "content");
  a.refusal_logprobs = logprob_items(choice, "refusal");
  a.extra = extra_members(r, kAnswerMembers);
  a.choice_extra = extra_members(choice, kChoiceMembers);
  a.message_extra = extra_members(message, kMessageMembers);
  a.finish_reason = choice["finish_reason"].string_or("");
  a.usage = read_openai_usage(r["usage"]);
  return a;
}

Result<ChatDelta> read_openai_chunk(std::string_view data, size_t& choices_max, ChatAnswer& head) {
  auto parsed = JsonValue::parse(data);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "the provider's stream holds a piece that is no JSON");
  const JsonValue& r = *parsed;
  if (!r["error"].is_null())
    return Error(ErrorCode::kUpstream,
                 "the provider broke off: " + r["error"]["message"].string_or(r["error"].dump()));
  if (!r["choices"].is_array())
    return Error(ErrorCode::kUpstream,
                 "the provider's stream holds a piece that is no chat completion chunk");
  ChatDelta d;
  if (head.id.empty()) head.id = r["id"].string_or("");
  if (head.model.empty()) head.model = r["model"].string_or("");
  if (head.created_s == 0) head.created_s = r["created"].integer_or(0);
  if (r["usage"].is_object()) d.usage = read_openai_usage(r["usage"]);
  d.usage_only = r["choices"].size() == 0 && d.usage.has_value();
  for (const JsonValue& choice : r["choices"].items()) {
    const auto index = static_cast<size_t>(choice["index"].integer_or(0));
    choices_max = std::max(choices_max, index + 1);
    if (index != 0) continue;
    const JsonValue& delta = choice["delta"];
    d.text += delta["content"].string_or("");
    d.lossy |= !delta["content"].is_null() && !delta["content"].is_string();
    d.reasoning += read_reasoning(delta, d.reasoning_field);
    d.has_role |= !delta["role"].is_null();
    d.refusal += delta["refusal"].string_or("");
    for (const JsonValue& t : delta["tool_calls"].items()) {
      const auto tool = static_cast<size_t>(t["index"].integer_or(0));
      if (tool > 255)
        return Error(ErrorCode::kUpstream,
                     "the provider's stream holds a tool call with index " + std::to_string(tool));
      const ToolCall call = read_tool(t);
      d.tools.push_back({tool, call.id, call.name, call.arguments, call.custom, call.signature});
    }
    d.logprobs = logprob_items(choice, "content");
    d.refusal_logprobs = logprob_items(choice, "refusal");
    d.choice_extra = extra_members(choice, kChoiceMembers);
    d.message_extra = extra_members(delta, kMessageMembers);
    d.finish_reason = choice["finish_reason"].string_or("");
  }
  d.extra = extra_members(r, kAnswerMembers);
  d.native = Dialect::kOpenAi;
  d.native_data = std::string(data);
  // An event's data may stand on several lines; between JSON's tokens a space is as good.
  std::replace(d.native_data.begin(), d.native_data.end(), '\n', ' ');
  return d;
}

std::string write_openai_error(std::string_view message, std::string_view type,
                               std::string_view code) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .key("error")
      .begin_object()
      .field("message", message)
      .field("type", type)
      .key("param")
      .null()
      .key("code");
  if (code.empty()) {
    w.null();
  } else {
    w.value(code);
  }
  w.end_object().end_object();
  return out;
}

AnswerError read_openai_error(const JsonValue& error) {
  AnswerError e;
  e.message = error["message"].string_or(
      error.is_string() ? error.text() : std::string_view("the provider broke off"));
  e.type = error["type"].string_or("upstream_error");
  e.code = error["code"].string_or("");
  // Some servers say the status itself.
  const int64_t said = error["code"].integer_or(0);
  const auto begins = [&e](std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&e](std::string_view w) {
      return e.code.starts_with(w) || e.type.starts_with(w);
    });
  };
  if (said == 401 || said == 403 || begins({"invalid_api_key", "authentication_error"})) {
    e.status = 502;  // our key's matter, not the client's
  } else if (said == 504 || (said >= 400 && said < 500)) {
    e.status = static_cast<int>(said);
  } else if (said == 503 || said == 529) {
    e.status = 503;
  } else if (begins({"rate_limit", "insufficient_quota"})) {
    e.status = 429;
  } else if (begins({"invalid_", "context_length", "content_policy", "content_filter", "image_",
                     "unsupported_", "empty_image", "failed_to_download"})) {
    e.status = 400;
  }
  return e;
}

std::optional<AnswerError> openai_error_in(std::string_view json) {
  const auto parsed = JsonValue::parse(json);
  if (!parsed.ok() || (*parsed)["error"].is_null()) return std::nullopt;
  return read_openai_error((*parsed)["error"]);
}

Result<void> OpenAiReader::event(std::string_view, std::string data, std::vector<ChatDelta>& out) {
  if (data == "[DONE]") {
    done = true;
    return ok();
  }
  auto d = read_openai_chunk(data, choices, head);
  if (!d.ok()) {
    failure = openai_error_in(data);
    return std::move(d).error();
  }
  finished |= !d->finish_reason.empty();
  out.push_back(std::move(*d));
  return ok();
}

Result<ChatAnswer> OpenAiReader::whole(std::string_view body) {
  auto answer = read_openai_answer(body, choices);
  if (!answer.ok()) failure = openai_error_in(body);
  return answer;
}

void OpenAiStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.usage_only && !include_usage_) return;
  native_ = d.native == Dialect::kOpenAi && !d.native_data.empty();
  if (native_) {
    std::string data = d.native_data;
    if (role_missing_ && !d.has_role) data = with_role(data);
    role_missing_ &= !d.has_role && data.size() == d.native_data.size();
    out += "data: " + data + "\n\n";
  } else if (d.has_content() || !d.signature.empty() || !d.finish_reason.empty() || first_) {
    out += "data: " + write_openai_chunk(head, d, first_) + "\n\n";
  }
  first_ = false;
}

void OpenAiStreamWriter::end(std::string& out, const ChatAnswer& answer) {
  if (!native_ && include_usage_ && answer.usage.reported)
    out += "data: " + write_openai_usage_chunk(answer) + "\n\n";
  out += "data: [DONE]\n\n";
}

void OpenAiStreamWriter::error(std::string& out, const AnswerError& e) {
  out += "data: " + write_openai_error(e.message, e.type, e.code) + "\n\n";
}

}  // namespace samplemind::ai
