#include "library/index/sound_vectors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <thread>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "library/index/sound_vectors.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace samplemind::library {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kBlock = 16;
constexpr size_t kBlocks = audio::kDescriptorDims / kBlock;

void BlockSums(const int8_t* HWY_RESTRICT query, const int8_t* HWY_RESTRICT rows, size_t count,
               int32_t* HWY_RESTRICT out) {
  const hn::CappedTag<int16_t, kBlock> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const size_t lanes = hn::Lanes(d16);
  for (size_t r = 0; r < count; ++r, rows += audio::kDescriptorDims) {
    for (size_t b = 0; b < kBlocks; ++b) {
      auto sum0 = hn::Zero(d32);
      auto sum1 = hn::Zero(d32);
      for (size_t i = b * kBlock; i < (b + 1) * kBlock; i += lanes) {
        const auto x = hn::PromoteTo(d16, hn::LoadU(d8, query + i));
        const auto y = hn::PromoteTo(d16, hn::LoadU(d8, rows + i));
        const auto difference = hn::Sub(x, y);
        sum0 = hn::ReorderWidenMulAccumulate(d32, difference, difference, sum0, sum1);
      }
      *out++ = hn::GetLane(hn::SumOfLanes(d32, hn::Add(sum0, sum1)));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::library
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace samplemind::library {

HWY_EXPORT(BlockSums);

namespace {

constexpr size_t kDims = audio::kDescriptorDims;
constexpr size_t kBlocks = kDims / 16;
constexpr size_t kChunk = 512;  // rows whose sums fit the first cache
constexpr size_t kLines = 12;
constexpr size_t kNeighbours = 24;  // looked at on each side of a sound on a line

// The factor of each block's sum in the squared distance.
std::array<float, kBlocks> block_factors(const audio::AspectWeights& weights) {
  std::array<float, kBlocks> factors{};
  for (size_t k = 0; k < audio::kAspectCount; ++k) {
    const audio::AspectPart& p = audio::kAspectParts[k];
    for (size_t b = p.first / 16; b < (p.first + p.dims) / 16; ++b)
      factors[b] = weights.of(static_cast<audio::Aspect>(k)) * p.scale * p.scale;
  }
  return factors;
}

float combine(const int32_t* sums, const std::array<float, kBlocks>& factors) {
  float square = 0;
  for (size_t b = 0; b < kBlocks; ++b) square += factors[b] * static_cast<float>(sums[b]);
  return square;
}

const int8_t* values(std::string_view descriptor) {
  return reinterpret_cast<const int8_t*>(descriptor.data()) + audio::kDescriptorHeaderBytes;
}

}  // namespace

void block_sums(const int8_t* query, const int8_t* rows, size_t count, int32_t* out) {
  HWY_DYNAMIC_DISPATCH(BlockSums)(query, rows, count, out);
}

void block_sums_plain(const int8_t* query, const int8_t* rows, size_t count, int32_t* out) {
  for (size_t r = 0; r < count; ++r) {
    for (size_t b = 0; b < kBlocks; ++b) {
      int32_t sum = 0;
      for (size_t i = b * 16; i < (b + 1) * 16; ++i) {
        const int32_t difference = query[i] - rows[r * kDims + i];
        sum += difference * difference;
      }
      *out++ = sum;
    }
  }
}

void SoundVectors::put(int64_t id, std::string_view descriptor) {
  if (!audio::is_descriptor(descriptor)) {
    remove(id);
    return;
  }
  const auto [it, fresh] = row_of_.emplace(id, ids_.size());
  if (fresh) {
    ids_.push_back(id);
    rows_.resize(rows_.size() + kDims);
  }
  std::copy_n(values(descriptor), kDims, rows_.data() + it->second * kDims);
}

void SoundVectors::remove(int64_t id) {
  const auto it = row_of_.find(id);
  if (it == row_of_.end()) return;
  // The last row takes its place.
  const size_t row = it->second;
  const size_t last = ids_.size() - 1;
  if (row != last) {
    ids_[row] = ids_[last];
    std::copy_n(rows_.data() + last * kDims, kDims, rows_.data() + row * kDims);
    row_of_[ids_[row]] = row;
  }
  ids_.pop_back();
  rows_.resize(last * kDims);
  row_of_.erase(it);
}

void SoundVectors::clear() {
  *this = SoundVectors();
}

uint64_t SoundVectors::memory_bytes() const {
  return ids_.capacity() * 8 + rows_.capacity() + row_of_.size() * 48;
}

std::vector<SoundVectors::Near> SoundVectors::nearest(std::string_view descriptor,
                                                      const audio::AspectWeights& weights,
                                                      size_t count,
                                                      const std::function<bool(int64_t)>& wanted,
                                                      size_t threads) const {
  if (!audio::is_descriptor(descriptor) || count == 0) return {};
  const auto factors = block_factors(weights);
  const int8_t* const query = values(descriptor);
  const auto part = [&](size_t begin, size_t end) {
    std::vector<Near> heap;  // the farthest on top
    std::array<int32_t, kChunk * kBlocks> sums;
    float limit = INFINITY;
    for (size_t row = begin; row < end; row += kChunk) {
      const size_t n = std::min(kChunk, end - row);
      block_sums(query, rows_.data() + row * kDims, n, sums.data());
      for (size_t i = 0; i < n; ++i) {
        const float square = combine(sums.data() + i * kBlocks, factors);
        if (square > limit) continue;
        const Near near{ids_[row + i], square};
        if (heap.size() == count && !(near < heap.front())) continue;
        if (wanted && !wanted(near.id)) continue;
        if (heap.size() == count) {
          std::pop_heap(heap.begin(), heap.end());
          heap.pop_back();
        }
        heap.push_back(near);
        std::push_heap(heap.begin(), heap.end());
        if (heap.size() == count) limit = heap.front().distance;
      }
    }
    return heap;
  };
  threads = std::max<size_t>(1, std::min(threads, ids_.size() / 50000 + 1));
  std::vector<std::vector<Near>> parts(threads);
  const size_t share = ids_.size() / threads;
  std::vector<std::thread> others;
  for (size_t t = 1; t < threads; ++t) {
    others.emplace_back(
        [&, t] { parts[t] = part(t * share, t + 1 == threads ? ids_.size() : (t + 1) * share); });
  }
  parts[0] = part(0, threads == 1 ? ids_.size() : share);
  for (std::thread& t : others) t.join();
  std::vector<Near> all;
  for (const auto& p : parts) all.insert(all.end(), p.begin(), p.end());
  std::sort(all.begin(), all.end());
  if (all.size() > count) all.resize(count);
  for (Near& near : all) near.distance = std::sqrt(near.distance);
  return all;
}

std::vector<SoundVectors::Pair> SoundVectors::close_pairs(float distance,
                                                          const audio::AspectWeights& weights,
                                                          size_t pairs_max) const {
  const size_t n = ids_.size();
  const auto factors = block_factors(weights);
  const float limit = distance * distance;
  std::mt19937 random(20240607);  // the same directions each time: the same answer each time
  std::normal_distribution<float> normal;
  std::vector<Pair> pairs;
  std::vector<std::pair<float, uint32_t>> line(n);
  for (size_t l = 0; l < kLines && pairs.size() < pairs_max; ++l) {
    std::array<float, kDims> direction{};
    for (size_t i = 0; i < kDims; ++i) direction[i] = normal(random) * std::sqrt(factors[i / 16]);
    for (size_t r = 0; r < n; ++r) {
      float at = 0;
      for (size_t i = 0; i < kDims; ++i)
        at += direction[i] * static_cast<float>(rows_[r * kDims + i]);
      line[r] = {at, static_cast<uint32_t>(r)};
    }
    std::sort(line.begin(), line.end());
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < std::min(n, i + 1 + kNeighbours); ++j) {
        const uint32_t a = std::min(line[i].second, line[j].second);
        const uint32_t b = std::max(line[i].second, line[j].second);
        std::array<int32_t, kBlocks> sums;
        block_sums(rows_.data() + a * kDims, rows_.data() + b * kDims, 1, sums.data());
        const float square = combine(sums.data(), factors);
        if (square > limit) continue;
        if (pairs.size() >= pairs_max) break;
        pairs.push_back({ids_[a], ids_[b], std::sqrt(square)});
      }
    }
  }
  // The same pair may have been met on several lines.
  std::sort(pairs.begin(), pairs.end(), [](const Pair& x, const Pair& y) {
    if (x.a != y.a) return x.a < y.a;
    return x.b < y.b;
  });
  pairs.erase(std::unique(pairs.begin(), pairs.end(),
                          [](const Pair& x, const Pair& y) { return x.a == y.a && x.b == y.b; }),
              pairs.end());
  return pairs;
}

}  // namespace samplemind::library

#endif  // HWY_ONCE
