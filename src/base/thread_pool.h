// A bounded pool for work that may block (SQLite, decoding, DSP). Full is an answer, never a wait.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace samplemind {

class ThreadPool {
 public:
  enum class Priority {
    kNormal,
    kBackground
  };  // kBackground lowers the threads' nice value, so that a scan does not slow the gateway

  // REQUIRES: threads >= 1, queue_max >= 1.
  ThreadPool(std::string name, size_t threads, size_t queue_max,
             Priority priority = Priority::kNormal);
  // Runs what is queued, then joins.
  ~ThreadPool();

  // False when queue_max jobs wait already or the pool is stopping; the job is then not run. Jobs
  // must not throw. Thread-safe.
  [[nodiscard]] bool try_post(std::function<void()> job);
  // Waits for room; only for producers that own their thread (a scan), never on an I/O thread.
  // False when stopping.
  bool post_blocking(std::function<void()> job);
  // Drops what is queued and not begun. Thread-safe.
  void clear();
  size_t threads() const { return workers_.size(); }
  size_t queued() const;

 private:
  void run(Priority priority, std::string name);
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::deque<std::function<void()>> queue_;
  const size_t queue_max_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace samplemind
