#include "server/scan_work.h"

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "library/scanner.h"
#include "server/call.h"

namespace samplemind::server {

namespace {

void write_progress(JsonWriter& w, const library::ScanProgress& p) {
  w.begin_object()
      .field("type", "progress")
      .field("found", p.found)
      .field("to_do", p.to_do)
      .field("done", p.done)
      .field("broken", p.broken);
  w.field("unchanged", p.unchanged)
      .field("moved", p.moved)
      .field("walking", p.walking)
      .field("paused", p.paused)
      .field("elapsed_s", p.elapsed_s)
      .field("files_per_s", p.files_per_s);
  w.key("left_s");
  if (p.left_s < 0) {
    w.null();
  } else {
    w.value(p.left_s);
  }
  w.field("current", p.current).end_object();
}

void write_report(JsonWriter& w, const library::ScanReport& r) {
  w.begin_object()
      .field("type", "report")
      .field("found", r.found)
      .field("measured", r.measured)
      .field("unchanged", r.unchanged)
      .field("moved", r.moved);
  w.field("missing", r.missing)
      .field("broken", r.broken)
      .field("cancelled", r.cancelled)
      .field("elapsed_s", r.elapsed_s)
      .key("problems")
      .begin_array();
  for (const auto& p : r.problems)
    w.begin_object().field("path", p.path).field("message", p.message).end_object();
  w.end_array().end_object();
}

}  // namespace

std::optional<uint64_t> start_scan(Engine& engine, std::vector<std::filesystem::path> paths,
                                   std::optional<QueueAddress> queue,
                                   std::function<void(std::string line, bool droppable)> on_line,
                                   std::function<void()> after) {
  auto tell = std::make_shared<std::function<void(std::string, bool)>>(std::move(on_line));
  std::function<std::string(const std::atomic<bool>&)> work =
      [&engine, tell, paths = std::move(paths),
       queue = std::move(queue)](const std::atomic<bool>& cancel) {
        library::ScanOptions options;
        options.paths = paths;
        options.threads = static_cast<size_t>(
            std::max<int64_t>(0, engine.config.integer("library.scan_threads")));
        options.cancel = &cancel;
        options.pause = &engine.scan.paused();
        options.on_progress = [&engine, &tell](const library::ScanProgress& p) {
          std::string line;
          JsonWriter w(line);
          write_progress(w, p);
          engine.scan.publish(line);
          (*tell)(std::move(line), true);
        };
        std::unique_ptr<ScanQueue> workers;
        const auto measured = [&]() -> Result<library::ScanReport> {
          if (queue) {
            SM_TRY(workers, ScanQueue::open(*queue));
            options.queue = workers.get();
          }
          return library::scan(*engine.catalogue, options);
        };
        const auto report = measured();
        std::string line;
        if (report.ok()) {
          log::info("scan", {{"found", report->found},
                             {"measured", report->measured},
                             {"broken", report->broken},
                             {"seconds", report->elapsed_s}});
          JsonWriter w(line);
          write_report(w, *report);
        } else {
          line = error_line(report.error());
        }
        engine.scan.publish(line);
        return line;
      };
  std::function<void(std::string)> last = [tell, after = std::move(after)](std::string line) {
    (*tell)(std::move(line), false);
    after();
  };
  return engine.scan.start(std::move(work), std::move(last));
}

}  // namespace samplemind::server
