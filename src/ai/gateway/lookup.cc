#include "ai/gateway/lookup.h"

#include <string>
#include <utility>

#include "ai/gateway/resolve.h"
#include "ai/gateway/route_wishes.h"
#include "ai/gateway/wishes.h"
#include "net/offload.h"

namespace samplemind::ai {

namespace {

// Whatever beside the body may decide on what answers it, each field with its length.
std::string scope_of(const CallContext& context, const ChatRoute& route,
                     const ClientWishes& wishes) {
  std::string out{static_cast<char>(route.dialect), route.stream ? 's' : 'w',
                  route.list ? 'l' : 'e'};
  const auto field = [&out](std::string_view text) {
    const auto size = static_cast<uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
  };
  field(route.model);
  field(context.tenant);
  field(wishes.cache_namespace);
  field(answer_changing_headers(context.headers));
  field(routing_scope(context));
  return out;
}

}  // namespace

AnswerCache::AnswerCache(GatewayCore& core, net::Loop& loop) : core_(&core) {
  if (!core.redis) return;
  // The options were tried when the core was made.
  if (auto made = RedisCache::create(loop, *core.redis, core.redis_counters); made.ok())
    redis_ = std::move(*made);
}

const SeenBodies::Entry* AnswerCache::seen(const CallContext& context, const ChatRoute& route,
                                           const ClientWishes& wishes, std::string_view body) {
  return seen_.find(scope_of(context, route, wishes), body, core_->clock.unix_ms());
}

void AnswerCache::remember(const CallContext& context, const ChatRoute& route,
                           const ClientWishes& wishes, std::string_view body, const Plan& p) {
  // Names that were resolved by a provider's list are resolved again once the list is.
  seen_.remember(scope_of(context, route, wishes), body,
                 {p.key, p.form, core_->clock.unix_ms() + kModelListMs, p.route});
}

bool AnswerCache::acceptable(const CacheRecord& r, int64_t max_age_ms) const {
  if (r.answer.cut_by_length() && !core_->settings.keep_length) return false;
  return max_age_ms < 0 || core_->clock.unix_ms() - r.stored_ms <= max_age_ms;
}

net::Task<RecordPtr> AnswerCache::look_up(Digest key, int64_t max_age_ms, bool ask_redis,
                                          CacheState& state) {
  if (RecordPtr hit = from_memory(key, max_age_ms, state)) co_return hit;
  if (core_->disk && core_->disk->may_have(key)) {
    const RecordPtr found = co_await from_disk(key);
    // An equal request may have been answered meanwhile, and what it left is newer.
    if (RecordPtr hit = from_memory(key, max_age_ms, state)) co_return hit;
    if (found && acceptable(*found, max_age_ms)) {
      core_->memory.put(found);
      core_->hits_disk.add();
      state = CacheState::kHitDisk;
      co_return found;
    }
  }
  if (redis_ && ask_redis) {
    const RecordPtr found = co_await redis_->get(key, core_->clock.unix_ms());
    if (RecordPtr hit = from_memory(key, max_age_ms, state)) co_return hit;
    if (found && acceptable(*found, max_age_ms)) {
      core_->memory.put(found);
      core_->redis_counters.hits.add();
      state = CacheState::kHitRedis;
      co_return found;
    }
  }
  co_return nullptr;
}

net::Task<RecordPtr> AnswerCache::from_disk(Digest key) {
  // Not a shared pointer: the last one must not die on the pool's own thread. The pool belongs to
  // the core and runs its queue to the end before the disk tier goes.
  GatewayCore* core = core_;
  std::function<Result<RecordPtr>()> work = [core, key]() -> Result<RecordPtr> {
    return core->disk->get(key, core->clock.unix_ms());
  };
  auto found = co_await net::offload<RecordPtr>(core_->disk_readers, std::move(work));
  co_return found.ok() ? std::move(*found) : nullptr;
}

RecordPtr AnswerCache::from_memory(const Digest& key, int64_t max_age_ms, CacheState& state) {
  RecordPtr hit = core_->memory.get(key, core_->clock.unix_ms());
  if (!hit || !acceptable(*hit, max_age_ms)) return nullptr;
  core_->hits_memory.add();
  state = CacheState::kHitMemory;
  return hit;
}

void AnswerCache::store(const Flight& flight, const Plan& p) {
  auto record = std::make_shared<CacheRecord>();
  record->key = p.key;
  record->key_hex = p.key.hex();
  record->answer = flight.answer;
  record->answer.response_json.clear();  // told to those who waited for it, under their own ids
  record->stored_ms = core_->clock.unix_ms();
  record->expires_ms = record->stored_ms + p.ttl_ms + core_->settings.stale_ms;
  record->cost_microusd = flight.cost_microusd.value_or(-1);
  record->tenant = p.tenant;
  record->model = p.model;
  store(RecordPtr(std::move(record)));
}

void AnswerCache::store(const RecordPtr& record) {
  core_->memory.put(record);
  if (core_->disk) core_->disk->put(record);
  if (redis_) redis_->put(*record, record->stored_ms);
}

}  // namespace samplemind::ai
