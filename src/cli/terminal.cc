#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/files.h"

namespace samplemind::cli {

namespace {

constexpr char32_t kInvalid = 0xFFFFFFFF;

// The next character of valid UTF-8, or kInvalid for one byte that is none.
char32_t next_character(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) {
    ++at;
    return first;
  }
  const int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || at + static_cast<size_t>(length) > text.size()) {
    ++at;
    return kInvalid;
  }
  char32_t c = first & (0xFFu >> (length + 1));
  for (int i = 1; i < length; ++i) {
    const unsigned char next = byte(at + static_cast<size_t>(i));
    if ((next & 0xC0) != 0x80) {
      ++at;
      return kInvalid;
    }
    c = (c << 6) | (next & 0x3Fu);
  }
  const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
  if (overlong || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) {
    ++at;
    return kInvalid;
  }
  at += static_cast<size_t>(length);
  return c;
}

// Own tables rather than wcwidth(): that one depends on the locale, and in "C" knows ASCII alone.
int character_width(char32_t c) {
  struct Span {
    char32_t low, high;
  };
  static constexpr Span kZero[] = {
      {0x300, 0x36F},   {0x483, 0x489},    {0x591, 0x5BD},   {0x610, 0x61A},   {0x64B, 0x65F},
      {0x6D6, 0x6DC},   {0x900, 0x902},    {0x93C, 0x93C},   {0x941, 0x948},   {0xE31, 0xE31},
      {0xE34, 0xE3A},   {0xE47, 0xE4E},    {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F},
      {0x2028, 0x202E}, {0x2060, 0x2064},  {0x20D0, 0x20F0}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
      {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}};
  static constexpr Span kWide[] = {
      {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
      {0x25FD, 0x25FE},   {0x2614, 0x2615},   {0x26A1, 0x26A1},   {0x2705, 0x2705},
      {0x2728, 0x2728},   {0x274C, 0x274C},   {0x2753, 0x2755},   {0x2B50, 0x2B50},
      {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
      {0xA000, 0xA4CF},   {0xA960, 0xA97F},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},
      {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F},
      {0x1F680, 0x1F6FF}, {0x1F7E0, 0x1F7EB}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF},
      {0x20000, 0x3FFFD}};
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return 0;
  if (c < 0x300) return 1;
  for (const Span& s : kZero)
    if (c >= s.low && c <= s.high) return 0;
  for (const Span& s : kWide)
    if (c >= s.low && c <= s.high) return 2;
  return 1;
}

// Characters that reorder or hide the text around them: a name could show as another one.
bool deceptive(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
         c == 0x200F || c == 0x2028 || c == 0x2029;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n <= 0) return;  // a progress line is not worth an error
    text.remove_prefix(static_cast<size_t>(n));
  }
}

std::string pad(std::string text, int columns, bool right) {
  const int missing = columns - display_width(text);
  if (missing <= 0) return text;
  const std::string space(static_cast<size_t>(missing), ' ');
  return right ? space + text : text + space;
}

std::string printf_string(const char* format, double value) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

}  // namespace

Terminal Terminal::detect(int fd) {
  Terminal t;
  t.fd = fd;
  t.tty = ::isatty(fd) == 1;
  const std::string term = env("TERM").value_or("");
  t.colour = t.tty && !env("NO_COLOR") && term != "dumb";
  std::string locale = env("LC_ALL").value_or(env("LC_CTYPE").value_or(env("LANG").value_or("")));
  std::transform(locale.begin(), locale.end(), locale.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  t.unicode = locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
  return t;
}

int Terminal::width() const {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return std::max<int>(size.ws_col, 20);
  if (const auto columns = env("COLUMNS")) {
    const int n = std::atoi(columns->c_str());
    if (n >= 20) return n;
  }
  return tty ? 80 : 120;
}

std::string styled(const Terminal& terminal, Style style, std::string_view text) {
  if (!terminal.colour || style == Style::kPlain || text.empty()) return std::string(text);
  const char* code = "";
  switch (style) {
    case Style::kPlain:
      break;
    case Style::kBold:
      code = "1";
      break;
    case Style::kDim:
      code = "2";
      break;
    case Style::kRed:
      code = "31";
      break;
    case Style::kGreen:
      code = "32";
      break;
    case Style::kYellow:
      code = "33";
      break;
    case Style::kCyan:
      code = "36";
      break;
  }
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

std::string printable(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t c = next_character(text, at);
    const bool line = keep_lines && (c == '\n' || c == '\t');
    if (c == kInvalid || deceptive(c) || (!line && (c < 0x20 || (c >= 0x7F && c < 0xA0)))) {
      out += '?';
    } else {
      out += text.substr(begin, at - begin);
    }
  }
  return out;
}

int display_width(std::string_view text) {
  int columns = 0;
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    columns += c == kInvalid ? 1 : character_width(c);
  }
  return columns;
}

std::string fit(std::string_view text, int columns, bool unicode, bool from_left) {
  const int full = display_width(text);
  if (full <= columns) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const int room = columns - display_width(mark);
  if (room < 0) return std::string(static_cast<size_t>(std::max(columns, 0)), '.');
  size_t at = 0;
  int used = 0;
  if (from_left) {
    while (at < text.size() && full - used > room) {
      const char32_t c = next_character(text, at);
      used += c == kInvalid ? 1 : character_width(c);
    }
    return std::string(mark) + std::string(text.substr(at));
  }
  for (size_t next = 0; next < text.size(); at = next) {
    const char32_t c = next_character(text, next);
    const int w = c == kInvalid ? 1 : character_width(c);
    if (used + w > room) break;
    used += w;
  }
  return std::string(text.substr(0, at)) + std::string(mark);
}

std::string human_duration(double seconds) {
  if (!(seconds >= 0)) return "?";
  if (seconds == 0) return "0 s";
  if (seconds < 0.001) return printf_string("%.0f µs", seconds * 1e6);
  if (seconds < 1) return printf_string("%.0f ms", seconds * 1e3);
  if (seconds < 9.95) return printf_string("%.1f s", seconds);
  const auto s = static_cast<int64_t>(std::llround(seconds));
  if (s < 60) return std::to_string(s) + " s";
  char buffer[64];
  if (s < 3600) {
    std::snprintf(buffer, sizeof buffer, "%ld min %02ld s", static_cast<long>(s / 60),
                  static_cast<long>(s % 60));
  } else if (s < 86400) {
    std::snprintf(buffer, sizeof buffer, "%ld h %02ld min", static_cast<long>(s / 3600),
                  static_cast<long>(s % 3600 / 60));
  } else {
    std::snprintf(buffer, sizeof buffer, "%ld d %02ld h", static_cast<long>(s / 86400),
                  static_cast<long>(s % 86400 / 3600));
  }
  return buffer;
}

std::string human_length(double seconds) {
  if (!(seconds >= 0)) return "?";
  char buffer[64];
  const auto tenths = static_cast<int64_t>(std::llround(seconds * 10));
  const long minutes = static_cast<long>(tenths / 600);
  if (minutes >= 60) {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld:%02ld", minutes / 60, minutes % 60,
                  static_cast<long>(tenths % 600 / 10));
  } else {
    std::snprintf(buffer, sizeof buffer, "%ld:%02ld.%ld", minutes,
                  static_cast<long>(tenths % 600 / 10), static_cast<long>(tenths % 10));
  }
  return buffer;
}

std::string human_bytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return printf_string(unit == 0 || bytes >= 99.95 ? "%.0f " : "%.1f ", bytes) + kUnits[unit];
}

std::string human_count(int64_t count) {
  std::string digits = std::to_string(count < 0 ? -count : count);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return (count < 0 ? "-" : "") + digits;
}

void Table::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  std::vector<Cell> row;
  row.reserve(cells.size());
  for (std::string& c : cells) row.push_back({printable(c), Style::kPlain});
  rows_.push_back(std::move(row));
}

void Table::style(size_t column, Style style) {
  if (!rows_.empty() && column < columns_.size()) rows_.back()[column].style = style;
}

std::string Table::render(const Terminal& terminal, int width) const {
  constexpr int kGap = 2;
  std::vector<int> widths;
  std::vector<bool> used(columns_.size(), true);
  for (size_t c = 0; c < columns_.size(); ++c) {
    int w = display_width(columns_[c].header);
    bool any = false;
    for (const auto& row : rows_) {
      w = std::max(w, display_width(row[c].text));
      any = any || !row[c].text.empty();
    }
    widths.push_back(w);
    if (!any && columns_[c].optional) used[c] = false;
  }
  const auto total = [&] {
    int sum = -kGap;
    for (size_t c = 0; c < columns_.size(); ++c)
      if (used[c]) sum += widths[c] + kGap;
    return sum;
  };
  // How far cutting alone would get.
  const auto least = [&] {
    int sum = -kGap;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (!used[c]) continue;
      const int s = columns_[c].shrink_to;
      sum += (s > 0 ? std::min(s, widths[c]) : widths[c]) + kGap;
    }
    return sum;
  };
  for (size_t c = columns_.size(); c-- > 0 && least() > width;)
    if (columns_[c].optional) used[c] = false;
  // The widest column that may shrink gives way first.
  while (total() > width) {
    size_t widest = columns_.size();
    for (size_t c = 0; c < columns_.size(); ++c) {
      const int s = columns_[c].shrink_to;
      if (!used[c] || s == 0 || widths[c] <= s) continue;
      if (widest == columns_.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == columns_.size()) break;
    --widths[widest];
  }
  std::string out;
  const auto line = [&](auto&& cell_of) {
    std::string text;
    int spaces = 0;
    int column = 0;
    for (size_t c = 0; c < columns_.size(); ++c) {
      if (!used[c]) continue;
      const auto [raw, style] = cell_of(c);
      // What still does not fit is cut at the edge: a wrapped table is no table.
      const int room = std::min(widths[c], std::max(0, width - column));
      std::string cell =
          pad(fit(raw, room, terminal.unicode, columns_[c].from_left), room, columns_[c].right);
      const size_t end = cell.find_last_not_of(' ');
      const size_t keep = end == std::string::npos ? 0 : end + 1;
      const int trailing = static_cast<int>(cell.size() - keep);
      cell.resize(keep);
      if (!cell.empty()) {
        text += std::string(static_cast<size_t>(spaces), ' ') + styled(terminal, style, cell);
        spaces = 0;
      }
      spaces += trailing + kGap;
      column += room + kGap;
    }
    out += text + "\n";
  };
  line([&](size_t c) { return std::pair(columns_[c].header, Style::kDim); });
  for (const auto& row : rows_)
    line([&](size_t c) { return std::pair(row[c].text, row[c].style); });
  return out;
}

Progress::Progress(const Terminal& terminal, std::chrono::milliseconds quiet)
    : terminal_(terminal), begun_(std::chrono::steady_clock::now()), quiet_(quiet) {}

Progress::~Progress() {
  clear();
}

void Progress::show(std::string_view label, double fraction, std::string_view facts,
                    std::string_view detail) {
  if (!terminal_.tty) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - begun_ < quiet_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  // One write: carriage return, the line, erase what is left of the older one.
  write_all(terminal_.fd,
            "\r" + line(terminal_, terminal_.width() - 1, label, fraction, facts, detail, tick_++) +
                "\033[K");
  shown_ = true;
}

void Progress::clear() {
  if (shown_) write_all(terminal_.fd, "\r\033[K");
  shown_ = false;
}

std::string Progress::line(const Terminal& terminal, int width, std::string_view label,
                           double fraction, std::string_view facts, std::string_view detail,
                           unsigned tick) {
  static constexpr std::string_view kSpinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  static constexpr std::string_view kPlainSpinner[] = {"|", "/", "-", "\\"};
  const std::string safe_label = printable(label);
  const std::string safe_facts = printable(facts);
  std::string plain;  // what counts for the width
  std::string out;
  const auto add = [&](std::string_view text, Style style) {
    const int room = width - display_width(plain);
    if (room <= 0 || text.empty()) return;
    const std::string cut = fit(text, room, terminal.unicode);
    plain += cut;
    out += styled(terminal, style, cut);
  };
  if (fraction < 0) {
    add(terminal.unicode ? kSpinner[tick % std::size(kSpinner)]
                         : kPlainSpinner[tick % std::size(kPlainSpinner)],
        Style::kCyan);
    add(" ", Style::kPlain);
    add(safe_label, Style::kPlain);
  } else {
    fraction = std::clamp(fraction, 0.0, 1.0);
    add(safe_label, Style::kPlain);
    add(" ", Style::kPlain);
    const int taken = display_width(safe_label) + display_width(safe_facts) + 10;
    const int cells = std::min(30, width - taken);
    if (cells >= 6) {
      const int full = static_cast<int>(std::floor(fraction * cells));
      std::string done, left;
      for (int i = 0; i < full; ++i) done += terminal.unicode ? "█" : "#";
      for (int i = full; i < cells; ++i) left += terminal.unicode ? "░" : "-";
      add(done, Style::kCyan);
      add(left, Style::kDim);
      add(" ", Style::kPlain);
    }
    add(pad(std::to_string(static_cast<int>(fraction * 100)) + "%", 4, true), Style::kBold);
  }
  if (!safe_facts.empty()) add("  " + safe_facts, Style::kPlain);
  if (!detail.empty() && width - display_width(plain) > 8)
    add("  " + fit(printable(detail), width - display_width(plain) - 2, terminal.unicode, true),
        Style::kDim);
  return out;
}

}  // namespace samplemind::cli
