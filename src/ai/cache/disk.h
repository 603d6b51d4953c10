// The second tier: answers on disk (LMDB), checksummed, bounded, there again after a restart or
// kill -9. put() only queues; one thread writes in batches, at most a quarter of a second later. A
// damaged entry is a miss and is removed. Thread-safe; get() and scan() may block on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "ai/cache/record.h"

namespace samplemind::ai {

class DiskCache {
 public:
  // kUnsupported on a network file system (LMDB's locks do not hold there); kAlreadyExists when
  // another process has it open.
  static Result<std::unique_ptr<DiskCache>> open(const std::filesystem::path& folder,
                                                 uint64_t bytes_max);
  virtual ~DiskCache() = default;  // writes what is queued
  // Never blocks on the disk. False: get() finds nothing. What was put is known once it is written.
  virtual bool may_have(const Digest& key) const = 0;
  virtual RecordPtr get(const Digest& key, int64_t now_ms) = 0;
  // Up to `max` records, the oldest first, from where `cursor` stands (empty: from the first).
  // False when there are no more. Damaged ones are left out; expired ones are not.
  virtual bool scan(std::string& cursor, size_t max,
                    const std::function<void(const CacheRecord&)>& each) = 0;
  virtual void put(RecordPtr record) = 0;  // dropped, and counted, when the queue is full
  virtual void erase(const Digest& key) = 0;
  virtual void flush() = 0;  // waits until everything queued before is on disk
  virtual uint64_t bytes() const = 0;
  virtual uint64_t entries() const = 0;
  virtual uint64_t dropped() const = 0;
  virtual uint64_t damaged() const = 0;
};

}  // namespace samplemind::ai
