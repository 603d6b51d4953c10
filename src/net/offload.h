// Blocking work away from the I/O threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/thread_pool.h"
#include "net/loop.h"

namespace samplemind::net {

// Runs `work` on a thread of `pool` and gives its value on the calling loop. kResourceExhausted
// when the pool's queue is full. The work runs to its end even when the awaiting task is destroyed;
// its value is then dropped.
template <class T>
Task<Result<T>> offload(ThreadPool& pool, std::function<Result<T>()> work) {
  struct Shared {
    std::optional<Result<T>> value;
    Event done;
  };
  auto shared = std::make_shared<Shared>();
  Loop::Poster loop = Loop::current()->poster();
  std::function<void()> job = [shared, loop, work = std::move(work)] {
    auto value = std::make_shared<Result<T>>(work());
    loop.post([shared, value] {
      shared->value.emplace(std::move(*value));
      shared->done.notify();
    });
  };
  if (!pool.try_post(std::move(job))) {
    co_return Error(ErrorCode::kResourceExhausted, "too much work is waiting",
                    "try again in a moment");
  }
  co_await shared->done.wait();
  co_return std::move(*shared->value);
}

}  // namespace samplemind::net
