#include "server/key_routes.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ai/keys.h"
#include "base/json.h"
#include "net/offload.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

constexpr size_t kBodyMax = 64u << 10;

Result<JsonValue> read_object(std::string_view body, const std::vector<std::string>& known) {
  JsonValue v;
  if (!body.empty()) {
    SM_TRY(v, JsonValue::parse(body));
    if (!v.is_object()) return Error(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  }
  for (const auto& [name, value] : v.members()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    const auto close = nearest(name, known);
    return Error(ErrorCode::kInvalidArgument, "unknown member '" + name + "'",
                 close ? "did you mean '" + *close + "'?" : "");
  }
  return v;
}

Result<std::vector<std::string>> texts(const JsonValue& v, const char* name) {
  std::vector<std::string> list;
  if (v.is_null()) return list;
  if (!v.is_array())
    return Error(ErrorCode::kInvalidArgument, std::string(name) + " must be a list of texts");
  for (const JsonValue& each : v.items()) {
    auto text = each.string();
    if (!text || text->empty() || text->size() > 200 || list.size() >= 100)
      return Error(ErrorCode::kInvalidArgument, std::string(name) + " must be a list of texts");
    list.push_back(std::move(*text));
  }
  return list;
}

Result<int64_t> whole(const JsonValue& v, const char* name) {
  if (v.is_null()) return 0;
  const auto n = v.integer();
  if (!n || *n < 0)
    return Error(ErrorCode::kInvalidArgument,
                 std::string(name) + " must be a whole number from 0 on");
  return *n;
}

Result<bool> truth(const JsonValue& v, const char* name) {
  if (v.is_null()) return false;
  const auto b = v.boolean();
  if (!b) return Error(ErrorCode::kInvalidArgument, std::string(name) + " must be true or false");
  return *b;
}

Result<ai::VirtualKey> read_wanted(std::string_view body, int64_t now_ms) {
  SM_TRY(const JsonValue v,
         read_object(body, {"name", "tenant", "models", "budgets", "requests_per_minute",
                            "tokens_per_minute", "local_only", "library", "sampling", "expires_in_s"}));
  ai::VirtualKey k;
  k.name = v["name"].string_or("");
  k.tenant = v["tenant"].string_or("");
  SM_TRY(k.models, texts(v["models"], "models"));
  SM_TRY(const auto budgets, texts(v["budgets"], "budgets"));
  for (const std::string& each : budgets) {
    SM_TRY(ai::Budget b, ai::parse_budget(each));
    k.budgets.push_back(std::move(b));
  }
  SM_TRY(k.requests_per_minute, whole(v["requests_per_minute"], "requests_per_minute"));
  SM_TRY(k.tokens_per_minute, whole(v["tokens_per_minute"], "tokens_per_minute"));
  SM_TRY(k.local_only, truth(v["local_only"], "local_only"));
  SM_TRY(k.library, truth(v["library"], "library"));
  if (!v["sampling"].is_null() && !v["sampling"].is_string())
    return Error(ErrorCode::kInvalidArgument, "sampling must be 'cache' or 'bypass'");
  k.sampling = v["sampling"].string_or("");
  SM_TRY(const int64_t expires_in_s, whole(v["expires_in_s"], "expires_in_s"));
  if (expires_in_s > int64_t{100} * 366 * 86400)
    return Error(ErrorCode::kInvalidArgument, "expires_in_s is over a hundred years");
  if (expires_in_s > 0) k.expires_ms = now_ms + expires_in_s * 1000;
  return k;
}

std::string issue_json(const ai::KeyIssue& issue) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("secret", issue.secret).key("key");
  ai::write_json(w, issue.key, system_clock().unix_ms());
  w.end_object();
  return out;
}

// Runs where waiting for the disk is allowed.
net::Task<void> answer(EngineShard& shard, net::Exchange& exchange,
                       std::function<Result<std::string>()> work) {
  auto json = co_await net::offload<std::string>(shard.engine.blocking, std::move(work));
  if (json.ok()) {
    co_await respond_json(exchange, std::move(*json));
  } else {
    co_await respond_problem(exchange, std::move(json).error());
  }
}

}  // namespace

net::Task<void> get_keys(EngineShard& shard, net::Exchange& exchange) {
  Engine* const engine = &shard.engine;
  std::function<Result<std::string>()> work = [engine]() -> Result<std::string> {
    std::string out;
    JsonWriter w(out);
    const auto keys = engine->keys->list();
    w.begin_object().key("keys").begin_array();
    for (const ai::VirtualKey& k : keys) ai::write_json(w, k, system_clock().unix_ms());
    w.end_array().end_object();
    return out;
  };
  co_await answer(shard, exchange, std::move(work));
}

net::Task<void> post_key(EngineShard& shard, net::Exchange& exchange) {
  auto body = co_await exchange.read_body(kBodyMax);
  if (!body.ok()) {
    co_await respond_problem(exchange, std::move(body).error());
    co_return;
  }
  Engine* const engine = &shard.engine;
  std::function<Result<std::string>()> work = [engine,
                                               text = std::string(*body)]() -> Result<std::string> {
    SM_TRY(ai::VirtualKey wanted, read_wanted(text, system_clock().unix_ms()));
    SM_TRY(const ai::KeyIssue issue, engine->keys->create(std::move(wanted)));
    return issue_json(issue);
  };
  co_await answer(shard, exchange, std::move(work));
}

net::Task<void> post_key_rotate(EngineShard& shard, net::Exchange& exchange, std::string which) {
  auto body = co_await exchange.read_body(kBodyMax);
  if (!body.ok()) {
    co_await respond_problem(exchange, std::move(body).error());
    co_return;
  }
  Engine* const engine = &shard.engine;
  std::function<Result<std::string>()> work = [engine, which,
                                               text = std::string(*body)]() -> Result<std::string> {
    SM_TRY(const JsonValue v, read_object(text, {"grace_s"}));
    SM_TRY(const int64_t grace_s, whole(v["grace_s"], "grace_s"));
    if (grace_s > 30 * 86400)
      return Error(ErrorCode::kInvalidArgument, "the old key can serve for 30 days at most");
    SM_TRY(const ai::KeyIssue issue, engine->keys->rotate(which, grace_s * 1000));
    return issue_json(issue);
  };
  co_await answer(shard, exchange, std::move(work));
}

net::Task<void> post_key_revoke(EngineShard& shard, net::Exchange& exchange, std::string which) {
  Engine* const engine = &shard.engine;
  std::function<Result<std::string>()> work = [engine, which]() -> Result<std::string> {
    SM_TRY(const ai::VirtualKey key, engine->keys->revoke(which));
    std::string out;
    JsonWriter w(out);
    w.begin_object().key("key");
    ai::write_json(w, key, system_clock().unix_ms());
    w.end_object();
    return out;
  };
  co_await answer(shard, exchange, std::move(work));
}

}  // namespace samplemind::server
