// Single flight for embeddings, across the shards of a process: who asks for the vector of a text,
// and who waits for it. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ai/gateway/plan.h"
#include "base/hash.h"
#include "net/loop.h"

namespace samplemind::ai {

class TextFlights {
 public:
  // Somebody else asks already. On the waiter's loop: `event` once that has ended, well (the vector
  // is in the cache) or not.
  struct Wait {
    net::Event event;
    bool over = false;
    std::optional<Failure> failure;
  };
  using WaitPtr = std::shared_ptr<Wait>;

  // Null: the caller asks, and must release(). Else what to wait for.
  WaitPtr claim(const Digest& key, net::Loop& loop) {
    const std::lock_guard lock(mutex_);
    const auto [it, first] = asked_.try_emplace(key);
    if (first) return nullptr;
    auto wait = std::make_shared<Wait>();
    it->second.push_back({loop.poster(), wait});
    return wait;
  }
  void release(const Digest& key, const std::optional<Failure>& failure) {
    std::vector<Waiter> waiters;
    {
      const std::lock_guard lock(mutex_);
      const auto it = asked_.find(key);
      if (it == asked_.end()) return;
      waiters = std::move(it->second);
      asked_.erase(it);
    }
    for (Waiter& w : waiters) {
      w.loop.post([wait = std::move(w.wait), failure] {
        wait->failure = failure;
        wait->over = true;
        wait->event.notify();
      });
    }
  }

 private:
  struct Waiter {
    net::Loop::Poster loop;
    WaitPtr wait;
  };
  std::mutex mutex_;
  std::unordered_map<Digest, std::vector<Waiter>> asked_;
};

}  // namespace samplemind::ai
