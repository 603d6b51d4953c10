// What an analysis is made of, by level. Each level includes the one before; a caller who wants
// less than a level (only the tempo, only the loudness) names the parts.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::audio {

enum class Level { kBasic, kStandard, kDetailed, kProfessional };

enum class Part : uint8_t {
  // basic
  kLevels,   // peak, RMS, true peak, silence at both ends
  kDigests,  // BLAKE3 of the file and of the decoded audio
  // standard
  kLoudness,    // integrated, range, true peak
  kTempo,       // tempo, beats, downbeats, time signature; for loops and music
  kKey,         // key, tuning; for loops and music
  kKind,        // content (oneshot, loop, music), kind, note of a one-shot
  kDescriptor,  // for comparing (feature/descriptor.h)
  // detailed
  kOnsets,    // times and strength curve; the times also come with kTempo and kKind
  kChroma,    // chroma and pitch-class distribution
  kTimbre,    // MFCC with deltas
  kSpectrum,  // centroid, bandwidth, rolloff, flatness, contrast, zero crossings
  kEnvelope,  // RMS curve, dynamic range, attack and decay times
  kStereo,    // width, phase correlation
  kPitch,     // fundamental frequency of a tonal one-shot
  // professional
  kHarmonicPercussive,
  kGroove,   // 16-step pattern, swing, timing deviations
  kBands,    // energy curve, band balance
  kQuality,  // clipping, DC offset, hum, noise floor, mono compatibility, inter-sample peaks
};

class Parts {
 public:
  constexpr Parts() = default;
  constexpr Parts(std::initializer_list<Part> list) {
    for (const Part p : list) bits_ |= bit(p);
  }
  static Parts of(Level level);
  constexpr bool has(Part p) const { return (bits_ & bit(p)) != 0; }
  constexpr bool any(Parts other) const { return (bits_ & other.bits_) != 0; }
  constexpr Parts with(Parts other) const {
    Parts all = *this;
    all.bits_ |= other.bits_;
    return all;
  }
  constexpr bool empty() const { return bits_ == 0; }
  bool operator==(const Parts&) const = default;

 private:
  static constexpr uint32_t bit(Part p) { return 1u << static_cast<unsigned>(p); }
  uint32_t bits_ = 0;
};

std::string_view name(Level level);               // "basic", ...
Result<Level> level_from(std::string_view name);  // an unknown name is kInvalidArgument
// "levels", "digests", "loudness", "tempo", "key", "kind", "descriptor", "onsets", "chroma",
// "timbre", "spectrum", "envelope", "stereo", "pitch", "hpss", "groove", "bands", "quality"
std::string_view name(Part part);
Result<Part> part_from(std::string_view name);
std::vector<Part> all_parts();

}  // namespace samplemind::audio
