// What the allocator says of this process's memory.
#pragma once

#include <cstdint>

namespace samplemind {

struct HeapUse {
  uint64_t used_bytes = 0;  // handed out and not given back
  uint64_t kept_bytes = 0;  // given back, and held for later
};

// jemalloc's own account where the program is linked with it, else glibc's. Thread-safe; takes
// the allocator's locks for some microseconds.
HeapUse heap_use();

}  // namespace samplemind
