#include "audio/parts.h"

#include <array>

namespace samplemind::audio {

namespace {
struct Entry {
  Part part;
  std::string_view name;
  Level level;
};
constexpr std::array kParts{
    Entry{Part::kLevels, "levels", Level::kBasic},
    Entry{Part::kDigests, "digests", Level::kBasic},
    Entry{Part::kLoudness, "loudness", Level::kStandard},
    Entry{Part::kTempo, "tempo", Level::kStandard},
    Entry{Part::kKey, "key", Level::kStandard},
    Entry{Part::kKind, "kind", Level::kStandard},
    Entry{Part::kDescriptor, "descriptor", Level::kStandard},
    Entry{Part::kOnsets, "onsets", Level::kDetailed},
    Entry{Part::kChroma, "chroma", Level::kDetailed},
    Entry{Part::kTimbre, "timbre", Level::kDetailed},
    Entry{Part::kSpectrum, "spectrum", Level::kDetailed},
    Entry{Part::kEnvelope, "envelope", Level::kDetailed},
    Entry{Part::kStereo, "stereo", Level::kDetailed},
    Entry{Part::kPitch, "pitch", Level::kDetailed},
    Entry{Part::kHarmonicPercussive, "hpss", Level::kProfessional},
    Entry{Part::kGroove, "groove", Level::kProfessional},
    Entry{Part::kBands, "bands", Level::kProfessional},
    Entry{Part::kQuality, "quality", Level::kProfessional},
};
constexpr std::array<std::string_view, 4> kLevels{"basic", "standard", "detailed", "professional"};
}  // namespace

Parts Parts::of(Level level) {
  Parts parts;
  for (const Entry& e : kParts)
    if (e.level <= level) parts = parts.with({e.part});
  return parts;
}

std::string_view name(Level level) {
  return kLevels[static_cast<size_t>(level)];
}

Result<Level> level_from(std::string_view text) {
  for (size_t i = 0; i < kLevels.size(); ++i)
    if (kLevels[i] == text) return static_cast<Level>(i);
  return Error(ErrorCode::kInvalidArgument, "there is no level '" + std::string(text) + "'",
               "levels: basic, standard, detailed, professional");
}

std::string_view name(Part part) {
  for (const Entry& e : kParts)
    if (e.part == part) return e.name;
  return "";
}

Result<Part> part_from(std::string_view text) {
  std::string known;
  for (const Entry& e : kParts) {
    if (e.name == text) return e.part;
    known += (known.empty() ? "" : ", ") + std::string(e.name);
  }
  return Error(ErrorCode::kInvalidArgument, "there is no part '" + std::string(text) + "'",
               "parts: " + known);
}

std::vector<Part> all_parts() {
  std::vector<Part> list;
  for (const Entry& e : kParts) list.push_back(e.part);
  return list;
}

}  // namespace samplemind::audio
