#include "net/client.h"

#include <netdb.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "net/http1_internal.h"
#include "net/stream_internal.h"

namespace samplemind::net {

namespace {

using std::chrono::milliseconds;
using Endpoint = asio::ip::tcp::endpoint;

constexpr auto kDnsKept = std::chrono::seconds(30);
constexpr milliseconds kSpareKept{1000};
constexpr size_t kDnsHostsMax = 256;
constexpr size_t kLookupsMax = 32;         // threads blocked in the resolver at once
constexpr size_t kInputAhead = 128 << 10;  // an answer that nobody reads stops here

SteadyTime now() {
  return std::chrono::steady_clock::now();
}

// Where to connect and what to say there.
struct Target {
  std::string key;  // of the pool
  bool tls = false;
  std::string host;  // the origin
  uint16_t port = 0;
  std::string connect_host;  // the origin or its proxy
  uint16_t connect_port = 0;
  bool tunnel = false;    // CONNECT through the proxy first
  bool absolute = false;  // the proxy takes whole URLs
  std::string proxy_authorization;
};

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  ErrorCodeAsio error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

std::string environment(const char* lower, const char* upper) {
  const char* value = std::getenv(lower);
  if (value == nullptr && upper != nullptr) value = std::getenv(upper);
  return value != nullptr ? value : "";
}

// no_proxy: names match themselves and what lies below them; "*" matches all.
bool excluded_from_proxy(const std::string& host, const std::string& list) {
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string entry(trim_ows(std::string_view(list).substr(at, end - at)));
    at = end + 1;
    for (char& c : entry) c = ascii_lower(c);
    if (entry == "*") return true;
    if (entry.starts_with("*.")) entry.erase(0, 1);
    while (!entry.empty() && entry[0] == '.') entry.erase(0, 1);
    if (entry.empty()) continue;
    if (host == entry || host.ends_with("." + entry)) return true;
  }
  return false;
}

std::string base64(std::string_view in) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t bits = static_cast<unsigned char>(in[i]) << 16;
    if (i + 1 < in.size()) bits |= static_cast<unsigned char>(in[i + 1]) << 8;
    if (i + 2 < in.size()) bits |= static_cast<unsigned char>(in[i + 2]);
    out += kDigits[bits >> 18];
    out += kDigits[bits >> 12 & 63];
    out += i + 1 < in.size() ? kDigits[bits >> 6 & 63] : '=';
    out += i + 2 < in.size() ? kDigits[bits & 63] : '=';
  }
  return out;
}

Result<Target> target_of(const Url& url, bool proxies) {
  Target target;
  target.tls = url.scheme == "https";
  target.host = target.connect_host = url.host;
  target.port = target.connect_port = url.port;
  target.key = url.scheme + "://" + url.host + ":" + std::to_string(url.port);
  if (!proxies || is_loopback(url.host)) return target;
  // Upper-case HTTP_PROXY is not read: a CGI server would set it from a request's header.
  std::string proxy =
      target.tls ? environment("https_proxy", "HTTPS_PROXY") : environment("http_proxy", nullptr);
  if (proxy.empty()) proxy = environment("all_proxy", "ALL_PROXY");
  if (proxy.empty() || excluded_from_proxy(url.host, environment("no_proxy", "NO_PROXY")))
    return target;
  if (proxy.find("://") == std::string::npos) proxy.insert(0, "http://");
  std::string credentials;
  const size_t start = proxy.find("://") + 3;
  if (const size_t at = proxy.find('@', start);
      at != std::string::npos && at < proxy.find('/', start)) {
    credentials = proxy.substr(start, at - start);
    proxy.erase(start, at - start + 1);
  }
  Result<Url> parsed = Url::parse(proxy);
  if (!parsed.ok() || parsed->scheme != "http") {
    return Error(ErrorCode::kInvalidArgument,
                 "the proxy named by the environment is not an http:// URL",
                 "correct http_proxy/https_proxy, or set no_proxy for " + url.host);
  }
  target.connect_host = parsed->host;
  target.connect_port = parsed->port;
  (target.tls ? target.tunnel : target.absolute) = true;
  if (!credentials.empty()) {
    Result<std::string> plain = percent_decode(credentials);
    target.proxy_authorization = "Basic " + base64(plain.ok() ? *plain : credentials);
  }
  target.key += " by " + target.connect_host + ":" + std::to_string(target.connect_port);
  return target;
}

class Core;

struct Connection {
  Connection(std::shared_ptr<Core> core_, std::string key_, std::shared_ptr<Stream> stream_)
      : core(std::move(core_)), key(std::move(key_)), stream(std::move(stream_)) {}
  ~Connection();
  std::weak_ptr<Core> core;
  std::string key;
  std::shared_ptr<Stream> stream;
  bool reused = false;
  SteadyTime kept_until;
};

struct Origin {
  std::vector<std::unique_ptr<Connection>> kept;  // newest last
  size_t open = 0;                                // kept, in use and being opened
  std::list<Event*> waiting;
};

struct Lookup {
  bool done = false;
  std::vector<asio::ip::address> addresses;
  std::string error;
  SteadyTime until;
  std::list<Event*> waiting;
};

// A place in a list of waiters, left at the end whatever happens. Who leaves lets the next one
// look: there may be more than one was woken for.
class Place {
 public:
  Place(std::list<Event*>& list, Event& event)
      : list_(list), at_(list.insert(list.end(), &event)) {}
  ~Place() {
    list_.erase(at_);
    if (!list_.empty()) list_.front()->notify();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  std::list<Event*>& list_;
  std::list<Event*>::iterator at_;
};

// The pool. Shared by the client and its answers, so that either may die first.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop_, ClientOptions options_) : loop(loop_), options(std::move(options_)) {}
  void closed(const std::string& key);
  void give_back(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> take_kept(const std::string& key);
  void drop(const std::string& key, const Connection* connection);
  void sweep();
  void shut();
  Result<SSL_CTX*> context();

  Loop& loop;
  ClientOptions options;
  std::map<std::string, Origin> origins;
  std::map<std::string, std::shared_ptr<Lookup>> names;
  size_t lookups = 0;
  size_t open = 0;
  bool shut_down = false;
  SslContext tls{nullptr, SSL_CTX_free};
  Loop::Timer sweep_timer;
  SteadyTime sweep_at;
  bool sweeping = false;
};

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
  if (const SteadyTime at = now() + keep + milliseconds(1); !sweeping || at < sweep_at) {
    sweeping = true;
    sweep_at = at;
    sweep_timer = loop.after(keep + milliseconds(1), [this] { sweep(); });
  }
}

void Core::sweep() {
  sweeping = false;
  const SteadyTime time = now();
  SteadyTime next = SteadyTime::max();
  std::vector<std::unique_ptr<Connection>> old;
  for (auto& [key, origin] : origins) {
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
  std::vector<std::unique_ptr<Connection>> all;
  for (auto& [key, origin] : origins) {
    for (auto& connection : origin.kept) {
      connection->stream->on_end = nullptr;
      all.push_back(std::move(connection));
    }
    origin.kept.clear();
  }
}

Result<SSL_CTX*> Core::context() {
  if (!tls) {
    SM_TRY(tls, make_client_context(options.ca_file));
  }
  return tls.get();
}

// ---- waiting for something that is not a stream

// Wakes `event` at the deadline or on cancel; the waiter looks at both itself.
struct Waker {
  Waker(Loop& loop, Event& event, SteadyTime deadline, const CancelToken& cancel)
      : timer(loop.after(deadline - now(), [&event] { event.notify(); })),
        registration(cancel.on_cancel([&event] { event.notify(); })) {}
  Loop::Timer timer;
  CancelToken::Registration registration;
};

Error cancelled_error() {
  return Error(ErrorCode::kCancelled, "the request was cancelled");
}

void start_lookup(const std::shared_ptr<Core>& core, const std::string& host,
                  const std::shared_ptr<Lookup>& lookup) {
  ++core->lookups;
  // A thread that may block for long in the system's resolver; it holds nothing of the loop but its
  // post box.
  std::thread([host, lookup, weak = std::weak_ptr(core), poster = core->loop.poster()]() mutable {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    std::vector<asio::ip::address> addresses;
    for (const addrinfo* each = failed != 0 ? nullptr : found; each != nullptr;
         each = each->ai_next) {
      if (each->ai_family == AF_INET) {
        asio::ip::address_v4::bytes_type bytes;
        std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in*>(each->ai_addr)->sin_addr, 4);
        addresses.emplace_back(asio::ip::address_v4(bytes));
      } else if (each->ai_family == AF_INET6) {
        const auto* address = reinterpret_cast<sockaddr_in6*>(each->ai_addr);
        asio::ip::address_v6::bytes_type bytes;
        std::memcpy(bytes.data(), &address->sin6_addr, 16);
        addresses.emplace_back(asio::ip::address_v6(bytes, address->sin6_scope_id));
      }
    }
    if (found != nullptr) freeaddrinfo(found);
    std::string error = failed != 0 ? gai_strerror(failed) : "";
    // The last references go with the closure, on the loop's thread.
    poster.post([lookup = std::move(lookup), weak = std::move(weak),
                 addresses = std::move(addresses), error = std::move(error)]() mutable {
      if (auto alive = weak.lock()) --alive->lookups;
      lookup->done = true;
      lookup->addresses = std::move(addresses);
      lookup->error = std::move(error);
      lookup->until = now() + kDnsKept;
      for (Event* event : lookup->waiting) event->notify();
    });
  }).detach();
}

Task<Result<std::vector<asio::ip::address>>> resolve(std::shared_ptr<Core> core, std::string host,
                                                     SteadyTime deadline, CancelToken cancel) {
  std::vector<asio::ip::address> addresses;
  ErrorCodeAsio error;
  const auto literal = asio::ip::make_address(host, error);
  if (!error) {
    addresses.push_back(literal);
    co_return addresses;
  }
  if (host == "localhost" || host.ends_with(".localhost")) {  // RFC 6761: never asked for
    addresses.emplace_back(asio::ip::address_v4::loopback());
    addresses.emplace_back(asio::ip::address_v6::loopback());
    co_return addresses;
  }
  std::shared_ptr<Lookup> lookup;
  if (const auto found = core->names.find(host); found != core->names.end()) {
    lookup = found->second;
    if (lookup->done && (lookup->until <= now() || lookup->addresses.empty())) lookup = nullptr;
  }
  if (!lookup) {
    if (core->lookups >= kLookupsMax) {
      co_return Error(ErrorCode::kUnavailable, "too many name lookups wait already",
                      "check the DNS server");
    }
    if (core->names.size() >= kDnsHostsMax) core->names.clear();
    lookup = std::make_shared<Lookup>();
    core->names[host] = lookup;
    start_lookup(core, host, lookup);
  }
  {
    Event event;
    Place place(lookup->waiting, event);
    Waker waker(core->loop, event, deadline, cancel);
    while (!lookup->done && now() < deadline && !cancel.cancelled()) co_await event.wait();
  }
  if (cancel.cancelled()) co_return cancelled_error();
  if (!lookup->done) {
    co_return Error(ErrorCode::kDeadlineExceeded, "looking up the name " + host + " took too long",
                    "check the DNS server");
  }
  if (lookup->addresses.empty()) {
    co_return Error(ErrorCode::kUnavailable, "the name " + host + " is not known: " + lookup->error,
                    "check the spelling and the network");
  }
  co_return lookup->addresses;
}

// ---- opening

// Reads one head into `out`; the bytes are consumed. `received` tells whether any byte came.
Task<Result<Framing>> read_head(Stream& stream, std::string method, size_t bytes_max,
                                ResponseHead& out, bool& received) {
  HeadScanner scanner;
  for (;;) {
    const std::string_view input = stream.input();
    if (!input.empty()) received = true;
    const Parse state = scanner.scan(input);
    if (state == Parse::kBad)
      co_return Error(ErrorCode::kUpstream, "the answer is not HTTP: a line without CR LF");
    if (state == Parse::kDone) {
      Framing framing;
      const HeadFault fault =
          parse_response_head(input.substr(0, scanner.size()), method, out, framing);
      if (fault.status != 0)
        co_return Error(ErrorCode::kUpstream, std::string("the answer is not HTTP: ") + fault.why);
      stream.consume(scanner.size());
      scanner.reset();
      if (out.status >= 200) co_return framing;
      if (out.status == 101)
        co_return Error(ErrorCode::kUpstream, "the answer changes the protocol unasked");
      continue;  // 100 Continue, 103 Early Hints
    }
    if (input.size() > bytes_max)
      co_return Error(ErrorCode::kUpstream, "the answer's header fields are too long");
    if (stream.end() != Stream::End::kOpen) {
      if (received)
        co_return Error(ErrorCode::kUpstream, "the connection ended inside the answer's head");
      co_return Error(ErrorCode::kUnavailable, "the connection was closed before an answer came");
    }
    if (stream.read_timed_out()) co_return Error(ErrorCode::kDeadlineExceeded, "no answer in time");
    stream.pump();
    co_await stream.readable.wait();
  }
}

Task<Result<void>> open_tunnel(Stream& stream, const Core& core, const Target& target,
                               SteadyTime deadline) {
  const std::string host =
      (target.host.find(':') == std::string::npos ? target.host : "[" + target.host + "]") + ":" +
      std::to_string(target.port);
  std::string head = "CONNECT " + host + " HTTP/1.1\r\n";
  append_field(head, "host", host);
  if (!target.proxy_authorization.empty())
    append_field(head, "proxy-authorization", target.proxy_authorization);
  head += "\r\n";
  iovec piece{head.data(), head.size()};
  std::span<iovec> pieces(&piece, 1);
  Result<void> sent = co_await stream.send_rest(pieces, core.options.write_timeout);
  if (!sent.ok()) co_return std::move(sent).error();
  stream.set_read_deadline(deadline);
  ResponseHead answer;
  bool received = false;
  // An answer to CONNECT has no body when it is 2xx; others end the connection anyway.
  Result<Framing> framing =
      co_await read_head(stream, "HEAD", core.options.header_bytes_max, answer, received);
  if (!framing.ok()) co_return std::move(framing).error();
  if (answer.status / 100 != 2) {
    co_return Error(ErrorCode::kUnavailable,
                    "the proxy " + target.connect_host + " refused the connection with status " +
                        std::to_string(answer.status),
                    answer.status == 407 ? "put user:password@ into the proxy's URL"
                                         : "check the proxy's settings");
  }
  if (!stream.input().empty())
    co_return Error(ErrorCode::kUpstream, "the proxy sent more than its answer");
  co_return ok();
}

// Tries the addresses in order, each with its share of the time. Counts in the pool from before it
// is called.
Task<Result<std::unique_ptr<Connection>>> open_connection(std::shared_ptr<Core> core, Target target,
                                                          SteadyTime deadline, CancelToken cancel) {
  SSL_CTX* tls = nullptr;
  // Gives the place in the pool back on every failure.
  auto connection = std::make_unique<Connection>(
      core, target.key, Stream::create(core->loop, Socket(core->loop.rep().io), kInputAhead));
  if (target.tls) {
    Result<SSL_CTX*> context = core->context();
    if (!context.ok()) co_return std::move(context).error();
    tls = *context;
  }
  auto found = co_await resolve(core, target.connect_host, deadline, cancel);
  if (!found.ok()) co_return std::move(found).error();
  std::vector<asio::ip::address> addresses = std::move(found).value();
  const std::string where = target.connect_host + ":" + std::to_string(target.connect_port);
  Error last(ErrorCode::kUnavailable, "no address");
  bool connected = false;
  for (size_t i = 0; i < addresses.size() && !connected; ++i) {
    if (i > 0) {
      connection->stream->close();
      connection->stream = Stream::create(core->loop, Socket(core->loop.rep().io), kInputAhead);
    }
    const SteadyTime time = now();
    if (time >= deadline) break;
    const SteadyTime share = time + (deadline - time) / static_cast<int64_t>(addresses.size() - i);
    CancelToken::Registration registration =
        cancel.on_cancel([stream = connection->stream.get()] { stream->close(); });
    Endpoint endpoint(addresses[i], target.connect_port);
    Result<void> done = co_await connection->stream->connect(endpoint, share);
    if (cancel.cancelled()) co_return cancelled_error();
    connected = done.ok();
    if (!connected) last = std::move(done).error();
  }
  if (!connected) {
    core->names.erase(target.connect_host);  // the addresses may have changed
    co_return Error(last.code(), "cannot connect to " + where + ": " + last.message(),
                    "check that it is running and reachable");
  }
  CancelToken::Registration registration =
      cancel.on_cancel([stream = connection->stream.get()] { stream->close(); });
  if (target.tunnel) {
    Result<void> done = co_await open_tunnel(*connection->stream, *core, target, deadline);
    if (cancel.cancelled()) co_return cancelled_error();
    if (!done.ok()) co_return std::move(done).error();
  }
  if (tls != nullptr) {
    Result<void> done = co_await connection->stream->handshake(tls, false, target.host, deadline);
    if (cancel.cancelled()) co_return cancelled_error();
    if (!done.ok()) {
      co_return std::move(done).error().with_context("connecting to https://" + target.host + ":" +
                                                     std::to_string(target.port));
    }
  }
  co_return connection;
}

Task<Result<std::unique_ptr<Connection>>> acquire(std::shared_ptr<Core> core, Target target,
                                                  bool fresh, SteadyTime total,
                                                  CancelToken cancel) {
  const SteadyTime pool_deadline = std::min(total, now() + core->options.pool_timeout);
  Event event;
  std::optional<Place> place;  // first come, first served: kept until it is our turn
  std::optional<Waker> waker;
  for (;;) {
    std::list<Event*>& waiting = core->origins[target.key].waiting;
    if (waiting.empty() || waiting.front() == &event) {
      std::unique_ptr<Connection> kept = core->take_kept(target.key);
      if (kept && !fresh) co_return kept;
      kept = nullptr;  // a fresh one is wanted: it makes room
      if (core->origins[target.key].open < core->options.connections_per_host_max) break;
    }
    if (!place) {
      place.emplace(core->origins[target.key].waiting, event);
      waker.emplace(core->loop, event, pool_deadline, cancel);
    }
    co_await event.wait();
    if (cancel.cancelled()) co_return cancelled_error();
    if (now() >= pool_deadline) {
      co_return Error(ErrorCode::kUnavailable,
                      "all " + std::to_string(core->options.connections_per_host_max) +
                          " connections to " + target.host + " are busy",
                      "lower the load or raise the connections per host");
    }
  }
  ++core->origins[target.key].open;
  ++core->open;
  waker.reset();
  place.reset();
  const SteadyTime deadline = std::min(total, now() + core->options.connect_timeout);
  co_return co_await open_connection(core, target, deadline, cancel);
}

// ---- answers

class Inflater {
 public:
  Inflater() { inflateInit2(&stream_, 15 + 16); }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  // Decodes a part of `in` (advancing it) into `out`. False when the data are damaged.
  bool step(std::string_view& in, std::string& out) {
    out.resize(32 << 10);
    if (ended_) {  // gzip allows members in a row
      if (in.empty()) {
        out.clear();
        return true;
      }
      inflateReset(&stream_);
      ended_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(in.size() - stream_.avail_in);
    full_ = stream_.avail_out == 0;
    out.resize(out.size() - stream_.avail_out);
    if (result == Z_STREAM_END) ended_ = true;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
  }
  bool ended() const { return ended_; }
  bool more() const { return full_ && !ended_; }  // it holds output back

 private:
  z_stream stream_{};
  bool ended_ = false;
  bool full_ = false;
};

class Response final : public ClientResponse {
 public:
  Response(std::shared_ptr<Core> core, std::unique_ptr<Connection> connection, CancelToken cancel)
      : core_(std::move(core)), connection_(std::move(connection)), cancel_(std::move(cancel)) {
    registration_ = cancel_.on_cancel([this] {
      if (connection_) connection_->stream->close();
    });
  }
  ~Response() override {
    if (ended_) release();
  }
  const ResponseHead& head() const override { return head_; }
  Task<Result<std::string_view>> read_some() override;

  // What send() fills in.
  ResponseHead head_;
  Framing framing_;
  SteadyTime total_;
  milliseconds idle_{};
  bool whole_request_sent_ = true;
  std::unique_ptr<Inflater> inflater_;

  void begin() {
    left_ = framing_.length;
    if (framing_.body == BodyKind::kNone) ended_ = true;
    if (ended_) release();
  }

 private:
  Task<Result<std::string_view>> read_raw();
  void release();
  Error fail(ErrorCode code, std::string message);

  std::shared_ptr<Core> core_;
  std::unique_ptr<Connection> connection_;
  CancelToken cancel_;
  CancelToken::Registration registration_;
  ChunkedReader chunked_;
  uint64_t left_ = 0;
  size_t piece_ = 0;
  bool ended_ = false;
  bool failed_ = false;
  std::string_view encoded_;
  std::string decoded_;
};

// The proper end: the connection goes back to the pool.
void Response::release() {
  if (!connection_) return;
  registration_ = CancelToken::Registration();
  connection_->stream->hold(false);
  if (piece_ > 0) connection_->stream->consume(std::exchange(piece_, 0));
  if (framing_.keep_alive && whole_request_sent_) {
    core_->give_back(std::move(connection_));
  } else {
    connection_ = nullptr;
  }
}

Error Response::fail(ErrorCode code, std::string message) {
  failed_ = true;
  registration_ = CancelToken::Registration();
  connection_ = nullptr;
  return Error(code, std::move(message));
}

Task<Result<std::string_view>> Response::read_raw() {
  if (failed_) co_return Error(ErrorCode::kUpstream, "the answer has failed before");
  if (ended_) {
    release();
    co_return std::string_view();
  }
  Stream& stream = *connection_->stream;
  stream.hold(false);
  if (piece_ > 0) stream.consume(std::exchange(piece_, 0));
  SteadyTime deadline = SteadyTime::max();
  for (;;) {
    if (cancel_.cancelled()) co_return fail(ErrorCode::kCancelled, "the request was cancelled");
    const std::string_view input = stream.input();
    std::string_view data;
    if (framing_.body == BodyKind::kChunked) {
      size_t used = 0;
      const ChunkedReader::Step step = chunked_.step(input, used, data);
      if (step == ChunkedReader::Step::kBad) {
        co_return fail(ErrorCode::kUpstream,
                       std::string("the answer's chunks are broken: ") + chunked_.why());
      }
      if (step == ChunkedReader::Step::kData) {
        piece_ = used;
      } else {
        stream.consume(used);
        ended_ = step == ChunkedReader::Step::kEnd;
      }
    } else if (framing_.body == BodyKind::kLength) {
      data = input.substr(0, std::min<uint64_t>(left_, input.size()));
      piece_ = data.size();
      left_ -= data.size();
      ended_ = left_ == 0;
    } else {
      data = input;
      piece_ = data.size();
      ended_ = data.empty() && stream.end() == Stream::End::kEof;
    }
    if (!data.empty()) {
      stream.hold(true);
      co_return data;
    }
    if (ended_) {
      release();
      co_return std::string_view();
    }
    if (stream.end() != Stream::End::kOpen) {
      co_return fail(ErrorCode::kUpstream,
                     "the answer was cut off before its end (" + stream.why() + ")");
    }
    if (deadline == SteadyTime::max()) {
      deadline = std::min(total_, now() + idle_);
      stream.set_read_deadline(deadline);
    } else if (stream.read_timed_out()) {
      co_return fail(ErrorCode::kDeadlineExceeded, deadline == total_
                                                       ? "the answer took too long in all"
                                                       : "the answer stopped coming");
    }
    stream.pump();
    co_await stream.readable.wait();
  }
}

Task<Result<std::string_view>> Response::read_some() {
  if (!inflater_) co_return co_await read_raw();
  for (;;) {
    if (encoded_.empty() && !inflater_->more()) {
      Result<std::string_view> raw = co_await read_raw();
      if (!raw.ok()) co_return raw;
      if (raw->empty()) {
        if (!inflater_->ended())
          co_return fail(ErrorCode::kUpstream, "the answer's gzip data end too early");
        co_return std::string_view();
      }
      encoded_ = *raw;
    }
    if (!inflater_->step(encoded_, decoded_)) {
      co_return fail(ErrorCode::kUpstream, "the answer's gzip data are damaged");
    }
    if (!decoded_.empty()) co_return std::string_view(decoded_);
  }
}

// ---- requests

std::string request_head(const ClientRequest& request, const Target& target) {
  std::string out;
  out.reserve(512);
  out.append(request.method).append(" ");
  if (target.absolute) out.append("http://").append(request.url.authority());
  out.append(request.url.target).append(" HTTP/1.1\r\n");
  append_field(out, "host", request.url.authority());
  for (const auto& [name, value] : request.headers.fields()) {
    if (iequals(name, "host") || iequals(name, "content-length") ||
        iequals(name, "transfer-encoding") || iequals(name, "connection")) {
      continue;  // ours to say
    }
    append_field(out, name, value);
  }
  if (target.absolute && !target.proxy_authorization.empty()) {
    append_field(out, "proxy-authorization", target.proxy_authorization);
  }
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    append_field(out, "content-length", std::to_string(request.body.size()));
  }
  out.append("\r\n");
  return out;
}

Result<void> check_request(const ClientRequest& request) {
  auto token = [](std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
      return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f &&
             c != ':';
    });
  };
  bool good = token(request.method);
  for (const auto& [name, value] : request.headers.fields()) {
    good = good && token(name) &&
           value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
  }
  if (good) return ok();
  return Error(ErrorCode::kInvalidArgument,
               "a line break or blank in the request's method or header fields",
               "check the configured keys and headers for stray line ends");
}

// Content-Encoding: what we did not ask for we do not guess at.
Result<void> choose_decoder(const ClientRequest& request, Response& response) {
  const auto encoding = response.head_.headers.get("content-encoding");
  if (!encoding || iequals(*encoding, "identity")) return ok();
  const auto accepted = request.headers.get("accept-encoding");
  if (!iequals(*encoding, "gzip") || !accepted || !list_has_token(*accepted, "gzip")) {
    return Error(ErrorCode::kUpstream, "the answer is encoded as '" + std::string(*encoding) +
                                           "', which was not asked for");
  }
  if (response.framing_.body != BodyKind::kNone) {
    response.inflater_ = std::make_unique<Inflater>();
    response.head_.headers.remove("content-encoding");
    response.head_.headers.remove("content-length");
  }
  return ok();
}

Task<Result<std::unique_ptr<ClientResponse>>> send_request(std::shared_ptr<Core> core,
                                                           ClientRequest request,
                                                           CancelToken cancel) {
  if (Result<void> checked = check_request(request); !checked.ok())
    co_return std::move(checked).error();
  Result<Target> found = target_of(request.url, core->options.proxy_from_environment);
  if (!found.ok()) co_return std::move(found).error();
  const Target target = std::move(found).value();
  const std::string where = request.method + " " + target.host + ":" + std::to_string(target.port);
  const SteadyTime total = now() + request.total_timeout;
  const std::string head = request_head(request, target);
  for (bool again = false;; again = true) {
    if (cancel.cancelled()) co_return cancelled_error();
    auto acquired = co_await acquire(core, target, again, total, cancel);
    if (!acquired.ok()) co_return std::move(acquired).error();
    std::unique_ptr<Connection> connection = std::move(acquired).value();
    if (core->shut_down) co_return cancelled_error();
    Stream& stream = *connection->stream;
    const bool reused = connection->reused;
    auto response = std::make_unique<Response>(core, std::move(connection), cancel);
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {request.body.data(), request.body.size()}};
    std::span<iovec> pieces(parts);
    stream.stop_sending_on_input(true);
    Result<void> sent = co_await stream.send_rest(pieces, core->options.write_timeout);
    stream.stop_sending_on_input(false);
    if (cancel.cancelled()) co_return cancelled_error();
    // An upstream may answer (413, 401) and close before it has taken the whole request: its answer
    // is looked for.
    response->whole_request_sent_ = sent.ok();
    if (!sent.ok() && sent.error().code() == ErrorCode::kDeadlineExceeded) {
      co_return std::move(sent).error().with_context(where);
    }
    const SteadyTime first_byte = std::min(total, now() + request.first_byte_timeout);
    stream.set_read_deadline(first_byte);
    bool received = false;
    Result<Framing> framing = co_await read_head(
        stream, request.method, core->options.header_bytes_max, response->head_, received);
    if (cancel.cancelled()) co_return cancelled_error();
    if (!framing.ok()) {
      const bool closed = framing.error().code() == ErrorCode::kUnavailable;
      if (closed && reused && !again && !received) continue;  // it was closed while it was kept
      co_return std::move(framing).error().with_context(where);
    }
    stream.set_read_deadline(SteadyTime::max());
    response->framing_ = *framing;
    response->total_ = total;
    response->idle_ = request.idle_timeout;
    if (Result<void> decoder = choose_decoder(request, *response); !decoder.ok()) {
      co_return std::move(decoder).error().with_context(where);
    }
    response->begin();
    co_return std::unique_ptr<ClientResponse>(std::move(response));
  }
}

class PooledClient final : public Client {
 public:
  PooledClient(Loop& loop, ClientOptions options)
      : core_(std::make_shared<Core>(loop, std::move(options))) {}
  ~PooledClient() override { core_->shut(); }
  Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request,
                                                     CancelToken cancel) override {
    return send_request(core_, std::move(request), std::move(cancel));
  }
  size_t connections() const override { return core_->open; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

Task<Result<std::string>> ClientResponse::read_all(size_t max_bytes) {
  std::string body;
  for (;;) {
    Result<std::string_view> piece = co_await read_some();
    if (!piece.ok()) co_return std::move(piece).error();
    if (piece->empty()) co_return body;
    if (body.size() + piece->size() > max_bytes) {
      co_return Error(ErrorCode::kTooLarge,
                      "the answer is longer than " + std::to_string(max_bytes) + " bytes");
    }
    body.append(*piece);
  }
}

std::unique_ptr<Client> Client::create(Loop& loop, ClientOptions options) {
  return std::make_unique<PooledClient>(loop, std::move(options));
}

}  // namespace samplemind::net
