// samplemind scan
#include <memory>

#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"
#include "cli/worker.h"

namespace samplemind::cli {

namespace {

constexpr size_t kProblemsShown = 20;

struct ScanFlags {
  std::vector<std::string> paths;
  std::string queue;
  bool json = false, status = false, pause = false, resume = false, cancel = false;
};

std::string counted(int64_t n, const char* one, const char* many) {
  return human_count(n) + " " + (n == 1 ? one : many);
}

void show_report(const Context& context, const JsonValue& r) {
  const int64_t found = r["found"].integer_or(0);
  const int64_t measured = r["measured"].integer_or(0);
  const int64_t broken = r["broken"].integer_or(0);
  const double elapsed = r["elapsed_s"].number_or(0);
  std::string text = counted(found, "sound", "sounds") + " found: " + human_count(measured) +
                     " measured, " + human_count(r["unchanged"].integer_or(0)) + " unchanged";
  if (const int64_t n = r["moved"].integer_or(0); n > 0) text += ", " + human_count(n) + " moved";
  if (const int64_t n = r["missing"].integer_or(0); n > 0)
    text += ", " + human_count(n) + " no longer there";
  if (broken > 0)
    text += ", " + styled(context.out, Style::kYellow, human_count(broken) + " could not be read");
  text += " in " + human_duration(elapsed);
  if (measured > 9 && elapsed > 0)
    text += " (" + human_count(static_cast<int64_t>(static_cast<double>(measured) / elapsed)) +
            " files/s)";
  print(text + "\n");
  const auto& problems = r["problems"].items();
  std::string list;
  for (size_t i = 0; i < problems.size() && i < kProblemsShown; ++i) {
    const std::string path = problems[i]["path"].string_or("?");
    std::string message = problems[i]["message"].string_or("?");
    // The message begins with the path already where it comes from the ear.
    if (!message.starts_with(path)) message = path + ": " + message;
    list += "  " + printable(message) + "\n";
  }
  if (problems.size() > kProblemsShown)
    list += "  and " + human_count(static_cast<int64_t>(problems.size() - kProblemsShown)) +
            " more: samplemind search --broken\n";
  print_error_text(list);
}

// --status, --pause, --resume, --cancel: of the scan that the service runs.
Result<int> control_scan(const Context& context, const ScanFlags& f) {
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kService));
  JsonValue state;
  if (f.status) {
    SM_TRY(state, api->get("/api/v1/scan"));
  } else {
    const char* what = f.pause ? "pause" : f.resume ? "resume" : "cancel";
    SM_TRY(state, api->send("POST", std::string("/api/v1/scan/") + what, "{}"));
  }
  if (f.json) {
    print(state.dump() + "\n");
    return 0;
  }
  const JsonValue& last = state["last"];
  if (!state["running"].bool_or(false)) {
    print("No scan is running.\n");
    return 0;
  }
  print(std::string(f.cancel                         ? "cancelled"
                    : state["paused"].bool_or(false) ? "paused"
                                                     : "running") +
        ": " + human_count(last["done"].integer_or(0)) + " of " +
        human_count(last["to_do"].integer_or(0)) + " sounds\n");
  return 0;
}

Result<int> run_scan(const Context& context, const ScanFlags& flags) {
  if (flags.status + flags.pause + flags.resume + flags.cancel > 1)
    return Error(ErrorCode::kInvalidArgument, "one of --status, --pause, --resume, --cancel");
  if (flags.status || flags.pause || flags.resume || flags.cancel)
    return control_scan(context, flags);
  if (flags.paths.empty())
    return Error(ErrorCode::kInvalidArgument, "PATH is required",
                 "'samplemind scan --help' shows how it is used");
  std::string body;
  JsonWriter w(body);
  w.begin_object().key("paths").begin_array();
  for (const std::string& path : flags.paths) {
    std::error_code error;
    const fs::path absolute = fs::absolute(path, error).lexically_normal();
    if (!fs::exists(absolute, error)) {
      if (error && error != std::errc::no_such_file_or_directory)
        return errno_error(error.value(), absolute.string());
      return Error(ErrorCode::kNotFound, absolute.string() + " does not exist");
    }
    w.value(path_to_text(absolute));
  }
  w.end_array();
  if (!flags.queue.empty()) {
    SM_TRY(const server::QueueAddress queue, queue_address(context, flags.queue));
    w.key("queue").begin_object().field("url", queue.url).field("username", queue.username);
    w.field("password", queue.password).field("ca_file", queue.ca_file).end_object();
  }
  w.end_object();
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  const InterruptGuard interrupts;
  ScanDisplay display(context.err);
  auto scanned = api->stream(
      "/api/v1/scan", std::move(body),
      [&](const JsonValue& line) {
        if (flags.json) print(line.dump() + "\n");
        display.line(line);
      },
      &InterruptGuard::flag());
  display.clear();
  if (!scanned.ok() && scanned.error().code() == ErrorCode::kCancelled) {
    const JsonValue& last = display.last_progress();
    return Error(ErrorCode::kCancelled,
                 "stopped after " + human_count(last["done"].integer_or(0)) + " of " +
                     human_count(last["to_do"].integer_or(0)) +
                     " sounds; what was measured is kept",
                 "the same command goes on from here");
  }
  SM_CHECK_OK(std::move(scanned));
  if (display.report().is_null())
    return Error(ErrorCode::kInternal, "the scan ended without a report", "samplemind logs");
  if (!flags.json) show_report(context, display.report());
  return 0;
}

}  // namespace

Run add_scan(Arguments command, Context& context) {
  auto flags = std::make_shared<ScanFlags>();
  command.add_option(
      "PATH", flags->paths,
      "Folders (with all below them) or files: wav, aiff, flac, mp3, ogg, opus, m4a");
  command
      .add_option("--queue", flags->queue,
                  "Workers on any number of machines measure: the Redis they work on")
      .type_name("redis://HOST:PORT");
  command.add_flag("--status", flags->status, "How far the service's scan is");
  command.add_flag("--pause", flags->pause, "Pause the service's scan");
  command.add_flag("--resume", flags->resume, "Go on with it");
  command.add_flag("--cancel", flags->cancel, "End it; what is finished is kept");
  command.add_flag("--json", flags->json, "Progress and report as JSON lines");
  return [flags, &context] { return run_scan(context, *flags); };
}

}  // namespace samplemind::cli
