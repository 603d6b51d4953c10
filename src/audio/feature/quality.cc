#include "audio/feature/quality.h"

#include <algorithm>
#include <cmath>

#include "audio/feature/statistics.h"

namespace samplemind::audio {

namespace {
constexpr float kFullScale = 0.9985f;  // -0.013 dBFS: also what 8-bit and lossy files call full
constexpr size_t kRunMin = 3;
}  // namespace

void StereoMeter::feed(std::span<const float> x) {
  add_stereo(x.data(), x.size() / 2, sums_);
}

std::optional<StereoFacts> StereoMeter::facts() const {
  const auto& [ll, rr, lr] = sums_;
  if (ll + rr <= 1e-10) return std::nullopt;
  StereoFacts f;
  const double mid = std::sqrt(std::max(0.0, ll + rr + 2 * lr));
  const double side = std::sqrt(std::max(0.0, ll + rr - 2 * lr));
  f.width = side / (mid + side);
  f.correlation = ll > 0 && rr > 0 ? std::clamp(lr / std::sqrt(ll * rr), -1.0, 1.0) : 0;
  f.balance_db = std::clamp(10 * std::log10((rr + 1e-12) / (ll + 1e-12)), -100.0, 100.0);
  return f;
}

std::optional<double> StereoMeter::mono_loss_db() const {
  const auto& [ll, rr, lr] = sums_;
  if (ll + rr <= 1e-10) return std::nullopt;
  // Both channels at one level and equal: no loss.
  const double mono = (ll + rr + 2 * lr) / 4;
  const double stereo = (ll + rr) / 2;
  return std::min(100.0, 10 * std::log10(stereo / std::max(mono, stereo * 1e-10)));
}

FaultMeter::FaultMeter(int channels)
    : channels_(static_cast<size_t>(channels)),
      sums_(channels_, 0),
      last_(channels_, 0),
      run_(channels_, 0) {}

void FaultMeter::feed(std::span<const float> x) {
  const size_t frames = x.size() / channels_;
  for (size_t at = 0; at < frames; at += 1024) {
    const size_t n = std::min<size_t>(1024, frames - at);
    const float* p = x.data() + at * channels_;
    const float most = largest(p, n * channels_);
    if (channels_ == 2) {
      add_two(p, n, sums_[0], sums_[1]);
    } else if (channels_ == 1) {
      sums_[0] += sum(p, n);
    } else {
      for (size_t c = 0; c < channels_; ++c) {
        float total = 0;
        for (size_t i = 0; i < n; ++i) total += p[i * channels_ + c];
        sums_[c] += static_cast<double>(total);
      }
    }
    if (most < kFullScale) {  // nearly always
      for (size_t c = 0; c < channels_; ++c) end_run(c);
      continue;
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t c = 0; c < channels_; ++c) {
        const float v = p[i * channels_ + c];
        if (std::abs(v) < kFullScale || (run_[c] > 0 && (v > 0) != (last_[c] > 0))) end_run(c);
        if (std::abs(v) >= kFullScale) ++run_[c];
        last_[c] = v;
      }
    }
  }
  frames_ += frames;
}

void FaultMeter::end_run(size_t channel) {
  if (run_[channel] >= kRunMin) {
    ++runs_;
    clipped_ += run_[channel];
  }
  run_[channel] = 0;
}

double FaultMeter::dc_offset() const {
  double most = 0;
  for (const double s : sums_) {
    const double mean = frames_ > 0 ? s / static_cast<double>(frames_) : 0;
    if (std::abs(mean) > std::abs(most)) most = mean;
  }
  return most;
}

double FaultMeter::clipped_share() const {
  return frames_ > 0 ? static_cast<double>(clipped_) / static_cast<double>(frames_ * channels_) : 0;
}

void HumMeter::take(const FrameBlock& block) {
  for (size_t k = 0; k < kBins; ++k)
    for (size_t l = 0; l < block.count; ++l)
      log_sum_[k] += std::log10(block.magnitude[k * kLanes + l] + 1e-6f);
  frames_ += block.count;
}

std::optional<HumMeter::Hum> HumMeter::hum() const {
  if (frames_ < 10) return std::nullopt;
  constexpr double kBin_hz = 22050.0 / 8192;
  constexpr double kStandsOut_db = 12;
  std::optional<Hum> best;
  for (const double mains : {50.0, 60.0}) {
    int standing = 0;
    double first = 0;
    for (int h = 1; h <= 4; ++h) {
      const double place = mains * h / kBin_hz;
      const auto centre = static_cast<size_t>(std::lround(place));
      size_t peak = centre;
      for (const size_t k : {centre - 1, centre + 1})
        if (log_sum_[k] > log_sum_[peak]) peak = k;
      const double line = log_sum_[peak];
      // A bass note near mains is no hum: G1 is 49.0 Hz, and tells itself apart by its place.
      const double a = log_sum_[peak - 1], c = log_sum_[peak + 1];
      const double curve = a - 2 * line + c;
      const double shift = curve < 0 ? 0.5 * (a - c) / curve : 0;
      if (std::abs((static_cast<double>(peak) + shift) * kBin_hz - mains * h) > 0.4) continue;
      // The neighbourhood: 14 to 22 Hz away on both sides, outside of the window's main lobe.
      std::vector<double> around;
      for (size_t d = 5; d <= 8; ++d) {
        around.push_back(log_sum_[centre - d]);
        around.push_back(log_sum_[centre + d]);
      }
      const double above = 20 * (line - *std::max_element(around.begin(), around.end())) /
                           static_cast<double>(frames_);
      if (above >= kStandsOut_db) ++standing;
      if (above > first) first = above;
    }
    if (standing >= 2 && (!best || first > best->db)) best = Hum{mains, first};
  }
  return best;
}

}  // namespace samplemind::audio
