#include "ai/gateway/flight.h"

namespace samplemind::ai {

void Flight::delta(ChatDelta d, const ChatAnswer& head_in) {
  answer.id = head_in.id;
  answer.created_s = head_in.created_s;
  answer.model = head_in.model;
  bytes += sizeof d + d.text.size() + d.reasoning.size() + d.native_data.size();
  for (const ChatDelta::Tool& t : d.tools) bytes += t.arguments.size();
  if (bytes > kFlightBytesMax) {
    too_large = true;
    cancel.cancel();
    return;
  }
  append(answer, d);
  if (d.has_content() || !d.finish_reason.empty()) has_content();
  deltas.push_back(std::move(d));
  if (content) {
    for (RemoteFollower& each : remotes) each.pieces(deltas, answer);
  }
  wake();
}

void Flight::whole(ChatAnswer a, std::string body, Dialect dialect, size_t choices_in) {
  answer = std::move(a);
  native_body = std::move(body);
  native = dialect;
  choices = choices_in;
  has_content();
  for (RemoteFollower& each : remotes) each.whole(answer, native_body, native, choices);
  wake();
}

void Flight::end(std::optional<UpstreamError> e) {
  error = std::move(e);
  done = true;
  for (RemoteFollower& each : remotes) each.end(error, cost_microusd);
  remotes.clear();
  wake();
}

Flight::~Flight() {
  for (RemoteFollower& each : remotes) each.lose();
}

void Flight::add_remote(RemoteFollower remote) {
  remotes.push_back(std::move(remote));
  if (!content) return;
  if (deltas.empty()) {
    remotes.back().whole(answer, native_body, native, choices);
  } else {
    remotes.back().pieces(deltas, answer);
  }
}

void Flight::remove_remote(uint64_t id_in) {
  std::erase_if(remotes, [id_in](const RemoteFollower& each) { return each.id == id_in; });
  if (!wanted() && !done) cancel.cancel();
}

void Flight::has_content() {
  content = true;
  if (auto call = std::exchange(on_content, nullptr)) call();
}

void Flight::restart() {
  deltas.clear();
  answer = ChatAnswer();
  bytes = 0;
}

void Flight::wake() {
  for (net::Event* f : followers) f->notify();
}

void RacingTry::delta(ChatDelta d, const ChatAnswer& head) {
  if (lost()) return;
  if (*winner == nullptr && !d.has_content() && d.finish_reason.empty()) {
    early.emplace_back(std::move(d), head);
    return;
  }
  win();
  flight.delta(std::move(d), head);
}

void RacingTry::whole(ChatAnswer answer, std::string body, Dialect dialect, size_t choices) {
  if (lost()) return;
  win();
  flight.whole(std::move(answer), std::move(body), dialect, choices);
}

void RacingTry::rest(std::unique_ptr<net::ClientResponse> response) {
  if (!lost()) flight.rest(std::move(response));
}

void RacingTry::win() {
  if (*winner == this) return;
  *winner = this;
  if (other != nullptr) other->cancel.cancel();
  for (auto& [d, head] : early) flight.delta(std::move(d), head);
  early.clear();
}

}  // namespace samplemind::ai
