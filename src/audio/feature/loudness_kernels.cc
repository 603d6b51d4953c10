#include <cmath>

#include "audio/feature/loudness_kernels_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/loudness_kernels.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

#if SM_LANES == SM_LANES_PLAIN
struct P2 {
  double v[2];
};
HWY_INLINE P2 pair(double a, double b) {
  return {{a, b}};
}
HWY_INLINE P2 pair_of(const double* p) {
  return {{p[0], p[1]}};
}
HWY_INLINE P2 pair_of(const float* p) {
  return {{static_cast<double>(p[0]), static_cast<double>(p[1])}};
}
HWY_INLINE void put(P2 x, double* p) {
  p[0] = x.v[0];
  p[1] = x.v[1];
}
HWY_INLINE P2 mul_add2(P2 a, P2 b, P2 c) {
  return {{a.v[0] * b.v[0] + c.v[0], a.v[1] * b.v[1] + c.v[1]}};
}
HWY_INLINE P2 mul2(P2 a, P2 b) {
  return {{a.v[0] * b.v[0], a.v[1] * b.v[1]}};
}
#else
using D2 = hn::FixedTag<double, 2>;
struct P2 {
  hn::Vec<D2> v;
};
HWY_INLINE P2 pair(double a, double b) {
  const double both[2] = {a, b};
  return {hn::LoadU(D2(), both)};
}
HWY_INLINE P2 pair_of(const double* p) {
  return {hn::LoadU(D2(), p)};
}
HWY_INLINE P2 pair_of(const float* p) {
  return {hn::PromoteTo(D2(), hn::LoadU(hn::FixedTag<float, 2>(), p))};
}
HWY_INLINE void put(P2 x, double* p) {
  hn::StoreU(x.v, D2(), p);
}
HWY_INLINE P2 mul_add2(P2 a, P2 b, P2 c) {
  return {hn::MulAdd(a.v, b.v, c.v)};
}
HWY_INLINE P2 mul2(P2 a, P2 b) {
  return {hn::Mul(a.v, b.v)};
}
#endif

// Transposed direct form: two fused multiply-adds of latency a section and sample, and the two
// sections overlap. In double: the high-pass at 38 Hz lies near the unit circle.
void k_weighted_energy_lanes(const float* in, size_t stride, bool second, size_t frames,
                             const KWeighting& f, KState& state, double* energy) {
  const auto both = [](double x) HWY_ATTR { return pair(x, x); };
  const P2 b00 = both(f.b[0][0]), b01 = both(f.b[0][1]), b02 = both(f.b[0][2]);
  const P2 a01 = both(-f.a[0][0]), a02 = both(-f.a[0][1]);
  const P2 b10 = both(f.b[1][0]), b11 = both(f.b[1][1]), b12 = both(f.b[1][2]);
  const P2 a11 = both(-f.a[1][0]), a12 = both(-f.a[1][1]);
  P2 s00 = pair_of(state.s[0][0]), s01 = pair_of(state.s[0][1]);
  P2 s10 = pair_of(state.s[1][0]), s11 = pair_of(state.s[1][1]);
  P2 sum = pair_of(energy);
  for (size_t i = 0; i < frames; ++i, in += stride) {
    const P2 x = second ? pair_of(in) : pair(static_cast<double>(in[0]), 0);
    const P2 y = mul_add2(b00, x, s00);
    s00 = mul_add2(a01, y, mul_add2(b01, x, s01));
    s01 = mul_add2(a02, y, mul2(b02, x));
    const P2 z = mul_add2(b10, y, s10);
    s10 = mul_add2(a11, z, mul_add2(b11, y, s11));
    s11 = mul_add2(a12, z, mul2(b12, y));
    sum = mul_add2(z, z, sum);
  }
  put(s00, state.s[0][0]);
  put(s01, state.s[0][1]);
  put(s10, state.s[1][0]);
  put(s11, state.s[1][1]);
  put(sum, energy);
}

float interpolated_peak_lanes(const float* x, size_t frames, const PeakFilters& f) {
  F8 most = set(0);
  size_t i = 0;
  if (f.phases == 3) {
    for (; i + 8 <= frames; i += 8) {
      F8 y0 = set(0), y1 = set(0), y2 = set(0);
      for (size_t t = 0; t < f.count; ++t) {
        const F8 v = load(x + i - t);
        y0 = mul_add(v, set(f.taps[0][t]), y0);
        y1 = mul_add(v, set(f.taps[1][t]), y1);
        y2 = mul_add(v, set(f.taps[2][t]), y2);
      }
      most = maximum(most, maximum(maximum(absolute(y0), absolute(y1)), absolute(y2)));
    }
  } else {
    for (; i + 8 <= frames; i += 8) {
      F8 y = set(0);
      for (size_t t = 0; t < f.count; ++t) y = mul_add(load(x + i - t), set(f.taps[0][t]), y);
      most = maximum(most, absolute(y));
    }
  }
  float peak = 0;
  for (; i < frames; ++i) {
    for (size_t p = 0; p < f.phases; ++p) {
      float y = 0;
      for (size_t t = 0; t < f.count; ++t) y += x[i - t] * f.taps[p][t];
      peak = std::fabs(y) > peak ? std::fabs(y) : peak;
    }
  }
  float lanes[8];
  store(most, lanes);
  for (const float l : lanes) peak = l > peak ? l : peak;
  return peak;
}

void split_two_lanes(const float* in, size_t frames, float* left, float* right) {
  size_t i = 0;
#if SM_LANES == SM_LANES_WHOLE
  for (; i + 8 <= frames; i += 8) {
    hn::Vec<D8> l, r;
    hn::LoadInterleaved2(D8(), in + 2 * i, l, r);
    hn::StoreU(l, D8(), left + i);
    hn::StoreU(r, D8(), right + i);
  }
#endif
  for (; i < frames; ++i) {
    left[i] = in[2 * i];
    right[i] = in[2 * i + 1];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(k_weighted_energy_lanes);
HWY_EXPORT(interpolated_peak_lanes);
HWY_EXPORT(split_two_lanes);

void k_weighted_energy(const float* in, size_t stride, bool second, size_t frames,
                       const KWeighting& filter, KState& state, double energy[2]) {
  HWY_DYNAMIC_DISPATCH(k_weighted_energy_lanes)
  (in, stride, second, frames, filter, state, energy);
}

float interpolated_peak(const float* x, size_t frames, const PeakFilters& filters) {
  return HWY_DYNAMIC_DISPATCH(interpolated_peak_lanes)(x, frames, filters);
}

void split_two(const float* interleaved, size_t frames, float* left, float* right) {
  HWY_DYNAMIC_DISPATCH(split_two_lanes)(interleaved, frames, left, right);
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
