#include "audio/feature/key.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "audio/feature/weights_internal.h"
#include "base/error.h"
#include "key_weights.h"

namespace samplemind::audio {

namespace {
constexpr double kLowHz = 50;
constexpr double kHighHz = 3500;
constexpr double kBassHz = 210;     // fundamentals below it are the bass's
constexpr double kAround = 24;      // bins to either side that a peak is measured against
constexpr double kProminent = 2.5;  // times the mean around it: less is no peak
constexpr double kTonalMin = 0.02;  // resultant strength a frame below which nothing is tonal
constexpr size_t kHidden = 96;      // three trainings of 32, averaged
constexpr double kNoneMin = 0.5;    // probability of "no key" from which the answer is none

constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};

// Steps of a fifth from C major or A minor, -5..6.
int fifths(int tonic, bool minor) {
  const int relative = minor ? tonic + 3 : tonic;
  return relative * 7 % 12;
}

struct KeyNet {
  std::array<std::array<float, kKeyProfiles * 12>, kHidden> in{};
  std::array<float, kHidden> in_bias{};
  std::array<std::array<float, kHidden>, 3> out{};
  std::array<float, 3> out_bias{};

  KeyNet() {
    WeightReader r(kKeyWeights, "SMK1");
    SM_ASSERT(r.u16() == in[0].size());
    SM_ASSERT(r.u16() == kHidden);
    for (size_t i = 0; i < in[0].size(); ++i)
      for (auto& row : in) row[i] = r.half();
    for (float& v : in_bias) v = r.half();
    for (size_t i = 0; i < kHidden; ++i)
      for (auto& row : out) row[i] = r.half();
    for (float& v : out_bias) v = r.half();
    SM_ASSERT(r.done());
  }
  static const KeyNet& get() {
    static const auto* net = new KeyNet();
    return *net;
  }
  // Scores of major, minor and none when the tonic is `tonic`.
  std::array<float, 3> scores(const KeyFeatures& f, size_t tonic) const {
    KeyFeatures turned;
    for (size_t p = 0; p < kKeyProfiles; ++p)
      for (size_t c = 0; c < 12; ++c) turned[p * 12 + c] = f[p * 12 + (c + tonic) % 12];
    std::array<float, 3> y = out_bias;
    for (size_t h = 0; h < kHidden; ++h) {
      float sum = in_bias[h];
      for (size_t i = 0; i < turned.size(); ++i) sum += in[h][i] * turned[i];
      if (sum <= 0) continue;
      for (size_t o = 0; o < 3; ++o) y[o] += out[o][h] * sum;
    }
    return y;
  }
};
}  // namespace

std::string Key::name() const {
  return std::string(kNames[static_cast<size_t>(tonic)]) + (minor ? " minor" : " major");
}

std::string Key::camelot() const {
  return std::to_string((fifths(tonic, minor) + 7) % 12 + 1) + (minor ? "A" : "B");
}

std::string Key::open_key() const {
  return std::to_string(fifths(tonic, minor) + 1) + (minor ? "m" : "d");
}

std::optional<Key> parse_key(std::string_view name) {
  Key key;
  for (key.tonic = 0; key.tonic < 12; ++key.tonic) {
    for (const bool minor : {false, true}) {
      key.minor = minor;
      if (key.name() == name) return key;
    }
  }
  return std::nullopt;
}

KeyProfile::KeyProfile() : magnitude_(kSpec.size / 2 + 1), sums_(kSpec.size / 2 + 2) {}

void KeyProfile::take(const FrameBlock& block) {
  for (size_t l = 0; l < block.count; ++l) {
    for (size_t k = 0; k < block.bins; ++k) magnitude_[k] = block.magnitude[k * kLanes + l];
    frame();
  }
}

void KeyProfile::frame() {
  const double bin_hz = static_cast<double>(kKeyRateHz) / static_cast<double>(kSpec.size);
  const auto first = static_cast<size_t>(kLowHz / bin_hz);
  const auto last = static_cast<size_t>(kHighHz / bin_hz);
  const auto around = static_cast<size_t>(kAround);
  float loudest = 0;
  for (size_t k = 0; k <= last + around + 1; ++k) {
    sums_[k + 1] = sums_[k] + magnitude_[k];
    if (k >= first) loudest = std::max(loudest, magnitude_[k]);
  }
  if (loudest < 1e-3f) return;
  std::array<float, kSteps> upper{}, bass{};
  double total = 0;
  for (size_t k = first; k <= last; ++k) {
    const float m = magnitude_[k];
    if (m < 0.003f * loudest || m <= magnitude_[k - 1] || m < magnitude_[k + 1]) continue;
    const size_t from = k > around ? k - around : 0;
    const double mean =
        (sums_[k + around + 1] - sums_[from]) / static_cast<double>(k + around + 1 - from);
    const double prominence = m / (mean * kProminent);
    if (prominence <= 1) continue;
    // Parabola through the logarithms gives the peak's place between the bins.
    const double a = std::log(magnitude_[k - 1] + 1e-12);
    const double b = std::log(m + 1e-12);
    const double c = std::log(magnitude_[k + 1] + 1e-12);
    const double shift = 0.5 * (a - c) / (a - 2 * b + c);
    const double pitch = 12 * std::log2((static_cast<double>(k) + shift) * bin_hz / 440) + 69;
    const double strength = std::log2(prominence) * std::pow(static_cast<double>(m) / loudest, 0.3);
    if (pitch > 45) {
      const double angle = 2 * std::numbers::pi * pitch;
      cosine_ += strength * std::cos(angle);
      sine_ += strength * std::sin(angle);
      strength_ += strength;
    }
    // The peak may be the fundamental or one of the first harmonics of a lower note.
    constexpr std::array<double, 4> kBelow{0, 12, 19.01955, 24};
    constexpr std::array<double, 4> kWeight{1, 0.5, 0.3, 0.15};
    for (size_t h = 0; h < kBelow.size(); ++h) {
      const double note = pitch - kBelow[h];
      const double hz = 440 * std::exp2((note - 69) / 12);
      if (hz < kLowHz * 0.9) break;
      const double at = (note - 12 * std::floor(note / 12)) * 3;
      const auto low = static_cast<size_t>(at);
      const auto part = static_cast<float>(at - static_cast<double>(low));
      const auto weight = static_cast<float>(strength * kWeight[h]);
      auto& into = hz < kBassHz ? bass : upper;
      into[low % kSteps] += weight * (1 - part);
      into[(low + 1) % kSteps] += weight * part;
    }
    total += strength;
  }
  Frame f;
  const auto quantise = [](const std::array<float, kSteps>& from, std::array<uint8_t, kSteps>& to) {
    const float top = *std::max_element(from.begin(), from.end());
    if (top <= 0) return;
    for (size_t i = 0; i < kSteps; ++i)
      to[i] = static_cast<uint8_t>(std::lround(from[i] / top * 255));
  };
  quantise(upper, f.upper);
  quantise(bass, f.bass);
  frames_.push_back(f);
  // Each frame counts alike but for a root of its loudness and for how tonal it is.
  weights_.push_back(
      static_cast<float>(std::pow(static_cast<double>(loudest), 0.3) * std::min(total, 20.0)));
}

double KeyProfile::tuning() const {
  return std::atan2(sine_, cosine_) / (2 * std::numbers::pi);
}

std::optional<double> KeyProfile::tuning_cents() const {
  if (strength_ <= 0 || std::hypot(cosine_, sine_) < 0.1 * strength_) return std::nullopt;
  return tuning() * 100;
}

std::optional<Key> KeyProfile::key() const {
  if (frames_.empty() || strength_ < kTonalMin * static_cast<double>(frames_.size()))
    return std::nullopt;
  const KeyFeatures f = features();
  const KeyNet& net = KeyNet::get();
  std::array<double, 24> scores{};
  double none = 0;
  for (size_t tonic = 0; tonic < 12; ++tonic) {
    const std::array<float, 3> y = net.scores(f, tonic);
    scores[tonic] = y[0];
    scores[12 + tonic] = y[1];
    none += y[2] / 12;
  }
  const auto best = std::max_element(scores.begin(), scores.end());
  const double top = std::max(*best, none);
  double sum = std::exp(none - top);
  for (const double s : scores) sum += std::exp(s - top);
  if (std::exp(none - top) / sum > kNoneMin) return std::nullopt;
  Key key;
  const auto index = static_cast<int>(best - scores.begin());
  key.tonic = index % 12;
  key.minor = index >= 12;
  key.confidence = std::exp(*best - top) / sum;
  return key;
}

}  // namespace samplemind::audio
