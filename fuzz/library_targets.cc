#include "library_targets.h"

#include <cmath>

#include "base/error.h"
#include "library/facts.h"
#include "library/query.h"
#include "library/words.h"

namespace samplemind::fuzz {

namespace {

void check_range(const library::Range& r) {
  SM_ASSERT(!r.low || std::isfinite(*r.low));
  SM_ASSERT(!r.high || std::isfinite(*r.high));
  SM_ASSERT(!r.low || !r.high || *r.low <= *r.high);
}

void check_words(std::string_view input) {
  size_t bytes = 0;
  for (const std::string& w : library::words(input)) {
    SM_ASSERT(!w.empty());
    bytes += w.size();
    SM_ASSERT(library::stem(w).size() <= w.size() + 1);
    for (const std::string& s : library::synonyms(w)) SM_ASSERT(!s.empty());
    (void)library::edits_allowed(w);
  }
  SM_ASSERT(bytes <= input.size());
  for (const std::string& w : library::index_words(input))
    SM_ASSERT(!w.empty() && w.size() <= input.size());
}

}  // namespace

void query(std::string_view input) {
  const auto parsed = library::parse_query(input);
  if (parsed.ok()) {
    SM_ASSERT(input.size() <= library::kQueryMax);
    SM_ASSERT(parsed->terms.size() <= library::kTermsMax);
    for (const library::Term& t : parsed->terms) {
      check_range(t.range);
      SM_ASSERT(t.keys < 1u << 24);
    }
  } else {
    SM_ASSERT(!parsed.error().message().empty());
  }
  if (const auto key = library::parse_key(input); key.ok())
    SM_ASSERT(library::key_index(*key).has_value());
  if (const auto range = library::parse_range(input, "bpm", 0.5); range.ok()) check_range(*range);
  if (const auto length = library::parse_length(input); length.ok()) check_range(*length);
  (void)library::parse_sort(input).ok();
  (void)library::parse_content(input).ok();
}

void sound_name(std::string_view input) {
  check_words(input);
  for (const library::Fact& f : library::facts_from_path(input)) {
    SM_ASSERT(f.confidence >= 0 && f.confidence <= 1);
    SM_ASSERT(std::isfinite(f.number));
    if (f.what == "tempo") SM_ASSERT(f.number >= 20 && f.number <= 400);
    if (f.what == "note") SM_ASSERT(f.number >= 0 && f.number <= 127);
    if (f.what == "key") SM_ASSERT(library::key_index(f.text).has_value());
  }
}

}  // namespace samplemind::fuzz
