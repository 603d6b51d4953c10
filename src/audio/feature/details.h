// What levels detailed and professional add: one sound's accumulators for those parts that were
// asked for, and the facts they come to. Internal to Measurement. Not thread-safe.
#pragma once

#include <optional>
#include <span>

#include "audio/analyzer.h"
#include "audio/dsp/frames.h"
#include "audio/feature/envelope.h"
#include "audio/feature/quality.h"
#include "audio/feature/separation.h"
#include "audio/feature/spectrum.h"
#include "audio/parts.h"

namespace samplemind::audio {

class DetailMeters {
 public:
  // The parts that need mono at the analysis rate, and the frames of the engine.
  static constexpr Parts kOnMono{Part::kChroma,   Part::kTimbre, Part::kSpectrum,
                                 Part::kEnvelope, Part::kBands,  Part::kHarmonicPercussive,
                                 Part::kQuality};

  // Subscribes to `engine`, which must not outlive this. Neither copied nor moved.
  DetailMeters(Parts parts, int channels, int analysis_rate_hz, FrameEngine& engine);
  DetailMeters(const DetailMeters&) = delete;
  DetailMeters& operator=(const DetailMeters&) = delete;

  void feed(std::span<const float> interleaved);     // at the sound's own rate
  void feed_full_mono(std::span<const float> mono);  // likewise, mixed
  void feed_mono(std::span<const float> mono);       // at the analysis rate
  // REQUIRES: called once, after everything was fed and what the analysis holds of lower levels is
  // in `a`. `peak` is the largest sample, `true_peak` the same between samples, both linear;
  // 0 when unknown. `strength` is the onset curve at `fps`, empty when unknown.
  void finish(Analysis& a, double peak, double true_peak, std::span<const float> strength,
              double fps);

 private:
  void judge_quality(Analysis& a, double peak, double true_peak) const;

  Parts parts_;
  size_t channels_;
  std::optional<StereoMeter> stereo_;
  std::optional<FaultMeter> faults_;
  std::optional<HumMeter> hum_;
  std::optional<SpectrumMeter> spectrum_;
  std::optional<TimbreMeter> timbre_;
  std::optional<ChromaMeter> chroma_;
  std::optional<EnvelopeMeter> envelope_;
  std::optional<BandMeter> bands_;
  std::optional<SeparationMeter> separation_;
  double mono_square_ = 0;
  size_t mono_samples_ = 0;
};

}  // namespace samplemind::audio
