#include "ai/dialect/completions.h"

#include <algorithm>
#include <array>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

constexpr int64_t kChoicesMax = 10'000;  // what is counted of `n`, and of the prompts

bool is_tokens(const JsonValue& v) {
  return v.is_array() && v.size() > 0 &&
         std::all_of(v.items().begin(), v.items().end(),
                     [](const JsonValue& t) { return t.is_number(); });
}

// Sets the message; gives how many prompts there are.
Result<int64_t> read_prompt(JsonValue& v, ChatRequest& r) {
  if (v.is_array() && v.size() == 1 && v[0].is_string()) v = JsonValue(std::string(v[0].text()));
  r.messages.emplace_back();
  std::vector<Part>& parts = r.messages.back().parts;
  if (v.is_string()) {
    parts.push_back(text_part(v.take_string()));
    return 1;
  }
  const auto prompts = static_cast<int64_t>(v.size());
  const bool texts = v.is_array() && prompts > 0 &&
                     std::all_of(v.items().begin(), v.items().end(), [](const JsonValue& each) {
                       return each.is_string() || is_tokens(each);
                     });
  if (!texts && !is_tokens(v))
    return bad_request("'prompt' must be a text, a list of texts, or tokens");
  for (const JsonValue& each : v.items()) {
    if (each.is_string()) parts.push_back(text_part(std::string(each.text())));
  }
  if (texts && prompts > 1) r.never_cache = "several prompts";
  r.extra.emplace_back("prompt", std::move(v));
  return texts ? prompts : 1;
}

bool read_member(const std::string& name, JsonValue& v, ChatRequest& r) {
  if (name == "temperature") return take(v, r.temperature);
  if (name == "top_p") return take(v, r.top_p);
  if (name == "seed") return take(v, r.seed);
  if (name == "stop") return take(v, r.stop);
  if (name == "frequency_penalty") return take(v, r.frequency_penalty);
  if (name == "presence_penalty") return take(v, r.presence_penalty);
  if (name == "max_tokens") return take(v, r.max_tokens);
  if (name == "best_of") return v.integer() == 1;
  if (name == "n") {
    std::optional<int64_t> n;
    if (!take(v, n)) return false;
    r.choices = *n;
    return true;
  }
  if (name == "logprobs") {
    if (!take(v, r.top_logprobs)) return false;
    r.logprobs = true;
    return true;
  }
  return name == "echo" && v.boolean() == false;
}

// Of tokens in the form of chat completions, comma-separated; `offset`: of the first one's text.
void write_logprobs(JsonWriter& w, const std::string& items, size_t offset) {
  w.key("logprobs");
  const auto list = JsonValue::parse("[" + items + "]");
  if (items.empty() || !list.ok()) {
    w.null();
    return;
  }
  w.begin_object().key("tokens").begin_array();
  for (const JsonValue& t : list->items()) w.value(t["token"].text());
  w.end_array().key("token_logprobs").begin_array();
  for (const JsonValue& t : list->items()) w.value(t["logprob"].number_or(0));
  w.end_array().key("top_logprobs").begin_array();
  for (const JsonValue& t : list->items()) {
    w.begin_object();
    for (const JsonValue& top : t["top_logprobs"].items())
      w.field(top["token"].text(), top["logprob"].number_or(0));
    w.end_object();
  }
  w.end_array().key("text_offset").begin_array();
  for (const JsonValue& t : list->items()) {
    w.value(offset);
    offset += t["token"].text().size();
  }
  w.end_array().end_object();
}

// The reverse.
std::string read_logprobs(const JsonValue& v) {
  std::string out;
  const JsonValue& tokens = v["tokens"];
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!out.empty()) out += ',';
    JsonWriter w(out);
    w.begin_object().field("token", tokens[i].text());
    w.field("logprob", v["token_logprobs"][i].number_or(0)).key("bytes").null();
    w.key("top_logprobs").begin_array();
    for (const auto& [token, logprob] : v["top_logprobs"][i].members()) {
      w.begin_object().field("token", token).field("logprob", logprob.number_or(0));
      w.key("bytes").null().end_object();
    }
    w.end_array().end_object();
  }
  return out;
}

void write_head(JsonWriter& w, const ChatAnswer& a) {
  w.begin_object().field("id", a.id).field("object", "text_completion");
  w.field("created", a.created_s).field("model", a.model);
}

void write_choice(JsonWriter& w, std::string_view text, const std::string& logprobs, size_t offset,
                  const std::string& finish) {
  w.key("choices").begin_array().begin_object().field("text", text).field("index", 0);
  write_logprobs(w, logprobs, offset);
  w.key("finish_reason");
  if (finish.empty()) {
    w.null();
  } else {
    w.value(finish == "length" || finish == "content_filter" ? std::string_view(finish) : "stop");
  }
  w.end_object().end_array();
}

void write_extra(JsonWriter& w, const ExtraMembers& extra) {
  for (const auto& [name, json] : extra) w.key(name).raw(json);
}

}  // namespace

Result<ChatRequest> read_completions_request(std::string_view body) {
  SM_TRY(JsonValue::Object members, read_body(body));
  ChatRequest r;
  r.dialect = Dialect::kCompletions;
  std::optional<int64_t> prompts;
  bool echo = false;
  for (auto& [name, v] : members) {
    if (name == "model") {
      (void)take(v, r.model);
    } else if (v.is_null()) {
      continue;
    } else if (name == "prompt") {
      SM_TRY(prompts, read_prompt(v, r));
    } else if (name == "stream") {
      if (!v.is_bool()) return bad_request("'stream' must be true or false");
      r.stream = v.bool_or(false);
    } else if (name == "stream_options") {
      r.include_usage = v["include_usage"].bool_or(false);
    } else if (name == "echo" && v.boolean() == true) {
      echo = true;
    } else if (is_aside(name)) {
      r.aside.emplace_back(std::move(name), std::move(v));
    } else if (!read_member(name, v, r)) {
      if (name == "temperature") return bad_request("'temperature' must be a number");
      r.extra.emplace_back(std::move(name), std::move(v));
    }
  }
  if (r.model.empty()) return bad_request("'model' is missing: name a model, or use \"auto\"");
  if (!prompts) return bad_request("'prompt' is missing: a text that is to go on");
  r.choices = std::clamp<int64_t>(r.choices, 1, kChoicesMax) * std::min(*prompts, kChoicesMax);
  const bool one_text = r.messages.back().parts.size() == 1 && *prompts == 1;
  if (echo && one_text && !r.logprobs) {
    r.lead = r.messages.back().parts[0].text;
  } else if (echo) {
    // Of the prompt's own tokens nobody but a server of this dialect can tell.
    r.extra.emplace_back("echo", JsonValue(true));
  }
  if (r.never_cache.empty()) r.never_cache = reason_not_to_cache(r);
  r.body = body;
  return r;
}

std::string rewrite_completions_request(const ChatRequest& r, std::string_view model,
                                        bool ask_usage) {
  std::string out = rewrite_openai_request(r.body, model, ask_usage);
  if (r.lead.empty()) return out;
  for (const JsonMember& m : top_level_members(out)) {
    if (m.key != "echo") continue;
    out.replace(m.value_begin, m.value_end - m.value_begin, "false");
    break;
  }
  return out;
}

std::string write_completions_answer(const Form& form, const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  write_head(w, a);
  write_extra(w, a.extra);
  write_choice(w, form.lead + a.text + a.refusal, a.logprobs, form.lead.size(), a.finish_reason);
  if (a.usage.reported) write_openai_usage(w, a.usage);
  w.end_object();
  return out;
}

void CompletionsStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.usage_only && !form_.include_usage) return;
  native_ = d.native == Dialect::kCompletions && !d.native_data.empty();
  const bool leads = first_ && !form_.lead.empty();
  if (leads || (!native_ && (first_ || !d.text.empty() || !d.refusal.empty() ||
                             !d.finish_reason.empty() || !d.logprobs.empty()))) {
    const std::string text =
        (leads ? form_.lead : "") + (native_ ? std::string() : d.text + d.refusal);
    out += "data: ";
    JsonWriter w(out);
    write_head(w, head);
    if (!native_) write_extra(w, d.extra);
    write_choice(w, text, native_ ? std::string() : d.logprobs,
                 told_ + (leads ? form_.lead.size() : 0),
                 native_ ? std::string() : d.finish_reason);
    w.end_object();
    out += "\n\n";
    told_ += text.size();
  }
  first_ = false;
  if (native_) out += "data: " + d.native_data + "\n\n";
}

void CompletionsStreamWriter::end(std::string& out, const ChatAnswer& a) {
  if (!native_ && form_.include_usage && a.usage.reported) {
    out += "data: ";
    JsonWriter w(out);
    write_head(w, a);
    w.key("choices").raw("[]");
    write_openai_usage(w, a.usage);
    w.end_object();
    out += "\n\n";
  }
  out += "data: [DONE]\n\n";
}

void CompletionsStreamWriter::error(std::string& out, const AnswerError& e) {
  out += "data: " + write_openai_error(e.message, e.type, e.code) + "\n\n";
}

Result<ChatDelta> CompletionsReader::read(std::string_view data) {
  auto parsed = JsonValue::parse(data);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "the provider's answer holds a piece that is no JSON");
  const JsonValue& r = *parsed;
  if (!r["error"].is_null())
    return Error(ErrorCode::kUpstream,
                 "the provider broke off: " + r["error"]["message"].string_or(r["error"].dump()));
  if (!r["choices"].is_array())
    return Error(ErrorCode::kUpstream, "the provider's answer is no completion");
  if (head.id.empty()) head.id = r["id"].string_or("");
  if (head.model.empty()) head.model = r["model"].string_or("");
  if (head.created_s == 0) head.created_s = r["created"].integer_or(0);
  ChatDelta d;
  if (r["usage"].is_object()) d.usage = read_openai_usage(r["usage"]);
  d.usage_only = r["choices"].size() == 0 && d.usage.has_value();
  for (const JsonValue& choice : r["choices"].items()) {
    const int64_t index = std::clamp<int64_t>(choice["index"].integer_or(0), 0, 255);
    choices = std::max(choices, static_cast<size_t>(index) + 1);
    if (index != 0) continue;
    d.text += choice["text"].string_or("");
    d.logprobs = read_logprobs(choice["logprobs"]);
    // The first token of an echoed prompt has no probability, which no other form can say.
    for (const JsonValue& each : choice["logprobs"]["token_logprobs"].items())
      d.lossy |= each.is_null();
    d.finish_reason = choice["finish_reason"].string_or("");
  }
  constexpr std::array<std::string_view, 6> kKnown{"id",    "object",  "created",
                                                   "model", "choices", "usage"};
  for (const auto& [name, value] : r.members()) {
    if (!value.is_null() && std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end())
      d.extra.emplace_back(name, value.dump());
  }
  return d;
}

Result<void> CompletionsReader::event(std::string_view, std::string data,
                                      std::vector<ChatDelta>& out) {
  if (data == "[DONE]") {
    done = true;
    return ok();
  }
  auto d = read(data);
  if (!d.ok()) {
    failure = openai_error_in(data);
    return std::move(d).error();
  }
  finished |= !d->finish_reason.empty();
  d->native = Dialect::kCompletions;
  d->native_data = std::move(data);
  std::replace(d->native_data.begin(), d->native_data.end(), '\n', ' ');
  out.push_back(std::move(*d));
  return ok();
}

Result<ChatAnswer> CompletionsReader::whole(std::string_view body) {
  const auto d = read(body);
  if (!d.ok()) {
    failure = openai_error_in(body);
    return d.error();
  }
  if (choices == 0) return Error(ErrorCode::kUpstream, "the provider's answer is no completion");
  ChatAnswer a;
  append(a, *d);
  a.id = head.id;
  a.model = head.model;
  a.created_s = head.created_s;
  return a;
}

}  // namespace samplemind::ai
