#include "library/query.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace samplemind::library {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}  // other scripts stay whole
char lower(char c) {
  return is_upper(c) ? static_cast<char>(c + 32) : c;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

Error at(std::string_view what, std::string_view text, size_t position, std::string_view wanted) {
  return Error(ErrorCode::kInvalidArgument, std::string(what) + " '" + std::string(text) +
                                                "': at character " + std::to_string(position + 1) +
                                                ": " + std::string(wanted));
}

// Reads numbers and marks from a range's text.
class Reader {
 public:
  Reader(std::string_view text, std::string_view what, bool units)
      : text_(text), what_(what), units_(units) {}
  Result<Range> range(double single_tolerance) {
    Range r;
    skip();
    if (take("<=") || take("<")) {
      SM_TRY(const double high, number());
      r.high = high;
    } else if (take(">=") || take(">")) {
      SM_TRY(const double low, number());
      r.low = low;
    } else {
      SM_TRY(const double first, number());
      skip();
      if (take("-") || take("..") || take(":")) {
        r.low = first;
        skip();
        if (at_ < text_.size()) {
          SM_TRY(const double last, number());
          r.high = last;
          if (last < first) return at(what_, text_, 0, "the range ends before it begins");
        }
      } else {
        r.low = first - single_tolerance * (units_ ? first : 1);
        r.high = first + single_tolerance * (units_ ? first : 1);
      }
    }
    skip();
    if (at_ != text_.size()) return at(what_, text_, at_, "nothing more was expected here");
    return r;
  }

 private:
  void skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(std::string_view mark) {
    if (text_.substr(at_, mark.size()) != mark) return false;
    at_ += mark.size();
    return true;
  }
  Result<double> number() {
    skip();
    double value = 0;
    const char* begin = text_.data() + at_;
    const auto [end, error] =
        std::from_chars(begin, text_.data() + text_.size(), value, std::chars_format::fixed);
    if (error != std::errc() || value < 0 || !std::isfinite(value))
      return at(what_, text_, at_, "a number was expected, as in 120, 120-128, <100 or >90");
    at_ += static_cast<size_t>(end - begin);
    if (units_) {
      if (take("ms")) return value / 1000;
      if (!take("s") && take("m")) return value * 60;
    }
    return value;
  }
  std::string_view text_;
  std::string_view what_;
  bool units_;
  size_t at_ = 0;
};

constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};

std::string key_name(int tonic, bool minor) {
  return std::string(kNames[static_cast<size_t>((tonic % 12 + 12) % 12)]) +
         (minor ? " minor" : " major");
}

// Camelot "8A" is A minor, "8B" C major; a step up is a fifth. Open Key "1m" is A minor, "1d" C
// major.
std::optional<std::string> wheel_key(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 1 || number > 12 || end + 1 != text.data() + text.size())
    return std::nullopt;
  const char letter = lower(*end);
  if (letter == 'a' || letter == 'b')
    return key_name((letter == 'a' ? 9 : 0) + 7 * (number - 8), letter == 'a');
  if (letter == 'm' || letter == 'd')
    return key_name((letter == 'm' ? 9 : 0) + 7 * (number - 1), letter == 'm');
  return std::nullopt;
}

}  // namespace

Result<Range> parse_range(std::string_view text, std::string_view what, double single_tolerance) {
  return Reader(text, what, false).range(single_tolerance);
}

Result<Range> parse_length(std::string_view text) {
  return Reader(text, "length", true).range(0.1);
}

Result<std::string> parse_key(std::string_view text) {
  const Error wrong(ErrorCode::kInvalidArgument, "key '" + std::string(text) + "' is not known",
                    "write Am, A minor, F#m, Gb major, 8A (Camelot) or 1m (Open Key)");
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty()) return wrong;
  if (auto wheel = wheel_key(text)) return *wheel;
  static constexpr int kSemitones[7] = {9, 11, 0, 2, 4, 5, 7};  // A..G
  const char letter = lower(text.front());
  if (letter < 'a' || letter > 'g') return wrong;
  int tonic = kSemitones[letter - 'a'];
  text.remove_prefix(1);
  if (text.starts_with("#") || text.starts_with("\u266F")) {
    ++tonic;
    text.remove_prefix(text.front() == '#' ? 1 : 3);
  } else if (text.starts_with("\u266D")) {
    --tonic;
    text.remove_prefix(3);
  } else if (text.starts_with("b")) {
    --tonic;
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.front() == ' ' || text.front() == '_' || text.front() == '-'))
    text.remove_prefix(1);
  const std::string mode = text == "M" ? "major" : lower(text);
  if (mode.empty() || mode == "maj" || mode == "major" || mode == "dur")
    return key_name(tonic, false);
  if (mode == "m" || mode == "min" || mode == "minor" || mode == "moll")
    return key_name(tonic, true);
  return wrong;
}

Result<std::string> parse_content(std::string_view text) {
  std::string name = lower(text);
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  if (name == "oneshot" || name == "loop" || name == "music") return name;
  return Error(ErrorCode::kInvalidArgument, "content '" + std::string(text) + "' is not known",
               "use oneshot, loop or music");
}

Result<std::pair<Sort, bool>> parse_sort(std::string_view text) {
  const bool descending = text.starts_with('-');
  if (descending) text.remove_prefix(1);
  static constexpr std::pair<std::string_view, Sort> kSorts[] = {
      {"relevance", Sort::kRelevance}, {"name", Sort::kName},
      {"tempo", Sort::kTempo},         {"key", Sort::kKey},
      {"length", Sort::kLength},       {"loudness", Sort::kLoudness},
      {"added", Sort::kAdded}};
  for (const auto& [name, sort] : kSorts) {
    if (text == name) return std::pair(sort, descending);
  }
  return Error(
      ErrorCode::kInvalidArgument, "sort '" + std::string(text) + "' is not known",
      "use name, tempo, key, length, loudness, added or relevance; -tempo sorts downwards");
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> list;
  std::string word;
  const auto flush = [&] {
    if (!word.empty()) list.push_back(std::move(word));
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!is_digit(c) && !is_upper(c) && !is_lower(c)) {
      flush();
      continue;
    }
    if (i > 0 && !word.empty()) {
      const char before = text[i - 1];
      // "KickDrum" and "128bpm" split; "C1" and "808" stay.
      if ((is_lower(before) && is_upper(c)) || (is_digit(before) && (is_lower(c) || is_upper(c))) ||
          (is_lower(before) && is_digit(c)))
        flush();
    }
    word += lower(c);
  }
  flush();
  return list;
}

}  // namespace samplemind::library
