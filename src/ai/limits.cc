#include "ai/limits.h"

#include <algorithm>
#include <cmath>

namespace samplemind::ai {

namespace {

int64_t ms_until(double missing, int64_t limit) {
  if (missing <= 0) return 0;
  return static_cast<int64_t>(std::ceil(missing * 60000.0 / static_cast<double>(limit)));
}

}  // namespace

void RateLimiter::refill(Bucket& b, int64_t limit, SteadyTime now) {
  const auto full = static_cast<double>(limit);
  if (b.limit != limit) {
    // New, or its key was changed: begins full.
    b.left = full;
    b.limit = limit;
  } else {
    const double minutes = std::chrono::duration<double, std::ratio<60>>(now - b.at).count();
    b.left = std::min(full, b.left + std::max(0.0, minutes) * full);
  }
  b.at = now;
}

Admission RateLimiter::admit(const VirtualKey& key, int64_t tokens) {
  Admission a;
  if (key.requests_per_minute == 0 && key.tokens_per_minute == 0) return a;
  const SteadyTime now = clock_.steady();
  const std::lock_guard lock(mutex_);
  Buckets& b = keys_[key.id];
  const auto wanted = static_cast<double>(std::max<int64_t>(0, tokens));
  if (key.requests_per_minute > 0) {
    refill(b.requests, key.requests_per_minute, now);
    if (b.requests.left < 1) {
      a.refused = true;
      a.message = "more than " + std::to_string(key.requests_per_minute) +
                  " requests a minute with this key";
      a.retry_after_ms = ms_until(1 - b.requests.left, key.requests_per_minute);
    }
  }
  if (key.tokens_per_minute > 0) {
    refill(b.tokens, key.tokens_per_minute, now);
    if (wanted > static_cast<double>(key.tokens_per_minute)) {
      a.refused = true;
      a.message = "the request holds about " + std::to_string(tokens) +
                  " tokens, more than this key's " + std::to_string(key.tokens_per_minute) +
                  " a minute";
      a.retry_after_ms = 0;
    } else if (b.tokens.left < wanted) {
      const int64_t wait = ms_until(wanted - b.tokens.left, key.tokens_per_minute);
      if (!a.refused || wait > a.retry_after_ms) {
        a.message =
            "more than " + std::to_string(key.tokens_per_minute) + " tokens a minute with this key";
        a.retry_after_ms = wait;
      }
      a.refused = true;
    }
  }
  if (!a.refused) {
    if (key.requests_per_minute > 0) b.requests.left -= 1;
    if (key.tokens_per_minute > 0) b.tokens.left -= wanted;
  }
  const auto tell = [](const Bucket& bucket, int64_t limit, int64_t& out_limit, int64_t& left,
                       int64_t& full_ms) {
    if (limit == 0) return;
    out_limit = limit;
    left = std::max<int64_t>(0, static_cast<int64_t>(bucket.left));
    full_ms = ms_until(static_cast<double>(limit) - bucket.left, limit);
  };
  tell(b.requests, key.requests_per_minute, a.state.requests_limit, a.state.requests_left,
       a.state.requests_full_ms);
  tell(b.tokens, key.tokens_per_minute, a.state.tokens_limit, a.state.tokens_left,
       a.state.tokens_full_ms);
  return a;
}

void RateLimiter::settle(const VirtualKey& key, int64_t estimated, int64_t used) {
  if (key.tokens_per_minute == 0 || estimated == used) return;
  const std::lock_guard lock(mutex_);
  const auto it = keys_.find(key.id);
  if (it == keys_.end()) return;
  Bucket& b = it->second.tokens;
  b.left = std::min(static_cast<double>(b.limit), b.left + static_cast<double>(estimated - used));
}

std::string go_duration(int64_t ms) {
  if (ms < 1000) return std::to_string(std::max<int64_t>(0, ms)) + "ms";
  const int64_t seconds = (ms + 999) / 1000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  return std::to_string(seconds / 60) + "m" + std::to_string(seconds % 60) + "s";
}

}  // namespace samplemind::ai
