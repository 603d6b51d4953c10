// libFuzzer's entry for one target: compiled once a target with FUZZ_TARGET set to the function's
// name.
#include <cstddef>
#include <cstdint>

#include "ai_targets.h"
#include "library_targets.h"
#include "metadata_target.h"
#include "net_targets.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  samplemind::fuzz::FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
