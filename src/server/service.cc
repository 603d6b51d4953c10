#include "server/service.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "net/server.h"
#include "server/cache_routes.h"
#include "server/responses.h"
#include "server/routes.h"

namespace samplemind::server {

namespace {
constexpr std::chrono::milliseconds kGrace{10000};
fs::path run_path(const fs::path& home) {
  return home / "run" / "samplemind.json";
}
sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

}  // namespace

std::string RunFile::address() const {
  std::string shown = host == "0.0.0.0" ? "127.0.0.1" : host == "::" ? "::1" : host;
  if (shown.find(':') != std::string::npos) shown = "[" + shown + "]";
  return (tls ? "https://" : "http://") + shown + ":" + std::to_string(port);
}

std::optional<RunFile> read_run_file(const fs::path& home, bool* stale) {
  if (stale != nullptr) *stale = false;
  const auto text = read_file(run_path(home), 1 << 16);
  if (!text.ok()) return std::nullopt;
  const auto v = JsonValue::parse(*text);
  RunFile r;
  if (v.ok()) {
    r.pid = static_cast<pid_t>((*v)["pid"].integer_or(0));
    r.start_ticks = static_cast<uint64_t>((*v)["start_ticks"].integer_or(0));
    r.host = (*v)["host"].string_or("127.0.0.1");
    r.port = static_cast<uint16_t>((*v)["port"].integer_or(0));
    r.tls = (*v)["tls"].bool_or(false);
    r.version = (*v)["version"].string_or("");
    r.started_ms = (*v)["started_ms"].integer_or(0);
  }
  if (r.pid <= 0 || !process_alive(r.pid) || process_start_ticks(r.pid) != r.start_ticks) {
    if (stale != nullptr) *stale = true;
    return std::nullopt;
  }
  return r;
}

Result<void> check_exposure(const std::string& host, const std::string& api_key,
                            bool virtual_keys) {
  if (is_loopback_host(host) || !api_key.empty() || virtual_keys) return ok();
  return Error(
      ErrorCode::kPermissionDenied,
      "listening on " + host + " would let others on the network use this service without a key",
      "set server.api_key (SAMPLEMIND_SERVER_API_KEY) or make a virtual key (samplemind keys "
      "create), "
      "or listen on 127.0.0.1");
}

void hold_stop_signals() {
  const sigset_t signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Result<int> run_service(Engine& engine) {
  hold_stop_signals();
  ::signal(SIGPIPE, SIG_IGN);
  // A core dump would hold the providers' keys.
  ::prctl(PR_SET_DUMPABLE, 0);

  const Config& config = engine.config;
  net::ServerOptions options;
  options.host = config.string("server.host");
  const int64_t port = config.integer("server.port");
  if (port < 0 || port > 65535)
    return Error(ErrorCode::kInvalidArgument,
                 "server.port must be from 0 to 65535, not " + std::to_string(port));
  options.port = static_cast<uint16_t>(port);
  const int64_t shards = config.integer("server.shards");
  options.shards =
      shards > 0 ? static_cast<size_t>(shards) : std::max(1u, std::thread::hardware_concurrency());
  options.limits.body_bytes_max = config.bytes("server.body_max");
  options.refusal = refusal_body;
  options.tls.certificate_file = config.string("server.tls_certificate");
  options.tls.key_file = config.string("server.tls_key");
  SecurityPolicy policy{config.string("server.api_key"), config.list("server.allowed_hosts"),
                        engine.keys.get(), !is_loopback_host(options.host)};
  SM_CHECK_OK(check_exposure(options.host, policy.api_key, engine.keys->any()));
  SM_CHECK_OK(make_private_dir(engine.home / "run"));
  auto lock = FileLock::acquire(engine.home / "run" / "lock");
  if (!lock.ok()) {
    return lock.error().code() == ErrorCode::kAlreadyExists
               ? Error(ErrorCode::kAlreadyExists,
                       "another samplemind service runs on " + engine.home.string(),
                       "'samplemind ps' shows it")
               : std::move(lock).error();
  }

  const bool tls = !options.tls.certificate_file.empty();
  // A shard's engine part lives on the shard's loop: it is owned by the handler made there, and
  // goes with it.
  net::Server::HandlerFactory factory = [&engine, policy](net::Loop& loop,
                                                          size_t number) -> net::Handler {
    auto shard = std::make_shared<EngineShard>(engine, loop);
    net::Handler inner = make_handler(*shard, policy);
    if (number == 0) {
      loop.spawn(preload_models(*shard));
      loop.spawn(warm_on_schedule(*shard));
    }
    return [shard, inner = std::move(inner)](net::Exchange& exchange) { return inner(exchange); };
  };
  SM_TRY(const std::unique_ptr<net::Server> server,
         net::Server::bind(std::move(options), std::move(factory)));

  // Before the first answer: who has had one finds the file.
  RunFile run;
  run.pid = ::getpid();
  run.start_ticks = process_start_ticks(run.pid).value_or(0);
  run.host = config.string("server.host");
  run.port = server->port();
  run.tls = tls;
  engine.address = run.address();
  std::string json;
  JsonWriter w(json);
  w.begin_object()
      .field("pid", run.pid)
      .field("start_ticks", run.start_ticks)
      .field("host", run.host)
      .field("port", run.port)
      .field("tls", tls);
  w.field("version", version()).field("started_ms", system_clock().unix_ms()).end_object();
  SM_CHECK_OK(write_file_atomic(run_path(engine.home), json + "\n"));
  engine.server = server.get();
  server->start();
  engine.ready = true;
  engine.start_watching();
  log::info("serving",
            {{"address", engine.address}, {"version", version()}, {"home", engine.home.string()}});

  const sigset_t signals = stop_signals();
  int signal = 0;
  ::sigwait(&signals, &signal);
  log::info("stopping", {{"signal", signal}, {"running", server->active_exchanges()}});
  engine.ready = false;
  engine.scan.cancel();  // what it has finished is kept; its client gets the report
  server->stop(kGrace);
  engine.server = nullptr;
  engine.gateway->flush();
  std::error_code ignored;
  fs::remove(run_path(engine.home), ignored);
  log::info("stopped");
  return signal;
}

}  // namespace samplemind::server
