// samplemind up: the service in the background, and on the very first start its main job on the
// demo pack.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"
#include "cli/service_control.h"
#include "cli/stack.h"
#include "library/demo_pack.h"
#include "net/http.h"
#include "server/engine.h"
#include "server/security.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

constexpr std::chrono::seconds kStartPatience{60};
constexpr size_t kDemoRows = 20;

struct UpFlags {
  std::string host;
  int port = -1;
  bool foreground = false;
  bool stack = false;
  std::string with;
  bool no_demo = false;
};

ConfigFlags config_flags(const UpFlags& flags) {
  ConfigFlags out;
  if (!flags.host.empty()) out.emplace_back("server.host", flags.host);
  if (flags.port >= 0) out.emplace_back("server.port", std::to_string(flags.port));
  return out;
}

Result<void> prepare_home(const fs::path& home) {
  constexpr std::string_view kHint =
      "set SAMPLEMIND_HOME (or --home) to a folder that you can write to";
  for (const fs::path& folder : {home, home / "run", home / "logs"}) {
    if (auto made = make_private_dir(folder); !made.ok())
      return Error(made.error().code(),
                   "cannot keep data in " + home.string() + ": " + made.error().message(),
                   std::string(kHint));
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
      return Error(
          ErrorCode::kPermissionDenied,
          "cannot keep data in " + home.string() + ": " + folder.string() + " is not writable",
          std::string(kHint));
  }
  return ok();
}

// A service beyond this machine never runs without a key: one is made when there is none.
Result<void> settle_key(const Context& context, const fs::path& home, Config& config,
                        ConfigFlags& flags) {
  if (server::is_loopback_host(config.string("server.host")) ||
      !config.string("server.api_key").empty())
    return ok();
  std::string key = stored_api_key(home);
  if (key.empty()) {
    SM_TRY(key, generate_api_key(home));
    print_error_text("Others on the network can reach " + config.string("server.host") +
                     ", so every request needs a key. Here is yours; it is shown this once and "
                     "kept in\n" +
                     (home / "api_key").string() + ":\n\n  " +
                     styled(context.err, Style::kBold, key) + "\n\n");
  }
  flags.emplace_back("server.api_key", key);
  SM_TRY(config, context.load_config(flags, false));
  return ok();
}

Result<int> run_foreground(const Context& context, const UpFlags& up) {
  ConfigFlags flags = config_flags(up);
  SM_TRY(Config config, context.load_config(flags, false));
  const fs::path home = context.home();
  SM_CHECK_OK(prepare_home(home));
  SM_CHECK_OK(settle_key(context, home, config, flags));
  server::hold_stop_signals();  // before the engine has threads
  SM_TRY(const auto engine,
         server::Engine::open(std::move(config), home, library::Catalogue::Access::kWrite));
  SM_TRY(const int signal, server::run_service(*engine));
  (void)signal;
  return 0;
}

// What the service said when it ended at its start.
Error crash_error(const fs::path& log_file, uint64_t log_begin, int status) {
  const std::vector<std::string> lines = last_lines(log_file, 12, log_begin);
  std::string message, hint;
  for (const std::string& line : lines) {
    if (line.starts_with("samplemind: ")) message = line.substr(12);
    if (line.starts_with("  hint: ")) hint = line.substr(8);
  }
  ErrorCode code = ErrorCode::kInternal;
  for (const ErrorCode c :
       {ErrorCode::kAlreadyExists, ErrorCode::kPermissionDenied, ErrorCode::kInvalidArgument,
        ErrorCode::kDataLoss, ErrorCode::kUnavailable, ErrorCode::kResourceExhausted})
    if (exit_code(c) == status) code = c;
  if (!message.empty()) return Error(code, "the service did not start: " + message, hint);
  std::string shown = "the service ended while it started (" +
                      (status >= 128 ? "signal " + std::to_string(status - 128)
                                     : "status " + std::to_string(status)) +
                      ")";
  if (!lines.empty()) shown += "; its last lines:";
  for (const std::string& line : lines) shown += "\n    " + line;
  return Error(code, shown, "the whole log: samplemind logs");
}

// Waits for the run file and a healthy answer.
Result<server::RunFile> wait_healthy(const Context& context, pid_t pid, const fs::path& home,
                                     const fs::path& log_file, uint64_t log_begin,
                                     const std::string& ca_file) {
  Progress progress(context.err);
  const auto begun = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begun < kStartPatience) {
    if (const auto status = wait_process(pid, std::chrono::milliseconds(20))) {
      progress.clear();
      return crash_error(log_file, log_begin, *status);
    }
    if (InterruptGuard::flag()) {
      stop_process({pid, process_start_ticks(pid).value_or(0)}, std::chrono::seconds(5));
      return Error(ErrorCode::kCancelled, "stopped while starting");
    }
    const auto run = server::read_run_file(home);
    if (run && run->pid == pid) {
      const auto health =
          probe(run->address() + "/healthz", std::chrono::milliseconds(2000), ca_file);
      if (health && health->status == 200) return *run;
    }
    progress.show("Starting", -1, "", "");
  }
  return Error(ErrorCode::kDeadlineExceeded,
               "the service (pid " + std::to_string(pid) + ") does not answer after " +
                   human_duration(std::chrono::duration<double>(kStartPatience).count()),
               "samplemind logs shows what it is doing; samplemind down stops it");
}

// Writes and scans the demo pack, shows what was heard.
Result<void> first_run(const Context& context, const fs::path& home) {
  const fs::path folder = home / "demo-pack";
  {
    Progress progress(context.err);
    SM_CHECK_OK(library::write_demo_pack(folder, [&](int done, int total) {
      progress.show("Making the demo pack", static_cast<double>(done) / std::max(total, 1),
                    std::to_string(done) + "/" + std::to_string(total));
    }));
  }
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kService));
  ScanDisplay display(context.err);
  std::string body;
  JsonWriter(body)
      .begin_object()
      .key("paths")
      .begin_array()
      .value(folder.string())
      .end_array()
      .end_object();
  auto scanned = api->stream(
      "/api/v1/scan", std::move(body), [&](const JsonValue& l) { display.line(l); },
      &InterruptGuard::flag());
  display.clear();
  SM_CHECK_OK(std::move(scanned));
  SM_TRY(const JsonValue found, api->get("/api/v1/samples?limit=200&sort=name&folder=" +
                                         net::percent_encode(folder.string())));
  std::vector<JsonValue> samples = found["samples"].items();
  std::stable_sort(samples.begin(), samples.end(), [](const JsonValue& a, const JsonValue& b) {
    return a["tempo_bpm"].is_null() < b["tempo_bpm"].is_null();
  });
  const int64_t total = found["total"].integer_or(0);
  // An even choice: some of everything, loops first.
  std::vector<JsonValue> chosen;
  const size_t rows = std::min(samples.size(), kDemoRows);
  for (size_t i = 0; i < rows; ++i) chosen.push_back(samples[i * samples.size() / rows]);
  print("The first start: a demo pack of " + human_count(total) +
        " sounds, heard and measured in " +
        human_duration(display.report()["elapsed_s"].number_or(0)) + ".\n\n");
  print(samples_table(chosen, context.out, false));
  if (static_cast<int64_t>(rows) < total)
    print(styled(context.out, Style::kDim,
                 "and " + human_count(total - static_cast<int64_t>(rows)) +
                     " more: samplemind search") +
          "\n");
  print("\n");
  return write_file_atomic(home / "first_run_done", "The demo pack was scanned.\n");
}

void show_state(const Context& context, const server::RunFile& run) {
  print(styled(context.out, Style::kGreen, context.out.unicode ? "●" : "*") +
        " SampleMind is running at " + styled(context.out, Style::kBold, run.address()) + "\n");
  auto api = ApiClient::open(context, ApiClient::Need::kService);
  if (!api.ok()) return;
  const auto providers = (*api)->get("/api/v1/providers");
  if (providers.ok()) {
    print("\nModels to ask:\n" + providers_table((*providers)["providers"], context.out));
  } else {
    print_note(context.err,
               "the state of the providers is unknown: " + providers.error().message());
  }
  print("\n" +
        styled(context.out, Style::kDim,
               "Open it in a browser, or go on here:\n"
               "  samplemind scan ~/Samples\n"
               "  samplemind search --bpm 120-128\n"
               "  samplemind ask \"Which kick goes with a dark loop?\"") +
        "\n");
}

Result<int> already_running(const Context& context, const UpFlags& up, const server::RunFile& run) {
  print("SampleMind is already running at " + styled(context.out, Style::kBold, run.address()) +
        " (pid " + std::to_string(run.pid) + ")\n");
  if ((up.port >= 0 && up.port != 0 && up.port != run.port) ||
      (!up.host.empty() && up.host != run.host))
    print_note(context.err, "to move it: samplemind down, then samplemind up with the new address");
  return 0;
}

Result<int> run_up(const Context& context, const UpFlags& up) {
  if (!up.with.empty() && !up.stack)
    return Error(ErrorCode::kInvalidArgument, "--with belongs to --stack",
                 "samplemind up --stack --with " + up.with);
  if (up.stack) return run_stack(context, {.up = true, .port = up.port, .with = up.with});
  if (up.foreground) return run_foreground(context, up);
  ConfigFlags flags = config_flags(up);
  SM_TRY(Config config, context.load_config(flags, true));
  const fs::path home = context.home();
  SM_CHECK_OK(prepare_home(home));
  // Two starts at once: the second waits here for the first, and then finds it running.
  const std::string lock_path = (home / "run" / "up.lock").string();
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const std::unique_ptr<const int, void (*)(const int*)> unlock(&lock, [](const int* fd) {
    if (*fd >= 0) ::close(*fd);
  });
  if (lock >= 0) ::flock(lock, LOCK_EX);

  bool stale = false;
  if (const auto run = server::read_run_file(home, &stale))
    return already_running(context, up, *run);
  if (stale) {
    std::error_code ignored;
    fs::remove(home / "run" / "samplemind.json", ignored);
    print_note(context.err,
               "The last service ended without a goodbye; cleaned up after it. Nothing that was "
               "finished is lost.");
  }
  const int64_t port = config.integer("server.port");
  if (port < 0 || port > 65535)
    return Error(ErrorCode::kInvalidArgument,
                 "the port must be from 0 to 65535, not " + std::to_string(port));
  SM_CHECK_OK(check_port_free(config.string("server.host"), static_cast<uint16_t>(port)));
  SM_CHECK_OK(settle_key(context, home, config, flags));

  auto ollama = start_ollama(config, home);
  if (!ollama.ok()) {
    print_note(context.err, "Ollama is installed but did not start: " + ollama.error().message());
  } else if (*ollama) {
    print_note(context.err, "Started Ollama in the background (samplemind logs ollama).");
  }

  const fs::path log_file = home / "logs" / "samplemind.log";
  std::error_code absent;
  const uint64_t log_size = fs::file_size(log_file, absent);
  const uint64_t log_begin = absent ? 0 : log_size;
  ProcessOptions process;
  process.argv = {executable_path().string(), "up", "--foreground"};
  // Without it the child finds home and configuration as we did.
  if (!context.home_flag.empty())
    process.argv.insert(process.argv.end(), {"--home", home.string()});
  if (!context.config_file.empty())
    process.argv.insert(process.argv.end(),
                        {"--config", fs::absolute(context.config_file).string()});
  if (!context.log_level.empty())
    process.argv.insert(process.argv.end(), {"--log-level", context.log_level});
  if (!context.log_format.empty())
    process.argv.insert(process.argv.end(), {"--log-format", context.log_format});
  if (!up.host.empty()) process.argv.insert(process.argv.end(), {"--host", up.host});
  if (up.port >= 0) process.argv.insert(process.argv.end(), {"--port", std::to_string(up.port)});
  process.output = log_file;
  process.new_session = true;
  const InterruptGuard interrupts;
  auto started = start_process(process);
  Result<server::RunFile> run = started.ok()
                                    ? wait_healthy(context, *started, home, log_file, log_begin,
                                                   config.string("server.tls_certificate"))
                                    : Result<server::RunFile>(std::move(started).error());
  if (!run.ok()) {
    // What was started for a service that is not there goes with it.
    if (ollama.ok() && *ollama) stop_ollama(home, std::chrono::seconds(5));
    return std::move(run).error();
  }
  std::error_code ignored;
  const bool first = !fs::exists(home / "first_run_done", ignored);
  if (first && !up.no_demo && config.boolean("library.demo_pack")) {
    // The service is up: trouble with the demo is told, and no reason to fail.
    if (const auto heard = first_run(context, home); !heard.ok()) {
      if (heard.error().code() == ErrorCode::kCancelled) {
        print_note(context.err, "The demo pack was left; the next 'samplemind up' goes on.");
      } else {
        print_error(context.err,
                    Error(heard.error().code(), "the demo pack: " + heard.error().message(),
                          heard.error().hint()));
      }
    }
  }
  show_state(context, *run);
  return 0;
}

}  // namespace

Run add_up(Arguments command, Context& context) {
  auto flags = std::make_shared<UpFlags>();
  command
      .add_option("--host", flags->host,
                  "Address to listen on (127.0.0.1); beyond this machine a key is needed, and "
                  "made when there is none")
      .type_name("HOST");
  command.add_option("--port", flags->port, "Port to listen on (8000); 0: any free one")
      .type_name("N")
      .range(0, 65535);
  command.add_flag("--foreground", flags->foreground,
                   "Do not go to the background; for containers and supervisors");
  command.add_flag("--stack", flags->stack,
                   "Start the containers of docker/compose.yaml instead (source checkout)");
  command
      .add_option("--with", flags->with,
                  "With --stack: services beside it, with commas (ollama, redis, mongodb)")
      .type_name("NAMES");
  command.add_flag("--no-demo", flags->no_demo, "Leave the demo pack out of the first start");
  return [flags, &context] { return run_up(context, *flags); };
}

}  // namespace samplemind::cli
