// Background services from outside: start, wait, stop, find who listens. Everything is told by a
// file in <home>/run that names a process for good (pid and start time), so that nothing else is
// ever ended.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace samplemind::cli {

struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  bool alive() const;  // this very process, no later one with its pid
  double uptime_s() const;
};

// SIGTERM, then after `patience` SIGKILL (to its whole group where it leads one). True when it went
// by itself. `on_wait` is called every 50 ms.
bool stop_process(const ProcessId& id, std::chrono::milliseconds patience,
                  const std::function<void(double waited_s)>& on_wait = {});

// Who listens on this TCP port, as far as /proc shows it to us (our own processes, or all for
// root).
struct Listener {
  pid_t pid = 0;
  std::string program;  // "python3"
};
std::optional<Listener> find_listener(uint16_t port);
// kAlreadyExists, naming who holds it, when nothing can be bound there; kInvalidArgument or
// kUnavailable when the address is none of ours. Port 0 is always free.
Result<void> check_port_free(const std::string& host, uint16_t port);
// True when a TCP connection succeeds in time.
bool answers(const std::string& host, uint16_t port, std::chrono::milliseconds timeout);
struct HttpProbe {
  int status = 0;
  double elapsed_ms = 0;
};
// GET `url`; nothing when nobody answers in time. `ca_file` for TLS with a certificate of our own.
std::optional<HttpProbe> probe(const std::string& url, std::chrono::milliseconds timeout,
                               const std::string& ca_file = {});

// The key that was generated for a service beyond this machine; empty when there is none.
std::string stored_api_key(const std::filesystem::path& home);
// Makes one (32 random bytes, hexadecimal) and stores it in <home>/api_key, mode 0600.
Result<std::string> generate_api_key(const std::filesystem::path& home);

// host:port of OLLAMA_HOST's many forms: "127.0.0.1", ":11434", "http://box:1234/".
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
HostPort parse_host_port(const std::string& text, uint16_t default_port);

// Ollama as a child service of ours.
struct OllamaState {
  HostPort where;
  bool answers = false;
  std::optional<ProcessId> ours;                 // that we started and that still runs
  std::optional<std::filesystem::path> program;  // on PATH
};
OllamaState ollama_state(const Config& config, const std::filesystem::path& home);
// Starts `ollama serve` when it is installed, local and nobody answers. Gives true when it did.
Result<bool> start_ollama(const Config& config, const std::filesystem::path& home);
// Stops what start_ollama started; true when there was something.
bool stop_ollama(const std::filesystem::path& home, std::chrono::milliseconds patience);

// The last lines of a log, at most `count`, from byte `from` on; newest last.
std::vector<std::string> last_lines(const std::filesystem::path& file, size_t count,
                                    uint64_t from = 0);

}  // namespace samplemind::cli
