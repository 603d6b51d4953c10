// What to look for: one type for the CLI's flags and the API's parameters. Parsers are pure; their
// errors say where the text went wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::library {

// Closed interval; a missing end is open.
struct Range {
  std::optional<double> low;
  std::optional<double> high;
};

enum class Sort { kRelevance, kName, kTempo, kKey, kLength, kLoudness, kAdded };

struct SearchQuery {
  std::string text;  // words; -word excludes; each word may be the beginning of one
  Range tempo_bpm;
  std::optional<std::string> key;  // "A minor"
  Range length_s;
  std::optional<std::string> kind;
  std::optional<std::string> content;  // oneshot, loop, music
  std::optional<std::string> folder;   // beginning of the path
  bool broken = false;  // only files that could not be read; otherwise only those that could
  Sort sort = Sort::kRelevance;
  bool descending = false;
  int limit = 50;  // 1..1000
  int offset = 0;
};

// "120" (within 0.5), "120-128", "<100", ">=90". `what` names the value in errors.
Result<Range> parse_range(std::string_view text, std::string_view what, double single_tolerance);
// The same with optional units s and ms: "<2s", "500ms-2s", "1-4".
Result<Range> parse_length(std::string_view text);
// "Am", "A minor", "F#m", "Gb major", "a", Camelot "8A", Open Key "1m": the canonical "A minor".
Result<std::string> parse_key(std::string_view text);
Result<std::string> parse_content(std::string_view text);
// "name", "-tempo" (descending), ...
Result<std::pair<Sort, bool>> parse_sort(std::string_view text);

// Lower-case words of a file's name or a query: split at anything but letters and digits, between
// letters and digits, and where a lower-case letter meets an upper-case one: "KickDrum_C1_128bpm"
// -> kick drum c1 128 bpm.
std::vector<std::string> words(std::string_view text);
// What is put into the index for a name: its words, and each run of letters and digits that was
// split once more as a whole, so that "dnb" and "boombap" find "Loop_DnB" and "BoomBap_90bpm".
std::vector<std::string> index_words(std::string_view text);

}  // namespace samplemind::library
