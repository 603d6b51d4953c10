#include "server/scan_job.h"

namespace samplemind::server {

ScanJob::~ScanJob() {
  cancel();
  if (thread_.joinable()) thread_.join();
}

std::optional<uint64_t> ScanJob::start(
    std::function<std::string(const std::atomic<bool>& cancel)> work,
    std::function<void(std::string)> after) {
  const std::lock_guard lock(mutex_);
  if (running_) return std::nullopt;
  // The thread before has nothing left to do but `after`, which does not block.
  if (thread_.joinable()) thread_.join();
  running_ = true;
  paused_ = false;
  cancel_ = std::make_shared<std::atomic<bool>>(false);
  thread_ = std::thread(
      [this, work = std::move(work), after = std::move(after), cancel = cancel_]() mutable {
        std::string last = work(*cancel);
        {
          const std::lock_guard own(mutex_);
          running_ = false;
        }
        after(std::move(last));
      });
  return ++number_;
}

void ScanJob::cancel(uint64_t number) {
  const std::lock_guard lock(mutex_);
  if (running_ && number == number_) *cancel_ = true;
}

void ScanJob::cancel() {
  const std::lock_guard lock(mutex_);
  if (running_) *cancel_ = true;
}

bool ScanJob::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

ScanJob::State ScanJob::state() const {
  State s;
  s.running = running();
  s.paused = s.running && paused_;
  const std::lock_guard lock(listeners_mutex_);
  s.line = last_line_;
  return s;
}

void ScanJob::publish(const std::string& line) {
  const std::lock_guard lock(listeners_mutex_);
  last_line_ = line;
  for (const auto& [number, on_line] : listeners_) on_line(line);
}

uint64_t ScanJob::listen(std::function<void(const std::string&)> on_line) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.emplace(++listener_number_, std::move(on_line));
  return listener_number_;
}

void ScanJob::stop_listening(uint64_t number) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_.erase(number);
}

}  // namespace samplemind::server
