#include "library/watcher.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "library/test_support.h"

namespace samplemind::library {
namespace {

class Watching : public ::testing::Test {
 protected:
  void start(std::chrono::milliseconds interval = std::chrono::milliseconds(0), int busy = 0) {
    busy_ = busy;
    WatchOptions options;
    options.quiet = std::chrono::milliseconds(20);
    options.interval = interval;
    watcher_ = std::make_unique<Watcher>(options, [this](const std::vector<fs::path>& changed) {
      const std::lock_guard lock(mutex_);
      ++calls_;
      told_.notify_all();
      if (busy_ > 0) {
        --busy_;
        return false;
      }
      for (const fs::path& p : changed) seen_.insert(p.string());
      return true;
    });
    watcher_->set({folder_.path().string()});
  }
  // Waits until the folder was told about; forgets it.
  bool told(const fs::path& folder) {
    std::unique_lock lock(mutex_);
    const bool came = told_.wait_for(lock, std::chrono::seconds(20),
                                     [&] { return seen_.contains(folder.string()); });
    seen_.clear();
    return came;
  }
  TemporaryFolder folder_;
  std::mutex mutex_;
  std::condition_variable told_;
  std::set<std::string> seen_;
  int busy_ = 0;
  int calls_ = 0;
  std::unique_ptr<Watcher> watcher_;  // last: its thread uses the rest
};

TEST_F(Watching, NewChangedMovedAndRemovedFiles) {
  fs::create_directories(folder_.path() / "a/b");
  start();
  ASSERT_TRUE(told(folder_.path()));  // a new folder is looked at once
  write_file(folder_.path() / "a/b/x.wav", "1");
  ASSERT_TRUE(told(folder_.path() / "a/b"));
  fs::rename(folder_.path() / "a/b/x.wav", folder_.path() / "a/y.wav");
  ASSERT_TRUE(told(folder_.path() / "a"));
  fs::remove(folder_.path() / "a/y.wav");
  ASSERT_TRUE(told(folder_.path() / "a"));
  // A folder that came later is watched too, and one that went is told about from above.
  fs::create_directories(folder_.path() / "new");
  ASSERT_TRUE(told(folder_.path()));
  write_file(folder_.path() / "new/z.wav", "1");
  ASSERT_TRUE(told(folder_.path() / "new"));
  fs::remove_all(folder_.path() / "new");
  ASSERT_TRUE(told(folder_.path()));
}

TEST_F(Watching, BusyIsAskedAgain) {
  start(std::chrono::milliseconds(0), 3);
  ASSERT_TRUE(told(folder_.path()));
  EXPECT_GE(calls_, 4);
}

TEST_F(Watching, TheIntervalTellsWithoutAnyEvent) {
  start(std::chrono::milliseconds(50));
  ASSERT_TRUE(told(folder_.path()));
  ASSERT_TRUE(told(folder_.path()));
}

TEST_F(Watching, LinksThatLeadBackUpEnd) {
  fs::create_directories(folder_.path() / "a");
  fs::create_directory_symlink(folder_.path(), folder_.path() / "a/up");
  start();
  ASSERT_TRUE(told(folder_.path()));
  write_file(folder_.path() / "a/x.wav", "1");
  ASSERT_TRUE(told(folder_.path() / "a"));
}

}  // namespace
}  // namespace samplemind::library
