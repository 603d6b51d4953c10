// Answers in the form of OpenAI's responses, written.
#include "ai/dialect/responses.h"

#include <algorithm>

#include "ai/dialect/parts.h"
#include "ai/dialect/responses_retold.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

// What a response says of its request where that said nothing, in the order of OpenAI's own.
constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {
    {"background", "false"},
    {"instructions", "null"},
    {"max_output_tokens", "null"},
    {"max_tool_calls", "null"},
    {"metadata", "{}"},
    {"parallel_tool_calls", "true"},
    {"previous_response_id", "null"},
    {"prompt_cache_key", "null"},
    {"reasoning", R"({"effort":null,"summary":null})"},
    {"safety_identifier", "null"},
    {"service_tier", "null"},
    {"store", "true"},
    {"temperature", "null"},
    {"text", R"({"format":{"type":"text"}})"},
    {"tool_choice", "\"auto\""},
    {"tools", "[]"},
    {"top_logprobs", "0"},
    {"top_p", "null"},
    {"truncation", "\"disabled\""},
    {"user", "null"},
};

void write_echo(JsonWriter& w, const ResponseEcho& echo) {
  for (const auto& [name, fallback] : kDefaults) {
    const auto said = std::find_if(echo.members.begin(), echo.members.end(),
                                   [&n = name](const auto& m) { return m.first == n; });
    const bool null = said == echo.members.end() || said->second == "null";
    w.key(name).raw(null ? fallback : std::string_view(said->second));
  }
}

void write_usage(JsonWriter& w, const Usage& u) {
  w.key("usage");
  if (!u.reported) {
    w.null();
    return;
  }
  w.begin_object().field("input_tokens", u.input_tokens);
  w.key("input_tokens_details").begin_object().field("cached_tokens", u.cached_input_tokens);
  w.field("cache_write_tokens", u.cache_write_tokens).end_object();
  w.field("output_tokens", u.output_tokens).key("output_tokens_details").begin_object();
  w.field("reasoning_tokens", u.reasoning_tokens).end_object();
  w.field("total_tokens", u.input_tokens + u.output_tokens).end_object();
}

// Why the answer is not complete; empty when it is.
std::string_view incomplete(const ChatAnswer& a) {
  if (a.finish_reason == "length") return "max_output_tokens";
  return a.finish_reason == "content_filter" ? "content_filter" : "";
}

bool whole_json(const std::string& text) {
  return !text.empty() && JsonValue::parse(text).ok();
}

}  // namespace

ResponsesStreamWriter::ResponsesStreamWriter(const Form& form) : form_(form) {
  if (form.echo) echo_ = *form.echo;
  if (echo_.id.empty()) echo_.id = "resp_0";
}

JsonWriter ResponsesStreamWriter::begin(std::string& out, std::string_view type) {
  out += "event: " + std::string(type) + "\ndata: ";
  JsonWriter w(out);
  w.begin_object().field("type", type).field("sequence_number", number_++);
  return w;
}

void ResponsesStreamWriter::finish(std::string& out, JsonWriter& w) {
  w.end_object();
  out += "\n\n";
}

void ResponsesStreamWriter::write_item(JsonWriter& w, const Item& item, bool cut) const {
  const std::string_view status = item.open ? "in_progress" : cut ? "incomplete" : "completed";
  w.begin_object().field("id", item.id);
  switch (item.kind) {
    case Item::Kind::kReasoning:
      w.field("type", "reasoning").key("summary").begin_array();
      if (!item.summary.empty())
        w.begin_object().field("type", "summary_text").field("text", item.summary).end_object();
      w.end_array();
      if (!item.encrypted.empty()) w.field("encrypted_content", item.encrypted);
      break;
    case Item::Kind::kMessage:
      w.field("type", "message").field("status", status).field("role", "assistant");
      w.key("content").begin_array();
      for (const Content& c : item.parts) {
        w.begin_object().field("type", c.refusal ? "refusal" : "output_text");
        w.field(c.refusal ? "refusal" : "text", c.text);
        if (!c.refusal) w.key("annotations").raw("[]").key("logprobs").raw("[" + c.logprobs + "]");
        w.end_object();
      }
      w.end_array();
      break;
    case Item::Kind::kCall:
      w.field("type", item.call.custom ? "custom_tool_call" : "function_call");
      w.field("status", status).field("call_id", item.call.id).field("name", item.call.name);
      w.field(item.call.custom ? "input" : "arguments", item.call.arguments);
      if (!item.call.signature.empty()) {
        w.key("extra_content").begin_object().key("google").begin_object();
        w.field("thought_signature", told_signature("gemini", item.call.signature));
        w.end_object().end_object();
      }
      break;
  }
  w.end_object();
}

void ResponsesStreamWriter::write_response(JsonWriter& w, const ChatAnswer& a, bool ended) const {
  const std::string_view why = ended ? incomplete(a) : "";
  w.begin_object().field("id", echo_.id).field("object", "response");
  w.field("created_at", echo_.created_s);
  w.field("status", !ended ? "in_progress" : why.empty() ? "completed" : "incomplete");
  w.key("error").null().key("incomplete_details");
  if (why.empty()) {
    w.null();
  } else {
    w.begin_object().field("reason", why).end_object();
  }
  w.field("model", a.model.empty() ? form_.model : a.model).key("output").begin_array();
  for (const Item& item : items_) write_item(w, item, !why.empty() && &item == &items_.back());
  w.end_array();
  write_echo(w, echo_);
  write_usage(w, ended ? a.usage : Usage());
  w.end_object();
}

void ResponsesStreamWriter::start(std::string& out, const ChatAnswer& head) {
  if (started_) return;
  started_ = true;
  for (const char* type : {"response.created", "response.in_progress"}) {
    JsonWriter w = begin(out, type);
    w.key("response");
    write_response(w, head, false);
    finish(out, w);
  }
}

ResponsesStreamWriter::Item& ResponsesStreamWriter::add(std::string& out, Item item,
                                                        std::string_view id_kind) {
  item.id = std::string(id_kind) + echo_.id.substr(4) + "_" + std::to_string(items_.size());
  items_.push_back(std::move(item));
  JsonWriter w = begin(out, "response.output_item.added");
  w.field("output_index", items_.size() - 1).key("item");
  write_item(w, items_.back());
  finish(out, w);
  return items_.back();
}

ResponsesStreamWriter::Item* ResponsesStreamWriter::last_open(Item::Kind kind) {
  if (items_.empty() || !items_.back().open || items_.back().kind != kind) return nullptr;
  return &items_.back();
}

// The text of the message's last part is complete.
void ResponsesStreamWriter::close_part(std::string& out, const Item& item) {
  const Content& c = item.parts.back();
  const auto head = [&](std::string_view type) {
    JsonWriter w = begin(out, type);
    w.field("item_id", item.id).field("output_index", place_of(item));
    w.field("content_index", item.parts.size() - 1);
    return w;
  };
  JsonWriter w = head(c.refusal ? "response.refusal.done" : "response.output_text.done");
  w.field(c.refusal ? "refusal" : "text", c.text);
  if (!c.refusal) w.key("logprobs").raw("[" + c.logprobs + "]");
  finish(out, w);
  JsonWriter part = head("response.content_part.done");
  part.key("part").begin_object().field("type", c.refusal ? "refusal" : "output_text");
  part.field(c.refusal ? "refusal" : "text", c.text);
  if (!c.refusal) part.key("annotations").raw("[]").key("logprobs").raw("[" + c.logprobs + "]");
  part.end_object();
  finish(out, part);
}

void ResponsesStreamWriter::close(std::string& out, Item& item) {
  if (!item.open) return;
  const size_t place = place_of(item);
  if (item.kind == Item::Kind::kMessage && !item.parts.empty()) close_part(out, item);
  if (item.kind == Item::Kind::kReasoning && !item.summary.empty()) {
    JsonWriter text = begin(out, "response.reasoning_summary_text.done");
    text.field("item_id", item.id).field("output_index", place).field("summary_index", 0);
    text.field("text", item.summary);
    finish(out, text);
    JsonWriter part = begin(out, "response.reasoning_summary_part.done");
    part.field("item_id", item.id).field("output_index", place).field("summary_index", 0);
    part.key("part").begin_object().field("type", "summary_text").field("text", item.summary);
    part.end_object();
    finish(out, part);
  }
  if (item.kind == Item::Kind::kCall) {
    const bool custom = item.call.custom;
    JsonWriter w = begin(out, custom ? "response.custom_tool_call_input.done"
                                     : "response.function_call_arguments.done");
    w.field("item_id", item.id).field("output_index", place).field("name", item.call.name);
    w.field(custom ? "input" : "arguments", item.call.arguments);
    finish(out, w);
  }
  item.open = false;
  JsonWriter w = begin(out, "response.output_item.done");
  w.field("output_index", place).key("item");
  write_item(w, item);
  finish(out, w);
}

// Calls follow each other; one whose arguments are not complete yet stays open beside the next
// item.
void ResponsesStreamWriter::close_complete(std::string& out) {
  for (Item& item : items_) {
    if (item.kind != Item::Kind::kCall || whole_json(item.call.arguments)) close(out, item);
  }
}

void ResponsesStreamWriter::reasoning(std::string& out, const ChatDelta& d) {
  Item* item = last_open(Item::Kind::kReasoning);
  if (item == nullptr || d.opens) {
    close_complete(out);
    Item fresh;
    fresh.kind = Item::Kind::kReasoning;
    item = &add(out, std::move(fresh), "rs");
  }
  if (!d.reasoning.empty()) {
    if (item->summary.empty()) {
      JsonWriter part = begin(out, "response.reasoning_summary_part.added");
      part.field("item_id", item->id).field("output_index", place_of(*item));
      part.field("summary_index", 0).key("part").raw(R"({"type":"summary_text","text":""})");
      finish(out, part);
    }
    item->summary += d.reasoning;
    JsonWriter w = begin(out, "response.reasoning_summary_text.delta");
    w.field("item_id", item->id).field("output_index", place_of(*item));
    w.field("summary_index", 0).field("delta", d.reasoning);
    finish(out, w);
  }
}

void ResponsesStreamWriter::content(std::string& out, bool opens, bool refusal,
                                    const std::string& piece, const std::string& logprobs) {
  Item* item = last_open(Item::Kind::kMessage);
  if (item == nullptr) {
    close_complete(out);
    item = &add(out, Item(), "msg");
  }
  if (item->parts.empty() || opens || item->parts.back().refusal != refusal) {
    if (!item->parts.empty()) close_part(out, *item);
    item->parts.emplace_back();
    item->parts.back().refusal = refusal;
    JsonWriter w = begin(out, "response.content_part.added");
    w.field("item_id", item->id).field("output_index", place_of(*item));
    w.field("content_index", item->parts.size() - 1).key("part");
    w.raw(refusal ? R"({"type":"refusal","refusal":""})"
                  : R"({"type":"output_text","text":"","annotations":[],"logprobs":[]})");
    finish(out, w);
  }
  Content& c = item->parts.back();
  c.text += piece;
  if (!logprobs.empty()) c.logprobs += (c.logprobs.empty() ? "" : ",") + logprobs;
  JsonWriter w = begin(out, refusal ? "response.refusal.delta" : "response.output_text.delta");
  w.field("item_id", item->id).field("output_index", place_of(*item));
  w.field("content_index", item->parts.size() - 1).field("delta", piece);
  if (!refusal) w.key("logprobs").raw("[" + logprobs + "]");
  finish(out, w);
}

void ResponsesStreamWriter::tool(std::string& out, const ChatDelta::Tool& t) {
  const auto known = std::find_if(items_.begin(), items_.end(), [&t](const Item& i) {
    return i.kind == Item::Kind::kCall && i.tool == t.index;
  });
  Item* item = known == items_.end() ? nullptr : &*known;
  if (item == nullptr) {
    close_complete(out);
    Item fresh;
    fresh.kind = Item::Kind::kCall;
    fresh.tool = t.index;
    fresh.call.id = t.id;
    fresh.call.name = t.name;
    fresh.call.custom = t.custom;
    fresh.call.signature = t.signature;
    item = &add(out, std::move(fresh), t.custom ? "ctc" : "fc");
  }
  if (!t.signature.empty()) item->call.signature = t.signature;
  item->call.arguments += t.arguments;
  if (t.arguments.empty() || !item->open) return;
  JsonWriter w = begin(out, item->call.custom ? "response.custom_tool_call_input.delta"
                                              : "response.function_call_arguments.delta");
  w.field("item_id", item->id).field("output_index", place_of(*item)).field("delta", t.arguments);
  finish(out, w);
}

void ResponsesStreamWriter::delta(std::string& out, const ChatAnswer& head, const ChatDelta& d) {
  if (d.native == Dialect::kResponses && !d.native_data.empty()) {
    native_ = true;
    ++number_;
    if (!d.native_event.empty()) out += "event: " + d.native_event + "\n";
    out += "data: " + retold_event(d.native_data, echo_) + "\n\n";
    return;
  }
  start(out, head);
  const bool signs = !d.signature.empty() && d.text.empty() && d.tools.empty();
  const bool opens_signed = d.opens && signs && d.redacted.empty() && d.other.empty();
  if (!d.reasoning.empty() || opens_signed) reasoning(out, d);
  if (signs) {
    if (Item* item = last_open(Item::Kind::kReasoning))
      item->encrypted += item->encrypted.empty() ? told_signature("openai", d.signature)
                                                 : std::string(unmarked_signature(d.signature));
  }
  const bool text_opens = d.opens && d.reasoning.empty();
  if (!d.text.empty()) content(out, text_opens, false, d.text, d.logprobs);
  if (!d.refusal.empty()) content(out, false, true, d.refusal, {});
  if (!d.redacted.empty()) {
    close_complete(out);
    Item item;
    item.kind = Item::Kind::kReasoning;
    item.encrypted = std::string(kRedactedMark) + d.redacted;
    close(out, add(out, std::move(item), "rs"));
  }
  for (const ChatDelta::Tool& t : d.tools) tool(out, t);
}

void ResponsesStreamWriter::end(std::string& out, const ChatAnswer& answer) {
  if (native_) return;  // the last of the upstream's events was its end
  start(out, answer);
  for (Item& item : items_) close(out, item);
  JsonWriter w =
      begin(out, incomplete(answer).empty() ? "response.completed" : "response.incomplete");
  w.key("response");
  write_response(w, answer, true);
  finish(out, w);
}

void ResponsesStreamWriter::error(std::string& out, const AnswerError& e) {
  JsonWriter w = begin(out, "error");
  // Both as the types of OpenAI's clients have it and as its servers send it.
  w.field("code", e.code.empty() ? e.type : e.code).field("message", e.message).key("param").null();
  w.key("error").begin_object().field("type", e.type).key("code");
  if (e.code.empty()) {
    w.null();
  } else {
    w.value(e.code);
  }
  w.field("message", e.message).key("param").null().end_object();
  finish(out, w);
}

std::string write_responses_answer(const Form& form, const ChatAnswer& answer) {
  if (!answer.response_json.empty() && form.echo)
    return retold_response(answer.response_json, *form.echo);
  ResponsesStreamWriter writer(form);
  std::string events;
  for (const ChatDelta& d : pieces_of(answer)) {
    events.clear();
    writer.delta(events, answer, d);
  }
  events.clear();
  writer.end(events, answer);
  std::string out;
  JsonWriter w(out);
  writer.write_response(w, answer, true);
  return out;
}

}  // namespace samplemind::ai
