#include "cli/context.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/files.h"
#include "base/log.h"
#include "server/engine.h"

namespace samplemind::cli {

namespace {

std::atomic<bool> g_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);
struct sigaction g_old_int, g_old_term;

void on_signal(int number) {
  if (g_interrupted.exchange(true)) {
    ::signal(number, SIG_DFL);
    ::raise(number);
  }
}

void write_to(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (fd == 1 && errno == EPIPE) ::_exit(0);
      if (fd == 1) {
        constexpr std::string_view kLost = "samplemind: cannot write to standard output\n";
        (void)!::write(2, kLost.data(), kLost.size());
        ::_exit(74);
      }
      return;
    }
    text.remove_prefix(static_cast<size_t>(n));
  }
}

}  // namespace

fs::path Context::home() const {
  return home_flag.empty() ? data_home() : fs::absolute(home_flag).lexically_normal();
}

Result<Config> Context::load_config(const ConfigFlags& flags, bool quiet_log) const {
  ConfigFlags all = flags;
  if (!log_level.empty()) all.emplace_back("log.level", log_level);
  if (!log_format.empty()) all.emplace_back("log.format", log_format);
  fs::path file = config_file;
  if (config_file.empty()) file = (home_flag.empty() ? config_home() : home()) / "config.toml";
  SM_TRY(Config config, Config::load(server::all_config_keys(), file, !config_file.empty(), all));
  SM_TRY(log::Level level, log::parse_level(config.string("log.level")));
  SM_TRY(const log::Format format, log::parse_format(config.string("log.format")));
  if (quiet_log && log_level.empty()) level = log::Level::kError;
  log::configure(level, format);
  return config;
}

void print(std::string_view text) {
  write_to(1, text);
}

void print_error_text(std::string_view text) {
  write_to(2, text);
}

void print_error(const Terminal& err, const Error& error) {
  std::string text =
      styled(err, Style::kRed, "samplemind:") + " " + printable(error.message(), true) + "\n";
  if (!error.hint().empty())
    text += "  " + styled(err, Style::kDim, "hint:") + " " + printable(error.hint(), true) + "\n";
  write_to(2, text);
}

void print_note(const Terminal& err, std::string_view text) {
  write_to(2, styled(err, Style::kDim, printable(text, true)) + "\n");
}

InterruptGuard::InterruptGuard() {
  g_interrupted = false;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &g_old_int);
  ::sigaction(SIGTERM, &action, &g_old_term);
}

InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &g_old_int, nullptr);
  ::sigaction(SIGTERM, &g_old_term, nullptr);
}

const std::atomic<bool>& InterruptGuard::flag() {
  return g_interrupted;
}

}  // namespace samplemind::cli
