// Answers of Anthropic's messages, read and written, whole and as streams.
#include "ai/dialect/anthropic.h"

#include <algorithm>
#include <array>

#include "ai/dialect/parts.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

using Kind = Block::Kind;

int64_t token_count(const JsonValue& v) {
  return std::clamp<int64_t>(v.integer_or(0), 0, 1'000'000'000);
}

// input_tokens there leaves out what the prompt cache read and kept.
void read_usage(const JsonValue& u, Usage& usage) {
  if (!u.is_object()) return;
  usage.reported = true;
  const auto given = [&u](std::string_view name) { return u[name].is_number(); };
  int64_t plain = usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens;
  if (given("input_tokens")) plain = token_count(u["input_tokens"]);
  if (given("cache_read_input_tokens"))
    usage.cached_input_tokens = token_count(u["cache_read_input_tokens"]);
  if (given("cache_creation_input_tokens"))
    usage.cache_write_tokens = token_count(u["cache_creation_input_tokens"]);
  if (u["cache_creation"].is_object())
    usage.cache_write_1h_tokens = std::min(
        token_count(u["cache_creation"]["ephemeral_1h_input_tokens"]), usage.cache_write_tokens);
  usage.input_tokens = plain + usage.cached_input_tokens + usage.cache_write_tokens;
  if (given("output_tokens")) usage.output_tokens = token_count(u["output_tokens"]);
  if (u["output_tokens_details"].is_object())
    usage.reasoning_tokens =
        std::min(token_count(u["output_tokens_details"]["thinking_tokens"]), usage.output_tokens);
}

void write_usage(JsonWriter& w, const Usage& u) {
  w.key("usage").begin_object();
  w.field("input_tokens",
          std::max<int64_t>(0, u.input_tokens - u.cached_input_tokens - u.cache_write_tokens));
  w.field("cache_creation_input_tokens", u.cache_write_tokens);
  w.field("cache_read_input_tokens", u.cached_input_tokens);
  if (u.cache_write_1h_tokens > 0) {
    w.key("cache_creation").begin_object();
    w.field("ephemeral_5m_input_tokens", u.cache_write_tokens - u.cache_write_1h_tokens);
    w.field("ephemeral_1h_input_tokens", u.cache_write_1h_tokens).end_object();
  }
  w.field("output_tokens", u.output_tokens).end_object();
}

constexpr std::array<std::string_view, 2> kOwnReasons{"pause_turn",
                                                      "model_context_window_exceeded"};

void read_finish(const JsonValue& v, std::string& finish, std::string& detail,
                 std::string& stop_sequence) {
  const std::string_view reason = v["stop_reason"].text();
  if (reason.empty()) return;
  stop_sequence = std::string(v["stop_sequence"].text());
  detail = std::string(reason);
  if (reason == "end_turn" || reason == "stop_sequence") {
    finish = "stop";
  } else if (reason == "tool_use") {
    finish = "tool_calls";
  } else if (reason == "max_tokens") {
    finish = "length";
  } else if (reason == "refusal") {
    finish = "content_filter";
  } else {
    finish = std::string(reason);
  }
}

std::string_view stop_reason(const std::string& finish, const std::string& stop_sequence) {
  if (finish == "tool_calls" || finish == "function_call") return "tool_use";
  if (finish == "length") return "max_tokens";
  if (finish == "content_filter") return "refusal";
  if (std::find(kOwnReasons.begin(), kOwnReasons.end(), finish) != kOwnReasons.end()) return finish;
  return stop_sequence.empty() ? "end_turn" : "stop_sequence";
}

void write_stop(JsonWriter& w, const ChatAnswer& a) {
  w.field("stop_reason", stop_reason(a.finish_reason, a.stop_sequence)).key("stop_sequence");
  if (a.stop_sequence.empty()) {
    w.null();
  } else {
    w.value(a.stop_sequence);
  }
}

std::string message_id(const ChatAnswer& a) {
  return a.id.starts_with("msg_") ? a.id : "msg_" + (a.id.empty() ? std::string("0") : a.id);
}

void write_head(JsonWriter& w, const ChatAnswer& a) {
  w.field("id", message_id(a)).field("type", "message").field("role", "assistant");
  w.field("model", a.model);
}

// Arguments that are no object, which only other dialects know, are wrapped.
void write_input(JsonWriter& w, const std::string& arguments) {
  w.key("input");
  const auto parsed = JsonValue::parse(arguments.empty() ? "{}" : arguments);
  if (parsed.ok() && parsed->is_object()) {
    parsed->write(w);
  } else {
    w.begin_object().field("input", arguments).end_object();
  }
}

void write_extra(JsonWriter& w, const ExtraMembers& extra) {
  for (const auto& [name, json] : extra) w.key(name).raw(json);
}

bool is_json_object(const std::string& text) {
  if (text.empty() || text.back() != '}') return false;
  const auto parsed = JsonValue::parse(text);
  return parsed.ok() && parsed->is_object();
}

void append_event(std::string& out, std::string_view name, std::string_view json) {
  out.append("event: ").append(name).append("\ndata: ").append(json).append("\n\n");
}

AnswerError failure_of(const JsonValue& error) {
  AnswerError e;
  const std::string_view type = error["type"].text();
  e.message = error["message"].string_or("");
  e.type = type.empty() ? "upstream_error" : std::string(type);
  e.code = e.type;
  e.status = type == "overloaded_error"        ? 503
             : type == "rate_limit_error"      ? 429
             : type == "invalid_request_error" ? 400
             : type == "not_found_error"       ? 404
             : type == "timeout_error"         ? 504
                                               : 502;
  return e;
}

}  // namespace

std::string write_anthropic_answer(const ChatAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_head(w, a);
  w.key("content").begin_array();
  size_t text = 0, reasoning = 0, call = 0;
  const auto slice = [](const std::string& whole, size_t& at, size_t size) {
    const std::string_view piece = std::string_view(whole).substr(std::min(at, whole.size()), size);
    at += size;
    return piece;
  };
  for (const Block& b : blocks_of(a)) {
    switch (b.kind) {
      case Kind::kText:
        w.begin_object().field("type", "text").field("text", slice(a.text, text, b.size));
        break;
      case Kind::kReasoning:
        w.begin_object().field("type", "thinking");
        w.field("thinking", slice(a.reasoning, reasoning, b.size));
        w.field("signature", told_signature("anthropic", b.signature));
        break;
      case Kind::kRedacted:
        w.begin_object().field("type", "redacted_thinking").field("data", b.data);
        break;
      case Kind::kOther:
        w.raw(b.data);
        continue;
      case Kind::kToolCall: {
        if (call >= a.tool_calls.size()) continue;
        const ToolCall& t = a.tool_calls[call++];
        w.begin_object().field("type", "tool_use").field("id", t.id).field("name", t.name);
        write_input(w, t.arguments);
        break;
      }
    }
    write_extra(w, b.extra);
    w.end_object();
  }
  if (!a.refusal.empty())
    w.begin_object().field("type", "text").field("text", a.refusal).end_object();
  w.end_array();
  write_stop(w, a);
  write_usage(w, a.usage);
  w.end_object();
  return out;
}

std::string write_anthropic_error(const AnswerError& e) {
  const auto of_status = [](int status) -> std::string_view {
    switch (status) {
      case 400:
      case 422:
        return "invalid_request_error";
      case 401:
        return "authentication_error";
      case 402:
        return "billing_error";
      case 403:
        return "permission_error";
      case 404:
        return "not_found_error";
      case 413:
        return "request_too_large";
      case 429:
        return "rate_limit_error";
      case 503:
      case 529:
        return "overloaded_error";
      case 504:
        return "timeout_error";
      default:
        return "api_error";
    }
  };
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("type", "error").key("error").begin_object();
  w.field("type", of_status(e.status)).field("message", e.message).end_object().end_object();
  return out;
}

void AnthropicStreamWriter::start(std::string& out, const ChatAnswer& head) {
  started_ = true;
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("type", "message_start").key("message").begin_object();
  write_head(w, head);
  w.key("content").begin_array().end_array().key("stop_reason").null();
  w.key("stop_sequence").null();
  // What is counted comes with the last event but one; an answer that grows has no count yet.
  write_usage(w, head.usage);
  w.end_object().end_object();
  append_event(out, "message_start", json);
}

void AnthropicStreamWriter::close(std::string& out) {
  if (!open_) return;
  open_.reset();
  append_event(out, "content_block_stop",
               "{\"type\":\"content_block_stop\",\"index\":" + std::to_string(blocks_ - 1) + "}");
}

namespace {

void block_start(std::string& out, size_t index, std::string_view block) {
  append_event(out, "content_block_start",
               "{\"type\":\"content_block_start\",\"index\":" + std::to_string(index) +
                   ",\"content_block\":" + std::string(block) + "}");
}

void block_delta(std::string& out, size_t index, std::string_view type, std::string_view member,
                 std::string_view text) {
  std::string json =
      "{\"type\":\"content_block_delta\",\"index\":" + std::to_string(index) + ",\"delta\":";
  JsonWriter w(json);
  w.begin_object().field("type", type).field(member, text).end_object();
  json += '}';
  append_event(out, "content_block_delta", json);
}

}  // namespace

void AnthropicStreamWriter::text_like(std::string& out, Kind kind, const ChatDelta& d) {
  const bool text = kind == Kind::kText;
  if (open_ != kind || d.opens) {
    close(out);
    open_ = kind;
    block_start(out, blocks_++,
                text ? R"({"type":"text","text":""})"
                     : R"({"type":"thinking","thinking":"","signature":""})");
  }
  const std::string& piece = text ? d.text : d.reasoning;
  if (!piece.empty())
    block_delta(out, blocks_ - 1, text ? "text_delta" : "thinking_delta",
                text ? "text" : "thinking", piece);
}

void AnthropicStreamWriter::tool(std::string& out, const ChatDelta::Tool& t) {
  if (t.index >= calls_.size()) calls_.resize(t.index + 1);
  Call& call = calls_[t.index];
  if (!t.id.empty()) call.id = t.id;
  if (!t.name.empty()) call.name = t.name;
  call.held += t.arguments;
  // Blocks follow each other, while OpenAI's pieces of parallel calls may be mixed: a call's block
  // is closed when its arguments are whole, and the pieces of the others wait.
  if (open_ == Kind::kToolCall && tool_ != t.index) {
    if (!is_json_object(calls_[tool_].said)) return;
    close(out);
  }
  write_call(out, t.index);
}

void AnthropicStreamWriter::write_call(std::string& out, size_t index) {
  Call& call = calls_[index];
  if (call.closed) return;
  if (open_ != Kind::kToolCall || tool_ != index) {
    if (open_ == Kind::kToolCall) calls_[tool_].closed = true;
    close(out);
    open_ = Kind::kToolCall;
    tool_ = index;
    std::string block;
    JsonWriter w(block);
    w.begin_object().field("type", "tool_use").field("id", call.id).field("name", call.name);
    w.key("input").begin_object().end_object().end_object();
    block_start(out, blocks_++, block);
  }
  if (call.held.empty()) return;
  block_delta(out, blocks_ - 1, "input_json_delta", "partial_json", call.held);
  call.said += call.held;
  call.held.clear();
}

void AnthropicStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.native == Dialect::kAnthropic && !d.native_data.empty()) {
    native_ = true;
    append_event(out, d.native_event, d.native_data);
    return;
  }
  if (!started_) start(out, head);
  if (!d.reasoning.empty() || (d.text.empty() && d.tools.empty() && !d.signature.empty()))
    text_like(out, Kind::kReasoning, d);
  if (open_ == Kind::kReasoning && !d.signature.empty() && d.text.empty())
    block_delta(out, blocks_ - 1, "signature_delta", "signature",
                told_signature("anthropic", d.signature));
  if (!d.text.empty()) text_like(out, Kind::kText, d);
  if (!d.refusal.empty()) {
    ChatDelta refusal;
    refusal.text = d.refusal;
    text_like(out, Kind::kText, refusal);
  }
  for (const auto& [name, json] : d.block_extra) {
    if (name != "citations" || open_ != Kind::kText) continue;
    const auto list = JsonValue::parse(json);
    if (!list.ok()) continue;
    for (const JsonValue& each : list->items()) {
      append_event(out, "content_block_delta",
                   "{\"type\":\"content_block_delta\",\"index\":" + std::to_string(blocks_ - 1) +
                       ",\"delta\":{\"type\":\"citations_delta\",\"citation\":" + each.dump() +
                       "}}");
    }
  }
  for (const ChatDelta::Tool& t : d.tools) tool(out, t);
  if (!d.redacted.empty()) {
    close(out);
    std::string block;
    JsonWriter w(block);
    w.begin_object().field("type", "redacted_thinking").field("data", d.redacted).end_object();
    open_ = Kind::kRedacted;
    block_start(out, blocks_++, block);
    close(out);
  }
  if (!d.other.empty()) {
    close(out);
    open_ = Kind::kOther;
    block_start(out, blocks_++, d.other);
    close(out);
  }
}

void AnthropicStreamWriter::end(std::string& out, const ChatAnswer& a) {
  if (native_) return;  // the upstream's own message_stop has passed
  if (!started_) start(out, a);
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (!calls_[i].held.empty() || calls_[i].said.empty()) write_call(out, i);
  }
  close(out);
  std::string json;
  JsonWriter w(json);
  w.begin_object().field("type", "message_delta").key("delta").begin_object();
  write_stop(w, a);
  w.end_object();
  write_usage(w, a.usage);
  w.end_object();
  append_event(out, "message_delta", json);
  append_event(out, "message_stop", "{\"type\":\"message_stop\"}");
}

void AnthropicStreamWriter::error(std::string& out, const AnswerError& e) {
  append_event(out, "error", write_anthropic_error(e));
}

// --- Reading -----------------------------------------------------------------------------------

void AnthropicReader::block_start(const JsonValue& v, ChatDelta& d) {
  kind_ = std::string(v["type"].text());
  opens_ = true;
  input_.clear();
  if (kind_ == "text") {
    d.text = v["text"].string_or("");
  } else if (kind_ == "thinking") {
    d.reasoning = v["thinking"].string_or("");
    d.signature = marked_signature("anthropic", v["signature"].string_or(""));
  } else if (kind_ == "redacted_thinking") {
    d.redacted = v["data"].string_or("");
  } else if (kind_ == "tool_use") {
    if (v["input"].size() > 0) input_ = v["input"].dump();
    said_ = false;
    d.tools.push_back({calls_++, v["id"].string_or(""), v["name"].string_or(""), "", false, ""});
  } else {
    d.other = v.dump();
  }
}

void AnthropicReader::block_delta(const JsonValue& v, ChatDelta& d) {
  const std::string_view type = v["type"].text();
  if (type == "text_delta") {
    d.text = v["text"].string_or("");
  } else if (type == "thinking_delta") {
    d.reasoning = v["thinking"].string_or("");
  } else if (type == "signature_delta") {
    d.signature = marked_signature("anthropic", v["signature"].string_or(""));
  } else if (type == "input_json_delta" && kind_ == "tool_use") {
    const std::string piece = v["partial_json"].string_or("");
    said_ |= !piece.empty();
    if (calls_ > 0) d.tools.push_back({calls_ - 1, "", "", piece, false, ""});
  } else if (type == "citations_delta") {
    d.block_extra.emplace_back("citations", "[" + v["citation"].dump() + "]");
  } else {
    d.lossy = true;  // what a hosted tool was asked, piece by piece
  }
}

Result<void> AnthropicReader::read(const JsonValue& v, ChatDelta& d) {
  const std::string_view type = v["type"].text();
  if (type == "message_start") {
    const JsonValue& m = v["message"];
    head.id = m["id"].string_or("");
    head.model = m["model"].string_or("");
    choices = 1;
    read_usage(m["usage"], usage_);
    d.has_role = true;
  } else if (type == "content_block_start") {
    block_start(v["content_block"], d);
  } else if (type == "content_block_delta") {
    block_delta(v["delta"], d);
  } else if (type == "content_block_stop") {
    if (kind_ == "tool_use" && !said_ && calls_ > 0)
      d.tools.push_back({calls_ - 1, "", "", input_.empty() ? "{}" : input_, false, ""});
    kind_.clear();
  } else if (type == "message_delta") {
    read_finish(v["delta"], d.finish_reason, d.finish_detail, d.stop_sequence);
    finished |= !d.finish_reason.empty();
    read_usage(v["usage"], usage_);
    d.usage = usage_;
  } else if (type == "message_stop") {
    done = true;
  } else if (type == "error") {
    failure = failure_of(v["error"]);
    return Error(ErrorCode::kUpstream, "the provider broke off: " + failure->message);
  } else if (type.empty()) {
    return Error(ErrorCode::kUpstream, "the provider's stream holds a piece that is no event");
  }
  return ok();
}

Result<void> AnthropicReader::event(std::string_view name, std::string data,
                                    std::vector<ChatDelta>& out) {
  auto parsed = JsonValue::parse(data);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "the provider's stream holds a piece that is no JSON");
  ChatDelta d;
  SM_CHECK_OK(read(*parsed, d));
  if (opens_ && (d.has_content() || !d.signature.empty())) d.opens = std::exchange(opens_, false);
  d.native = Dialect::kAnthropic;
  d.native_event = name == "message" ? std::string((*parsed)["type"].text()) : std::string(name);
  d.native_data = std::move(data);
  std::replace(d.native_data.begin(), d.native_data.end(), '\n', ' ');
  out.push_back(std::move(d));
  return ok();
}

Result<ChatAnswer> AnthropicReader::whole(std::string_view body) {
  auto parsed = JsonValue::parse(body);
  if (!parsed.ok() || !(*parsed)["content"].is_array())
    return Error(ErrorCode::kUpstream, "the provider's answer is no message");
  const JsonValue& v = *parsed;
  ChatAnswer a;
  for (const JsonValue& block : v["content"].items()) {
    ChatDelta d;
    block_start(block, d);
    if (kind_ == "tool_use") d.tools.back().arguments = input_.empty() ? "{}" : input_;
    if (block["citations"].size() > 0)
      d.block_extra.emplace_back("citations", block["citations"].dump());
    d.opens = true;
    append(a, d);
  }
  a.id = v["id"].string_or("");
  a.model = v["model"].string_or("");
  read_finish(v, a.finish_reason, a.finish_detail, a.stop_sequence);
  read_usage(v["usage"], usage_);
  a.usage = usage_;
  choices = 1;
  finished = !a.finish_reason.empty();
  done = true;
  return a;
}

}  // namespace samplemind::ai
