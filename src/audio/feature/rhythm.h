// Onset strength: how much louder the bands of a sound get from one moment to the next. What is
// one-shot and what is loop rests on it, and so does the rhythm part of the descriptor; tempo,
// beats and the onsets of loops and music come from the network (rhythm_net.h, rhythm_decode.h).
//
// Log-compressed, mel-spaced spectral flux with a maximum filter over frequency (Boeck and Widmer,
// "Maximum filter vibrato suppression for onset detection", DAFx 2013).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "audio/dsp/frames.h"

namespace samplemind::audio {

inline constexpr int kRhythmRateHz = 22050;
inline constexpr size_t kRhythmFrame = 1024;
inline constexpr size_t kRhythmHop = 220;  // 9.98 ms
inline constexpr double kRhythmFps = static_cast<double>(kRhythmRateHz) / kRhythmHop;

// Turns frames of kSpec into envelopes with a value a hop. Not thread-safe.
class OnsetStrength final : public FrameSink {
 public:
  static constexpr FrameSpec kSpec{.size = kRhythmFrame, .hop = kRhythmHop};
  OnsetStrength();
  void take(const FrameBlock& block) override;
  // Value i belongs to the time i / kRhythmFps.
  const std::vector<float>& full() const { return full_; }
  const std::vector<float>& energy() const { return energy_; }  // RMS of a hop
  static constexpr size_t kEnergyMax = 2048;  // values of energy(): the first 20 s

 private:
  static constexpr size_t kBands = 48;
  static constexpr size_t kLag = 2;  // frames between the two spectra compared (about 20 ms)
  using Levels = std::array<float, kBands>;  // log band energies of a frame
  struct Band {
    size_t first = 0;
    std::vector<float> weights;
  };
  using Bands = std::array<Band, kBands>;
  static const Bands& bands();
  static Bands make_bands();
  void frame(const Levels& levels);

  const Bands& bands_;
  std::array<Levels, kLag> before_;  // a ring
  size_t frames_ = 0;
  std::vector<float> full_;
  std::vector<float> energy_;
};

// Times of clear attacks in seconds, rising: peaks of the strength. Quick, and enough for
// one-shots.
std::vector<double> pick_onsets(const OnsetStrength& strength);

}  // namespace samplemind::audio
