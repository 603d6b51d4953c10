// One sound on its way through the ear (internal to the analyzer): decoded blocks go to the meters
// at the sound's own rate and, as mono at kAnalysisRateHz, to the frame engine, which gives blocks
// of spectra to the features. Only what `parts` need runs; key and rhythm, which a one-shot has
// not, wait until it is clear that the sound is none.
//
// To add a feature: write an accumulator in feature/ (a FrameSink for spectra, or a class with
// feed() for samples), make it a member here, create it in the constructor when its part is asked
// for, and read it in finish(). Values go to Analysis (analyzer.h) and analysis_json.cc.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "audio/analyzer.h"
#include "audio/decode/decoder.h"
#include "audio/dsp/frames.h"
#include "audio/dsp/resample.h"
#include "audio/feature/details.h"
#include "audio/feature/key.h"
#include "audio/feature/level.h"
#include "audio/feature/loudness.h"
#include "audio/feature/profile.h"
#include "audio/feature/rhythm.h"
#include "audio/feature/rhythm_net.h"
#include "base/hash.h"

namespace samplemind::audio {

inline constexpr int kAnalysisRateHz = 22050;
inline constexpr size_t kBlockFrames = 16384;  // at most in a feed()

class Measurement {
 public:
  Measurement(const StreamInfo& info, Parts parts);
  // REQUIRES: at most kBlockFrames.
  void feed(std::span<const float> interleaved, size_t frames);
  Analysis finish();
  size_t frames() const { return frames_; }

 private:
  void mix(std::span<const float> interleaved, size_t frames);
  void spread(std::span<const float> mono);
  void subscribe_music(FrameEngine& engine);
  void start_music();
  void measure_levels(Analysis& a) const;
  void measure_loudness(Analysis& a) const;
  std::string content(const Analysis& a) const;
  void name_kind(Analysis& a) const;
  void hear(Analysis& a);
  void hear_rhythm(Analysis& a);

  StreamInfo info_;
  Parts parts_;
  size_t frames_ = 0;
  float mono_peak_ = 0;

  // At the sound's own rate.
  LevelMeter level_;
  std::optional<Hasher> audio_hash_;
  std::optional<LoudnessMeter> loudness_;

  // Mono at the analysis rate. Features come before the engine that calls them.
  bool mono_wanted_ = false;
  std::vector<float> mono_;
  std::vector<float> head_;  // the first seconds, for a note's pitch
  std::optional<OnsetStrength> strength_;
  std::optional<KeyProfile> key_;
  std::optional<RhythmListener> rhythm_;
  std::optional<SoundProfile> profile_;
  MonoResampler resampler_;
  FrameEngine engine_;
  // Of key_ and rhythm_, when the header does not promise music: they are given what waited once
  // it is longer than a loop, or at the end if the content is no one-shot. 1.5 MB.
  FrameEngine music_engine_;
  bool music_waits_ = false;
  std::vector<float> waiting_;
  DetailMeters details_;  // levels detailed and professional
};

}  // namespace samplemind::audio
