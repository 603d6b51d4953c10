#include "audio/feature/pitch.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace samplemind::audio {

namespace {
constexpr double kLowHz = 30;
constexpr double kHighHz = 2200;
constexpr double kClear = 0.15;  // YIN's absolute threshold

// The period in samples at `frame`, or nothing.
std::optional<double> period(std::span<const float> x, size_t window, size_t tau_min,
                             size_t tau_max) {
  std::vector<double> d(tau_max + 2, 0);
  for (size_t tau = 1; tau <= tau_max + 1; ++tau) {
    float sum = 0;
    for (size_t i = 0; i < window; ++i) {
      const float diff = x[i] - x[i + tau];
      sum += diff * diff;
    }
    d[tau] = sum;
  }
  double running = 0;
  std::vector<double> normal(tau_max + 2, 1);
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
  std::vector<double> notes;
  size_t loud = 0;
  for (size_t f = 0; f < levels.size(); ++f) {
    if (levels[f] < 0.02f * loudest) continue;
    ++loud;
    if (const auto p =
            period(std::span<const float>(x).subspan(f * hop), window, tau_min, tau_max)) {
      notes.push_back(12 * std::log2(rate / *p / 440) + 69);
    }
  }
  if (notes.size() < 2 || notes.size() * 2 < loud) return std::nullopt;
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
