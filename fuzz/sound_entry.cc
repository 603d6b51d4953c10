// libFuzzer's entry for the ear.
#include <cstddef>
#include <cstdint>

#include "sound_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  samplemind::fuzz::sound({reinterpret_cast<const char*>(data), size});
  return 0;
}
