#include "audio/feature/pitch.h"

#include <algorithm>
#include <cmath>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/pitch.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

// difference[tau] = sum over i < window of (x[i] - x[i + tau])^2, tau 0..groups * 8 - 1. Eight lags
// side by side, two groups at once so that additions overlap.
void lag_differences(const float* x, size_t window, size_t groups, float* difference) {
  for (size_t g = 0; g < groups; g += 2) {
    const float* y = x + g * 8;
    F8 a = set(0), b = set(0);
    for (size_t i = 0; i < window; ++i) {
      const F8 here = set(x[i]);
      const F8 d = sub(here, load(y + i));
      const F8 e = sub(here, load(y + i + 8));
      a = mul_add(d, d, a);
      b = mul_add(e, e, b);
    }
    store(a, difference + g * 8);
    store(b, difference + g * 8 + 8);
  }
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

// The period in samples of a frame by its differences, or nothing.
std::optional<double> period(std::span<const float> d, size_t tau_min, size_t tau_max,
                             std::vector<double>& normal) {
  double running = 0;
  normal.assign(tau_max + 2, 1);
  for (size_t tau = 1; tau <= tau_max + 1; ++tau) {
    running += d[tau];
    normal[tau] = running > 0 ? d[tau] * static_cast<double>(tau) / running : 1;
  }
  for (size_t tau = tau_min; tau <= tau_max; ++tau) {
    if (normal[tau] < kClear && normal[tau] <= normal[tau - 1] && normal[tau] <= normal[tau + 1]) {
      const double a = normal[tau - 1], b = normal[tau], c = normal[tau + 1];
      const double curve = a - 2 * b + c;
      return static_cast<double>(tau) + (curve > 0 ? 0.5 * (a - c) / curve : 0);
    }
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
    float sum = 0;
    for (size_t i = 0; i < window; ++i) sum += x[at + i] * x[at + i];
    levels.push_back(sum);
    loudest = std::max(loudest, sum);
  }
  if (loudest < 1e-6f * static_cast<float>(window)) return std::nullopt;
  std::vector<size_t> loud;
  for (size_t f = 0; f < levels.size(); ++f)
    if (levels[f] >= 0.02f * loudest) loud.push_back(f);
  const size_t heard = std::min(loud.size(), kFramesHeard);
  const size_t groups = (tau_max + 2 + 15) / 16 * 2;
  x.resize(x.size() + 32, 0);  // whole vectors are read
  std::vector<float> differences(groups * 8);
  std::vector<double> normal;
  std::vector<double> notes;
  for (size_t n = 0; n < heard; ++n) {
    const size_t f = loud[n * loud.size() / heard];
    HWY_DYNAMIC_DISPATCH(lag_differences)(x.data() + f * hop, window, groups, differences.data());
    if (const auto p = period(differences, tau_min, tau_max, normal))
      notes.push_back(12 * std::log2(rate / *p / 440) + 69);
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
