#include "base/clock.h"

#include <ctime>

namespace samplemind {

namespace {
class SystemClock final : public Clock {
 public:
  WallTime wall() const override { return std::chrono::system_clock::now(); }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};
constexpr std::chrono::seconds kFakeEpoch{1767225600};  // 2026-01-01T00:00:00Z
}  // namespace

int64_t Clock::unix_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(wall().time_since_epoch()).count();
}

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

WallTime FakeClock::wall() const {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      kFakeEpoch + std::chrono::nanoseconds(elapsed_ns_)));
}

SteadyTime FakeClock::steady() const {
  return SteadyTime(std::chrono::hours(1) + std::chrono::nanoseconds(elapsed_ns_));
}

std::string format_rfc3339(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace samplemind
