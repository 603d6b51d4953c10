#include "library/watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/log.h"

namespace samplemind::library {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kEvents = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_ATTRIB;

}  // namespace

class Watcher::Thread {
 public:
  Thread(WatchOptions options, OnChange on_change)
      : options_(options),
        on_change_(std::move(on_change)),
        inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
        wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        next_round_(Clock::now() + options.interval),
        thread_([this] { run(); }) {}

  ~Thread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
    if (inotify_ >= 0) ::close(inotify_);
    if (wake_ >= 0) ::close(wake_);
  }

  void set(std::vector<std::string> folders) {
    {
      const std::lock_guard lock(mutex_);
      wanted_ = std::move(folders);
    }
    wake();
  }

 private:
  void wake() {
    const uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
  }

  void run() {
    for (;;) {
      pollfd fds[2] = {{wake_, POLLIN, 0}, {inotify_, POLLIN, 0}};
      ::poll(fds, inotify_ >= 0 ? 2 : 1, timeout_ms());
      uint64_t ignored;
      (void)!::read(wake_, &ignored, sizeof ignored);
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        if (wanted_) {
          take(*wanted_);
          wanted_.reset();
        }
      }
      read_events();
      const auto now = Clock::now();
      if (options_.interval.count() > 0 && now >= next_round_) {
        next_round_ = now + options_.interval;
        for (const std::string& root : roots_) changed_.insert(root);
        due_ = now;
      }
      if (!changed_.empty() && due_ && now >= *due_) tell();
    }
  }

  int timeout_ms() const {
    auto next = Clock::now() + std::chrono::hours(1);
    if (options_.interval.count() > 0) next = std::min(next, next_round_);
    if (!changed_.empty() && due_) next = std::min(next, *due_);
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now());
    return static_cast<int>(std::clamp<int64_t>(left.count() + 1, 0, 3600000));
  }

  void take(const std::vector<std::string>& folders) {
    for (const auto& [descriptor, folder] : folders_) ::inotify_rm_watch(inotify_, descriptor);
    folders_.clear();
    full_ = false;
    for (const std::string& root : folders) {
      if (std::find(roots_.begin(), roots_.end(), root) == roots_.end()) {
        changed_.insert(root);
        due_ = Clock::now();
      }
    }
    roots_ = folders;
    for (const std::string& root : roots_) add(root);
    std::erase_if(changed_, [this](const std::string& path) { return !below_a_root(path); });
  }

  bool below_a_root(const std::string& path) const {
    return std::any_of(roots_.begin(), roots_.end(), [&path](const std::string& root) {
      return path == root || (path.starts_with(root) && (root == "/" || path[root.size()] == '/'));
    });
  }

  // The folder and all below it; links are not followed (the scan follows them at its interval).
  void add(const fs::path& root) {
    std::vector<fs::path> stack{root};
    while (!stack.empty() && inotify_ >= 0) {
      const fs::path folder = std::move(stack.back());
      stack.pop_back();
      if (folders_.size() >= options_.folders_max) {
        warn_full();
        return;
      }
      const int descriptor = ::inotify_add_watch(inotify_, folder.c_str(), kEvents);
      if (descriptor < 0) {
        if (errno == ENOSPC) {
          warn_full();
          return;
        }
        continue;
      }
      folders_[descriptor] = folder.string();
      std::error_code error;
      fs::directory_iterator entries(folder, fs::directory_options::skip_permission_denied, error);
      for (const fs::directory_iterator end; !error && entries != end; entries.increment(error)) {
        std::error_code ignored;
        if (entries->is_directory(ignored) && !entries->is_symlink(ignored))
          stack.push_back(entries->path());
      }
    }
  }

  void warn_full() {
    if (full_) return;
    full_ = true;
    log::warn("watch", {{"folders", folders_.size()},
                        {"problem",
                         "no more folders can be watched; the others are looked at "
                         "every interval (fs.inotify.max_user_watches)"}});
  }

  void read_events() {
    if (inotify_ < 0) return;
    alignas(inotify_event) char buffer[16384];
    for (;;) {
      const ssize_t n = ::read(inotify_, buffer, sizeof buffer);
      if (n <= 0) return;
      for (ssize_t at = 0; at < n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        handle(*event);
      }
      due_ = Clock::now() + options_.quiet;
    }
  }

  void handle(const inotify_event& event) {
    if (event.mask & IN_Q_OVERFLOW) {  // some were lost: look at everything
      for (const std::string& root : roots_) changed_.insert(root);
      return;
    }
    const auto it = folders_.find(event.wd);
    if (it == folders_.end()) return;
    if (event.mask & IN_IGNORED) {
      folders_.erase(it);
      return;
    }
    const std::string folder = it->second;
    changed_.insert(folder);
    if ((event.mask & IN_ISDIR) && (event.mask & (IN_CREATE | IN_MOVED_TO)) && event.len > 0)
      add(fs::path(folder) / event.name);
  }

  // The changed folders that still exist, else the nearest one above; none below another.
  std::vector<fs::path> outermost() const {
    std::set<std::string> there;
    for (const std::string& path : changed_) {
      std::string p = path;
      std::error_code ignored;
      while (below_a_root(p) && !fs::is_directory(p, ignored)) p = fs::path(p).parent_path();
      if (below_a_root(p)) there.insert(p);
    }
    std::vector<fs::path> list;
    for (const std::string& p : there) {
      if (!list.empty() && p.starts_with(list.back().string() + "/")) continue;
      list.emplace_back(p);
    }
    return list;
  }

  void tell() {
    const std::vector<fs::path> list = outermost();
    if (list.empty() || on_change_(list)) {
      changed_.clear();
      due_.reset();
    } else {
      due_ = Clock::now() + options_.quiet;
    }
  }

  const WatchOptions options_;
  const OnChange on_change_;
  const int inotify_;  // -1: none to be had; the interval remains
  const int wake_;
  std::mutex mutex_;  // guards the two below
  bool stopping_ = false;
  std::optional<std::vector<std::string>> wanted_;
  // The thread's own.
  std::vector<std::string> roots_;
  std::unordered_map<int, std::string> folders_;
  std::set<std::string> changed_;
  std::optional<Clock::time_point> due_;
  Clock::time_point next_round_;
  bool full_ = false;
  std::thread thread_;  // last: it starts when all else is there
};

Watcher::Watcher(WatchOptions options, OnChange on_change)
    : thread_(std::make_unique<Thread>(options, std::move(on_change))) {}
Watcher::~Watcher() = default;
void Watcher::set(std::vector<std::string> folders) {
  thread_->set(std::move(folders));
}

}  // namespace samplemind::library
