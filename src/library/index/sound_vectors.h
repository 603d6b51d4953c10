// The similarity index: every sound's descriptor (audio/feature/descriptor.h) in one block of
// memory, 88 bytes a sound, compared exactly. An exact scan answers for any weights and any filter,
// which a graph built for one distance does not; how long it takes stands in docs/benchmarks.md.
// Not thread-safe: the owner locks (any number of searches, or one change).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "audio/feature/descriptor.h"

namespace samplemind::library {

class SoundVectors {
 public:
  // Inserts or replaces; bytes that are no descriptor of this version remove the sound.
  void put(int64_t id, std::string_view descriptor);
  void remove(int64_t id);
  void clear();
  size_t size() const { return ids_.size(); }
  uint64_t memory_bytes() const;

  struct Near {
    int64_t id = 0;
    float distance = 0;
    bool operator<(const Near& o) const {
      return distance != o.distance ? distance < o.distance : id < o.id;
    }
  };
  // The `count` nearest, nearest first, of those that `wanted` (optional, called for few sounds
  // only) says yes to. `threads`: 1 or more. Empty when `descriptor` is none.
  std::vector<Near> nearest(std::string_view descriptor, const audio::AspectWeights& weights,
                            size_t count, const std::function<bool(int64_t)>& wanted,
                            size_t threads) const;
  // Pairs of sounds at most `distance` apart, each once: candidates come from neighbours along
  // `kLines` fixed directions, so that a million sounds take seconds and not a trillion steps.
  // Pairs that are the same to the ear are next to each other on nearly every line.
  struct Pair {
    int64_t a = 0;
    int64_t b = 0;
    float distance = 0;
  };
  std::vector<Pair> close_pairs(float distance, const audio::AspectWeights& weights,
                                size_t pairs_max) const;

 private:
  std::vector<int64_t> ids_;
  std::vector<int8_t> rows_;  // kDescriptorDims each
  std::unordered_map<int64_t, size_t> row_of_;
};

// For tests: the squared differences of each of the five blocks of 16 dimensions.
void block_sums(const int8_t* query, const int8_t* rows, size_t count, int32_t* out);
void block_sums_plain(const int8_t* query, const int8_t* rows, size_t count, int32_t* out);

}  // namespace samplemind::library
