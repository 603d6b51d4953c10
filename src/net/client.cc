#include "net/client.h"

#include <algorithm>

#include "net/client_internal.h"

namespace samplemind::net {

namespace {

using pool::SendContext;

constexpr int kTriesMax = 4;  // of a request that no server has looked at

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

Task<pool::Sent> send_request(std::shared_ptr<pool::Core> core, ClientRequest request,
                              CancelToken cancel) {
  if (Result<void> checked = check_request(request); !checked.ok())
    co_return std::move(checked).error();
  const bool packing = !request.headers.has("accept-encoding") && request.method != "HEAD";
  if (packing && !pool::is_loopback(request.url.host))
    request.headers.add("accept-encoding", "gzip, br");
  SendContext context(core, std::move(cancel));
  SM_CO_TRY(context.target, pool::target_of(request, core->options));
  const pool::Target& target = context.target;
  const std::string where = request.method + " " + target.host + ":" + std::to_string(target.port);
  context.total = pool::now() + request.total_timeout;
  for (int tries = 1;; ++tries) {
    if (context.cancel.cancelled()) co_return pool::cancelled_error();
    auto acquired = co_await pool::acquire(core, target, tries > 1, context.total, context.cancel);
    if (!acquired.ok()) co_return std::move(acquired).error();
    if (core->shut_down) co_return pool::cancelled_error();
    context.again = false;
    const bool http2 = static_cast<bool>(acquired->http2);
    pool::Sent sent = pool::cancelled_error();
    if (http2) {
      sent = co_await pool::send_http2(context, request, std::move(acquired->http2));
    } else {
      sent = co_await pool::send_http1(context, request, std::move(acquired->http1));
    }
    if (context.cancel.cancelled()) co_return pool::cancelled_error();
    if (sent.ok()) {
      sent = pool::decode_content(request, std::move(sent).value());
      if (sent.ok()) co_return sent;
    } else if (context.again && tries < (http2 ? kTriesMax : 2)) {
      continue;
    }
    co_return std::move(sent).error().with_context(where);
  }
}

class PooledClient final : public Client {
 public:
  PooledClient(Loop& loop, ClientOptions options)
      : core_(std::make_shared<pool::Core>(loop, std::move(options))) {}
  ~PooledClient() override { core_->shut(); }
  Task<Result<std::unique_ptr<ClientResponse>>> send(ClientRequest request,
                                                     CancelToken cancel) override {
    return send_request(core_, std::move(request), std::move(cancel));
  }
  size_t connections() const override { return core_->open; }

 private:
  std::shared_ptr<pool::Core> core_;
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
