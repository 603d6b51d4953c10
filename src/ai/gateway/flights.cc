#include "ai/gateway/flights.h"

#include <utility>

#include "ai/gateway/flight.h"

namespace samplemind::ai {

void RemoteFollower::pieces(const std::vector<ChatDelta>& deltas, const ChatAnswer& head) {
  if (told_ == deltas.size()) return;
  struct Batch {
    std::vector<ChatDelta> deltas;
    ChatAnswer head;
  };
  auto batch = std::make_shared<Batch>();
  batch->deltas.assign(deltas.begin() + static_cast<std::ptrdiff_t>(told_), deltas.end());
  batch->head.id = head.id;
  batch->head.created_s = head.created_s;
  batch->head.model = head.model;
  told_ = deltas.size();
  home_.post([there = there_, batch] {
    const auto followed = there.lock();
    if (!followed) return;
    for (ChatDelta& d : batch->deltas) followed->flight->delta(std::move(d), batch->head);
  });
}

void RemoteFollower::whole(const ChatAnswer& answer, const std::string& body, Dialect dialect,
                           size_t choices) {
  auto copy = std::make_shared<std::pair<ChatAnswer, std::string>>(answer, body);
  home_.post([there = there_, copy, dialect, choices] {
    if (const auto followed = there.lock())
      followed->flight->whole(std::move(copy->first), std::move(copy->second), dialect, choices);
  });
}

void RemoteFollower::end(const std::optional<UpstreamError>& error,
                         std::optional<int64_t> cost_microusd) {
  home_.post([there = there_, error, cost_microusd] {
    const auto followed = there.lock();
    if (!followed) return;
    followed->ended = true;
    followed->error = error;
    followed->cost_microusd = cost_microusd;
    followed->event.notify();
  });
}

void RemoteFollower::lose(const net::Loop::Poster& home, std::weak_ptr<FollowedFlight> there) {
  home.post([there = std::move(there)] {
    const auto followed = there.lock();
    if (!followed) return;
    followed->lost = true;
    followed->event.notify();
  });
}

}  // namespace samplemind::ai
