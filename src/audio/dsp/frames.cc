#include "audio/dsp/frames.h"

#include <algorithm>

#include "base/error.h"

namespace samplemind::audio {

void FrameEngine::subscribe(const FrameSpec& spec, FrameSink& sink) {
  SM_ASSERT(spec.hop >= 1 && spec.hop <= spec.size);
  auto found = std::find_if(streams_.begin(), streams_.end(),
                            [&](const Stream& s) { return s.spec == spec; });
  if (found == streams_.end()) {
    Stream s;
    s.spec = spec;
    s.fft = &BatchFft::of(spec.size, spec.window);
    s.magnitude = AlignedFloats(s.fft->bins() * kLanes);
    if (spec.centred) s.buffer.assign(spec.size / 2, 0);
    if (work_.size() < s.fft->work_floats()) work_ = AlignedFloats(s.fft->work_floats());
    found = streams_.insert(streams_.end(), std::move(s));
  }
  SM_ASSERT(found->samples == 0);
  found->sinks.push_back(&sink);
}

void FrameEngine::feed(std::span<const float> mono) {
  for (Stream& s : streams_) {
    s.samples += mono.size();
    s.buffer.insert(s.buffer.end(), mono.begin(), mono.end());
    drain(s);
  }
}

// Gives out whole blocks; what is left stays for the next call.
void FrameEngine::drain(Stream& s) {
  const size_t span = (kLanes - 1) * s.spec.hop + s.spec.size;
  size_t at = 0;
  for (; at + span <= s.buffer.size(); at += kLanes * s.spec.hop) emit(s, at, kLanes);
  s.buffer.erase(s.buffer.begin(), s.buffer.begin() + static_cast<ptrdiff_t>(at));
}

void FrameEngine::emit(Stream& s, size_t at, size_t count) {
  const float* samples = s.buffer.data() + at;
  s.fft->magnitudes(samples, s.spec.hop, work_.data(), s.magnitude.data());
  if (count < kLanes) {
    for (size_t k = 0; k < s.fft->bins(); ++k)
      std::fill(&s.magnitude[k * kLanes + count], &s.magnitude[k * kLanes] + kLanes, 0.0f);
  }
  const FrameBlock block{s.spec,        rate_hz_,           s.next, count,
                         s.fft->bins(), s.magnitude.data(), samples};
  for (FrameSink* sink : s.sinks) sink->take(block);
  s.next += count;
}

void FrameEngine::finish() {
  for (Stream& s : streams_) {
    size_t frames = 0;
    if (s.samples > 0) {
      if (s.spec.centred) {
        frames = 1 + s.samples / s.spec.hop;
      } else {
        frames = s.samples >= s.spec.size ? 1 + (s.samples - s.spec.size) / s.spec.hop : 0;
        if (s.samples >= frames * s.spec.hop + s.spec.size / 8) ++frames;
      }
    }
    if (s.next >= frames) continue;
    const size_t left = frames - s.next;
    s.buffer.resize((left - 1 + kLanes) * s.spec.hop + s.spec.size, 0);
    for (size_t done = 0; done < left; done += kLanes)
      emit(s, done * s.spec.hop, std::min(kLanes, left - done));
  }
}

}  // namespace samplemind::audio
