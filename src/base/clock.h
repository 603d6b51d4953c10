// Time, passed in so that tests control it. Implementations are thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace samplemind {

using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;      // time of day; may jump
  virtual SteadyTime steady() const = 0;  // never goes back; for durations and deadlines

  int64_t unix_ms() const;  // wall() in milliseconds since 1970
};

// The machine's clock. Lives as long as the process.
const Clock& system_clock();

// A clock that stands still until told. Starts at 2026-01-01T00:00:00Z.
class FakeClock final : public Clock {
 public:
  WallTime wall() const override;
  SteadyTime steady() const override;
  void advance(std::chrono::nanoseconds by) { elapsed_ns_ += by.count(); }

 private:
  std::atomic<int64_t> elapsed_ns_{0};
};

// "2026-01-31T12:00:00Z" (RFC 3339, UTC, whole seconds).
std::string format_rfc3339(WallTime time);

}  // namespace samplemind
