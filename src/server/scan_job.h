// The one scan that a process may run at a time, on a thread of its own: a scan may last for hours
// and is no job for the pool that searches need. It does not depend on the exchange that asked for
// it: a handler's frame may be gone before the scan has ended. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace samplemind::server {

class ScanJob {
 public:
  ScanJob() = default;
  ScanJob(const ScanJob&) = delete;
  ScanJob& operator=(const ScanJob&) = delete;
  ~ScanJob();  // cancels and waits

  // Runs `work` with its flag of cancellation, then `after` with what it gave; a new scan may start
  // from then on. The number names this scan; nothing when one runs already.
  std::optional<uint64_t> start(std::function<std::string(const std::atomic<bool>& cancel)> work,
                                std::function<void(std::string)> after);
  void cancel(uint64_t number);  // of that scan only; nothing when it has ended
  void cancel();                 // whichever runs
  bool running() const;

 private:
  mutable std::mutex mutex_;
  uint64_t number_ = 0;
  bool running_ = false;
  std::shared_ptr<std::atomic<bool>> cancel_;
  std::thread thread_;
};

}  // namespace samplemind::server
