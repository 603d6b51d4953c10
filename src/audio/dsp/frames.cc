#include "audio/dsp/frames.h"

#include <algorithm>

#include "base/error.h"

namespace samplemind::audio {

// Where transforms work: one a thread, as making it takes longer than a drum hit's frames.
float* FrameEngine::work(size_t floats) {
  thread_local AlignedFloats memory;
  if (memory.size() < floats) memory = AlignedFloats(floats);
  return memory.data();
}

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
  for (; at + span <= s.buffer.size(); at += kLanes * s.spec.hop)
    emit(s, s.buffer.data() + at, kLanes);
  s.buffer.erase(s.buffer.begin(), s.buffer.begin() + static_cast<ptrdiff_t>(at));
}

void FrameEngine::emit(Stream& s, const float* samples, size_t count) {
  s.fft->magnitudes(samples, s.spec.hop, work(s.fft->work_floats()), s.magnitude.data());
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
    // What lies beyond the end is silence; a block that reaches there is copied to a thread's
    // memory of its own, as making it would take longer than the frames of a drum hit.
    thread_local std::vector<float> padded;
    padded.resize((kLanes - 1) * s.spec.hop + s.spec.size);
    const size_t left = frames - s.next;
    for (size_t done = 0; done < left; done += kLanes) {
      const size_t at = std::min(done * s.spec.hop, s.buffer.size());
      const std::span<const float> rest = std::span<const float>(s.buffer).subspan(at);
      const size_t sound = std::min(rest.size(), padded.size());
      std::copy_n(rest.begin(), sound, padded.begin());
      std::fill(padded.begin() + static_cast<ptrdiff_t>(sound), padded.end(), 0.0f);
      emit(s, padded.data(), std::min(kLanes, left - done));
    }
  }
}

}  // namespace samplemind::audio
