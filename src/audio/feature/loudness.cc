#include "audio/feature/loudness.h"

#include <ebur128.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace samplemind::audio {

struct LoudnessMeter::State {
  struct Deleter {
    void operator()(ebur128_state* p) const { ebur128_destroy(&p); }
  };
  std::unique_ptr<ebur128_state, Deleter> meter;
  unsigned channels = 0;
  int rate_hz = 0;
  size_t frames = 0;
};

LoudnessMeter::LoudnessMeter(int channels, int rate_hz, bool loudness)
    : state_(std::make_unique<State>()) {
  int mode = EBUR128_MODE_TRUE_PEAK;
  if (loudness) mode |= EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_HISTOGRAM;
  state_->channels = static_cast<unsigned>(channels);
  state_->rate_hz = rate_hz;
  state_->meter.reset(ebur128_init(state_->channels, static_cast<unsigned long>(rate_hz), mode));
  SM_ASSERT(state_->meter != nullptr);
}
LoudnessMeter::~LoudnessMeter() = default;
LoudnessMeter::LoudnessMeter(LoudnessMeter&&) noexcept = default;

void LoudnessMeter::feed(std::span<const float> interleaved) {
  const size_t frames = interleaved.size() / state_->channels;
  state_->frames += frames;
  ebur128_add_frames_float(state_->meter.get(), interleaved.data(), frames);
}

std::optional<double> LoudnessMeter::integrated_lufs() const {
  double value = 0;
  if (static_cast<double>(state_->frames) < 0.4 * state_->rate_hz ||
      ebur128_loudness_global(state_->meter.get(), &value) != EBUR128_SUCCESS ||
      !std::isfinite(value) || value <= -70)
    return std::nullopt;
  return value;
}

std::optional<double> LoudnessMeter::range_lu() const {
  double value = 0;
  if (static_cast<double>(state_->frames) < 3.0 * state_->rate_hz || !integrated_lufs() ||
      ebur128_loudness_range(state_->meter.get(), &value) != EBUR128_SUCCESS ||
      !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<double> LoudnessMeter::true_peak_dbtp() const {
  double peak = 0;
  for (unsigned c = 0; c < state_->channels; ++c) {
    double value = 0;
    if (ebur128_true_peak(state_->meter.get(), c, &value) == EBUR128_SUCCESS)
      peak = std::max(peak, value);
  }
  if (peak <= 0 || !std::isfinite(peak)) return std::nullopt;
  return 20 * std::log10(peak);
}

}  // namespace samplemind::audio
