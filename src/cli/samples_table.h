// Sounds as people read them in a table.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/terminal.h"

namespace samplemind::cli {

// From objects with the fields of audio/analysis_json.h and a "name" or "path".
std::string samples_table(const std::vector<JsonValue>& samples, const Terminal& terminal,
                          bool with_folder);
// "2 providers" as lines: name, state, the one thing to do.
std::string providers_table(const JsonValue& providers, const Terminal& terminal);

// A bar for the lines of POST /api/v1/scan.
class ScanDisplay {
 public:
  explicit ScanDisplay(const Terminal& terminal) : progress_(terminal) {}
  void line(const JsonValue& line);
  const JsonValue& report() const { return report_; }  // null until it came
  const JsonValue& last_progress() const { return last_; }
  void clear() { progress_.clear(); }

 private:
  Progress progress_;
  JsonValue report_;
  JsonValue last_;
};

}  // namespace samplemind::cli
