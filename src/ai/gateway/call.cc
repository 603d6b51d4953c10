#include "ai/gateway/call.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "ai/money.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr size_t kModelsKnownMax = 1024;  // whose health is remembered; clients choose names
constexpr double kRetryShare = 0.2;       // retries, of a provider's calls
constexpr double kRetryReserve = 10;

}  // namespace

// A follower's message to the leader's loop. Where nobody takes it, also because the loop ended
// with it still waiting there, the follower hears that the leader is lost.
struct Caller::Knock {
  Knock(net::Loop::Poster home_in, std::weak_ptr<FollowedFlight> there)
      : home(std::move(home_in)), there_(std::move(there)) {}
  ~Knock() {
    if (!taken_) RemoteFollower::lose(home, there_);
  }
  Knock(const Knock&) = delete;
  Knock& operator=(const Knock&) = delete;
  std::weak_ptr<FollowedFlight> take() {
    taken_ = true;
    return there_;
  }
  const net::Loop::Poster home;

 private:
  std::weak_ptr<FollowedFlight> there_;
  bool taken_ = false;
};

FlightPtr Caller::join(const Plan& p, CacheState& state) {
  if (p.use_cache) {
    if (const auto it = flights_.find(p.flight_key);
        it != flights_.end() && !it->second->cancel.cancelled()) {
      core_->coalesced.add();
      state = CacheState::kCoalesced;
      return it->second;
    }
  }
  auto flight = std::make_shared<Flight>();
  flight->provider = p.provider->name();
  if (p.use_cache) {
    flight->id = core_->flights.next_id();
    flights_[p.flight_key] = flight;
    if (auto leader = core_->flights.claim(p.flight_key, me(*flight))) {
      core_->coalesced.add();
      state = CacheState::kCoalesced;
      tasks_.start(follow(flight, std::move(*leader), p));
      return flight;
    }
    core_->misses.add();
    state = CacheState::kMiss;
  } else {
    core_->bypassed.add();
    state = CacheState::kBypass;
  }
  tasks_.start(fly(flight, p));
  return flight;
}

Caller::~Caller() {
  *alive_ = false;
  for (const auto& [key, flight] : flights_) core_->flights.release(key, flight->id);
}

FlightLeader Caller::me(const Flight& flight) const {
  FlightLeader leader;
  leader.loop = loop_.poster();
  leader.caller = const_cast<Caller*>(this);
  leader.alive = alive_;
  leader.flight = flight.id;
  return leader;
}

void Caller::forget(const Digest& key, const FlightPtr& flight) {
  if (const auto it = flights_.find(key); it != flights_.end() && it->second == flight)
    flights_.erase(it);
  if (flight->id != 0) core_->flights.release(key, flight->id);
}

void Caller::attach(const Digest& key, uint64_t flight, RemoteFollower remote) {
  const auto it = flights_.find(key);
  if (it == flights_.end() || it->second->id != flight || it->second->cancel.cancelled()) {
    // Whoever asks may lead now.
    core_->flights.release(key, flight);
    remote.lose();
    return;
  }
  it->second->add_remote(std::move(remote));
}

void Caller::detach(const Digest& key, uint64_t flight, uint64_t remote) {
  const auto it = flights_.find(key);
  if (it != flights_.end() && it->second->id == flight) it->second->remove_remote(remote);
}

net::Task<void> Caller::follow(FlightPtr flight, FlightLeader leader, Plan p) {
  std::optional<UpstreamError> error;
  const int64_t begin_ms = core_->clock.unix_ms();
  for (;;) {
    auto followed = std::make_shared<FollowedFlight>(flight);
    const uint64_t id = core_->flights.next_id();
    const std::weak_ptr<FollowedFlight> there = followed;
    std::function<void()> ask = [leader, knock = std::make_shared<Knock>(loop_.poster(), there), id,
                                 key = p.flight_key] {
      if (*leader.alive)
        leader.caller->attach(key, leader.flight, RemoteFollower(knock->home, knock->take(), id));
    };
    const bool told = leader.loop.post(std::move(ask));
    if (!told) followed->lost = true;
    std::function<void()> wake = [f = followed.get()] { f->event.notify(); };
    const auto registration = flight->cancel.on_cancel(std::move(wake));
    while (!followed->ended && !followed->lost && !flight->cancel.cancelled())
      co_await followed->event.wait();
    if (followed->ended) {
      error = std::move(followed->error);
      flight->cost_microusd = followed->cost_microusd;
      break;
    }
    if (flight->cancel.cancelled()) {
      leader.loop.post([leader, id, key = p.flight_key] {
        if (*leader.alive) leader.caller->detach(key, leader.flight, id);
      });
      error = UpstreamError{};
      error->code = flight->too_large ? "upstream_answer_too_large" : "cancelled";
      error->message = flight->too_large ? "the answer is larger than 32 MiB" : "cancelled";
      break;
    }
    if (flight->content) {
      error = UpstreamError{};
      error->message = flight->provider + ": the answer broke off within this service";
      break;
    }
    // The leader has ended: what it left is in the cache, or it is this one's turn.
    if (const RecordPtr hit = core_->memory.get(p.key, core_->clock.unix_ms())) {
      if (cache_->acceptable(*hit, p.max_age_ms) && (p.read_cache || hit->stored_ms >= begin_ms)) {
        flight->whole(hit->answer, hit->openai_body, Dialect::kOpenAi, 1);
        if (hit->cost_microusd >= 0) flight->cost_microusd = hit->cost_microusd;
        break;
      }
    }
    flight->restart();
    auto next = core_->flights.claim(p.flight_key, me(*flight));
    if (!next) {
      co_await fly(flight, std::move(p));
      co_return;
    }
    leader = std::move(*next);
  }
  flight->answer.provider = flight->provider;
  forget(p.flight_key, flight);
  flight->end(std::move(error));
}

void Caller::refresh_behind(const Plan& p) {
  if (flights_.contains(p.flight_key)) return;
  core_->refreshes.add();
  CacheState state = CacheState::kMiss;
  tasks_.start(hold(join(p, state)));
}

// Wants the answer as a client does, and has no use for it.
net::Task<void> Caller::hold(FlightPtr flight) {
  const net::CancelToken never;
  const Follower follower(*flight, never);
  while (!flight->done) co_await follower.event->wait();
}

std::shared_ptr<ModelHealth> Caller::health_of(const Plan& p) {
  if (health_.size() >= kModelsKnownMax) health_.clear();
  std::shared_ptr<ModelHealth>& health = health_[p.provider->label() + " " + p.model];
  if (!health) health = std::make_shared<ModelHealth>();
  return health;
}

CallBudget& Caller::retries_of(const std::string& provider) {
  return retries_.try_emplace(provider, kRetryShare, kRetryReserve).first->second;
}

net::Task<std::optional<UpstreamError>> Caller::race(FlightPtr flight, const Plan& p,
                                                     CallOptions options,
                                                     std::chrono::nanoseconds p95,
                                                     std::shared_ptr<ModelHealth> health) {
  health->hedges.earn(core_->clock.steady());
  auto winner = std::make_shared<RacingTry*>(nullptr);
  auto event = std::make_shared<net::Event>();
  auto first = std::make_shared<RacingTry>(*flight, winner);
  first->event = event;
  tasks_.start(run_try(flight, p.provider, p.request, options, first));
  bool late = false;
  std::function<void()> on_late = [event, &late] {
    late = true;
    event->notify();
  };
  const net::Loop::Timer timer = loop_.after(p95, std::move(on_late));
  while (!first->done && !late) co_await event->wait();
  if (first->done || *winner != nullptr || flight->cancel.cancelled() ||
      !health->hedges.spend(core_->clock.steady())) {
    while (!first->done) co_await event->wait();
    co_return std::move(first->error);
  }
  core_->hedges.add();
  core_->upstream_calls.add();
  ++flight->tries;
  ++flight->hedges_lost;
  auto second = std::make_shared<RacingTry>(*flight, winner);
  second->event = event;
  first->other = second.get();
  second->other = first.get();
  tasks_.start(run_try(flight, p.twin != nullptr ? p.twin : p.provider, p.request,
                       std::move(options), second));
  // Until the one that has won is done, or both are.
  while (!(first->done && second->done) && !(*winner != nullptr && (*winner)->done))
    co_await event->wait();
  first->other = second->other = nullptr;
  if (*winner == second.get()) {
    core_->hedges_won.add();
    co_return std::move(second->error);
  }
  co_return std::move(first->error);
}

net::Task<void> Caller::run_try(FlightPtr flight, Provider* provider,
                                std::shared_ptr<const ChatRequest> request, CallOptions options,
                                std::shared_ptr<RacingTry> racer) {
  options.cancel = racer->cancel;
  racer->error = co_await provider->chat(*client_, *request, std::move(options), *racer);
  racer->done = true;
  racer->event->notify();
  (void)flight;
}

}  // namespace samplemind::ai
