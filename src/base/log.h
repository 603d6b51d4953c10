// Structured logging: an event name and fields. One line a record: readable text on a terminal,
// JSON otherwise. Thread-safe. Secrets registered with log::redact() are replaced wherever they
// show up.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace samplemind::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kAuto, kText, kJson };  // kAuto: text when standard error is a terminal

struct Field {
  template <std::integral I>
  requires(!std::same_as<I, bool>) Field(std::string_view n, I v)
      : name(n), value(static_cast<int64_t>(v)) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  std::string_view name;
  std::variant<int64_t, double, bool, std::string_view> value;
};
using Fields = std::initializer_list<Field>;

// Sets level and format; records go to standard error. Called once, before threads start.
void configure(Level level, Format format);
Result<Level> parse_level(std::string_view name);    // debug, info, warn, error
Result<Format> parse_format(std::string_view name);  // auto, text, json

// From now on `secret` (8 characters or more) is printed as "[redacted]".
void redact(std::string_view secret);
// The text with every registered secret replaced.
std::string redacted(std::string_view text);

void debug(std::string_view event, Fields fields = {});
void info(std::string_view event, Fields fields = {});
void warn(std::string_view event, Fields fields = {});
void error(std::string_view event, Fields fields = {});

// One record as it would be printed, without the newline; for tests.
std::string format_record(Format format, Level level, int64_t unix_ms, std::string_view event,
                          Fields fields);

}  // namespace samplemind::log
