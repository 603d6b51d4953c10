// What was spent, and what may be. Two jobs over one set of sums:
// - Budgets: an estimate is held before a call, settled with its cost after it, given back when it
//   failed or was cancelled. Holding is atomic: calls at the same time never pass a budget
//   together. Local models cost nothing and are never refused.
// - Usage: requests, tokens, cost and savings by day, key, provider and model, in <home>/usage.db
//   (SQLite). One writer thread writes behind; a process that is killed loses at most the last
//   100 ms of settled calls. Sums of earlier runs count in the budgets.
//
// Thread-safe. A hold and its settling cost a lock and a few sums each.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

#include "ai/keys.h"
#include "base/clock.h"
#include "base/result.h"

namespace samplemind::ai {

// What one request adds to the usage.
struct UsageEntry {
  std::string key;     // id of the virtual key; empty: none
  std::string tenant;  // "local"
  std::string provider, model;
  int64_t requests = 0;
  int64_t errors = 0;
  int64_t hits = 0;       // answered from the cache
  int64_t coalesced = 0;  // joined an equal request
  int64_t tries = 0;      // calls at the provider, retries and hedges included
  int64_t input_tokens = 0, cached_input_tokens = 0, output_tokens = 0;
  int64_t cost_microusd = 0;
  int64_t saved_microusd = 0;
  int64_t estimated = 0;  // requests whose cost is an estimate: their stream was cut
  int64_t unpriced = 0;   // requests whose price nobody knows; not in the cost
};

enum class UsageBy { kModel, kKey, kDay };
struct UsageRow {
  std::string group;  // "openai/gpt-4o", a key's id ("" for none), "2026-01-31"
  UsageEntry sum;
};

struct BudgetState {
  Budget budget;
  std::string key;  // id; empty: of everybody
  int64_t spent_microusd = 0;
  int64_t held_microusd = 0;
};

class Ledger {
 public:
  // An empty path keeps nothing. A file that cannot be opened is an error.
  // `budgets`: of everybody together.
  static Result<std::unique_ptr<Ledger>> open(std::filesystem::path file,
                                              std::vector<Budget> budgets,
                                              const Clock& clock = system_clock());
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Money that is set aside for one call, given back by the destructor. To settle: add() what the
  // call did cost, then release(): in this order no other call slips between the two.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold();
    void release();

   private:
    friend class Ledger;
    Ledger* ledger_ = nullptr;
    std::string key_, model_;
    int64_t held_ = 0;
  };
  struct Refusal {
    std::string message;
    std::optional<int64_t> retry_after_ms;  // when the period ends
    bool unpriced = false;                  // refused because nobody knows the price
  };
  // `key` may be null. `model` is "provider/model". `estimate`: nothing when the price is unknown,
  // which is refused where a budget applies.
  std::variant<Hold, Refusal> hold(const VirtualKey* key, std::string_view model, bool local,
                                   std::optional<int64_t> estimate);
  // True when some budget applies to calls of this key at this model.
  bool limited(const VirtualKey* key, std::string_view model) const;
  // The budgets that apply to such calls, as services share them.
  struct Applying {
    BudgetState state;         // `key` empty: of everybody
    std::string name;          // the same in all services, another in each period
    int64_t own_microusd = 0;  // what this process knows to be spent
    int64_t keep_ms = 0;       // until nobody needs its numbers any more; 0: for ever
  };
  std::vector<Applying> applying(const VirtualKey* key, std::string_view model) const;
  // What is said when a budget does not allow a call.
  Refusal refusal(const Budget& budget, bool of_key, int64_t spent_microusd, int64_t held_microusd,
                  int64_t estimate) const;

  void add(UsageEntry entry);
  // Of the last `days` days, today included. Largest cost first; by day: oldest first.
  Result<std::vector<UsageRow>> usage(UsageBy by, int days);
  std::vector<BudgetState> budget_states(const std::vector<VirtualKey>& keys) const;
  void flush();  // what was added is on disk

 private:
  struct Sums {
    int64_t held = 0, total = 0, month = 0, day = 0;
    int32_t month_of = 0, day_of = 0;  // yyyymm, yyyymmdd
  };
  using ByModel = std::map<std::string, Sums, std::less<>>;
  struct Database;

  Ledger(std::vector<Budget> budgets, const Clock& clock);
  Result<void> load();
  struct Today {
    int32_t day, month;
  };
  Today today() const;
  static int64_t spent(const Sums& s, Period period, Today now);
  // Both of the key and of everybody (under the empty name).
  template <class F>
  void each_sums(const std::string& key, const std::string& model, F f);
  int64_t sum(const std::string& key, const Budget& budget, Today now, bool held) const;
  void give_back(const Hold& hold);
  void write_behind();

  const std::vector<Budget> budgets_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, ByModel, std::less<>> sums_;  // by key; "*" is everybody

  std::unique_ptr<Database> database_;
  std::mutex queue_mutex_;
  std::condition_variable wake_, written_;
  std::map<std::string, UsageEntry> waiting_;  // by day, key, tenant, provider and model
  uint64_t added_ = 0, done_ = 0;
  bool stop_ = false;
  bool hurry_ = false;
  std::thread writer_;
};

}  // namespace samplemind::ai
