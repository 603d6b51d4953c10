// Which keys may be in a table: 4 bytes a key, no false negatives, one false positive in 4 billion
// a key at random. Answers "it is not there" without asking the disk. Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "base/hash.h"

namespace samplemind::ai {

// A multiset of 32-bit fingerprints, open addressing with linear probing. A key that was added
// twice must be removed twice.
class KeyFilter {
 public:
  bool may_have(const Digest& key) const;
  void add(const Digest& key);
  void remove(const Digest& key);  // nothing when it was never added
  void clear();

 private:
  static uint32_t print_of(const Digest& key);
  static void insert(std::vector<uint32_t>& slots, uint32_t print);

  mutable std::mutex mutex_;
  std::vector<uint32_t> slots_;  // a power of two; 0: empty
  size_t used_ = 0;
};

}  // namespace samplemind::ai
