// What describing a sound (descriptor.h) and naming it (kind.h) work from: log-mel frames of its
// beginning, level in steps of 5 ms, and running statistics of all of it.
//
// Samples give the level, blocks of spectra (dsp/frames.h) the rest: subscribe spectra() and
// pitches() to an engine and give every block of samples to feed() before the engine gets it.
//
// Streaming: memory is bounded (about 0.3 MB) whatever the sound's length. Everything is relative
// to the sound's own peak and to its first audible frame, so that level and leading silence do not
// matter. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "audio/dsp/frames.h"

namespace samplemind::audio {

inline constexpr int kProfileRateHz = 22050;
inline constexpr size_t kProfileFrame = 1024;
inline constexpr size_t kProfileHop = 220;  // 9.98 ms
inline constexpr size_t kMelBands = 40;     // 40 Hz to 10.5 kHz
inline constexpr size_t kProfileFramesMax = 800;
inline constexpr size_t kLevelHop = 110;  // 4.99 ms

using MelFrame = std::array<float, kMelBands>;

class SoundProfile {
 public:
  SoundProfile(const SoundProfile&) = delete;  // the sinks point back
  SoundProfile& operator=(const SoundProfile&) = delete;
  static constexpr FrameSpec kSpectra{.size = kProfileFrame, .hop = kProfileHop};
  static constexpr FrameSpec kPitches{.size = 4096, .hop = 2048};

  SoundProfile();
  FrameSink& spectra() { return spectra_; }  // takes kSpectra
  FrameSink& pitches() { return pitches_; }  // takes kPitches
  void subscribe(FrameEngine& engine) {
    engine.subscribe(kSpectra, spectra_);
    engine.subscribe(kPitches, pitches_);
  }
  void feed(std::span<const float> mono);  // at kProfileRateHz
  void flush();                            // once, before the engine's finish()
  void finish();                           // once, after it

  // False for silence (nothing above -80 dBFS): then nothing below may be called.
  bool audible() const { return audible_; }

  // Frames of the sound's beginning (8 s at most) from its first audible frame on, in dB relative
  // to the loudest of all frames and bands, -70..0. At least one frame.
  std::span<const MelFrame> head() const { return head_; }
  // RMS of steps of kLevelHop from the same moment on, in dB relative to the loudest step, -70..0.
  std::span<const float> level_db() const { return level_db_; }
  // Of the whole sound, each frame weighted by its level: mean and standard deviation in dB.
  const MelFrame& mean_db() const { return mean_db_; }
  const MelFrame& deviation_db() const { return deviation_db_; }
  // Pitch classes from C on, summing to 1, and what share of the energy lies in spectral peaks that
  // stand out (0 noise .. 1 tone).
  const std::array<float, 12>& chroma() const { return chroma_; }
  float tonality() const { return tonality_; }
  // Octaves above 55 Hz of the tonal peaks' centre, 0..6.
  float height() const { return height_; }
  // From the first to the last step within 50 dB of the loudest, over the whole sound.
  double audible_s() const { return audible_s_; }
  // Crossings of zero a second, weighted by energy.
  double zero_crossings_hz() const { return zero_crossings_hz_; }

 private:
  struct SpectrumSink : FrameSink {
    SoundProfile* profile = nullptr;
    void take(const FrameBlock& block) override { profile->take_spectra(block); }
  };
  struct PitchSink : FrameSink {
    SoundProfile* profile = nullptr;
    void take(const FrameBlock& block) override { profile->take_pitches(block); }
  };
  static constexpr size_t kTonalBins = 700;  // power up to 3,768 Hz: all that peaks look at
  using TonalRow = std::array<float, kTonalBins>;

  void take_spectra(const FrameBlock& block);
  void take_pitches(const FrameBlock& block);
  void spectrum_frame(size_t index, const MelFrame& power);
  void pitch_frame(const TonalRow& power, double all, double bin_hz);
  void level_step(std::span<const float> step);
  void cut_head();
  void summarise();

  SpectrumSink spectra_;
  PitchSink pitches_;
  struct Band {
    size_t first = 0;
    std::vector<float> weights;
  };
  static const std::vector<Band>& mel_bands();
  static std::vector<Band> make_mel_bands();

  const std::vector<Band>& bands_;
  std::vector<float> step_;             // samples of the level step that is not full yet
  std::array<TonalRow, kLanes> power_;  // of a block's frames

  static constexpr size_t kLevels = 100;  // 1 dB each, -99..0 dBFS

  size_t steps_ = 0;
  bool begun_ = false;  // something above the floor was heard
  size_t begun_step_ = 0;
  size_t first_frame_ = 0;       // of head_
  std::vector<MelFrame> head_;   // absolute dB until finish()
  std::vector<float> level_db_;  // likewise
  float loudest_band_ = 0;       // power, so far
  float loudest_step_ = 0;       // RMS
  double weight_ = 0;
  std::array<double, kMelBands> sum_{}, squares_{};
  std::array<double, 12> chroma_sum_{};
  double tonal_ = 0, total_ = 0, height_sum_ = 0;
  double crossings_ = 0, crossings_weight_ = 0;
  // The first and last step at each level: gives the audible part at any threshold.
  std::array<size_t, kLevels> first_step_{}, last_step_{};
  std::array<bool, kLevels> level_seen_{};
  float last_sample_ = 0;

  bool audible_ = false;
  MelFrame mean_db_{}, deviation_db_{};
  std::array<float, 12> chroma_{};
  float tonality_ = 0;
  float height_ = 0;
  double audible_s_ = 0;
  double zero_crossings_hz_ = 0;
};

}  // namespace samplemind::audio
