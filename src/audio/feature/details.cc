#include "audio/feature/details.h"

#include <algorithm>
#include <cmath>

#include "audio/dsp/loops.h"
#include "audio/feature/groove.h"
#include "base/error.h"

namespace samplemind::audio {

DetailMeters::DetailMeters(Parts parts, int channels, int analysis_rate_hz, FrameEngine& engine)
    : parts_(parts), channels_(static_cast<size_t>(channels)) {
  SM_ASSERT(analysis_rate_hz == kDetailRateHz);
  if (channels == 2 && parts.any({Part::kStereo, Part::kQuality})) stereo_.emplace();
  if (parts.has(Part::kQuality)) {
    faults_.emplace(channels);
    engine.subscribe(HumMeter::kSpec, hum_.emplace());
  }
  if (parts.has(Part::kSpectrum)) engine.subscribe(kDetailSpec, spectrum_.emplace());
  if (parts.has(Part::kTimbre)) engine.subscribe(kDetailSpec, timbre_.emplace());
  if (parts.has(Part::kChroma)) engine.subscribe(kDetailSpec, chroma_.emplace());
  if (parts.any({Part::kEnvelope, Part::kQuality}))
    engine.subscribe(kDetailSpec, envelope_.emplace(analysis_rate_hz));
  if (parts.has(Part::kBands)) engine.subscribe(kDetailSpec, bands_.emplace());
  if (parts.has(Part::kHarmonicPercussive)) engine.subscribe(kDetailSpec, separation_.emplace());
}

void DetailMeters::feed(std::span<const float> interleaved) {
  if (stereo_) stereo_->feed(interleaved);
  if (faults_) faults_->feed(interleaved);
}

void DetailMeters::feed_full_mono(std::span<const float> mono) {
  if (!bands_) return;
  mono_square_ += sum_of_squares(mono.data(), mono.size());
  mono_samples_ += mono.size();
}

void DetailMeters::feed_mono(std::span<const float> mono) {
  if (envelope_) envelope_->feed(mono);
}

void DetailMeters::finish(Analysis& a, double peak, double true_peak,
                          std::span<const float> strength, double fps) {
  if (spectrum_) a.spectrum = spectrum_->facts();
  if (timbre_) a.timbre = timbre_->facts();
  if (chroma_) a.chroma = chroma_->facts();
  if (parts_.has(Part::kEnvelope)) a.envelope = envelope_->facts(a.content == "oneshot");
  if (parts_.has(Part::kStereo) && stereo_) a.stereo = stereo_->facts();
  if (bands_)
    a.bands =
        bands_->facts(mono_samples_ > 0 ? mono_square_ / static_cast<double>(mono_samples_) : 0);
  if (separation_) a.harmonic_percussive = separation_->finish();
  if (parts_.has(Part::kOnsets) && !strength.empty()) {
    CurveMeter curve(CurveMeter::Join::kMost);
    for (const float s : strength) curve.add(s);
    a.onset_strength = curve.curve(1 / fps, [](double v) { return v; });
  }
  if (parts_.has(Part::kGroove))
    a.groove = find_groove(strength, fps, a.beats_s, a.downbeats_s, a.onsets_s, a.time_signature);
  if (parts_.has(Part::kQuality)) judge_quality(a, peak, true_peak);
}

void DetailMeters::judge_quality(Analysis& a, double peak, double true_peak) const {
  QualityFacts q;
  q.clipped_runs = faults_->clipped_runs();
  q.clipped_share = faults_->clipped_share();
  q.dc_offset = faults_->dc_offset();
  if (const auto hum = hum_->hum()) {
    q.hum_hz = hum->hz;
    q.hum_db = hum->db;
  }
  // Of a single hit the quietest part is its end, not a noise floor.
  if (a.content && *a.content != "oneshot") q.noise_floor_dbfs = envelope_->level_percentile(0.05);
  if (stereo_) q.mono_loss_db = stereo_->mono_loss_db();
  if (peak > 0 && true_peak > 0)
    q.intersample_db = std::max(0.0, 20 * std::log10(true_peak / peak));
  if (q.clipped_runs > 0) q.issues.emplace_back("clipping");
  if (std::abs(q.dc_offset) > 0.01 && peak > 0) q.issues.emplace_back("dc_offset");
  if (q.hum_hz) q.issues.emplace_back("hum");
  if (q.noise_floor_dbfs && *q.noise_floor_dbfs > -45 && a.rms_dbfs &&
      *a.rms_dbfs - *q.noise_floor_dbfs > 12 && a.spectrum && a.spectrum->flatness.mean > 0.2)
    q.issues.emplace_back("noise");
  if (q.mono_loss_db && *q.mono_loss_db > 6) q.issues.emplace_back("mono");
  if (true_peak > 1) q.issues.emplace_back("intersample_peaks");
  a.quality = std::move(q);
}

}  // namespace samplemind::audio
