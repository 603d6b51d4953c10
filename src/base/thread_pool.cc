#include "base/thread_pool.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

namespace samplemind {

ThreadPool::ThreadPool(std::string name, size_t threads, size_t queue_max, Priority priority)
    : queue_max_(queue_max) {
  SM_ASSERT(threads >= 1 && queue_max >= 1);
  for (size_t i = 0; i < threads; ++i)
    workers_.emplace_back([this, priority, name] { run(priority, name); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  room_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

bool ThreadPool::try_post(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= queue_max_) return false;
    queue_.push_back(std::move(job));
  }
  work_.notify_one();
  return true;
}

bool ThreadPool::post_blocking(std::function<void()> job) {
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return stopping_ || queue_.size() < queue_max_; });
    if (stopping_) return false;
    queue_.push_back(std::move(job));
  }
  work_.notify_one();
  return true;
}

void ThreadPool::clear() {
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(queue_);
  }
  room_.notify_all();
}

size_t ThreadPool::queued() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void ThreadPool::run(Priority priority, std::string name) {
  name.resize(std::min<size_t>(name.size(), 15));
  ::pthread_setname_np(::pthread_self(), name.c_str());
  if (priority == Priority::kBackground) {
    // Linux keeps a nice value for each thread; failing to lower it only costs fairness.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 10);
  }
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    room_.notify_one();
    job();
  }
}

}  // namespace samplemind
