// A shard's way to the cache: bodies that were seen before, the tiers in their order, what is
// stored. One loop only.
#pragma once

#include <string_view>
#include <unordered_map>

#include "ai/cache/record.h"
#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/plan.h"
#include "base/hash.h"
#include "net/task.h"

namespace samplemind::ai {

inline constexpr size_t kSeenMax = 65536;  // bodies whose fingerprint is remembered, a shard

class AnswerCache {
 public:
  explicit AnswerCache(GatewayCore& core) : core_(&core) {}

  // What is remembered of a body that was answered from the cache.
  struct Seen {
    Digest key;
    bool stream;
    bool include_usage;
    int64_t until_ms;
  };
  Digest seen_digest(const CallContext& context, std::string_view body) const;
  // Nothing when the body is unknown or what is known is too old.
  const Seen* seen(const Digest& seen_key) const;
  void remember(const Digest& seen_key, const Plan& p);

  // Memory, then disk. `state` is set on a hit.
  net::Task<RecordPtr> look_up(const Plan& p, CacheState& state);
  bool young_enough(const CacheRecord& r, int64_t max_age_ms) const;

  void store(const Flight& flight, const Plan& p);

 private:
  RecordPtr from_memory(const Plan& p, CacheState& state);

  GatewayCore* core_;
  std::unordered_map<Digest, Seen> seen_;
  const Hasher seen_base_{"samplemind body seen"};
};

}  // namespace samplemind::ai
