#include "audio/measurement.h"

#include <algorithm>
#include <cmath>

#include "audio/dsp/loops.h"
#include "audio/feature/content.h"
#include "audio/feature/descriptor.h"
#include "audio/feature/kind.h"
#include "audio/feature/pitch.h"
#include "audio/feature/rhythm_decode.h"

namespace samplemind::audio {

namespace {

static_assert(kRhythmRateHz == kAnalysisRateHz && kKeyRateHz == kAnalysisRateHz &&
              kProfileRateHz == kAnalysisRateHz);
constexpr double kPitchSpan_s = 3;    // a note's pitch is looked for in its first seconds
constexpr double kRhythmMin_s = 1.2;  // two beats at 100 BPM
constexpr double kLoopMax_s = 15.5;   // longer files are music
constexpr auto kWaitMax = static_cast<size_t>((kLoopMax_s + 1) * kAnalysisRateHz);  // then: music
constexpr double kAtOnce_s = 0.02;  // an attack before it is the sound's beginning
constexpr float kSilence = 1e-5f;   // -100 dBFS: below it a sound has no features

// Parts that rest on what kind of content it is, and those that rest on the onset envelope.
constexpr Parts kByContent{Part::kTempo,  Part::kKey,      Part::kKind,   Part::kPitch,
                           Part::kGroove, Part::kEnvelope, Part::kQuality};
constexpr Parts kByOnsets{Part::kTempo, Part::kKind, Part::kOnsets, Part::kGroove,
                          Part::kDescriptor};
// Parts that ask the rhythm network.
constexpr Parts kByNetwork{Part::kTempo, Part::kOnsets, Part::kGroove};
// Parts of loops and music alone.
constexpr Parts kOfMusic = kByNetwork.with({Part::kKey});

}  // namespace

Measurement::Measurement(const StreamInfo& info, Parts parts)
    : info_(info),
      parts_(parts),
      level_(info.channels, info.sample_rate_hz),
      resampler_(info.sample_rate_hz, kAnalysisRateHz),
      engine_(kAnalysisRateHz),
      music_engine_(kAnalysisRateHz),
      details_(parts, info.channels, kAnalysisRateHz, engine_) {
  if (parts_.has(Part::kDigests)) {
    audio_hash_.emplace();
    for (const int n : {info.sample_rate_hz, info.channels}) {
      char bytes[4];
      for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(static_cast<unsigned>(n) >> (8 * i));
      audio_hash_->update(std::string_view(bytes, 4));
    }
  }
  if (parts_.any({Part::kLoudness, Part::kLevels, Part::kQuality})) {
    loudness_.emplace(info.channels, info.sample_rate_hz, parts_.has(Part::kLoudness));
  }
  // A header that promises more than a loop's length settles the content without listening.
  const bool surely_music =
      static_cast<double>(info.frames_promised) > kLoopMax_s * info.sample_rate_hz;
  if (parts_.any(kByOnsets) || (parts_.any(kByContent) && !surely_music)) {
    strength_.emplace();
    engine_.subscribe(OnsetStrength::kSpec, *strength_);
  }
  if (surely_music) {
    subscribe_music(engine_);
  } else {
    music_waits_ = parts_.any(kOfMusic);
  }
  if (parts_.any({Part::kDescriptor, Part::kKind})) {
    profile_.emplace();
    profile_->subscribe(engine_);
  }
  mono_wanted_ = !engine_.idle() || music_waits_;
  if (info.frames_promised > 0) {
    const double seconds =
        std::min(kPitchSpan_s, static_cast<double>(info.frames_promised) / info.sample_rate_hz);
    head_.reserve(static_cast<size_t>(seconds * kAnalysisRateHz) + 64);
  }
}

void Measurement::subscribe_music(FrameEngine& engine) {
  if (parts_.any(kByNetwork)) {
    rhythm_.emplace();
    rhythm_->subscribe(engine);
  }
  if (parts_.has(Part::kKey)) {
    key_.emplace();
    engine.subscribe(KeyProfile::kSpec, *key_);
  }
}

// Gives key_ and rhythm_ what waited; from here on they hear what comes as it comes.
void Measurement::start_music() {
  music_waits_ = false;
  subscribe_music(music_engine_);
  for (std::span<const float> left = waiting_; !left.empty();) {
    const size_t n = std::min(left.size(), kBlockFrames);
    music_engine_.feed(left.first(n));
    if (rhythm_) rhythm_->pump();
    left = left.subspan(n);
  }
  waiting_ = {};
}

void Measurement::feed(std::span<const float> interleaved, size_t frames) {
  const auto channels = static_cast<size_t>(info_.channels);
  interleaved = interleaved.first(frames * channels);
  frames_ += frames;
  if (parts_.any({Part::kLevels, Part::kLoudness, Part::kQuality})) level_.feed(interleaved);
  if (audio_hash_) audio_hash_->update(std::as_bytes(interleaved));
  if (loudness_) loudness_->feed(interleaved);
  details_.feed(interleaved);
  if (!mono_wanted_) return;
  mix(interleaved, frames);
  const auto mono = std::span<const float>(mono_).first(frames);
  details_.feed_full_mono(mono);
  spread(resampler_.process(mono));
}

// Values too small to hear become 0 once here: no denormals further on.
void Measurement::mix(std::span<const float> interleaved, size_t frames) {
  const auto channels = static_cast<size_t>(info_.channels);
  if (mono_.size() < frames) mono_.resize(frames);
  if (channels <= 2) {
    const auto mix = channels == 1 ? mix_one : mix_two;
    mono_peak_ = std::max(mono_peak_, mix(interleaved.data(), frames, mono_.data()));
    return;
  }
  const float scale = 1.0f / static_cast<float>(channels);
  for (size_t i = 0; i < frames; ++i) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c) sum += interleaved[i * channels + c];
    const float x = std::abs(sum) < 1e-15f ? 0 : std::clamp(sum * scale, -16.0f, 16.0f);
    mono_peak_ = std::max(mono_peak_, std::abs(x));
    mono_[i] = x;
  }
}

void Measurement::spread(std::span<const float> mono) {
  if (profile_) profile_->feed(mono);
  engine_.feed(mono);
  music_engine_.feed(mono);
  if (rhythm_) rhythm_->pump();
  if (music_waits_) {
    waiting_.insert(waiting_.end(), mono.begin(), mono.end());
    if (waiting_.size() > kWaitMax) start_music();
  }
  details_.feed_mono(mono);
  const auto room = static_cast<size_t>(kPitchSpan_s * kAnalysisRateHz) -
                    std::min(static_cast<size_t>(kPitchSpan_s * kAnalysisRateHz), head_.size());
  head_.insert(head_.end(), mono.begin(),
               mono.begin() + static_cast<ptrdiff_t>(std::min(room, mono.size())));
}

Analysis Measurement::finish() {
  if (mono_wanted_) {
    if (resampler_.active()) {
      for (auto rest = resampler_.process({}); !rest.empty(); rest = resampler_.process({}))
        spread(rest);
    }
    if (profile_) profile_->flush();
    engine_.finish();
    if (profile_) profile_->finish();
  }
  Analysis a;
  a.format = info_.format;
  a.sample_rate_hz = info_.sample_rate_hz;
  a.channels = info_.channels;
  a.bit_depth = info_.bit_depth;
  a.duration_s = static_cast<double>(frames_) / info_.sample_rate_hz;
  if (audio_hash_) a.audio_blake3 = audio_hash_->finish().hex();
  measure_levels(a);
  measure_loudness(a);
  if (mono_wanted_ && mono_peak_ > kSilence) hear(a);
  if (level_.peak() > kSilence || mono_peak_ > kSilence) {
    const double true_peak = loudness_ ? loudness_->true_peak().value_or(0) : 0;
    details_.finish(
        a, level_.peak(), true_peak,
        strength_ ? std::span<const float>(strength_->full()) : std::span<const float>(),
        kRhythmFps);
  }
  return a;
}

void Measurement::measure_levels(Analysis& a) const {
  if (!parts_.has(Part::kLevels)) return;
  if (const auto levels = level_.levels()) {
    a.peak_dbfs = levels->peak_dbfs;
    a.rms_dbfs = levels->rms_dbfs;
    a.silence_start_s = levels->silence_start_s;
    a.silence_end_s = levels->silence_end_s;
  }
}

void Measurement::measure_loudness(Analysis& a) const {
  if (!loudness_ || !parts_.any({Part::kLoudness, Part::kLevels})) return;
  a.true_peak_dbtp = loudness_->true_peak_dbtp();
  if (!parts_.has(Part::kLoudness)) return;
  a.loudness_lufs = loudness_->integrated_lufs();
  a.loudness_range_lu = loudness_->range_lu();
}

// What is longer than a loop of eight slow bars is music.
std::string Measurement::content(const Analysis& a) const {
  if (a.duration_s > kLoopMax_s || !strength_) return "music";
  if (a.duration_s < 0.6) return "oneshot";
  const auto features =
      content_features(strength_->full(), strength_->energy(), a.onsets_s, a.duration_s);
  return is_loop(features) ? "loop" : "oneshot";
}

void Measurement::name_kind(Analysis& a) const {
  if (!profile_ || !profile_->audible()) return;
  const KindProbabilities probabilities = kind_probabilities(*profile_);
  if (const auto best = likeliest_kind(probabilities)) {
    a.kind = kKindNames[*best];
    a.kind_confidence = probabilities[*best];
  }
  constexpr float kListed = 0.005f;
  for (size_t k = 0; k < kKindCount; ++k)
    if (probabilities[k] >= kListed) a.kinds.emplace_back(kKindNames[k], probabilities[k]);
  std::stable_sort(a.kinds.begin(), a.kinds.end(),
                   [](const auto& x, const auto& y) { return x.second > y.second; });
}

void Measurement::hear(Analysis& a) {
  if (parts_.has(Part::kDescriptor))
    a.descriptor = make_descriptor(*profile_, strength_->full(), kRhythmFps);
  if (strength_) {
    a.onsets_s = pick_onsets(*strength_);
    while (!a.onsets_s.empty() && a.onsets_s.back() > a.duration_s) a.onsets_s.pop_back();
  }
  if (parts_.any(kByContent)) a.content = content(a);
  if (parts_.has(Part::kKind) && a.content != "music") name_kind(a);
  if (a.content == "oneshot") {
    if (parts_.any({Part::kKind, Part::kPitch})) a.note_midi = find_note(head_, kAnalysisRateHz);
    if (parts_.has(Part::kPitch) && a.note_midi)
      a.f0_hz = 440 * std::exp2((*a.note_midi - 69) / 12);
    return;
  }
  if (music_waits_) start_music();
  music_engine_.finish();
  hear_rhythm(a);
  if (key_) {
    if (const auto key = key_->key()) {
      a.key = key->name();
      a.key_confidence = key->confidence;
    }
    a.tuning_cents = key_->tuning_cents();
  }
}

// The network runs here and not before: a one-shot never needs it.
void Measurement::hear_rhythm(Analysis& a) {
  if (!rhythm_) return;
  rhythm_->finish();
  const RhythmActivity& activity = rhythm_->activity();
  // The network hears changes; a sound that begins at once is told by its strength.
  const bool at_once = !a.onsets_s.empty() && a.onsets_s.front() < kAtOnce_s;
  a.onsets_s = find_onsets(activity, a.duration_s);
  if (at_once && (a.onsets_s.empty() || a.onsets_s.front() > 2 * kAtOnce_s))
    a.onsets_s.insert(a.onsets_s.begin(), 0.0);
  if (!parts_.any({Part::kTempo, Part::kGroove}) || a.duration_s < kRhythmMin_s) return;
  auto rhythm = find_rhythm(activity, a.duration_s, a.content == "loop");
  if (!rhythm) return;
  a.tempo_bpm = rhythm->tempo_bpm;
  a.tempo_confidence = rhythm->confidence;
  a.tempo_alternatives = std::move(rhythm->alternatives);
  a.beats_s = std::move(rhythm->beats_s);
  a.downbeats_s = std::move(rhythm->downbeats_s);
  if (rhythm->meter) a.time_signature = name(*rhythm->meter);
}

}  // namespace samplemind::audio
