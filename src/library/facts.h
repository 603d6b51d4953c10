// Tempo, key and kind with where they come from. Several sources may speak about one sound: its
// user, data embedded in the file, its name, its folders, and the ear. Each says how sure it is;
// one is chosen, the user's word always. Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audio/analyzer.h"
#include "base/json.h"

namespace samplemind::library {

enum class FactSource { kUser, kEmbedded, kName, kFolder, kEar };
std::string_view source_name(FactSource source);  // "user", "embedded", "name", "folder", "ear"
std::optional<FactSource> source_from_name(std::string_view name);

struct Fact {
  std::string what;  // "tempo", "key", "kind", "content", "note"
  FactSource source = FactSource::kEar;
  double number = 0;       // tempo in BPM, note as MIDI number
  std::string text;        // key ("A minor"), kind, content
  double confidence = 0;   // 0..1
  bool mode_known = true;  // of a key: false for "128_C_", where minor was not excluded
  bool operator==(const Fact&) const = default;
};

// What a path says. "Kick_C1_128bpm.wav": kind kick, note 24 (C1 is no key), tempo 128. Words of
// the last two folders count less than the file's own name.
std::vector<Fact> facts_from_path(std::string_view path);
// What was heard, and what the file says about itself (audio/metadata.h).
std::vector<Fact> facts_from_ear(const audio::Analysis& analysis);

// The fact that is to be believed, or nothing. A name's bare number or letter that the ear agrees
// with counts more than either alone.
std::optional<Fact> believed(const std::vector<Fact>& facts, std::string_view what);
// Puts the believed facts into the analysis (tempo_bpm, key, kind, content, note_midi with their
// confidences); what nobody speaks about becomes absent.
void settle(const std::vector<Fact>& facts, audio::Analysis& analysis);

void write_facts(JsonWriter& writer, const std::vector<Fact>& facts);
std::vector<Fact> read_facts(const JsonValue& list);  // unknown entries are left out

// Corrections of a tempo that the ear took at another level: "x2", "x1/2", "x3/4", "2/3", ...
// Factors 1/2, 2/3, 3/4, 4/3, 3/2, 2. kInvalidArgument for others.
Result<double> parse_tempo_factor(std::string_view text);

// The kinds a user may give; what the ear knows (kick, snare, hat_closed, ...).
const std::vector<std::string>& kind_names();

}  // namespace samplemind::library
