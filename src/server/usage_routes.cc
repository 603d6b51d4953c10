#include "server/usage_routes.h"

#include <charconv>
#include <functional>
#include <map>
#include <utility>

#include "ai/gateway/books.h"
#include "base/json.h"
#include "net/http.h"
#include "net/offload.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

constexpr int kDaysMax = 3660;
constexpr int kRequestsMax = 1000;

Result<int> number(const std::string& text, const std::string& name, int low, int high) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < low || n > high)
    return Error(ErrorCode::kInvalidArgument, name + " must be a whole number from " +
                                                  std::to_string(low) + " to " +
                                                  std::to_string(high) + ", not '" + text + "'");
  return n;
}

struct UsageWish {
  ai::UsageBy by = ai::UsageBy::kModel;
  std::string by_name = "model";
  int days = 30;
};

Result<UsageWish> read_usage_wish(std::string_view query) {
  UsageWish wish;
  SM_TRY(const auto parameters, net::parse_query(query));
  for (const auto& [name, value] : parameters) {
    if (name == "by") {
      wish.by_name = value;
      if (value == "model") {
        wish.by = ai::UsageBy::kModel;
      } else if (value == "key") {
        wish.by = ai::UsageBy::kKey;
      } else if (value == "day") {
        wish.by = ai::UsageBy::kDay;
      } else {
        return Error(ErrorCode::kInvalidArgument,
                     "by must be model, key or day, not '" + value + "'");
      }
    } else if (name == "days") {
      SM_TRY(wish.days, number(value, "days", 1, kDaysMax));
    } else {
      return Error(ErrorCode::kInvalidArgument, "unknown parameter '" + name + "'",
                   "there are by and days");
    }
  }
  return wish;
}

Result<std::string> usage_json(Engine& engine, const UsageWish& wish) {
  ai::Books& books = engine.gateway->books();
  const auto keys = engine.keys->list();
  std::map<std::string, std::string> names;
  for (const ai::VirtualKey& k : keys) names[k.id] = k.name;
  SM_TRY(const auto rows, books.ledger->usage(wish.by, wish.days));
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("by", wish.by_name)
      .field("days", wish.days)
      .field("prices_date", books.prices.date());
  w.key("rows").begin_array();
  for (const ai::UsageRow& row : rows) {
    const ai::UsageEntry& e = row.sum;
    w.begin_object().field("group", row.group);
    if (wish.by == ai::UsageBy::kKey) w.field("name", names[row.group]);
    w.field("requests", e.requests)
        .field("errors", e.errors)
        .field("hits", e.hits)
        .field("coalesced", e.coalesced)
        .field("tries", e.tries)
        .field("input_tokens", e.input_tokens)
        .field("cached_input_tokens", e.cached_input_tokens)
        .field("output_tokens", e.output_tokens)
        .field("cost_microusd", e.cost_microusd)
        .field("saved_microusd", e.saved_microusd)
        .field("estimated", e.estimated)
        .field("unpriced", e.unpriced)
        .end_object();
  }
  w.end_array().key("budgets").begin_array();
  for (const ai::BudgetState& b : books.ledger->budget_states(keys)) {
    w.begin_object()
        .field("key", b.key)
        .field("name", b.key.empty() ? std::string() : names[b.key])
        .field("budget", ai::to_string(b.budget))
        .field("limit_microusd", b.budget.microusd)
        .field("spent_microusd", b.spent_microusd)
        .field("held_microusd", b.held_microusd)
        .end_object();
  }
  w.end_array().end_object();
  return out;
}

}  // namespace

net::Task<void> get_usage(EngineShard& shard, net::Exchange& exchange) {
  auto wish = read_usage_wish(exchange.request().query());
  if (!wish.ok()) {
    co_await respond_problem(exchange, std::move(wish).error());
    co_return;
  }
  Engine* const engine = &shard.engine;
  std::function<Result<std::string>()> work = [engine, wish = *wish] {
    return usage_json(*engine, wish);
  };
  auto json = co_await net::offload<std::string>(shard.engine.blocking, std::move(work));
  if (json.ok()) {
    co_await respond_json(exchange, std::move(*json));
  } else {
    co_await respond_problem(exchange, std::move(json).error());
  }
}

net::Task<void> get_requests(EngineShard& shard, net::Exchange& exchange) {
  int limit = 100;
  auto parameters = net::parse_query(exchange.request().query());
  if (!parameters.ok()) {
    co_await respond_problem(exchange, std::move(parameters).error());
    co_return;
  }
  for (const auto& [name, value] : *parameters) {
    auto n = name == "limit"
                 ? number(value, "limit", 1, kRequestsMax)
                 : Result<int>(Error(ErrorCode::kInvalidArgument,
                                     "unknown parameter '" + name + "'", "there is limit"));
    if (!n.ok()) {
      co_await respond_problem(exchange, std::move(n).error());
      co_return;
    }
    limit = *n;
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("requests").begin_array();
  const auto last = shard.engine.gateway->books().log.last(static_cast<size_t>(limit));
  for (const ai::RequestRecord& r : last) ai::write_json(w, r);
  w.end_array().end_object();
  co_await respond_json(exchange, std::move(out));
}

net::Task<void> post_route(EngineShard& shard, net::Exchange& exchange) {
  auto body = co_await exchange.read_body(shard.body_max);
  if (!body.ok()) {
    co_await respond_problem(exchange, std::move(body).error());
    co_return;
  }
  ai::CallContext context;
  context.headers = &exchange.request().headers;
  context.cancel = exchange.cancel();
  const ai::ChatRoute where;
  std::string text(*body);
  auto report = co_await shard.gateway->route(std::move(context), where, std::move(text));
  if (!report.ok()) {
    co_await respond_problem(exchange, std::move(report).error());
    co_return;
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("asked", report->asked)
      .field("rule", report->rule)
      .field("line", report->line)
      .field("input_tokens", report->input_tokens);
  w.key("candidates").begin_array();
  for (const auto& c : report->candidates)
    w.begin_object().field("model", c.id).field("most_microusd", c.most_microusd).end_object();
  w.end_array().field("skipped", report->skipped).end_object();
  co_await respond_json(exchange, std::move(out));
}

}  // namespace samplemind::server
