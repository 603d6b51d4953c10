#include "audio/dsp/resample.h"

#include <soxr.h>

#include "base/error.h"

namespace samplemind::audio {

void MonoResampler::Deleter::operator()(soxr* p) const {
  soxr_delete(p);
}

MonoResampler::MonoResampler(int from_hz, int to_hz) {
  if (from_hz == to_hz) return;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_MQ, 0);
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  resampler_.reset(soxr_create(from_hz, to_hz, 1, nullptr, &io, &quality, nullptr));
  ratio_ = static_cast<double>(to_hz) / from_hz;
  SM_ASSERT(resampler_ != nullptr);
}

std::span<const float> MonoResampler::process(std::span<const float> in) {
  if (!resampler_) return in;
  out_.resize(static_cast<size_t>(static_cast<double>(in.size()) * ratio_) + 4096);
  size_t done = 0;
  soxr_process(resampler_.get(), in.empty() ? nullptr : in.data(), in.size(), nullptr, out_.data(),
               out_.size(), &done);
  return std::span<const float>(out_).first(done);
}

}  // namespace samplemind::audio
