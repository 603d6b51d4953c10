// Runs the fuzz targets over their corpus and over changed copies of it, with any compiler: a
// small, repeatable stand-in for the fuzzer, and the guard that the targets keep working.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "../../fuzz/net_targets.h"

namespace samplemind::fuzz {
namespace {

using Target = void (*)(std::string_view);

struct Case {
  const char* name;
  Target target;
  int rounds = 2000;
};

class FuzzCorpus : public ::testing::TestWithParam<Case> {};

TEST_P(FuzzCorpus, HoldsForTheCorpusAndForChangedCopies) {
  const std::filesystem::path folder = std::filesystem::path(FUZZ_CORPUS) / GetParam().name;
  uint64_t state = 42;
  auto random = [&](size_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % below;
  };
  static constexpr std::string_view kBytes(
      "\r\n\0 :;,\t\x7f\xEF\xBB\xBF"
      "0aF%/?#[]@.",
      23);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed((std::istreambuf_iterator<char>(file)), {});
    ++files;
    GetParam().target(seed);
    for (size_t i = 0; i <= seed.size(); ++i)
      GetParam().target(std::string_view(seed).substr(0, i));
    for (int i = 0; i < GetParam().rounds; ++i) {
      std::string changed = seed;
      for (size_t n = random(4) + 1; n > 0; --n) {
        const size_t at = random(changed.size() + 1);
        switch (random(3)) {
          case 0:
            changed.insert(at, 1, kBytes[random(kBytes.size())]);
            break;
          case 1:
            if (at < changed.size()) changed.erase(at, random(5));
            break;
          default:
            if (at < changed.size()) changed[at] = kBytes[random(kBytes.size())];
            break;
        }
      }
      GetParam().target(changed);
    }
  }
  EXPECT_GE(files, 3) << folder;
}

INSTANTIATE_TEST_SUITE_P(Net, FuzzCorpus,
                         ::testing::Values(Case{"http_request", http_request},
                                           Case{"http_response", http_response}, Case{"sse", sse},
                                           Case{"ndjson", ndjson}, Case{"resp", resp},
                                           Case{"url", url},
                                           Case{"http2_server", http2_server, 500},
                                           Case{"http2_client", http2_client, 500}),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace samplemind::fuzz
