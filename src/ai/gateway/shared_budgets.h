// Budgets of one call: held before it, settled after it, given back when it failed. With Redis
// ([cache.redis] url, ai.budgets_shared) they hold for all services that use it together: each
// holding and settling is one script there, atomic over all budgets that apply. Two things are
// asked, both must allow: the ledger of this process, and Redis.
//
// Redis never stops a call by being away: without an answer within cache.redis.budget (50 ms)
// this process's ledger alone decides, and a counter tells. What could not be settled is told to
// Redis with the next call that can; what a service held that died is free again when the longest
// call would have ended. A Redis that lost its data is told what the services know: the largest of
// their sums counts.
//
// One loop only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ai/gateway/core.h"
#include "ai/ledger.h"
#include "ai/task_group_internal.h"
#include "net/loop.h"
#include "net/redis.h"

namespace samplemind::ai {

class SharedBudgets {
 public:
  // `core` must outlive it.
  SharedBudgets(GatewayCore& core, net::Loop& loop);

  // What one call has set aside. The destructor gives it back unless it was settled. Must not
  // outlive its SharedBudgets.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold() { settle(0); }
    // What the call did cost; tell the ledger (Ledger::add) before. Only the first one counts.
    void settle(int64_t cost_microusd);

   private:
    friend class SharedBudgets;
    Ledger::Hold local_;
    SharedBudgets* shared_ = nullptr;
    std::string id_;
    std::vector<std::string> keys_;
  };
  using Held = std::variant<Hold, Ledger::Refusal>;

  // As Ledger::hold. `key` may be null.
  net::Task<Held> hold(VirtualKeyPtr key, std::string model, bool local,
                       std::optional<int64_t> estimate);

 private:
  struct Debt {
    std::string id;
    std::vector<std::string> keys;
    int64_t cost = 0;
    bool tried = false;  // Redis may know of it already
  };
  net::Task<Result<net::RedisReply>> script(const char* text, const std::vector<std::string>& keys,
                                            std::vector<std::string> arguments);
  net::Task<void> pay_debts();

  static constexpr size_t kDebtsMax = 10000;
  GatewayCore* core_;
  std::string prefix_;
  std::string instance_;  // tells this shard's holds from all others
  uint64_t next_ = 0;
  std::deque<Debt> debts_;
  bool paying_ = false;
  std::unique_ptr<net::RedisClient> client_;  // null: only this process
  TaskGroup tasks_;                           // last: its frames refer to all of the above
};

}  // namespace samplemind::ai
