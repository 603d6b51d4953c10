#include "ai/gateway/lookup.h"

#include <cstring>
#include <utility>

#include "ai/gateway/resolve.h"
#include "ai/gateway/route_wishes.h"
#include "ai/gateway/wishes.h"
#include "net/offload.h"

namespace samplemind::ai {

namespace {

constexpr size_t kSeenBits = 1 << 20;  // sixteen for each body that may be remembered

// Eight bytes a step. Only says which bodies need not be looked for: a body that is made to collide
// costs itself a look-up.
uint64_t quick_hash(std::string_view bytes) {
  constexpr uint64_t kPrime = 0x9E3779B97F4A7C15u;
  uint64_t h = bytes.size() * kPrime;
  uint64_t v = 0;
  for (; bytes.size() >= sizeof v; bytes.remove_prefix(sizeof v)) {
    std::memcpy(&v, bytes.data(), sizeof v);
    h = (h ^ v) * kPrime;
    h ^= h >> 32;
  }
  v = 0;
  std::memcpy(&v, bytes.data(), bytes.size());
  h = (h ^ v) * kPrime;
  return h ^ h >> 29;
}

}  // namespace

AnswerCache::AnswerCache(GatewayCore& core, net::Loop& loop) : core_(&core) {
  if (!core.redis) return;
  // The options were tried when the core was made.
  if (auto made = RedisCache::create(loop, *core.redis, core.redis_counters); made.ok())
    redis_ = std::move(*made);
}

Digest AnswerCache::seen_digest(const CallContext& context, const ChatRoute& route,
                                const ClientWishes& wishes, std::string_view body) const {
  Hasher h = seen_base_;
  const char kind[] = {static_cast<char>(route.dialect), route.stream ? 's' : 'w',
                       route.list ? 'l' : 'e'};
  h.update(std::string_view(kind, sizeof kind));
  h.update_field(route.model);
  h.update_field(context.tenant);
  h.update_field(wishes.cache_namespace);
  h.update_field(answer_changing_headers(context.headers));
  h.update_field(routing_scope(context));
  h.update(body);
  return h.finish();
}

bool AnswerCache::may_be_seen(std::string_view body) const {
  if (seen_bits_.empty()) return false;
  const uint64_t bit = quick_hash(body) % kSeenBits;
  return (seen_bits_[bit / 64] >> (bit % 64) & 1) != 0;
}

const AnswerCache::Seen* AnswerCache::seen(const Digest& seen_key) const {
  const auto it = seen_.find(seen_key);
  if (it == seen_.end() || it->second.until_ms <= core_->clock.unix_ms()) return nullptr;
  return &it->second;
}

void AnswerCache::remember(const Digest& seen_key, std::string_view body, const Plan& p) {
  if (seen_.size() >= kSeenMax) {
    seen_.clear();
    seen_bits_.clear();
  }
  if (seen_bits_.empty()) seen_bits_.resize(kSeenBits / 64);
  const uint64_t bit = quick_hash(body) % kSeenBits;
  seen_bits_[bit / 64] |= uint64_t{1} << (bit % 64);
  // Names that were resolved by a provider's list are resolved again once the list is.
  seen_[seen_key] = {p.key, p.form, core_->clock.unix_ms() + kModelListMs, p.route};
}

bool AnswerCache::acceptable(const CacheRecord& r, int64_t max_age_ms) const {
  if (r.answer.cut_by_length() && !core_->settings.keep_length) return false;
  return max_age_ms < 0 || core_->clock.unix_ms() - r.stored_ms <= max_age_ms;
}

net::Task<RecordPtr> AnswerCache::look_up(const Plan& p, CacheState& state) {
  if (RecordPtr hit = from_memory(p, state)) co_return hit;
  if (core_->disk && core_->disk->may_have(p.key)) {
    const RecordPtr found = co_await from_disk(p.key);
    // An equal request may have been answered meanwhile, and what it left is newer.
    if (RecordPtr hit = from_memory(p, state)) co_return hit;
    if (found && acceptable(*found, p.max_age_ms)) {
      core_->memory.put(found);
      core_->hits_disk.add();
      state = CacheState::kHitDisk;
      co_return found;
    }
  }
  if (redis_) {
    const RecordPtr found = co_await redis_->get(p.key, core_->clock.unix_ms());
    if (RecordPtr hit = from_memory(p, state)) co_return hit;
    if (found && acceptable(*found, p.max_age_ms)) {
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

RecordPtr AnswerCache::from_memory(const Plan& p, CacheState& state) {
  RecordPtr hit = core_->memory.get(p.key, core_->clock.unix_ms());
  if (!hit || !acceptable(*hit, p.max_age_ms)) return nullptr;
  core_->hits_memory.add();
  state = CacheState::kHitMemory;
  return hit;
}

void AnswerCache::store(const Flight& flight, const Plan& p) {
  auto record = std::make_shared<CacheRecord>();
  record->key = p.key;
  record->key_hex = p.key.hex();
  record->answer = flight.answer;
  record->stored_ms = core_->clock.unix_ms();
  record->expires_ms = record->stored_ms + p.ttl_ms + core_->settings.stale_ms;
  record->cost_microusd = flight.cost_microusd.value_or(-1);
  record->tenant = p.tenant;
  record->model = p.model;
  const RecordPtr shared = record;
  core_->memory.put(shared);
  if (core_->disk) core_->disk->put(shared);
  if (redis_) redis_->put(*shared, shared->stored_ms);
}

}  // namespace samplemind::ai
