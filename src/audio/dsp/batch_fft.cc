#include "audio/dsp/batch_fft.h"

#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <numbers>

#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/dsp/batch_fft.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

constexpr size_t kElement = 2 * 8;  // floats of a complex value of eight lanes: re, then im

struct Complex8 {
  F8 re, im;
};
HWY_INLINE Complex8 load_complex(const float* p) {
  return {load(p), load(p + 8)};
}
HWY_INLINE void store_complex(Complex8 z, float* p) {
  store(z.re, p);
  store(z.im, p + 8);
}
HWY_INLINE Complex8 times(Complex8 z, F8 re, F8 im) {
  return {neg_mul_add(z.im, im, mul(z.re, re)), mul_add(z.im, re, mul(z.re, im))};
}
HWY_INLINE Complex8 plus(Complex8 a, Complex8 b) {
  return {add(a.re, b.re), add(a.im, b.im)};
}
HWY_INLINE Complex8 minus(Complex8 a, Complex8 b) {
  return {sub(a.re, b.re), sub(a.im, b.im)};
}

// Windows the frames and lays them out as complex values (even samples real, odd imaginary) in
// bit-reversed order.
void frame_in(const float* samples, size_t hop, const float* window, const uint32_t* order,
              size_t size, float* work) {
  for (size_t n = 0; n < size; n += 4) {
    F8 s[4];
    load_turned(samples + n, hop, s);
    float* first = work + order[n / 2] * kElement;
    float* second = work + order[n / 2 + 1] * kElement;
    store(mul(s[0], set(window[n])), first);
    store(mul(s[1], set(window[n + 1])), first + 8);
    store(mul(s[2], set(window[n + 2])), second);
    store(mul(s[3], set(window[n + 3])), second + 8);
  }
}

void stage_of_two(float* work, size_t half) {
  for (size_t i = 0; i < half; i += 2) {
    float* p = work + i * kElement;
    const Complex8 a = load_complex(p);
    const Complex8 b = load_complex(p + kElement);
    store_complex(plus(a, b), p);
    store_complex(minus(a, b), p + kElement);
  }
}

// Two stages of two in one pass over the data; `length` is the size of the transforms it joins.
void stage_of_four(float* work, size_t half, size_t length, const float* twiddles) {
  const size_t step = length * kElement;
  for (size_t block = 0; block < half; block += 4 * length) {
    float* p = work + block * kElement;
    const float* w = twiddles;
    for (size_t k = 0; k < length; ++k, p += kElement, w += 6) {
      const Complex8 x0 = load_complex(p);
      const Complex8 x1 = times(load_complex(p + step), set(w[0]), set(w[1]));
      const Complex8 x2 = times(load_complex(p + 2 * step), set(w[2]), set(w[3]));
      const Complex8 x3 = times(load_complex(p + 3 * step), set(w[4]), set(w[5]));
      const Complex8 a = plus(x0, x1), b = minus(x0, x1);
      const Complex8 c = plus(x2, x3), d = minus(x2, x3);
      store_complex(plus(a, c), p);
      store_complex({add(b.re, d.im), sub(b.im, d.re)}, p + step);  // b - i d
      store_complex(minus(a, c), p + 2 * step);
      store_complex({sub(b.re, d.im), add(b.im, d.re)}, p + 3 * step);
    }
  }
}

HWY_INLINE F8 length_of(F8 re, F8 im) {
  return square_root(mul_add(re, re, mul(im, im)));
}

// Spectra of the real frames from the half-size complex one, and their magnitudes.
void magnitude_out(const float* work, size_t half, const float* split, float* magnitude) {
  const F8 two = set(2);
  const Complex8 zero = load_complex(work);
  store(mul(two, absolute(add(zero.re, zero.im))), magnitude);
  store(mul(two, absolute(sub(zero.re, zero.im))), magnitude + half * 8);
  for (size_t k = 1; k < half / 2; ++k) {
    const Complex8 a = load_complex(work + k * kElement);
    const Complex8 b = load_complex(work + (half - k) * kElement);
    const Complex8 even{add(a.re, b.re), sub(a.im, b.im)};
    const Complex8 odd{add(a.im, b.im), sub(b.re, a.re)};
    const Complex8 t = times(odd, set(split[2 * k]), set(split[2 * k + 1]));
    store(length_of(add(even.re, t.re), add(even.im, t.im)), magnitude + k * 8);
    store(length_of(sub(even.re, t.re), sub(even.im, t.im)), magnitude + (half - k) * 8);
  }
  const Complex8 middle = load_complex(work + half / 2 * kElement);
  store(mul(two, length_of(middle.re, middle.im)), magnitude + half / 2 * 8);
}

void batch_magnitudes(const float* samples, size_t hop, const float* window, const uint32_t* order,
                      const float* twiddles, const float* split, size_t size, float* work,
                      float* magnitude) {
  const size_t half = size / 2;
  frame_in(samples, hop, window, order, size, work);
  size_t length = 1;
  // An odd number of stages begins with one of two.
  for (size_t n = half; n > 1; n /= 4) {
    if (n == 2) {
      stage_of_two(work, half);
      length = 2;
    }
  }
  for (; length < half; twiddles += 6 * length, length *= 4)
    stage_of_four(work, half, length, twiddles);
  magnitude_out(work, half, split, magnitude);
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(batch_magnitudes);

namespace {
double window_value(Window window, size_t i, size_t size) {
  const double x = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(size);
  switch (window) {
    case Window::kHann:
      return 0.5 - 0.5 * std::cos(x);
    case Window::kBlackmanHarris:
      return 0.35875 - 0.48829 * std::cos(x) + 0.14128 * std::cos(2 * x) -
             0.01168 * std::cos(3 * x);
  }
  return 0;
}

void append_turn(std::vector<float>& to, double part) {
  const double angle = -2 * std::numbers::pi * part;
  to.push_back(static_cast<float>(std::cos(angle)));
  to.push_back(static_cast<float>(std::sin(angle)));
}
}  // namespace

BatchFft::BatchFft(size_t size, Window window) : size_(size) {
  SM_ASSERT(size >= 16 && size <= 65536 && (size & (size - 1)) == 0);
  const size_t half = size / 2;
  for (size_t i = 0; i < size; ++i)
    window_.push_back(static_cast<float>(0.5 * window_value(window, i, size)));
  order_.resize(half);
  for (size_t i = 1, j = 0; i < half; ++i) {
    size_t bit = half / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    order_[i] = static_cast<uint32_t>(j);
  }
  size_t stages = 0;
  while ((size_t{1} << stages) < half) ++stages;
  for (size_t length = stages % 2 == 1 ? 2 : 1; length < half; length *= 4) {
    for (size_t k = 0; k < length; ++k) {
      const double turn = static_cast<double>(k) / static_cast<double>(4 * length);
      append_turn(twiddles_, 2 * turn);
      append_turn(twiddles_, turn);
      append_turn(twiddles_, 3 * turn);
    }
  }
  for (size_t k = 0; k <= half / 2; ++k)
    append_turn(split_, static_cast<double>(k) / static_cast<double>(size));
}

const BatchFft& BatchFft::of(size_t size, Window window) {
  static std::mutex mutex;
  static auto* plans = new std::map<std::pair<size_t, Window>, std::unique_ptr<const BatchFft>>();
  const std::lock_guard lock(mutex);
  auto& plan = (*plans)[{size, window}];
  if (!plan) plan.reset(new BatchFft(size, window));
  return *plan;
}

void BatchFft::magnitudes(const float* samples, size_t hop, float* work, float* magnitude) const {
  HWY_DYNAMIC_DISPATCH(batch_magnitudes)
  (samples, hop, window_.data(), order_.data(), twiddles_.data(), split_.data(), size_, work,
   magnitude);
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
