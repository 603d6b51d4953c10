// Tempo, beats and onsets from an onset-strength curve.
//
// Onset strength: log-compressed, mel-spaced spectral flux with a maximum filter over frequency
// (Boeck and Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013). Tempo:
// autocorrelation of onset strength, scored at several multiples of a period, with a log-normal
// prior (Ellis, "Beat tracking by dynamic programming", JNMR 36, 2007, whose dynamic programme also
// places the beats). Loops: a loop's length is a whole number of beats, which settles the tempo to
// a fraction of a per cent.
#pragma once

#include <optional>
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

// Times of note onsets in seconds, rising.
std::vector<double> pick_onsets(const OnsetStrength& strength);

struct Rhythm {
  double tempo_bpm = 0;
  double confidence = 0;  // 0..1: how periodic the onsets are, and how far the best tempo leads
  std::vector<double> beats_s;
};

// `duration_s` is the exact length of the file, `loop` true when it may be a loop cut to whole
// beats. Nothing when there is no pulse to speak of.
std::optional<Rhythm> find_rhythm(const OnsetStrength& strength, double duration_s, bool loop);

}  // namespace samplemind::audio
