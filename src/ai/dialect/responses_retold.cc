#include "ai/dialect/responses_retold.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include "ai/dialect/openai.h"
#include "ai/dialect/parts.h"
#include "base/json.h"

namespace samplemind::ai {

namespace {

// The object's text with other values where `value_of` gives one for a member's key and old text.
using ValueOf = std::function<std::optional<std::string>(const std::string&, std::string_view)>;
std::string replaced(std::string_view object, const ValueOf& value_of) {
  std::string out;
  size_t copied = 0;
  for (const JsonMember& m : top_level_members(object)) {
    const std::string_view old = object.substr(m.value_begin, m.value_end - m.value_begin);
    const std::optional<std::string> fresh = value_of(m.key, old);
    if (!fresh) continue;
    out.append(object, copied, m.value_begin - copied);
    out += *fresh;
    copied = m.value_end;
  }
  out.append(object.substr(copied));
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

// "msg_0a1b" at place 2 of "resp_X" is "msg_X_2".
std::string item_id(std::string_view old_json, const ResponseEcho& echo, int64_t place) {
  const auto old = JsonValue::parse(old_json);
  const std::string name = old.ok() ? old->string_or("") : "";
  const std::string kind = name.substr(0, std::min(name.find('_'), name.size()));
  return quoted((kind.empty() ? "item" : kind) + echo.id.substr(4) + "_" + std::to_string(place));
}

std::string retold_item(std::string_view item, const ResponseEcho& echo, int64_t place) {
  if (!item.starts_with('{')) return std::string(item);
  return replaced(item, [&](const std::string& key, std::string_view old) {
    return key == "id" ? std::optional(item_id(old, echo, place)) : std::nullopt;
  });
}

// Equal requests of different users are one at the upstream: these are each client's own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kOwn{{
    {"instructions", "null"},
    {"metadata", "{}"},
    {"previous_response_id", "null"},
    {"prompt_cache_key", "null"},
    {"safety_identifier", "null"},
    {"store", "true"},
    {"user", "null"},
}};

// What another provider signed, or nobody: OpenAI refuses it.
bool goes_to_openai(const JsonValue& item) {
  if (item["type"].text() != "reasoning") return true;
  const std::string signature = item["encrypted_content"].string_or("");
  return !signature.empty() && signature.find(':') == std::string::npos;
}

bool has_own_id(const JsonValue& item) {
  static constexpr std::array<std::string_view, 6> kKinds{"message",
                                                          "function_call",
                                                          "custom_tool_call",
                                                          "function_call_output",
                                                          "custom_tool_call_output",
                                                          ""};
  return item["id"].is_string() &&
         std::find(kKinds.begin(), kKinds.end(), item["type"].text()) != kKinds.end();
}

// The events of one response, numbered from 0.
class Events {
 public:
  Events(std::string& out, int64_t after) : out_(out), after_(after) {}

  void tell(std::string_view type, const std::function<void(JsonWriter&)>& members) {
    const int64_t number = number_++;
    if (number <= after_) return;
    out_ += "event: " + std::string(type) + "\ndata: ";
    JsonWriter w(out_);
    w.begin_object().field("type", type).field("sequence_number", number);
    members(w);
    w.end_object();
    out_ += "\n\n";
  }

 private:
  std::string& out_;
  int64_t after_;
  int64_t number_ = 0;
};

// The item as it stood before anything of it was told.
std::string begun_item(const JsonValue& item) {
  return replaced(item.dump(), [](const std::string& key, std::string_view) {
    if (key == "status") return std::optional<std::string>("\"in_progress\"");
    if (key == "content" || key == "summary") return std::optional<std::string>("[]");
    if (key == "arguments" || key == "input") return std::optional<std::string>("\"\"");
    return std::optional<std::string>();
  });
}

// A part of a message or of reasoning: "output_text" of `content_index`, "reasoning_summary_text"
// of `summary_index`.
void tell_part(Events& events, const JsonValue& item, const JsonValue& part, int64_t place,
               std::string_view index_name, size_t index) {
  const std::string_view type = part["type"].text();
  const bool refusal = type == "refusal", summary = index_name == "summary_index";
  const std::string_view member = refusal ? "refusal" : "text";
  const std::string of_part = summary ? "response.reasoning_summary_part" : "response.content_part";
  const std::string of_text = summary   ? "response.reasoning_summary_text"
                              : refusal ? "response.refusal"
                                        : "response." + std::string(type);
  const bool logprobs = part["logprobs"].is_array();
  const auto place_in = [&](JsonWriter& w) {
    w.field("item_id", item["id"].text()).field("output_index", place).field(index_name, index);
  };
  events.tell(of_part + ".added", [&](JsonWriter& w) {
    place_in(w);
    w.key("part").raw(replaced(part.dump(), [&](const std::string& key, std::string_view) {
      if (key == member) return std::optional<std::string>("\"\"");
      if (key == "annotations" || key == "logprobs") return std::optional<std::string>("[]");
      return std::optional<std::string>();
    }));
  });
  events.tell(of_text + ".delta", [&](JsonWriter& w) {
    place_in(w);
    w.field("delta", part[member].text());
    if (logprobs) w.key("logprobs").raw(part["logprobs"].dump());
  });
  for (size_t i = 0; i < part["annotations"].size(); ++i) {
    events.tell("response.output_text.annotation.added", [&](JsonWriter& w) {
      place_in(w);
      w.field("annotation_index", i).key("annotation").raw(part["annotations"][i].dump());
    });
  }
  events.tell(of_text + ".done", [&](JsonWriter& w) {
    place_in(w);
    w.field(member, part[member].text());
    if (logprobs) w.key("logprobs").raw(part["logprobs"].dump());
  });
  events.tell(of_part + ".done", [&](JsonWriter& w) {
    place_in(w);
    w.key("part").raw(part.dump());
  });
}

void tell_item(Events& events, const JsonValue& item, int64_t place) {
  events.tell("response.output_item.added", [&](JsonWriter& w) {
    w.field("output_index", place).key("item").raw(begun_item(item));
  });
  for (size_t i = 0; i < item["summary"].size(); ++i)
    tell_part(events, item, item["summary"][i], place, "summary_index", i);
  for (size_t i = 0; i < item["content"].size(); ++i)
    tell_part(events, item, item["content"][i], place, "content_index", i);
  const std::string_view type = item["type"].text();
  if (type == "function_call" || type == "custom_tool_call") {
    const bool custom = type == "custom_tool_call";
    const std::string name =
        custom ? "response.custom_tool_call_input" : "response.function_call_arguments";
    const std::string_view member = custom ? "input" : "arguments";
    for (const bool done : {false, true}) {
      events.tell(name + (done ? ".done" : ".delta"), [&](JsonWriter& w) {
        w.field("item_id", item["id"].text()).field("output_index", place);
        if (done) w.field("name", item["name"].text());
        w.field(done ? member : "delta", item[member].text());
      });
    }
  }
  events.tell("response.output_item.done",
              [&](JsonWriter& w) { w.field("output_index", place).key("item").raw(item.dump()); });
}

}  // namespace

Result<std::string> rewrite_responses_request(std::string_view body, std::string_view model) {
  SM_TRY(const JsonValue request, JsonValue::parse(body));
  if (request["background"].bool_or(false))
    return bad_request("'background': responses in the background are not served; leave it out");
  const auto& items = request["input"].items();
  const bool as_it_is = std::all_of(items.begin(), items.end(), [](const JsonValue& item) {
    return goes_to_openai(item) && !has_own_id(item);
  });
  return replaced(body, [&](const std::string& key, std::string_view) {
    if (key == "model") return std::optional(quoted(model));
    if (key != "input" || as_it_is) return std::optional<std::string>();
    std::string list;
    JsonWriter w(list);
    w.begin_array();
    for (const JsonValue& item : items) {
      if (!goes_to_openai(item)) continue;
      w.begin_object();
      for (const auto& [name, value] : item.members()) {
        if (name == "id" && has_own_id(item)) continue;
        w.key(name);
        value.write(w);
      }
      w.end_object();
    }
    w.end_array();
    return std::optional(std::move(list));
  });
}

std::string retold_response(std::string_view response, const ResponseEcho& echo) {
  return replaced(response, [&](const std::string& key, std::string_view old) {
    std::optional<std::string> fresh;
    if (key == "id") {
      fresh = quoted(echo.id);
    } else if (key == "output" && old.starts_with('[')) {
      const auto items = JsonValue::parse(old);
      std::string list = "[";
      for (size_t i = 0; items.ok() && i < items->size(); ++i) {
        if (i > 0) list += ',';
        list += retold_item((*items)[i].dump(), echo, static_cast<int64_t>(i));
      }
      fresh = list + "]";
    } else if (const auto own =
                   std::find_if(kOwn.begin(), kOwn.end(),
                                [&key](const auto& each) { return each.first == key; });
               own != kOwn.end()) {
      const auto said = std::find_if(echo.members.begin(), echo.members.end(),
                                     [&key](const auto& m) { return m.first == key; });
      fresh = said == echo.members.end() ? std::string(own->second) : said->second;
    }
    return fresh;
  });
}

std::string retold_event(std::string_view data, const ResponseEcho& echo) {
  const auto event = JsonValue::parse(data);
  if (!event.ok()) return std::string(data);
  const int64_t place = (*event)["output_index"].integer_or(0);
  return replaced(data, [&](const std::string& key, std::string_view old) {
    std::optional<std::string> fresh;
    if (key == "response" && old.starts_with('{')) fresh = retold_response(old, echo);
    if (key == "item") fresh = retold_item(old, echo, place);
    if (key == "item_id") fresh = item_id(old, echo, place);
    return fresh;
  });
}

Result<std::string> stream_of_response(std::string_view response, int64_t after) {
  auto parsed = JsonValue::parse(response);
  if (!parsed.ok() || !(*parsed)["output"].is_array())
    return Error(ErrorCode::kInternal, "the kept response cannot be read");
  const std::string begun = replaced(response, [](const std::string& key, std::string_view) {
    if (key == "status") return std::optional<std::string>("\"in_progress\"");
    if (key == "output") return std::optional<std::string>("[]");
    if (key == "usage" || key == "incomplete_details") return std::optional<std::string>("null");
    return std::optional<std::string>();
  });
  std::string out;
  Events events(out, after);
  for (const std::string_view type : {"response.created", "response.in_progress"})
    events.tell(type, [&](JsonWriter& w) { w.key("response").raw(begun); });
  int64_t place = 0;
  for (const JsonValue& item : (*parsed)["output"].items()) tell_item(events, item, place++);
  const std::string status = (*parsed)["status"].string_or("completed");
  events.tell("response." + status, [&](JsonWriter& w) { w.key("response").raw(response); });
  return out;
}

}  // namespace samplemind::ai
