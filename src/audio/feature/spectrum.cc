#include "audio/feature/spectrum.h"

#include <cmath>
#include <numbers>

#include "audio/dsp/loops.h"

namespace samplemind::audio {

namespace {

constexpr size_t kMelCount = 128;
constexpr size_t kDeltaReach = 4;  // frames on either side

double mel_of(double hz) {  // Slaney's: linear to 1 kHz, logarithmic above
  return hz < 1000 ? hz * 3 / 200 : 15 + std::log(hz / 1000) * 27 / std::log(6.4);
}
double hz_of(double mel) {
  return mel < 15 ? mel * 200 / 3 : 1000 * std::exp((mel - 15) * std::log(6.4) / 27);
}

// As librosa.feature.spectral_contrast: below 200 Hz, then octaves; 2 % of a band's bins are its
// peak, 2 % its valley.
std::array<ContrastBand, kContrastBands> contrast_bands(const FrameBlock& block) {
  std::array<ContrastBand, kContrastBands> bands;
  double low = 0, high = 200;
  for (size_t b = 0; b < kContrastBands; ++b) {
    size_t first = 0;
    while (block.bin_hz(first) < low) ++first;
    size_t end = first;
    while (end < block.bins && block.bin_hz(end) <= high) ++end;
    if (b > 0) --first;
    if (b + 1 == kContrastBands) end = block.bins;
    const auto extremes = std::max(1L, std::lrint(0.02 * static_cast<double>(end - first)));
    if (b + 1 < kContrastBands) --end;
    bands[b] = {static_cast<uint32_t>(first), static_cast<uint32_t>(end),
                static_cast<uint32_t>(std::min(extremes, 16L))};
    low = high;
    high *= 2;
  }
  return bands;
}

}  // namespace

void SpectrumMeter::take(const FrameBlock& block) {
  const auto bands = contrast_bands(block);
  SpectrumShapes s;
  spectrum_shapes(block.magnitude, block.bins, bands.data(), s);
  const double bin_hz = block.bin_hz(1);
  for (size_t l = 0; l < block.count; ++l) {
    centroid_.add(s.centroid[l] * bin_hz);
    bandwidth_.add(s.bandwidth[l] * bin_hz);
    rolloff_.add(s.rolloff[l] * bin_hz);
    flatness_.add(std::min(1.0f, s.flatness[l]));
    for (size_t b = 0; b < kContrastBands; ++b) contrast_[b].add(s.contrast_db[b][l]);
    // The hop around the frame's centre: hops follow each other without gaps.
    const float* x = block.samples + l * block.spec.hop + block.spec.size / 2;
    crossings_ += sign_changes(x, block.spec.hop);
    samples_ += block.spec.hop;
  }
}

SpectrumFacts SpectrumMeter::facts() const {
  SpectrumFacts f;
  f.centroid_hz = centroid_.spread();
  f.bandwidth_hz = bandwidth_.spread();
  f.rolloff_hz = rolloff_.spread();
  f.flatness = flatness_.spread();
  for (size_t b = 0; b < kContrastBands; ++b) f.contrast_db[b] = contrast_[b].spread();
  if (samples_ > 0)
    f.zero_crossing_rate = static_cast<double>(crossings_) / static_cast<double>(samples_);
  return f;
}

TimbreMeter::TimbreMeter()
    : tables_([]() -> const Tables& {
        static const Tables tables = make_tables(kDetailRateHz);
        return tables;
      }()) {}

TimbreMeter::Tables TimbreMeter::make_tables(int rate_hz) {
  Tables t;
  const size_t bins = kDetailSpec.size / 2 + 1;
  const double bin_hz = static_cast<double>(rate_hz) / static_cast<double>(kDetailSpec.size);
  const double mel_step = mel_of(rate_hz / 2.0) / (kMelCount + 1);
  for (size_t b = 0; b < kMelCount; ++b) {
    const double left = hz_of(mel_step * static_cast<double>(b));
    const double centre = hz_of(mel_step * static_cast<double>(b + 1));
    const double right = hz_of(mel_step * static_cast<double>(b + 2));
    WeightedBand band;
    for (size_t k = 0; k < bins; ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      const double w = std::min((hz - left) / (centre - left), (right - hz) / (right - centre));
      if (w <= 0) continue;
      if (band.count == 0) band.first = static_cast<uint32_t>(k);
      ++band.count;
      t.weights.push_back(static_cast<float>(w * 2 / (right - left)));
    }
    t.bands.push_back(band);
  }
  for (size_t c = 0; c < kMfccCount; ++c) {
    const double scale = std::sqrt((c == 0 ? 1.0 : 2.0) / kMelCount);
    for (size_t b = 0; b < kMelCount; ++b) {
      t.cosines.push_back(
          static_cast<float>(scale * std::cos(std::numbers::pi * static_cast<double>(c) *
                                              (static_cast<double>(b) + 0.5) / kMelCount)));
    }
  }
  return t;
}

void TimbreMeter::take(const FrameBlock& block) {
  alignas(64) float levels[kMelCount * kLanes];
  alignas(64) float mfcc[kMfccCount * kLanes];
  band_levels_db(block.magnitude, tables_.bands.data(), tables_.weights.data(), kMelCount, levels);
  matrix_times(tables_.cosines.data(), kMfccCount, kMelCount, levels, mfcc);
  for (size_t l = 0; l < block.count; ++l) {
    auto& now = recent_[frames_ % recent_.size()];
    for (size_t c = 0; c < kMfccCount; ++c) {
      now[c] = mfcc[c * kLanes + l];
      mfcc_[c].add(now[c]);
    }
    ++frames_;
    if (frames_ < recent_.size()) continue;
    // The slope of a straight line through nine frames.
    for (size_t c = 0; c < kMfccCount; ++c) {
      double slope = 0;
      for (size_t d = 1; d <= kDeltaReach; ++d) {
        const double after = recent_[(frames_ - 1 - (kDeltaReach - d)) % recent_.size()][c];
        const double before = recent_[(frames_ - 1 - (kDeltaReach + d)) % recent_.size()][c];
        slope += static_cast<double>(d) * (after - before);
      }
      delta_[c].add(slope / 60);
    }
  }
}

TimbreFacts TimbreMeter::facts() const {
  TimbreFacts f;
  for (size_t c = 0; c < kMfccCount; ++c) {
    f.mfcc_mean[c] = mfcc_[c].spread().mean;
    f.mfcc_deviation[c] = mfcc_[c].spread().deviation;
    f.delta_mean[c] = delta_[c].spread().mean;
    f.delta_deviation[c] = delta_[c].spread().deviation;
  }
  return f;
}

// As librosa.filters.chroma: a Gaussian a semitone wide around each pitch class, weighted towards
// the octaves around 440 Hz.
std::vector<float> ChromaMeter::make_weights(int rate_hz) {
  std::vector<float> weights;
  const size_t bins = kDetailSpec.size / 2 + 1;
  const double bin_hz = static_cast<double>(rate_hz) / static_cast<double>(kDetailSpec.size);
  const auto place = [&](size_t k) {  // in semitones above A at 27.5 Hz
    if (k == 0) return 12 * std::log2(bin_hz / 27.5) - 18;
    return 12 * std::log2(static_cast<double>(k) * bin_hz / 27.5);
  };
  for (size_t k = 0; k < bins; ++k) {
    const double width = std::max(1.0, place(k + 1) - place(k));
    std::array<double, 12> w{};
    double squares = 0;
    for (size_t c = 0; c < 12; ++c) {
      // Classes count from A here, from C in what is stored.
      double d = std::fmod(place(k) - static_cast<double>(c) + 6 + 120, 12) - 6;
      w[c] = std::exp(-0.5 * (2 * d / width) * (2 * d / width));
      squares += w[c] * w[c];
    }
    const double octave = (place(k) / 12 - 5) / 2;
    const double gain = std::exp(-0.5 * octave * octave) / std::sqrt(squares);
    for (size_t c = 0; c < 12; ++c) weights.push_back(static_cast<float>(w[(c + 3) % 12] * gain));
  }
  return weights;
}

ChromaMeter::ChromaMeter()
    : weights_([]() -> const std::vector<float>& {
        static const std::vector<float> weights = make_weights(kDetailRateHz);
        return weights;
      }()) {}

void ChromaMeter::take(const FrameBlock& block) {
  alignas(64) float chroma[12 * kLanes];
  twelve_sums(block.magnitude, block.bins, weights_.data(), chroma);
  for (size_t l = 0; l < block.count; ++l) {
    float most = 0;
    for (size_t c = 0; c < 12; ++c) most = std::max(most, chroma[c * kLanes + l]);
    ++frames_;
    if (most < 1e-12f) continue;
    for (size_t c = 0; c < 12; ++c) {
      sum_[c] += chroma[c * kLanes + l] / most;
      energy_[c] += chroma[c * kLanes + l];
    }
  }
}

ChromaFacts ChromaMeter::facts() const {
  ChromaFacts f;
  double total = 0;
  for (const double e : energy_) total += e;
  for (size_t c = 0; c < 12; ++c) {
    if (frames_ > 0) f.chroma[c] = sum_[c] / static_cast<double>(frames_);
    if (total > 0) f.pitch_classes[c] = energy_[c] / total;
  }
  return f;
}

}  // namespace samplemind::audio
