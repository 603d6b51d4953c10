#include "ai/cache/key_filter.h"

#include <cstring>

namespace samplemind::ai {

uint32_t KeyFilter::print_of(const Digest& key) {
  uint32_t print = 0;
  std::memcpy(&print, key.bytes.data(), sizeof print);
  return print == 0 ? 1 : print;
}

void KeyFilter::insert(std::vector<uint32_t>& slots, uint32_t print) {
  const size_t mask = slots.size() - 1;
  size_t at = print & mask;
  while (slots[at] != 0) at = (at + 1) & mask;
  slots[at] = print;
}

bool KeyFilter::may_have(const Digest& key) const {
  const uint32_t print = print_of(key);
  const std::lock_guard lock(mutex_);
  if (slots_.empty()) return false;
  const size_t mask = slots_.size() - 1;
  for (size_t at = print & mask; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] == print) return true;
  }
  return false;
}

void KeyFilter::add(const Digest& key) {
  const std::lock_guard lock(mutex_);
  if ((used_ + 1) * 3 > slots_.size() * 2) {  // two thirds full: probes get long
    std::vector<uint32_t> larger(slots_.empty() ? 1024 : slots_.size() * 2);
    for (const uint32_t print : slots_) {
      if (print != 0) insert(larger, print);
    }
    slots_ = std::move(larger);
  }
  insert(slots_, print_of(key));
  ++used_;
}

void KeyFilter::remove(const Digest& key) {
  const uint32_t print = print_of(key);
  const std::lock_guard lock(mutex_);
  if (slots_.empty()) return;
  const size_t mask = slots_.size() - 1;
  size_t hole = print & mask;
  while (slots_[hole] != print) {
    if (slots_[hole] == 0) return;
    hole = (hole + 1) & mask;
  }
  // What lies behind the hole and was pushed past it moves up, so that a probe never stops early
  // (Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm R).
  for (size_t at = (hole + 1) & mask; slots_[at] != 0; at = (at + 1) & mask) {
    const size_t home = slots_[at] & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = 0;
  --used_;
}

void KeyFilter::clear() {
  const std::lock_guard lock(mutex_);
  slots_.clear();
  used_ = 0;
}

}  // namespace samplemind::ai
