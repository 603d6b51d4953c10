// Folders that are watched (inotify): tells which folders changed once they have been quiet for a
// while. Network drives do not tell about changes made elsewhere, so all folders are also told
// about at every interval. The callback runs on the watcher's own thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace samplemind::library {

struct WatchOptions {
  std::chrono::milliseconds quiet{1500};                         // after the last change
  std::chrono::milliseconds interval{std::chrono::minutes(15)};  // 0: never
  size_t folders_max = 100000;  // with those below; further ones are seen at the interval only
};

class Watcher {
 public:
  // False: busy, the same folders are told about again a quiet time later.
  using OnChange = std::function<bool(const std::vector<std::filesystem::path>& changed)>;

  Watcher(WatchOptions options, OnChange on_change);
  ~Watcher();  // waits for a callback that runs
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Replaces the watched folders. Thread-safe. New ones are told about at once.
  void set(std::vector<std::string> folders);

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace samplemind::library
