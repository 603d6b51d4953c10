#include "metadata_target.h"

#include <cmath>

#include "audio/metadata.h"
#include "base/error.h"

namespace samplemind::fuzz {

namespace {

using audio::Metadata;

void check_text(const std::optional<std::string>& text) {
  if (!text) return;
  SM_ASSERT(!text->empty() && text->size() <= audio::kMetadataTextMax);
  for (size_t i = 0; i < text->size();) {
    const auto byte = static_cast<unsigned char>((*text)[i]);
    SM_ASSERT(byte >= 0x20 && byte != 0x7F);
    const size_t n = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
    SM_ASSERT(byte < 0x80 || byte >= 0xC2);
    SM_ASSERT(i + n <= text->size());
    for (size_t k = 1; k < n; ++k)
      SM_ASSERT((static_cast<unsigned char>((*text)[i + k]) & 0xC0) == 0x80);
    i += n;
  }
}

}  // namespace

void metadata(std::string_view input) {
  const Metadata m = audio::metadata_of(input);
  for (const auto* text : {&m.title, &m.artist, &m.album, &m.genre, &m.date, &m.comment, &m.key,
                           &m.key_text, &m.time_signature})
    check_text(*text);
  SM_ASSERT(!m.tempo_bpm || (*m.tempo_bpm >= 20 && *m.tempo_bpm <= 400));
  SM_ASSERT(!m.tuning_cents || std::isfinite(*m.tuning_cents));
  SM_ASSERT(!m.root_note_midi || (*m.root_note_midi >= 0 && *m.root_note_midi <= 127));
  SM_ASSERT(m.cues.size() <= audio::kMetadataPointsMax);
  SM_ASSERT(m.loops.size() <= audio::kMetadataPointsMax + 1);
  for (const Metadata::Cue& c : m.cues) SM_ASSERT(std::isfinite(c.time_s) && c.time_s >= 0);
  for (const Metadata::Loop& l : m.loops) SM_ASSERT(std::isfinite(l.end_s) && l.end_s > l.start_s);
}

}  // namespace samplemind::fuzz
