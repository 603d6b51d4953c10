// A shard's way to the cache: bodies that were seen before, the tiers in their order, what is
// stored. One loop only.
#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ai/cache/record.h"
#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/wishes.h"
#include "base/hash.h"
#include "net/loop.h"
#include "net/task.h"

namespace samplemind::ai {

inline constexpr size_t kSeenMax = 65536;  // bodies whose fingerprint is remembered, a shard

class AnswerCache {
 public:
  // `core` must outlive it.
  AnswerCache(GatewayCore& core, net::Loop& loop);

  // What is remembered of a body that was answered from the cache.
  struct Seen {
    Digest key;
    Form form;
    int64_t until_ms;
    std::string route;
  };
  Digest seen_digest(const CallContext& context, const ChatRoute& route, const ClientWishes& wishes,
                     std::string_view body) const;
  // Nothing when the body is unknown or what is known is too old.
  const Seen* seen(const Digest& seen_key) const;
  // False: surely not. For a tenth of what its digest costs.
  bool may_be_seen(std::string_view body) const;
  void remember(const Digest& seen_key, std::string_view body, const Plan& p);

  // Memory, then disk, then Redis. `state` is set on a hit.
  net::Task<RecordPtr> look_up(const Plan& p, CacheState& state);
  // Fit to answer with: as young as the client wants it, and whole as far as the settings want it.
  bool acceptable(const CacheRecord& r, int64_t max_age_ms) const;

  void store(const Flight& flight, const Plan& p);
  RedisCache* redis() { return redis_.get(); }  // null without

 private:
  RecordPtr from_memory(const Plan& p, CacheState& state);
  net::Task<RecordPtr> from_disk(Digest key);

  GatewayCore* core_;
  std::unique_ptr<RedisCache> redis_;
  std::unordered_map<Digest, Seen> seen_;
  std::vector<uint64_t> seen_bits_;  // one set for the quick hash of each of them
  const Hasher seen_base_{"samplemind body seen"};
};

}  // namespace samplemind::ai
