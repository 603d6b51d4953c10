#include <cmath>

#include "audio/feature/spectrum_kernels_internal.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/spectrum_kernels.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

// Mean of the `n` largest and of the `n` smallest of bins first..end, by insertion into sorted
// lists of vectors: no branches, all lanes at once.
HWY_INLINE void extremes(const float* m, size_t first, size_t end, size_t n, F8& high, F8& low) {
  F8 top[16], bottom[16];
  for (size_t i = 0; i < n; ++i) {
    top[i] = set(0);
    bottom[i] = set(3.0e38f);
  }
  for (size_t k = first; k < end; ++k) {
    F8 up = load(m + k * 8);
    F8 down = up;
    for (size_t i = 0; i < n; ++i) {
      const F8 t = maximum(top[i], up);
      up = minimum(top[i], up);
      top[i] = t;
      const F8 b = minimum(bottom[i], down);
      down = maximum(bottom[i], down);
      bottom[i] = b;
    }
  }
  high = low = set(0);
  for (size_t i = 0; i < n; ++i) {
    high = add(high, top[i]);
    low = add(low, bottom[i]);
  }
  const F8 share = set(1.0f / static_cast<float>(n));
  high = mul(high, share);
  low = mul(low, share);
}

void shapes_lanes(const float* m, size_t bins, const ContrastBand* bands, SpectrumShapes& out) {
  const F8 zero = set(0), one = set(1);
  F8 sum = zero, moment = zero, logs = zero, power = zero;
  const F8 least = set(1e-10f);
  for (size_t k = 0; k < bins; ++k) {
    const F8 x = load(m + k * 8);
    sum = add(sum, x);
    moment = mul_add(x, set(static_cast<float>(k)), moment);
    const F8 p = maximum(mul(x, x), least);
    power = add(power, p);
    logs = add(logs, logarithm(p));
  }
  const F8 safe = maximum(sum, set(1e-20f));
  const F8 centroid = divide(moment, safe);
  const F8 wanted = mul(sum, set(0.85f));
  F8 squares = zero, running = zero, below = zero;
  for (size_t k = 0; k < bins; ++k) {
    const F8 x = load(m + k * 8);
    const F8 off = sub(set(static_cast<float>(k)), centroid);
    squares = mul_add(x, mul(off, off), squares);
    running = add(running, x);
    below = add(below, select_ge(running, wanted, zero, one));
  }
  store(centroid, out.centroid);
  store(square_root(divide(squares, safe)), out.bandwidth);
  store(minimum(below, set(static_cast<float>(bins - 1))), out.rolloff);
  const float share = 1.0f / static_cast<float>(bins);
  F8 mean_log = mul(logs, set(share));
  const F8 mean_power = mul(power, set(share));
  float geometric[8], arithmetic[8];
  store(mean_log, geometric);
  store(mean_power, arithmetic);
  for (int l = 0; l < 8; ++l) out.flatness[l] = std::exp(geometric[l]) / arithmetic[l];
  for (size_t b = 0; b < kContrastBands; ++b) {
    F8 high, low;
    extremes(m, bands[b].first, bands[b].end, bands[b].extremes, high, low);
    const F8 ten = set(4.3429448f);
    store(mul(ten, sub(logarithm(maximum(high, least)), logarithm(maximum(low, least)))),
          out.contrast_db[b]);
  }
}

void bands_lanes(const float* m, const WeightedBand* bands, const float* weights, size_t count,
                 float* out) {
  const F8 least = set(1e-10f), ten = set(4.3429448f);
  for (size_t b = 0; b < count; ++b) {
    F8 sum = set(0);
    const float* x = m + bands[b].first * 8;
    for (size_t i = 0; i < bands[b].count; ++i, x += 8) {
      const F8 v = load(x);
      sum = mul_add(mul(v, v), set(*weights++), sum);
    }
    store(mul(ten, logarithm(maximum(sum, least))), out + b * 8);
  }
}

void matrix_lanes(const float* matrix, size_t rows, size_t columns, const float* in, float* out) {
  for (size_t r = 0; r < rows; ++r) {
    F8 a = set(0), b = set(0);
    const float* w = matrix + r * columns;
    size_t c = 0;
    for (; c + 2 <= columns; c += 2) {
      a = mul_add(set(w[c]), load(in + c * 8), a);
      b = mul_add(set(w[c + 1]), load(in + (c + 1) * 8), b);
    }
    if (c < columns) a = mul_add(set(w[c]), load(in + c * 8), a);
    store(add(a, b), out + r * 8);
  }
}

void twelve_lanes(const float* m, size_t bins, const float* weights, float* out) {
  F8 sum[12];
  for (F8& s : sum) s = set(0);
  for (size_t k = 0; k < bins; ++k, weights += 12) {
    const F8 x = load(m + k * 8);
    const F8 p = mul(x, x);
    for (size_t r = 0; r < 12; ++r) sum[r] = mul_add(p, set(weights[r]), sum[r]);
  }
  for (size_t r = 0; r < 12; ++r) store(sum[r], out + r * 8);
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(shapes_lanes);
HWY_EXPORT(bands_lanes);
HWY_EXPORT(matrix_lanes);
HWY_EXPORT(twelve_lanes);

void spectrum_shapes(const float* magnitude, size_t bins, const ContrastBand* bands,
                     SpectrumShapes& out) {
  HWY_DYNAMIC_DISPATCH(shapes_lanes)(magnitude, bins, bands, out);
}
void band_levels_db(const float* magnitude, const WeightedBand* bands, const float* weights,
                    size_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(bands_lanes)(magnitude, bands, weights, count, out);
}
void matrix_times(const float* matrix, size_t rows, size_t columns, const float* in, float* out) {
  HWY_DYNAMIC_DISPATCH(matrix_lanes)(matrix, rows, columns, in, out);
}
void twelve_sums(const float* magnitude, size_t bins, const float* weights, float* out) {
  HWY_DYNAMIC_DISPATCH(twelve_lanes)(magnitude, bins, weights, out);
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
