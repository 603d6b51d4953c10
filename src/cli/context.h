// What every command is given: the global flags, the two streams, the configuration on request.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "cli/terminal.h"

namespace samplemind::cli {

using ConfigFlags = std::vector<std::pair<std::string, std::string>>;

struct Context {
  Terminal out = Terminal::detect(1);
  Terminal err = Terminal::detect(2);
  // Global flags; empty: not given.
  std::string config_file;
  std::string home_flag;
  std::string store_flag;
  std::string log_level;
  std::string log_format;

  std::filesystem::path home() const;
  // Reads the configuration and sets up the log. `quiet_log`: a command for people shows only
  // warnings of its own engine unless --log-level says otherwise.
  Result<Config> load_config(const ConfigFlags& flags = {}, bool quiet_log = true) const;
};

// Writes to standard output. A reader that went away (`| head`) ends the program quietly.
void print(std::string_view text);
void print_error_text(std::string_view text);  // to standard error, as it is
// "samplemind: message" and "  hint: ..." on standard error.
void print_error(const Terminal& err, const Error& error);
// A remark that is no result: on standard error, dim.
void print_note(const Terminal& err, std::string_view text);

// Set by Ctrl-C (SIGINT) or SIGTERM between construction and destruction; a second signal ends the
// program at once.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static const std::atomic<bool>& flag();
};

}  // namespace samplemind::cli
