#include "net/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "net/offload.h"

namespace samplemind::net {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// Tells when the frame that holds it dies.
struct Witness {
  explicit Witness(bool& gone_) : gone(&gone_) {}
  Witness(Witness&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
  ~Witness() {
    if (gone != nullptr) *gone = true;
  }
  bool* gone;
};

Task<int> answer(int value) {
  co_return value;
}

Task<long> sum_of_many(int count) {
  long sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await answer(1);
  co_return sum;
}

TEST(Task, ManyThatEndAtOnceDoNotDeepenTheStack) {
  Loop loop;
  EXPECT_EQ(loop.run_until_done(sum_of_many(300000)), 300000);
}

Task<void> wait_for(Event& event, int& wakes, Witness) {
  for (;;) {
    co_await event.wait();
    ++wakes;
  }
}

Task<void> turn(Loop& loop) {
  co_await loop.sleep_for(milliseconds(0));
}

TEST(Event, SeveralNotifiesWakeOnceAndNeverInsideTheCaller) {
  Loop loop;
  Event event;
  int wakes = 0;
  bool gone = false;
  loop.spawn(wait_for(event, wakes, Witness(gone)));
  loop.run_until_done(turn(loop));
  loop.post([&] {
    event.notify();
    event.notify();
    EXPECT_EQ(wakes, 0);
  });
  loop.run_until_done(turn(loop));
  EXPECT_EQ(wakes, 1);
  event.notify();  // also from outside a callback
  loop.run_until_done(turn(loop));
  EXPECT_EQ(wakes, 2);
}

TEST(Event, AWaiterDestroyedWhileItsWakeUpIsQueuedIsForgotten) {
  Loop loop;
  Event event;
  int wakes = 0;
  bool gone = false;
  loop.spawn(wait_for(event, wakes, Witness(gone)));
  loop.run_until_done(turn(loop));
  event.notify();
  loop.destroy_tasks();
  EXPECT_TRUE(gone);
  loop.run_until_done(turn(loop));
  EXPECT_EQ(wakes, 0);
  event.notify();  // nobody waits: remembered
}

TEST(Event, MayDieBeforeItsWaiter) {
  bool gone = false;
  int wakes = 0;
  {
    Loop loop;
    auto event = std::make_unique<Event>();
    loop.spawn(wait_for(*event, wakes, Witness(gone)));
    loop.run_until_done(turn(loop));
    event.reset();
    loop.run_until_done(turn(loop));
    EXPECT_FALSE(gone);
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(wakes, 0);
}

TEST(Loop, DestroysSpawnedFramesAlsoThoseNeverStarted) {
  bool first = false;
  bool second = false;
  int wakes = 0;
  Event event;
  {
    Loop loop;
    loop.spawn(wait_for(event, wakes, Witness(first)));
    loop.run_until_done(turn(loop));
    loop.spawn(wait_for(event, wakes, Witness(second)));
  }
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
}

TEST(Loop, PostedWorkRunsInOrderAndStopIsHeardFromAnotherThread) {
  Loop loop;
  loop.keep_alive(true);
  std::vector<int> order;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&order, i] { order.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[i], i);
  loop.stop();
  loop.run();  // a stop before run counts
}

TEST(Loop, KnowsItselfWhileItRuns) {
  Loop loop;
  EXPECT_EQ(Loop::current(), nullptr);
  loop.post([&] { EXPECT_EQ(Loop::current(), &loop); });
  loop.run();
  EXPECT_EQ(Loop::current(), nullptr);
}

TEST(Loop, ATimerDroppedNeverCallsBackAndMayOutliveItsLoop) {
  Loop::Timer survivor;
  int calls = 0;
  {
    Loop loop;
    Loop::Timer dropped = loop.after(milliseconds(1), [&] { ++calls; });
    dropped = Loop::Timer();
    Loop::Timer kept = loop.after(milliseconds(2), [&] { calls += 10; });
    survivor = loop.after(hours(1), [&] { calls += 100; });
    while (calls == 0) loop.run_until_done(turn(loop));
    EXPECT_EQ(calls, 10);
  }
}

TEST(Loop, SleepEndsEarlyWhenCancelled) {
  Loop loop;
  CancelToken token = CancelToken::create();
  loop.post([&] { token.cancel(); });
  EXPECT_FALSE(loop.run_until_done(loop.sleep_for(hours(1), token)));
  EXPECT_FALSE(loop.run_until_done(loop.sleep_for(hours(1), token)));
  EXPECT_TRUE(loop.run_until_done(loop.sleep_for(milliseconds(1))));
}

TEST(Loop, APosterOutlivesItsLoop) {
  Loop::Poster poster = [] {
    Loop loop;
    return loop.poster();
  }();
  EXPECT_FALSE(poster.post([] { FAIL(); }));
}

TEST(CancelToken, RunsCallbacksOnceInOrderAndForgetsDestroyedOnes) {
  std::vector<int> order;
  CancelToken token = CancelToken::create();
  auto first = token.on_cancel([&] { order.push_back(1); });
  auto second = token.on_cancel([&] { order.push_back(2); });
  auto third =
      std::make_unique<CancelToken::Registration>(token.on_cancel([&] { order.push_back(3); }));
  auto fourth = token.on_cancel([&] { order.push_back(4); });
  {
    auto gone = token.on_cancel([&] { order.push_back(5); });
  }
  second = token.on_cancel([&] {
    third.reset();
    order.push_back(6);
  });
  auto fifth = token.on_cancel([&] { order.push_back(7); });
  third = std::make_unique<CancelToken::Registration>(token.on_cancel([&] { order.push_back(8); }));
  token.cancel();
  token.cancel();
  // 8's registration was dropped by 6's callback before its turn.
  EXPECT_EQ(order, (std::vector<int>{1, 4, 6, 7}));
  auto late = token.on_cancel([&] { order.push_back(9); });
  EXPECT_EQ(order.back(), 9);
  EXPECT_TRUE(token.cancelled());
  CancelToken none;
  none.cancel();
  EXPECT_FALSE(none.cancelled());
}

TEST(CancelToken, AChildFollowsItsParentButNotTheReverse) {
  CancelToken parent = CancelToken::create();
  CancelToken one = parent.child();
  CancelToken two = parent.child();
  CancelToken grandchild = two.child();
  one.cancel();
  EXPECT_FALSE(parent.cancelled());
  { CancelToken gone = parent.child(); }
  bool dropped_last_owner = false;
  CancelToken::Registration registration = grandchild.on_cancel([&] {
    grandchild = CancelToken();
    dropped_last_owner = true;
  });
  two = CancelToken();
  EXPECT_FALSE(dropped_last_owner);
  parent.cancel();
  EXPECT_TRUE(
      dropped_last_owner);  // a grandchild keeps the link although nobody holds `two` itself
  EXPECT_TRUE(one.cancelled());
}

TEST(Offload, GivesTheValueHereAndRefusesWhenFull) {
  ThreadPool pool("test", 1, 1);
  Loop loop;
  const auto here = std::this_thread::get_id();
  std::function<Result<std::thread::id>()> work = [] {
    return Result<std::thread::id>(std::this_thread::get_id());
  };
  auto value = loop.run_until_done(offload(pool, work));
  ASSERT_TRUE(value.ok());
  EXPECT_NE(*value, here);

  std::atomic<bool> begun = false;
  std::atomic<bool> go_on = false;
  ASSERT_TRUE(pool.try_post([&] {
    begun = true;
    while (!go_on) std::this_thread::yield();
  }));
  while (!begun) std::this_thread::yield();
  ASSERT_TRUE(pool.try_post([] {}));
  auto refused = loop.run_until_done(offload(pool, work));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kResourceExhausted);
  go_on = true;
}

Task<void> drop_value(ThreadPool& pool, std::function<Result<int>()> work) {
  auto ignored = co_await offload(pool, std::move(work));
  EXPECT_TRUE(ignored.ok());
}

TEST(Offload, TheAwaitingTaskAndTheLoopMayDieMeanwhile) {
  std::atomic<bool> begun = false;
  std::atomic<bool> go_on = false;
  ThreadPool pool("test", 1, 4);
  {
    Loop loop;
    std::function<Result<int>()> work = [&] {
      begun = true;
      while (!go_on) std::this_thread::yield();
      return Result<int>(1);
    };
    loop.spawn(drop_value(pool, work));
    loop.run_until_done(turn(loop));
    while (!begun) std::this_thread::yield();
  }
  go_on = true;
}

}  // namespace
}  // namespace samplemind::net
