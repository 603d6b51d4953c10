// The second tier: answers on disk (LMDB), checksummed, bounded, there again after a restart or
// kill -9. put() only queues; one thread writes in batches. A damaged entry is a miss and is
// removed. Thread-safe; get() may block on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "ai/cache/record.h"

namespace samplemind::ai {

class DiskCache {
 public:
  // kUnsupported on a network file system (LMDB's locks do not hold there); kAlreadyExists when
  // another process has it open.
  static Result<std::unique_ptr<DiskCache>> open(const std::filesystem::path& folder,
                                                 uint64_t bytes_max);
  virtual ~DiskCache() = default;  // writes what is queued
  virtual RecordPtr get(const Digest& key, int64_t now_ms) = 0;
  virtual void put(RecordPtr record) = 0;  // dropped, and counted, when the queue is full
  virtual void erase(const Digest& key) = 0;
  virtual void flush() = 0;  // waits until everything queued before is on disk
  virtual uint64_t bytes() const = 0;
  virtual uint64_t entries() const = 0;
  virtual uint64_t dropped() const = 0;
  virtual uint64_t damaged() const = 0;
};

}  // namespace samplemind::ai
