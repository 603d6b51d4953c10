#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace samplemind {
namespace {

TEST(ThreadPool, RunsAllBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool("test", 3, 1000, ThreadPool::Priority::kBackground);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.try_post([&] { ++ran; }));
  }
  EXPECT_EQ(ran, 500);
}

TEST(ThreadPool, FullIsAnAnswer) {
  std::promise<void> gate;
  std::shared_future<void> open = gate.get_future().share();
  std::promise<void> begun;
  ThreadPool pool("test", 1, 2);
  ASSERT_TRUE(pool.try_post([&, open] {
    begun.set_value();
    open.wait();
  }));
  begun.get_future().wait();
  EXPECT_TRUE(pool.try_post([] {}));
  EXPECT_TRUE(pool.try_post([] {}));
  EXPECT_FALSE(pool.try_post([] {}));
  EXPECT_EQ(pool.queued(), 2u);
  pool.clear();
  EXPECT_EQ(pool.queued(), 0u);
  gate.set_value();
}

}  // namespace
}  // namespace samplemind
