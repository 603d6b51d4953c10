// samplemind worker
#include "cli/worker.h"

#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/commands.h"
#include "server/queue_worker.h"

namespace samplemind::cli {

namespace {

struct WorkerFlags {
  std::string queue;
  std::vector<std::string> maps;
  int threads = 0;
  double takeover_s = 30;
  bool poison = false, clear = false, json = false;
};

Result<int> show_poison(const WorkerFlags& f, const server::QueueAddress& queue) {
  SM_TRY(const auto files, server::poison_files(queue, f.clear));
  std::string text;
  for (const server::PoisonFile& file : files) {
    const std::string at = format_rfc3339(WallTime(std::chrono::milliseconds(file.at_ms)));
    if (f.json) {
      JsonWriter w(text);
      w.begin_object()
          .field("path", path_to_text(file.path))
          .field("tries", file.tries)
          .field("at", at);
      w.end_object();
      text += "\n";
    } else {
      text += at + "  " + std::to_string(file.tries) + " tries  " + printable(file.path) + "\n";
    }
  }
  if (text.empty() && !f.json) text = "No file was set aside.\n";
  if (f.clear && !files.empty() && !f.json) text += "Forgotten.\n";
  print(text);
  return 0;
}

Result<int> run(const Context& context, const WorkerFlags& f) {
  if (f.queue.empty())
    return Error(ErrorCode::kInvalidArgument, "--queue is required",
                 "samplemind worker --queue redis://127.0.0.1:6379");
  server::WorkerOptions options;
  SM_TRY(options.queue, queue_address(context, f.queue));
  if (f.clear && !f.poison) return Error(ErrorCode::kInvalidArgument, "--clear goes with --poison");
  if (f.poison) return show_poison(f, options.queue);
  for (const std::string& map : f.maps) {
    SM_TRY(auto parsed, server::parse_path_map(map));
    options.maps.push_back(std::move(parsed));
  }
  options.threads = static_cast<size_t>(f.threads);
  options.takeover = std::chrono::milliseconds(static_cast<int64_t>(f.takeover_s * 1000));
  const InterruptGuard interrupts;
  options.stop = &InterruptGuard::flag();
  options.on_done = [&](const std::string& path, const library::Measured& what) {
    using State = library::Measured::State;
    if (f.json) {
      std::string line;
      JsonWriter w(line);
      w.begin_object().field("path", path_to_text(path)).field("digest", what.digest_hex);
      w.field("state", what.state == State::kHeard  ? "measured"
                       : what.state == State::kGone ? "unreachable"
                                                    : "broken");
      w.field("error", what.error).end_object();
      print(line + "\n");
    } else if (what.state != State::kHeard) {
      print_note(context.err, printable(path + ": " + what.error));
    }
  };
  print_note(context.err, "taking jobs from " + f.queue + "; Ctrl-C finishes what is begun");
  SM_TRY(const server::WorkerReport r, server::run_worker(options));
  if (!f.json)
    print(human_count(r.measured) + " measured (" + human_count(r.known) + " known already), " +
          human_count(r.broken) + " broken, " + human_count(r.unreachable) + " unreachable, " +
          human_count(r.taken_over) + " taken over, " + human_count(r.set_aside) + " set aside\n");
  return 0;
}

}  // namespace

Result<server::QueueAddress> queue_address(const Context& context, const std::string& url) {
  net::RedisOptions parsed;
  if (auto fine = net::parse_redis_urls({url}, parsed); !fine.ok())
    return Error(fine.error()).with_context("--queue");
  SM_TRY(const Config config, context.load_config());
  return server::QueueAddress{url, config.string("library.queue_username"),
                              config.string("library.queue_password"),
                              config.string("library.queue_ca_file")};
}

Run add_worker(Arguments command, Context& context) {
  auto f = std::make_shared<WorkerFlags>();
  command.add_option("--queue", f->queue, "The Redis whose jobs to take: redis:// or rediss://")
      .type_name("redis://HOST:PORT");
  command
      .add_option("--map", f->maps,
                  "The scan's folder and where it is on this machine; may be given several times")
      .type_name("FROM=TO")
      .repeated();
  command.add_option("--threads", f->threads, "Files measured at once; 0: one a core")
      .range(0, 256)
      .capture_default();
  command
      .add_option("--takeover", f->takeover_s,
                  "Seconds of silence after which another worker's job is taken over")
      .range(0.5, 3600)
      .capture_default();
  command.add_flag("--poison", f->poison, "List the files that were set aside after three tries");
  command.add_flag("--clear", f->clear, "With --poison: forget them");
  command.add_flag("--json", f->json, "One line of JSON a file");
  return [f, &context] { return run(context, *f); };
}

}  // namespace samplemind::cli
