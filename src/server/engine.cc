#include "server/engine.h"

#include <algorithm>
#include <iterator>

#include "ai/config_keys.h"
#include "base/files.h"
#include "base/log.h"
#include "library/config_keys.h"
#include "server/scan_work.h"

namespace samplemind::server {

std::string_view version() {
  return SAMPLEMIND_VERSION;
}

std::vector<ConfigKey> all_config_keys() {
  using enum ConfigType;
  std::vector<ConfigKey> keys{
      {"server.host", kString, "127.0.0.1",
       "Address to listen on; beyond this machine only with a key"},
      {"server.port", kInteger, "8000", "Port to listen on"},
      {"server.shards", kInteger, "0", "I/O threads; 0: one a core"},
      {"server.api_key",
       kString,
       "",
       "When set, every request needs it (Authorization: Bearer, or x-api-key)",
       {},
       true},
      {"server.allowed_hosts", kStringList, "",
       "Names by which this server may be addressed, besides localhost and addresses"},
      {"server.body_max", kBytes, "32MiB", "Largest request body"},
      {"server.tls_certificate", kString, "", "PEM file; with tls_key the server speaks TLS"},
      {"server.tls_key", kString, "", "PEM file of the certificate's key"},
      {"log.level", kString, "info", "debug, info, warn or error"},
      {"log.format", kString, "auto", "auto (text on a terminal, else JSON), text or json"},
  };
  std::ranges::move(ai::config_keys(), std::back_inserter(keys));
  std::ranges::move(library::config_keys(), std::back_inserter(keys));
  return keys;
}

Engine::Engine(Config config_in, fs::path home_in)
    : config(std::move(config_in)), home(std::move(home_in)), started(system_clock().steady()) {}

Result<std::unique_ptr<Engine>> Engine::open(Config config, fs::path home,
                                             library::Catalogue::Access access) {
  auto engine = std::unique_ptr<Engine>(new Engine(std::move(config), std::move(home)));
  for (const Config::Entry& e : engine->config.entries()) {
    if (e.secret) log::redact(e.value);
  }
  if (access == library::Catalogue::Access::kWrite) SM_CHECK_OK(make_private_dir(engine->home));
  SM_TRY(engine->catalogue,
         library::Catalogue::open(engine->home, access, engine->config.string("library.store")));
  engine->map = std::make_unique<library::LibraryMap>(*engine->catalogue, engine->home,
                                                      access == library::Catalogue::Access::kWrite);
  SM_TRY(engine->keys, ai::KeyStore::open(engine->home / "keys.json"));
  std::error_code ignored;
  // A command that only looks leaves no folders behind.
  const bool may_write =
      access == library::Catalogue::Access::kWrite || fs::is_directory(engine->home, ignored);
  SM_TRY(
      engine->gateway,
      ai::Gateway::create(engine->config, may_write ? engine->home / "cache" : fs::path(),
                          engine->metrics, system_clock(), may_write ? engine->home : fs::path()));
  return engine;
}

void Engine::start_watching() {
  library::WatchOptions options;
  options.interval = std::chrono::minutes(
      std::clamp<int64_t>(config.integer("library.watch_minutes"), 0, 7 * 24 * 60));
  watcher =
      std::make_unique<library::Watcher>(options, [this](const std::vector<fs::path>& changed) {
        log::info("watch", {{"folders", changed.size()}, {"first", changed.front().string()}});
        return start_scan(
                   *this, changed, std::nullopt, [](std::string, bool) {}, [] {})
            .has_value();
      });
  refresh_watched();
}

void Engine::refresh_watched() {
  if (!watcher) return;
  auto folders = catalogue->watched();
  if (folders.ok()) watcher->set(std::move(*folders));
}

double Engine::uptime_s() const {
  return std::chrono::duration<double>(system_clock().steady() - started).count();
}

EngineShard::EngineShard(Engine& engine_in, net::Loop& loop_in)
    : engine(engine_in),
      loop(loop_in),
      gateway(ai::GatewayShard::create(engine_in.gateway, loop_in)),
      body_max(engine_in.config.bytes("server.body_max")) {}

net::Task<std::vector<ai::ProviderState>> EngineShard::provider_states() {
  const SteadyTime now = system_clock().steady();
  if (states_.empty() || now - states_time_ > std::chrono::seconds(5)) {
    states_ = co_await gateway->provider_states();
    states_time_ = system_clock().steady();
  }
  co_return states_;
}

}  // namespace samplemind::server
