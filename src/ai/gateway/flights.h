// Single flight across the shards of a process: who makes the call for a key, and how its answer
// reaches the loops of the others. A look-up that hits never comes here.
//
// A key is claimed by the first shard that misses. A shard that finds it claimed makes a flight of
// its own that is fed by the leader's: pieces go as messages from loop to loop, once a loop however
// many of its clients follow. Each flight stays on its own loop; what crosses are copies. Nothing
// is sent before the first content, so a failed try of the leader is never seen.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ai/chat.h"
#include "ai/provider.h"
#include "base/hash.h"
#include "net/loop.h"

namespace samplemind::ai {

class Caller;
class Flight;

// Where a key's call is made. `caller` is touched on its loop only, and only while *alive.
struct FlightLeader {
  net::Loop::Poster loop;
  Caller* caller = nullptr;
  std::shared_ptr<bool> alive;
  uint64_t flight = 0;  // its id
};

// Thread-safe.
class FlightTable {
 public:
  uint64_t next_id() { return ++last_id_; }
  // Nothing: `me` leads from now on, until release(). Else who does. What `me.caller` itself holds
  // is taken over: its former flight has been given up.
  std::optional<FlightLeader> claim(const Digest& key, const FlightLeader& me) {
    Stripe& s = stripe(key);
    const std::lock_guard lock(s.mutex);
    const auto [it, first] = s.leaders.try_emplace(key, me);
    if (first) return std::nullopt;
    if (it->second.caller != me.caller) return it->second;
    it->second = me;
    return std::nullopt;
  }
  void release(const Digest& key, uint64_t flight) {
    Stripe& s = stripe(key);
    const std::lock_guard lock(s.mutex);
    if (const auto it = s.leaders.find(key); it != s.leaders.end() && it->second.flight == flight)
      s.leaders.erase(it);
  }
  size_t size() const {
    size_t n = 0;
    for (const Stripe& s : stripes_) {
      const std::lock_guard lock(s.mutex);
      n += s.leaders.size();
    }
    return n;
  }

 private:
  struct alignas(64) Stripe {
    mutable std::mutex mutex;
    std::unordered_map<Digest, FlightLeader> leaders;
  };
  Stripe& stripe(const Digest& key) { return stripes_[key.bytes[30] % stripes_.size()]; }
  std::array<Stripe, 16> stripes_;
  std::atomic<uint64_t> last_id_{0};
};

// The follower's end, on the follower's loop.
struct FollowedFlight {
  explicit FollowedFlight(std::shared_ptr<Flight> flight_in) : flight(std::move(flight_in)) {}
  std::shared_ptr<Flight> flight;
  net::Event event;
  bool ended = false;  // the leader told its outcome
  bool lost = false;   // the leader has ended before or is gone
  std::optional<UpstreamError> error;
  std::optional<int64_t> cost_microusd;
};

// The leader's end of one follower, on the leader's loop. Telling is posting; a follower that is
// gone takes no harm.
class RemoteFollower {
 public:
  RemoteFollower(net::Loop::Poster home, std::weak_ptr<FollowedFlight> there, uint64_t id)
      : id(id), home_(std::move(home)), there_(std::move(there)) {}
  void pieces(const std::vector<ChatDelta>& deltas, const ChatAnswer& head);  // those not yet told
  void whole(const ChatAnswer& answer, const std::string& body, Dialect dialect, size_t choices);
  void end(const std::optional<UpstreamError>& error, std::optional<int64_t> cost_microusd);
  static void lose(const net::Loop::Poster& home, std::weak_ptr<FollowedFlight> there);
  void lose() { lose(home_, there_); }

  uint64_t id;

 private:
  net::Loop::Poster home_;
  std::weak_ptr<FollowedFlight> there_;
  size_t told_ = 0;
};

}  // namespace samplemind::ai
