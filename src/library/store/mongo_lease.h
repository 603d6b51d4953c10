// The right to write to a library in MongoDB, which one process has at a time: a document that its
// owner changes every two seconds. Who wants it watches that document: one that has not changed for
// ten seconds has no owner any more (no clock is compared with another machine's), nor has one of a
// process of this machine that is gone. An owner that could not renew it for six seconds writes
// nothing until it could, and nothing ever again once another has taken it. What this does not
// stop: a write that was on its way for more than four seconds when the owner was cut off.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace samplemind::library {

class MongoLink;

class WriterLease {
 public:
  static constexpr std::chrono::seconds kRenew{2};
  static constexpr std::chrono::seconds kTrust{6};   // after a renewal
  static constexpr std::chrono::seconds kStale{10};  // unchanged for so long, it is free

  // Blocks up to kStale for one that an owner left without giving it back. kAlreadyExists while
  // another process renews it. `link` outlives it.
  static Result<std::unique_ptr<WriterLease>> take(MongoLink& link);
  ~WriterLease();  // gives it back

  // Before every write. kUnavailable when it is lost or cannot be renewed. For any thread.
  Result<void> check();

 private:
  explicit WriterLease(MongoLink& link);
  Result<bool> try_take(const std::string& old_owner, int64_t old_beat);
  Result<void> renew();
  void run();

  MongoLink& link_;
  const std::string owner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  bool lost_ = false;
  SteadyTime renewed_;
  std::thread thread_;
};

}  // namespace samplemind::library
