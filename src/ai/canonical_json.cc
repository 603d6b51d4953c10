#include "ai/canonical_json.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <vector>

namespace samplemind::ai {

namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

// The bytes that RFC 8785 escapes: only what JSON must.
constexpr std::array<bool, 256> kEscaped = [] {
  std::array<bool, 256> table{};
  for (size_t c = 0; c < 0x20; ++c) table[c] = true;
  table['"'] = table['\\'] = true;
  return table;
}();

// The two-letter forms where they exist, else lower-case \u00xx.
void append_escape(std::string& out, char c) {
  static constexpr char kDigits[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\b':
      out += "\\b";
      break;
    case '\f':
      out += "\\f";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      out += "\\u00";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
  }
}

// True when one of the eight bytes is below 0x20, a quote or a backslash (Hacker's Delight, "find
// first 0-byte"; may also say true for a byte above 0x7F that follows such a one, never false).
bool any_escaped(const char* bytes) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  constexpr uint64_t kHighs = 0x8080808080808080u;
  uint64_t v = 0;
  std::memcpy(&v, bytes, sizeof v);
  const auto zero = [](uint64_t x) { return (x - kOnes) & ~x & kHighs; };
  const uint64_t control = (v - kOnes * 0x20) & ~v & kHighs;
  return (control | zero(v ^ kOnes * '"') | zero(v ^ kOnes * '\\')) != 0;
}

void append_string(std::string& out, std::string_view s) {
  out += '"';
  size_t copied = 0;
  for (size_t i = 0; i < s.size();) {
    if (i + 8 <= s.size() && !any_escaped(s.data() + i)) {
      i += 8;
      continue;
    }
    for (const size_t end = std::min(i + 8, s.size()); i < end; ++i) {
      if (!kEscaped[static_cast<unsigned char>(s[i])]) continue;
      out.append(s, copied, i - copied);
      append_escape(out, s[i]);
      copied = i + 1;
    }
  }
  out.append(s, copied);
  out += '"';
}

// The order of UTF-16 code units, which differs from that of UTF-8 bytes only between
// U+E000..U+FFFF and what needs surrogates.
bool utf16_less(std::string_view a, std::string_view b) {
  const auto rank = [](unsigned char lead) -> int {
    if (lead >= 0xF0) return 0xED;  // surrogates begin at D800, which UTF-8 would write ED A0 80
    if (lead == 0xEE || lead == 0xEF) return 0xF8;  // U+E000..U+FFFF come after them
    return lead;
  };
  const size_t n = std::min(a.size(), b.size());
  for (size_t i = 0; i < n; ++i) {
    const auto x = static_cast<unsigned char>(a[i]);
    const auto y = static_cast<unsigned char>(b[i]);
    if (x == y) continue;
    // Continuation bytes compare as they are; leads by rank. U+D7FF and below have leads up to ED
    // 9F and no valid text has ED A0.
    if ((x & 0xC0) == 0x80 || (y & 0xC0) == 0x80) return x < y;
    const int rx = rank(x);
    const int ry = rank(y);
    if (rx != ry) return rx < ry;
    if (x == 0xED || y == 0xED) return x == 0xED;  // U+D000..U+D7FF against a surrogate pair
    return x < y;
  }
  return a.size() < b.size();
}

void append_value(std::string& out, const element& e);
void append_integer(std::string& out, int64_t v);

void append_object(std::string& out, const simdjson::dom::object& object,
                   const std::function<bool(std::string_view)>& skip) {
  std::vector<std::pair<std::string_view, element>> members;
  for (const auto& field : object) {
    if (!skip || !skip(field.key)) members.emplace_back(field.key, field.value);
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return utf16_less(a.first, b.first); });
  out += '{';
  bool first = true;
  for (const auto& [key, value] : members) {
    if (!first) out += ',';
    first = false;
    append_string(out, key);
    out += ':';
    append_value(out, value);
  }
  out += '}';
}

void append_value(std::string& out, const element& e) {
  switch (e.type()) {
    case element_type::ARRAY: {
      out += '[';
      bool first = true;
      for (const element child : simdjson::dom::array(e)) {
        if (!first) out += ',';
        first = false;
        append_value(out, child);
      }
      out += ']';
      break;
    }
    case element_type::OBJECT:
      append_object(out, simdjson::dom::object(e), {});
      break;
    case element_type::STRING:
      append_string(out, std::string_view(e));
      break;
    case element_type::INT64:
      append_integer(out, int64_t(e));
      break;
    case element_type::UINT64:
      out += std::to_string(uint64_t(e));
      break;
    case element_type::DOUBLE:
      out += ecmascript_number(double(e));
      break;
    case element_type::BOOL:
      out += bool(e) ? "true" : "false";
      break;
    case element_type::NULL_VALUE:
      out += "null";
      break;
  }
}

void append_integer(std::string& out, int64_t v) {
  constexpr int64_t kExact = 1LL << 53;
  out +=
      v >= -kExact && v <= kExact ? ecmascript_number(static_cast<double>(v)) : std::to_string(v);
}

}  // namespace

void append_canonical_string(std::string& out, std::string_view text) {
  append_string(out, text);
}

void append_canonical(std::string& out, const JsonValue& v) {
  if (v.is_object()) {
    std::vector<const std::pair<std::string, JsonValue>*> members;
    members.reserve(v.size());
    for (const auto& member : v.members()) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(),
                     [](const auto* a, const auto* b) { return utf16_less(a->first, b->first); });
    char before = '{';
    for (const auto* member : members) {
      out += before;
      before = ',';
      append_string(out, member->first);
      out += ':';
      append_canonical(out, member->second);
    }
    out += members.empty() ? "{}" : "}";
  } else if (v.is_array()) {
    char before = '[';
    for (const JsonValue& item : v.items()) {
      out += before;
      before = ',';
      append_canonical(out, item);
    }
    out += v.size() == 0 ? "[]" : "]";
  } else if (v.is_string()) {
    append_string(out, v.text());
  } else if (const auto large = v.large_integer()) {
    out += std::to_string(*large);
  } else if (const auto whole = v.exact_integer()) {
    append_integer(out, *whole);
  } else if (const auto number = v.number()) {
    out += ecmascript_number(*number);
  } else if (const auto truth = v.boolean()) {
    out += *truth ? "true" : "false";
  } else {
    out += "null";
  }
}

std::string ecmascript_number(double value) {
  if (value == 0) return "0";  // also -0
  char text[40];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, std::abs(value), std::chars_format::scientific);
  const std::string_view printed(text, static_cast<size_t>(end - text));
  const size_t e = printed.find('e');
  int exponent = 0;
  std::from_chars(printed.data() + e + 1 + (printed[e + 1] == '+' ? 1 : 0), end, exponent);
  std::string digits(1, printed[0]);
  if (e > 2) digits += printed.substr(2, e - 2);
  const int k = static_cast<int>(digits.size());
  const int n = exponent + 1;  // value = 0.digits * 10^n
  std::string out = value < 0 ? "-" : "";
  if (k <= n && n <= 21) {
    out += digits + std::string(static_cast<size_t>(n - k), '0');
  } else if (0 < n && n <= 21) {
    out += digits.substr(0, static_cast<size_t>(n)) + "." + digits.substr(static_cast<size_t>(n));
  } else if (-6 < n && n <= 0) {
    out += "0." + std::string(static_cast<size_t>(-n), '0') + digits;
  } else {
    out += digits.substr(0, 1);
    if (k > 1) out += "." + digits.substr(1);
    out += std::string("e") + (n - 1 < 0 ? "-" : "+") + std::to_string(std::abs(n - 1));
  }
  return out;
}

Result<std::string> canonical_json(std::string_view text,
                                   const std::function<bool(std::string_view)>& skip) {
  thread_local simdjson::dom::parser parser;
  element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root)) {
    return Error(ErrorCode::kInvalidArgument,
                 std::string("not valid JSON: ") + simdjson::error_message(error));
  }
  std::string out;
  out.reserve(text.size());
  if (root.type() == element_type::OBJECT) {
    append_object(out, simdjson::dom::object(root), skip);
  } else {
    append_value(out, root);
  }
  return out;
}

}  // namespace samplemind::ai
