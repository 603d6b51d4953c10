// A small network that says, fifty times a second, how likely a beat, a first beat of a bar and an
// onset are, and for the whole how likely each tempo and metre. Its weights (models/rhythm.bin)
// come from tools/train/rhythm; what it hears is in rhythm_bands.h. It knows sounds by their shape,
// not their level: the same sound 20 dB quieter gives the same answer.
//
// Layers: two convolutions over time (three frames each), nine residual blocks of dilated
// convolutions that see 10 s to either side, a linear head per frame, and a pooled head per
// stretch of 20 s. About 120,000 multiplications a frame.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "audio/feature/rhythm_bands.h"

namespace samplemind::audio {

inline constexpr size_t kRhythmTempi = 62;
// The tempo of a class in BPM: 40 to 249 in steps of 3 per cent.
double rhythm_class_bpm(size_t index);

enum class Meter : uint8_t { k2_4, k2_2, k3_4, k4_4, k6_8 };
inline constexpr size_t kMeters = 5;

// What the bar network (bars.h) needs of each frame: rises and levels of ten bands, twelve pitch
// classes, as bytes (2.6 of the network's scale over 255; levels and classes from -1 on).
inline constexpr size_t kBarRises = 10, kBarLevels = 10, kBarChroma = 12;
inline constexpr size_t kBarBands = kBarRises + kBarLevels + kBarChroma;
inline constexpr size_t kBarFramesMax = 1200 * 50;  // 20 minutes, 1.9 MB

// What the network says of a sound. Probabilities 0..1; frame i belongs to i / kRhythmBandsFps.
struct RhythmActivity {
  std::vector<float> beat;
  std::vector<float> downbeat;
  std::vector<float> onset;                  // two a frame: i belongs to i / (2 kRhythmBandsFps)
  std::array<double, kRhythmTempi> tempo{};  // mean log-probabilities
  std::array<double, kMeters> meter{};
  std::vector<uint8_t> bands;  // kBarBands a frame, of the first kBarFramesMax frames
};

// The network over whole rows of kRhythmInputs band levels (rhythm_bands.h): what a listener
// answers for a sound that has them. For tests.
RhythmActivity evaluate_rhythm_rows(std::vector<float> rows);

// Runs on band levels as they come; memory for a chunk of about three minutes besides the answer.
// Not thread-safe; the weights are shared by all listeners. The answer does not depend on how the
// sound was cut into calls.
class RhythmListener {
 public:
  RhythmListener();
  ~RhythmListener();
  RhythmListener(const RhythmListener&) = delete;
  RhythmListener& operator=(const RhythmListener&) = delete;
  void subscribe(FrameEngine& engine) { bands_.subscribe(engine); }
  // Hears what has come; call it after the engine's feed().
  void pump();
  // After the engine's finish(). REQUIRES: called once.
  void finish();
  const RhythmActivity& activity() const { return activity_; }

 private:
  friend RhythmActivity evaluate_rhythm_rows(std::vector<float> rows);
  struct Buffers;
  void run(size_t frames, size_t core_begin, size_t core_end);
  void keep_bands(size_t begin, size_t end);

  RhythmBands bands_;
  std::vector<float> pending_;  // rows not yet answered, after `context_` rows that were
  size_t context_ = 0;
  std::unique_ptr<Buffers> buffers_;
  RhythmActivity activity_;
  double pooled_frames_ = 0;
};

}  // namespace samplemind::audio
