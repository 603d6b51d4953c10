// What the guardrails look at: a request's text, whichever way its JSON spells it. Pure; immutable
// once made, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace samplemind::ai {

// The same JSON with \uXXXX as the character itself (UTF-8) and \/ as /. Quotes, backslashes,
// control characters and halves of surrogate pairs stay escaped.
std::string plain_escapes(std::string_view json);

// Words of the operator that no request may hold. Upper and lower case are one (ASCII, Latin-1,
// Greek, Cyrillic); where a pattern has a space, any spaces, tabs and ends of lines match.
class BlockedWords {
 public:
  // An empty pattern blocks nothing.
  void add(std::string_view pattern);
  bool empty() const { return patterns_.empty(); }
  bool in(std::string_view json) const;

 private:
  std::vector<std::vector<std::string>> patterns_;  // by words, in lower case
  bool ascii_ = true;
};

}  // namespace samplemind::ai
