// Rate limits of virtual keys: requests and tokens a minute, as buckets that fill evenly. A bucket
// holds a whole minute's worth, so that a burst of that size passes. Thread-safe; admit() costs a
// lock and some arithmetic.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "ai/keys.h"
#include "base/clock.h"

namespace samplemind::ai {

// What a client is told of its limits. A limit of 0: there is none.
struct LimitState {
  int64_t requests_limit = 0, requests_left = 0, requests_full_ms = 0;
  int64_t tokens_limit = 0, tokens_left = 0, tokens_full_ms = 0;
};

struct Admission {
  LimitState state;
  bool refused = false;
  std::string message;         // why, when refused
  int64_t retry_after_ms = 0;  // when it would pass; 0: never as it is
};

class RateLimiter {
 public:
  explicit RateLimiter(const Clock& clock) : clock_(clock) {}
  // Takes one request and `tokens` (what the request holds, estimated) from the key's buckets, or
  // nothing when it is refused.
  Admission admit(const VirtualKey& key, int64_t tokens);
  // What the request really used; the bucket may go below nothing, and the next one waits.
  void settle(const VirtualKey& key, int64_t estimated, int64_t used);

 private:
  struct Bucket {
    double left = 0;
    SteadyTime at{};
    int64_t limit = 0;  // 0: new
  };
  struct Buckets {
    Bucket requests, tokens;
  };
  static void refill(Bucket& bucket, int64_t limit, SteadyTime now);
  const Clock& clock_;
  std::mutex mutex_;
  std::unordered_map<std::string, Buckets> keys_;  // as many as there are keys
};

// "1s", "6m0s", "20ms": as OpenAI writes its x-ratelimit-reset headers.
std::string go_duration(int64_t ms);

}  // namespace samplemind::ai
