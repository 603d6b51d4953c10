#include "ai/cache/memory.h"

#include <vector>

namespace samplemind::ai {

MemoryCache::MemoryCache(size_t bytes_max) : stripe_bytes_max_(bytes_max / kStripes) {}

RecordPtr MemoryCache::get(const Digest& key, int64_t now_ms) {
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  const auto it = s.entries.find(key);
  if (it == s.entries.end()) return nullptr;
  if (it->second.record->expires_ms <= now_ms) {
    drop(s, it);
    return nullptr;
  }
  if (it->second.uses < 3) ++it->second.uses;
  return it->second.record;
}

void MemoryCache::put(RecordPtr record) {
  const size_t size = record->bytes();
  const Digest key = record->key;
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  const auto old = s.entries.find(key);
  if (size > stripe_bytes_max_ / 2) {  // one answer must not push out all others
    if (old != s.entries.end()) drop(s, old);
    return;
  }
  if (old != s.entries.end()) {  // replaced where it stands
    Entry& entry = old->second;
    s.bytes += size - entry.bytes;
    if (!entry.main) s.small_bytes += size - entry.bytes;
    entry.bytes = size;
    entry.record = std::move(record);
    make_room(s);
    return;
  }
  Entry entry;
  entry.record = std::move(record);
  entry.bytes = size;
  if (const auto ghost = s.ghost_places.find(key); ghost != s.ghost_places.end()) {
    entry.main = true;
    s.ghosts.erase(ghost->second);
    s.ghost_places.erase(ghost);
  }
  Queue& queue = entry.main ? s.main : s.small;
  entry.place = queue.insert(queue.end(), key);
  s.bytes += size;
  if (!entry.main) s.small_bytes += size;
  s.entries.emplace(key, std::move(entry));
  make_room(s);
}

void MemoryCache::make_room(Stripe& s) {
  while (s.bytes > stripe_bytes_max_) {
    const bool from_small = s.small_bytes > stripe_bytes_max_ / 10 || s.main.empty();
    Queue& queue = from_small ? s.small : s.main;
    const auto it = s.entries.find(queue.front());
    Entry& entry = it->second;
    if (from_small && entry.uses > 0) {
      entry.main = true;
      entry.uses = 0;
      s.small_bytes -= entry.bytes;
      s.main.splice(s.main.end(), s.small, entry.place);
    } else if (from_small) {
      const Digest key = it->first;
      drop(s, it);
      remember_ghost(s, key);
    } else if (entry.uses > 0) {
      --entry.uses;
      s.main.splice(s.main.end(), s.main, entry.place);
    } else {
      drop(s, it);
    }
  }
}

// As many ghosts as there are entries: enough to notice what comes back soon.
void MemoryCache::remember_ghost(Stripe& s, const Digest& key) {
  s.ghost_places[key] = s.ghosts.insert(s.ghosts.end(), key);
  while (s.ghosts.size() > s.entries.size() + 64) {
    s.ghost_places.erase(s.ghosts.front());
    s.ghosts.pop_front();
  }
}

void MemoryCache::drop(Stripe& s, EntryMap::iterator it) {
  const Entry& entry = it->second;
  s.bytes -= entry.bytes;
  if (!entry.main) s.small_bytes -= entry.bytes;
  (entry.main ? s.main : s.small).erase(entry.place);
  s.entries.erase(it);
}

void MemoryCache::replace(const CacheRecord& old, RecordPtr with) {
  Stripe& s = stripe(old.key);
  const std::lock_guard lock(s.mutex);
  const auto it = s.entries.find(old.key);
  if (it == s.entries.end() || it->second.record.get() != &old) return;
  const size_t size = with->bytes();
  if (size > stripe_bytes_max_ / 2) return;
  Entry& entry = it->second;
  s.bytes += size - entry.bytes;
  if (!entry.main) s.small_bytes += size - entry.bytes;
  entry.bytes = size;
  entry.record = std::move(with);
  make_room(s);
}

void MemoryCache::erase(const Digest& key) {
  Stripe& s = stripe(key);
  const std::lock_guard lock(s.mutex);
  if (const auto it = s.entries.find(key); it != s.entries.end()) drop(s, it);
}

void MemoryCache::clear() {
  for (Stripe& s : stripes_) {
    const std::lock_guard lock(s.mutex);
    s.entries.clear();
    s.small.clear();
    s.main.clear();
    s.ghosts.clear();
    s.ghost_places.clear();
    s.bytes = s.small_bytes = 0;
  }
}

void MemoryCache::each(const std::function<void(const RecordPtr&)>& each) const {
  std::vector<RecordPtr> found;
  for (const Stripe& s : stripes_) {
    found.clear();
    {
      const std::lock_guard lock(s.mutex);
      for (const auto& [key, entry] : s.entries) found.push_back(entry.record);
    }
    for (const RecordPtr& r : found) each(r);
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
