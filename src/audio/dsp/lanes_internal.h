// F8: eight floats, whatever the processor's vectors hold (one AVX2 vector, two
// of 128 bits, or plain C++).
// Vector code of this folder is written with it once; each lane sees the same operations in the
// same order on every target but for fused multiply-adds. Per-target include guard as Highway asks.
#if defined(SAMPLEMIND_AUDIO_DSP_LANES_INTERNAL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef SAMPLEMIND_AUDIO_DSP_LANES_INTERNAL_H
#undef SAMPLEMIND_AUDIO_DSP_LANES_INTERNAL_H
#else
#define SAMPLEMIND_AUDIO_DSP_LANES_INTERNAL_H
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#define SM_LANES_PLAIN 0
#define SM_LANES_PAIR 1
#define SM_LANES_WHOLE 2
#undef SM_LANES
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
#define SM_LANES SM_LANES_PLAIN
#elif HWY_MAX_BYTES >= 32
#define SM_LANES SM_LANES_WHOLE
#else
#define SM_LANES SM_LANES_PAIR
#endif

#if SM_LANES != SM_LANES_PLAIN
using D4 = hn::FixedTag<float, 4>;
using V4 = hn::Vec<D4>;
#endif

#if SM_LANES == SM_LANES_WHOLE
using D8 = hn::FixedTag<float, 8>;
struct F8 {
  hn::Vec<D8> v;
};
#define SM_F8_UNARY(name, expression) \
  HWY_INLINE F8 name(F8 x) {          \
    const auto a = x.v;               \
    return {expression};              \
  }
#define SM_F8_BINARY(name, expression) \
  HWY_INLINE F8 name(F8 x, F8 y) {     \
    const auto a = x.v;                \
    const auto b = y.v;                \
    return {expression};               \
  }
HWY_INLINE F8 load(const float* p) {
  return {hn::LoadU(D8(), p)};
}
HWY_INLINE void store(F8 x, float* p) {
  hn::StoreU(x.v, D8(), p);
}
HWY_INLINE F8 load(const int8_t* p) {
  const auto wide = hn::PromoteTo(hn::RebindToSigned<D8>(), hn::LoadU(hn::Rebind<int8_t, D8>(), p));
  return {hn::ConvertTo(D8(), wide)};
}
HWY_INLINE F8 set(float x) {
  return {hn::Set(D8(), x)};
}
// a * b + c
HWY_INLINE F8 mul_add(F8 a, F8 b, F8 c) {
  return {hn::MulAdd(a.v, b.v, c.v)};
}
// c - a * b
HWY_INLINE F8 neg_mul_add(F8 a, F8 b, F8 c) {
  return {hn::NegMulAdd(a.v, b.v, c.v)};
}
// Per lane: test >= bound ? yes : no
HWY_INLINE F8 select_ge(F8 test, F8 bound, F8 yes, F8 no) {
  return {hn::IfThenElse(hn::Ge(test.v, bound.v), yes.v, no.v)};
}
#elif SM_LANES == SM_LANES_PAIR
struct F8 {
  V4 lo, hi;
};
#define SM_F8_UNARY(name, expression)              \
  HWY_INLINE V4 name##_half(V4 a) {                \
    return expression;                             \
  }                                                \
  HWY_INLINE F8 name(F8 x) {                       \
    return {name##_half(x.lo), name##_half(x.hi)}; \
  }
#define SM_F8_BINARY(name, expression)                         \
  HWY_INLINE V4 name##_half(V4 a, V4 b) {                      \
    return expression;                                         \
  }                                                            \
  HWY_INLINE F8 name(F8 x, F8 y) {                             \
    return {name##_half(x.lo, y.lo), name##_half(x.hi, y.hi)}; \
  }
HWY_INLINE F8 load(const float* p) {
  return {hn::LoadU(D4(), p), hn::LoadU(D4(), p + 4)};
}
HWY_INLINE void store(F8 x, float* p) {
  hn::StoreU(x.lo, D4(), p);
  hn::StoreU(x.hi, D4(), p + 4);
}
HWY_INLINE F8 load(const int8_t* p) {
  const auto half = [](const int8_t* q) HWY_ATTR {
    const auto wide =
        hn::PromoteTo(hn::RebindToSigned<D4>(), hn::LoadU(hn::Rebind<int8_t, D4>(), q));
    return hn::ConvertTo(D4(), wide);
  };
  return {half(p), half(p + 4)};
}
HWY_INLINE F8 set(float x) {
  return {hn::Set(D4(), x), hn::Set(D4(), x)};
}
HWY_INLINE F8 mul_add(F8 a, F8 b, F8 c) {
  return {hn::MulAdd(a.lo, b.lo, c.lo), hn::MulAdd(a.hi, b.hi, c.hi)};
}
HWY_INLINE F8 neg_mul_add(F8 a, F8 b, F8 c) {
  return {hn::NegMulAdd(a.lo, b.lo, c.lo), hn::NegMulAdd(a.hi, b.hi, c.hi)};
}
HWY_INLINE F8 select_ge(F8 test, F8 bound, F8 yes, F8 no) {
  return {hn::IfThenElse(hn::Ge(test.lo, bound.lo), yes.lo, no.lo),
          hn::IfThenElse(hn::Ge(test.hi, bound.hi), yes.hi, no.hi)};
}
#else
struct F8 {
  float v[8];
};
template <class F>
HWY_INLINE F8 each(F f) {
  F8 r;
  for (int l = 0; l < 8; ++l) r.v[l] = f(l);
  return r;
}
HWY_INLINE F8 load(const float* p) {
  return each([&](int l) { return p[l]; });
}
HWY_INLINE F8 load(const int8_t* p) {
  return each([&](int l) { return static_cast<float>(p[l]); });
}
HWY_INLINE void store(F8 x, float* p) {
  for (int l = 0; l < 8; ++l) p[l] = x.v[l];
}
HWY_INLINE F8 set(float x) {
  return each([&](int) { return x; });
}
HWY_INLINE F8 mul_add(F8 a, F8 b, F8 c) {
  return each([&](int l) { return a.v[l] * b.v[l] + c.v[l]; });
}
HWY_INLINE F8 neg_mul_add(F8 a, F8 b, F8 c) {
  return each([&](int l) { return c.v[l] - a.v[l] * b.v[l]; });
}
HWY_INLINE F8 select_ge(F8 test, F8 bound, F8 yes, F8 no) {
  return each([&](int l) { return test.v[l] >= bound.v[l] ? yes.v[l] : no.v[l]; });
}
HWY_INLINE F8 add(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] + b.v[l]; });
}
HWY_INLINE F8 sub(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] - b.v[l]; });
}
HWY_INLINE F8 mul(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] * b.v[l]; });
}
HWY_INLINE F8 divide(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] / b.v[l]; });
}
HWY_INLINE F8 logarithm(F8 a) {
  return each([&](int l) { return std::log(a.v[l]); });
}
HWY_INLINE F8 minimum(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] < b.v[l] ? a.v[l] : b.v[l]; });
}
HWY_INLINE F8 maximum(F8 a, F8 b) {
  return each([&](int l) { return a.v[l] > b.v[l] ? a.v[l] : b.v[l]; });
}
HWY_INLINE F8 square_root(F8 a) {
  return each([&](int l) { return __builtin_sqrtf(a.v[l]); });
}
HWY_INLINE F8 absolute(F8 a) {
  return each([&](int l) { return __builtin_fabsf(a.v[l]); });
}
#endif

#if SM_LANES != SM_LANES_PLAIN
SM_F8_BINARY(add, hn::Add(a, b))
SM_F8_BINARY(sub, hn::Sub(a, b))
SM_F8_BINARY(mul, hn::Mul(a, b))
SM_F8_BINARY(divide, hn::Div(a, b))
SM_F8_BINARY(minimum, hn::Min(a, b))
SM_F8_BINARY(maximum, hn::Max(a, b))
SM_F8_UNARY(square_root, hn::Sqrt(a))
SM_F8_UNARY(absolute, hn::Abs(a))
#undef SM_F8_UNARY
#undef SM_F8_BINARY
// Natural; REQUIRES: x > 0.
HWY_INLINE F8 logarithm(F8 x) {
#if SM_LANES == SM_LANES_WHOLE
  return {hn::Log(D8(), x.v)};
#else
  return {hn::Log(D4(), x.lo), hn::Log(D4(), x.hi)};
#endif
}
#endif

// Four samples from each of eight rows, `stride` floats apart, turned so that out[j] holds sample j
// of all rows.
HWY_INLINE void load_turned(const float* p, size_t stride, F8 out[4]) {
#if SM_LANES == SM_LANES_WHOLE
  const D8 d;
  const auto row = [&](size_t r) HWY_ATTR {
    return hn::Combine(d, hn::LoadU(D4(), p + (r + 4) * stride), hn::LoadU(D4(), p + r * stride));
  };
  const auto r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
  const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);
  const auto c = hn::InterleaveUpper(d, r0, r2), e = hn::InterleaveUpper(d, r1, r3);
  out[0].v = hn::InterleaveLower(d, a, b);
  out[1].v = hn::InterleaveUpper(d, a, b);
  out[2].v = hn::InterleaveLower(d, c, e);
  out[3].v = hn::InterleaveUpper(d, c, e);
#elif SM_LANES == SM_LANES_PAIR
  const D4 d;
  const auto turn = [&](const float* q, V4& o0, V4& o1, V4& o2, V4& o3) HWY_ATTR {
    const auto r0 = hn::LoadU(d, q), r1 = hn::LoadU(d, q + stride),
               r2 = hn::LoadU(d, q + 2 * stride), r3 = hn::LoadU(d, q + 3 * stride);
    const auto a = hn::InterleaveLower(d, r0, r2), b = hn::InterleaveLower(d, r1, r3);
    const auto c = hn::InterleaveUpper(d, r0, r2), e = hn::InterleaveUpper(d, r1, r3);
    o0 = hn::InterleaveLower(d, a, b);
    o1 = hn::InterleaveUpper(d, a, b);
    o2 = hn::InterleaveLower(d, c, e);
    o3 = hn::InterleaveUpper(d, c, e);
  };
  turn(p, out[0].lo, out[1].lo, out[2].lo, out[3].lo);
  turn(p + 4 * stride, out[0].hi, out[1].hi, out[2].hi, out[3].hi);
#else
  for (size_t j = 0; j < 4; ++j)
    out[j] = each([&](int l) { return p[static_cast<size_t>(l) * stride + j]; });
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
