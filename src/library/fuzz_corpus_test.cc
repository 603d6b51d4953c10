// Runs the library's fuzz targets over their corpus and over changed copies of it, with any
// compiler: a small, repeatable stand-in for the fuzzer, and the guard that the targets keep
// working.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "../../fuzz/library_targets.h"
#include "base/files.h"

namespace samplemind::fuzz {
namespace {

int run_corpus(const char* name, void (*target)(std::string_view)) {
  uint64_t state = 7;
  const auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(FUZZ_CORPUS) / name)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)), {});
    ++files;
    for (size_t n = 0; n <= seed.size(); ++n) target(std::string_view(seed).substr(0, n));
    for (int i = 0; i < 200; ++i) {
      std::string changed = seed;
      for (size_t n = random(4) + 1; n > 0; --n)
        changed[random(changed.size())] = static_cast<char>(random(256));
      target(changed);
    }
  }
  return files;
}

TEST(FuzzCorpus, Queries) {
  EXPECT_GE(run_corpus("query", query), 8);
}
TEST(FuzzCorpus, SoundNames) {
  EXPECT_GE(run_corpus("sound_name", sound_name), 8);
}

}  // namespace
}  // namespace samplemind::fuzz
