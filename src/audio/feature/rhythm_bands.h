// What the rhythm network hears: how loud each band is, on a logarithmic scale, about fifty times a
// second. Two resolutions: short spectra see when a drum is struck, long ones see which note of a
// legato line changes.
//
// Frame i describes the time i / kRhythmBandsFps; its kRhythmInputs values are
//   [0, 40)   mel bands of the short frame centred on that time,
//   [40, 80)  mel bands of the short frame half a step later,
//   [80, 128) semitone bands (from 130.8 Hz, C3) of the long frame centred on that time,
// each ln(1e-6 + a) where a is about the amplitude of a sine in that band.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "audio/dsp/frames.h"

namespace samplemind::audio {

inline constexpr int kRhythmBandsRate = 22050;
inline constexpr FrameSpec kRhythmShortSpec{.size = 1024, .hop = 220};
inline constexpr FrameSpec kRhythmLongSpec{.size = 2048, .hop = 440};
inline constexpr double kRhythmBandsFps = static_cast<double>(kRhythmBandsRate) / 440;
inline constexpr size_t kRhythmMelBands = 40;
inline constexpr size_t kRhythmNoteBands = 48;
inline constexpr size_t kRhythmInputs = 2 * kRhythmMelBands + kRhythmNoteBands;

// One filter bank over frames of one spec. Appends a row of `bands` values a frame.
class BandLevels : public FrameSink {
 public:
  // Rows of `bands` triangles; centres in Hz, rising, one more at either end than there are bands.
  BandLevels(const FrameSpec& spec, int rate_hz, std::span<const double> centres_hz);
  void take(const FrameBlock& block) override;
  size_t bands() const { return filters_.size(); }
  // Whole rows, oldest first; the owner may erase rows that it has used.
  std::vector<float>& rows() { return rows_; }

 private:
  struct Filter {
    size_t first = 0;
    std::vector<float> weights;
  };
  std::vector<Filter> filters_;
  std::vector<float> rows_;
};

// Both filter banks. Subscribe to an engine of kRhythmBandsRate, then read frames as they come.
class RhythmBands {
 public:
  RhythmBands();
  void subscribe(FrameEngine& engine);
  // Frames that are complete now and were not taken yet.
  size_t ready() const;
  // Moves `frames` frames into `out` (kRhythmInputs values each). REQUIRES: frames <= ready().
  void take(size_t frames, std::vector<float>& out);
  // After the engine's finish(): the last short frame may lack its second half; it is repeated.
  void finish();

 private:
  BandLevels mel_;
  BandLevels notes_;
};

}  // namespace samplemind::audio
