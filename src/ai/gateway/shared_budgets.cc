#include "ai/gateway/shared_budgets.h"

#include <chrono>
#include <random>
#include <utility>

#include "ai/gateway/books.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr std::chrono::milliseconds kSettleWithin{1000};
constexpr int64_t kHoldSpareMs = 60000;  // after the longest call

// KEYS: for each budget a hash (spent, held, h:ID of each hold) and a sorted set of holds by when
// they end. ARGV: now, end of the hold, its id, its amount, the process, then for each budget its
// limit, what this process knows to be spent of it (looked at when the process comes for the first
// time: so a Redis that lost its data learns), and how long its numbers are kept (ms; 0: for ever).
// Gives 0, or the number of the budget that does not allow it with what is spent and held.
constexpr const char* kHoldScript = R"lua(
local now, ends, id, amount, process = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local n = #KEYS / 2
for i = 1, n do
  local sums, holds = KEYS[2 * i - 1], KEYS[2 * i]
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', holds, '-inf', now)) do
    local was = redis.call('HGET', sums, 'h:' .. dead)
    if was then
      redis.call('HINCRBY', sums, 'held', '-' .. was)
      redis.call('HDEL', sums, 'h:' .. dead)
    end
    redis.call('ZREM', holds, dead)
  end
  local limit, own = ARGV[3 * i + 3], ARGV[3 * i + 4]
  local spent = redis.call('HGET', sums, 'spent') or '0'
  if redis.call('HSETNX', sums, 'p:' .. process, '1') == 1 and tonumber(own) > tonumber(spent) then
    redis.call('HSET', sums, 'spent', own)
    spent = own
  end
  local held = redis.call('HGET', sums, 'held') or '0'
  if tonumber(spent) + tonumber(held) + math.max(1, tonumber(amount)) > tonumber(limit) then
    return {i, tonumber(spent), tonumber(held)}
  end
end
for i = 1, n do
  local sums, holds = KEYS[2 * i - 1], KEYS[2 * i]
  redis.call('HINCRBY', sums, 'held', amount)
  redis.call('HSET', sums, 'h:' .. id, amount)
  redis.call('ZADD', holds, ends, id)
  local keep = tonumber(ARGV[3 * i + 5])
  if keep > 0 then
    redis.call('PEXPIRE', sums, keep)
    redis.call('PEXPIRE', holds, keep)
  end
end
return {0, 0, 0}
)lua";

// ARGV: the hold's id, what the call cost, and 1 when this may have been said before: then a hold
// that is not there was settled.
constexpr const char* kSettleScript = R"lua(
local id, cost, again = ARGV[1], ARGV[2], ARGV[3]
for i = 1, #KEYS / 2 do
  local sums, holds = KEYS[2 * i - 1], KEYS[2 * i]
  local was = redis.call('HGET', sums, 'h:' .. id)
  if was then
    redis.call('HINCRBY', sums, 'held', '-' .. was)
    redis.call('HDEL', sums, 'h:' .. id)
    redis.call('ZREM', holds, id)
  end
  if (was or again == '0') and cost ~= '0' then redis.call('HINCRBY', sums, 'spent', cost) end
end
return 0
)lua";

std::string random_name() {
  std::random_device device;
  std::string out;
  for (int i = 0; i < 4; ++i) out += std::to_string(device()) + (i < 3 ? "." : "");
  return out;
}

// The same for all shards.
const std::string& process() {
  static const std::string name = random_name();
  return name;
}

}  // namespace

SharedBudgets::SharedBudgets(GatewayCore& core, net::Loop& loop)
    : core_(&core), instance_(random_name()), tasks_(loop) {
  if (!core.redis || !core.config.boolean("ai.budgets_shared")) return;
  // One slot of a cluster: a script may only touch such keys together.
  prefix_ = core.redis->prefix + "{budgets}:";
  // The options were tried when the core was made.
  if (auto made = net::RedisClient::create(loop, core.redis->redis); made.ok())
    client_ = std::move(*made);
}

SharedBudgets::Hold::Hold(Hold&& o) noexcept
    : local_(std::move(o.local_)),
      shared_(std::exchange(o.shared_, nullptr)),
      id_(std::move(o.id_)),
      keys_(std::move(o.keys_)) {}
SharedBudgets::Hold& SharedBudgets::Hold::operator=(Hold&& o) noexcept {
  if (this != &o) {
    settle(0);
    local_ = std::move(o.local_);
    shared_ = std::exchange(o.shared_, nullptr);
    id_ = std::move(o.id_);
    keys_ = std::move(o.keys_);
  }
  return *this;
}

void SharedBudgets::Hold::settle(int64_t cost_microusd) {
  local_.release();
  SharedBudgets* const shared = std::exchange(shared_, nullptr);
  if (shared == nullptr) return;
  if (shared->debts_.size() >= kDebtsMax) {
    shared->core_->books_->shared_lost.add();
    shared->debts_.pop_front();
  }
  Debt debt;
  debt.id = std::move(id_);
  debt.keys = std::move(keys_);
  debt.cost = std::max<int64_t>(0, cost_microusd);
  shared->debts_.push_back(std::move(debt));
  if (!shared->paying_) shared->tasks_.start(shared->pay_debts());
}

net::Task<Result<net::RedisReply>> SharedBudgets::script(const char* text,
                                                         const std::vector<std::string>& keys,
                                                         std::vector<std::string> arguments) {
  std::vector<std::string> words{"EVAL", text, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  for (std::string& a : arguments) words.push_back(std::move(a));
  const bool settles = text == kSettleScript;
  const SteadyTime deadline =
      std::chrono::steady_clock::now() + (settles ? kSettleWithin : core_->redis->budget);
  co_return co_await client_->command(std::move(words), deadline);
}

net::Task<void> SharedBudgets::pay_debts() {
  if (paying_) co_return;
  paying_ = true;
  while (!debts_.empty()) {
    // Where it is while it is told: the deque may grow meanwhile, and lose its front when full.
    Debt debt = std::move(debts_.front());
    debts_.pop_front();
    std::vector<std::string> arguments{debt.id, std::to_string(debt.cost), debt.tried ? "1" : "0"};
    const auto reply = co_await script(kSettleScript, debt.keys, std::move(arguments));
    if (reply.ok()) continue;
    // With the next call; Redis may have heard it all the same.
    debt.tried = true;
    debts_.push_front(std::move(debt));
    break;
  }
  paying_ = false;
}

net::Task<SharedBudgets::Held> SharedBudgets::hold(VirtualKeyPtr key, std::string model, bool local,
                                                   std::optional<int64_t> estimate) {
  Ledger& ledger = *core_->books_->ledger;
  auto here = ledger.hold(key.get(), model, local, estimate);
  if (auto* refused = std::get_if<Ledger::Refusal>(&here)) co_return Held(std::move(*refused));
  Hold made;
  made.local_ = std::move(std::get<Ledger::Hold>(here));
  if (!client_ || local || !estimate) co_return Held(std::move(made));
  const std::vector<Ledger::Applying> budgets = ledger.applying(key.get(), model);
  if (budgets.empty()) co_return Held(std::move(made));
  if (!debts_.empty() && !paying_) tasks_.start(pay_debts());
  const int64_t now_ms = core_->clock.unix_ms();
  std::string id = instance_ + "." + std::to_string(++next_);
  std::vector<std::string> keys;
  std::vector<std::string> arguments{
      std::to_string(now_ms),
      std::to_string(now_ms + core_->settings.total_timeout_ms + kHoldSpareMs), id,
      std::to_string(std::max<int64_t>(0, *estimate)), process()};
  for (const Ledger::Applying& b : budgets) {
    keys.push_back(prefix_ + b.name);
    keys.push_back(prefix_ + b.name + ":holds");
    arguments.push_back(std::to_string(b.state.budget.microusd));
    arguments.push_back(std::to_string(b.own_microusd));
    arguments.push_back(std::to_string(b.keep_ms));
  }
  const auto reply = co_await script(kHoldScript, keys, std::move(arguments));
  if (!reply.ok() || reply->items.size() != 3) {
    core_->books_->shared_alone.add();
    if (!reply.ok()) {
      // It may have been held nevertheless: it is taken back.
      made.shared_ = this;
      made.id_ = std::move(id);
      made.keys_ = std::move(keys);
    }
    co_return Held(std::move(made));
  }
  const auto which = static_cast<size_t>(reply->items[0].integer);
  if (which >= 1 && which <= budgets.size()) {
    const Ledger::Applying& b = budgets[which - 1];
    co_return Held(ledger.refusal(b.state.budget, !b.state.key.empty(), reply->items[1].integer,
                                  reply->items[2].integer, *estimate));
  }
  made.shared_ = this;
  made.id_ = std::move(id);
  made.keys_ = std::move(keys);
  co_return Held(std::move(made));
}

}  // namespace samplemind::ai
