#include "audio/feature/rhythm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "audio/dsp/fft.h"

namespace samplemind::audio {

namespace {

constexpr size_t kBands = 48;
constexpr double kBandLowHz = 30;
constexpr double kBandHighHz = 10500;
constexpr size_t kLag = 2;           // frames between the two spectra compared (about 20 ms)
constexpr float kCompression = 100;  // log(1 + c x)
constexpr double kTempoMin = 40;
constexpr double kTempoMax = 240;

double mel(double hz) {
  return 2595 * std::log10(1 + hz / 700);
}
double hertz(double m) {
  return 700 * (std::pow(10, m / 2595) - 1);
}

float mean(std::span<const float> v) {
  return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0f) / static_cast<float>(v.size());
}

}  // namespace

OnsetStrength::OnsetStrength() {
  constexpr size_t kBins = kRhythmFrame / 2 + 1;
  const double mel_low = mel(kBandLowHz);
  const double mel_step = (mel(kBandHighHz) - mel_low) / (kBands + 1);
  const double bin_hz = static_cast<double>(kRhythmRateHz) / kRhythmFrame;
  for (size_t b = 0; b < kBands; ++b) {
    const double left = hertz(mel_low + mel_step * static_cast<double>(b));
    const double centre = hertz(mel_low + mel_step * static_cast<double>(b + 1));
    const double right = hertz(mel_low + mel_step * static_cast<double>(b + 2));
    Band band;
    // Low triangles can be narrower than a bin: every band takes the bin nearest to its centre at
    // least.
    const auto first =
        static_cast<size_t>(std::min(std::ceil(left / bin_hz), std::round(centre / bin_hz)));
    const auto last =
        static_cast<size_t>(std::max(std::floor(right / bin_hz), std::round(centre / bin_hz)));
    band.first = first;
    for (size_t k = first; k <= std::min(last, kBins - 1); ++k) {
      const double hz = static_cast<double>(k) * bin_hz;
      const double w =
          hz < centre ? (hz - left) / (centre - left) : (right - hz) / (right - centre);
      band.weights.push_back(static_cast<float>(std::max(w, 0.1)));
    }
    if (centre < 150) low_bands_ = b + 1;
    bands_.push_back(std::move(band));
  }
}

void OnsetStrength::take(const FrameBlock& block) {
  // By an eighth, not by doubling: of six hours the unused half would be 16 MB.
  for (std::vector<float>* curve : {&full_, &low_}) {
    if (curve->size() + kLanes > curve->capacity())
      curve->reserve(curve->capacity() + std::max<size_t>(4096, curve->capacity() / 8));
  }
  std::array<std::vector<float>, kLanes> levels;
  for (auto& l : levels) l.resize(kBands);
  for (size_t b = 0; b < kBands; ++b) {
    float sum[kLanes] = {};
    const float* m = block.magnitude + bands_[b].first * kLanes;
    for (const float w : bands_[b].weights) {
      for (size_t l = 0; l < kLanes; ++l) sum[l] += w * m[l];
      m += kLanes;
    }
    for (size_t l = 0; l < kLanes; ++l)
      levels[l][b] = std::log1p(kCompression * sum[l] / (kRhythmFrame / 4.0f));
  }
  for (size_t l = 0; l < block.count; ++l) {
    const float* hop = block.samples + l * kRhythmHop + kRhythmFrame / 2;
    double square = 0;
    for (size_t i = 0; i < kRhythmHop; ++i) square += static_cast<double>(hop[i]) * hop[i];
    if (energy_.size() < kEnergyMax)
      energy_.push_back(static_cast<float>(std::sqrt(square / kRhythmHop)));
    frame(std::move(levels[l]));
  }
}

void OnsetStrength::frame(std::vector<float> levels) {
  float full = 0;
  float low = 0;
  if (history_.size() == kLag) {
    const std::vector<float>& before = history_.front();
    for (size_t b = 0; b < kBands; ++b) {
      float reference = before[b];
      if (b > 0) reference = std::max(reference, before[b - 1]);
      if (b + 1 < kBands) reference = std::max(reference, before[b + 1]);
      const float rise = std::max(0.0f, levels[b] - reference);
      full += rise;
      if (b < low_bands_) low += rise;
    }
    history_.erase(history_.begin());
  }
  history_.push_back(std::move(levels));
  if (frames_ < kLag) {
    // The very first frames compare with silence: a sound that begins at once has its onset there.
    full = std::accumulate(history_.back().begin(), history_.back().end(), 0.0f) *
           (frames_ == 0 ? 0.7f : 0.3f);
    low = std::accumulate(history_.back().begin(),
                          history_.back().begin() + static_cast<ptrdiff_t>(low_bands_), 0.0f) *
          (frames_ == 0 ? 0.7f : 0.3f);
  }
  ++frames_;
  full_.push_back(full / kBands);
  low_.push_back(low / static_cast<float>(low_bands_));
}

std::vector<double> pick_onsets(const OnsetStrength& strength) {
  const std::vector<float>& s = strength.full();
  const auto n = static_cast<ptrdiff_t>(s.size());
  std::vector<double> onsets;
  if (n == 0) return onsets;
  const float peak = *std::max_element(s.begin(), s.end());
  if (peak < 0.02f) return onsets;
  const float floor = std::max(0.02f, 0.06f * peak);
  constexpr ptrdiff_t kBefore = 3, kAfter = 3, kMeanBefore = 12, kMeanAfter = 8;
  double last = -1;
  for (ptrdiff_t i = 0; i < n; ++i) {
    const auto range = [&](ptrdiff_t back, ptrdiff_t ahead) {
      const ptrdiff_t a = std::max<ptrdiff_t>(0, i - back);
      const ptrdiff_t b = std::min(n, i + ahead + 1);
      return std::span<const float>(s).subspan(static_cast<size_t>(a), static_cast<size_t>(b - a));
    };
    const auto near = range(kBefore, kAfter);
    if (s[static_cast<size_t>(i)] < *std::max_element(near.begin(), near.end())) continue;
    if (s[static_cast<size_t>(i)] < mean(range(kMeanBefore, kMeanAfter)) + floor) continue;
    const double t = static_cast<double>(i) / kRhythmFps;
    if (last >= 0 && t - last < 0.03) continue;
    onsets.push_back(t);
    last = t;
  }
  return onsets;
}

namespace {

// Autocorrelation of a mean-free, half-wave rectified curve at lags 0..lag_max, normalised by lag 0
// and by overlap.
std::vector<double> autocorrelation(std::span<const float> curve, size_t lag_max) {
  const size_t n = curve.size();
  size_t size = 4;
  while (size < n + lag_max + 1) size *= 2;
  if (size > (1u << 20)) {  // a very long file: its middle says enough about its tempo
    const size_t keep = (1u << 19);
    return autocorrelation(curve.subspan((n - keep) / 2, keep), lag_max);
  }
  // By FFT: |F|^2 is even and real, so its inverse is another forward transform.
  const RealFft fft(size);
  std::vector<float> padded(size, 0);
  std::copy(curve.begin(), curve.end(), padded.begin());
  std::vector<std::complex<float>> spectrum(fft.bins());
  std::vector<std::complex<float>> work(size / 2);
  fft.transform(padded, spectrum, work);
  for (size_t k = 0; k < fft.bins(); ++k) {
    const float power = std::norm(spectrum[k]);
    padded[k] = power;
    if (k > 0 && k < size / 2) padded[size - k] = power;
  }
  fft.transform(padded, spectrum, work);
  std::vector<double> r(lag_max + 1, 0);
  const double zero = spectrum[0].real();
  if (zero <= 0) return r;
  for (size_t lag = 0; lag <= lag_max; ++lag) {
    const double overlap = lag < n ? static_cast<double>(n - lag) / static_cast<double>(n) : 0;
    // Half-way between biased and unbiased: long lags of a short file rest on little.
    if (overlap > 0.1) r[lag] = spectrum[lag % fft.bins()].real() / zero / std::sqrt(overlap);
  }
  return r;
}

double at(const std::vector<double>& r, double lag) {
  const auto i = static_cast<size_t>(lag);
  if (i + 1 >= r.size()) return 0;
  const double f = lag - static_cast<double>(i);
  return r[i] * (1 - f) + r[i + 1] * f;
}

// The largest value within a relative distance of a lag: human timing and rounding move peaks a
// little.
double around(const std::vector<double>& r, double lag, double tolerance) {
  double best = 0;
  for (double d = -tolerance; d <= tolerance + 1e-9; d += tolerance / 2)
    best = std::max(best, at(r, lag * (1 + d)));
  return best;
}

std::vector<float> smoothed_and_centred(const std::vector<float>& curve) {
  // Local mean over a second removed, so that loud passages do not outweigh quiet ones.
  const size_t n = curve.size();
  const size_t half = static_cast<size_t>(kRhythmFps / 2);
  std::vector<double> sums(n + 1, 0);
  for (size_t i = 0; i < n; ++i) sums[i + 1] = sums[i] + curve[i];
  std::vector<float> out(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t a = i > half ? i - half : 0;
    const size_t b = std::min(n, i + half + 1);
    out[i] = std::max(
        0.0f, curve[i] - static_cast<float>((sums[b] - sums[a]) / static_cast<double>(b - a)));
  }
  std::vector<float> smooth(n);
  for (size_t i = 0; i < n; ++i) {
    const float before = i > 0 ? out[i - 1] : 0;
    const float after = i + 1 < n ? out[i + 1] : 0;
    smooth[i] = 0.25f * before + 0.5f * out[i] + 0.25f * after;
  }
  return smooth;
}

double prior(double bpm) {
  const double octaves = std::log2(bpm / 115);
  return std::exp(-0.5 * octaves * octaves / (0.75 * 0.75));
}

struct Candidate {
  double bpm;
  double score;
};

// Score of every tempo on a logarithmic grid.
std::vector<Candidate> tempo_scores(const std::vector<double>& full,
                                    const std::vector<double>& low) {
  std::vector<Candidate> list;
  for (double bpm = kTempoMin; bpm <= kTempoMax; bpm *= 1.005) {
    const double period = kRhythmFps * 60 / bpm;
    double score = 0;
    constexpr std::array<double, 4> kWeights{1.0, 0.75, 0.35,
                                             0.6};  // beat, two beats, three, a bar of four
    for (size_t k = 0; k < kWeights.size(); ++k) {
      score += kWeights[k] * (around(full, period * static_cast<double>(k + 1), 0.01) +
                              0.5 * around(low, period * static_cast<double>(k + 1), 0.01));
    }
    list.push_back({bpm, score * prior(bpm)});
  }
  return list;
}

// Ellis' dynamic programme: beats near strong onsets, a steady period apart.
std::vector<size_t> track_beats(std::span<const float> curve, double period, double tightness) {
  const size_t n = curve.size();
  double variance = 0;
  for (const float v : curve) variance += static_cast<double>(v) * v;
  const double scale = variance > 0 ? 1 / std::sqrt(variance / static_cast<double>(n)) : 0;
  std::vector<double> total(n);
  std::vector<int64_t> from(n, -1);
  const auto near = static_cast<int64_t>(std::floor(period * 0.5));
  const auto far = static_cast<int64_t>(std::ceil(period * 2));
  std::vector<double> penalty(static_cast<size_t>(far + 1), 0);
  for (int64_t d = near; d <= far; ++d) {
    const double ratio = std::log(std::max<double>(1, static_cast<double>(d)) / period);
    penalty[static_cast<size_t>(d)] = tightness * ratio * ratio;
  }
  for (size_t i = 0; i < n; ++i) {
    const double here = curve[i] * scale;
    double best = 0;
    for (int64_t d = std::max<int64_t>(1, near); d <= far && d <= static_cast<int64_t>(i); ++d) {
      const double score = total[i - static_cast<size_t>(d)] - penalty[static_cast<size_t>(d)];
      if (score > best) {
        best = score;
        from[i] = static_cast<int64_t>(i) - d;
      }
    }
    total[i] = here + best;
  }
  std::vector<size_t> beats;
  if (n == 0) return beats;
  // End at the best frame of the last period and a half.
  const size_t tail = std::min(n, static_cast<size_t>(period * 1.5) + 1);
  auto i = static_cast<int64_t>(
      std::max_element(total.end() - static_cast<ptrdiff_t>(tail), total.end()) - total.begin());
  for (; i >= 0; i = from[static_cast<size_t>(i)]) beats.push_back(static_cast<size_t>(i));
  std::reverse(beats.begin(), beats.end());
  return beats;
}

// Period by least squares through the beats, from the longest stretch without a slip.
double regressed_bpm(const std::vector<size_t>& beats, double bpm) {
  if (beats.size() < 4) return bpm;
  std::vector<double> gaps;
  for (size_t i = 1; i < beats.size(); ++i)
    gaps.push_back(static_cast<double>(beats[i] - beats[i - 1]));
  std::vector<double> sorted = gaps;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2),
                   sorted.end());
  const double median = sorted[sorted.size() / 2];
  double sx = 0, sy = 0, sxx = 0, sxy = 0, count = 0, index = 0;
  for (size_t i = 0; i < beats.size(); ++i) {
    if (i > 0) index += std::max(1.0, std::round(gaps[i - 1] / median));
    const auto y = static_cast<double>(beats[i]);
    sx += index;
    sy += y;
    sxx += index * index;
    sxy += index * y;
    ++count;
  }
  const double slope = (count * sxy - sx * sy) / (count * sxx - sx * sx);
  const double found = 60 * kRhythmFps / slope;
  return std::abs(found / bpm - 1) < 0.06 ? found : bpm;
}

// A loop lasts a whole number of beats: the tempo nearest to the measured one that makes it so.
std::optional<double> loop_bpm(double measured, double duration_s) {
  constexpr std::array<int, 14> kBeats{2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128};
  std::optional<double> best;
  double best_off = 0.035;
  for (const int beats : kBeats) {
    const double bpm = 60.0 * beats / duration_s;
    const double off = std::abs(bpm / measured - 1);
    if (off < best_off) {
      best_off = off;
      best = bpm;
    }
  }
  return best;
}

}  // namespace

std::optional<Rhythm> find_rhythm(const OnsetStrength& strength, double duration_s, bool loop) {
  const std::vector<float> curve = smoothed_and_centred(strength.full());
  const std::vector<float> low_curve = smoothed_and_centred(strength.low());
  const size_t n = curve.size();
  if (static_cast<double>(n) < kRhythmFps * 1.0) return std::nullopt;
  const size_t lag_max = std::min(n - 1, static_cast<size_t>(kRhythmFps * 60 / kTempoMin * 4) + 2);
  const std::vector<double> full = autocorrelation(curve, lag_max);
  const std::vector<double> low = autocorrelation(low_curve, lag_max);
  std::vector<Candidate> scores = tempo_scores(full, low);
  if (loop) {
    // A tempo that fits the length is more likely for a loop.
    for (Candidate& c : scores) {
      const auto fit = loop_bpm(c.bpm, duration_s);
      if (fit && std::abs(*fit / c.bpm - 1) < 0.01) c.score *= 1.15;
    }
  }
  const auto best =
      std::max_element(scores.begin(), scores.end(),
                       [](const Candidate& a, const Candidate& b) { return a.score < b.score; });
  if (best == scores.end() || best->score <= 0) return std::nullopt;

  Rhythm rhythm;
  double bpm = best->bpm;
  std::vector<float> mixed(n);
  for (size_t i = 0; i < n; ++i) mixed[i] = curve[i] + 0.5f * low_curve[i];
  std::vector<size_t> beats = track_beats(mixed, kRhythmFps * 60 / bpm, 100);
  bpm = regressed_bpm(beats, bpm);
  if (loop) {
    if (const auto fit = loop_bpm(bpm, duration_s)) bpm = *fit;
  }
  beats = track_beats(mixed, kRhythmFps * 60 / bpm, 400);
  if (!loop) bpm = regressed_bpm(beats, bpm);
  rhythm.tempo_bpm = bpm;
  // Strength of the pulse itself, and the lead over the best tempo that is no near neighbour.
  const double periodicity = around(full, kRhythmFps * 60 / bpm, 0.02);
  double rival = 0;
  for (const Candidate& c : scores) {
    if (std::abs(std::log2(c.bpm / best->bpm)) > 0.06) rival = std::max(rival, c.score);
  }
  const double lead = 1 - rival / best->score;
  rhythm.confidence = std::clamp(0.75 * periodicity + 0.6 * lead, 0.0, 1.0);
  if (periodicity < 0.05) return std::nullopt;
  for (const size_t b : beats) {
    const double t = static_cast<double>(b) / kRhythmFps;
    if (t <= duration_s) rhythm.beats_s.push_back(t);
  }
  return rhythm;
}

}  // namespace samplemind::audio
