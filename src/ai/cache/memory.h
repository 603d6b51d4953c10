// The first tier: answers in memory, bounded in bytes, shared by all threads. Eviction is S3-FIFO
// (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a small queue
// catches what is asked once, a main queue keeps what is asked again, and a list of ghosts
// remembers what left the small queue too early. A hit takes one stripe's lock and copies a
// pointer.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "ai/cache/record.h"

namespace samplemind::ai {

class MemoryCache {
 public:
  explicit MemoryCache(size_t bytes_max);
  // The record, unless it has expired at `now_ms`.
  RecordPtr get(const Digest& key, int64_t now_ms);
  void put(RecordPtr record);
  void erase(const Digest& key);
  void clear();
  size_t bytes() const;
  size_t entries() const;

 private:
  struct Entry {
    RecordPtr record;
    uint8_t uses = 0;  // 0..3
    bool main = false;
  };
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Digest, Entry> entries;
    std::deque<Digest> small, main;  // may name keys that were erased since; they are skipped
    std::deque<Digest> ghosts;
    std::unordered_set<Digest> ghost_set;
    size_t bytes = 0;
    size_t small_bytes = 0;
  };
  static constexpr size_t kStripes = 16;
  Stripe& stripe(const Digest& key) { return stripes_[key.bytes[31] % kStripes]; }
  void make_room(Stripe& s);
  void drop(Stripe& s, const Digest& key);
  size_t stripe_bytes_max_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace samplemind::ai
