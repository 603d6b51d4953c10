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

}  // namespace samplemind::server
