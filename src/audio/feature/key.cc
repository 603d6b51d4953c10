#include "audio/feature/key.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace samplemind::audio {

namespace {
constexpr size_t kFrame = KeyProfile::kSpec.size;
constexpr double kLowHz = 55;
constexpr double kHighHz = 3500;
constexpr int kFine = 10;  // steps a semitone

constexpr std::array<double, 12> kMajor{6.6, 2.0, 3.5, 2.3, 4.6, 4.0, 2.5, 5.2, 2.4, 3.7, 2.3, 3.4};
constexpr std::array<double, 12> kMinor{6.5, 2.7, 3.5, 5.4, 2.6, 3.5, 2.5, 5.2, 4.0, 2.7, 4.3, 3.2};
constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};

double correlation(const std::array<double, 12>& chroma, const std::array<double, 12>& profile,
                   int tonic) {
  double cm = 0, pm = 0;
  for (int i = 0; i < 12; ++i) {
    cm += chroma[static_cast<size_t>(i)] / 12;
    pm += profile[static_cast<size_t>(i)] / 12;
  }
  double cp = 0, cc = 0, pp = 0;
  for (int i = 0; i < 12; ++i) {
    const double c = chroma[static_cast<size_t>((i + tonic) % 12)] - cm;
    const double p = profile[static_cast<size_t>(i)] - pm;
    cp += c * p;
    cc += c * c;
    pp += p * p;
  }
  return cc > 0 ? cp / std::sqrt(cc * pp) : 0;
}
}  // namespace

std::string Key::name() const {
  return std::string(kNames[static_cast<size_t>(tonic)]) + (minor ? " minor" : " major");
}

KeyProfile::KeyProfile() : magnitude_(kFrame / 2 + 1) {}

void KeyProfile::take(const FrameBlock& block) {
  for (size_t l = 0; l < block.count; ++l) {
    for (size_t k = 0; k < block.bins; ++k) magnitude_[k] = block.magnitude[k * kLanes + l];
    frame();
  }
}

void KeyProfile::frame() {
  const double bin_hz = static_cast<double>(kKeyRateHz) / kFrame;
  const auto first = static_cast<size_t>(kLowHz / bin_hz);
  const auto last = static_cast<size_t>(kHighHz / bin_hz);
  float loudest = 0;
  for (size_t k = first - 2; k <= last + 2; ++k) {
    total_ += static_cast<double>(magnitude_[k]) * magnitude_[k];
    loudest = std::max(loudest, magnitude_[k]);
  }
  if (loudest < 1e-3f) return;
  std::array<double, 120> frame_profile{};
  double sum = 0;
  for (size_t k = first; k <= last; ++k) {
    const float m = magnitude_[k];
    if (m < 0.01f * loudest || m <= magnitude_[k - 1] || m < magnitude_[k + 1]) continue;
    // Parabola through the logarithms gives the peak's place between the bins.
    const double a = std::log(magnitude_[k - 1] + 1e-12);
    const double b = std::log(m + 1e-12);
    const double c = std::log(magnitude_[k + 1] + 1e-12);
    const double shift = 0.5 * (a - c) / (a - 2 * b + c);
    const double hz = (static_cast<double>(k) + shift) * bin_hz;
    tonal_ += static_cast<double>(m) * m * 3;  // the main lobe's other bins belong to it
    const double strength = std::sqrt(static_cast<double>(m) / loudest);
    // The peak may be the fundamental or one of the first harmonics of a lower note.
    double weight = 1;
    for (int h = 1; h <= 4; ++h, weight *= 0.6) {
      const double f = hz / h;
      if (f < kLowHz * 0.9) break;
      const double pitch = 12 * std::log2(f / 440) + 69;
      const auto index = static_cast<int64_t>(std::lround(pitch * kFine));
      const size_t slot = static_cast<size_t>(((index % 120) + 120) % 120);
      frame_profile[slot] += strength * weight;
      sum += strength * weight;
    }
  }
  if (sum <= 0) return;
  // Each frame counts alike but for its loudness' root, so that one loud stab does not settle the
  // key.
  const double gain = std::pow(static_cast<double>(loudest), 0.3) / sum;
  for (size_t i = 0; i < frame_profile.size(); ++i) fine_[i] += frame_profile[i] * gain;
}

double KeyProfile::tuning_cents() const {
  // Circular mean of the position within the semitone.
  double x = 0, y = 0;
  for (size_t i = 0; i < fine_.size(); ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i % kFine) / kFine;
    x += fine_[i] * std::cos(angle);
    y += fine_[i] * std::sin(angle);
  }
  return std::atan2(y, x) / (2 * std::numbers::pi) * 100;
}

std::optional<Key> KeyProfile::key() const {
  const double offset = tuning_cents() / 100 * kFine;  // in fine steps
  std::array<double, 12> chroma{};
  double sum = 0;
  for (size_t i = 0; i < fine_.size(); ++i) {
    const double position = (static_cast<double>(i) - offset) / kFine;
    const double nearest = std::round(position);
    const double off = position - nearest;
    chroma[static_cast<size_t>((static_cast<int64_t>(nearest) % 12 + 12) % 12)] +=
        fine_[i] * std::exp(-0.5 * off * off / (0.2 * 0.2));
    sum += fine_[i];
  }
  if (sum <= 0 || total_ <= 0) return std::nullopt;
  Key best;
  double first = -1, second = -1;
  for (int tonic = 0; tonic < 12; ++tonic) {
    for (const bool minor : {false, true}) {
      const double r = correlation(chroma, minor ? kMinor : kMajor, tonic);
      if (r > first) {
        second = first;
        first = r;
        best.tonic = tonic;
        best.minor = minor;
      } else {
        second = std::max(second, r);
      }
    }
  }
  const double tonality = std::min(1.0, tonal_ / total_);
  if (first < 0.4 || tonality < 0.15) return std::nullopt;
  best.confidence = std::clamp(first * 0.6 + (first - second) * 4, 0.0, 1.0);
  return best;
}

}  // namespace samplemind::audio
