// Refusals that a provider would only repeat (400, 404, 413, 415, 422), for seconds: a client in a
// loop over a bad request must not press the provider. Bounded; thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "ai/provider.h"
#include "base/hash.h"

namespace samplemind::ai {

class NegativeCache {
 public:
  static constexpr size_t kEntriesMax = 4096;
  // True for an answer that depends on the request alone. Never for 401, 403, 408, 409, 429 or what
  // is the provider's own fault.
  static bool lasting(const UpstreamError& error) {
    // Not what a translation refuses: another dialect may say the same in words that fit.
    if (error.code == "unsupported_parameter") return false;
    const int s = error.status;
    return s == 400 || s == 404 || s == 413 || s == 415 || s == 422;
  }
  void put(const Digest& key, UpstreamError error, int64_t now_ms, int64_t ttl_ms) {
    const std::lock_guard lock(mutex_);
    // All are seconds old: beginning anew loses little.
    if (entries_.size() >= kEntriesMax) entries_.clear();
    entries_[key] = {std::move(error), now_ms, now_ms + ttl_ms};
  }
  struct Found {
    UpstreamError error;
    int64_t age_ms;
  };
  std::optional<Found> get(const Digest& key, int64_t now_ms) {
    const std::lock_guard lock(mutex_);
    if (entries_.empty()) return std::nullopt;
    const auto it = entries_.find(key);
    if (it == entries_.end()) return std::nullopt;
    if (it->second.until_ms <= now_ms) {
      entries_.erase(it);
      return std::nullopt;
    }
    return Found{it->second.error, now_ms - it->second.stored_ms};
  }
  void erase(const Digest& key) {
    const std::lock_guard lock(mutex_);
    entries_.erase(key);
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
  }

 private:
  struct Entry {
    UpstreamError error;
    int64_t stored_ms = 0;
    int64_t until_ms = 0;
  };
  std::mutex mutex_;
  std::unordered_map<Digest, Entry> entries_;
};

}  // namespace samplemind::ai
