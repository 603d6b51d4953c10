#include "audio/feature/separation.h"

#include <algorithm>
#include <limits>

#include "audio/feature/spectrum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/separation.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

constexpr size_t kWidth = 31;  // of the median windows, in frames and bins
constexpr size_t kReach = kWidth / 2;

// A window of 31 vectors in ascending order, lane by lane. Taking one value out shifts what is
// above it down; putting one in is a maximum and a minimum a place. No branch, no dependency from
// place to place.
HWY_INLINE void replace(float* sorted, F8 out, F8 in) {
  F8 here = load(sorted);
  F8 below = set(-3.4e38f);
  for (size_t i = 0; i < kWidth; ++i) {
    const F8 next = i + 1 < kWidth ? load(sorted + (i + 1) * 8) : set(3.4e38f);
    const F8 kept = select_ge(here, out, next, here);
    store(maximum(below, minimum(kept, in)), sorted + i * 8);
    below = kept;
    here = next;
  }
}

// Medians over bins of eight frames, mirrored at both ends.
void median_over_bins(const float* magnitude, size_t bins, float* to, size_t stride) {
  alignas(64) float sorted[kWidth * 8];
  const F8 empty = set(3.4e38f);
  for (size_t i = 0; i < kWidth; ++i) store(empty, sorted + i * 8);
  const auto at = [&](size_t place) HWY_ATTR {  // place counts from kReach before the first bin
    const size_t bin = place < kReach          ? kReach - 1 - place
                       : place - kReach < bins ? place - kReach
                                               : 2 * bins - 1 - (place - kReach);
    return load(magnitude + bin * 8);
  };
  for (size_t n = 0; n < bins + 2 * kReach; ++n) {
    replace(sorted, n < kWidth ? empty : at(n - kWidth), at(n));
    if (n >= 2 * kReach) store(load(sorted + kReach * 8), to + (n - 2 * kReach) * stride);
  }
}

// Medians over columns first..end of eight rows a group, masks, and the energies they let through.
// `skip`: columns whose window is not full yet.
void separate(const float* magnitude, const float* percussive, size_t stride, size_t groups,
              size_t first, size_t end, size_t skip, float* sorted, double* energies) {
  const F8 tiny = set(1e-30f);
  for (size_t g = 0; g < groups; ++g, sorted += kWidth * 8) {
    const float* rows = magnitude + g * 8 * stride;
    const float* medians = percussive + g * 8 * stride;
    F8 harmonic = set(0), struck = set(0), all = set(0);
    for (size_t c = first; c < end; c += 4) {
      F8 in[4], out[4], centre[4], across[4];
      load_turned(rows + c, stride, in);
      load_turned(rows + c - kWidth, stride, out);
      load_turned(rows + c - kReach, stride, centre);
      load_turned(medians + c - kReach, stride, across);
      for (size_t j = 0; j < 4 && c + j < end; ++j) {
        replace(sorted, out[j], in[j]);
        if (c + j < first + skip) continue;
        const F8 along = load(sorted + kReach * 8);
        const F8 h = mul(along, along);
        const F8 p = mul(across[j], across[j]);
        const F8 share = divide(h, maximum(add(h, p), tiny));
        const F8 other = divide(p, maximum(add(h, p), tiny));
        const F8 e = mul(centre[j], centre[j]);
        harmonic = mul_add(e, mul(share, share), harmonic);
        struck = mul_add(e, mul(other, other), struck);
        all = add(all, e);
      }
    }
    float lanes[3][8];
    store(harmonic, lanes[0]);
    store(struck, lanes[1]);
    store(all, lanes[2]);
    for (size_t i = 0; i < 3; ++i)
      for (const float v : lanes[i]) energies[i] += static_cast<double>(v);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(median_over_bins);
HWY_EXPORT(separate);

namespace {
constexpr size_t kWidth = 31;
constexpr size_t kReach = kWidth / 2;
constexpr size_t kBatch = 64;  // columns a run
constexpr size_t kBins = kDetailSpec.size / 2 + 1;
constexpr size_t kGroups = (kBins + 7) / 8;
// Past, the mirrored start or end, a batch and the block that completes it, and loads of four.
constexpr size_t kStride = kWidth + kReach + kBatch + 2 * kLanes + 2;
}  // namespace

SeparationMeter::SeparationMeter()
    : magnitude_(kGroups * 8 * kStride),
      percussive_(kGroups * 8 * kStride),
      sorted_(kGroups * kWidth * 8),
      fill_(kWidth + kReach) {
  // Nothing in the window yet: values that the median never reaches and that are taken out first.
  constexpr float kEmpty = 3.4e38f;
  std::fill(sorted_.data(), sorted_.data() + sorted_.size(), kEmpty);
  for (size_t k = 0; k < kGroups * 8; ++k)
    std::fill(&magnitude_[k * kStride], &magnitude_[k * kStride] + kWidth, kEmpty);
}

void SeparationMeter::take(const FrameBlock& block) {
  HWY_DYNAMIC_DISPATCH(median_over_bins)
  (block.magnitude, block.bins, percussive_.data() + fill_, kStride);
  for (size_t k = 0; k < block.bins; ++k)
    std::copy_n(block.magnitude + k * kLanes, kLanes, &magnitude_[k * kStride + fill_]);
  fill_ += block.count;
  if (!begun_ && fill_ >= kWidth + 2 * kReach) {
    for (size_t i = 0; i < kReach; ++i) copy_column(kWidth + kReach - 1 - i, kWidth + kReach + i);
    begun_ = true;
  }
  if (begun_ && fill_ >= kWidth + kBatch) run();
}

void SeparationMeter::copy_column(size_t to, size_t from) {
  for (size_t k = 0; k < kBins; ++k) {
    magnitude_[k * kStride + to] = magnitude_[k * kStride + from];
    percussive_[k * kStride + to] = percussive_[k * kStride + from];
  }
}

void SeparationMeter::run() {
  double energies[3] = {};
  const size_t skip = pushed_ >= 2 * kReach ? 0 : 2 * kReach - pushed_;
  HWY_DYNAMIC_DISPATCH(separate)
  (magnitude_.data(), percussive_.data(), kStride, kGroups, kWidth, fill_, skip, sorted_.data(),
   energies);
  harmonic_ += energies[0];
  percussive_energy_ += energies[1];
  energy_ += energies[2];
  pushed_ += fill_ - kWidth;
  for (AlignedFloats* lines : {&magnitude_, &percussive_}) {
    for (size_t k = 0; k < kGroups * 8; ++k) {
      float* line = lines->data() + k * kStride;
      std::copy(line + fill_ - kWidth, line + fill_, line);
    }
  }
  fill_ = kWidth;
}

HarmonicPercussiveFacts SeparationMeter::finish() {
  if (!begun_) {
    const size_t first = kWidth + kReach;
    const size_t count = fill_ - first;
    if (count == 0) return {};
    // A sound shorter than the window is mirrored again and again.
    const auto mirrored = [&](size_t far) {
      const size_t i = far % (2 * count);
      return first + (i < count ? i : 2 * count - 1 - i);
    };
    for (size_t i = 0; i < kReach; ++i) copy_column(first - 1 - i, mirrored(i));
    for (size_t i = 0; i < kReach; ++i) copy_column(fill_ + i, mirrored(count + i));
  } else {
    for (size_t i = 0; i < kReach; ++i) copy_column(fill_ + i, fill_ - 1 - i);
  }
  fill_ += kReach;
  run();
  if (energy_ <= 0) return {};
  return {harmonic_ / energy_, percussive_energy_ / energy_};
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
