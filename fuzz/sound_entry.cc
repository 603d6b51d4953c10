// libFuzzer's entry for the ear.
#include <cstddef>
#include <cstdint>

#include "sound_target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  samplemind::fuzz::sound({reinterpret_cast<const char*>(data), size});
  return 0;
}

// libsndfile (1.2.0) does not give back what libvorbis holds of a file that it refuses: 6 KB each,
// not ours to find.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libvorbis\nleak:libsndfile\n";
}
