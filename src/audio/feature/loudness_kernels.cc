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
HWY_INLINE P2 twice(float x) {
  return pair(static_cast<double>(x), static_cast<double>(x));
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
HWY_INLINE P2 twice(float x) {
  return {hn::Set(D2(), static_cast<double>(x))};
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

// A second-order section in transposed direct form, its second delay and its output written out in
// the first delay and the input: one fused multiply-add of latency a sample instead of two.
struct Section {
  P2 b0, now_to_next, before_to_next, x_to_next, x_before_to_next;
  P2 now, before, x_before;

  HWY_INLINE Section(const double* b, const double* a, const double s[3][2])
      : b0(pair(b[0], b[0])),
        now_to_next(pair(-a[0], -a[0])),
        before_to_next(pair(-a[1], -a[1])),
        x_to_next(pair(b[1] - a[0] * b[0], b[1] - a[0] * b[0])),
        x_before_to_next(pair(b[2] - a[1] * b[0], b[2] - a[1] * b[0])),
        now(pair_of(s[0])),
        before(pair_of(s[1])),
        x_before(pair_of(s[2])) {}
  HWY_INLINE P2 run(P2 x) {
    const P2 y = mul_add2(b0, x, now);
    const P2 late =
        mul_add2(before_to_next, before, mul_add2(x_before_to_next, x_before, mul2(x_to_next, x)));
    before = now;
    now = mul_add2(now_to_next, now, late);
    x_before = x;
    return y;
  }
  HWY_INLINE void keep(double s[3][2]) const {
    put(now, s[0]);
    put(before, s[1]);
    put(x_before, s[2]);
  }
};

// In double: the high-pass at 38 Hz lies near the unit circle.
void k_weighted_energy_lanes(const float* in, size_t stride, bool second, size_t frames,
                             const KWeighting& f, KState& state, double* energy) {
  Section shelf(f.b[0], f.a[0], state.s[0]), high_pass(f.b[1], f.a[1], state.s[1]);
  P2 sum = pair_of(energy);
  const auto take = [&](P2 x) HWY_ATTR {
    const P2 z = high_pass.run(shelf.run(x));
    sum = mul_add2(z, z, sum);
  };
  if (second) {
    for (size_t i = 0; i < frames; ++i, in += stride) take(pair_of(in));
  } else {
    for (size_t i = 0; i < frames; ++i, in += stride) take(twice(in[0]));
  }
  shelf.keep(state.s[0]);
  high_pass.keep(state.s[1]);
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
