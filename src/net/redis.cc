#include "net/redis.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "base/log.h"
#include "net/stream_internal.h"

namespace samplemind::net {

namespace {

constexpr size_t kInputAhead = 128 << 10;
constexpr size_t kServersMax = 1024;  // a cluster has at most 1,000
constexpr int kRedirectsMax = 4;
constexpr int kSilentMax = 3;  // commands in a row without a reply in time
constexpr std::chrono::milliseconds kPauseMin{200};
constexpr std::chrono::milliseconds kPauseMax{30000};
constexpr std::chrono::seconds kSteadyAfter{10};  // up for so long: the next pause is short again
constexpr std::chrono::milliseconds kRefreshEvery{500};

SteadyTime now() {
  return std::chrono::steady_clock::now();
}

// Wakes an event at a time. The event is kept by the callback.
template <class Holder>
Loop::Timer alarm(Loop& loop, std::shared_ptr<Holder> holder, SteadyTime at) {
  std::function<void()> ring = [holder] { holder->event.notify(); };
  return loop.after(std::max(at - now(), SteadyTime::duration(0)), std::move(ring));
}

// A command on its way. Replies come in the order of the commands.
struct Sent {
  Event event;
  std::optional<Result<RedisReply>> reply;
  bool wanted = true;  // false: whoever waited has gone
};
using SentPtr = std::shared_ptr<Sent>;

struct Waiting {
  Event event;
};

struct Core;

struct Server {
  enum class State { kIdle, kConnecting, kUp, kDown };
  RedisAddress address;
  State state = State::kIdle;
  bool probing = false;  // connecting after a failure: nobody waits for it
  std::shared_ptr<Stream> stream;
  std::deque<SentPtr> sent;
  std::string out;
  bool writing = false;
  int silent = 0;
  SteadyTime down_until{};
  SteadyTime up_since{};
  std::chrono::milliseconds pause = kPauseMin;
  std::string problem;
  std::vector<std::shared_ptr<Waiting>> waiting;
};
using ServerPtr = std::shared_ptr<Server>;

// All that the tasks in the background refer to; it outlives the client until they have ended.
struct Core : std::enable_shared_from_this<Core> {
  Core(Loop& loop_in, RedisOptions options_in) : loop(loop_in), options(std::move(options_in)) {}
  Loop& loop;
  RedisOptions options;
  SslContext tls{nullptr, SSL_CTX_free};
  bool closed = false;
  std::map<std::string, ServerPtr> servers;
  std::vector<ServerPtr> slots;  // of a cluster; null: nobody is known to serve it
  bool slots_known = false;
  bool refreshing = false;
  SteadyTime refreshed{};
  std::vector<std::shared_ptr<Waiting>> waiting;  // for the slots
  std::string last_problem;

  ServerPtr server(const RedisAddress& address);
  void want(const ServerPtr& s);
  void down(const ServerPtr& s, std::string why);
  SentPtr push(const ServerPtr& s, const std::vector<std::string>& words, bool asking);
  void flush(const ServerPtr& s);
  void refresh_soon();
  Result<void> learn(const RedisReply& reply, const RedisAddress& told_by);
};
using CorePtr = std::shared_ptr<Core>;

void wake_all(std::vector<std::shared_ptr<Waiting>>& waiting) {
  for (const auto& each : std::exchange(waiting, {})) each->event.notify();
}

// ---- connecting

struct Found {
  Event event;
  bool done = false;
  std::vector<asio::ip::address> addresses;
};

// The system's resolver may block for long: on a thread of its own that holds nothing of the loop
// but its post box.
std::shared_ptr<Found> look_up(Loop& loop, const std::string& host) {
  auto found = std::make_shared<Found>();
  ErrorCodeAsio not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (!not_literal) {
    found->addresses.push_back(literal);
    found->done = true;
    return found;
  }
  if (host == "localhost") {
    found->addresses.emplace_back(asio::ip::address_v4::loopback());
    found->addresses.emplace_back(asio::ip::address_v6::loopback());
    found->done = true;
    return found;
  }
  std::thread([host, found, poster = loop.poster()]() mutable {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    std::vector<asio::ip::address> addresses;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &list) == 0) {
      for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        if (getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0,
                        NI_NUMERICHOST) != 0)
          continue;
        ErrorCodeAsio bad;
        const auto address = asio::ip::make_address(text.data(), bad);
        if (!bad) addresses.push_back(address);
      }
      freeaddrinfo(list);
    }
    poster.post([found = std::move(found), addresses = std::move(addresses)]() mutable {
      found->addresses = std::move(addresses);
      found->done = true;
      found->event.notify();
    });
  }).detach();
  return found;
}

// Reads replies until the connection ends.
Task<void> read_replies(CorePtr core, ServerPtr s, std::shared_ptr<Stream> stream) {
  RespReader reader;
  for (;;) {
    if (s->stream != stream) co_return;
    std::string_view input = stream->input();
    const size_t size = input.size();
    while (!input.empty()) {
      auto reply = reader.read(input);
      if (!reply.ok() || (*reply && s->sent.empty())) {
        core->down(s, reply.ok() ? "a reply that nobody asked for" : reply.error().message());
        co_return;
      }
      if (!*reply) continue;
      const SentPtr first = std::move(s->sent.front());
      s->sent.pop_front();
      s->silent = 0;
      first->reply.emplace(std::move(**reply));
      first->event.notify();
    }
    stream->consume(size);
    if (stream->end() != Stream::End::kOpen) {
      core->down(s, stream->end() == Stream::End::kEof ? "it closed the connection"
                                                       : "the connection broke: " + stream->why());
      co_return;
    }
    stream->pump();
    co_await stream->readable.wait();
  }
}

Task<Result<RedisReply>> reply_of(CorePtr core, ServerPtr s, SentPtr sent, SteadyTime deadline) {
  {
    const Loop::Timer timer = alarm(core->loop, sent, deadline);
    while (!sent->reply && now() < deadline) co_await sent->event.wait();
  }
  if (sent->reply) co_return std::move(*sent->reply);
  sent->wanted = false;
  if (s->state != Server::State::kDown && ++s->silent >= kSilentMax)
    core->down(s, "it gives no answer in time");
  co_return Error(ErrorCode::kDeadlineExceeded,
                  "Redis at " + s->address.text() + " gave no answer in time");
}

Error error_of(const Server& s, const std::string& text) {
  const std::string what = "Redis at " + s.address.text() + ": " + text;
  for (const char* word : {"NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH", "ERR Client sent AUTH"}) {
    if (text.starts_with(word))
      return Error(ErrorCode::kUnauthenticated, what,
                   "set cache.redis.password (and cache.redis.username) as the server wants them");
  }
  for (const char* word :
       {"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "BUSY", "READONLY", "OOM"}) {
    if (text.starts_with(word)) return Error(ErrorCode::kUnavailable, what);
  }
  return Error(ErrorCode::kUpstream, what);
}

// Until it is up or down.
Task<void> connect(CorePtr core, ServerPtr s) {
  const SteadyTime deadline = now() + core->options.connect_timeout;
  const std::shared_ptr<Found> found = look_up(core->loop, s->address.host);
  {
    const Loop::Timer timer = alarm(core->loop, found, deadline);
    while (!found->done && now() < deadline) co_await found->event.wait();
  }
  if (found->addresses.empty()) {
    core->down(s, "its name cannot be found");
    co_return;
  }
  std::string why = "no address";
  std::shared_ptr<Stream> stream;
  for (const asio::ip::address& address : found->addresses) {
    auto tried = Stream::create(core->loop, Socket(core->loop.rep().io), kInputAhead);
    s->stream = tried;
    auto connected =
        co_await tried->connect(asio::ip::tcp::endpoint(address, s->address.port), deadline);
    if (connected.ok() && core->tls)
      connected = co_await tried->handshake(core->tls.get(), false, s->address.host, deadline);
    if (core->closed) co_return;
    if (connected.ok()) {
      stream = tried;
      break;
    }
    why = connected.error().message();
  }
  if (!stream) {
    core->down(s, why);
    co_return;
  }
  core->loop.spawn(read_replies(core, s, stream));
  std::vector<std::vector<std::string>> greeting;
  if (!core->options.password.empty()) {
    greeting.push_back({"AUTH"});
    if (!core->options.username.empty()) greeting.back().push_back(core->options.username);
    greeting.back().push_back(core->options.password);
  }
  if (core->options.database != 0 && !core->options.cluster)
    greeting.push_back({"SELECT", std::to_string(core->options.database)});
  greeting.push_back({"PING"});
  std::vector<SentPtr> sent;
  for (const auto& words : greeting) sent.push_back(core->push(s, words, false));
  core->flush(s);
  for (const SentPtr& each : sent) {
    auto reply = co_await reply_of(core, s, each, deadline);
    if (core->closed || s->stream != stream) co_return;
    if (!reply.ok() || reply->is_error()) {
      core->down(s, reply.ok() ? error_of(*s, reply->text).message() : reply.error().message());
      co_return;
    }
  }
  s->state = Server::State::kUp;
  s->up_since = now();
  s->silent = 0;
  wake_all(s->waiting);
}

ServerPtr Core::server(const RedisAddress& address) {
  ServerPtr& s = servers[address.text()];
  if (!s) {
    s = std::make_shared<Server>();
    s->address = address;
  }
  return s;
}

// Starts to connect when it is time for it.
void Core::want(const ServerPtr& s) {
  const bool again = s->state == Server::State::kDown && now() >= s->down_until;
  if (closed || (s->state != Server::State::kIdle && !again)) return;
  s->probing = again;
  s->state = Server::State::kConnecting;
  loop.spawn(connect(shared_from_this(), s));
}

void Core::down(const ServerPtr& s, std::string why) {
  if (s->state == Server::State::kDown) return;
  const SteadyTime at = now();
  if (s->state == Server::State::kUp && at - s->up_since > kSteadyAfter) s->pause = kPauseMin;
  s->state = Server::State::kDown;
  s->down_until = at + s->pause;
  s->pause = std::min(s->pause * 2, kPauseMax);
  std::string problem = "Redis at " + s->address.text() + " is left alone for a while: " + why;
  // Once a reason: a server that stays away is tried for ever.
  if (problem != s->problem) log::warn("redis", {{"server", s->address.text()}, {"error", why}});
  s->problem = std::move(problem);
  last_problem = s->problem;
  if (auto stream = std::exchange(s->stream, nullptr)) stream->close();
  s->out.clear();
  s->writing = false;
  s->silent = 0;
  for (const SentPtr& each : std::exchange(s->sent, {})) {
    each->reply.emplace(Error(ErrorCode::kUnavailable, s->problem));
    each->event.notify();
  }
  wake_all(s->waiting);
  if (options.cluster) refresh_soon();
}

// ---- sending

Task<void> write_rest(CorePtr core, ServerPtr s, std::shared_ptr<Stream> stream) {
  while (s->stream == stream && !s->out.empty()) {
    std::string piece = std::exchange(s->out, {});
    iovec part{piece.data(), piece.size()};
    auto sent =
        co_await stream->send_rest(std::span<iovec>(&part, 1), core->options.connect_timeout);
    if (!sent.ok()) {
      if (s->stream == stream) core->down(s, sent.error().message());
      break;
    }
  }
  if (s->stream == stream) s->writing = false;
}

void Core::flush(const ServerPtr& s) {
  if (s->writing || s->out.empty() || !s->stream) return;
  iovec part{s->out.data(), s->out.size()};
  std::span<iovec> pieces(&part, 1);
  switch (s->stream->try_send(pieces)) {
    case Stream::Sent::kAll:
      s->out.clear();
      break;
    case Stream::Sent::kBlocked:
      s->out.erase(0, s->out.size() - part.iov_len);
      s->writing = true;
      loop.spawn(write_rest(shared_from_this(), s, s->stream));
      break;
    case Stream::Sent::kFailed:
      down(s, "the connection broke: " + s->stream->why());
  }
}

// Null when too much waits already.
SentPtr Core::push(const ServerPtr& s, const std::vector<std::string>& words, bool asking) {
  if (s->sent.size() >= options.waiting_max || s->out.size() > options.waiting_bytes_max)
    return nullptr;
  if (asking) {
    append_redis_command(s->out, {"ASKING"});
    s->sent.push_back(std::make_shared<Sent>());
  }
  append_redis_command(s->out, words);
  auto sent = std::make_shared<Sent>();
  s->sent.push_back(sent);
  return sent;
}

// True when the server is up by the deadline. One that failed is not waited for.
Task<bool> ready(CorePtr core, ServerPtr s, SteadyTime deadline) {
  core->want(s);
  while (s->state == Server::State::kConnecting && !s->probing && now() < deadline) {
    auto waiting = std::make_shared<Waiting>();
    s->waiting.push_back(waiting);
    const Loop::Timer timer = alarm(core->loop, waiting, deadline);
    co_await waiting->event.wait();
    std::erase(s->waiting, waiting);
  }
  // A server that takes connections and says nothing: from the third on nobody waits for it.
  if (s->state == Server::State::kConnecting && !s->probing && ++s->silent >= kSilentMax)
    s->probing = true;
  co_return s->state == Server::State::kUp;
}

Task<Result<RedisReply>> ask(CorePtr core, ServerPtr s, std::vector<std::string> words, bool asking,
                             SteadyTime deadline) {
  if (!co_await ready(core, s, deadline)) {
    if (!s->problem.empty()) co_return Error(ErrorCode::kUnavailable, s->problem);
    co_return Error(ErrorCode::kDeadlineExceeded,
                    "Redis at " + s->address.text() + " is not connected yet");
  }
  const SentPtr sent = core->push(s, words, asking);
  if (!sent) {
    co_return Error(ErrorCode::kResourceExhausted,
                    "too much waits for Redis at " + s->address.text());
  }
  core->flush(s);
  co_return co_await reply_of(core, s, sent, deadline);
}

// ---- the cluster

std::optional<RedisAddress> read_address(std::string_view text, const RedisAddress& told_by) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  RedisAddress out;
  out.host = std::string(text.substr(0, colon));
  int port = 0;
  for (const char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9' || port > 65535) return std::nullopt;
    port = port * 10 + (c - '0');
  }
  if (port < 1 || port > 65535) return std::nullopt;
  out.port = static_cast<uint16_t>(port);
  // A server that does not know its own name: the one that was asked.
  if (out.host.empty() || out.host == "?") out.host = told_by.host;
  return out;
}

// CLUSTER SLOTS: a list of [first, last, [host, port, ...] of the master, replicas...].
Result<void> Core::learn(const RedisReply& reply, const RedisAddress& told_by) {
  std::vector<ServerPtr> found(kRedisSlots);
  size_t known = 0;
  for (const RedisReply& range : reply.items) {
    if (range.items.size() < 3 || range.items[2].items.size() < 2) continue;
    const int64_t first = range.items[0].integer, last = range.items[1].integer;
    const auto address = read_address(
        range.items[2].items[0].text + ":" + std::to_string(range.items[2].items[1].integer),
        told_by);
    if (!address || first < 0 || last < first || last >= static_cast<int64_t>(kRedisSlots))
      continue;
    const ServerPtr s = server(*address);
    for (int64_t i = first; i <= last; ++i) found[static_cast<size_t>(i)] = s;
    known += static_cast<size_t>(last - first + 1);
  }
  if (known == 0) return Error(ErrorCode::kUnavailable, "the cluster serves no slot yet");
  slots = std::move(found);
  return ok();
}

Task<void> refresh(CorePtr core) {
  // Those that are up first; then all others that are known or configured.
  std::vector<ServerPtr> candidates;
  for (const bool up : {true, false}) {
    for (const auto& [name, s] : core->servers) {
      if ((s->state == Server::State::kUp) == up) candidates.push_back(s);
    }
  }
  std::string why = "no server is known";
  bool learnt = false;
  for (const ServerPtr& s : candidates) {
    std::vector<std::string> words{"CLUSTER", "SLOTS"};
    auto reply =
        co_await ask(core, s, std::move(words), false, now() + core->options.connect_timeout);
    if (core->closed) co_return;
    if (!reply.ok()) {
      why = reply.error().message();
      continue;
    }
    const auto taken = reply->is_error() ? Result<void>(error_of(*s, reply->text))
                                         : core->learn(*reply, s->address);
    if (taken.ok()) {
      learnt = true;
      break;
    }
    why = taken.error().message();
  }
  if (learnt) {
    core->slots_known = true;
    // Servers that left the cluster and are not up are forgotten.
    std::erase_if(core->servers, [&](const auto& entry) {
      const ServerPtr& s = entry.second;
      if (s->state == Server::State::kUp || s->state == Server::State::kConnecting) return false;
      const auto& seeds = core->options.servers;
      const bool seed = std::any_of(seeds.begin(), seeds.end(),
                                    [&](const RedisAddress& a) { return a.text() == entry.first; });
      return !seed && std::find(core->slots.begin(), core->slots.end(), s) == core->slots.end();
    });
  } else {
    core->last_problem = "Redis Cluster: " + why;
  }
  core->refreshing = false;
  core->refreshed = now();
  wake_all(core->waiting);
}

void Core::refresh_soon() {
  if (closed || refreshing || now() - refreshed < kRefreshEvery || servers.size() > kServersMax)
    return;
  refreshing = true;
  loop.spawn(refresh(shared_from_this()));
}

// The server of a key's slot; null when none is known by the deadline.
Task<ServerPtr> server_of(CorePtr core, size_t slot, SteadyTime deadline) {
  if (!core->options.cluster) co_return core->server(core->options.servers.front());
  if (!core->slots_known || !core->slots[slot]) core->refresh_soon();
  // Only before anything is known: later a missing slot is an answer.
  while (!core->slots_known && core->refreshing && now() < deadline) {
    auto waiting = std::make_shared<Waiting>();
    core->waiting.push_back(waiting);
    const Loop::Timer timer = alarm(core->loop, waiting, deadline);
    co_await waiting->event.wait();
    std::erase(core->waiting, waiting);
  }
  co_return core->slots_known ? core->slots[slot] : nullptr;
}

// Which word decides on the slot.
const std::string& key_of(const std::vector<std::string>& words) {
  return words.at(words.front() == "EVAL" ? 3 : 1);
}

class Client final : public RedisClient {
 public:
  explicit Client(CorePtr core) : core_(std::move(core)) {
    for (const RedisAddress& each : core_->options.servers) core_->server(each);
  }
  ~Client() override {
    core_->closed = true;
    for (const auto& [name, s] : core_->servers) {
      s->state = Server::State::kDown;
      s->sent.clear();
      if (auto stream = std::exchange(s->stream, nullptr)) stream->close();
    }
    core_->servers.clear();
    core_->slots.clear();
  }

  Task<Result<RedisReply>> command(std::vector<std::string> words, SteadyTime deadline) override {
    const CorePtr core = core_;
    const size_t slot = core->options.cluster ? redis_slot(key_of(words)) : 0;
    ServerPtr s = co_await server_of(core, slot, deadline);
    bool asking = false;
    for (int i = 0; i < kRedirectsMax; ++i) {
      if (!s) {
        co_return Error(ErrorCode::kUnavailable, core->last_problem.empty()
                                                     ? "Redis Cluster: nobody serves this key"
                                                     : core->last_problem);
      }
      auto reply = co_await ask(core, s, words, asking, deadline);
      if (!reply.ok() || !reply->is_error()) co_return reply;
      const std::string& text = reply->text;
      const bool moved = text.starts_with("MOVED ");
      if (!moved && !text.starts_with("ASK ")) {
        if (text.starts_with("CLUSTERDOWN") || text.starts_with("READONLY")) core->refresh_soon();
        co_return error_of(*s, text);
      }
      // "MOVED 3999 127.0.0.1:6381"
      const auto address = read_address(text.substr(text.rfind(' ') + 1), s->address);
      if (!address || !core->options.cluster || core->servers.size() > kServersMax)
        co_return error_of(*s, text);
      s = core->server(*address);
      asking = !moved;
      if (moved) {
        if (core->slots_known) core->slots[slot] = s;
        core->refresh_soon();
      }
    }
    co_return Error(ErrorCode::kUnavailable, "Redis Cluster sends from one server to the next");
  }

  bool send(std::vector<std::string> words) override {
    ServerPtr s;
    if (!core_->options.cluster) {
      s = core_->server(core_->options.servers.front());
    } else if (core_->slots_known) {
      s = core_->slots[redis_slot(key_of(words))];
      if (!s) core_->refresh_soon();
    } else {
      core_->refresh_soon();
    }
    if (!s) return false;
    core_->want(s);
    if (s->state != Server::State::kUp) return false;
    const SentPtr sent = core_->push(s, words, false);
    if (!sent) return false;
    sent->wanted = false;
    core_->flush(s);
    return true;
  }

  Task<Result<std::vector<RedisAddress>>> servers(SteadyTime deadline) override {
    const CorePtr core = core_;
    std::vector<RedisAddress> out;
    if (!core->options.cluster) {
      out.push_back(core->options.servers.front());
      co_return out;
    }
    (void)co_await server_of(core, 0, deadline);
    if (!core->slots_known) {
      co_return Error(ErrorCode::kUnavailable, core->last_problem.empty()
                                                   ? "Redis Cluster: no server answers"
                                                   : core->last_problem);
    }
    const ServerPtr* last = nullptr;
    for (const ServerPtr& s : core->slots) {
      if (!s || (last != nullptr && *last == s)) continue;
      last = &s;
      const std::string name = s->address.text();
      if (std::none_of(out.begin(), out.end(),
                       [&](const RedisAddress& a) { return a.text() == name; }))
        out.push_back(s->address);
    }
    co_return out;
  }

  Task<Result<RedisReply>> command_at(RedisAddress server, std::vector<std::string> words,
                                      SteadyTime deadline) override {
    const CorePtr core = core_;
    const ServerPtr s = core->server(server);
    auto reply = co_await ask(core, s, std::move(words), false, deadline);
    if (reply.ok() && reply->is_error()) co_return error_of(*s, reply->text);
    co_return reply;
  }

  size_t connections() const override {
    size_t n = 0;
    for (const auto& [name, s] : core_->servers) n += s->state == Server::State::kUp;
    return n;
  }
  std::string last_problem() const override { return core_->last_problem; }

 private:
  CorePtr core_;
};

}  // namespace

std::string RedisAddress::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<std::unique_ptr<RedisClient>> RedisClient::create(Loop& loop, RedisOptions options) {
  if (options.servers.empty())
    return Error(ErrorCode::kInvalidArgument, "no Redis server is named");
  auto core = std::make_shared<Core>(loop, std::move(options));
  if (core->options.tls) {
    SM_TRY(core->tls, make_client_context(core->options.ca_file));
  }
  return std::unique_ptr<RedisClient>(std::make_unique<Client>(std::move(core)));
}

Result<void> parse_redis_urls(const std::vector<std::string>& urls, RedisOptions& options) {
  options.servers.clear();
  for (const std::string& url : urls) {
    const auto wrong = [&url](std::string_view what) {
      return Error(ErrorCode::kInvalidArgument, "'" + url + "': " + std::string(what),
                   "write redis://host:6379 (rediss:// for TLS), several separated by commas");
    };
    std::string_view rest = url;
    const bool tls = rest.starts_with("rediss://");
    if (!tls && !rest.starts_with("redis://")) return wrong("not a Redis address");
    rest.remove_prefix(tls ? 9 : 8);
    if (!options.servers.empty() && tls != options.tls)
      return wrong("either all servers speak TLS or none");
    options.tls = tls;
    if (rest.find('@') != std::string_view::npos) {
      return Error(ErrorCode::kInvalidArgument, "a password does not belong into Redis' address",
                   "set cache.redis.username and cache.redis.password");
    }
    if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
      const std::string_view database = rest.substr(slash + 1);
      if (database.size() > 4 || !std::all_of(database.begin(), database.end(),
                                              [](char c) { return c >= '0' && c <= '9'; }))
        return wrong("the database is a number");
      int number = 0;
      for (const char c : database) number = number * 10 + (c - '0');
      options.database = number;
      rest = rest.substr(0, slash);
    }
    RedisAddress address;
    std::string_view host = rest, port;
    if (rest.starts_with('[')) {
      const size_t end = rest.find(']');
      if (end == std::string_view::npos) return wrong("a bracket is not closed");
      host = rest.substr(1, end - 1);
      port = rest.substr(end + 1);
    } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
      host = rest.substr(0, colon);
      port = rest.substr(colon);
    }
    if (host.empty()) return wrong("no host");
    address.host = std::string(host);
    if (!port.empty()) {
      RedisAddress read;
      const auto parsed = read_address("x" + std::string(port), read);
      if (!parsed) return wrong("the port is a number from 1 to 65535");
      address.port = parsed->port;
    }
    options.servers.push_back(std::move(address));
  }
  return ok();
}

}  // namespace samplemind::net
