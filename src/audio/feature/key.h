// Key and mode by correlation of a pitch-class profile with key profiles: spectral peaks of long
// frames, tuning corrected, each peak counting for the pitch it would be a harmonic of (Gomez,
// "Tonal description of polyphonic audio", 2006), compared with the profiles of Sha'ath
// ("Estimation of key in digital music recordings", 2011).
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/dsp/frames.h"

namespace samplemind::audio {

inline constexpr int kKeyRateHz = 22050;

struct Key {
  int tonic = 0;  // 0 = C
  bool minor = false;
  double confidence = 0;     // 0..1
  std::string name() const;  // "F# minor"
};

// Accumulates frames of kSpec. Not thread-safe.
class KeyProfile final : public FrameSink {
 public:
  static constexpr FrameSpec kSpec{
      .size = 8192, .hop = 4096, .window = Window::kBlackmanHarris, .centred = false};
  KeyProfile();
  void take(const FrameBlock& block) override;
  // Nothing when there is no tonal content to speak of.
  std::optional<Key> key() const;
  double tuning_cents() const;  // -50..50 against A4 = 440 Hz

 private:
  void frame();
  std::vector<float> magnitude_;
  std::array<double, 120> fine_{};  // ten steps a semitone, all octaves folded
  double tonal_ = 0;                // energy in peaks
  double total_ = 0;                // all energy
};

}  // namespace samplemind::audio
