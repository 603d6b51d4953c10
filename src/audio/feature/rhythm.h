// Onset strength: how much louder the bands of a sound get from one moment to the next. What is
// one-shot and what is loop rests on it, and so does the rhythm part of the descriptor; tempo,
// beats and the onsets of loops and music come from the network (rhythm_net.h, rhythm_decode.h).
//
// Log-compressed, mel-spaced spectral flux with a maximum filter over frequency (Boeck and Widmer,
// "Maximum filter vibrato suppression for onset detection", DAFx 2013).
#pragma once

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
  // Value i belongs to the time i / kRhythmFps. All bands, and those below 150 Hz (kick and bass).
  const std::vector<float>& full() const { return full_; }
  const std::vector<float>& low() const { return low_; }
  const std::vector<float>& energy() const { return energy_; }  // RMS of a hop
  static constexpr size_t kEnergyMax = 2048;  // values of energy(): the first 20 s

 private:
  void frame(std::vector<float> levels);
  struct Band {
    size_t first = 0;
    std::vector<float> weights;
  };
  std::vector<Band> bands_;
  size_t low_bands_ = 0;
  std::vector<std::vector<float>> history_;  // log band energies of the last frames
  size_t frames_ = 0;
  std::vector<float> full_;
  std::vector<float> low_;
  std::vector<float> energy_;
};

// Times of clear attacks in seconds, rising: peaks of the strength. Quick, and enough for
// one-shots.
std::vector<double> pick_onsets(const OnsetStrength& strength);

}  // namespace samplemind::audio
