#include "audio/picture/curves_internal.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "audio/decode/decoder.h"
#include "audio/dsp/resample.h"

namespace samplemind::audio {

namespace {

constexpr int kRateHz = 22050;
constexpr size_t kWaveStep = 64;
constexpr FrameSpec kLong{.size = 4096, .hop = 512, .window = Window::kBlackmanHarris};
constexpr FrameSpec kLongOfShort{.size = 4096, .hop = 128, .window = Window::kBlackmanHarris};
constexpr double kTempoWindow_s = 8, kTempoHop_s = 0.5;

// The shorter the sound, the closer it is looked at.
FrameSpec spectrum_spec(double seconds) {
  if (seconds > 0 && seconds < 6) return {.size = 1024, .hop = 64};
  return {.size = 2048, .hop = 256};
}
FrameSpec pitch_spec(double seconds) {
  return seconds > 0 && seconds < 6 ? kLongOfShort : kLong;
}
double step_of(const FrameSpec& spec) {
  return static_cast<double>(spec.hop) / kRateHz;
}

float decibels(double power) {
  return static_cast<float>(10 * std::log10(power + 1e-12));
}
double mel(double hz) {
  return 2595 * std::log10(1 + hz / 700);
}
double hertz(double value) {
  return 700 * (std::pow(10, value / 2595) - 1);
}

// Mel spectrum and, from its rises, onset strength and the tempogram.
class ShortSink : public FrameSink {
 public:
  ShortSink(Curves& curves, const FrameSpec& spec)
      : curves_(curves),
        step_s_(step_of(spec)),
        window_(static_cast<size_t>(kTempoWindow_s / step_s_)),
        hop_(static_cast<size_t>(kTempoHop_s / step_s_)) {
    const double step = (mel(kPictureHighHz) - mel(kPictureLowHz)) / (kPictureMelBands + 1);
    const double bin_hz = static_cast<double>(kRateHz) / static_cast<double>(spec.size);
    for (size_t b = 0; b < kPictureMelBands; ++b) {
      const double left = hertz(mel(kPictureLowHz) + step * static_cast<double>(b));
      const double centre = hertz(mel(kPictureLowHz) + step * static_cast<double>(b + 1));
      const double right = hertz(mel(kPictureLowHz) + step * static_cast<double>(b + 2));
      Band band;
      band.first = static_cast<size_t>(left / bin_hz);
      double sum = 0;
      for (size_t k = band.first; static_cast<double>(k) * bin_hz < right + bin_hz; ++k) {
        const double hz = static_cast<double>(k) * bin_hz;
        // At least a bin wide, so that no band is empty.
        const double rise = std::max(centre - left, bin_hz),
                     fall = std::max(right - centre, bin_hz);
        const double w =
            std::max(0.0, hz < centre ? 1 - (centre - hz) / rise : 1 - (hz - centre) / fall);
        band.weights.push_back(static_cast<float>(w));
        sum += w;
      }
      for (float& w : band.weights) w = static_cast<float>(w / std::max(sum, 1e-9));
      bands_.push_back(std::move(band));
    }
  }
  void take(const FrameBlock& block) override {
    const auto size = static_cast<double>(block.spec.size);
    const double scale = 16 / (size * size);
    for (size_t l = 0; l < block.count; ++l) {
      std::array<float, kPictureMelBands> now;
      for (size_t b = 0; b < kPictureMelBands; ++b) {
        double sum = 0;
        for (size_t i = 0; i < bands_[b].weights.size(); ++i) {
          const float m = block.magnitude[(bands_[b].first + i) * kLanes + l];
          sum += bands_[b].weights[i] * m * m;
        }
        now[b] = decibels(sum * scale);
      }
      curves_.mel.add(now.data());
      float flux = 0;
      for (size_t b = 0; b < kPictureMelBands; ++b)
        flux += std::max(0.0f, std::max(now[b], -70.0f) - std::max(before_[b], -70.0f));
      flux /= kPictureMelBands;
      before_ = now;
      curves_.flux.add(&flux);
      strength_.push_back(flux);
      if (strength_.size() == window_) tempo_column();
    }
  }
  void finish() {
    if (strength_.size() >= window_ / 4) tempo_column();
  }

 private:
  struct Band {
    size_t first = 0;
    std::vector<float> weights;
  };
  // Autocorrelation of the last seconds' onset strength at each tempo's period.
  void tempo_column() {
    const size_t n = strength_.size();
    double mean = 0;
    for (const float s : strength_) mean += s / static_cast<double>(n);
    double zero = 1e-9;
    std::vector<double> x(n);
    for (size_t i = 0; i < n; ++i) {
      x[i] = strength_[i] - mean;
      zero += x[i] * x[i];
    }
    std::array<float, kTempogramRows> column{};
    for (size_t r = 0; r < kTempogramRows; ++r) {
      const double bpm =
          kTempogramLowBpm * std::pow(kTempogramHighBpm / kTempogramLowBpm,
                                      (static_cast<double>(r) + 0.5) / kTempogramRows);
      const double lag = 60 / bpm / step_s_;
      const auto whole = static_cast<size_t>(lag);
      if (whole + 1 >= n) continue;
      double low = 0, high = 0;
      for (size_t i = 0; i + whole + 1 < n; ++i) {
        low += x[i] * x[i + whole];
        high += x[i] * x[i + whole + 1];
      }
      const double part = lag - static_cast<double>(whole);
      column[r] = static_cast<float>(std::max(0.0, (low * (1 - part) + high * part) / zero));
    }
    // The first column stands for the first half window too.
    const size_t repeat = curves_.tempogram.empty() && !begun_ ? window_ / hop_ / 2 : 1;
    begun_ = true;
    for (size_t i = 0; i < repeat; ++i) curves_.tempogram.add(column.data());
    strength_.erase(strength_.begin(),
                    strength_.begin() + static_cast<ptrdiff_t>(std::min(hop_, n)));
  }
  Curves& curves_;
  double step_s_;
  size_t window_, hop_;  // of the tempogram, in steps
  std::vector<Band> bands_;
  std::array<float, kPictureMelBands> before_{};
  std::vector<float> strength_;
  bool begun_ = false;
};

// Log-frequency spectrum and chroma.
class LongSink : public FrameSink {
 public:
  explicit LongSink(Curves& curves) : curves_(curves) {}
  void take(const FrameBlock& block) override {
    constexpr float kScale = 31.0f / (kLong.size * kLong.size);
    const double bin_hz = static_cast<double>(kRateHz) / kLong.size;
    for (size_t l = 0; l < block.count; ++l) {
      std::array<float, kPictureLogBands> bands;
      for (size_t r = 0; r < kPictureLogBands; ++r) {
        const auto edge = [&](double row) {
          return kPictureLowHz * std::pow(kPictureHighHz / kPictureLowHz, row / kPictureLogBands) /
                 bin_hz;
        };
        const double from = edge(static_cast<double>(r)), to = edge(static_cast<double>(r) + 1);
        double most = 0;
        if (to - from < 1) {  // between two bins
          const double at = (from + to) / 2;
          const auto k = static_cast<size_t>(at);
          const double part = at - static_cast<double>(k);
          const float a = block.magnitude[k * kLanes + l],
                      b = block.magnitude[(k + 1) * kLanes + l];
          most = std::pow(a * (1 - part) + b * part, 2);
        } else {
          for (auto k = static_cast<size_t>(from); k <= static_cast<size_t>(to) && k < block.bins;
               ++k) {
            const double m = block.magnitude[k * kLanes + l];
            most = std::max(most, m * m);
          }
        }
        bands[r] = decibels(most * kScale);
      }
      curves_.log.add(bands.data());
      chroma(block, l, bin_hz);
    }
  }

 private:
  void chroma(const FrameBlock& block, size_t l, double bin_hz) {
    std::array<float, 12> classes{};
    const auto first = static_cast<size_t>(60 / bin_hz), last = static_cast<size_t>(4000 / bin_hz);
    for (size_t k = first; k <= last; ++k) {
      const float m = block.magnitude[k * kLanes + l];
      if (m <= block.magnitude[(k - 1) * kLanes + l] || m < block.magnitude[(k + 1) * kLanes + l])
        continue;
      const double pitch = 12 * std::log2(static_cast<double>(k) * bin_hz / 440) + 69;
      classes[static_cast<size_t>(std::lround(pitch)) % 12] += m;
    }
    const float most = *std::max_element(classes.begin(), classes.end());
    // Below -75 dBFS there is nothing to show.
    if (most * std::sqrt(31.0f) / kLong.size > 1.8e-4f) {
      for (float& c : classes) c /= most;
    } else {
      classes.fill(0);
    }
    curves_.chroma.add(classes.data());
  }
  Curves& curves_;
};

}  // namespace

void Columns::combine(float& to, float from) const {
  switch (merge_) {
    case Merge::kMean:
      to += from;
      break;
    case Merge::kMaximum:
      to = std::max(to, from);
      break;
    case Merge::kMinimum:
      to = std::min(to, from);
      break;
  }
}

void Columns::add(const float* values) {
  for (size_t r = 0; r < rows_; ++r) {
    if (pending_count_ == 0)
      pending_[r] = values[r];
    else
      combine(pending_[r], values[r]);
  }
  if (++pending_count_ == merged_) finish();
  if (size() >= columns_max_) halve();
}

void Columns::finish() {
  if (pending_count_ == 0) return;
  for (const float v : pending_)
    values_.push_back(merge_ == Merge::kMean ? v / static_cast<float>(pending_count_) : v);
  pending_count_ = 0;
}

void Columns::halve() {
  const size_t pairs = size() / 2;
  for (size_t c = 0; c < pairs; ++c) {
    for (size_t r = 0; r < rows_; ++r) {
      float v = values_[2 * c * rows_ + r];
      combine(v, values_[(2 * c + 1) * rows_ + r]);
      values_[c * rows_ + r] = merge_ == Merge::kMean ? v / 2 : v;
    }
  }
  values_.resize(pairs * rows_);
  merged_ *= 2;
}

float Columns::at(double time_s, size_t row) const {
  if (empty()) return 0;
  const auto column = static_cast<size_t>(std::max(0.0, time_s / step_s()));
  return values_[std::min(column, size() - 1) * rows_ + row];
}

Curves::Curves(size_t n, double spectrum_step_s, double pitch_step_s)
    : low(1, n, static_cast<double>(kWaveStep) / kRateHz, Columns::Merge::kMinimum),
      high(1, n, static_cast<double>(kWaveStep) / kRateHz, Columns::Merge::kMaximum),
      rms(1, n, static_cast<double>(kWaveStep) / kRateHz, Columns::Merge::kMean),
      mel(kPictureMelBands, n, spectrum_step_s, Columns::Merge::kMean),
      log(kPictureLogBands, n, pitch_step_s, Columns::Merge::kMean),
      chroma(12, n, pitch_step_s, Columns::Merge::kMean),
      flux(1, n, spectrum_step_s, Columns::Merge::kMaximum),
      tempogram(kTempogramRows, n, std::floor(kTempoHop_s / spectrum_step_s) * spectrum_step_s,
                Columns::Merge::kMean) {}

Result<Curves> gather_curves(const std::filesystem::path& sound, size_t columns_max,
                             const std::atomic<bool>* cancel) {
  SM_TRY(const std::unique_ptr<Decoder> decoder, Decoder::open(sound));
  const StreamInfo info = decoder->info();
  const auto channels = static_cast<size_t>(info.channels);
  // An even number, for halving.
  const double promised_s = static_cast<double>(info.frames_promised) / info.sample_rate_hz;
  const FrameSpec spectrum = spectrum_spec(promised_s), pitch = pitch_spec(promised_s);
  Curves curves(columns_max / 2 * 2, step_of(spectrum), step_of(pitch));
  ShortSink spectra(curves, spectrum);
  LongSink pitches(curves);
  FrameEngine engine(kRateHz);
  engine.subscribe(spectrum, spectra);
  engine.subscribe(pitch, pitches);
  MonoResampler resampler(info.sample_rate_hz, kRateHz);
  std::vector<float> wave;
  const auto spread = [&](std::span<const float> mono) {
    engine.feed(mono);
    wave.insert(wave.end(), mono.begin(), mono.end());
    size_t at = 0;
    for (; at + kWaveStep <= wave.size(); at += kWaveStep) {
      float low = wave[at], high = wave[at], square = 0;
      for (size_t i = at; i < at + kWaveStep; ++i) {
        low = std::min(low, wave[i]);
        high = std::max(high, wave[i]);
        square += wave[i] * wave[i];
      }
      square /= kWaveStep;
      curves.low.add(&low);
      curves.high.add(&high);
      curves.rms.add(&square);
    }
    wave.erase(wave.begin(), wave.begin() + static_cast<ptrdiff_t>(at));
  };
  std::vector<float> block(16384 * channels), mono(16384);
  uint64_t total = 0;
  for (;;) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed))
      return Error(ErrorCode::kCancelled, sound.string() + ": cancelled");
    SM_TRY(const size_t frames, decoder->read(block));
    if (frames == 0) break;
    total += frames;
    for (size_t f = 0; f < frames; ++f) {
      float sum = 0;
      for (size_t c = 0; c < channels; ++c) sum += block[f * channels + c];
      mono[f] = std::clamp(sum / static_cast<float>(channels), -16.0f, 16.0f);
    }
    spread(resampler.process(std::span<const float>(mono).first(frames)));
  }
  if (resampler.active()) {
    for (auto rest = resampler.process({}); !rest.empty(); rest = resampler.process({}))
      spread(rest);
  }
  engine.finish();
  spectra.finish();
  if (total == 0) return Error(ErrorCode::kDataLoss, sound.string() + ": holds no sound");
  curves.duration_s = static_cast<double>(total) / info.sample_rate_hz;
  for (Columns* c : {&curves.low, &curves.high, &curves.rms, &curves.mel, &curves.log,
                     &curves.chroma, &curves.flux, &curves.tempogram})
    c->finish();
  return curves;
}

}  // namespace samplemind::audio
