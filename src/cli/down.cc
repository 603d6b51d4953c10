// samplemind down
#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/service_control.h"
#include "cli/stack.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

struct DownFlags {
  std::string timeout = "10s";
  bool stack = false;
};

Result<int> run_down(const Context& context, const DownFlags& flags) {
  if (flags.stack) return run_stack(context, {.up = false});
  SM_TRY(const int64_t patience_ms, parse_duration_ms(flags.timeout));
  const fs::path home = context.home();
  bool stale = false;
  const auto run = server::read_run_file(home, &stale);
  std::error_code ignored;
  if (run) {
    Progress progress(context.err);
    // A moment more than the service itself gives its requests, for closing its files.
    const bool gentle = stop_process(
        {run->pid, run->start_ticks}, std::chrono::milliseconds(patience_ms + 1000), [&](double s) {
          progress.show("Stopping", -1, "running requests may finish, " + human_duration(s));
        });
    progress.clear();
    fs::remove(home / "run" / "samplemind.json", ignored);
    if (gentle) {
      print("SampleMind is stopped.\n");
    } else {
      print("SampleMind did not end within " + flags.timeout + " and was killed.\n");
      print_note(context.err, "What was finished is safe: the library keeps a journal.");
    }
  } else {
    if (stale) fs::remove(home / "run" / "samplemind.json", ignored);
    print("SampleMind is not running.\n");
  }
  if (stop_ollama(home, std::chrono::milliseconds(patience_ms)))
    print("Ollama, started by SampleMind, is stopped.\n");
  return 0;
}

}  // namespace

Run add_down(Arguments command, Context& context) {
  auto flags = std::make_shared<DownFlags>();
  command
      .add_option("--timeout", flags->timeout,
                  "How long running requests may take before it is killed (10s)")
      .type_name("TIME");
  command.add_flag("--stack", flags->stack, "Stop the containers of docker/compose.yaml instead");
  return [flags, &context] { return run_down(context, *flags); };
}

}  // namespace samplemind::cli
