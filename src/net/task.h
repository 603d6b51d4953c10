// Task<T>: a lazy coroutine that runs on one I/O thread. `co_await task` starts it and gives its
// value; Loop::spawn starts one that nobody waits for. A task never changes thread, so what it
// touches on its loop needs no lock. Destroying a task that has not finished destroys its frame
// (and what it awaits).
//
// House rules for g++ 12.2 (it destroys some temporaries twice; tools/lint rejects these forms):
//   - never `co_await f(Options{...})` or `co_await f({...})`: name the aggregate, then std::move
//   it;
//   - never a capturing lambda inside an expression with co_await: name it first;
//   - parameters of coroutines are taken by value unless the caller provably outlives the call.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"

namespace samplemind::net {

template <class T>
class Task;

namespace internal {

struct PromiseBase {
  std::coroutine_handle<> continuation;  // null until the awaiting coroutine has really suspended
  struct Final {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) noexcept {
      std::coroutine_handle<> next = self.promise().continuation;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  // Exceptions do not cross tasks: third-party ones are caught where they are called.
  void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  std::optional<T> value;
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
};

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle h) : handle_(h) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (Handle old = std::exchange(handle_, std::exchange(other.handle_, {}))) old.destroy();
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool valid() const { return static_cast<bool>(handle_); }
  bool done() const { return handle_ && handle_.done(); }
  Handle handle() const { return handle_; }

  struct Awaiter {
    Handle h;
    bool await_ready() noexcept { return false; }
    // Runs the task here. One that ends without suspending lets the caller go on at once, so a loop
    // over such tasks does not deepen the stack, whether or not the compiler turns transfers into
    // tail calls.
    bool await_suspend(std::coroutine_handle<> caller) noexcept {
      h.resume();
      if (h.done()) return false;
      h.promise().continuation = caller;
      return true;
    }
    T await_resume() {
      if constexpr (!std::is_void_v<T>) {
        SM_ASSERT(h.promise().value.has_value());
        return std::move(*h.promise().value);
      }
    }
  };
  // REQUIRES: valid(), not started before.
  Awaiter operator co_await() && { return Awaiter{handle_}; }
  Awaiter operator co_await() & { return Awaiter{handle_}; }

 private:
  Handle handle_;
};

namespace internal {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace internal

}  // namespace samplemind::net
