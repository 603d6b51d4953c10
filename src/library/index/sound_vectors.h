// The similarity index: every sound's descriptor (audio/feature/descriptor.h) in memory, 88 bytes a
// sound, compared exactly. An exact scan answers for any weights and any filter, which a graph
// built for one distance does not; how long it takes stands in docs/benchmarks.md.
//
// The 80 dimensions lie apart in five blocks of 16. A scan begins with the block that tells most
// and leaves a sound as soon as the sum so far is above the distance of the last one wanted, so
// most sounds cost 16 or 32 bytes and not 80; a sample of the sounds gives a first bound.
// Not thread-safe: the owner locks (any number of searches, or one change).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
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
  bool has(int64_t id) const { return row_of_.contains(id); }
  // Its 80 values. REQUIRES: has(id).
  void copy(int64_t id, int8_t* out) const { read_row(row_of_.at(id), out); }
  // As it was put; empty when there is none.
  std::string descriptor(int64_t id) const;

  struct Near {
    int64_t id = 0;
    float distance = 0;
    bool operator<(const Near& o) const {
      return distance != o.distance ? distance < o.distance : id < o.id;
    }
  };
  // The `count` nearest, nearest first, of those that `wanted` (optional, called for few sounds
  // only, by several threads at once) says yes to. `threads` at most look, 1 or more: those that a
  // busy machine does not start in time are not waited for. Empty when `descriptor` is none.
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
  static constexpr size_t kBlocks = audio::kDescriptorDims / 16;

  void write_row(size_t row, const int8_t* values);
  void read_row(size_t row, int8_t* values) const;

  std::vector<int64_t> ids_;
  // Groups of eight rows: for each pair of dimensions, the pair of every row.
  std::array<std::vector<int8_t>, kBlocks> blocks_;
  std::unordered_map<int64_t, size_t> row_of_;
};

// The factor of each block's sum in the squared distance.
std::array<float, audio::kDescriptorDims / 16> block_factors(const audio::AspectWeights& weights);
// The squared differences of each of the five blocks of 16 dimensions, of `count` rows that lie one
// after the other; the plain one is for tests.
void block_sums(const int8_t* query, const int8_t* rows, size_t count, int32_t* out);
void block_sums_plain(const int8_t* query, const int8_t* rows, size_t count, int32_t* out);

// Rows of a scan that are not farther than `limit`.
struct ScanHit {
  uint32_t row = 0;
  float square = 0;
};
struct Scan {
  struct Block {
    const int8_t* query = nullptr;  // 16 values
    const int8_t* groups = nullptr;
    float factor = 0;
  };
  std::array<Block, audio::kDescriptorDims / 16> blocks;  // in the order of looking
  size_t count = 0;                                       // of blocks with a factor above 0
};
// Looks at `groups` groups of eight rows from `first` on; `out` has room for 8 * groups. Gives how
// many were written.
size_t scan_groups(const Scan& scan, size_t first, size_t groups, float limit, ScanHit* out);

}  // namespace samplemind::library
