// Key and mode. The peaks of long spectra, each measured against its surroundings so that drums and
// noise hardly count, go to the pitch they would be a harmonic of (Gomez, "Tonal description of
// polyphonic audio", 2006); from these pitch classes over time, tuning corrected, follow profiles:
// what sounds, what begins, what the bass plays, which triads are heard, how the sound begins and
// ends, and where chords and bass lead, which tells a key from its relatives. A small network that
// treats all twelve keys alike compares them with what it learnt from composed music
// (models/key.bin, tools/train/rhythm).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audio/dsp/frames.h"

namespace samplemind::audio {

inline constexpr int kKeyRateHz = 22050;

struct Key {
  int tonic = 0;  // 0 = C
  bool minor = false;
  double confidence = 0;         // 0..1: the probability that tonic and mode are right
  std::string name() const;      // "F# minor"
  std::string camelot() const;   // "11A": A is minor, B major
  std::string open_key() const;  // "4m": m is minor, d major
};
// Of a name that name() gives; nothing for any other text. The confidence is 0.
std::optional<Key> parse_key(std::string_view name);

// Profiles of twelve pitch classes, C first, in this order: all voices, bass, how often each
// sounds; all voices, bass, major and minor triads of the first three seconds; the same of the last
// three; major triads, minor triads; the bass's strongest note; what begins in all voices, in the
// bass; major triads over their root, minor triads; arrivals of the chord's root from 1..11
// semitones above; arrivals of the bass from there. A mean of 1, arrivals about 0.3.
inline constexpr size_t kKeyProfiles = 40;
using KeyFeatures = std::array<float, kKeyProfiles * 12>;

// Accumulates frames of kSpec: 72 bytes each (1.4 MB an hour). Not thread-safe.
class KeyProfile final : public FrameSink {
 public:
  static constexpr FrameSpec kSpec{
      .size = 8192, .hop = 4096, .window = Window::kBlackmanHarris, .centred = false};
  KeyProfile();
  void take(const FrameBlock& block) override;
  // Nothing when there is no tonal content to speak of.
  std::optional<Key> key() const;
  // Where the pitches lie against A4 = 440 Hz, -50..50 cents; nothing without tonal content.
  std::optional<double> tuning_cents() const;
  KeyFeatures features() const;

 private:
  static constexpr size_t kSteps = 36;  // three a semitone, octaves folded
  struct Frame {
    std::array<uint8_t, kSteps> upper{};  // of the frame's strongest
    std::array<uint8_t, kSteps> bass{};
  };
  void frame();
  double tuning() const;  // in semitones

  std::vector<float> magnitude_;
  std::vector<double> sums_;
  std::vector<Frame> frames_;
  std::vector<float> weights_;                   // of each frame
  double cosine_ = 0, sine_ = 0, strength_ = 0;  // of the peaks' places within the semitone
};

}  // namespace samplemind::audio
