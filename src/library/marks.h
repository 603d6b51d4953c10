// What a user says about a sound: favourite, rating, note, colour, tags, hidden, and corrections of
// what was measured. Kept beside the measurements and never touched by a scan. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "library/facts.h"

namespace samplemind::library {

struct Marks {
  bool favourite = false;
  bool hidden = false;
  int rating = 0;                 // 0 (none) .. 5
  std::string note;               // at most kNoteMax bytes
  std::string colour;             // "#rrggbb" or empty
  std::vector<std::string> tags;  // sorted, without doubles, lower case
  int64_t played_ms = 0;          // Unix time of the last listening; 0: never
  std::optional<double> tempo_bpm;
  std::optional<std::string> key;
  std::optional<std::string> kind;
  std::optional<std::string> content;
  bool operator==(const Marks&) const = default;
  bool empty() const { return *this == Marks(); }
};

inline constexpr size_t kNoteMax = 4096;
inline constexpr size_t kTagMax = 64;    // bytes
inline constexpr size_t kTagsMax = 100;  // of one sound

void write_json(JsonWriter& writer, const Marks& marks);  // only what is set
Marks marks_from_json(const JsonValue& value);            // of what write_json() wrote

// A change of marks, as {"favourite":true,"rating":4,"tags_add":["dusty"],"tempo_bpm":null,
// "tempo_factor":"x2",...}: absent fields stay, null takes the user's word back.
struct MarksChange {
  std::optional<bool> favourite;
  std::optional<bool> hidden;
  std::optional<int> rating;
  std::optional<std::string> note;
  std::optional<std::string> colour;
  std::vector<std::string> tags_add;
  std::vector<std::string> tags_remove;
  std::optional<std::vector<std::string>> tags;  // replaces all
  std::optional<std::optional<double>> tempo_bpm;
  std::optional<double> tempo_factor;
  std::optional<std::optional<std::string>> key;
  std::optional<std::optional<std::string>> kind;
  std::optional<std::optional<std::string>> content;
};
// kInvalidArgument names the field.
Result<MarksChange> read_change(const JsonValue& value);
// `tempo_now`: the tempo that is believed now, for the factor.
void apply(const MarksChange& change, std::optional<double> tempo_now, Marks& marks);
// One line about the change: "tag dusty, rating 4".
std::string describe(const MarksChange& change);

// The user's word as facts.
std::vector<Fact> facts_from_marks(const Marks& marks);

}  // namespace samplemind::library
