// Child processes without a shell.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace samplemind {

struct ProcessOptions {
  std::vector<std::string> argv;  // argv[0] is looked up on PATH when it has no slash
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  bool bare = false;  // of our own environment only where programs, libraries and words are found
  std::filesystem::path
      output;  // standard output and error are appended here (mode 0600); empty: /dev/null
  int stdout_fd =
      -1;  // where standard output goes instead, when >= 0; `output` then takes only standard error
  bool new_session = false;      // a service of its own: setsid, not ended with our terminal
  bool die_with_parent = false;  // SIGKILL when the thread that started it ends (PR_SET_PDEATHSIG)
  uint64_t address_space_max_bytes = 0;  // rlimits; 0: ours
  uint64_t cpu_max_seconds = 0;
  bool no_new_files = false;  // RLIMIT_FSIZE 0: it cannot write to files
};

// Starts the program; its other descriptors are closed. kNotFound when argv[0] cannot be found.
Result<pid_t> start_process(const ProcessOptions& options);

// Exit status (0..255), or 128 + signal. Nothing when it still runs after `timeout`.
std::optional<int> wait_process(pid_t pid, std::chrono::milliseconds timeout);

// The full path of a program on PATH, or nothing.
std::optional<std::filesystem::path> find_program(std::string_view name);

// True while a process with this pid exists and is no zombie.
bool process_alive(pid_t pid);
// Clock ticks since boot at which the process started (field 22 of /proc/PID/stat): with the pid it
// names a process for good.
std::optional<uint64_t> process_start_ticks(pid_t pid);
// Resident set size in bytes; 0 when unknown.
uint64_t process_rss_bytes(pid_t pid);

}  // namespace samplemind
