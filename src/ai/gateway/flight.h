// One upstream call and everyone who waits for it. All of it lives on one loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ai/chat.h"
#include "ai/gateway/flights.h"
#include "ai/provider.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

inline constexpr size_t kFlightBytesMax = 32u << 20;  // of one answer

// A growing list of pieces that each follower reads from its start.
class Flight final : public ChatSink {
 public:
  void delta(ChatDelta d, const ChatAnswer& head_in) override;
  void whole(ChatAnswer a, std::string body, Dialect dialect, size_t choices_in) override;
  void rest(std::unique_ptr<net::ClientResponse> response) override { tail = std::move(response); }
  void end(std::optional<UpstreamError> e);
  void has_content();
  // A try that failed before content leaves nothing behind.
  void restart();
  void wake();
  ~Flight() override;  // remote followers of one that did not end must look elsewhere
  // Registers a follower on another loop and tells it what there is.
  void add_remote(RemoteFollower remote);
  void remove_remote(uint64_t id);
  bool wanted() const { return !followers.empty() || !remotes.empty(); }

  uint64_t id = 0;              // in the table of flights
  std::string provider, model;  // who answers
  std::string route;            // how it came to that, when the first did not
  int tries = 0;
  int hedges_lost = 0;     // second tries that were called off; their input is paid for
  bool estimated = false;  // usage and cost are estimates
  std::vector<ChatDelta> deltas;
  ChatAnswer answer;
  std::string native_body;  // the answer whole as the upstream sent it; empty: it was streamed
  Dialect native = Dialect::kOpenAi;
  size_t choices = 1;
  size_t bytes = 0;
  bool content = false;  // pieces with content were given: no other try may follow
  bool done = false;
  bool too_large = false;
  std::unique_ptr<net::ClientResponse> tail;
  std::function<void()> on_content;  // called once
  std::optional<UpstreamError> error;
  std::optional<int64_t> cost_microusd;
  net::CancelToken cancel = net::CancelToken::create();
  std::vector<net::Event*> followers;
  std::vector<RemoteFollower> remotes;
};
using FlightPtr = std::shared_ptr<Flight>;

// Registers with a flight for as long as it lives; the last one to leave cancels the upstream call.
struct Follower {
  Follower(Flight& f, const net::CancelToken& cancel)
      : flight(f), event(std::make_unique<net::Event>()) {
    flight.followers.push_back(event.get());
    net::Event* e = event.get();
    registration = cancel.on_cancel([e] { e->notify(); });
  }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  ~Follower() {
    std::erase(flight.followers, event.get());
    if (!flight.wanted() && !flight.done) flight.cancel.cancel();
  }
  Flight& flight;
  std::unique_ptr<net::Event> event;
  net::CancelToken::Registration registration;
};

// One of two tries that run for the same flight: the first to give content is the flight's, and
// cancels the other. Before that its pieces are its own.
class RacingTry final : public ChatSink {
 public:
  RacingTry(Flight& flight_in, std::shared_ptr<RacingTry*> winner_in)
      : flight(flight_in), winner(std::move(winner_in)), cancel(flight_in.cancel.child()) {}
  void delta(ChatDelta d, const ChatAnswer& head) override;
  void whole(ChatAnswer answer, std::string body, Dialect dialect, size_t choices) override;
  void rest(std::unique_ptr<net::ClientResponse> response) override;
  bool lost() const { return *winner != nullptr && *winner != this; }
  void win();

  Flight& flight;
  std::shared_ptr<RacingTry*> winner;
  RacingTry* other = nullptr;
  net::CancelToken cancel;
  std::vector<std::pair<ChatDelta, ChatAnswer>> early;
  std::optional<UpstreamError> error;
  bool done = false;
  std::shared_ptr<net::Event> event;
};

}  // namespace samplemind::ai
