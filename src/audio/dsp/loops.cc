#include "audio/dsp/loops.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/dsp/loops.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

constexpr size_t kRun = 256 * 8;  // values before a sum in single precision is handed on

HWY_INLINE double total(F8 v) {
  float lanes[8];
  store(v, lanes);
  double sum = 0;
  for (const float l : lanes) sum += static_cast<double>(l);
  return sum;
}
HWY_INLINE float most_of(F8 v) {
  float lanes[8];
  store(v, lanes);
  float most = 0;
  for (const float l : lanes) most = l > most ? l : most;
  return most;
}

float largest_lanes(const float* x, size_t n) {
  F8 a = set(0), b = set(0);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    a = maximum(a, absolute(load(x + i)));
    b = maximum(b, absolute(load(x + i + 8)));
  }
  float most = most_of(maximum(a, b));
  for (; i < n; ++i) most = std::fabs(x[i]) > most ? std::fabs(x[i]) : most;
  return most;
}

double squares_lanes(const float* x, size_t n) {
  double sum = 0;
  size_t i = 0;
  while (i + 16 <= n) {
    const size_t end = i + kRun < n ? i + kRun : n;
    F8 a = set(0), b = set(0);
    for (; i + 16 <= end; i += 16) {
      const F8 u = load(x + i), v = load(x + i + 8);
      a = mul_add(u, u, a);
      b = mul_add(v, v, b);
    }
    sum += total(add(a, b));
  }
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

double sum_lanes(const float* x, size_t n) {
  double sum = 0;
  size_t i = 0;
  while (i + 16 <= n) {
    const size_t end = i + kRun < n ? i + kRun : n;
    F8 a = set(0), b = set(0);
    for (; i + 16 <= end; i += 16) {
      a = add(a, load(x + i));
      b = add(b, load(x + i + 8));
    }
    sum += total(add(a, b));
  }
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// Left and right of eight interleaved frames.
HWY_INLINE void split(const float* p, F8& left, F8& right) {
#if SM_LANES == SM_LANES_WHOLE
  hn::LoadInterleaved2(D8(), p, left.v, right.v);
#elif SM_LANES == SM_LANES_PAIR
  hn::LoadInterleaved2(D4(), p, left.lo, right.lo);
  hn::LoadInterleaved2(D4(), p + 8, left.hi, right.hi);
#else
  for (int l = 0; l < 8; ++l) {
    left.v[l] = p[2 * l];
    right.v[l] = p[2 * l + 1];
  }
#endif
}

// `eight` gives eight mixed values from one index on, `one` a single one.
template <typename Eight, typename One>
HWY_INLINE float mix_lanes(size_t n, float least, float* out, const Eight& eight, const One& one) {
  const F8 zero = set(0), audible = set(least), top = set(16), bottom = set(-16);
  F8 most = zero;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    F8 mid = minimum(maximum(eight(i), bottom), top);
    const F8 size = absolute(mid);
    mid = select_ge(size, audible, mid, zero);
    most = maximum(most, size);
    store(mid, out + i);
  }
  float peak = most_of(most);
  for (; i < n; ++i) {
    float mid = one(i);
    mid = mid < -16 ? -16 : mid > 16 ? 16 : mid;
    const float size = std::fabs(mid);
    out[i] = size >= least ? mid : 0;
    peak = size > peak ? size : peak;
  }
  return peak;
}

float mix_two_lanes(const float* in, size_t n, float* out) {
  const F8 half = set(0.5f);
  return mix_lanes(
      n, 5e-16f, out,
      [&](size_t i) HWY_ATTR {
        F8 left, right;
        split(in + 2 * i, left, right);
        return mul(add(left, right), half);
      },
      [&](size_t i) { return (in[2 * i] + in[2 * i + 1]) * 0.5f; });
}

float mix_one_lanes(const float* in, size_t n, float* out) {
  return mix_lanes(
      n, 1e-15f, out, [&](size_t i) HWY_ATTR { return load(in + i); },
      [&](size_t i) { return in[i]; });
}

void stereo_lanes(const float* in, size_t n, StereoSums& sums) {
  size_t i = 0;
  while (i + 8 <= n) {
    const size_t end = i + kRun < n ? i + kRun : n;
    F8 ll = set(0), rr = set(0), lr = set(0);
    for (; i + 8 <= end; i += 8) {
      F8 left, right;
      split(in + 2 * i, left, right);
      ll = mul_add(left, left, ll);
      rr = mul_add(right, right, rr);
      lr = mul_add(left, right, lr);
    }
    sums.ll += total(ll);
    sums.rr += total(rr);
    sums.lr += total(lr);
  }
  for (; i < n; ++i) {
    const double l = static_cast<double>(in[2 * i]), r = static_cast<double>(in[2 * i + 1]);
    sums.ll += l * l;
    sums.rr += r * r;
    sums.lr += l * r;
  }
}

void add_two_lanes(const float* in, size_t n, double& left_sum, double& right_sum) {
  size_t i = 0;
  while (i + 8 <= n) {
    const size_t end = i + kRun < n ? i + kRun : n;
    F8 ls = set(0), rs = set(0);
    for (; i + 8 <= end; i += 8) {
      F8 left, right;
      split(in + 2 * i, left, right);
      ls = add(ls, left);
      rs = add(rs, right);
    }
    left_sum += total(ls);
    right_sum += total(rs);
  }
  for (; i < n; ++i) {
    left_sum += static_cast<double>(in[2 * i]);
    right_sum += static_cast<double>(in[2 * i + 1]);
  }
}

size_t sign_changes_lanes(const float* x, size_t n) {
  const F8 zero = set(0), one = set(1);
  F8 count = zero;
  size_t i = 0;
  size_t changes = 0;
  for (; i + 8 <= n; i += 8) {
    const F8 now = select_ge(load(x + i), zero, one, zero);
    const F8 before = select_ge(load(x + i - 1), zero, one, zero);
    count = add(count, absolute(sub(now, before)));
  }
  changes += static_cast<size_t>(total(count));
  for (; i < n; ++i) changes += (x[i] >= 0) != (x[i - 1] >= 0) ? 1 : 0;
  return changes;
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(largest_lanes);
HWY_EXPORT(squares_lanes);
HWY_EXPORT(sum_lanes);
HWY_EXPORT(mix_one_lanes);
HWY_EXPORT(mix_two_lanes);
HWY_EXPORT(stereo_lanes);
HWY_EXPORT(add_two_lanes);
HWY_EXPORT(sign_changes_lanes);

float largest(const float* x, size_t n) {
  return HWY_DYNAMIC_DISPATCH(largest_lanes)(x, n);
}
double sum_of_squares(const float* x, size_t n) {
  return HWY_DYNAMIC_DISPATCH(squares_lanes)(x, n);
}
double sum(const float* x, size_t n) {
  return HWY_DYNAMIC_DISPATCH(sum_lanes)(x, n);
}
float mix_two(const float* interleaved, size_t n, float* out) {
  return HWY_DYNAMIC_DISPATCH(mix_two_lanes)(interleaved, n, out);
}
float mix_one(const float* in, size_t n, float* out) {
  return HWY_DYNAMIC_DISPATCH(mix_one_lanes)(in, n, out);
}
void add_stereo(const float* interleaved, size_t n, StereoSums& sums) {
  HWY_DYNAMIC_DISPATCH(stereo_lanes)(interleaved, n, sums);
}
void add_two(const float* interleaved, size_t n, double& left, double& right) {
  HWY_DYNAMIC_DISPATCH(add_two_lanes)(interleaved, n, left, right);
}
size_t sign_changes(const float* x, size_t n) {
  return HWY_DYNAMIC_DISPATCH(sign_changes_lanes)(x, n);
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
