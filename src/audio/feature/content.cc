#include "audio/feature/content.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "audio/feature/rhythm.h"

namespace samplemind::audio {

namespace {

constexpr double kAttackPart_s = 0.12;  // what belongs to the first attack
constexpr double kFaint = 0.01;  // onset strength too weak to say when it comes: a slow swell's

double power(std::span<const float> levels) {
  return std::transform_reduce(levels.begin(), levels.end(), 0.0, std::plus<>(),
                               [](float v) { return static_cast<double>(v) * v; });
}

// How much of the strength comes and goes `cycles` times in the whole length: 0..1.
double evenness(std::span<const float> strength, double total, double cycles) {
  const double step = 2 * std::numbers::pi * cycles / static_cast<double>(strength.size());
  const double turn_c = std::cos(step), turn_s = std::sin(step);
  double c = 1, s = 0, re = 0, im = 0;
  for (const float v : strength) {
    re += v * c;
    im += v * s;
    const double next = c * turn_c - s * turn_s;
    s = c * turn_s + s * turn_c;
    c = next;
  }
  return std::sqrt(re * re + im * im) / total;
}

// The most alike that the strength is to itself a while later, 0.15 to 2 s: 0..1.
double repetition(std::span<const float> strength) {
  const auto n = strength.size();
  const double mean =
      std::accumulate(strength.begin(), strength.end(), 0.0) / static_cast<double>(n);
  double zero = 0;
  for (const float v : strength) zero += (v - mean) * (v - mean);
  zero += static_cast<double>(n) * kFaint * kFaint;
  double best = 0;
  const auto longest = std::min<size_t>(n / 2, static_cast<size_t>(2 * kRhythmFps));
  for (auto lag = static_cast<size_t>(0.15 * kRhythmFps); lag <= longest; ++lag) {
    float sum = 0;
    for (size_t i = lag; i < n; ++i)
      sum +=
          (strength[i] - static_cast<float>(mean)) * (strength[i - lag] - static_cast<float>(mean));
    best = std::max(best, static_cast<double>(sum) / zero);
  }
  return best;
}

}  // namespace

std::array<float, kContentFeatures> content_features(std::span<const float> strength,
                                                     std::span<const float> energy,
                                                     std::span<const double> onsets_s,
                                                     double duration_s) {
  std::array<float, kContentFeatures> f{};
  const size_t n = std::min(strength.size(), energy.size());
  if (n < 8) return f;
  strength = strength.first(n);
  energy = energy.first(n);
  size_t at = 0;
  const auto put = [&](double v) { f[at++] = static_cast<float>(v); };

  std::array<int, 3> attacks{};
  constexpr std::array<float, 3> kClear{0.04f, 0.1f, 0.25f};  // a drum has 1, a bowed note 0.1
  for (const double t : onsets_s) {
    const auto i = static_cast<size_t>(t * kRhythmFps + 0.5);
    if (t <= kAttackPart_s || i >= n) continue;
    for (size_t k = 0; k < kClear.size(); ++k) attacks[k] += strength[i] >= kClear[k];
  }
  for (const int count : attacks) put(std::log1p(count));

  // Where the energy lies, and how it ends.
  const double whole = std::max(power(energy), 1e-12);
  put(power(energy.first(n / 3)) / whole);
  put(power(energy.last(n / 3)) / whole);
  const size_t tail = std::max<size_t>(3, std::min<size_t>(8, n / 16));
  const double mean_power = whole / static_cast<double>(n);
  put(std::clamp(
          10 * std::log10(power(energy.last(tail)) / static_cast<double>(tail) / mean_power + 1e-9),
          -60.0, 10.0) /
      10);

  // How often it gets louder by 3 and 9 dB within 50 ms.
  int rises = 0, jumps = 0;
  size_t quiet_until = static_cast<size_t>(kAttackPart_s * kRhythmFps);
  const float floor = 1e-3f * *std::max_element(energy.begin(), energy.end());
  for (size_t i = quiet_until; i < n; ++i) {
    if (i < quiet_until || i < 5) continue;
    const float now = energy[i] + floor, before = energy[i - 5] + floor;
    if (now > 1.41f * before) {
      ++rises;
      jumps += now > 2.82f * before;
      quiet_until = i + 6;
    }
  }
  put(std::log1p(rises));
  put(std::log1p(jumps));

  put(repetition(strength));
  const double total =
      std::accumulate(strength.begin(), strength.end(), static_cast<double>(n) * kFaint / 2);
  double best = 0;
  for (const double cycles : {4.0, 8.0, 16.0, 32.0})
    if (cycles <= duration_s * 12) best = std::max(best, evenness(strength, total, cycles));
  put(best);
  put(std::log1p(static_cast<double>(onsets_s.size()) / duration_s));
  return f;
}

bool is_loop(const std::array<float, kContentFeatures>& features) {
  // Mean, 1 / deviation and weight of each, as train_content.py prints them.
  struct Weight {
    double mean, scale, weight;
  };
  constexpr std::array<Weight, kContentFeatures> kWeights{{
      {1.4219, 0.7645, 1.0850},   // clear attacks: 0.04
      {1.0930, 0.7949, 0.4359},   // 0.1
      {0.7475, 0.9089, -0.7979},  // 0.25
      {0.5217, 3.7240, -0.5803},  // energy of the first third
      {0.2017, 6.3609, 0.4005},   // of the last
      {-2.0041, 0.5117, 0.5973},  // level of the end
      {1.7974, 0.7843, 0.5555},   // rises
      {0.7534, 1.0017, 0.7650},   // jumps
      {0.2633, 3.6728, 2.9643},   // repetition
      {0.4016, 4.2738, 1.9255},   // evenness
      {1.0661, 1.5771, -1.9593},  // onsets a second
  }};
  double odds = 0.4948;
  for (size_t i = 0; i < kContentFeatures; ++i) {
    const auto& [mean, scale, weight] = kWeights[i];
    odds += weight * std::clamp((static_cast<double>(features[i]) - mean) * scale, -3.0, 3.0);
  }
  const double loop = 1 / (1 + std::exp(-odds));
  const bool drums = features[2] > std::log1p(2.5);  // three attacks of a drum's strength or more
  return loop > (drums ? 0.3 : 0.6);
}

}  // namespace samplemind::audio
