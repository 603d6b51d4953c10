#include "ai/gateway/conversation.h"

#include <map>
#include <utility>
#include <variant>

#include "ai/dialect/parts.h"
#include "net/offload.h"

namespace samplemind::ai {

namespace {

// An item as it goes into a later request: ids are of the answer it stood in, and mean nothing to
// whoever is asked next. What a hosted tool did goes back to its provider as it came.
std::string as_input(const JsonValue& item) {
  const std::string_view type = item["type"].text();
  const bool reasoning = type == "reasoning";
  const bool plain =
      reasoning || type == "message" || type == "function_call" || type == "custom_tool_call";
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  for (const auto& [name, value] : item.members()) {
    if (plain && (name == "status" || (name == "id" && !reasoning))) continue;
    w.key(name);
    value.write(w);
  }
  w.end_object();
  return out;
}

Failure unknown(std::string message, std::string code) {
  return Failure{400, "invalid_request_error", std::move(code), std::move(message), {}};
}

Failure broken(const Error& e) {
  return Failure{503, "api_error", "responses_unavailable", e.message(), {}};
}

}  // namespace

net::Task<Result<std::optional<StoredResponse>>> Conversations::get(std::string tenant,
                                                                    std::string id) {
  // As in AnswerCache::from_disk: the pool's queue ends before the store goes.
  GatewayCore* core = core_;
  std::function<Result<std::optional<StoredResponse>>()> work = [core, tenant, id] {
    return core->responses->get(tenant, id);
  };
  co_return co_await net::offload<std::optional<StoredResponse>>(core_->disk_readers,
                                                                 std::move(work));
}

net::Task<Result<bool>> Conversations::erase(std::string tenant, std::string id) {
  GatewayCore* core = core_;
  std::function<Result<bool>()> work = [core, tenant, id] {
    return core->responses->erase(tenant, id);
  };
  co_return co_await net::offload<bool>(core_->disk_readers, std::move(work));
}

net::Task<std::variant<std::string, Failure>> Conversations::expand(std::string tenant,
                                                                    std::string body) {
  const ResponseReferences refers = references_of_request(body);
  if (!refers.any()) co_return std::move(body);
  std::string before;
  std::map<std::string, JsonValue> responses;  // by id
  if (!refers.previous.empty()) {
    auto found = co_await get(tenant, refers.previous);
    if (!found.ok()) co_return broken(found.error());
    if (!*found)
      co_return unknown("Previous response with id '" + refers.previous + "' not found.",
                        "previous_response_not_found");
    before = std::move((*found)->input);
    auto parsed = JsonValue::parse((*found)->response);
    if (!parsed.ok()) co_return broken(parsed.error());
    for (const JsonValue& item : (*parsed)["output"].items()) {
      if (!before.empty()) before += ',';
      before += as_input(item);
    }
    responses[refers.previous] = std::move(*parsed);
  }
  std::map<std::string, std::string> items;
  for (const std::string& id : refers.items) {
    const std::string owner = response_of_item(id);
    if (!owner.empty() && !responses.contains(owner)) {
      auto found = co_await get(tenant, owner);
      if (!found.ok()) co_return broken(found.error());
      if (*found) {
        auto parsed = JsonValue::parse((*found)->response);
        if (parsed.ok()) responses[owner] = std::move(*parsed);
      }
    }
    for (const JsonValue& item : responses[owner]["output"].items()) {
      if (item["id"].text() == id) items[id] = as_input(item);
    }
    if (!items.contains(id))
      co_return unknown("Item with id '" + id + "' not found.", "item_not_found");
  }
  std::string expanded = expand_responses_request(body, before, items);
  if (expanded.size() > kConversationBytesMax)
    co_return Failure{413,
                      "invalid_request_error",
                      "conversation_too_large",
                      "the conversation is larger than 64 MiB: begin a new one",
                      {}};
  co_return std::move(expanded);
}

void Conversations::prepare(Form& form, std::string tenant, std::string_view asked,
                            std::string expanded) const {
  auto echo = std::make_shared<const ResponseEcho>(
      echo_of_request(asked, new_response_id(), core_->clock.unix_ms() / 1000));
  form.echo = echo;
  if (!references_of_request(asked).keep) return;
  GatewayCore* core = core_;
  Form plain;
  plain.dialect = Dialect::kResponses;
  plain.model = form.model;
  plain.echo = echo;
  form.on_complete = [core, plain = std::move(plain), tenant = std::move(tenant),
                      expanded = std::move(expanded)](const ChatAnswer& answer) {
    StoredResponse r;
    r.id = plain.echo->id;
    r.tenant = tenant;
    r.created_ms = core->clock.unix_ms();
    r.input = input_items(expanded);
    r.response = write_answer(plain, answer);
    core->responses->put(std::move(r));
  };
}

}  // namespace samplemind::ai
