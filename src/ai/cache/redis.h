// The third tier: answers in Redis or Redis Cluster, shared by all services that use it; optional.
// One a loop. Nothing here costs a request more than the budget, and nothing is an error: a dead,
// frozen or slow server is a miss and a counter, and is left alone for a while (net/redis.h).
// Records are the same bytes as on disk, checksum included, under prefix + key; the tenant is part
// of the key, as everywhere. Entries expire by themselves.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ai/cache/record.h"
#include "base/config.h"
#include "base/metrics.h"
#include "net/redis.h"

namespace samplemind::ai {

struct RedisCacheOptions {
  net::RedisOptions redis;
  std::chrono::milliseconds budget{50};  // of one look-up, connecting and redirects included
  std::string prefix = "samplemind:";
};

// What [cache.redis] says; nothing when no address is set. kInvalidArgument names the wrong key.
Result<std::optional<RedisCacheOptions>> read_redis_options(const Config& config);

// Shared by the tiers of all loops.
struct RedisCounters {
  explicit RedisCounters(Metrics& metrics);
  Counter &hits, &errors, &writes, &dropped, &damaged;
};

class RedisCache {
 public:
  // An entry above this is not put into Redis: one large answer would delay those behind it.
  static constexpr size_t kRecordBytesMax = 4u << 20;

  static Result<std::unique_ptr<RedisCache>> create(net::Loop& loop, RedisCacheOptions options,
                                                    RedisCounters& counters);
  // The tasks must end before the tier is destroyed.
  net::Task<RecordPtr> get(Digest key, int64_t now_ms);
  // Behind: nobody waits for it. Dropped, and counted, when the server is not there or too much
  // waits already.
  void put(const CacheRecord& record, int64_t now_ms);
  // Waits for the server, at most a second.
  net::Task<Result<void>> erase(Digest key);
  // Goes through all entries of all servers; removes those that `wanted` says. kUnavailable when a
  // server could not be asked. Slow by nature: one round trip for a few hundred keys, and one for
  // each entry that has to be looked at (none without `wanted`).
  net::Task<Result<uint64_t>> erase_if(std::function<bool(const CacheRecord&)> wanted);

  size_t connections() const { return client_->connections(); }
  std::string last_problem() const { return client_->last_problem(); }

 private:
  RedisCache(std::unique_ptr<net::RedisClient> client, RedisCacheOptions options,
             RedisCounters& counters)
      : client_(std::move(client)), options_(std::move(options)), counters_(counters) {}
  std::unique_ptr<net::RedisClient> client_;
  RedisCacheOptions options_;
  RedisCounters& counters_;
};

}  // namespace samplemind::ai
