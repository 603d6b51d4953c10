// The server's tests: handlers that do what their path says, and a fixture that serves them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>

#include "net/test_support.h"

namespace samplemind::net::test {

using std::chrono::milliseconds;

// What handlers tell the test's thread.
struct Seen {
  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> failed_writes{0};
  std::atomic<size_t> written{0};
  std::atomic<bool> waiting{false};
  std::atomic<bool> release{false};
};

inline Task<void> respond_text(Exchange& exchange, int status, std::string text) {
  ResponseHead head;
  head.status = status;
  head.headers.add("content-type", "text/plain");
  Result<void> sent = co_await exchange.respond(std::move(head), text);
  if (!sent.ok()) co_return;
}

inline Task<void> echo(Exchange& exchange) {
  Result<std::string_view> body = co_await exchange.read_body(64 << 20);
  if (!body.ok()) {
    co_await respond_text(exchange, http_status(body.error().code()), body.error().message());
    co_return;
  }
  std::string text =
      exchange.request().method + " " + exchange.request().target + " " + std::string(*body);
  co_await respond_text(exchange, 200, std::move(text));
}

// Streams the request's body back piece by piece.
inline Task<void> mirror(Exchange& exchange) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  while (done.ok()) {
    Result<std::string_view> piece = co_await exchange.read_some();
    if (!piece.ok()) {
      exchange.abort();
      co_return;
    }
    if (piece->empty()) break;
    done = co_await exchange.write(*piece);
  }
  if (done.ok()) done = co_await exchange.finish();
}

inline Task<void> wait_for_cancel(Exchange& exchange, Loop& loop, Seen& seen) {
  seen.waiting = true;
  const bool slept = co_await loop.sleep_for(std::chrono::seconds(20), exchange.cancel());
  if (!slept) ++seen.cancelled;
}

inline Task<void> wait_for_release(Exchange& exchange, Loop& loop, Seen& seen) {
  seen.waiting = true;
  while (!seen.release && !exchange.cancel().cancelled()) co_await loop.sleep_for(milliseconds(1));
  if (exchange.cancel().cancelled()) ++seen.cancelled;
  co_await respond_text(exchange, 200, "released");
}

inline Task<void> flood(Exchange& exchange, Seen& seen) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  const std::string piece(64 << 10, 'x');
  for (int i = 0; i < 16384 && done.ok(); ++i) {  // 1 GB
    done = co_await exchange.write(piece);
    if (done.ok()) seen.written += piece.size();
  }
  if (!done.ok()) ++seen.failed_writes;
}

inline Task<void> start_and_fail(Exchange& exchange) {
  ResponseHead head;
  Result<void> done = co_await exchange.start(std::move(head));
  if (done.ok()) done = co_await exchange.write("half");
}

inline Task<void> sized(Exchange& exchange, std::string text, size_t promised) {
  ResponseHead head;
  head.headers.add("Content-Length", std::to_string(promised));
  Result<void> done = co_await exchange.start(std::move(head));
  if (done.ok()) done = co_await exchange.write(text);
  if (done.ok()) done = co_await exchange.finish();
}

inline Task<void> nothing(Exchange&) {
  co_return;
}

class ServerTest : public ::testing::Test {
 protected:
  void serve(ServerOptions options = {}) {
    auto factory = [this](Loop& loop, size_t) -> Handler {
      return [this, &loop](Exchange& exchange) -> Task<void> {
        ++seen_.calls;
        const std::string_view path = exchange.request().path();
        if (path == "/mirror") return mirror(exchange);
        if (path == "/cancel") return wait_for_cancel(exchange, loop, seen_);
        if (path == "/hold") return wait_for_release(exchange, loop, seen_);
        if (path == "/flood") return flood(exchange, seen_);
        if (path == "/half") return start_and_fail(exchange);
        if (path == "/sized") return sized(exchange, "12345", 5);
        if (path == "/short") return sized(exchange, "123", 5);
        if (path == "/long") return sized(exchange, "1234567", 5);
        if (path == "/nothing") return nothing(exchange);
        if (path == "/ignore") return respond_text(exchange, 200, "ignored");
        if (path == "/204") return respond_text(exchange, 204, "");
        return echo(exchange);
      };
    };
    auto bound = Server::bind(std::move(options), factory);
    ASSERT_TRUE(bound.ok()) << bound.error().message();
    server_ = std::move(bound).value();
    server_->start();
  }
  std::unique_ptr<RawSocket> dial() { return RawSocket::connect(server_->port()); }
  // One exchange on a connection of its own.
  std::string ask(std::string_view bytes) {
    auto socket = dial();
    socket->send(bytes);
    socket->end_sending();
    return socket->receive_all();
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  }

  Seen seen_;
  std::unique_ptr<Server> server_;
};

}  // namespace samplemind::net::test
