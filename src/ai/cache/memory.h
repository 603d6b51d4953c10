// The first tier: answers in memory, bounded in bytes, shared by all threads. Eviction is S3-FIFO
// (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a small queue
// catches what is asked once, a main queue keeps what is asked again, and a list of ghosts
// remembers what left the small queue too early. A hit takes one stripe's lock and copies a
// pointer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "ai/cache/record.h"

namespace samplemind::ai {

class MemoryCache {
 public:
  explicit MemoryCache(size_t bytes_max);
  // The record, unless it has expired at `now_ms`.
  RecordPtr get(const Digest& key, int64_t now_ms);
  void put(RecordPtr record);
  // Puts `with` in the place of `old`, which has the same key, unless that has gone or was
  // replaced.
  void replace(const CacheRecord& old, RecordPtr with);
  void erase(const Digest& key);
  void clear();
  // Every entry, also expired ones, one stripe after the other; `each` is called without a lock.
  void each(const std::function<void(const RecordPtr&)>& each) const;
  size_t bytes() const;
  size_t bytes_max() const { return stripe_bytes_max_ * kStripes; }
  size_t entries() const;

 private:
  using Queue = std::list<Digest>;  // oldest first
  struct Entry {
    RecordPtr record;
    size_t bytes = 0;
    uint8_t uses = 0;  // 0..3
    bool main = false;
    Queue::iterator place;
  };
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Digest, Entry> entries;
    Queue small, main, ghosts;
    std::unordered_map<Digest, Queue::iterator> ghost_places;
    size_t bytes = 0;
    size_t small_bytes = 0;
  };
  using EntryMap = std::unordered_map<Digest, Entry>;
  static constexpr size_t kStripes = 16;
  Stripe& stripe(const Digest& key) { return stripes_[key.bytes[31] % kStripes]; }
  void make_room(Stripe& s);
  static void drop(Stripe& s, EntryMap::iterator it);
  static void remember_ghost(Stripe& s, const Digest& key);
  size_t stripe_bytes_max_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace samplemind::ai
