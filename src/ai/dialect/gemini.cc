// Answers of Gemini's generateContent, read and written, whole and as streams.
#include "ai/dialect/gemini.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "ai/dialect/parts.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

using Kind = Block::Kind;

// What stands beside the content and other dialects get as it is.
constexpr std::array<std::string_view, 6> kCandidateMembers{
    "safetyRatings",      "citationMetadata", "groundingMetadata",
    "urlContextMetadata", "finishMessage",    "avgLogprobs"};
// Reasons that mean: the answer was withheld.
constexpr std::array<std::string_view, 10> kWithheld{"SAFETY",
                                                     "RECITATION",
                                                     "BLOCKLIST",
                                                     "PROHIBITED_CONTENT",
                                                     "SPII",
                                                     "LANGUAGE",
                                                     "IMAGE_SAFETY",
                                                     "IMAGE_PROHIBITED_CONTENT",
                                                     "IMAGE_RECITATION",
                                                     "MODEL_ARMOR"};

template <size_t N>
bool one_of(const std::array<std::string_view, N>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

int64_t token_count(const JsonValue& v) {
  return std::clamp<int64_t>(v.integer_or(0), 0, 1'000'000'000);
}

// Of one modality in a list of them.
int64_t tokens_of(const JsonValue& details, std::string_view modality) {
  for (const JsonValue& each : details.items()) {
    if (each["modality"].text() == modality) return token_count(each["tokenCount"]);
  }
  return 0;
}

void read_usage(const JsonValue& u, Usage& usage) {
  if (!u.is_object()) return;
  usage.reported = true;
  usage.input_tokens =
      token_count(u["promptTokenCount"]) + token_count(u["toolUsePromptTokenCount"]);
  usage.cached_input_tokens =
      std::min(token_count(u["cachedContentTokenCount"]), usage.input_tokens);
  usage.reasoning_tokens = token_count(u["thoughtsTokenCount"]);
  usage.output_tokens = token_count(u["candidatesTokenCount"]) + usage.reasoning_tokens;
  usage.audio_input_tokens = tokens_of(u["promptTokensDetails"], "AUDIO");
  usage.image_input_tokens = tokens_of(u["promptTokensDetails"], "IMAGE");
  usage.audio_output_tokens = tokens_of(u["candidatesTokensDetails"], "AUDIO");
}

void write_usage(JsonWriter& w, const Usage& u) {
  if (!u.reported) return;
  w.key("usageMetadata").begin_object().field("promptTokenCount", u.input_tokens);
  w.field("candidatesTokenCount", std::max<int64_t>(0, u.output_tokens - u.reasoning_tokens));
  w.field("totalTokenCount", u.input_tokens + u.output_tokens);
  if (u.cached_input_tokens > 0) w.field("cachedContentTokenCount", u.cached_input_tokens);
  if (u.reasoning_tokens > 0) w.field("thoughtsTokenCount", u.reasoning_tokens);
  w.end_object();
}

void append_logprob(std::string& out, const JsonValue& chosen, const JsonValue& top) {
  if (!out.empty()) out += ',';
  JsonWriter w(out);
  const auto one = [&w](const JsonValue& c) {
    w.field("token", c["token"].text());
    w.field("logprob", c["logProbability"].number_or(0)).key("bytes").null();
  };
  w.begin_object();
  one(chosen);
  w.key("top_logprobs").begin_array();
  for (const JsonValue& each : top["candidates"].items()) {
    w.begin_object();
    one(each);
    w.end_object();
  }
  w.end_array().end_object();
}

std::string read_logprobs(const JsonValue& result) {
  std::string out;
  const JsonValue& chosen = result["chosenCandidates"];
  for (size_t i = 0; i < chosen.size(); ++i)
    append_logprob(out, chosen[i], result["topCandidates"][i]);
  return out;
}

void write_logprobs(JsonWriter& w, const std::string& items) {
  if (items.empty()) return;
  const auto list = JsonValue::parse("[" + items + "]");
  if (!list.ok()) return;
  const auto one = [&w](const JsonValue& t) {
    w.begin_object().field("token", t["token"].text());
    w.field("logProbability", t["logprob"].number_or(0)).end_object();
  };
  w.key("logprobsResult").begin_object().key("chosenCandidates").begin_array();
  for (const JsonValue& t : list->items()) one(t);
  w.end_array().key("topCandidates").begin_array();
  for (const JsonValue& t : list->items()) {
    w.begin_object().key("candidates").begin_array();
    for (const JsonValue& each : t["top_logprobs"].items()) one(each);
    w.end_array().end_object();
  }
  w.end_array().end_object();
}

std::string_view finish_word(const std::string& finish, const std::string& detail) {
  if (finish == "stop" || finish == "tool_calls" || finish == "function_call") return "STOP";
  if (finish == "length") return "MAX_TOKENS";
  if (finish == "content_filter")
    return one_of(kWithheld, detail) ? std::string_view(detail) : "SAFETY";
  return "OTHER";
}

void write_text(JsonWriter& w, std::string_view text, bool thought, const std::string& signature) {
  w.begin_object().field("text", text);
  if (thought) w.field("thought", true);
  if (!signature.empty()) w.field("thoughtSignature", told_signature("gemini", signature));
  w.end_object();
}

void write_call(JsonWriter& w, const ToolCall& t) {
  w.begin_object().key("functionCall").begin_object();
  if (!t.id.empty()) w.field("id", t.id);
  w.field("name", t.name).key("args");
  const auto arguments = JsonValue::parse(t.arguments.empty() ? "{}" : t.arguments);
  if (arguments.ok() && arguments->is_object()) {
    arguments->write(w);
  } else {
    w.begin_object().field("input", t.arguments).end_object();
  }
  w.end_object();
  if (!t.signature.empty()) w.field("thoughtSignature", told_signature("gemini", t.signature));
  w.end_object();
}

void write_known(JsonWriter& w, const ExtraMembers& extra) {
  for (const auto& [name, json] : extra) {
    if (one_of(kCandidateMembers, name)) w.key(name).raw(json);
  }
}

void write_head(JsonWriter& w, const ChatAnswer& a) {
  for (const auto& [name, json] : a.extra) {
    if (name == "promptFeedback") w.key(name).raw(json);
  }
  w.field("modelVersion", a.model).field("responseId", a.id);
}

}  // namespace

std::string write_gemini_answer(const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("candidates").begin_array().begin_object();
  w.key("content").begin_object().key("parts").begin_array();
  size_t text = 0, reasoning = 0, call = 0;
  for (const Block& b : blocks_of(a)) {
    if (b.kind == Kind::kText) {
      write_text(w, std::string_view(a.text).substr(std::min(text, a.text.size()), b.size), false,
                 b.signature);
      text += b.size;
    } else if (b.kind == Kind::kReasoning) {
      write_text(
          w, std::string_view(a.reasoning).substr(std::min(reasoning, a.reasoning.size()), b.size),
          true, b.signature);
      reasoning += b.size;
    } else if (b.kind == Kind::kToolCall && call < a.tool_calls.size()) {
      write_call(w, a.tool_calls[call++]);
    } else if (b.kind == Kind::kOther) {
      w.raw(b.data);
    }
  }
  if (!a.refusal.empty()) write_text(w, a.refusal, false, {});
  w.end_array().field("role", "model").end_object();
  w.field("finishReason", finish_word(a.finish_reason, a.finish_detail)).field("index", 0);
  write_logprobs(w, a.logprobs);
  write_known(w, a.choice_extra);
  w.end_object().end_array();
  write_usage(w, a.usage);
  write_head(w, a);
  w.end_object();
  return out;
}

std::string write_gemini_error(const AnswerError& e) {
  const auto word = [](int status) -> std::string_view {
    switch (status) {
      case 400:
      case 413:
      case 422:
        return "INVALID_ARGUMENT";
      case 401:
        return "UNAUTHENTICATED";
      case 403:
        return "PERMISSION_DENIED";
      case 404:
        return "NOT_FOUND";
      case 409:
        return "ABORTED";
      case 402:
      case 429:
        return "RESOURCE_EXHAUSTED";
      case 499:
        return "CANCELLED";
      case 503:
        return "UNAVAILABLE";
      case 504:
        return "DEADLINE_EXCEEDED";
      default:
        return "INTERNAL";
    }
  };
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("error").begin_object().field("code", e.status);
  w.field("message", e.message).field("status", word(e.status)).end_object().end_object();
  return out;
}

void GeminiStreamWriter::piece(std::string& out, std::string_view json) {
  if (list_) {
    out += first_ ? "[" : ",\r\n";
    out += json;
  } else {
    out.append("data: ").append(json).append("\r\n\r\n");
  }
  first_ = false;
}

void GeminiStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.native == Dialect::kGemini && !d.native_data.empty()) {
    native_ = true;
    piece(out, d.native_data);
    return;
  }
  // Calls are whole there: they come with the end.
  const bool says = !d.text.empty() || !d.reasoning.empty() || !d.refusal.empty() ||
                    !d.other.empty() || (!d.signature.empty() && d.tools.empty());
  if (!says) return;
  std::string json;
  JsonWriter w(json);
  w.begin_object().key("candidates").begin_array().begin_object();
  w.key("content").begin_object().key("parts").begin_array();
  const bool signs_text = !d.text.empty();
  if (!d.reasoning.empty() || (!signs_text && !d.signature.empty()))
    write_text(w, d.reasoning, true, signs_text ? std::string() : d.signature);
  if (signs_text) write_text(w, d.text, false, d.signature);
  if (!d.refusal.empty()) write_text(w, d.refusal, false, {});
  if (!d.other.empty()) w.raw(d.other);
  w.end_array().field("role", "model").end_object().field("index", 0);
  write_logprobs(w, d.logprobs);
  w.end_object().end_array();
  write_head(w, head);
  w.end_object();
  piece(out, json);
}

void GeminiStreamWriter::end(std::string& out, const ChatAnswer& a) {
  if (!native_) {
    std::string json;
    JsonWriter w(json);
    w.begin_object().key("candidates").begin_array().begin_object();
    w.key("content").begin_object().key("parts").begin_array();
    for (const ToolCall& t : a.tool_calls) write_call(w, t);
    if (a.tool_calls.empty()) write_text(w, "", false, {});
    w.end_array().field("role", "model").end_object();
    w.field("finishReason", finish_word(a.finish_reason, a.finish_detail)).field("index", 0);
    write_known(w, a.choice_extra);
    w.end_object().end_array();
    write_usage(w, a.usage);
    write_head(w, a);
    w.end_object();
    piece(out, json);
  }
  if (list_) out += "]";
}

// A list is closed also then, so that it can be read; the missing reason to finish says the rest.
void GeminiStreamWriter::error(std::string& out, const AnswerError& e) {
  piece(out, write_gemini_error(e));
  if (list_) out += "]";
}

// --- Reading -----------------------------------------------------------------------------------

Result<ChatDelta> GeminiReader::read(const JsonValue& v) {
  if (!v.is_object())
    return Error(ErrorCode::kUpstream, "the provider's answer holds a piece that is no object");
  if (!v["error"].is_null()) {
    const JsonValue& e = v["error"];
    AnswerError said;
    said.message = e["message"].string_or(e.dump());
    said.code = e["status"].string_or("");
    said.type = "upstream_error";
    const int64_t code = e["code"].integer_or(502);
    said.status =
        code == 429 || code == 503 || code == 504 || code == 400 ? static_cast<int>(code) : 502;
    failure = said;
    return Error(ErrorCode::kUpstream, "the provider broke off: " + said.message);
  }
  const JsonValue& candidates = v["candidates"];
  const JsonValue& feedback = v["promptFeedback"];
  if (!candidates.is_array() && !feedback.is_object() && !v["usageMetadata"].is_object())
    return Error(ErrorCode::kUpstream,
                 "the provider's answer holds a piece that is no part of an answer");
  ChatDelta d;
  if (head.id.empty()) head.id = v["responseId"].string_or("");
  if (head.model.empty()) head.model = v["modelVersion"].string_or("");
  if (v["usageMetadata"].is_object()) {
    read_usage(v["usageMetadata"], usage_);
    d.usage = usage_;
  }
  if (feedback.is_object()) {
    d.extra.emplace_back("promptFeedback", feedback.dump());
    if (!feedback["blockReason"].text().empty()) {
      d.finish_reason = "content_filter";
      d.finish_detail = feedback["blockReason"].string_or("");
    }
  }
  for (const JsonValue& c : candidates.items()) {
    const auto index = static_cast<size_t>(std::clamp<int64_t>(c["index"].integer_or(0), 0, 255));
    choices = std::max(choices, index + 1);
    if (index != 0) continue;
    for (const JsonValue& p : c["content"]["parts"].items()) {
      const std::string signature = marked_signature("gemini", p["thoughtSignature"].string_or(""));
      if (p["functionCall"].is_object()) {
        const JsonValue& f = p["functionCall"];
        // Calls of later turns must have other names: the answer's own is part of them.
        const std::string made = "call_" + made_id.substr(0, 12) + "_" + std::to_string(calls_);
        d.tools.push_back({calls_++, f["id"].string_or(made), f["name"].string_or(""),
                           f["args"].is_object() ? f["args"].dump() : "{}", false, signature});
        continue;
      }
      if (p["text"].is_string()) {
        if (p["thought"].bool_or(false)) {
          d.reasoning += p["text"].text();
        } else {
          d.text += p["text"].text();
        }
        if (!signature.empty()) d.signature = signature;
      } else if (p.size() > 0 && signature.empty()) {
        d.other = p.dump();
        d.lossy = true;
      }
    }
    d.logprobs = read_logprobs(c["logprobsResult"]);
    for (const auto& [name, value] : c.members()) {
      if (one_of(kCandidateMembers, name)) d.choice_extra.emplace_back(name, value.dump());
    }
    const std::string_view reason = c["finishReason"].text();
    if (reason.empty() || reason == "FINISH_REASON_UNSPECIFIED") continue;
    d.finish_detail = std::string(reason);
    if (reason == "STOP") {
      d.finish_reason = calls_ > 0 ? "tool_calls" : "stop";
    } else if (reason == "MAX_TOKENS") {
      d.finish_reason = "length";
    } else if (one_of(kWithheld, reason)) {
      d.finish_reason = "content_filter";
    } else {
      d.finish_reason = std::string(reason);
      std::transform(d.finish_reason.begin(), d.finish_reason.end(), d.finish_reason.begin(),
                     [](unsigned char ch) { return static_cast<char>(std::tolower(ch)); });
    }
  }
  choices = std::max<size_t>(choices, 1);
  finished |= !d.finish_reason.empty();
  return d;
}

Result<void> GeminiReader::event(std::string_view, std::string data, std::vector<ChatDelta>& out) {
  auto parsed = JsonValue::parse(data);
  if (!parsed.ok())
    return Error(ErrorCode::kUpstream, "the provider's stream holds a piece that is no JSON");
  SM_TRY(ChatDelta d, read(*parsed));
  d.native = Dialect::kGemini;
  d.native_data = std::move(data);
  std::replace(d.native_data.begin(), d.native_data.end(), '\n', ' ');
  out.push_back(std::move(d));
  return ok();
}

Result<ChatAnswer> GeminiReader::whole(std::string_view body) {
  auto parsed = JsonValue::parse(body);
  if (!parsed.ok()) return Error(ErrorCode::kUpstream, "the provider's answer is no JSON");
  const JsonValue& v = *parsed;
  SM_TRY(ChatDelta all, read(v));
  // Parts keep their order: each is a piece of its own.
  ChatAnswer a;
  size_t call = 0;
  for (const JsonValue& p : v["candidates"][0]["content"]["parts"].items()) {
    ChatDelta d;
    if (p["functionCall"].is_object()) {
      if (call < all.tools.size()) d.tools.push_back(all.tools[call++]);
    } else if (p["text"].is_string()) {
      (p["thought"].bool_or(false) ? d.reasoning : d.text) = std::string(p["text"].text());
      d.signature = marked_signature("gemini", p["thoughtSignature"].string_or(""));
    } else {
      d.other = p.dump();
    }
    append(a, d);
  }
  all.text.clear();
  all.reasoning.clear();
  all.tools.clear();
  all.signature.clear();
  all.other.clear();
  append(a, all);
  a.id = head.id;
  a.model = head.model;
  done = finished;
  return a;
}

}  // namespace samplemind::ai
