// A worker: takes analysis jobs from the queue (server/scan_queue.h), measures, sends back what it
// heard. It has no library and writes nothing but to Redis.
//
// A job that a worker holds is renewed while it runs; one that was not renewed for `takeover` is
// taken over by another worker and runs there alone, so that a file that kills its worker takes no
// others with it. After three workers it is set aside and the scan is told that it is broken.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/scan_queue.h"

namespace samplemind::server {

struct WorkerOptions {
  QueueAddress queue;
  size_t threads = 0;  // 0: one a core
  std::chrono::milliseconds takeover{30'000};
  // Where the scan's folders are on this machine: the longest matching beginning counts.
  std::vector<std::pair<std::string, std::string>> maps;
  const std::atomic<bool>* stop =
      nullptr;  // what is begun is finished and sent, nothing more taken
  // On the calling thread, after each job.
  std::function<void(const std::string& path, const library::Measured& what)> on_done;
};

struct WorkerReport {
  int64_t measured = 0, broken = 0, unreachable = 0, taken_over = 0, set_aside = 0;
  int64_t known = 0;  // of measured: content that some worker had measured within the hour
};

inline constexpr int kTriesMax = 3;

// "/studio/sounds=/mnt/sounds": both absolute, without a slash at the end.
Result<std::pair<std::string, std::string>> parse_path_map(const std::string& text);
std::string map_path(const std::vector<std::pair<std::string, std::string>>& maps,
                     const std::string& path);

// Until `stop`. A Redis that goes away is waited for. kUnavailable when it cannot be reached at the
// start, kUnauthenticated.
Result<WorkerReport> run_worker(const WorkerOptions& options);

}  // namespace samplemind::server
