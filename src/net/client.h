// The HTTP client, one a loop: a pool of kept connections by origin, TLS always verified against
// the system's CA store, streaming both ways. HTTP/2 where the server chooses it over TLS (ALPN) or
// where the request says that it is spoken; several connections an origin, the least busy takes the
// next request. Redirects are not followed, so that credentials reach no other origin. Retry,
// hedging and breakers lie above it (ai/).
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
  bool http2 = true;                  // offer it over TLS
  size_t http2_connections_max = 4;   // an origin, within connections_per_host_max
  size_t http2_streams_wanted = 100;  // on one connection before another is opened
  size_t http2_window = 256 << 10;    // bytes of an answer that wait for their reader at most
  std::chrono::milliseconds http2_ping_after{30000};    // silence while answers are awaited,
  std::chrono::milliseconds http2_ping_timeout{10000};  // then how long a PING may take
  // http_proxy, https_proxy, all_proxy, no_proxy, also in upper case (HTTP_PROXY not in a CGI
  // program, where a client's header would set it). Never for loopback addresses.
  bool proxy_from_environment = true;
  std::string ca_file;  // PEM in place of the system's store; for tests and private CAs
};

enum class HttpUse {
  kAuto,   // over TLS what the server chooses, on clear text HTTP/1.1
  kHttp1,  // only HTTP/1.1
  kHttp2,  // only HTTP/2; on clear text by prior knowledge
};

struct ClientRequest {
  ClientRequest(std::string method_, Url url_) : method(std::move(method_)), url(std::move(url_)) {}
  std::string method;
  Url url;
  // Host, Content-Length are set by the client; Accept-Encoding too where it is missing and the
  // host is not this machine. What is packed as that field allows (gzip, br) is unpacked.
  Headers headers;
  std::string body;
  HttpUse use = HttpUse::kAuto;
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
  virtual HttpVersion version() const = 0;
  // The next piece; empty at the proper end. A body cut short (Content-Length not reached, chunks
  // not ended, TLS closed without notice where the length is unknown) is an error kUpstream, never
  // an end. The view is valid until the next call.
  virtual Task<Result<std::string_view>> read_some() = 0;
  // All of it; kTooLarge above max_bytes.
  Task<Result<std::string>> read_all(size_t max_bytes);
};

// Errors of send: kUnavailable (DNS, connect, reset before the first byte; the message says which),
// kDeadlineExceeded, kCancelled, kUpstream (not HTTP). A request on a kept connection that turns
// out closed before any byte came back is sent once more; so is one that an HTTP/2 server says it
// has not looked at (GOAWAY, REFUSED_STREAM), up to three times.
class Client {
 public:
  static std::unique_ptr<Client> create(Loop& loop, ClientOptions options = {});
  virtual ~Client() = default;
  virtual Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request,
                                                             CancelToken cancel = {}) = 0;
  virtual size_t connections() const = 0;  // open, kept ones included
};

}  // namespace samplemind::net
