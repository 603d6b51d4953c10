// What to look for: the query language of the command line, the API and the page, and the same
// wishes as plain fields. Parsers are pure; their errors say at which character the text went
// wrong.
//
//   deep kick -loop "long tail"     words: stems, synonyms (bd, kickdrum) and typing errors count;
//                                   -word excludes; quotes keep words together
//   bpm:120-128  len:<2s  lufs:>-12  note:48-60  rating:>=4  added:<7d  rate:44100  channels:2
//   key:Am  key:Am,C  ~key:8A       ~: also what goes with it on the Camelot wheel
//   kind:kick  kind:kick,snare  tag:dusty  in:"My kit"  folder:/sounds/drums  format:flac
//   is:loop oneshot music favourite hidden missing broken tagged untagged rated played
//   sort:-bpm                       name bpm key length loudness added rating played kind folder
//                                   note relevance random
//   -bpm:120-128                    any of them may be excluded
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "library/words.h"

namespace samplemind::library {

// Closed interval; a missing end is open.
struct Range {
  std::optional<double> low;
  std::optional<double> high;
};

enum class Sort {
  kRelevance,
  kName,
  kTempo,
  kKey,  // around the circle of fifths, minor beside its relative major
  kLength,
  kLoudness,
  kAdded,
  kRating,
  kPlayed,
  kKind,
  kFolder,
  kNote,
  kRandom  // another order for every offset-0 request of another second
};

enum class Field {
  kWord,    // text: one word
  kPhrase,  // text: words that stand side by side
  kTempo,
  kLength,
  kLoudness,
  kNote,
  kRating,
  kAge,  // seconds since it was added
  kRate,
  kChannels,
  kKey,      // keys
  kKind,     // values
  kContent,  // values
  kTag,      // values
  kFormat,   // values
  kCollection,
  kFolder,
  kIs,  // text: favourite, hidden, missing, broken, tagged, untagged, rated, played
};

// One condition; a sound fits when it fits all terms.
struct Term {
  Field field = Field::kWord;
  bool exclude = false;
  std::string text;
  Range range;
  uint32_t keys = 0;                // bits of key_index()
  std::vector<std::string> values;  // any of these
};

struct SearchQuery {
  std::string text;  // in the language above
  Range tempo_bpm;
  std::optional<std::string> key;  // "A minor"
  Range length_s;
  std::optional<std::string> kind;
  std::optional<std::string> content;  // oneshot, loop, music
  std::optional<std::string> folder;   // beginning of the path
  bool broken = false;  // only files that could not be read; otherwise only those that could
  Sort sort = Sort::kRelevance;  // a sort: in the text wins
  bool descending = false;
  int limit = 50;  // 1..1000
  int offset = 0;
};

struct ParsedQuery {
  std::vector<Term> terms;
  std::optional<std::pair<Sort, bool>> sort;  // by, descending
};
// At most kTermsMax terms of at most kQueryMax bytes in all. kInvalidArgument with the character.
inline constexpr size_t kTermsMax = 64;
inline constexpr size_t kQueryMax = 4096;
Result<ParsedQuery> parse_query(std::string_view text);
// The text and the plain fields as one.
Result<ParsedQuery> all_terms(const SearchQuery& query);

// "120" (within 0.5), "120-128", "<100", ">=90". `what` names the value in errors.
Result<Range> parse_range(std::string_view text, std::string_view what, double single_tolerance);
// The same with optional units s and ms: "<2s", "500ms-2s", "1-4".
Result<Range> parse_length(std::string_view text);
// "Am", "A minor", "F#m", "Gb major", "a", Camelot "8A", Open Key "1m": the canonical "A minor".
Result<std::string> parse_key(std::string_view text);
Result<std::string> parse_content(std::string_view text);
// "name", "-tempo" (descending), ...
Result<std::pair<Sort, bool>> parse_sort(std::string_view text);

// "C major" 0 .. "B major" 11, "C minor" 12 .. "B minor" 23; nothing for other texts.
std::optional<int> key_index(std::string_view canonical);
std::string key_name(int index);  // REQUIRES: 0 <= index < 24
// Place on the Camelot wheel, "8A"; Open Key, "1m". REQUIRES: 0 <= index < 24
std::string camelot(int index);
std::string open_key(int index);
// Bits of the keys that go with this one: itself, one step either way, and its relative.
uint32_t compatible_keys(int index);

}  // namespace samplemind::library
