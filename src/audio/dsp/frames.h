// Frames of a sound and their spectra, computed once and shared by every feature that wants them.
//
//   FrameEngine engine(22050);
//   engine.subscribe({.size = 2048, .hop = 512}, my_feature);   // once, before the first feed()
//   engine.feed(mono);   // any number of samples, any number of times
//   engine.finish();
//
// A feature is a FrameSink: a streaming accumulator that gets blocks of eight frames, with
// magnitudes laid out bin after bin, the eight frames side by side. A loop over the bins with an
// inner loop over kLanes is vector code without further ado, and needs no sum across a vector:
//
//   for (size_t k = 0; k < block.bins; ++k)
//     for (size_t l = 0; l < kLanes; ++l) sum[l] += weight[k] * block.magnitude[k * kLanes + l];
//
// Sinks of equal specs share one transform. Memory does not grow with the sound. One thread at a
// time. Results do not depend on how the samples are cut into calls of feed().
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "audio/dsp/batch_fft.h"

namespace samplemind::audio {

struct FrameSpec {
  size_t size = 2048;  // samples, a power of two, 16..65536
  size_t hop = 512;    // samples from frame to frame, 1..size
  Window window = Window::kHann;
  // True: frame i is centred on sample i * hop, with silence before the start and after the end;
  // 1 + samples / hop frames, as librosa's. False: frame i begins at sample i * hop; the last one
  // is filled up with silence when an eighth of it or more holds sound.
  bool centred = true;
  bool operator==(const FrameSpec&) const = default;
};

struct FrameBlock {
  const FrameSpec& spec;
  int rate_hz;             // of the samples
  size_t first;            // index of the frame in lane 0; lane l holds frame first + l
  size_t count;            // frames here, 1..kLanes; less than kLanes only in the last block
  size_t bins;             // spec.size / 2 + 1
  const float* magnitude;  // [bin * kLanes + lane], not normalised; 0 in lanes >= count
  const float* samples;    // lane l's frame, not windowed: samples + l * spec.hop, spec.size values

  // The centre of bin k in Hz.
  double bin_hz(size_t k) const {
    return static_cast<double>(k) * rate_hz / static_cast<double>(spec.size);
  }
};

class FrameSink {
 public:
  virtual ~FrameSink() = default;
  // Blocks come in order, each frame once. The block's memory is valid during the call only.
  virtual void take(const FrameBlock& block) = 0;
};

class FrameEngine {
 public:
  explicit FrameEngine(int rate_hz) : rate_hz_(rate_hz) {}
  // REQUIRES: nothing was fed yet; `sink` outlives the engine.
  void subscribe(const FrameSpec& spec, FrameSink& sink);
  void feed(std::span<const float> mono);
  // Pads the end, gives out the last frames. REQUIRES: called once, after the last feed().
  void finish();
  bool idle() const { return streams_.empty(); }

 private:
  struct Stream {
    FrameSpec spec;
    const BatchFft* fft = nullptr;
    std::vector<FrameSink*> sinks;
    std::vector<float> buffer;
    AlignedFloats magnitude;
    size_t next = 0;     // index of the next frame
    size_t samples = 0;  // fed so far
  };
  void drain(Stream& s);
  void emit(Stream& s, const float* samples, size_t count);
  static float* work(size_t floats);

  int rate_hz_;
  std::vector<Stream> streams_;
};

}  // namespace samplemind::audio
