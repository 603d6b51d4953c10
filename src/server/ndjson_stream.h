// A streamed answer fed from elsewhere: work on other threads (a scan) or callbacks (a model's
// text) push lines, the handler's task writes them with back-pressure. The queue is bounded by
// dropping what `droppable` lines were not written yet (progress is soon out of date).
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/server.h"

namespace samplemind::server {

class NdjsonStream {
 public:
  struct State {
    std::deque<std::pair<std::string, bool>> lines;  // text, droppable
    bool closed = false;
    net::Event wake;
  };
  // Lines of JSON, or the same lines as server-sent events.
  enum class Form { kLines, kEvents };
  explicit NdjsonStream(net::Loop& loop, Form form = Form::kLines)
      : poster_(loop.poster()), state_(std::make_shared<State>()), form_(form) {}

  // Any thread. A droppable line replaces droppable ones that wait.
  void push(std::string line, bool droppable) const {
    poster_.post([state = state_, line = std::move(line), droppable]() mutable {
      if (droppable) std::erase_if(state->lines, [](const auto& l) { return l.second; });
      state->lines.emplace_back(std::move(line), droppable);
      state->wake.notify();
    });
  }
  // Any thread: no more lines come.
  void close() const {
    poster_.post([state = state_] {
      state->closed = true;
      state->wake.notify();
    });
  }
  // Starts the answer and writes until close(). False when the client went away.
  net::Task<bool> serve(net::Exchange& exchange) const {
    net::ResponseHead head;
    head.headers.add("content-type",
                     form_ == Form::kLines ? "application/x-ndjson" : "text/event-stream");
    head.headers.add("cache-control", "no-store");
    head.headers.add("x-accel-buffering", "no");
    if (!(co_await exchange.start(std::move(head))).ok()) co_return false;
    const net::CancelToken cancel = exchange.cancel();
    State* const state = state_.get();
    const auto registration = cancel.on_cancel([state] { state->wake.notify(); });
    for (;;) {
      std::string text;
      while (!state->lines.empty()) {
        if (form_ == Form::kEvents) text += "data: ";
        text += state->lines.front().first + (form_ == Form::kEvents ? "\n\n" : "\n");
        state->lines.pop_front();
      }
      if (!text.empty() && !(co_await exchange.write(text)).ok()) co_return false;
      if (cancel.cancelled()) co_return false;
      if (!state->lines.empty()) continue;
      if (state->closed) break;
      co_await state->wake.wait();
    }
    co_return (co_await exchange.finish()).ok();
  }

 private:
  net::Loop::Poster poster_;
  std::shared_ptr<State> state_;
  Form form_;
};

}  // namespace samplemind::server
