#include "library/same_sound.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/decode/decoder.h"
#include "audio/dsp/resample.h"

namespace samplemind::library {

namespace {

constexpr int kRateHz = 22050;
constexpr size_t kSamplesMax = 6 * kRateHz;
constexpr size_t kStep = 22;  // samples of a level: a millisecond
constexpr size_t kSamplesMin = kRateHz / 100;
constexpr double kOverlapMin = 0.7;
constexpr double kEnergyMin = 0.02;  // of each sound, in what lies over the other
constexpr int kPlaces = 3;           // by level, that are looked at by wave
constexpr int kAround = 8;           // samples of the correlation that a value between them needs

float dot(const float* a, const float* b, size_t n) {
  float sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float s : sums) sum += s;
  return sum;
}

// Where b, moved by `lag`, lies over a: a[begin, begin + size) over b[begin - lag, ...).
struct Overlap {
  size_t a = 0, b = 0, size = 0;
  Overlap(size_t a_size, size_t b_size, int lag)
      : a(lag > 0 ? static_cast<size_t>(lag) : 0), b(lag < 0 ? static_cast<size_t>(-lag) : 0) {
    if (a < a_size && b < b_size) size = std::min(a_size - a, b_size - b);
  }
};

// Correlation of the levels about their means.
double level_fit(const SoundTrace& x, const SoundTrace& y, int lag) {
  const Overlap o(x.level.size(), y.level.size(), lag);
  const auto shorter = static_cast<double>(std::min(x.level.size(), y.level.size()));
  if (static_cast<double>(o.size) < std::max(4.0, kOverlapMin * shorter)) return -1;
  const float* a = x.level.data() + o.a;
  const float* b = y.level.data() + o.b;
  double sum_a = 0, sum_b = 0;
  for (size_t i = 0; i < o.size; ++i) {
    sum_a += a[i];
    sum_b += b[i];
  }
  const auto n = static_cast<double>(o.size);
  const double aa = dot(a, a, o.size) - sum_a * sum_a / n;
  const double bb = dot(b, b, o.size) - sum_b * sum_b / n;
  const double ab = dot(a, b, o.size) - sum_a * sum_b / n;
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : -1;
}

// The largest correlation of the waves at lags around `centre`, between the samples too: two copies
// of another rate do not lie on one grid. The correlation is as band-limited as they are.
double wave_fit(const SoundTrace& x, const SoundTrace& y, int centre, double energy_a,
                double energy_b) {
  constexpr int kReach = static_cast<int>(kStep) + kAround;
  std::vector<double> fit;
  for (int lag = centre - kReach; lag <= centre + kReach; ++lag) {
    const Overlap o(x.wave.size(), y.wave.size(), lag);
    const float* a = x.wave.data() + o.a;
    const float* b = y.wave.data() + o.b;
    const double aa = dot(a, a, o.size), bb = dot(b, b, o.size);
    const auto shorter = static_cast<double>(std::min(x.wave.size(), y.wave.size()));
    const bool enough = static_cast<double>(o.size) >= kOverlapMin * shorter &&
                        aa > kEnergyMin * energy_a && bb > kEnergyMin * energy_b;
    fit.push_back(enough ? dot(a, b, o.size) / std::sqrt(aa * bb) : 0);
  }
  const auto by_size = [](double p, double q) { return std::abs(p) < std::abs(q); };
  const auto best = std::max_element(fit.begin() + kAround, fit.end() - kAround, by_size);
  const auto at = static_cast<int>(best - fit.begin());
  double most = std::abs(*best);
  for (int eighth = -7; eighth <= 7; ++eighth) {
    if (eighth == 0) continue;
    const double shift = eighth / 8.0;
    double value = 0;
    for (int k = -kAround; k <= kAround; ++k) {
      const double t = std::numbers::pi * (shift - k);
      const double window = 0.5 + 0.5 * std::cos(t / (kAround + 1));
      value += fit[static_cast<size_t>(at + k)] * std::sin(t) / t * window;
    }
    most = std::max(most, std::abs(value));
  }
  return std::min(most, 1.0);
}

}  // namespace

Result<SoundTrace> trace_of(const std::filesystem::path& path) {
  SM_TRY(const auto decoder, audio::Decoder::open(path));
  const auto channels = static_cast<size_t>(decoder->info().channels);
  audio::MonoResampler resampler(decoder->info().sample_rate_hz, kRateHz);
  std::vector<float> block(4096 * channels), mono, samples;
  for (bool end = false; !end && samples.size() < kSamplesMax;) {
    SM_TRY(const size_t frames, decoder->read(block));
    mono.assign(frames, 0);
    for (size_t i = 0; i < frames; ++i)
      for (size_t c = 0; c < channels; ++c) mono[i] += block[i * channels + c];
    end = frames == 0;
    if (end && !resampler.active()) break;
    auto made = resampler.process(mono);
    while (end && !made.empty()) {
      samples.insert(samples.end(), made.begin(), made.end());
      made = resampler.process({});
    }
    samples.insert(samples.end(), made.begin(), made.end());
  }
  samples.resize(std::min(samples.size(), kSamplesMax));
  SoundTrace trace;
  for (size_t i = 1; i < samples.size(); ++i) trace.wave.push_back(samples[i] - samples[i - 1]);
  for (size_t i = 0; i + kStep <= trace.wave.size(); i += kStep)
    trace.level.push_back(std::sqrt(dot(&trace.wave[i], &trace.wave[i], kStep)));
  const bool silent = std::all_of(trace.level.begin(), trace.level.end(),
                                  [](float level) { return level < 1e-6f; });
  if (trace.wave.size() < kSamplesMin || silent)
    return Error(ErrorCode::kDataLoss, path.string() + ": too short or too quiet to compare");
  return trace;
}

double sameness(const SoundTrace& a, const SoundTrace& b) {
  const size_t longer = std::max(a.level.size(), b.level.size());
  const int reach = static_cast<int>(longer / 10 + 250);
  std::vector<std::pair<double, int>> places;
  for (int lag = -reach; lag <= reach; ++lag) places.emplace_back(level_fit(a, b, lag), lag);
  std::vector<std::pair<double, int>> peaks;
  for (size_t i = 0; i < places.size(); ++i) {
    const bool left = i == 0 || places[i].first >= places[i - 1].first;
    const bool right = i + 1 == places.size() || places[i].first > places[i + 1].first;
    if (left && right && places[i].first > 0) peaks.push_back(places[i]);
  }
  std::sort(peaks.begin(), peaks.end(), std::greater<>());
  peaks.resize(std::min<size_t>(peaks.size(), kPlaces));
  const double energy_a = dot(a.wave.data(), a.wave.data(), a.wave.size());
  const double energy_b = dot(b.wave.data(), b.wave.data(), b.wave.size());
  double most = 0;
  for (const auto& [fit, lag] : peaks) {
    most = std::max(most, wave_fit(a, b, lag * static_cast<int>(kStep), energy_a, energy_b));
    if (most > 0.97) break;
  }
  return most;
}

}  // namespace samplemind::library
