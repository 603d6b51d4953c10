// One I/O thread's event loop ("shard"): timers, posted work, tasks. Everything but post() and
// stop() must be called on the loop's own thread. Asio stays behind this header.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "base/clock.h"
#include "net/task.h"

namespace samplemind::net {

// Tells many waiters at once that somebody gave up: a client that went away, a deadline, a
// shutdown. Belongs to one loop; copies share the state; cheap to copy. A default-constructed token
// never fires.
class CancelToken {
 public:
  CancelToken() = default;
  static CancelToken create();
  // A token that fires when this one does, or when it is cancelled itself.
  CancelToken child() const;
  void cancel() const;  // runs the callbacks once, in order of registration
  bool cancelled() const;

  // Runs `callback` when cancelled (at once if it is already); the registration's destructor
  // forgets it.
  class Registration {
   public:
    Registration();
    Registration(Registration&&) noexcept;
    Registration& operator=(Registration&&) noexcept;
    ~Registration();

   private:
    friend class CancelToken;
    struct Rep;
    std::unique_ptr<Rep> rep_;
  };
  Registration on_cancel(std::function<void()> callback) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop running on this thread, or null.
  static Loop* current();

  void run();                // until stop(), or until nothing is left to do when not kept alive
  void keep_alive(bool on);  // run() waits for posted work even when idle
  void stop();               // thread-safe
  void post(std::function<void()> work);  // thread-safe; runs on the loop's thread, in order

  // Starts a task that nobody awaits, from the loop's queue (never inside the caller); its frame
  // lives until it ends or the loop dies.
  void spawn(Task<void> task);
  // Destroys the frames of all spawned tasks; the destructor does so too. For owners of what those
  // frames refer to.
  void destroy_tasks();

  // Posts to the loop from any thread, even when the loop may be gone by then: the work is dropped
  // in that case.
  class Poster {
   public:
    bool post(std::function<void()> work) const;  // false when the loop is gone

   private:
    friend class Loop;
    struct State;
    std::shared_ptr<State> state_;
  };
  Poster poster() const;
  // Runs the loop until the task is done and gives its value. For programs without a loop of their
  // own (CLI, tests).
  template <class T>
  T run_until_done(Task<T> task) {
    bool finished = false;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
    spawn(deliver(std::move(task), value, finished));
    while (!finished) run_one();
    if constexpr (!std::is_void_v<T>) return std::move(*value);
  }

  // Lets everything else that is ready run first.
  Task<void> yield();
  // True when the time has passed, false when cancelled before.
  Task<bool> sleep_for(std::chrono::nanoseconds duration, CancelToken cancel = {});
  // Calls back once after `delay`; destroying the handle before forgets it.
  class Timer {
   public:
    Timer() = default;
    Timer(Timer&&) noexcept = default;
    Timer& operator=(Timer&&) noexcept;
    ~Timer();

   private:
    friend class Loop;
    struct Rep;
    std::shared_ptr<Rep> rep_;
  };
  Timer after(std::chrono::nanoseconds delay, std::function<void()> callback);

  struct Rep;  // Asio's io_context; see net/loop_internal.h
  Rep& rep() { return *rep_; }

 private:
  void run_one();
  template <class T>
  static Task<void> deliver(Task<T> task,
                            std::optional<std::conditional_t<std::is_void_v<T>, bool, T>>& value,
                            bool& finished) {
    if constexpr (std::is_void_v<T>) {
      co_await task;
    } else {
      value.emplace(co_await task);
    }
    finished = true;
  }
  std::unique_ptr<Rep> rep_;
};

// A wake-up for one waiting task on one loop: wait() suspends until notify(). Several notify()
// before the waiter goes on count as one. Either side may be destroyed at any time: a destroyed
// waiter is forgotten, also when its wake-up is queued already; the waiter of a destroyed event is
// never resumed. Not thread-safe: the loop's own thread only (post() first).
class Event {
 public:
  class Awaiter;
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event();

  void notify();  // resumes the waiter through the loop's queue, never inside the caller
  void
  notify_inline();  // resumes it inside the caller, which must stand at the top of a loop callback
  Awaiter wait();   // REQUIRES: at most one waiter

 private:
  Awaiter* waiter_ = nullptr;
  bool set_ = false;
};

namespace internal {
// A suspended coroutine in a loop's queue of those to resume. Unlinks itself.
struct ReadyNode {
  ReadyNode() = default;
  ReadyNode(const ReadyNode&) = delete;
  ReadyNode& operator=(const ReadyNode&) = delete;
  ~ReadyNode() { unlink(); }
  void unlink();
  ReadyNode* previous = nullptr;
  ReadyNode* next = nullptr;
  std::coroutine_handle<> handle;
};
}  // namespace internal

class [[nodiscard]] Event::Awaiter : private internal::ReadyNode {
 public:
  explicit Awaiter(Event& event) : event_(&event) {}
  ~Awaiter();
  bool await_ready() noexcept { return std::exchange(event_->set_, false); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept;
  void await_resume() noexcept;

 private:
  friend class Event;
  Event* event_;
  Loop* loop_ = nullptr;
};
inline Event::Awaiter Event::wait() {
  return Awaiter(*this);
}

}  // namespace samplemind::net
