#include "cli/samples_table.h"

#include <cmath>
#include <cstdio>

namespace samplemind::cli {

namespace {

std::string number(const JsonValue& value, const char* format) {
  const auto v = value.number();
  if (!v) return {};
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, *v);
  return buffer;
}

// "F# minor" -> "F#m", "C major" -> "C": as sample packs write it.
std::string short_key(const std::string& key) {
  const size_t space = key.find(' ');
  if (space == std::string::npos) return key;
  return key.substr(0, space) + (key.substr(space + 1) == "minor" ? "m" : "");
}

std::string note_name(const JsonValue& midi) {
  const auto v = midi.number();
  if (!v || *v < 0 || *v > 127) return {};
  static constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                           "F#", "G",  "G#", "A",  "A#", "B"};
  const int n = static_cast<int>(std::lround(*v));
  return std::string(kNames[n % 12]) + std::to_string(n / 12 - 1);
}

std::string what(const JsonValue& s) {
  const std::string content = s["content"].string_or("");
  const std::string kind = s["kind"].string_or("");
  if (content.empty()) return kind;
  return kind.empty() ? content : content + ", " + kind;
}

}  // namespace

std::string samples_table(const std::vector<JsonValue>& samples, const Terminal& terminal,
                          bool with_folder) {
  std::vector<Table::Column> columns{
      {.header = "name", .shrink_to = 16}, {.header = "what", .shrink_to = 7, .optional = true},
      {.header = "bpm", .right = true},    {.header = "key"},
      {.header = "length", .right = true}, {.header = "LUFS", .right = true, .optional = true}};
  if (with_folder)
    columns.push_back({.header = "folder", .shrink_to = 12, .optional = true, .from_left = true});
  Table table(std::move(columns));
  for (const JsonValue& s : samples) {
    std::string name = s["name"].string_or("");
    if (name.empty()) name = s["path"].string_or("?");
    std::string key = short_key(s["key"].string_or(""));
    if (key.empty()) key = note_name(s["note_midi"]);
    const auto length = s["duration_s"].number();
    std::vector<std::string> cells{std::move(name),
                                   what(s),
                                   number(s["tempo_bpm"], "%.1f"),
                                   std::move(key),
                                   length ? human_length(*length) : "",
                                   number(s["loudness_lufs"], "%.1f")};
    if (with_folder) cells.push_back(s["folder"].string_or(""));
    table.add(std::move(cells));
    table.style(1, Style::kDim);
    if (with_folder) table.style(6, Style::kDim);
  }
  return table.render(terminal, terminal.width());
}

std::string providers_table(const JsonValue& providers, const Terminal& terminal) {
  std::string out;
  size_t longest = 0;
  for (const JsonValue& p : providers.items())
    longest = std::max(longest, p["name"].string_or("").size());
  for (const JsonValue& p : providers.items()) {
    const bool usable = p["usable"].bool_or(false);
    std::string name = printable(p["name"].string_or("?"));
    name.resize(std::max(longest, name.size()), ' ');
    const std::string mark = usable ? styled(terminal, Style::kGreen, terminal.unicode ? "●" : "+")
                                    : styled(terminal, Style::kDim, terminal.unicode ? "○" : "-");
    out += "  " + mark + " " + name + "  " + printable(p["detail"].string_or("")) + "\n";
    const std::string remedy = p["remedy"].string_or("");
    if (!usable && !remedy.empty())
      out += std::string(longest + 6, ' ') +
             styled(terminal, Style::kYellow, std::string(terminal.unicode ? "→ " : "> ")) +
             printable(remedy) + "\n";
  }
  return out;
}

void ScanDisplay::line(const JsonValue& line) {
  const std::string type = line["type"].string_or("");
  if (type == "report") {
    report_ = line;
    progress_.clear();
    return;
  }
  if (type != "progress") return;
  last_ = line;
  const int64_t done = line["done"].integer_or(0);
  const int64_t to_do = line["to_do"].integer_or(0);
  const bool walking = line["walking"].bool_or(false);
  std::string current = line["current"].string_or("");
  current = current.substr(current.rfind('/') + 1);
  if (walking && done == 0) {
    progress_.show("Looking", -1, human_count(line["found"].integer_or(0)) + " sounds found");
    return;
  }
  std::string facts = human_count(done) + "/" + human_count(to_do) + (walking ? "+" : "");
  if (const double rate = line["files_per_s"].number_or(0); rate > 0) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, rate < 10 ? "  %.1f files/s" : "  %.0f files/s", rate);
    facts += buffer;
  }
  if (const auto left = line["left_s"].number(); left && !walking)
    facts += "  " + human_duration(std::max(1.0, std::round(*left))) + " left";
  if (const int64_t broken = line["broken"].integer_or(0); broken > 0)
    facts += "  " + human_count(broken) + " broken";
  progress_.show("Listening",
                 to_do > 0 ? static_cast<double>(done) / static_cast<double>(to_do) : 0, facts,
                 current);
}

}  // namespace samplemind::cli
