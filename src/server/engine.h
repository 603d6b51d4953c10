// Everything one process needs besides sockets: configuration, metrics, library, gateway. The
// service and the command line open the same Engine, so that a command does the same whether the
// service is up or not. Thread-safe.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ai/gateway.h"
#include "ai/keys.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "library/catalogue.h"
#include "library/map/library_map.h"
#include "library/watcher.h"
#include "net/loop.h"
#include "net/server.h"
#include "server/scan_job.h"

namespace samplemind::server {

std::string_view version();  // "0.1.0"

// Of all parts.
std::vector<ConfigKey> all_config_keys();

class Engine {
 public:
  // `access`: kWrite for the service and for scans; kRead for commands that only look. Creates
  // `home` with kWrite.
  static Result<std::unique_ptr<Engine>> open(Config config, std::filesystem::path home,
                                              library::Catalogue::Access access);

  const Config config;
  const std::filesystem::path home;
  const SteadyTime started;
  Metrics metrics;
  std::unique_ptr<library::Catalogue> catalogue;
  std::unique_ptr<library::LibraryMap> map;
  std::unique_ptr<ai::KeyStore> keys;
  std::shared_ptr<ai::Gateway> gateway;
  std::atomic<bool> ready{false};
  std::string address;  // "http://127.0.0.1:8000" once served
  // While it serves: whose connections are counted. The service clears it before the server ends.
  std::atomic<const net::Server*> server{nullptr};
  ScanJob scan;
  // Last, so that their threads end before what they use.
  std::unique_ptr<library::Watcher> watcher;
  ThreadPool blocking{"blocking", 4, 256};

  double uptime_s() const;

  // Watches the catalogue's watched folders from now on (the service does).
  void start_watching();
  // Looks again at which they are; nothing where nobody watches.
  void refresh_watched();

 private:
  Engine(Config config, std::filesystem::path home);
};

// An engine's part on one loop.
class EngineShard {
 public:
  EngineShard(Engine& engine_in, net::Loop& loop_in);
  Engine& engine;
  net::Loop& loop;
  std::unique_ptr<ai::GatewayShard> gateway;
  const size_t body_max;  // server.body_max

  // As the gateway tells them, at most 5 s old: a status that is polled must not become a stream of
  // calls to the providers.
  net::Task<std::vector<ai::ProviderState>> provider_states();

 private:
  std::vector<ai::ProviderState> states_;
  SteadyTime states_time_;
};

}  // namespace samplemind::server
