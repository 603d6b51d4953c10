#include "audio/feature/pitch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "audio/dsp/loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/pitch.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

// difference[l] = sum over i < window of (x[i] - y[i + l])^2, l 0..63. Eight lags side by side,
// eight groups at once so that additions overlap.
void lag_differences(const float* x, const float* y, size_t window, float* difference) {
  constexpr size_t kGroups = 8;
  F8 sum[kGroups];
  for (F8& s : sum) s = set(0);
  for (size_t i = 0; i < window; ++i) {
    const F8 here = set(x[i]);
    for (size_t g = 0; g < kGroups; ++g) {
      const F8 d = sub(here, load(y + i + 8 * g));
      sum[g] = mul_add(d, d, sum[g]);
    }
  }
  for (size_t g = 0; g < kGroups; ++g) store(sum[g], difference + 8 * g);
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(lag_differences);

namespace {
constexpr double kLowHz = 30;
constexpr double kHighHz = 2200;
constexpr double kClear = 0.15;      // YIN's absolute threshold
constexpr size_t kFramesHeard = 40;  // spread over the loud part: more do not move the median

constexpr size_t kLagsAtOnce = 64;

// The period in samples of the frame at x, or nothing: the first lag at which YIN's normalised
// difference has a low minimum. Lags beyond it are not looked at.
std::optional<double> period(const float* x, size_t window, size_t tau_min, size_t tau_max) {
  std::array<float, kLagsAtOnce> difference;
  double running = 0;
  double a = 1, b = 1;  // at tau - 2 and tau - 1
  for (size_t tau = 0; tau <= tau_max + 1; ++tau) {
    const size_t l = tau % kLagsAtOnce;
    if (l == 0) HWY_DYNAMIC_DISPATCH(lag_differences)(x, x + tau, window, difference.data());
    if (tau == 0) continue;
    running += difference[l];
    const double c = running > 0 ? difference[l] * static_cast<double>(tau) / running : 1;
    if (tau > tau_min && b < kClear && b <= a && b <= c) {
      const double curve = a - 2 * b + c;
      return static_cast<double>(tau - 1) + (curve > 0 ? 0.5 * (a - c) / curve : 0);
    }
    a = b;
    b = c;
  }
  return std::nullopt;
}
}  // namespace

std::optional<double> find_note(std::span<const float> mono, int rate_hz) {
  // 11 kHz is enough for the fundamentals looked for, and four times quicker.
  const size_t step = std::max(1, rate_hz / 11025);
  std::vector<float> x;
  x.reserve(std::min<size_t>(mono.size() / step, 11025 * 3) + 64);
  for (size_t i = 0; i + step <= mono.size() && x.size() < 11025 * 3; i += step) {
    float sum = 0;
    for (size_t k = 0; k < step; ++k) sum += mono[i + k];
    x.push_back(sum / static_cast<float>(step));
  }
  const double rate = static_cast<double>(rate_hz) / static_cast<double>(step);
  const auto tau_max = static_cast<size_t>(rate / kLowHz);
  const auto tau_min = std::max<size_t>(2, static_cast<size_t>(rate / kHighHz));
  const size_t window = tau_max;
  const size_t need = window + tau_max + 2;
  const size_t hop = window / 2;
  if (x.size() < need) return std::nullopt;
  float loudest = 0;
  std::vector<float> levels;
  for (size_t at = 0; at + need <= x.size(); at += hop) {
    levels.push_back(static_cast<float>(sum_of_squares(x.data() + at, window)));
    loudest = std::max(loudest, levels.back());
  }
  if (loudest < 1e-6f * static_cast<float>(window)) return std::nullopt;
  std::vector<size_t> loud;
  for (size_t f = 0; f < levels.size(); ++f)
    if (levels[f] >= 0.02f * loudest) loud.push_back(f);
  const size_t heard = std::min(loud.size(), kFramesHeard);
  x.resize(x.size() + kLagsAtOnce, 0);  // whole vectors are read
  std::vector<double> notes;
  for (size_t n = 0; n < heard; ++n) {
    const size_t f = loud[n * loud.size() / heard];
    if (const auto p = period(x.data() + f * hop, window, tau_min, tau_max))
      notes.push_back(12 * std::log2(rate / *p / 440) + 69);
    // Half of the frames without a period settle it: most drums end here.
    if ((n + 1 - notes.size()) * 2 > heard) return std::nullopt;
  }
  if (notes.size() < 2 || notes.size() * 2 < heard) return std::nullopt;
  std::nth_element(notes.begin(), notes.begin() + static_cast<ptrdiff_t>(notes.size() / 2),
                   notes.end());
  const double median = notes[notes.size() / 2];
  // One note: most frames agree. A glide (a kick's, a siren's) has no note.
  const auto near = std::count_if(notes.begin(), notes.end(),
                                  [&](double n) { return std::abs(n - median) < 0.6; });
  if (static_cast<size_t>(near) * 10 < notes.size() * 7) return std::nullopt;
  return median;
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
