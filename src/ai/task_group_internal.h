// Background tasks that belong to an object and end with it: their frames refer to it, so they must
// not outlive it on the loop.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include "net/loop.h"
#include "net/task.h"

namespace samplemind::ai {

// One loop only. Destroying the group destroys the frames of the tasks that have not ended.
class TaskGroup {
 public:
  explicit TaskGroup(net::Loop& loop) : loop_(loop) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { *alive_ = false; }

  // Runs from the loop's queue, never inside the caller.
  void start(net::Task<void> task) {
    const auto place = tasks_.emplace(tasks_.end());
    *place = run(std::move(task), place);
    post([handle = place->handle()] { handle.resume(); });
  }
  size_t size() const { return tasks_.size(); }

 private:
  using Tasks = std::list<net::Task<void>>;

  net::Task<void> run(net::Task<void> task, Tasks::iterator place) {
    co_await task;
    post([this, place] { tasks_.erase(place); });
  }
  template <class Work>
  void post(Work work) {
    loop_.post([alive = alive_, work = std::move(work)] {
      if (*alive) work();
    });
  }

  net::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Tasks tasks_;
};

}  // namespace samplemind::ai
