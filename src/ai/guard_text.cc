#include "ai/guard_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace samplemind::ai {

namespace {

// Of "\u00e4" at `at`.
std::optional<uint32_t> unit_at(std::string_view json, size_t at) {
  if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return std::nullopt;
  uint32_t unit = 0;
  const char* const end = json.data() + at + 6;
  const auto read = std::from_chars(json.data() + at + 2, end, unit, 16);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return unit;
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

void lower_ascii(std::string& text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Characters of two bytes in place: lower case has as many there.
void lower_others(std::string& text) {
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0xC3 || lead > 0xD0) continue;
    uint32_t c = (lead & 0x1Fu) << 6 | (static_cast<unsigned char>(text[i + 1]) & 0x3Fu);
    if ((c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) ||
        (c >= 0x410 && c <= 0x42F)) {
      c += 0x20;
    } else if (c >= 0x400 && c <= 0x40F) {
      c += 0x50;
    } else {
      continue;
    }
    text[i] = static_cast<char>(0xC0 | (c >> 6));
    text[i + 1] = static_cast<char>(0x80 | (c & 0x3F));
  }
}

// How many bytes of space stand at `at`, written as themselves or as escapes.
size_t space_at(std::string_view text, size_t at) {
  constexpr std::array<std::string_view, 8> kSpaces{" ",   "\t",  "\n",  "\r",
                                                    "\\n", "\\t", "\\r", "\xC2\xA0"};
  size_t end = at;
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view space : kSpaces) {
      if (!text.substr(end).starts_with(space)) continue;
      end += space.size();
      more = true;
    }
  }
  return end - at;
}

bool holds(std::string_view text, const std::vector<std::string>& words) {
  for (size_t at = text.find(words[0]); at != std::string_view::npos;
       at = text.find(words[0], at + 1)) {
    size_t end = at + words[0].size();
    bool all = true;
    for (size_t i = 1; i < words.size() && all; ++i) {
      const size_t gap = space_at(text, end);
      all = gap > 0 && text.substr(end + gap).starts_with(words[i]);
      end += gap + words[i].size();
    }
    if (all) return true;
  }
  return false;
}

}  // namespace

std::string plain_escapes(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (size_t at = 0; at < json.size();) {
    const size_t escape = std::min(json.find('\\', at), json.size());
    out += json.substr(at, escape - at);
    at = escape;
    if (at + 1 >= json.size()) break;
    if (json[at + 1] == '/') {
      out += '/';
      at += 2;
      continue;
    }
    size_t length = json[at + 1] == 'u' ? 6 : 2;
    if (auto c = unit_at(json, at)) {
      const bool high = *c >= 0xD800 && *c <= 0xDBFF;
      const auto low = high ? unit_at(json, at + 6) : std::nullopt;
      if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
        *c = 0x10000 + ((*c - 0xD800) << 10) + (*low - 0xDC00);
        length = 12;
      }
      const bool half = *c >= 0xD800 && *c <= 0xDFFF;
      if (!half && *c >= 0x20 && *c != 0x7F && *c != '"' && *c != '\\') {
        append_utf8(out, *c);
        at += length;
        continue;
      }
    }
    out += json.substr(at, length);
    at += length;
  }
  if (!json.empty() && json.back() == '\\' && !out.ends_with('\\')) out += '\\';
  return out;
}

void BlockedWords::add(std::string_view pattern) {
  std::string lower(pattern);
  lower_ascii(lower);
  lower_others(lower);
  ascii_ &= std::all_of(lower.begin(), lower.end(), [](char c) { return c >= 0; });
  std::vector<std::string> words;
  std::string word;
  for (size_t at = 0; at <= lower.size();) {
    const size_t gap = at < lower.size() ? space_at(lower, at) : 1;
    if (gap == 0) {
      word += lower[at++];
      continue;
    }
    if (!word.empty()) words.push_back(std::move(word));
    word.clear();
    at += gap;
  }
  if (!words.empty()) patterns_.push_back(std::move(words));
}

bool BlockedWords::in(std::string_view json) const {
  if (patterns_.empty()) return false;
  const bool escaped =
      json.find("\\u") != std::string_view::npos || json.find("\\/") != std::string_view::npos;
  std::string text = escaped ? plain_escapes(json) : std::string(json);
  lower_ascii(text);
  if (!ascii_) lower_others(text);
  return std::any_of(patterns_.begin(), patterns_.end(),
                     [&text](const auto& words) { return holds(text, words); });
}

}  // namespace samplemind::ai
