#include "library/index/sound_vectors.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <system_error>
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

#if HWY_TARGET == HWY_SCALAR
size_t ScanGroups(const Scan& scan, size_t first, size_t groups, float limit, ScanHit* out) {
  constexpr size_t kRows = 8;
  size_t found = 0;
  for (size_t row = first * kRows; row < (first + groups) * kRows; ++row) {
    float square = 0;
    for (size_t b = 0; b < scan.count && square <= limit; ++b) {
      const int8_t* const from = scan.blocks[b].groups + row / kRows * kRows * kBlock;
      int32_t sum = 0;
      for (size_t i = 0; i < kBlock; ++i) {
        const int d = scan.blocks[b].query[i] - from[i / 2 * 2 * kRows + row % kRows * 2 + i % 2];
        sum += d * d;
      }
      square += scan.blocks[b].factor * static_cast<float>(sum);
    }
    if (square <= limit) out[found++] = {static_cast<uint32_t>(row), square};
  }
  return found;
}
#else
// The sum of squared differences of both dimensions of each pair, a lane a row.
template <class D16, class V32>
HWY_INLINE V32 AddPairs(D16, hn::Vec<D16> difference, V32 sum) {
  const hn::RepartitionToWide<D16> d32;
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
  auto none = hn::Zero(d32);  // there this adds neighbours
  return hn::ReorderWidenMulAccumulate(d32, difference, difference, sum, none);
#else
  const auto both = hn::BitCast(d32, difference);
  const auto low = hn::ShiftRight<16>(hn::ShiftLeft<16>(both));
  const auto high = hn::ShiftRight<16>(both);
  return hn::Add(sum, hn::Add(hn::Mul(low, low), hn::Mul(high, high)));
#endif
}

size_t ScanGroups(const Scan& scan, size_t first, size_t groups, float limit, ScanHit* out) {
  constexpr size_t kRows = 8, kPairs = kBlock / 2;
  const hn::CappedTag<int16_t, 2 * kRows> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const hn::Rebind<float, decltype(d32)> df;
  const size_t lanes = hn::Lanes(d32);
  const auto most = hn::Set(df, limit);
  // Each pair of the query in every lane.
  hn::Vec<decltype(d16)> pairs[kBlocks][kPairs];
  for (size_t b = 0; b < scan.count; ++b) {
    for (size_t p = 0; p < kPairs; ++p) {
      const int8_t* const q = scan.blocks[b].query + 2 * p;
      const auto low = static_cast<uint16_t>(static_cast<int16_t>(q[0]));
      const auto high = static_cast<uint16_t>(static_cast<int16_t>(q[1]));
      const auto both = static_cast<int32_t>(low | static_cast<uint32_t>(high) << 16);
      pairs[b][p] = hn::BitCast(d16, hn::Set(d32, both));
    }
  }
  size_t found = 0;
  for (size_t g = first; g < first + groups; ++g) {
    for (size_t part = 0; part < kRows; part += lanes) {
      auto square = hn::Zero(df);
      bool out_of_reach = false;
      for (size_t b = 0; b < scan.count && !out_of_reach; ++b) {
        const int8_t* HWY_RESTRICT from = scan.blocks[b].groups + g * kRows * kBlock + 2 * part;
        auto sum = hn::Zero(d32);
#pragma GCC unroll 8  // a third faster
        for (size_t p = 0; p < kPairs; ++p) {
          const auto y = hn::PromoteTo(d16, hn::LoadU(d8, from + p * 2 * kRows));
          sum = AddPairs(d16, hn::Sub(y, pairs[b][p]), sum);
        }
        square = hn::MulAdd(hn::Set(df, scan.blocks[b].factor), hn::ConvertTo(df, sum), square);
        out_of_reach = hn::AllTrue(df, hn::Gt(square, most));
      }
      if (out_of_reach) continue;
      float squares[kRows];
      hn::StoreU(square, df, squares);
      for (size_t i = 0; i < lanes; ++i) {
        if (squares[i] <= limit)
          out[found++] = {static_cast<uint32_t>(g * kRows + part + i), squares[i]};
      }
    }
  }
  return found;
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::library
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace samplemind::library {

HWY_EXPORT(BlockSums);
HWY_EXPORT(ScanGroups);

namespace {

constexpr size_t kDims = audio::kDescriptorDims;
constexpr size_t kBlocks = kDims / 16;
constexpr size_t kRows = 8;  // of a group
constexpr size_t kGroupBytes = kRows * 16;
constexpr size_t kChunk = 128;         // groups between two looks at the bound
constexpr size_t kSlice = 8 * kChunk;  // groups that a thread takes at a time
constexpr size_t kSampleFrom = 20000;  // sounds from which on a sample pays
// One run of groups in so many; a run's lines of memory are fetched ahead, lone groups' are not.
constexpr size_t kSampleRun = 16;
constexpr size_t kSampleStep = 32;
constexpr size_t kLines = 12;
constexpr size_t kNeighbours = 24;  // looked at on each side of a sound on a line

float combine(const int32_t* sums, const std::array<float, kBlocks>& factors) {
  float square = 0;
  for (size_t b = 0; b < kBlocks; ++b) square += factors[b] * static_cast<float>(sums[b]);
  return square;
}

const int8_t* values(std::string_view descriptor) {
  return reinterpret_cast<const int8_t*>(descriptor.data()) + audio::kDescriptorHeaderBytes;
}

}  // namespace

std::array<float, kBlocks> block_factors(const audio::AspectWeights& weights) {
  std::array<float, kBlocks> factors{};
  for (size_t k = 0; k < audio::kAspectCount; ++k) {
    const audio::AspectPart& p = audio::kAspectParts[k];
    for (size_t b = p.first / 16; b < (p.first + p.dims) / 16; ++b)
      factors[b] = weights.of(static_cast<audio::Aspect>(k)) * p.scale * p.scale;
  }
  return factors;
}

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

size_t scan_groups(const Scan& scan, size_t first, size_t groups, float limit, ScanHit* out) {
  return HWY_DYNAMIC_DISPATCH(ScanGroups)(scan, first, groups, limit, out);
}

// Where dimension `i` of a row lies in its block.
static size_t place(size_t row, size_t i) {
  return row / kRows * kGroupBytes + i % 16 / 2 * 2 * kRows + row % kRows * 2 + i % 2;
}

void SoundVectors::write_row(size_t row, const int8_t* values) {
  for (size_t i = 0; i < kDims; ++i) blocks_[i / 16][place(row, i)] = values[i];
}

void SoundVectors::read_row(size_t row, int8_t* values) const {
  for (size_t i = 0; i < kDims; ++i) values[i] = blocks_[i / 16][place(row, i)];
}

void SoundVectors::put(int64_t id, std::string_view descriptor) {
  if (!audio::is_descriptor(descriptor)) {
    remove(id);
    return;
  }
  const auto [it, fresh] = row_of_.emplace(id, ids_.size());
  if (fresh) {
    ids_.push_back(id);
    if (ids_.size() % kRows == 1)
      for (auto& block : blocks_) block.resize(block.size() + kGroupBytes);
  }
  write_row(it->second, values(descriptor));
}

void SoundVectors::remove(int64_t id) {
  const auto it = row_of_.find(id);
  if (it == row_of_.end()) return;
  // The last row takes its place.
  const size_t row = it->second;
  const size_t last = ids_.size() - 1;
  if (row != last) {
    std::array<int8_t, kDims> moved;
    read_row(last, moved.data());
    write_row(row, moved.data());
    ids_[row] = ids_[last];
    row_of_[ids_[row]] = row;
  }
  ids_.pop_back();
  if (last % kRows == 0)
    for (auto& block : blocks_) block.resize(block.size() - kGroupBytes);
  row_of_.erase(it);
}

void SoundVectors::clear() {
  *this = SoundVectors();
}

uint64_t SoundVectors::memory_bytes() const {
  return ids_.capacity() * 8 + kBlocks * blocks_[0].capacity() + row_of_.size() * 48;
}

std::string SoundVectors::descriptor(int64_t id) const {
  const auto it = row_of_.find(id);
  if (it == row_of_.end()) return {};
  std::string bytes(audio::kDescriptorBytes, '\0');
  bytes[0] = static_cast<char>(audio::kDescriptorVersion);
  read_row(it->second, reinterpret_cast<int8_t*>(bytes.data()) + audio::kDescriptorHeaderBytes);
  return bytes;
}

// The blocks that count, those first that keep the sampled groups farthest away.
static Scan plan_scan(const int8_t* query, const std::array<std::vector<int8_t>, kBlocks>& blocks,
                      size_t groups, const audio::AspectWeights& weights) {
  const auto factors = block_factors(weights);
  std::array<std::pair<float, size_t>, kBlocks> order;
  const size_t step = std::max<size_t>(1, groups / 32);
  for (size_t b = 0; b < kBlocks; ++b) {
    float sum = 0;
    for (size_t g = 0; g < groups; g += step) {
      for (size_t i = 0; i < kGroupBytes; ++i) {
        const float d = static_cast<float>(query[b * 16 + i / (2 * kRows) * 2 + i % 2]) -
                        static_cast<float>(blocks[b][g * kGroupBytes + i]);
        sum += d * d;
      }
    }
    order[b] = {-factors[b] * sum, b};
  }
  std::sort(order.begin(), order.end());
  Scan scan;
  for (const auto& [far, b] : order) {
    if (factors[b] > 0) scan.blocks[scan.count++] = {query + b * 16, blocks[b].data(), factors[b]};
  }
  return scan;
}

namespace {

// The nearest so far, the farthest of them on top.
class Nearest {
 public:
  Nearest(size_t count, float limit) : count_(count), limit_(limit) {}
  float limit() const { return limit_; }
  bool full() const { return heap_.size() == count_; }
  void offer(SoundVectors::Near near, const std::function<bool(int64_t)>& wanted) {
    if (near.distance > limit_ || (full() && !(near < heap_.front()))) return;
    if (wanted && !wanted(near.id)) return;
    if (full()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
    }
    heap_.push_back(near);
    std::push_heap(heap_.begin(), heap_.end());
    if (full()) limit_ = heap_.front().distance;
  }
  const std::vector<SoundVectors::Near>& all() const { return heap_; }

 private:
  size_t count_;
  float limit_;
  std::vector<SoundVectors::Near> heap_;
};

// Slices of a scan for whoever has time: the caller and helpers. A helper that the machine is too
// busy to begin is not waited for.
class SharedScan {
 public:
  SharedScan(size_t groups, size_t slice) : groups_(groups), slice_(slice) {}
  // The next slice to look at, [first, second); none when all are taken.
  std::optional<std::pair<size_t, size_t>> next() {
    const size_t begin = at_.fetch_add(slice_, std::memory_order_relaxed);
    if (begin >= groups_) return std::nullopt;
    return std::pair(begin, std::min(begin + slice_, groups_));
  }
  // `work` runs on a thread of its own unless finish() comes first.
  void help(std::function<void()> work) {
    try {
      std::thread([door = door_, work = std::move(work)] {
        {
          const std::lock_guard lock(door->mutex);
          if (door->closed) return;
          ++door->inside;
        }
        work();
        const std::lock_guard lock(door->mutex);
        --door->inside;
        door->left.notify_all();
      }).detach();
    } catch (const std::system_error&) {
      // No thread to be had: the caller does it all.
    }
  }
  // Lets no more helpers begin and waits for those that have.
  void finish() {
    std::unique_lock lock(door_->mutex);
    door_->closed = true;
    door_->left.wait(lock, [&] { return door_->inside == 0; });
  }

 private:
  struct Door {
    std::mutex mutex;
    std::condition_variable left;
    int inside = 0;
    bool closed = false;
  };
  const size_t groups_;
  const size_t slice_;
  std::atomic<size_t> at_{0};
  std::shared_ptr<Door> door_ = std::make_shared<Door>();
};

}  // namespace

std::vector<SoundVectors::Near> SoundVectors::nearest(std::string_view descriptor,
                                                      const audio::AspectWeights& weights,
                                                      size_t count,
                                                      const std::function<bool(int64_t)>& wanted,
                                                      size_t threads) const {
  if (!audio::is_descriptor(descriptor) || count == 0 || ids_.empty()) return {};
  const size_t groups = (ids_.size() + kRows - 1) / kRows;
  const Scan scan = plan_scan(values(descriptor), blocks_, groups, weights);
  const auto look = [&](Nearest& best, size_t begin, size_t end, size_t run, size_t step) {
    std::array<ScanHit, kChunk * kRows> hits;
    for (size_t g = begin; g < end; g += run * step) {
      const size_t n = scan_groups(scan, g, std::min(run, end - g), best.limit(), hits.data());
      for (size_t i = 0; i < n; ++i) {
        if (hits[i].row < ids_.size()) best.offer({ids_[hits[i].row], hits[i].square}, wanted);
      }
    }
  };
  // The last one wanted of a sample is no nearer than the last one wanted of all.
  float bound = INFINITY;
  if (ids_.size() >= kSampleFrom) {
    Nearest sample(count, INFINITY);
    look(sample, 0, groups, kSampleRun, kSampleStep);
    bound = sample.limit();
  }
  threads = std::max<size_t>(1, std::min(threads, ids_.size() / 50000 + 1));
  SharedScan shared(groups, kSlice);
  std::vector<Nearest> parts(threads, Nearest(count, bound));
  const auto work = [&](size_t part) {
    Nearest& best = parts[part];
    while (const auto slice = shared.next()) look(best, slice->first, slice->second, kChunk, 1);
  };
  for (size_t t = 1; t < threads; ++t) shared.help([&work, t] { work(t); });
  work(0);
  shared.finish();
  std::vector<Near> all;
  for (const Nearest& p : parts) all.insert(all.end(), p.all().begin(), p.all().end());
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
  std::vector<int8_t> rows(n * kDims);  // one after the other, for this alone
  for (size_t r = 0; r < n; ++r) read_row(r, rows.data() + r * kDims);
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
        at += direction[i] * static_cast<float>(rows[r * kDims + i]);
      line[r] = {at, static_cast<uint32_t>(r)};
    }
    std::sort(line.begin(), line.end());
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < std::min(n, i + 1 + kNeighbours); ++j) {
        const uint32_t a = std::min(line[i].second, line[j].second);
        const uint32_t b = std::max(line[i].second, line[j].second);
        std::array<int32_t, kBlocks> sums;
        block_sums(rows.data() + a * kDims, rows.data() + b * kDims, 1, sums.data());
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
