// Answers of Ollama's chat and generate, read and written, whole and as streams.
#include "ai/dialect/ollama.h"

#include <algorithm>
#include <ctime>

#include "base/json.h"

namespace samplemind::ai {

namespace {

std::string rfc3339(int64_t unix_s) {
  const std::time_t t = unix_s;
  std::tm utc{};
  ::gmtime_r(&t, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

void write_head(JsonWriter& w, const Form& form, const ChatAnswer& a) {
  w.field("model", form.model.empty() ? a.model : form.model);
  w.field("created_at", rfc3339(a.created_s));
}

void write_calls(JsonWriter& w, const std::vector<ToolCall>& calls) {
  w.key("tool_calls").begin_array();
  for (size_t i = 0; i < calls.size(); ++i) {
    const ToolCall& t = calls[i];
    w.begin_object();
    if (!t.id.empty()) w.field("id", t.id);
    w.key("function").begin_object().field("index", i).field("name", t.name).key("arguments");
    const auto arguments = JsonValue::parse(t.arguments.empty() ? "{}" : t.arguments);
    if (arguments.ok() && arguments->is_object()) {
      arguments->write(w);
    } else {
      w.begin_object().field("input", t.arguments).end_object();
    }
    w.end_object().end_object();
  }
  w.end_array();
}

// What the answer says in this line, in the words of chat or of generate.
void write_said(JsonWriter& w, const Form& form, std::string_view text, std::string_view thinking,
                const std::vector<ToolCall>& calls) {
  if (form.dialect == Dialect::kOllamaGenerate) {
    w.field("response", text);
    if (!thinking.empty()) w.field("thinking", thinking);
    if (!calls.empty()) write_calls(w, calls);
    return;
  }
  w.key("message").begin_object().field("role", "assistant").field("content", text);
  if (!thinking.empty()) w.field("thinking", thinking);
  if (!calls.empty()) write_calls(w, calls);
  w.end_object();
}

void write_end(JsonWriter& w, const Form& form, const ChatAnswer& a) {
  w.field("done", true);
  w.field("done_reason", a.finish_reason == "tool_calls" || a.finish_reason.empty()
                             ? std::string("stop")
                             : a.finish_reason);
  if (form.dialect == Dialect::kOllamaGenerate) {
    for (const auto& [name, json] : a.choice_extra) {
      if (name == "context") w.key(name).raw(json);
    }
  }
  if (!a.usage.reported) return;
  w.field("prompt_eval_count", a.usage.input_tokens).field("eval_count", a.usage.output_tokens);
}

void write_logprobs(JsonWriter& w, const std::string& items) {
  if (!items.empty()) w.key("logprobs").raw("[" + items + "]");
}

}  // namespace

std::string write_ollama_answer(const Form& form, const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, form, a);
  write_said(w, form, a.refusal.empty() ? a.text : a.text + a.refusal, a.reasoning, a.tool_calls);
  write_logprobs(w, a.logprobs);
  write_end(w, form, a);
  w.end_object();
  return out;
}

std::string write_ollama_error(const AnswerError& e) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("error", e.message).end_object();
  return out;
}

void OllamaStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.native == form_.dialect && !d.native_data.empty()) {
    native_ = true;
    out += d.native_data + "\n";
    return;
  }
  // Calls are whole there: they come with the end.
  if (d.text.empty() && d.reasoning.empty() && d.refusal.empty()) return;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, form_, head);
  write_said(w, form_, d.text + d.refusal, d.reasoning, {});
  write_logprobs(w, d.logprobs);
  w.field("done", false).end_object();
  out += '\n';
}

void OllamaStreamWriter::end(std::string& out, const ChatAnswer& a) {
  if (native_) return;
  if (!a.tool_calls.empty()) {
    JsonWriter w(out);
    w.begin_object();
    write_head(w, form_, a);
    write_said(w, form_, "", "", a.tool_calls);
    w.field("done", false).end_object();
    out += '\n';
  }
  JsonWriter w(out);
  w.begin_object();
  write_head(w, form_, a);
  write_said(w, form_, "", "", {});
  write_end(w, form_, a);
  w.end_object();
  out += '\n';
}

void OllamaStreamWriter::error(std::string& out, const AnswerError& e) {
  out += write_ollama_error(e) + "\n";
}

// --- Reading -----------------------------------------------------------------------------------

Result<ChatDelta> OllamaReader::read(std::string_view line) {
  auto parsed = JsonValue::parse(line);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "Ollama's answer holds a line that is no JSON");
  const JsonValue& r = *parsed;
  if (!r["error"].is_null())
    return Error(ErrorCode::kUpstream,
                 "Ollama broke off: " + r["error"].string_or(r["error"].dump()));
  const bool generate = r["response"].is_string();
  if (!r["message"].is_object() && !generate && !r["done"].bool_or(false))
    return Error(ErrorCode::kUpstream, "Ollama's answer holds a line that is no part of an answer");
  if (head.model.empty()) head.model = r["model"].string_or("");
  choices = 1;
  ChatDelta d;
  const JsonValue& m = generate ? r : r["message"];
  d.text = m[generate ? "response" : "content"].string_or("");
  d.reasoning = m["thinking"].string_or("");
  for (const JsonValue& t : m["tool_calls"].items()) {
    const size_t index = calls_++;
    const JsonValue& arguments = t["function"]["arguments"];
    // Calls of later turns must have other names: the answer's own is part of them.
    const std::string id = "call_" + made_id.substr(0, 12) + "_" + std::to_string(index);
    d.tools.push_back({index, t["id"].string_or(id), t["function"]["name"].string_or(""),
                       arguments.is_object() ? arguments.dump() : arguments.string_or("{}"), false,
                       ""});
  }
  for (const JsonValue& item : r["logprobs"].items()) {
    if (!d.logprobs.empty()) d.logprobs += ',';
    d.logprobs += item.dump();
  }
  if (!r["done"].bool_or(false)) return d;
  done = finished = true;
  const std::string reason = r["done_reason"].string_or("stop");
  d.finish_reason = calls_ > 0 && reason == "stop" ? "tool_calls" : reason;
  if (r["context"].is_array()) d.choice_extra.emplace_back("context", r["context"].dump());
  const auto count = [&r](std::string_view name) {
    return std::clamp<int64_t>(r[name].integer_or(0), 0, 1'000'000'000);
  };
  Usage u;
  u.reported = r["eval_count"].is_number() || r["prompt_eval_count"].is_number();
  u.input_tokens = count("prompt_eval_count");
  u.output_tokens = count("eval_count");
  d.usage = u;
  return d;
}

Result<void> OllamaReader::event(std::string_view name, std::string data,
                                 std::vector<ChatDelta>& out) {
  SM_TRY(ChatDelta d, read(data));
  d.native = name == "generate" ? Dialect::kOllamaGenerate : Dialect::kOllama;
  d.native_data = std::move(data);
  out.push_back(std::move(d));
  return ok();
}

Result<ChatAnswer> OllamaReader::whole(std::string_view body) {
  SM_TRY(ChatDelta d, read(body));
  if (!done) return Error(ErrorCode::kUpstream, "the answer was cut before its end");
  ChatAnswer a;
  append(a, d);
  a.id = head.id;
  a.created_s = head.created_s;
  a.model = head.model;
  return a;
}

}  // namespace samplemind::ai
