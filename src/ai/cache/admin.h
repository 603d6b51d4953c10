// Looking into the cache and tidying it up: for people and programs, not for requests. The local
// tiers only; a shard adds Redis (GatewayShard::clear_cache). Everything here may block on the
// disk: never call it on a loop's thread. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "ai/cache/disk.h"
#include "ai/cache/memory.h"
#include "ai/cache/record.h"

namespace samplemind::ai {

// Which entries are meant: those that fit all that is set. Nothing set fits all.
struct CacheFilter {
  std::string key;       // hexadecimal digits: the whole key or its beginning
  std::string model;     // "gpt-4o-mini", or with its provider "openai/gpt-4o-mini"
  std::string provider;  // "openai"
  std::string tenant;
  int64_t older_than_ms = 0;  // stored longer ago; 0: any
  bool any() const {
    return key.empty() && model.empty() && provider.empty() && tenant.empty() && older_than_ms <= 0;
  }
  bool fits(const CacheRecord& record, int64_t now_ms) const;
};

class CacheAdmin {
 public:
  // `disk` may be null. Both must outlive it.
  CacheAdmin(MemoryCache& memory, DiskCache* disk) : memory_(memory), disk_(disk) {}

  // Up to `max` fitting entries, the oldest first, from where `cursor` stands (empty: from the
  // first). False when there are no more. Entries that have expired are left out.
  bool page(std::string& cursor, size_t max, const CacheFilter& filter, int64_t now_ms,
            const std::function<void(const CacheRecord&)>& each);
  RecordPtr get(const Digest& key, int64_t now_ms);
  // How many entries went. Answers on their way at this moment are stored after it.
  uint64_t erase(const CacheFilter& filter, int64_t now_ms);
  void add(const RecordPtr& record);

 private:
  MemoryCache& memory_;
  DiskCache* disk_;
};

// One entry as a line of JSON: what it is for people, and the record itself in Base64. The form of
// export and import; it holds an answer in no dialect and carries its own checksum.
std::string write_export_line(const CacheRecord& record);
// kInvalidArgument when it is no such line, kDataLoss when its record is damaged.
Result<RecordPtr> read_export_line(std::string_view line);

}  // namespace samplemind::ai
