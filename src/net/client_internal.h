// The inside of net::Client: the pool of connections by origin (HTTP/1.1 ones leased one request at
// a time, HTTP/2 ones shared), and the stages of a request. Everything on the loop's thread.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/client.h"
#include "net/http1_internal.h"
#include "net/http2_internal.h"
#include "net/stream_internal.h"

namespace samplemind::net::pool {

using std::chrono::milliseconds;

inline SteadyTime now() {
  return std::chrono::steady_clock::now();
}

enum class Spoken { kUnknown, kHttp1, kHttp2 };

// Where to connect and what to say there.
struct Target {
  std::string key;  // of the pool
  bool tls = false;
  HttpUse use = HttpUse::kAuto;
  std::string host;  // the origin
  uint16_t port = 0;
  std::string connect_host;  // the origin or its proxy
  uint16_t connect_port = 0;
  bool tunnel = false;    // CONNECT through the proxy first
  bool absolute = false;  // the proxy takes whole URLs
  std::string proxy_authorization;
};
bool is_loopback(const std::string& host);
Result<Target> target_of(const ClientRequest& request, const ClientOptions& options);

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

// An HTTP/2 connection and how many requests are on it. Lives in the pool and in its leases.
class Http2Connection final : public Http2Owner,
                              public std::enable_shared_from_this<Http2Connection> {
 public:
  Http2Connection(Core& core, std::unique_ptr<Connection> connection);
  ~Http2Connection() override;
  void on_change() override;
  bool has_room() const {
    return session->usable() && in_flight < std::max<size_t>(session->peer_streams_max(), 1);
  }

  std::shared_ptr<Http2Session> session;
  size_t in_flight = 0;
  bool served = false;  // it has carried an answer before
  SteadyTime kept_until = SteadyTime::max();
  std::unique_ptr<Connection> connection;
};

// One request's place on an HTTP/2 connection.
class Http2Lease {
 public:
  Http2Lease() = default;
  explicit Http2Lease(std::shared_ptr<Http2Connection> connection);
  Http2Lease(Http2Lease&& other) noexcept = default;
  Http2Lease& operator=(Http2Lease&& other) noexcept;
  ~Http2Lease() { release(); }
  void release();
  explicit operator bool() const { return connection_ != nullptr; }
  Http2Connection& operator*() const { return *connection_; }
  Http2Connection* operator->() const { return connection_.get(); }

 private:
  std::shared_ptr<Http2Connection> connection_;
};

struct Lease {
  Lease(std::unique_ptr<Connection> one) : http1(std::move(one)) {}
  Lease(Http2Lease two) : http2(std::move(two)) {}
  std::unique_ptr<Connection> http1;
  Http2Lease http2;
};

struct Origin {
  std::vector<std::unique_ptr<Connection>> kept;        // newest last
  std::vector<std::shared_ptr<Http2Connection>> http2;  // those that take requests
  size_t open = 0;                                      // kept, in use and being opened
  size_t opening = 0;
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

// Wakes `event` at the deadline or on cancel; the waiter looks at both itself.
struct Waker {
  Waker(Loop& loop, Event& event, SteadyTime deadline, const CancelToken& cancel)
      : timer(loop.after(deadline - now(), [&event] { event.notify(); })),
        registration(cancel.on_cancel([&event] { event.notify(); })) {}
  Loop::Timer timer;
  CancelToken::Registration registration;
};

// The pool. Shared by the client and its answers, so that either may die first.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop_, ClientOptions options_) : loop(loop_), options(std::move(options_)) {}
  void closed(const std::string& key);
  void give_back(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> take_kept(const std::string& key);
  void drop(const std::string& key, const Connection* connection);
  // HTTP/2: one that should take the next request; nothing where a new connection is better or all
  // are full.
  std::shared_ptr<Http2Connection> least_busy(Origin& origin, const Target& target);
  bool may_open(const Origin& origin, const Target& target) const;
  void drop_http2(const std::string& key, const Http2Connection* connection);
  void http2_idle(Http2Connection& connection);
  void wake_one(const std::string& key);
  void wake_all(const std::string& key);
  Spoken spoken(const Target& target) const;
  void learn(const std::string& key, Spoken what);
  void sweep();
  void sweep_within(milliseconds delay);
  void shut();
  Result<SSL_CTX*> context();

  Loop& loop;
  ClientOptions options;
  std::map<std::string, Origin> origins;
  std::map<std::string, Spoken> learnt;  // what ALPN chose last time, by key
  std::map<std::string, std::shared_ptr<Lookup>> names;
  size_t lookups = 0;
  size_t open = 0;
  bool shut_down = false;
  SslContext tls{nullptr, SSL_CTX_free};
  Loop::Timer sweep_timer;
  SteadyTime sweep_at;
  bool sweeping = false;
};

Error cancelled_error();

// A place in the pool, waited for at most pool_timeout, on a connection kept or opened now.
// `fresh`: not one that was kept.
Task<Result<Lease>> acquire(std::shared_ptr<Core> core, Target target, bool fresh, SteadyTime total,
                            CancelToken cancel);
Task<Result<std::unique_ptr<Connection>>> open_connection(std::shared_ptr<Core> core, Target target,
                                                          SteadyTime deadline, CancelToken cancel);
Task<Result<std::vector<asio::ip::address>>> resolve(std::shared_ptr<Core> core, std::string host,
                                                     SteadyTime deadline, CancelToken cancel);

// Reads one final head into `out`; the bytes are consumed. `received` tells whether any byte came.
Task<Result<Framing>> read_head(Stream& stream, std::string method, size_t bytes_max,
                                ResponseHead& out, bool& received);

struct SendContext {
  SendContext(std::shared_ptr<Core> core_, CancelToken cancel_)
      : core(std::move(core_)), cancel(std::move(cancel_)) {}
  std::shared_ptr<Core> core;
  CancelToken cancel;
  Target target;
  SteadyTime total;
  // After a failure: the request was not looked at, another connection may have it.
  bool again = false;
};
using Sent = Result<std::unique_ptr<ClientResponse>>;
// `context` and `request` outlive the call.
Task<Sent> send_http1(SendContext& context, const ClientRequest& request,
                      std::unique_ptr<Connection> connection);
Task<Sent> send_http2(SendContext& context, ClientRequest& request, Http2Lease lease);

// Unpacks gzip and Brotli where the request asked for them; kUpstream for other encodings.
Sent decode_content(const ClientRequest& request, std::unique_ptr<ClientResponse> response);

}  // namespace samplemind::net::pool
