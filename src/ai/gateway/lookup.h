// A shard's way to the cache: bodies that were seen before, the tiers in their order, what is
// stored. One loop only.
#pragma once

#include <memory>
#include <string_view>

#include "ai/cache/record.h"
#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/seen_bodies.h"
#include "ai/gateway/wishes.h"
#include "net/loop.h"
#include "net/task.h"

namespace samplemind::ai {

class AnswerCache {
 public:
  // `core` must outlive it.
  AnswerCache(GatewayCore& core, net::Loop& loop);

  // The quick way: what is known of this very body, asked in these circumstances. Null: not enough.
  const SeenBodies::Entry* seen(const CallContext& context, const ChatRoute& route,
                                const ClientWishes& wishes, std::string_view body);
  // `p` is what this body led to.
  void remember(const CallContext& context, const ChatRoute& route, const ClientWishes& wishes,
                std::string_view body, const Plan& p);

  // Memory, then disk, then Redis. `state` is set on a hit.
  net::Task<RecordPtr> look_up(Digest key, int64_t max_age_ms, bool ask_redis, CacheState& state);
  // Fit to answer with: as young as the client wants it, and whole as far as the settings want it.
  bool acceptable(const CacheRecord& r, int64_t max_age_ms) const;

  void store(const Flight& flight, const Plan& p);
  void store(const RecordPtr& record);          // into all tiers
  RedisCache* redis() { return redis_.get(); }  // null without

 private:
  RecordPtr from_memory(const Digest& key, int64_t max_age_ms, CacheState& state);
  net::Task<RecordPtr> from_disk(Digest key);

  GatewayCore* core_;
  std::unique_ptr<RedisCache> redis_;
  SeenBodies seen_;
};

}  // namespace samplemind::ai
