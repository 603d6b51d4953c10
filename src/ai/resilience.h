// What keeps a provider in trouble from being pressed further: a circuit breaker, a budget of
// retries, and the latencies after which a second try is worth its cost. Plain state without locks:
// each belongs to one loop. Times are the caller's clock.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>

#include "base/clock.h"

namespace samplemind::ai {

// Closed: calls pass. When at least `calls_min` tries ended within `window` and half of them
// failed, it opens: no call passes for a pause of 5 s, doubled each time to at most 60 s. Then it
// is half open: one call at a time goes as a probe; its success closes the breaker, its failure
// opens it again.
class CircuitBreaker {
 public:
  static constexpr std::chrono::seconds kWindow{30};
  static constexpr size_t kCallsMin = 10;
  static constexpr std::chrono::seconds kPauseMin{5};
  static constexpr std::chrono::seconds kPauseMax{60};
  enum class State { kClosed, kOpen, kHalfOpen };

  // True: the call may go, and success(), failure() or neither() must follow.
  bool allow(SteadyTime now);
  void success(SteadyTime now);
  void failure(SteadyTime now);
  // The call ended without saying anything of the provider: cancelled, refused for its own fault.
  void neither();
  State state(SteadyTime now) const;
  std::chrono::milliseconds until_probe(SteadyTime now) const;  // 0: now

 private:
  void add(SteadyTime now, bool failed);
  void open(SteadyTime now);
  struct Outcome {
    SteadyTime time;
    bool failed;
  };
  static constexpr size_t kOutcomesMax = 256;
  std::deque<Outcome> outcomes_;
  size_t failed_ = 0;
  bool open_ = false;
  bool probing_ = false;
  SteadyTime until_{};
  std::chrono::seconds pause_{0};
};

// Extra calls as a share of the ordinary ones: each ordinary call earns `share` of an extra one,
// and a few are there to begin with and come back with time, so that a quiet service may try again.
class CallBudget {
 public:
  CallBudget(double share, double reserve) : share_(share), reserve_(reserve), left_(reserve) {}
  void earn(SteadyTime now);
  bool spend(SteadyTime now);  // false: nothing is left

 private:
  void refill(SteadyTime now);
  static constexpr double kReservePerSecond = 0.5;
  double share_;
  double reserve_;
  double left_;
  std::optional<SteadyTime> last_;
};

// The last latencies of one model.
class LatencyWindow {
 public:
  static constexpr size_t kSamplesMin = 20;
  void add(std::chrono::nanoseconds latency);
  // The 95th percentile; nothing until there are enough of them.
  std::optional<std::chrono::nanoseconds> p95() const;

 private:
  static constexpr size_t kSize = 128;
  std::array<int64_t, kSize> ring_{};
  size_t count_ = 0;
  size_t next_ = 0;
};

inline constexpr int64_t kRetryAfterMaxMs =
    60000;  // a provider that asks for more is not waited for

// The pause before try `attempt` + 1: a random part of `backoff_ms` doubled at each try, 10 s at
// the most, and no less than the provider asked for.
int64_t retry_pause_ms(std::mt19937_64& random, int64_t backoff_ms, int64_t attempt,
                       std::optional<int64_t> retry_after_ms);

}  // namespace samplemind::ai
