// The sounds of a library that come nearest to aims (library/wording.h). Needs nothing of a store
// but searching, reading and neighbours. Blocks on the disk: at most kAimedRead sounds are read,
// about 0.2 s, however large the library is.
#pragma once

#include <cstdint>
#include <vector>

#include "library/catalogue.h"
#include "library/wording.h"

namespace samplemind::library {

// So many of those that the query finds are compared. When it finds more, they are taken at equal
// steps, and neighbours of the best ones are looked at besides.
inline constexpr size_t kAimedRead = 2000;

struct Aimed {
  Sample sample;
  float score = 0;            // 0..1
  std::vector<float> places;  // on the axis of each aim: the share of the sounds compared below it
};
struct AimedResult {
  std::vector<Aimed> sounds;  // best first
  int64_t found = 0;          // by the query
  int64_t compared = 0;       // of those; silent ones cannot be
};
// Without aims: what the query finds, in its order. REQUIRES: 1 <= limit <= 1000.
Result<AimedResult> find_aimed(Catalogue& catalogue, const Wording& wording, int limit);

// Words that mean nothing to interpret() but that some name holds, together with the query, become
// part of the query. Those that nothing is called stay in `rest`.
Result<void> settle_words(Catalogue& catalogue, Wording& wording);

}  // namespace samplemind::library
