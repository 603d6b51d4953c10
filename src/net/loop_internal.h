// What stands behind Loop: Asio's io_context, the queue of coroutines to resume, the spawned
// frames.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <optional>

#include "net/loop.h"

namespace samplemind::net {

namespace asio = boost::asio;
using ErrorCodeAsio = boost::system::error_code;
// Without the type-erased executor: it costs a virtual call and an atomic a handler.
using Socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;
using Acceptor = asio::basic_socket_acceptor<asio::ip::tcp, asio::io_context::executor_type>;
using SteadyTimer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                               asio::wait_traits<std::chrono::steady_clock>,
                                               asio::io_context::executor_type>;

struct Loop::Poster::State {
  std::mutex mutex;
  asio::io_context* io = nullptr;  // null once the loop is gone
};

struct Loop::Timer::Rep {
  Rep* previous = nullptr;  // in the loop's list, so that a timer may outlive its loop
  Rep* next = nullptr;
  std::optional<SteadyTimer> timer;
  std::function<void()> callback;
  void unlink() {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
  }
};

namespace internal {
struct RootLink {  // one spawned frame
  RootLink* previous = nullptr;
  RootLink* next = nullptr;
  std::coroutine_handle<> handle;
};
}  // namespace internal

struct Loop::Rep {
  explicit Rep(Loop* owner_);
  void schedule(internal::ReadyNode* node);
  void drain();

  Loop* owner;
  asio::io_context io{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard;
  std::atomic<bool> stop_wanted{false};
  bool running = false;
  bool drain_posted = false;
  internal::ReadyNode ready;  // heads of circular lists
  internal::RootLink roots;
  Timer::Rep timers;
  std::shared_ptr<Poster::State> mailbox;
};

}  // namespace samplemind::net
