#include "library/store/mongo_lease.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/process.h"
#include "library/store/mongo_link_internal.h"

namespace samplemind::library {

namespace {

constexpr const char* kMeta = "meta";
constexpr std::chrono::milliseconds kLook{250};

Doc the_lease() {
  return Doc().text("_id", "writer");
}

std::string host_name() {
  char name[256] = "";
  (void)::gethostname(name, sizeof name - 1);
  return name;
}

// Equal where a pid means the same process: of one boot and one namespace of processes.
std::string pid_space() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::error_code ignored;
  return boot + " " + std::filesystem::read_symlink("/proc/self/ns/pid", ignored).string();
}

std::string new_owner() {
  std::random_device device;
  std::string text;
  for (int i = 0; i < 4; ++i) text += std::to_string(device()) + ".";
  return text + std::to_string(::getpid());
}

struct Holder {
  std::string owner, host, space;
  int64_t beat = 0, pid = 0, ticks = 0;

  bool is_gone() const {
    if (space != pid_space()) return false;
    const auto now = process_start_ticks(static_cast<pid_t>(pid));
    return !now || static_cast<int64_t>(*now) != ticks || !process_alive(static_cast<pid_t>(pid));
  }
};

Doc holder_doc(const std::string& owner) {
  Doc d;
  d.text("owner", owner).text("host", host_name()).text("space", pid_space());
  d.integer("pid", ::getpid()).integer("beat", 0);
  d.integer("ticks", static_cast<int64_t>(process_start_ticks(::getpid()).value_or(0)));
  return d;
}

Result<std::optional<Holder>> read_holder(MongoLink& link) {
  std::optional<Holder> holder;
  SM_CHECK_OK(link.find(kMeta, the_lease(), [&holder](const DocView& d) -> Result<void> {
    holder = Holder{d.text("owner"),   d.text("host"),   d.text("space"),
                    d.integer("beat"), d.integer("pid"), d.integer("ticks")};
    return ok();
  }));
  return holder;
}

}  // namespace

WriterLease::WriterLease(MongoLink& link) : link_(link), owner_(new_owner()) {}

// Puts ourselves in the place of a holder that has not stirred since it was seen.
Result<bool> WriterLease::try_take(const std::string& old_owner, int64_t old_beat) {
  const Doc filter = the_lease().text("owner", old_owner).integer("beat", old_beat);
  SM_TRY(const int64_t matched, link_.update(kMeta, filter, Doc().doc("$set", holder_doc(owner_))));
  return matched == 1;
}

Result<std::unique_ptr<WriterLease>> WriterLease::take(MongoLink& link) {
  std::unique_ptr<WriterLease> lease(new WriterLease(link));
  std::optional<Holder> first;
  const SteadyTime begun = system_clock().steady();
  for (;;) {
    const SteadyTime asked = system_clock().steady();
    SM_TRY(const std::optional<Holder> holder, read_holder(link));
    bool taken = false;
    if (!holder) {
      const auto made = link.insert(kMeta, the_lease().append(holder_doc(lease->owner_)));
      if (!made.ok() && made.error().code() != ErrorCode::kAlreadyExists) return made.error();
      taken = made.ok();
    } else if (holder->is_gone() || (first && first->owner == holder->owner &&
                                     first->beat == holder->beat && asked - begun >= kStale)) {
      SM_TRY(taken, lease->try_take(holder->owner, holder->beat));
    } else if (first && (first->owner != holder->owner || first->beat != holder->beat)) {
      return Error(ErrorCode::kAlreadyExists,
                   "the library in MongoDB " + link.name() + " is open in another process (" +
                       std::to_string(holder->pid) + " on " + holder->host + ")",
                   "one process writes at a time: stop that one, there with 'samplemind down'");
    }
    if (taken) {
      lease->renewed_ = asked;
      lease->thread_ = std::thread([raw = lease.get()] { raw->run(); });
      return lease;
    }
    if (!first) first = holder;
    std::this_thread::sleep_for(kLook);
  }
}

WriterLease::~WriterLease() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;  // it was never ours
  thread_.join();
  // Should this fail, the next one waits until it is stale.
  (void)!link_.remove(kMeta, the_lease().text("owner", owner_)).ok();
}

Result<void> WriterLease::renew() {
  const SteadyTime asked = system_clock().steady();
  const Doc filter = the_lease().text("owner", owner_);
  SM_TRY(const int64_t matched,
         link_.update(kMeta, filter, Doc().doc("$inc", Doc().integer("beat", 1))));
  const std::lock_guard lock(mutex_);
  if (matched == 0) lost_ = true;
  renewed_ = std::max(renewed_, asked);
  return ok();
}

Result<void> WriterLease::check() {
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    late = system_clock().steady() - renewed_ > kTrust;
  }
  if (late) SM_CHECK_OK(renew());
  const std::lock_guard lock(mutex_);
  if (lost_)
    return Error(ErrorCode::kUnavailable,
                 "another process writes to the library in MongoDB " + link_.name() +
                     " since this one was cut off from it",
                 "samplemind down, then up again once the other one has stopped");
  return ok();
}

void WriterLease::run() {
  std::unique_lock lock(mutex_);
  while (!ending_ && !lost_) {
    wake_.wait_for(lock, kRenew, [this] { return ending_; });
    if (ending_) return;
    lock.unlock();
    (void)!renew().ok();  // check() tells when it is needed
    lock.lock();
  }
}

}  // namespace samplemind::library
