#include "base/heap.h"

#include <malloc.h>

#include <cstddef>

// jemalloc's; absent in programs that use glibc's allocator (tests, sanitizers).
extern "C" int mallctl(const char* name, void* old_value, size_t* old_size, void* new_value,
                       size_t new_size) __attribute__((weak));

namespace samplemind {

namespace {

uint64_t jemalloc_statistic(const char* name) {
  size_t value = 0;
  size_t size = sizeof value;
  return ::mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

}  // namespace

HeapUse heap_use() {
  if (::mallctl != nullptr) {
    uint64_t epoch = 1;  // writing it brings the figures up to date
    size_t size = sizeof epoch;
    ::mallctl("epoch", &epoch, &size, &epoch, size);
    const uint64_t used = jemalloc_statistic("stats.allocated");
    const uint64_t resident = jemalloc_statistic("stats.resident");
    return {used, resident > used ? resident - used : 0};
  }
  const struct mallinfo2 heap = ::mallinfo2();
  return {heap.uordblks + heap.hblkhd, heap.fordblks};
}

}  // namespace samplemind
