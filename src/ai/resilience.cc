#include "ai/resilience.h"

#include <algorithm>

namespace samplemind::ai {

CircuitBreaker::State CircuitBreaker::state(SteadyTime now) const {
  if (!open_) return State::kClosed;
  return now < until_ ? State::kOpen : State::kHalfOpen;
}

std::chrono::milliseconds CircuitBreaker::until_probe(SteadyTime now) const {
  if (!open_ || now >= until_) return std::chrono::milliseconds(0);
  return std::chrono::ceil<std::chrono::milliseconds>(until_ - now);
}

bool CircuitBreaker::allow(SteadyTime now) {
  switch (state(now)) {
    case State::kClosed:
      return true;
    case State::kOpen:
      return false;
    case State::kHalfOpen:
      break;
  }
  if (probing_) return false;
  probing_ = true;
  return true;
}

void CircuitBreaker::success(SteadyTime now) {
  if (open_) {
    // Also of a call that was on its way since before: it shows that the provider answers.
    open_ = probing_ = false;
    pause_ = std::chrono::seconds(0);
    outcomes_.clear();
    failed_ = 0;
    return;
  }
  add(now, false);
}

void CircuitBreaker::failure(SteadyTime now) {
  if (open_) {
    // A straggler of the time before does not prolong the pause; a failed probe does.
    if (probing_) open(now);
    return;
  }
  add(now, true);
  if (outcomes_.size() >= kCallsMin && failed_ * 2 >= outcomes_.size()) open(now);
}

void CircuitBreaker::neither() {
  probing_ = false;
}

void CircuitBreaker::add(SteadyTime now, bool failed) {
  outcomes_.push_back({now, failed});
  failed_ += failed ? 1 : 0;
  while (outcomes_.size() > kOutcomesMax || outcomes_.front().time + kWindow < now) {
    failed_ -= outcomes_.front().failed ? 1 : 0;
    outcomes_.pop_front();
  }
}

void CircuitBreaker::open(SteadyTime now) {
  open_ = true;
  probing_ = false;
  pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
  until_ = now + pause_;
  outcomes_.clear();
  failed_ = 0;
}

void CallBudget::refill(SteadyTime now) {
  if (last_ && left_ < reserve_) {
    const double seconds = std::chrono::duration<double>(now - *last_).count();
    left_ = std::min(reserve_, left_ + seconds * kReservePerSecond);
  }
  last_ = now;
}

void CallBudget::earn(SteadyTime now) {
  refill(now);
  left_ = std::min(left_ + share_, 10 * reserve_);
}

bool CallBudget::spend(SteadyTime now) {
  refill(now);
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

void LatencyWindow::add(std::chrono::nanoseconds latency) {
  ring_[next_] = latency.count();
  next_ = (next_ + 1) % kSize;
  count_ = std::min(count_ + 1, kSize);
}

std::optional<std::chrono::nanoseconds> LatencyWindow::p95() const {
  if (count_ < kSamplesMin) return std::nullopt;
  std::array<int64_t, kSize> sorted = ring_;
  const size_t at = (count_ * 95 + 99) / 100 - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(at),
                   sorted.begin() + static_cast<std::ptrdiff_t>(count_));
  return std::chrono::nanoseconds(sorted[at]);
}

int64_t retry_pause_ms(std::mt19937_64& random, int64_t backoff_ms, int64_t attempt,
                       std::optional<int64_t> retry_after_ms) {
  constexpr int64_t kMost = 10000;
  const int64_t ceiling = std::min(backoff_ms << std::min<int64_t>(attempt - 1, 10), kMost);
  const int64_t pause =
      std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(1, ceiling))(random);
  return std::max(pause, retry_after_ms.value_or(0));
}

}  // namespace samplemind::ai
