#include "audio/feature/level.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace samplemind::audio {

namespace {
constexpr size_t kStepFrames = 32;
constexpr float kSilence = 1e-5f;  // -100 dBFS
constexpr float kAudible = 1e-3f;  // of the peak: -60 dB

// Down to seven bits after the leading one.
float coarse(float x) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0xFFFF0000u);
}
}  // namespace

LevelMeter::LevelMeter(int channels, int rate_hz)
    : channels_(static_cast<size_t>(channels)), rate_hz_(rate_hz) {}

void LevelMeter::feed(std::span<const float> interleaved) {
  const size_t step_samples = kStepFrames * channels_;
  samples_ += interleaved.size();
  while (!interleaved.empty()) {
    const auto part =
        interleaved.first(std::min(interleaved.size(), step_samples - pending_samples_));
    // Eight sums side by side: vector code, and the same order whatever the block size.
    float square[8] = {};
    float loudest[8] = {};
    size_t i = 0;
    for (; i + 8 <= part.size(); i += 8) {
      for (size_t l = 0; l < 8; ++l) {
        const float x = part[i + l];
        square[l] += x * x;
        loudest[l] = std::max(loudest[l], std::abs(x));
      }
    }
    for (; i < part.size(); ++i) {
      square[0] += part[i] * part[i];
      loudest[0] = std::max(loudest[0], std::abs(part[i]));
    }
    for (size_t l = 0; l < 8; ++l) {
      square_ += square[l];
      pending_ = std::max(pending_, loudest[l]);
    }
    pending_samples_ += part.size();
    if (pending_samples_ == step_samples) {
      step(pending_);
      pending_ = 0;
      pending_samples_ = 0;
    }
    interleaved = interleaved.subspan(part.size());
  }
}

void LevelMeter::step(float loudest) {
  const size_t now = steps_++;
  peak_ = std::max(peak_, loudest);
  if (loudest <= kSilence) return;
  loudest = coarse(loudest);
  if (rising_.empty() || loudest > rising_.back().loudest) rising_.push_back({now, loudest});
  while (!falling_.empty() && falling_.back().loudest <= loudest) falling_.pop_back();
  falling_.push_back({now, loudest});
}

std::optional<Levels> LevelMeter::levels() const {
  LevelMeter ended = *this;
  if (ended.pending_samples_ > 0) ended.step(ended.pending_);
  if (ended.peak_ <= kSilence || samples_ == 0) return std::nullopt;
  Levels l;
  l.peak_dbfs = 20 * std::log10(static_cast<double>(ended.peak_));
  l.rms_dbfs = 10 * std::log10(square_ / static_cast<double>(samples_));
  const float audible = ended.peak_ * kAudible;
  const auto loud = [&](const Mark& m) { return m.loudest >= audible; };
  const double step_s = static_cast<double>(kStepFrames) / rate_hz_;
  const double duration_s = static_cast<double>(samples_ / channels_) / rate_hz_;
  if (const auto first = std::find_if(ended.rising_.begin(), ended.rising_.end(), loud);
      first != ended.rising_.end())
    l.silence_start_s = static_cast<double>(first->step) * step_s;
  if (const auto last = std::find_if(ended.falling_.rbegin(), ended.falling_.rend(), loud);
      last != ended.falling_.rend())
    l.silence_end_s = std::max(0.0, duration_s - static_cast<double>(last->step + 1) * step_s);
  return l;
}

}  // namespace samplemind::audio
