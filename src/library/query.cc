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

Error at(std::string_view what, std::string_view text, size_t position, std::string_view wanted,
         std::string hint = {}) {
  return Error(ErrorCode::kInvalidArgument,
               std::string(what) + " '" + std::string(text) + "': at character " +
                   std::to_string(position + 1) + ": " + std::string(wanted),
               std::move(hint));
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
  const std::string_view all = text;
  const auto skip = [&] {
    while (!text.empty() && (text.front() == ' ' || text.front() == '_' || text.front() == '-'))
      text.remove_prefix(1);
  };
  skip();
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const auto wrong = [&](std::string_view wanted) {
    return at("key", all, static_cast<size_t>(text.data() - all.data()), wanted,
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
  const std::string mode = text == "M" ? "major" : lower(text);
  if (mode.empty() || mode == "maj" || mode == "major" || mode == "dur")
    return key_name(tonic, false);
  if (mode == "m" || mode == "min" || mode == "minor" || mode == "moll")
    return key_name(tonic, true);
  return wrong("major or minor was expected");
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

namespace {

bool in_word(char c) {
  return is_digit(c) || is_upper(c) || is_lower(c);
}

// One run of letters and digits, split. "KickDrum", "HHOpen" and "128bpm" split; "C1" and "808"
// stay.
void split_run(std::string_view run, std::vector<std::string>& list) {
  std::string word;
  for (size_t i = 0; i < run.size(); ++i) {
    const char c = run[i];
    if (i > 0) {
      const char before = run[i - 1];
      const bool letter = is_lower(c) || is_upper(c);
      const bool acronym_ends = is_upper(before) && is_upper(c) && i + 1 < run.size() &&
                                run[i + 1] >= 'a' && run[i + 1] <= 'z';
      if ((is_lower(before) && (is_upper(c) || is_digit(c))) || (is_digit(before) && letter) ||
          acronym_ends) {
        list.push_back(std::move(word));
        word.clear();
      }
    }
    word += lower(c);
  }
  list.push_back(std::move(word));
}

std::vector<std::string> split(std::string_view text, bool runs_too) {
  std::vector<std::string> list;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = at;
    while (end < text.size() && in_word(text[end])) ++end;
    if (end > at) {
      const std::string_view run = text.substr(at, end - at);
      const size_t before = list.size();
      split_run(run, list);
      if (runs_too && list.size() > before + 1) list.push_back(lower(run));
    }
    at = end + 1;
  }
  return list;
}

}  // namespace

std::vector<std::string> words(std::string_view text) {
  return split(text, false);
}

std::vector<std::string> index_words(std::string_view text) {
  return split(text, true);
}

}  // namespace samplemind::library
