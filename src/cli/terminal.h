// What a command shows: colours, widths, tables, one line of progress. Output adapts to where it
// goes: colours and moving lines only on a terminal, ASCII where the locale is not UTF-8, NO_COLOR
// honoured. Not thread-safe unless said otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace samplemind::cli {

// One of our two output streams.
struct Terminal {
  int fd = 1;
  bool tty = false;
  bool colour = false;
  bool unicode = false;

  static Terminal detect(int fd);
  // Columns, asked anew each time because windows change; $COLUMNS, then 80, where nobody knows.
  int width() const;
};

enum class Style { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };
// The text in this style, or as it is when the terminal shows no colours.
std::string styled(const Terminal& terminal, Style style, std::string_view text);

// Text that is safe to print: control characters (a file's name may hold escape sequences) and
// bytes that are not UTF-8 become '?'. Newlines and tabs stay when `keep_lines`.
std::string printable(std::string_view text, bool keep_lines = false);
// Columns the text takes: wide East Asian characters and emoji two, combining marks none.
int display_width(std::string_view text);
// The text cut to `columns` with an ellipsis where it is longer. `from_left` keeps the end instead
// (paths).
std::string fit(std::string_view text, int columns, bool unicode, bool from_left = false);

// "3.2 s", "1 min 05 s", "2 h 10 min".
std::string human_duration(double seconds);
// "0:03.2", as sound people write lengths.
std::string human_length(double seconds);
// "512 B", "1.4 MiB".
std::string human_bytes(double bytes);
// "1,234".
std::string human_count(int64_t count);

// A table with one header line. Columns are as wide as their content; when the terminal is
// narrower, columns that may shrink are cut, and columns that may be left out go (last one first).
class Table {
 public:
  struct Column {
    std::string header;
    bool right = false;      // numbers
    int shrink_to = 0;       // least width when it is cut; 0: never cut
    bool optional = false;   // may be left out when the terminal is too narrow
    bool from_left = false;  // when cut, keep the end
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell a column; cells are made printable.
  void add(std::vector<std::string> cells);
  // Gives the last row's cell of this column a style.
  void style(size_t column, Style style);
  bool empty() const { return rows_.empty(); }
  // Lines with their newlines, none wider than `width` columns.
  std::string render(const Terminal& terminal, int width) const;

 private:
  struct Cell {
    std::string text;
    Style style = Style::kPlain;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// One line on standard error that says how far something is. On a terminal it is rewritten in place
// (at most ten times a second, in one write, so that nothing flickers) and gone at the end;
// elsewhere nothing is printed, so that logs stay clean. Nothing shows before `quiet` has passed:
// what is over at once needs no bar.
class Progress {
 public:
  explicit Progress(const Terminal& terminal,
                    std::chrono::milliseconds quiet = std::chrono::milliseconds(300));
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `fraction` below 0: not known, a spinner instead of a bar. `detail` is cut first.
  void show(std::string_view label, double fraction, std::string_view facts,
            std::string_view detail = {});
  // Erases the line, for instance to print something else above it.
  void clear();

  // The line as it would be shown; for tests. No escape sequences unless colours are on.
  static std::string line(const Terminal& terminal, int width, std::string_view label,
                          double fraction, std::string_view facts, std::string_view detail,
                          unsigned tick);

 private:
  Terminal terminal_;
  std::chrono::steady_clock::time_point begun_;
  std::chrono::steady_clock::time_point last_{};
  std::chrono::milliseconds quiet_;
  unsigned tick_ = 0;
  bool shown_ = false;
};

}  // namespace samplemind::cli
