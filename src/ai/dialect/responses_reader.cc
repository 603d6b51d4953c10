// Answers in the form of OpenAI's responses, read.
#include <algorithm>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "ai/dialect/responses.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

// A count as we can use it: nonsense from outside never becomes a negative or absurd bill.
int64_t token_count(const JsonValue& v) {
  return std::clamp<int64_t>(v.integer_or(0), 0, 1'000'000'000);
}

Usage read_usage(const JsonValue& u) {
  Usage usage;
  usage.reported = u.is_object();
  usage.input_tokens = token_count(u["input_tokens"]);
  usage.output_tokens = token_count(u["output_tokens"]);
  const JsonValue& input = u["input_tokens_details"];
  usage.cached_input_tokens = std::min(token_count(input["cached_tokens"]), usage.input_tokens);
  usage.cache_write_tokens = std::min(token_count(input["cache_write_tokens"]),
                                      usage.input_tokens - usage.cached_input_tokens);
  const JsonValue& output = u["output_tokens_details"];
  usage.reasoning_tokens = token_count(output["reasoning_tokens"]);
  // OpenAI's own responses do not tell sounds and pictures apart; other servers do, by these names.
  usage.audio_input_tokens = token_count(input["audio_tokens"]);
  usage.image_input_tokens = token_count(input["image_tokens"]);
  usage.audio_output_tokens = token_count(output["audio_tokens"]);
  return usage;
}

std::string logprob_items(const JsonValue& list) {
  std::string out;
  for (const JsonValue& item : list.items()) out += (out.empty() ? "" : ",") + item.dump();
  return out;
}

// The signature that a reasoning item carries, or what only its provider can read.
void read_signature(const JsonValue& item, bool spoke, ChatDelta& d) {
  std::string signature = marked_signature("openai", item["encrypted_content"].string_or(""));
  if (signature.starts_with(kRedactedMark) && !spoke) {
    d.redacted = signature.substr(kRedactedMark.size());
    return;
  }
  // Of its own where nothing was said before it.
  d.opens |= !spoke && !signature.empty();
  d.signature = std::move(signature);
}

constexpr size_t kCallsMax = 256;

}  // namespace

void ResponsesReader::take_head(const JsonValue& response) {
  if (head.id.empty()) head.id = response["id"].string_or("");
  if (head.model.empty()) head.model = response["model"].string_or("");
  if (head.created_s == 0) head.created_s = response["created_at"].integer_or(0);
}

Result<void> ResponsesReader::fail(const JsonValue& error) {
  failure = read_openai_error(error);
  return Error(ErrorCode::kUpstream, failure->message);
}

Result<void> ResponsesReader::take_end(const JsonValue& response, ChatDelta& d) {
  const std::string_view status = response["status"].text();
  if (status == "failed" || status == "cancelled" || !response["error"].is_null())
    return fail(response["error"]);
  if (status == "incomplete") {
    d.finish_reason = response["incomplete_details"]["reason"].text() == "content_filter"
                          ? "content_filter"
                          : "length";
  } else if (status == "completed") {
    d.finish_reason = calls_.empty() ? "stop" : "tool_calls";
  }
  if (response["usage"].is_object()) d.usage = read_usage(response["usage"]);
  for (const JsonValue& item : response["output"].items()) {
    // Where its sources are is told in no other form than its own.
    for (const JsonValue& part : item["content"].items()) d.lossy |= part["annotations"].size() > 0;
  }
  return ok();
}

void ResponsesReader::item_added(const JsonValue& v, ChatDelta& d) {
  const JsonValue& item = v["item"];
  const std::string_view type = item["type"].text();
  opens_ = true;
  if (type == "function_call" || type == "custom_tool_call") {
    if (calls_.size() >= kCallsMax) return;
    Call call;
    call.index = calls_.size();
    call.custom = type == "custom_tool_call";
    calls_[v["output_index"].integer_or(0)] = call;
    ChatDelta::Tool t{
        call.index,
        item["call_id"].string_or(""),
        item["name"].string_or(""),
        "",
        call.custom,
        marked_signature("gemini",
                         item["extra_content"]["google"]["thought_signature"].string_or(""))};
    d.tools.push_back(std::move(t));
  } else if (type != "message" && type != "reasoning") {
    d.lossy = true;  // a hosted tool's doing
  }
}

void ResponsesReader::item_done(const JsonValue& v, ChatDelta& d) {
  const JsonValue& item = v["item"];
  const int64_t place = v["output_index"].integer_or(0);
  if (item["type"].text() == "reasoning") read_signature(item, spoke_[place], d);
  const auto call = calls_.find(place);
  if (call == calls_.end() || call->second.said) return;
  std::string arguments = item[call->second.custom ? "input" : "arguments"].string_or("");
  if (!arguments.empty())
    d.tools.push_back({call->second.index, "", "", std::move(arguments), false, ""});
}

Result<void> ResponsesReader::event(std::string_view name, std::string data,
                                    std::vector<ChatDelta>& out) {
  auto parsed = JsonValue::parse(data);
  if (!parsed.ok() || !parsed->is_object())
    return Error(ErrorCode::kUpstream, "the provider's stream holds a piece that is no JSON");
  const JsonValue& v = *parsed;
  const std::string_view type = v["type"].text();
  ChatDelta d;
  if (type == "error") return fail(v["error"].is_object() ? v["error"] : v);
  if (v["response"].is_object()) take_head(v["response"]);
  if (type == "response.failed") return fail(v["response"]["error"]);
  const int64_t place = v["output_index"].integer_or(0);
  if (type == "response.output_item.added") {
    item_added(v, d);
  } else if (type == "response.output_item.done") {
    item_done(v, d);
  } else if (type == "response.content_part.added") {
    opens_ = true;
  } else if (type == "response.output_text.delta") {
    d.text = v["delta"].string_or("");
    d.logprobs = logprob_items(v["logprobs"]);
  } else if (type == "response.refusal.delta") {
    d.refusal = v["delta"].string_or("");
  } else if (type == "response.reasoning_summary_text.delta" ||
             type == "response.reasoning_text.delta") {
    d.reasoning = v["delta"].string_or("");
    spoke_[place] = true;
  } else if (type == "response.reasoning_summary_part.added" && spoke_[place]) {
    d.reasoning = "\n\n";
  } else if (type == "response.function_call_arguments.delta" ||
             type == "response.custom_tool_call_input.delta") {
    if (const auto call = calls_.find(place); call != calls_.end()) {
      call->second.said = true;
      d.tools.push_back({call->second.index, "", "", v["delta"].string_or(""), false, ""});
    }
  } else if (type == "response.completed" || type == "response.incomplete") {
    SM_CHECK_OK(take_end(v["response"], d));
    finished = !d.finish_reason.empty();
    done = true;
    d.response_json = v["response"].dump();
  }
  if (opens_ && (!d.text.empty() || !d.reasoning.empty())) {
    d.opens = true;
    opens_ = false;
  }
  d.native = Dialect::kResponses;
  d.native_event = std::string(name);
  d.native_data = std::move(data);
  std::replace(d.native_data.begin(), d.native_data.end(), '\n', ' ');
  out.push_back(std::move(d));
  return ok();
}

Result<ChatAnswer> ResponsesReader::whole(std::string_view body) {
  auto parsed = JsonValue::parse(body);
  if (!parsed.ok() || !(*parsed)["output"].is_array())
    return Error(ErrorCode::kUpstream, "the provider's answer is no response");
  const JsonValue& r = *parsed;
  choices = 1;
  ChatAnswer a;
  int64_t place = 0;
  for (const JsonValue& item : r["output"].items()) {
    JsonValue added(JsonValue::Object{{"item", item}, {"output_index", JsonValue(place++)}});
    ChatDelta first;
    item_added(added, first);
    append(a, first);
    for (const JsonValue& part : item["content"].items()) {
      ChatDelta d;
      d.opens = true;
      const std::string_view type = part["type"].text();
      if (type == "refusal") {
        d.refusal = part["refusal"].string_or("");
      } else if (type == "reasoning_text") {
        d.reasoning = part["text"].string_or("");
        spoke_[place - 1] |= !d.reasoning.empty();
      } else {
        d.text = part["text"].string_or("");
        d.logprobs = logprob_items(part["logprobs"]);
      }
      append(a, d);
    }
    for (const JsonValue& part : item["summary"].items()) {
      ChatDelta d;
      d.opens = !spoke_[place - 1];
      d.reasoning = (d.opens ? "" : "\n\n") + part["text"].string_or("");
      spoke_[place - 1] |= !d.reasoning.empty();
      append(a, d);
    }
    ChatDelta last;
    item_done(added, last);
    append(a, last);
  }
  ChatDelta end;
  SM_CHECK_OK(take_end(r, end));
  append(a, end);
  take_head(r);
  a.response_json = body;
  a.id = head.id;
  a.model = head.model;
  a.created_s = head.created_s;
  return a;
}

}  // namespace samplemind::ai
