// Opening a connection: name, TCP, the proxy's tunnel, TLS.
#include "net/client_internal.h"
#include "net/http1_internal.h"

namespace samplemind::net::pool {

namespace {

using Endpoint = asio::ip::tcp::endpoint;
constexpr size_t kInputAhead = 128 << 10;  // an answer that nobody reads stops here

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

}  // namespace

// Tries the addresses in order, each with its share of the time. Counts in the pool from before it
// is called.
Task<Result<std::unique_ptr<Connection>>> open_connection(std::shared_ptr<Core> core, Target target,
                                                          SteadyTime deadline, CancelToken cancel) {
  SSL_CTX* tls = nullptr;
  const Stream::Offer offer = target.use == HttpUse::kHttp1   ? Stream::Offer::kHttp1
                              : target.use == HttpUse::kHttp2 ? Stream::Offer::kHttp2
                                                              : Stream::Offer::kBoth;
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
    Result<void> done =
        co_await connection->stream->handshake(tls, false, target.host, deadline, offer);
    if (cancel.cancelled()) co_return cancelled_error();
    if (!done.ok()) {
      co_return std::move(done).error().with_context("connecting to https://" + target.host + ":" +
                                                     std::to_string(target.port));
    }
  }
  co_return connection;
}

}  // namespace samplemind::net::pool
