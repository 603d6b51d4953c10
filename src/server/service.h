// The service's life: bind, serve, stop on a signal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "server/engine.h"

namespace samplemind::server {

// What <home>/run/samplemind.json says of a running service.
struct RunFile {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // of the process: a pid alone may have been given to another
  std::string host;
  uint16_t port = 0;
  bool tls = false;
  std::string version;
  int64_t started_ms = 0;
  std::string address() const;  // "http://127.0.0.1:8000"
};
// Nothing when there is no file or its process is gone. `stale` (optional) is set when a file of a
// dead process was found.
std::optional<RunFile> read_run_file(const std::filesystem::path& home, bool* stale = nullptr);

// kPermissionDenied when `host` reaches beyond this machine and there is no key: neither the
// server's own nor a virtual one.
Result<void> check_exposure(const std::string& host, const std::string& api_key,
                            bool virtual_keys = false);

// From now on SIGTERM and SIGINT wait for run_service(), in this thread and in those that it makes.
// A thread of the engine that did not hold them would take one that comes before the service waits
// for it, and the process would end at once, with what is not written yet.
void hold_stop_signals();

// Serves until SIGTERM or SIGINT, then lets running requests finish for at most 10 s. REQUIRES:
// called on the main thread, which held the signals before the engine was opened. Gives the signal
// that ended it.
Result<int> run_service(Engine& engine);

}  // namespace samplemind::server
