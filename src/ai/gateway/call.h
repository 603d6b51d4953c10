// Calls at providers: equal requests join, failed tries are made again within bounds, a failing
// model is left alone, and a second try may run beside a slow one. One loop only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/lookup.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/shared_budgets.h"
#include "ai/resilience.h"
#include "ai/task_group_internal.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

inline constexpr double kHedgeShare = 0.05;  // second tries, of a model's calls
inline constexpr double kHedgeReserve = 2;

// What is known of a model's health, on this loop.
struct ModelHealth {
  CircuitBreaker breaker;
  LatencyWindow first_content;
  int shown_state = -1;  // of the breaker, in the metrics
  CallBudget hedges{kHedgeShare, kHedgeReserve};
};

// The tokens that are set aside for an answer: what the request allows, else what is usual.
int64_t reserved_output_tokens(const Plan& p, const Candidate& c, const PriceTable& prices);

class Caller {
 public:
  // All of them must outlive it.
  Caller(GatewayCore& core, net::Loop& loop, net::Client& client, AnswerCache& cache,
         SharedBudgets& budgets)
      : core_(&core),
        loop_(loop),
        client_(&client),
        cache_(&cache),
        budgets_(&budgets),
        tasks_(loop) {}
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  ~Caller();

  // Joins the flight of an equal request, on whatever shard of the process, or starts one.
  FlightPtr join(const Plan& p, CacheState& state);
  // Fetches the answer anew with nobody waiting, unless somebody does already.
  void refresh_behind(const Plan& p);

 private:
  struct Knock;
  // Asks one candidate after the other until one answers or none may follow.
  net::Task<void> fly(FlightPtr flight, Plan p);
  // All tries at the plan's provider and model; nothing when it answered. `others`: candidates that
  // would follow, which make waiting here less worth.
  net::Task<std::optional<UpstreamError>> ask_model(FlightPtr flight, const Plan& p, size_t others,
                                                    SteadyTime begin);
  void set_breaker(ModelHealth& health, const std::string& model);
  // Is fed by the leader on another loop; flies itself when that one is gone.
  net::Task<void> follow(FlightPtr flight, FlightLeader leader, Plan p);
  net::Task<void> hold(FlightPtr flight);
  FlightLeader me(const Flight& flight) const;
  // On the leader's loop: takes part in its flight, if that is still on its way.
  void attach(const Digest& key, uint64_t flight, RemoteFollower remote);
  void detach(const Digest& key, uint64_t flight, uint64_t remote);
  void forget(const Digest& key, const FlightPtr& flight);
  // The call, and a second one beside it when it has given no content for as long as 95 of 100
  // took.
  net::Task<std::optional<UpstreamError>> race(FlightPtr flight, const Plan& p, CallOptions options,
                                               std::chrono::nanoseconds p95,
                                               std::shared_ptr<ModelHealth> health);
  // Holds all that it refers to: the loser may end after the race.
  net::Task<void> run_try(FlightPtr flight, Provider* provider,
                          std::shared_ptr<const ChatRequest> request, CallOptions options,
                          std::shared_ptr<RacingTry> racer);
  std::shared_ptr<ModelHealth> health_of(const Plan& p);
  CallBudget& retries_of(const std::string& provider);
  // Tells the breaker how a try ended. A client's own fault, a rate limit or a cancelled call say
  // nothing of the provider's health.
  void judge(ModelHealth& health, const std::optional<UpstreamError>& error);
  int64_t left_ms(SteadyTime begin) const;
  // Exponential with full jitter; never sooner than the provider asks.
  // Counts what the tries at the plan's model did cost, also when they failed; gives it.
  int64_t account(Flight& flight, const Plan& p, int tries, bool failed);

  GatewayCore* core_;
  net::Loop& loop_;
  net::Client* client_;
  AnswerCache* cache_;
  SharedBudgets* budgets_;
  std::unordered_map<Digest, FlightPtr> flights_;
  std::unordered_map<std::string, std::shared_ptr<ModelHealth>> health_;
  std::map<std::string, CallBudget> retries_;
  std::mt19937_64 random_{std::random_device{}()};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for other loops' messages
  TaskGroup tasks_;  // last: its frames refer to all of the above
};

}  // namespace samplemind::ai
