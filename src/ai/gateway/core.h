// What all shards of a gateway share: the settings as read, both cache tiers, the counters.
// Thread-safe; built once, before the shards.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ai/cache/disk.h"
#include "ai/cache/memory.h"
#include "ai/cache/redis.h"
#include "ai/gateway.h"
#include "ai/gateway/books.h"
#include "ai/gateway/flights.h"
#include "ai/gateway/negative.h"
#include "ai/gateway/text_flights.h"
#include "ai/response_store.h"
#include "base/thread_pool.h"
#include "net/client.h"

namespace samplemind::ai {

struct Settings {
  bool cache_enabled = true;
  bool bypass_sampling = false;
  int64_t ttl_ms = 0;
  std::map<std::string, int64_t> model_ttls_ms;  // by "provider/model"
  int64_t stale_ms = 0;
  int64_t negative_ms = 0;
  bool keep_length = false;
  int64_t attempts = 3;        // at one model
  int64_t attempts_total = 8;  // of one request
  bool breaker = true;
  bool hedge = false;
  int64_t backoff_ms = 1000;
  int64_t total_timeout_ms = 600000;
  bool replay_paced = false;
  int64_t replay_rate = 60;  // tokens a second
  net::ClientOptions client;

  std::vector<std::string> recommended;
  std::vector<std::string> order;
  std::map<std::string, std::string> aliases;
};

class GatewayCore final : public Gateway {
 public:
  GatewayCore(const Config& config, Metrics& metrics, const Clock& clock_in);

  CacheStats cache_stats() const override;
  Books& books() override { return *books_; }
  void flush() override;
  CacheAdmin cache_admin() override { return CacheAdmin(memory, disk.get()); }
  void cache_import(const RecordPtr& record) override;

  int64_t ttl_ms_of(const std::string& provider, const std::string& model) const;
  // Past its ttl, but still within cache.stale.
  bool past_ttl(const CacheRecord& record) const {
    return settings.stale_ms > 0 && clock.unix_ms() >= record.expires_ms - settings.stale_ms;
  }

  const Config config;
  const Clock& clock;
  Settings settings;
  MemoryCache memory;
  std::unique_ptr<DiskCache> disk;
  std::optional<RedisCacheOptions> redis;  // each shard has its own connections
  RedisCounters redis_counters;
  std::unique_ptr<Books> books_;             // never null once made
  std::unique_ptr<ResponseStore> responses;  // likewise
  NegativeCache negative;
  FlightTable flights;
  TextFlights text_flights;
  ThreadPool disk_readers{"cache-read", 1, 1024};
  Counter &hits_memory, &hits_disk, &misses, &coalesced, &bypassed, &hits_negative, &refreshes,
      &upstream_calls, &upstream_errors, &upstream_paused, &retries_saved, &hedges, &hedges_won,
      &input_tokens, &output_tokens, &cost_microusd_total, &saved_microusd_total;
  Histogram& first_token;

 private:
  std::atomic<uint64_t> imported_{0};
};

}  // namespace samplemind::ai
