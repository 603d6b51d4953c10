// Scans as the service runs them: on the engine's scan thread, told to whoever asked and to all who
// listen (ScanJob::listen).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "server/engine.h"
#include "server/scan_queue.h"

namespace samplemind::server {

// `on_line` gets each line of JSON on the scan's thread; progress may be dropped. `after` follows
// the last line, once a new scan may start. Nothing when one runs already. With a queue, workers
// measure.
std::optional<uint64_t> start_scan(Engine& engine, std::vector<std::filesystem::path> paths,
                                   std::optional<QueueAddress> queue,
                                   std::function<void(std::string line, bool droppable)> on_line,
                                   std::function<void()> after);

}  // namespace samplemind::server
