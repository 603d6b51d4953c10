// What levels detailed and professional add to an analysis (analyzer.h). Each group is absent when
// it was not asked for or cannot be measured. All are measured on mono at 22,050 Hz unless said.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace samplemind::audio {

// A tempo that may be meant instead of the one given.
struct TempoCandidate {
  double bpm = 0;
  double probability = 0;  // 0..1; with the tempo's own confidence they add up to at most 1
};

// Of a value over all frames of a sound.
struct Spread {
  double mean = 0;
  double deviation = 0;
  double least = 0;
  double most = 0;
};

// A value over time, in at most kCurveMax equal steps; the step doubles as the sound grows.
struct Curve {
  double step_s = 0;
  std::vector<float> values;
};
inline constexpr size_t kCurveMax = 1024;

inline constexpr size_t kContrastBands = 7;  // below 200 Hz, then octaves
inline constexpr size_t kMfccCount = 13;

// Frames of 2,048 samples, hop 512, periodic Hann window, as librosa's defaults.
struct SpectrumFacts {
  Spread centroid_hz;
  Spread bandwidth_hz;                             // standard deviation around the centroid
  Spread rolloff_hz;                               // below it lie 85 % of the magnitude
  Spread flatness;                                 // 0 tone .. 1 white noise
  std::array<Spread, kContrastBands> contrast_db;  // peaks over valleys
  double zero_crossing_rate = 0;                   // share of samples
};

// MFCC of 128 Slaney mel bands (dB of power, floor 1e-10), orthonormal DCT-II; deltas over nine
// frames.
struct TimbreFacts {
  std::array<double, kMfccCount> mfcc_mean{};
  std::array<double, kMfccCount> mfcc_deviation{};
  std::array<double, kMfccCount> delta_mean{};
  std::array<double, kMfccCount> delta_deviation{};
};

struct ChromaFacts {
  std::array<double, 12> chroma{};         // from C; mean over frames, each frame's largest is 1
  std::array<double, 12> pitch_classes{};  // share of the tonal energy, sums to 1
};

struct EnvelopeFacts {
  Curve rms_db;                 // dBFS; -120 for silence
  double dynamic_range_db = 0;  // 95th less 10th percentile of the RMS, of frames within 60 dB of
                                // the loudest
  double crest_db = 0;          // peak over RMS
  std::optional<double> attack_s;  // of a one-shot: from 10 % to 90 % of its peak
  std::optional<double> decay_s;   // of a one-shot: from its peak until it stays 20 dB below
};

// At the sound's own rate; of two-channel sounds.
struct StereoFacts {
  double width = 0;        // side / (mid + side) of RMS: 0 mono, 0.5 unrelated, 1 out of phase
  double correlation = 0;  // -1..1
  double balance_db = 0;   // right over left
};

struct HarmonicPercussiveFacts {
  // Shares of the energy after median filtering over 31 frames and 31 bins with soft masks; the
  // rest of 1 is in neither.
  double harmonic = 0;
  double percussive = 0;
};

struct GrooveFacts {
  std::vector<double> pattern;  // onset strength on sixteenths of a bar (16 in 4/4), largest 1
  size_t bars = 0;              // that it is the mean of
  // Where off-beat eighths fall: 1 straight, 2 triplet swing; absent with fewer than four.
  std::optional<double> swing;
  double timing_mean_ms = 0;       // of onsets against the grid; negative: early
  double timing_deviation_ms = 0;  // around that mean
};

inline constexpr size_t kBandCount = 7;
inline constexpr std::array<const char*, kBandCount> kBandNames{
    "sub", "bass", "low_mid", "mid", "high_mid", "presence", "air"};
inline constexpr std::array<double, kBandCount> kBandLow_hz{20, 60, 250, 500, 2000, 4000, 8000};

struct BandFacts {
  Curve energy_db;                         // mean power over time, dBFS
  std::array<double, kBandCount> share{};  // of the power, sums to 1; air reaches up to half the
                                           // file's own rate
};

// At the sound's own rate, over all channels.
struct QualityFacts {
  size_t clipped_runs = 0;                 // three or more samples in a row stuck at full scale
  double clipped_share = 0;                // of samples in such runs
  double dc_offset = 0;                    // the largest mean of a channel, -1..1
  std::optional<double> hum_hz;            // 50 or 60: mains hum stands out
  double hum_db = 0;                       // by how much over its neighbourhood
  std::optional<double> noise_floor_dbfs;  // 5th percentile of the RMS of 93 ms
  std::optional<double> mono_loss_db;  // of level when mixed to mono; 0 none, 3 unrelated channels
  double intersample_db = 0;           // true peak over the largest sample
  // "clipping", "dc_offset", "hum", "noise", "mono", "intersample_peaks": what a listener or a
  // mastering engineer would want fixed.
  std::vector<std::string> issues;
};

}  // namespace samplemind::audio
