// The one scan that a process may run at a time, on a thread of its own: a scan may last for hours
// and is no job for the pool that searches need. It does not depend on the exchange that asked for
// it: a handler's frame may be gone before the scan has ended. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
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

  // Pausing lasts until it is taken back, the scan ends or is cancelled.
  void pause(bool paused) { paused_ = paused; }
  const std::atomic<bool>& paused() const { return paused_; }

  struct State {
    bool running = false;
    bool paused = false;
    std::string line;  // the last line of progress or report; empty before the first scan
  };
  State state() const;
  // Tells all listeners; the line is kept as the last one.
  void publish(const std::string& line);
  // `on_line` is called on the scan's thread and must not block.
  uint64_t listen(std::function<void(const std::string&)> on_line);
  void stop_listening(uint64_t number);

 private:
  mutable std::mutex mutex_;
  uint64_t number_ = 0;
  bool running_ = false;
  std::shared_ptr<std::atomic<bool>> cancel_;
  std::atomic<bool> paused_{false};
  mutable std::mutex listeners_mutex_;
  std::string last_line_;
  uint64_t listener_number_ = 0;
  std::map<uint64_t, std::function<void(const std::string&)>> listeners_;
  std::thread thread_;
};

}  // namespace samplemind::server
