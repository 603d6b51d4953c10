#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "base/clock.h"
#include "base/json.h"

namespace samplemind::log {

namespace {
std::atomic<Level> g_level{Level::kInfo};
std::atomic<Format> g_format{Format::kText};

std::shared_mutex g_secrets_mutex;
std::vector<std::string>& secrets() {
  static std::vector<std::string> list;
  return list;
}

spdlog::logger& sink() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("samplemind",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      break;
  }
  return "error";
}

void emit(Level level, std::string_view event, Fields fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  const std::string line =
      redacted(format_record(g_format.load(), level, system_clock().unix_ms(), event, fields));
  sink().log(spdlog::level::info, std::string_view(line));
}

std::string timestamp(int64_t unix_ms) {
  std::string text = format_rfc3339(WallTime(std::chrono::milliseconds(unix_ms)));
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(unix_ms % 1000));
  text.replace(text.size() - 1, 1, fraction);
  return text;
}
}  // namespace

void configure(Level level, Format format) {
  if (format == Format::kAuto) format = ::isatty(STDERR_FILENO) ? Format::kText : Format::kJson;
  g_level = level;
  g_format = format;
}

Result<Level> parse_level(std::string_view name) {
  for (Level level : {Level::kDebug, Level::kInfo, Level::kWarn, Level::kError}) {
    if (name == level_name(level)) return level;
  }
  return Error(ErrorCode::kInvalidArgument, "unknown log level '" + std::string(name) + "'",
               "use debug, info, warn or error");
}

Result<Format> parse_format(std::string_view name) {
  if (name == "auto") return Format::kAuto;
  if (name == "text") return Format::kText;
  if (name == "json") return Format::kJson;
  return Error(ErrorCode::kInvalidArgument, "unknown log format '" + std::string(name) + "'",
               "use auto, text or json");
}

void redact(std::string_view secret) {
  if (secret.size() < 8) return;
  const std::unique_lock lock(g_secrets_mutex);
  secrets().emplace_back(secret);
}

std::string redacted(std::string_view text) {
  std::string clean(text);
  const std::shared_lock lock(g_secrets_mutex);
  for (const std::string& secret : secrets()) {
    for (size_t at = clean.find(secret); at != std::string::npos;
         at = clean.find(secret, at + 10)) {
      clean.replace(at, secret.size(), "[redacted]");
    }
  }
  return clean;
}

void debug(std::string_view event, Fields fields) {
  emit(Level::kDebug, event, fields);
}
void info(std::string_view event, Fields fields) {
  emit(Level::kInfo, event, fields);
}
void warn(std::string_view event, Fields fields) {
  emit(Level::kWarn, event, fields);
}
void error(std::string_view event, Fields fields) {
  emit(Level::kError, event, fields);
}

std::string format_record(Format format, Level level, int64_t unix_ms, std::string_view event,
                          Fields fields) {
  std::string line;
  if (format == Format::kJson) {
    JsonWriter w(line);
    w.begin_object()
        .field("time", timestamp(unix_ms))
        .field("level", level_name(level))
        .field("event", event);
    for (const Field& field : fields) {
      w.key(field.name);
      std::visit([&w](const auto& v) { w.value(v); }, field.value);
    }
    w.end_object();
    return line;
  }
  line = timestamp(unix_ms).substr(11, 12);
  line += ' ';
  line += level_name(level);
  line.append(6 - level_name(level).size(), ' ');
  line += event;
  for (const Field& field : fields) {
    line += "  ";
    line += field.name;
    line += '=';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      // Quoted when a reader (or a forged record) could mistake it for more than one field or line.
      if (text->empty() || text->find_first_of(" \t\r\n\"=") != std::string_view::npos) {
        append_json_string(line, *text);
      } else {
        line += *text;
      }
    } else if (const auto* i = std::get_if<int64_t>(&field.value)) {
      line += std::to_string(*i);
    } else if (const auto* d = std::get_if<double>(&field.value)) {
      append_json_number(line, *d);
    } else {
      line += std::get<bool>(field.value) ? "true" : "false";
    }
  }
  return line;
}

}  // namespace samplemind::log
