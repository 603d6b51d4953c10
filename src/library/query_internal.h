// Shared by the parsers of single values and of the whole language.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "library/query.h"

namespace samplemind::library {

// "WHAT 'TEXT': at character N: WANTED"
Error query_error(std::string_view what, std::string_view text, size_t position,
                  std::string_view wanted, std::string hint = {});

// Where a value's text stands: in `whole` from byte `base` on.
struct Source {
  std::string_view what;
  std::string_view whole;
  size_t base = 0;
  Error error(size_t position, std::string_view wanted, std::string hint = {}) const {
    return query_error(what, whole, base + position, wanted, std::move(hint));
  }
};

// `units`: lengths (ms, s, m, h, d); a single number then stands for itself times 1 +- tolerance.
Result<Range> read_range(const Source& source, std::string_view text, double tolerance, bool units,
                         bool negative);
Result<std::string> read_key(const Source& source, std::string_view text);

}  // namespace samplemind::library
