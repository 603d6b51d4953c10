// The ear: measures one sound file. Analyzer is immutable and may be used from any number of
// threads at once; one call uses one thread, allocates, blocks on the file and needs memory that
// does not depend on the file's length but for its envelopes (about 0.2 MB a minute). The same file
// gives the same result, bit for bit.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audio/facts.h"
#include "audio/metadata.h"
#include "audio/parts.h"
#include "base/result.h"

namespace samplemind::audio {

// Stored beside every result; raised when a feature's meaning or method changes, so that old
// results are computed again.
inline constexpr int kAnalysisVersion = 6;

// What was measured. Nothing is guessed: a value that could not be measured, or that the level did
// not ask for, is absent.
struct Analysis {
  std::string format;  // "wav", "aiff", "flac", "ogg", "opus", "mp3", "m4a"
  double duration_s = 0;
  int sample_rate_hz = 0;
  int channels = 0;
  std::optional<int> bit_depth;  // of linear PCM formats

  // Level basic. Absent for silence (all samples below -100 dBFS), but for the digests.
  std::optional<double> peak_dbfs;         // of the largest sample; above 0 only in float files
  std::optional<double> rms_dbfs;          // over all channels; a full-scale sine has -3
  std::optional<double> silence_start_s;   // before the first sample within 60 dB of the peak
  std::optional<double> silence_end_s;     // after the last one
  std::optional<std::string> file_blake3;  // of the file's bytes, 64 hexadecimal digits
  // Of the sound: rate and channels (32 bits each, little endian), then the decoded interleaved
  // samples as 32-bit floats. The same for a wav and its flac, whatever their tags say.
  std::optional<std::string> audio_blake3;

  std::optional<double> tempo_bpm;         // 40..240
  std::optional<double> tempo_confidence;  // 0..1: the probability that it is right within 4 %
  // x1/2, x2, x2/3 and x3/2 of the tempo, those of 30 to 300 BPM, the most likely first.
  std::vector<TempoCandidate> tempo_alternatives;
  std::vector<double> beats_s;  // seconds from the start, rising
  std::vector<double> downbeats_s;
  std::vector<double> onsets_s;
  std::optional<std::string> time_signature;  // "4/4"

  std::optional<std::string> key;        // "F# minor"; sharps only
  std::optional<double> key_confidence;  // 0..1: the probability that tonic and mode are right
  std::optional<double> tuning_cents;    // of the pitches against A4 = 440 Hz, -50..50

  std::optional<double> loudness_lufs;  // integrated, ITU-R BS.1770-4; absent for silence and below
                                        // one gating block (0.4 s)
  std::optional<double> loudness_range_lu;  // EBU Tech 3342
  std::optional<double> true_peak_dbtp;     // ITU-R BS.1770-4 annex 2; absent for digital silence

  std::optional<std::string> content;  // "oneshot", "loop", "music"
  std::optional<std::string> kind;     // "kick", "snare", ...; absent until it is known well enough
  std::optional<double> kind_confidence;  // 0..1, present with kind
  // Every kind that is not out of the question (0.005 and more), the likeliest first; of one-shots
  // and loops.
  std::vector<std::pair<std::string, double>> kinds;
  std::optional<double> note_midi;  // pitch of a tonal one-shot, 69 = A4 = 440 Hz

  // What makes it sound as it does, for comparing (feature/descriptor.h); empty for silence. Bytes,
  // not part of the JSON.
  std::string descriptor;

  // Level detailed (facts.h).
  std::optional<Curve> onset_strength;
  std::optional<ChromaFacts> chroma;
  std::optional<TimbreFacts> timbre;
  std::optional<SpectrumFacts> spectrum;
  std::optional<EnvelopeFacts> envelope;
  std::optional<StereoFacts> stereo;
  std::optional<double> f0_hz;  // of a tonal one-shot: note_midi as a frequency
  // Level professional.
  std::optional<HarmonicPercussiveFacts> harmonic_percussive;
  std::optional<GrooveFacts> groove;
  std::optional<BandFacts> bands;
  std::optional<QualityFacts> quality;
  // What the file says about itself (metadata.h): facts about the file, not measured.
  Metadata metadata;

  // What the reader should know, such as "the header promises 12.0 s, the file holds 3.1 s".
  std::vector<std::string> warnings;
};

struct AnalysisOptions {
  const std::atomic<bool>* cancel = nullptr;  // set it to end early with kCancelled
  double duration_max_s = 6 * 3600;           // longer sounds are refused with kTooLarge
  Level level = Level::kStandard;
  Parts only;  // when not empty: these parts instead of a level's, and nothing else is computed
  std::optional<std::string> file_blake3;  // known already: spares reading the file once more
};

class Analyzer {
 public:
  // Errors: kNotFound, kPermissionDenied, kUnsupported (not a sound file we know), kDataLoss
  // (damaged: nothing could be decoded), kTooLarge, kCancelled. The message begins with the path.
  Result<Analysis> analyze(const std::filesystem::path& path,
                           const AnalysisOptions& options = {}) const;
};

}  // namespace samplemind::audio
