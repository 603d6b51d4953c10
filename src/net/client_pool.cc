// The connections of a client, by origin.
#include <algorithm>

#include "net/client_internal.h"

namespace samplemind::net::pool {

namespace {

constexpr milliseconds kSpareKept{1000};
constexpr size_t kOriginsLearnt = 256;

}  // namespace

Error cancelled_error() {
  return Error(ErrorCode::kCancelled, "the request was cancelled");
}

Connection::~Connection() {
  stream->close();
  if (auto alive = core.lock()) alive->closed(key);
}

void Core::closed(const std::string& key) {
  --open;
  const auto found = origins.find(key);
  if (found == origins.end()) return;
  --found->second.open;
  if (!found->second.waiting.empty()) {
    found->second.waiting.front()->notify();
  } else if (found->second.open == 0) {
    origins.erase(found);
  }
}

void Core::give_back(std::unique_ptr<Connection> connection) {
  Origin& origin = origins[connection->key];
  Stream& stream = *connection->stream;
  if (shut_down || stream.end() != Stream::End::kOpen || !stream.input().empty()) {
    return;  // leftover bytes answer no question of ours
  }
  // Above the number to keep for long it may still serve the next request of a busy time.
  const bool spare = origin.kept.size() >= options.kept_per_host_max;
  const auto keep = spare ? std::min(options.keep_timeout, kSpareKept) : options.keep_timeout;
  stream.set_read_deadline(SteadyTime::max());
  stream.stop_sending_on_input(false);
  connection->kept_until = now() + keep;
  stream.on_end = [this, key = connection->key, raw = connection.get()] { drop(key, raw); };
  stream.pump();
  origin.kept.push_back(std::move(connection));
  if (!origin.waiting.empty()) origin.waiting.front()->notify();
  sweep_within(keep);
}

void Core::sweep_within(milliseconds delay) {
  const SteadyTime at = now() + delay + milliseconds(1);
  if (sweeping && at >= sweep_at) return;
  sweeping = true;
  sweep_at = at;
  sweep_timer = loop.after(delay + milliseconds(1), [this] { sweep(); });
}

void Core::sweep() {
  sweeping = false;
  const SteadyTime time = now();
  SteadyTime next = SteadyTime::max();
  std::vector<std::unique_ptr<Connection>> old;
  std::vector<std::shared_ptr<Http2Connection>> old_http2;
  for (auto& [key, origin] : origins) {
    for (auto& connection : origin.http2) {
      if (connection->in_flight > 0) continue;
      if (connection->kept_until <= time) {
        old_http2.push_back(std::move(connection));
      } else {
        next = std::min(next, connection->kept_until);
      }
    }
    std::erase(origin.http2, nullptr);
    for (auto& connection : origin.kept) {
      if (connection->kept_until <= time) {
        connection->stream->on_end = nullptr;
        old.push_back(std::move(connection));
      } else {
        next = std::min(next, connection->kept_until);
      }
    }
    std::erase(origin.kept, nullptr);
  }
  if (next != SteadyTime::max()) {
    sweeping = true;
    sweep_at = next + milliseconds(1);
    sweep_timer = loop.after(next - time + milliseconds(1), [this] { sweep(); });
  }
}

void Core::drop(const std::string& key, const Connection* connection) {
  const auto found = origins.find(key);
  if (found == origins.end()) return;
  auto& kept = found->second.kept;
  const auto at =
      std::find_if(kept.begin(), kept.end(), [&](const auto& c) { return c.get() == connection; });
  if (at == kept.end()) return;
  std::unique_ptr<Connection> gone = std::move(*at);
  kept.erase(at);
}

std::unique_ptr<Connection> Core::take_kept(const std::string& key) {
  const auto found = origins.find(key);
  if (found == origins.end()) return nullptr;
  auto& kept = found->second.kept;
  std::vector<std::unique_ptr<Connection>> stale;  // dies after the loop: its end touches the pool
  while (!kept.empty()) {
    std::unique_ptr<Connection> connection = std::move(kept.back());
    kept.pop_back();
    connection->stream->on_end = nullptr;
    if (connection->stream->end() == Stream::End::kOpen && connection->stream->input().empty() &&
        connection->kept_until > now()) {
      connection->reused = true;
      return connection;
    }
    stale.push_back(std::move(connection));
  }
  return nullptr;
}

void Core::shut() {
  shut_down = true;
  sweep_timer = Loop::Timer();
  std::vector<std::unique_ptr<Connection>> all;  // die after the loop: their end touches the pool
  std::vector<std::shared_ptr<Http2Connection>> all_http2;
  for (auto& [key, origin] : origins) {
    for (auto& connection : origin.kept) {
      connection->stream->on_end = nullptr;
      all.push_back(std::move(connection));
    }
    origin.kept.clear();
    for (auto& connection : origin.http2) all_http2.push_back(std::move(connection));
    origin.http2.clear();
  }
}

Result<SSL_CTX*> Core::context() {
  if (!tls) {
    SM_TRY(tls, make_client_context(options.ca_file));
  }
  return tls.get();
}

// ---- HTTP/2 in the pool

Spoken Core::spoken(const Target& target) const {
  if (target.use == HttpUse::kHttp1) return Spoken::kHttp1;
  if (target.use == HttpUse::kHttp2) return Spoken::kHttp2;
  if (!target.tls) return Spoken::kHttp1;
  const auto found = learnt.find(target.key);
  return found == learnt.end() ? Spoken::kUnknown : found->second;
}

void Core::learn(const std::string& key, Spoken what) {
  if (learnt.size() >= kOriginsLearnt) learnt.clear();
  learnt[key] = what;
}

std::shared_ptr<Http2Connection> Core::least_busy(Origin& origin, const Target& target) {
  std::shared_ptr<Http2Connection> best;
  for (const auto& connection : origin.http2) {
    if (connection->has_room() && (!best || connection->in_flight < best->in_flight))
      best = connection;
  }
  if (best && best->in_flight >= options.http2_streams_wanted && may_open(origin, target))
    return nullptr;
  return best;
}

bool Core::may_open(const Origin& origin, const Target& target) const {
  if (origin.open >= options.connections_per_host_max) return false;
  const Spoken what = spoken(target);
  if (what == Spoken::kHttp1) return true;
  // Until the first connection tells what is spoken, the others wait for it: they may share it.
  if (what == Spoken::kUnknown) return origin.opening == 0;
  if (origin.http2.size() + origin.opening >= std::max<size_t>(options.http2_connections_max, 1))
    return false;
  return origin.opening * std::max<size_t>(options.http2_streams_wanted, 1) <=
             origin.waiting.size() &&
         (origin.opening == 0 || !origin.waiting.empty());
}

void Core::wake_one(const std::string& key) {
  const auto found = origins.find(key);
  if (found != origins.end() && !found->second.waiting.empty())
    found->second.waiting.front()->notify();
}

void Core::wake_all(const std::string& key) {
  const auto found = origins.find(key);
  if (found == origins.end()) return;
  for (Event* event : found->second.waiting) event->notify();
}

void Core::drop_http2(const std::string& key, const Http2Connection* connection) {
  const auto found = origins.find(key);
  if (found == origins.end()) return;
  auto& list = found->second.http2;
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const auto& c) { return c.get() == connection; });
  if (at == list.end()) return;
  const std::shared_ptr<Http2Connection> gone = std::move(*at);
  list.erase(at);
}

void Core::http2_idle(Http2Connection& connection) {
  connection.kept_until = now() + options.keep_timeout;
  sweep_within(options.keep_timeout);
}

Http2Connection::Http2Connection(Core& core, std::unique_ptr<Connection> connection_)
    : connection(std::move(connection_)) {
  Http2Limits limits;
  limits.stream_window = core.options.http2_window;
  limits.header_bytes_max = core.options.header_bytes_max;
  limits.write_timeout = core.options.write_timeout;
  limits.ping_after = core.options.http2_ping_after;
  limits.ping_timeout = core.options.http2_ping_timeout;
  session = Http2Session::create(connection->stream, limits, this);
  core.loop.spawn(session->run());
}

Http2Connection::~Http2Connection() {
  session->forget_owner();
  session->close(Http2Code::kNoError, "the client closed the connection");
}

void Http2Connection::on_change() {
  const auto self = shared_from_this();
  const auto core = connection ? connection->core.lock() : nullptr;
  if (!core) return;
  const std::string key = connection->key;
  if (!session->usable()) core->drop_http2(key, this);
  if (session->ended()) {
    connection = nullptr;  // its place in the pool is free
  } else {
    core->wake_one(key);
  }
}

Http2Lease::Http2Lease(std::shared_ptr<Http2Connection> connection)
    : connection_(std::move(connection)) {
  ++connection_->in_flight;
}

Http2Lease& Http2Lease::operator=(Http2Lease&& other) noexcept {
  if (this != &other) {
    release();
    connection_ = std::move(other.connection_);
  }
  return *this;
}

void Http2Lease::release() {
  if (!connection_) return;
  const std::shared_ptr<Http2Connection> held = std::move(connection_);
  --held->in_flight;
  const auto core = held->connection ? held->connection->core.lock() : nullptr;
  if (!core) return;
  if (held->in_flight == 0) core->http2_idle(*held);
  core->wake_one(held->connection->key);
}

namespace {

// Counts a connection that is being opened; whoever waits hears of its end.
class Opening {
 public:
  Opening(std::shared_ptr<Core> core, std::string key)
      : core_(std::move(core)), key_(std::move(key)) {
    ++core_->origins[key_].opening;
  }
  ~Opening() {
    if (const auto found = core_->origins.find(key_); found != core_->origins.end())
      --found->second.opening;
    core_->wake_one(key_);
  }
  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

 private:
  std::shared_ptr<Core> core_;
  std::string key_;
};

Error no_place(const Core& core, const Target& target) {
  if (const auto found = core.origins.find(target.key);
      found != core.origins.end() && found->second.open < core.options.connections_per_host_max) {
    return Error(ErrorCode::kUnavailable, "no connection to " + target.host + " in time",
                 "check that it is running and reachable");
  }
  return Error(ErrorCode::kUnavailable,
               "all " + std::to_string(core.options.connections_per_host_max) + " connections to " +
                   target.host + " are busy",
               "lower the load or raise the connections per host");
}

}  // namespace

Task<Result<Lease>> acquire(std::shared_ptr<Core> core, Target target, bool fresh, SteadyTime total,
                            CancelToken cancel) {
  const SteadyTime pool_deadline = std::min(total, now() + core->options.pool_timeout);
  Event event;
  std::optional<Place> place;  // first come, first served: kept until it is our turn
  std::optional<Waker> waker;
  for (;;) {
    Origin& origin = core->origins[target.key];
    std::list<Event*>& waiting = origin.waiting;
    // A shared connection with room serves all who were woken; any other goes by turn.
    if (place || waiting.empty()) {
      if (auto shared = core->least_busy(origin, target)) co_return Lease(Http2Lease(shared));
    }
    if (waiting.empty() || waiting.front() == &event) {
      std::unique_ptr<Connection> kept = core->take_kept(target.key);
      if (kept && !fresh) co_return Lease(std::move(kept));
      kept = nullptr;  // a fresh one is wanted: it makes room
      Origin& again = core->origins[target.key];
      if (core->may_open(again, target)) break;
    }
    if (!place) {
      place.emplace(core->origins[target.key].waiting, event);
      waker.emplace(core->loop, event, pool_deadline, cancel);
    }
    co_await event.wait();
    if (cancel.cancelled()) co_return cancelled_error();
    if (now() >= pool_deadline) co_return no_place(*core, target);
  }
  ++core->origins[target.key].open;
  ++core->open;
  auto opening = std::make_unique<Opening>(core, target.key);
  waker.reset();
  place.reset();
  const SteadyTime deadline = std::min(total, now() + core->options.connect_timeout);
  auto opened = co_await open_connection(core, target, deadline, cancel);
  if (!opened.ok()) co_return std::move(opened).error();
  std::unique_ptr<Connection> connection = std::move(opened).value();
  const bool chosen = connection->stream->alpn() == "h2";
  if (target.tls && target.use == HttpUse::kHttp2 && !chosen) {
    co_return Error(ErrorCode::kUnavailable, target.host + " does not speak HTTP/2",
                    "set its protocol to auto");
  }
  const bool http2 = chosen || (!target.tls && target.use == HttpUse::kHttp2);
  if (target.use == HttpUse::kAuto && target.tls)
    core->learn(target.key, http2 ? Spoken::kHttp2 : Spoken::kHttp1);
  opening = nullptr;
  if (!http2) {
    core->wake_all(target.key);
    co_return Lease(std::move(connection));
  }
  auto shared = std::make_shared<Http2Connection>(*core, std::move(connection));
  core->origins[target.key].http2.push_back(shared);
  Http2Lease lease(std::move(shared));
  core->wake_all(target.key);
  co_return Lease(std::move(lease));
}

}  // namespace samplemind::net::pool
