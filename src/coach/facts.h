// Measured facts as a model reads them: a fixed choice of fields, in a fixed order, rounded, so
// that the same sound gives the same bytes and the cache can answer. Pure functions, thread-safe.
#pragma once

#include <span>
#include <string>

#include "base/json.h"

namespace samplemind::coach {

struct Sound {
  std::string name;  // the file's name without its folder: folders are nobody's business
  JsonValue
      measured;  // fields as `samplemind analyze --json` prints them; unknown fields are left out
};

// {"sounds":[{"name":...,"duration_s":...}, ...]} on one line.
std::string write_facts(std::span<const Sound> sounds);

}  // namespace samplemind::coach
