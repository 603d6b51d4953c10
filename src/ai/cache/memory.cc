#include "ai/cache/memory.h"

namespace samplemind::ai {

MemoryCache::MemoryCache(size_t bytes_max) : stripe_bytes_max_(bytes_max / kStripes) {}

RecordPtr MemoryCache::get(const Digest& key, int64_t now_ms) {
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  const auto it = s.entries.find(key);
  if (it == s.entries.end()) return nullptr;
  if (it->second.record->expires_ms <= now_ms) {
    drop(s, key);
    return nullptr;
  }
  if (it->second.uses < 3) ++it->second.uses;
  return it->second.record;
}

void MemoryCache::put(RecordPtr record) {
  const size_t size = record->bytes();
  if (size > stripe_bytes_max_ / 2) return;  // one answer must not push out all others
  const Digest key = record->key;
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  drop(s, key);
  Entry entry{std::move(record), 0, s.ghost_set.erase(key) > 0};
  (entry.main ? s.main : s.small).push_back(key);
  s.bytes += size;
  if (!entry.main) s.small_bytes += size;
  s.entries.emplace(key, std::move(entry));
  make_room(s);
}

void MemoryCache::make_room(Stripe& s) {
  while (s.bytes > stripe_bytes_max_) {
    const bool from_small = s.small_bytes > stripe_bytes_max_ / 10 || s.main.empty();
    std::deque<Digest>& queue = from_small ? s.small : s.main;
    if (queue.empty()) return;
    const Digest key = queue.front();
    queue.pop_front();
    const auto it = s.entries.find(key);
    if (it == s.entries.end() || it->second.main == from_small) continue;  // erased or moved since
    Entry& entry = it->second;
    if (from_small) {
      if (entry.uses > 0) {
        entry.main = true;
        entry.uses = 0;
        s.small_bytes -= entry.record->bytes();
        s.main.push_back(key);
        continue;
      }
      drop(s, key);
      if (s.ghost_set.insert(key).second) s.ghosts.push_back(key);
      while (s.ghosts.size() > s.entries.size() + 64) {
        s.ghost_set.erase(s.ghosts.front());
        s.ghosts.pop_front();
      }
    } else if (entry.uses > 0) {
      --entry.uses;
      s.main.push_back(key);
    } else {
      drop(s, key);
    }
  }
}

void MemoryCache::drop(Stripe& s, const Digest& key) {
  const auto it = s.entries.find(key);
  if (it == s.entries.end()) return;
  const size_t size = it->second.record->bytes();
  s.bytes -= size;
  if (!it->second.main) s.small_bytes -= size;
  s.entries.erase(it);
}

void MemoryCache::erase(const Digest& key) {
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  drop(s, key);
}

void MemoryCache::clear() {
  for (Stripe& s : stripes_) {
    const std::lock_guard lock(s.mutex);
    s.entries.clear();
    s.small.clear();
    s.main.clear();
    s.ghosts.clear();
    s.ghost_set.clear();
    s.bytes = s.small_bytes = 0;
  }
}

size_t MemoryCache::bytes() const {
  size_t n = 0;
  for (const Stripe& s : stripes_) {
    const std::lock_guard lock(s.mutex);
    n += s.bytes;
  }
  return n;
}

size_t MemoryCache::entries() const {
  size_t n = 0;
  for (const Stripe& s : stripes_) {
    const std::lock_guard lock(s.mutex);
    n += s.entries.size();
  }
  return n;
}

}  // namespace samplemind::ai
