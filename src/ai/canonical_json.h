// JSON Canonicalization Scheme (RFC 8785): one text for all spellings of the same value.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace samplemind::ai {

// Members sorted by UTF-16 code units, no white space, shortest escapes, numbers as ECMAScript
// prints them. One step beyond the RFC, to keep what differs apart: whole numbers that a double
// cannot hold exactly are printed with all their digits. `skip_member` (optional) is asked for each
// member of the top object; true leaves it out. kInvalidArgument when the text is no JSON.
Result<std::string> canonical_json(std::string_view text,
                                   const std::function<bool(std::string_view)>& skip_member = {});

// The same form of a value that was read before, and of one text, appended.
void append_canonical(std::string& out, const JsonValue& value);
void append_canonical_string(std::string& out, std::string_view text);

// ECMAScript's Number::toString. REQUIRES: finite.
std::string ecmascript_number(double value);

}  // namespace samplemind::ai
