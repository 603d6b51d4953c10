// The HTTP client, one a loop: a pool of kept connections by origin, TLS always verified against
// the system's CA store, streaming both ways. Retry, hedging and breakers lie above it (ai/).
// HTTP/2 joins behind the same types.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/task.h"

namespace samplemind::net {

struct ClientOptions {
  size_t connections_per_host_max = 100;
  size_t kept_per_host_max = 50;  // those above are kept for a second only
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds write_timeout{10000};
  std::chrono::milliseconds pool_timeout{5000};
  std::chrono::milliseconds keep_timeout{60000};  // an idle connection is closed after so long
  size_t header_bytes_max = 64 << 10;
  bool proxy_from_environment = true;  // http_proxy, https_proxy, no_proxy
  std::string ca_file;  // PEM in place of the system's store; for tests and private CAs
};

struct ClientRequest {
  ClientRequest(std::string method_, Url url_) : method(std::move(method_)), url(std::move(url_)) {}
  std::string method;
  Url url;
  Headers headers;  // Host, Content-Length are set by the client
  std::string body;
  std::chrono::milliseconds first_byte_timeout{
      60000};  // from the request's last byte to the answer's head
  std::chrono::milliseconds idle_timeout{30000};  // between two pieces of the answer
  std::chrono::milliseconds total_timeout{600000};
};

// An answer whose head has arrived. Destroying it before the end closes its connection (or resets
// its stream) at once.
class ClientResponse {
 public:
  virtual ~ClientResponse() = default;
  virtual const ResponseHead& head() const = 0;
  int status() const { return head().status; }
  // The next piece; empty at the proper end. A body cut short (Content-Length not reached, chunks
  // not ended, TLS closed without notice where the length is unknown) is an error kUpstream, never
  // an end. The view is valid until the next call.
  virtual Task<Result<std::string_view>> read_some() = 0;
  // All of it; kTooLarge above max_bytes.
  Task<Result<std::string>> read_all(size_t max_bytes);
};

// Errors of send: kUnavailable (DNS, connect, reset before the first byte; the message says which),
// kDeadlineExceeded, kCancelled, kUpstream (not HTTP). A request on a kept connection that turns
// out closed before any byte came back is sent once more.
class Client {
 public:
  static std::unique_ptr<Client> create(Loop& loop, ClientOptions options = {});
  virtual ~Client() = default;
  virtual Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request,
                                                             CancelToken cancel = {}) = 0;
  virtual size_t connections() const = 0;  // open, kept ones included
};

}  // namespace samplemind::net
