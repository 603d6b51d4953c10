#include "audio/feature/groove.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace samplemind::audio {

namespace {

constexpr size_t kPerBeat = 4;

size_t beats_in_bar(const std::optional<std::string>& signature) {
  if (!signature) return 4;
  const int n = std::atoi(signature->c_str());
  return n == 2 || n == 3 || n == 6 ? static_cast<size_t>(n) : 4;
}

// The beat that the first bar begins at.
size_t first_downbeat(std::span<const double> beats, std::span<const double> downbeats) {
  if (downbeats.empty()) return 0;
  size_t best = 0;
  for (size_t i = 1; i < beats.size(); ++i)
    if (std::abs(beats[i] - downbeats[0]) < std::abs(beats[best] - downbeats[0])) best = i;
  return best;
}

double most_around(std::span<const float> strength, double fps, double time, double reach_s) {
  const auto n = static_cast<ptrdiff_t>(strength.size());
  const auto first =
      std::clamp(static_cast<ptrdiff_t>((time - reach_s) * fps + 0.5), ptrdiff_t{0}, n);
  const auto last = std::clamp(static_cast<ptrdiff_t>((time + reach_s) * fps + 0.5) + 1, first, n);
  double most = 0;
  for (ptrdiff_t i = first; i < last; ++i)
    most = std::max(most, static_cast<double>(strength[static_cast<size_t>(i)]));
  return most;
}

// Where onsets on the beat fall, in beats: a player who is late everywhere does not swing.
double lateness(std::span<const double> beats, std::span<const double> onsets) {
  double sum = 0;
  size_t count = 0;
  size_t b = 0;
  for (const double t : onsets) {
    while (b + 2 < beats.size() && beats[b + 1] <= t) ++b;
    const double length = beats[b + 1] - beats[b];
    double x = (t - beats[b]) / length;
    x -= std::round(x);
    if (std::abs(x) > 0.12) continue;
    sum += x;
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

// An off-beat eighth falls at a half of its beat when straight, at two thirds when swung.
void find_swing(std::span<const double> beats, std::span<const double> onsets, GrooveFacts& g) {
  const double late = lateness(beats, onsets);
  std::vector<double> places;
  for (size_t b = 0; b + 1 < beats.size(); ++b) {
    const double length = beats[b + 1] - beats[b];
    size_t inside = 0;
    double place = 0;
    for (const double t : onsets) {
      const double x = (t - beats[b]) / length - late;
      if (x <= 0.12 || x >= 0.88) continue;
      ++inside;
      place = x;
    }
    // A lone onset between two beats is an off-beat eighth; more of them are sixteenths.
    if (inside == 1 && place > 0.42 && place < 0.75) places.push_back(place);
  }
  if (places.size() < 4) return;
  std::nth_element(places.begin(), places.begin() + static_cast<ptrdiff_t>(places.size() / 2),
                   places.end());
  const double middle = places[places.size() / 2];
  g.swing = middle / (1 - middle);
}

void find_timing(std::span<const double> beats, std::span<const double> onsets, GrooveFacts& g) {
  const double swing_place = g.swing.value_or(1) / (1 + g.swing.value_or(1));
  double sum = 0, squares = 0;
  size_t count = 0;
  size_t b = 0;
  for (const double t : onsets) {
    while (b + 1 < beats.size() && beats[b + 1] <= t) ++b;
    if (b + 1 >= beats.size() || t < beats[0]) continue;
    const double length = beats[b + 1] - beats[b];
    const double x = (t - beats[b]) / length;
    double nearest = 1e9;
    for (const double place : {0.0, 0.25, swing_place, 0.75, 1.0})
      if (std::abs(x - place) < std::abs(nearest)) nearest = x - place;
    if (std::abs(nearest) > 0.125) continue;
    const double ms = nearest * length * 1000;
    sum += ms;
    squares += ms * ms;
    ++count;
  }
  if (count == 0) return;
  const auto n = static_cast<double>(count);
  g.timing_mean_ms = sum / n;
  g.timing_deviation_ms = std::sqrt(std::max(0.0, squares / n - sum / n * (sum / n)));
}

}  // namespace

std::optional<GrooveFacts> find_groove(std::span<const float> strength, double fps,
                                       std::span<const double> beats_s,
                                       std::span<const double> downbeats_s,
                                       std::span<const double> onsets_s,
                                       const std::optional<std::string>& time_signature) {
  if (beats_s.size() < 5) return std::nullopt;
  GrooveFacts g;
  const size_t per_bar = beats_in_bar(time_signature);
  const size_t steps = per_bar * kPerBeat;
  g.pattern.assign(steps, 0);
  std::vector<size_t> counts(steps, 0);
  const size_t first = first_downbeat(beats_s, downbeats_s);
  for (size_t b = first; b < beats_s.size(); ++b) {
    // The last beat is as long as the one before it.
    const double length =
        b + 1 < beats_s.size() ? beats_s[b + 1] - beats_s[b] : beats_s[b] - beats_s[b - 1];
    for (size_t s = 0; s < kPerBeat; ++s) {
      const size_t step = (b - first) % per_bar * kPerBeat + s;
      const double time = beats_s[b] + length * static_cast<double>(s) / kPerBeat;
      g.pattern[step] += most_around(strength, fps, time, length / kPerBeat * 0.45);
      ++counts[step];
    }
  }
  g.bars = (beats_s.size() - first) / per_bar;
  double most = 0;
  for (size_t i = 0; i < steps; ++i) {
    if (counts[i] > 0) g.pattern[i] /= static_cast<double>(counts[i]);
    most = std::max(most, g.pattern[i]);
  }
  if (most <= 0) return std::nullopt;
  for (double& p : g.pattern) p /= most;
  find_swing(beats_s, onsets_s, g);
  find_timing(beats_s, onsets_s, g);
  return g;
}

}  // namespace samplemind::audio
