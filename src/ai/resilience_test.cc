#include "ai/resilience.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace samplemind::ai {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = CircuitBreaker::State;

void fail(CircuitBreaker& breaker, const FakeClock& clock, size_t times) {
  for (size_t i = 0; i < times; ++i) {
    ASSERT_TRUE(breaker.allow(clock.steady())) << i;
    breaker.failure(clock.steady());
  }
}

TEST(Breaker, OpensProbesAndCloses) {
  FakeClock clock;
  CircuitBreaker breaker;
  fail(breaker, clock, CircuitBreaker::kCallsMin - 1);
  EXPECT_EQ(breaker.state(clock.steady()), State::kClosed);
  fail(breaker, clock, 1);
  EXPECT_EQ(breaker.state(clock.steady()), State::kOpen);
  EXPECT_FALSE(breaker.allow(clock.steady()));
  EXPECT_EQ(breaker.until_probe(clock.steady()), seconds(5));
  clock.advance(milliseconds(4999));
  EXPECT_FALSE(breaker.allow(clock.steady()));
  clock.advance(milliseconds(1));
  EXPECT_EQ(breaker.state(clock.steady()), State::kHalfOpen);
  EXPECT_TRUE(breaker.allow(clock.steady()));
  EXPECT_FALSE(breaker.allow(clock.steady())) << "one probe at a time";
  breaker.failure(clock.steady());
  EXPECT_EQ(breaker.until_probe(clock.steady()), seconds(10)) << "doubled";
  clock.advance(seconds(10));
  EXPECT_TRUE(breaker.allow(clock.steady()));
  breaker.neither();  // the probe's client went away: the next call is the probe
  EXPECT_TRUE(breaker.allow(clock.steady()));
  breaker.success(clock.steady());
  EXPECT_EQ(breaker.state(clock.steady()), State::kClosed);
  fail(breaker, clock, CircuitBreaker::kCallsMin);
  EXPECT_EQ(breaker.until_probe(clock.steady()), seconds(5)) << "begins anew";
}

TEST(Breaker, PauseHasAnEnd) {
  FakeClock clock;
  CircuitBreaker breaker;
  fail(breaker, clock, CircuitBreaker::kCallsMin);
  for (int i = 0; i < 10; ++i) {
    clock.advance(breaker.until_probe(clock.steady()));
    fail(breaker, clock, 1);
  }
  EXPECT_EQ(breaker.until_probe(clock.steady()), seconds(60));
}

TEST(Breaker, HalfGoodOrLongAgoIsNoReason) {
  FakeClock clock;
  CircuitBreaker breaker;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(breaker.allow(clock.steady()));
    i % 5 < 3 ? breaker.success(clock.steady()) : breaker.failure(clock.steady());
  }
  EXPECT_EQ(breaker.state(clock.steady()), State::kClosed);
  CircuitBreaker rare;
  for (int i = 0; i < 50; ++i) {
    fail(rare, clock, 1);
    clock.advance(seconds(4));  // never ten within half a minute
  }
  EXPECT_EQ(rare.state(clock.steady()), State::kClosed);
}

TEST(Breaker, StragglersDoNotProlongThePause) {
  FakeClock clock;
  CircuitBreaker breaker;
  for (size_t i = 0; i < 15; ++i) ASSERT_TRUE(breaker.allow(clock.steady()));
  for (size_t i = 0; i < 15; ++i) breaker.failure(clock.steady());
  EXPECT_EQ(breaker.until_probe(clock.steady()), seconds(5));
}

TEST(Budget, IsAShareOfTheCallsWithAReserve) {
  FakeClock clock;
  CallBudget budget(0.2, 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.spend(clock.steady()));
  EXPECT_FALSE(budget.spend(clock.steady()));
  int spent = 0;
  for (int i = 0; i < 1000; ++i) {
    budget.earn(clock.steady());
    if (budget.spend(clock.steady())) ++spent;
  }
  EXPECT_NEAR(spent, 200, 2);
  clock.advance(seconds(4));
  EXPECT_TRUE(budget.spend(clock.steady())) << "the reserve comes back";
  clock.advance(seconds(3600));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.spend(clock.steady()));
  EXPECT_FALSE(budget.spend(clock.steady())) << "and no more than the reserve";
}

TEST(Latency, NinetyFifthOfTheLast) {
  LatencyWindow window;
  for (int i = 1; i < 20; ++i) window.add(milliseconds(i));
  EXPECT_FALSE(window.p95());
  window.add(milliseconds(20));
  EXPECT_EQ(window.p95(), milliseconds(19));
  for (int i = 1; i <= 1000; ++i) window.add(milliseconds(i % 100 + 1));
  EXPECT_GE(*window.p95(), milliseconds(88));
  EXPECT_LE(*window.p95(), milliseconds(100));
}

}  // namespace
}  // namespace samplemind::ai
