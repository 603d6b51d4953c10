#include "audio/analyzer.h"

#include <ebur128.h>
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "audio/decode/decoder.h"
#include "audio/feature/descriptor.h"
#include "audio/feature/key.h"
#include "audio/feature/pitch.h"
#include "audio/feature/profile.h"
#include "audio/feature/rhythm.h"

namespace samplemind::audio {

namespace {

static_assert(kRhythmRateHz == kKeyRateHz && kRhythmRateHz == kProfileRateHz,
              "one resampler feeds both");
constexpr int kRateHz = kRhythmRateHz;
constexpr size_t kBlockFrames = 16384;
constexpr double kPitchSpan_s = 3;     // a note's pitch is looked for in its first seconds
constexpr double kRhythmMin_s = 1.2;   // two beats at 100 BPM
constexpr double kLoopMax_s = 15.5;    // longer files are music
constexpr float kClearAttack = 0.25f;  // of onset strength: a drum has 1, a bowed note 0.1

struct MeterDeleter {
  void operator()(ebur128_state* p) const { ebur128_destroy(&p); }
};
struct ResamplerDeleter {
  void operator()(soxr_t p) const { soxr_delete(p); }
};

// Mono at kRateHz, fed in any rate. Values too small to hear become 0 once here: no denormals
// further on.
class MonoResampler {
 public:
  explicit MonoResampler(int rate_hz) {
    if (rate_hz == kRateHz) return;
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_MQ, 0);
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    resampler_.reset(soxr_create(rate_hz, kRateHz, 1, nullptr, &io, &quality, nullptr));
    ratio_ = static_cast<double>(kRateHz) / rate_hz;
    SM_ASSERT(resampler_ != nullptr);
  }
  // REQUIRES: valid until the next call. An empty `in` flushes.
  std::span<const float> process(std::span<const float> in) {
    if (!resampler_) return in;
    out_.resize(static_cast<size_t>(static_cast<double>(in.size()) * ratio_) + 4096);
    size_t done = 0;
    soxr_process(resampler_.get(), in.empty() ? nullptr : in.data(), in.size(), nullptr,
                 out_.data(), out_.size(), &done);
    return std::span<const float>(out_).first(done);
  }
  bool active() const { return resampler_ != nullptr; }

 private:
  std::unique_ptr<soxr, ResamplerDeleter> resampler_;
  double ratio_ = 1;
  std::vector<float> out_;
};

std::optional<double> finite(double v) {
  if (!std::isfinite(v)) return std::nullopt;
  return v;
}

class Measurement {
 public:
  explicit Measurement(const StreamInfo& info)
      : info_(info),
        resampler_(info.sample_rate_hz),
        meter_(ebur128_init(
            static_cast<unsigned>(info.channels), static_cast<unsigned long>(info.sample_rate_hz),
            EBUR128_MODE_I | EBUR128_MODE_LRA | EBUR128_MODE_TRUE_PEAK | EBUR128_MODE_HISTOGRAM)) {
    mono_.resize(kBlockFrames);
  }

  void feed(std::span<const float> interleaved, size_t frames) {
    frames_ += frames;
    if (meter_) ebur128_add_frames_float(meter_.get(), interleaved.data(), frames);
    const auto channels = static_cast<size_t>(info_.channels);
    const float scale = 1.0f / static_cast<float>(channels);
    for (size_t i = 0; i < frames; ++i) {
      float sum = 0;
      for (size_t c = 0; c < channels; ++c) sum += interleaved[i * channels + c];
      mono_[i] = std::abs(sum) < 1e-15f ? 0 : std::clamp(sum * scale, -16.0f, 16.0f);
    }
    spread(resampler_.process(std::span<const float>(mono_).first(frames)));
  }

  Analysis finish() {
    if (resampler_.active()) {
      for (auto rest = resampler_.process({}); !rest.empty(); rest = resampler_.process({}))
        spread(rest);
    }
    strength_.finish();
    key_.finish();
    profile_.finish();
    Analysis a;
    a.format = info_.format;
    a.sample_rate_hz = info_.sample_rate_hz;
    a.channels = info_.channels;
    a.bit_depth = info_.bit_depth;
    a.duration_s = static_cast<double>(frames_) / info_.sample_rate_hz;
    loudness(a);
    hear(a);
    return a;
  }
  size_t frames() const { return frames_; }

 private:
  void spread(std::span<const float> mono) {
    strength_.feed(mono);
    key_.feed(mono);
    profile_.feed(mono);
    const auto room = static_cast<size_t>(kPitchSpan_s * kRateHz) -
                      std::min(static_cast<size_t>(kPitchSpan_s * kRateHz), head_.size());
    head_.insert(head_.end(), mono.begin(),
                 mono.begin() + static_cast<ptrdiff_t>(std::min(room, mono.size())));
  }

  void loudness(Analysis& a) const {
    if (!meter_) return;
    double value = 0;
    // Below one gating block (400 ms) BS.1770 defines no loudness.
    if (a.duration_s >= 0.4 && ebur128_loudness_global(meter_.get(), &value) == EBUR128_SUCCESS &&
        value > -70)
      a.loudness_lufs = finite(value);
    if (a.duration_s >= 3.0 && a.loudness_lufs &&
        ebur128_loudness_range(meter_.get(), &value) == EBUR128_SUCCESS)
      a.loudness_range_lu = finite(value);
    double peak = 0;
    for (unsigned c = 0; c < static_cast<unsigned>(info_.channels); ++c) {
      if (ebur128_true_peak(meter_.get(), c, &value) == EBUR128_SUCCESS)
        peak = std::max(peak, value);
    }
    if (peak > 0) a.true_peak_dbtp = finite(20 * std::log10(peak));
  }

  // A loop has several clear attacks after its start; a one-shot may shimmer, beat and decay, but
  // is struck once. What is longer than a loop of eight slow bars is a piece of music.
  std::string content(const Analysis& a) const {
    if (a.duration_s > kLoopMax_s) return "music";
    if (a.duration_s < 0.6) return "oneshot";
    const std::vector<float>& level = strength_.energy();
    double total = 0;
    double head = 0;
    for (size_t i = 0; i < level.size(); ++i) {
      const double power = static_cast<double>(level[i]) * level[i];
      total += power;
      if (i < level.size() / 3) head += power;
    }
    const auto attacks = std::count_if(a.onsets_s.begin(), a.onsets_s.end(), [&](double t) {
      const auto i = static_cast<size_t>(t * kRhythmFps + 0.5);
      return t > 0.12 && i < strength_.full().size() && strength_.full()[i] >= kClearAttack;
    });
    if (attacks <= 2 || (attacks <= 5 && head > 0.8 * total)) return "oneshot";
    return "loop";
  }

  void hear(Analysis& a) const {
    a.descriptor = make_descriptor(profile_, strength_.full(), kRhythmFps);
    const auto peak = std::max_element(strength_.energy().begin(), strength_.energy().end());
    if (peak == strength_.energy().end() || *peak < 1e-5f)
      return;  // silence (below -100 dBFS) has no features
    a.onsets_s = pick_onsets(strength_);
    while (!a.onsets_s.empty() && a.onsets_s.back() > a.duration_s) a.onsets_s.pop_back();
    a.content = content(a);
    if (*a.content == "oneshot") {
      a.note_midi = find_note(head_, kRateHz);
      return;
    }
    if (a.duration_s >= kRhythmMin_s) {
      if (auto rhythm = find_rhythm(strength_, a.duration_s, *a.content == "loop")) {
        a.tempo_bpm = rhythm->tempo_bpm;
        a.tempo_confidence = rhythm->confidence;
        a.beats_s = std::move(rhythm->beats_s);
      }
    }
    if (const auto key = key_.key()) {
      a.key = key->name();
      a.key_confidence = key->confidence;
    }
  }

  StreamInfo info_;
  MonoResampler resampler_;
  std::unique_ptr<ebur128_state, MeterDeleter> meter_;
  OnsetStrength strength_;
  KeyProfile key_;
  SoundProfile profile_;
  std::vector<float> mono_;
  std::vector<float> head_;
  size_t frames_ = 0;
};

std::string seconds(double s) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", s);
  return text;
}

}  // namespace

Result<Analysis> Analyzer::analyze(const std::filesystem::path& path,
                                   const AnalysisOptions& options) const {
  SM_TRY(const std::unique_ptr<Decoder> decoder, Decoder::open(path));
  const StreamInfo& info = decoder->info();
  Measurement measurement(info);
  std::vector<float> block(kBlockFrames * static_cast<size_t>(info.channels));
  for (;;) {
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
      return Error(ErrorCode::kCancelled, path.string() + ": cancelled");
    }
    SM_TRY(const size_t frames, decoder->read(block));
    if (frames == 0) break;
    measurement.feed(block, frames);
    if (static_cast<double>(measurement.frames()) > options.duration_max_s * info.sample_rate_hz) {
      return Error(ErrorCode::kTooLarge,
                   path.string() + ": longer than " + seconds(options.duration_max_s));
    }
  }
  if (measurement.frames() == 0) {
    return Error(ErrorCode::kDataLoss,
                 path.string() + ": holds no sound (the header is there, the samples are not)");
  }
  const StreamInfo final_info = decoder->info();
  Analysis analysis = measurement.finish();
  const double promised_s =
      static_cast<double>(final_info.frames_promised) / final_info.sample_rate_hz;
  if (final_info.frames_promised > 0 && promised_s > analysis.duration_s * 1.02 + 0.1) {
    analysis.warnings.push_back("the header promises " + seconds(promised_s) + ", the file holds " +
                                seconds(analysis.duration_s) + ": it may be cut or damaged");
  }
  return analysis;
}

}  // namespace samplemind::audio
