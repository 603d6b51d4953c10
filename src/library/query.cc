#include "library/query.h"

#include "library/query_internal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace samplemind::library {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

// Reads numbers and marks from a range's text.
class Reader {
 public:
  Reader(const Source& source, std::string_view text, bool units, bool negative)
      : source_(source), text_(text), units_(units), negative_(negative) {}
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
          if (last < first) return source_.error(0, "the range ends before it begins");
        }
      } else {
        r.low = first - single_tolerance * (units_ ? first : 1);
        r.high = first + single_tolerance * (units_ ? first : 1);
      }
    }
    skip();
    if (at_ != text_.size()) return source_.error(at_, "nothing more was expected here");
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
    if (error != std::errc() || (value < 0 && !negative_) || !std::isfinite(value))
      return source_.error(at_, "a number was expected, as in 120, 120-128, <100 or >90");
    at_ += static_cast<size_t>(end - begin);
    if (units_) {
      if (take("ms")) return value / 1000;
      if (take("d")) return value * 86400;
      if (take("h")) return value * 3600;
      if (!take("s") && take("m")) return value * 60;
    }
    return value;
  }
  Source source_;
  std::string_view text_;
  bool units_;
  bool negative_;
  size_t at_ = 0;
};

constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};

std::string key_name(int tonic, bool minor) {
  return library::key_name((tonic % 12 + 12) % 12 + (minor ? 12 : 0));
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

Error query_error(std::string_view what, std::string_view text, size_t position,
                  std::string_view wanted, std::string hint) {
  return Error(ErrorCode::kInvalidArgument,
               std::string(what) + " '" + std::string(text) + "': at character " +
                   std::to_string(position + 1) + ": " + std::string(wanted),
               std::move(hint));
}

Result<Range> read_range(const Source& source, std::string_view text, double tolerance, bool units,
                         bool negative) {
  return Reader(source, text, units, negative).range(tolerance);
}

Result<Range> parse_range(std::string_view text, std::string_view what, double single_tolerance) {
  return read_range({what, text, 0}, text, single_tolerance, false, false);
}

Result<Range> parse_length(std::string_view text) {
  return read_range({"length", text, 0}, text, 0.1, true, false);
}

Result<std::string> parse_key(std::string_view text) {
  return read_key({"key", text, 0}, text);
}

Result<std::string> read_key(const Source& source, std::string_view text) {
  const std::string_view all = text;
  const auto skip = [&] {
    while (!text.empty() && (text.front() == ' ' || text.front() == '_' || text.front() == '-'))
      text.remove_prefix(1);
  };
  skip();
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const auto wrong = [&](std::string_view wanted) {
    return source.error(static_cast<size_t>(text.data() - all.data()), wanted,
                        "write Am, A minor, F#m, Gb major, 8A (Camelot) or 1m (Open Key)");
  };
  if (text.empty()) return wrong("a note was expected");
  if (auto wheel = wheel_key(text)) return *wheel;
  if (is_digit(text.front()))
    return wrong("a place on the wheel is 1 to 12 with A or B (Camelot), d or m (Open Key)");
  static constexpr int kSemitones[7] = {9, 11, 0, 2, 4, 5, 7};  // A..G
  const char letter = lower(text.front());
  if (letter < 'a' || letter > 'g') return wrong("a note from A to G was expected");
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
  skip();
  const std::string mode = text == "M" ? "major" : fold(text);
  if (mode.empty() || mode == "maj" || mode == "major" || mode == "dur")
    return key_name(tonic, false);
  if (mode == "m" || mode == "min" || mode == "minor" || mode == "moll")
    return key_name(tonic, true);
  return wrong("major or minor was expected");
}

Result<std::string> parse_content(std::string_view text) {
  std::string name = fold(text);
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  if (name == "oneshot" || name == "loop" || name == "music") return name;
  return Error(ErrorCode::kInvalidArgument, "content '" + std::string(text) + "' is not known",
               "use oneshot, loop or music");
}

Result<std::pair<Sort, bool>> parse_sort(std::string_view text) {
  const bool descending = text.starts_with('-');
  if (descending) text.remove_prefix(1);
  static constexpr std::pair<std::string_view, Sort> kSorts[] = {
      {"relevance", Sort::kRelevance}, {"name", Sort::kName},         {"tempo", Sort::kTempo},
      {"bpm", Sort::kTempo},           {"key", Sort::kKey},           {"length", Sort::kLength},
      {"len", Sort::kLength},          {"loudness", Sort::kLoudness}, {"lufs", Sort::kLoudness},
      {"added", Sort::kAdded},         {"rating", Sort::kRating},     {"played", Sort::kPlayed},
      {"recent", Sort::kPlayed},       {"kind", Sort::kKind},         {"folder", Sort::kFolder},
      {"note", Sort::kNote},           {"random", Sort::kRandom}};
  for (const auto& [name, sort] : kSorts) {
    if (text == name) return std::pair(sort, descending);
  }
  return Error(ErrorCode::kInvalidArgument, "sort '" + std::string(text) + "' is not known",
               "use name, tempo, key, length, loudness, added, rating, played, kind, folder, note, "
               "random or relevance; -tempo sorts downwards");
}

std::optional<int> key_index(std::string_view canonical) {
  const size_t space = canonical.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view mode = canonical.substr(space + 1);
  if (mode != "major" && mode != "minor") return std::nullopt;
  for (int i = 0; i < 12; ++i) {
    if (canonical.substr(0, space) == kNames[static_cast<size_t>(i)])
      return i + (mode == "minor" ? 12 : 0);
  }
  return std::nullopt;
}

std::string key_name(int index) {
  SM_ASSERT(index >= 0 && index < 24);
  return std::string(kNames[static_cast<size_t>(index % 12)]) + (index < 12 ? " major" : " minor");
}

namespace {

// 0..11 up the fifths from C major and A minor.
int fifths(int index) {
  const int relative = index < 12 ? index : (index - 12 + 3) % 12;
  return relative * 7 % 12;
}
int from_fifths(int place, bool minor) {
  const int major = (place % 12 + 12) % 12 * 7 % 12;
  return minor ? (major + 9) % 12 + 12 : major;
}

}  // namespace

std::string camelot(int index) {
  SM_ASSERT(index >= 0 && index < 24);
  return std::to_string((fifths(index) + 7) % 12 + 1) + (index < 12 ? "B" : "A");
}

std::string open_key(int index) {
  SM_ASSERT(index >= 0 && index < 24);
  return std::to_string(fifths(index) + 1) + (index < 12 ? "d" : "m");
}

uint32_t compatible_keys(int index) {
  SM_ASSERT(index >= 0 && index < 24);
  const bool minor = index >= 12;
  const int place = fifths(index);
  return 1u << index | 1u << from_fifths(place + 1, minor) | 1u << from_fifths(place - 1, minor) |
         1u << from_fifths(place, !minor);
}

}  // namespace samplemind::library
