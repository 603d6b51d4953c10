// The HTTP server, HTTP/1.1 and HTTP/2 (over TLS by ALPN, on clear text by prior knowledge) on the
// same port: one listener and one loop a shard; a connection stays on its shard. Handlers are
// coroutines that get an Exchange: the request, its body as a stream, and the answer, whole or
// streamed with back-pressure.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/task.h"

namespace samplemind::net {

// Every maximum of the server, in one place.
struct ServerLimits {
  size_t header_bytes_max = 64 << 10;  // request line and fields together; 431 above
  size_t body_bytes_max =
      32 << 20;  // 413 above; enough for a request with several pictures or a minute of audio
  size_t connections_max = 10000;  // a shard; further ones are closed at once
  std::chrono::milliseconds header_timeout{
      10000};  // from the first byte to the end of the fields (slow headers)
  std::chrono::milliseconds idle_timeout{75000};  // kept-alive connection without a request
  std::chrono::milliseconds body_timeout{30000};  // between two pieces of a body
  std::chrono::milliseconds write_timeout{
      30000};  // a client that takes nothing for so long is gone
  size_t pipeline_max =
      64;  // pipelined requests served in a row before other connections have their turn
  size_t streams_max = 100;          // HTTP/2: requests at once on one connection
  size_t stream_window = 256 << 10;  // HTTP/2: bytes of a body that wait for their handler at most
};

struct TlsServerOptions {
  std::string certificate_file;  // PEM chain; empty: clear text
  std::string key_file;
};

// The body of an answer that the server gives by itself, without asking the handler; sets the
// content type in `answer`. `answer.status` is set already.
using RefusalWriter = std::function<std::string(const RequestHead& request, std::string_view detail,
                                                ResponseHead& answer)>;

struct ServerOptions {
  std::string host = "127.0.0.1";  // an address literal, or "localhost"
  uint16_t port = 0;               // 0: any free port
  size_t shards = 1;
  ServerLimits limits;
  TlsServerOptions tls;
  RefusalWriter refusal;  // for a body over the limit, and no answer; nothing: problem details
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& request() const = 0;
  virtual std::string_view peer_address() const = 0;  // "127.0.0.1"
  virtual bool secure() const = 0;                    // TLS
  // Fires when the client goes away (HTTP/2: or resets its request) or the server is stopped for
  // good. A client that ends its own sending counts as gone: what a handler still answers reaches
  // it, but one that obeys this token gives up.
  virtual CancelToken cancel() const = 0;

  // The next piece of the body; empty at its end. The view is valid until the next call.
  virtual Task<Result<std::string_view>> read_some() = 0;
  // The whole body, at most `max_bytes` (and the server's limit): kTooLarge above. For bodies
  // already received no copy is made; the view is valid until the exchange ends.
  virtual Task<Result<std::string_view>> read_body(size_t max_bytes) = 0;

  // One answer, whole: content-length is set here. `body` must stay alive until the task is done.
  virtual Task<Result<void>> respond(ResponseHead head, std::string_view body) = 0;
  // A streamed answer: start, write..., finish. Each write waits until the client's side has room
  // (back-pressure).
  virtual Task<Result<void>> start(ResponseHead head) = 0;
  virtual Task<Result<void>> write(std::string_view piece) = 0;
  virtual Task<Result<void>> finish() = 0;
  // Ends a started answer without its proper end, so that the client sees that it was cut.
  virtual void abort() = 0;
  virtual bool started() const = 0;  // the head has been sent
};

// Called on the shard's thread. A handler that returns without an answer gives a 500.
using Handler = std::function<Task<void>(Exchange&)>;

class Server {
 public:
  // Binds (first exclusively, to find a port in use: kAlreadyExists) but serves only after start().
  // `make_handler` is called once a shard, on its thread, with the shard's loop: what it makes
  // lives on that loop.
  using HandlerFactory = std::function<Handler(Loop& loop, size_t shard)>;
  static Result<std::unique_ptr<Server>> bind(ServerOptions options, HandlerFactory make_handler);
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;
  virtual std::string host() const = 0;
  virtual void start() = 0;  // one thread a shard
  // Accepts nothing more, lets running exchanges finish for at most `grace`, then cancels them;
  // joins the threads. Thread-safe.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  virtual size_t connections() const = 0;
  virtual size_t active_exchanges() const = 0;
};

}  // namespace samplemind::net
