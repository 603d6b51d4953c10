// Runs the ear's fuzz target over its corpus and over changed copies of it, with any compiler: a
// small, repeatable stand-in for the fuzzer, and the guard that the target keeps working.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "../../fuzz/sound_target.h"

namespace samplemind::fuzz {
namespace {

TEST(FuzzCorpus, SoundsCutAndChangedAreHeardOrRefused) {
  uint64_t state = 42;
  const auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  int files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(FUZZ_CORPUS) / "sound")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)), {});
    ++files;
    sound(seed);
    for (int i = 0; i < 4; ++i) sound(std::string_view(seed).substr(0, random(seed.size())));
    for (int i = 0; i < 12; ++i) {
      std::string changed = seed;
      // Mostly in the header, where it matters.
      for (size_t n = random(6) + 1; n > 0; --n)
        changed[random(random(3) == 0 ? changed.size() : std::min<size_t>(64, changed.size()))] =
            static_cast<char>(random(256));
      sound(changed);
    }
  }
  EXPECT_GE(files, 8);
}

}  // namespace
}  // namespace samplemind::fuzz
