#include "cli/api_client.h"

#include <algorithm>
#include <optional>

#include "base/files.h"
#include "cli/service_control.h"
#include "net/client.h"
#include "server/engine.h"
#include "server/local_exchange.h"
#include "server/routes.h"
#include "server/security.h"
#include "server/service.h"

namespace samplemind::cli {

namespace {

// Over HTTP to the running service.
class HttpApi final : public ApiClient {
 public:
  HttpApi(server::RunFile run, std::string key, const std::string& certificate)
      : run_(std::move(run)), key_(std::move(key)) {
    net::ClientOptions options;
    options.proxy_from_environment = false;  // it is our own machine
    options.ca_file = certificate;
    client_ = net::Client::create(loop_, std::move(options));
  }

  std::string address() const override { return run_.address(); }

 protected:
  Result<int> perform(Call call, const std::atomic<bool>* cancel) override {
    const net::CancelToken token = net::CancelToken::create();
    const CancelPoll poll(loop_, cancel, token);
    return loop_.run_until_done(send(std::move(call), token));
  }

 private:
  net::Task<Result<int>> send(Call call, net::CancelToken token) {
    auto url = net::Url::parse(run_.address() + call.target);
    if (!url.ok()) co_return std::move(url).error();
    net::ClientRequest request(call.method, std::move(*url));
    request.body = std::move(call.body);
    if (!request.body.empty()) request.headers.set("content-type", "application/json");
    if (!key_.empty()) request.headers.set("authorization", "Bearer " + key_);
    // A scan may take hours, and so may one file of it; Ctrl-C is always there.
    request.first_byte_timeout = request.idle_timeout = std::chrono::hours(6);
    request.total_timeout = std::chrono::hours(24 * 30);
    auto response = co_await client_->send(std::move(request), token);
    if (!response.ok()) co_return std::move(response).error();
    for (;;) {
      const auto piece = co_await (*response)->read_some();
      if (!piece.ok()) co_return piece.error();
      if (piece->empty()) break;
      call.on_piece((*response)->status(), *piece);
    }
    co_return (*response)->status();
  }

  server::RunFile run_;
  std::string key_;
  net::Loop loop_;
  std::unique_ptr<net::Client> client_;
};

// The server's own handler in this process.
class LocalApi final : public ApiClient {
 public:
  explicit LocalApi(std::unique_ptr<server::Engine> engine)
      : engine_(std::move(engine)), shard_(std::make_unique<server::EngineShard>(*engine_, loop_)) {
    handler_ = server::make_handler(*shard_, {});
  }
  ~LocalApi() override {
    loop_.destroy_tasks();
    handler_ = {};
    shard_.reset();
    engine_->gateway->flush();
  }

  std::string address() const override { return {}; }

 protected:
  Result<int> perform(Call call, const std::atomic<bool>* cancel) override {
    const net::CancelToken token = net::CancelToken::create();
    const CancelPoll poll(loop_, cancel, token);
    // The status is known once the first piece comes: the head always goes before it.
    const server::LocalExchange* seen = nullptr;
    server::LocalExchange exchange(
        call.method, call.target, std::move(call.body),
        [&](std::string_view piece) { call.on_piece(seen->status(), piece); }, token);
    seen = &exchange;
    loop_.run_until_done(handler_(exchange));
    if (token.cancelled()) return Error(ErrorCode::kCancelled, "cancelled");
    if (!exchange.finished())
      return Error(ErrorCode::kInternal, call.method + " " + call.target + " gave no whole answer");
    return exchange.status();
  }

 private:
  net::Loop loop_;
  std::unique_ptr<server::Engine> engine_;
  std::unique_ptr<server::EngineShard> shard_;
  net::Handler handler_;
};

ErrorCode code_from(const JsonValue& problem, int status) {
  const std::string name = problem["code"].string_or("");
  constexpr ErrorCode kAll[] = {
      ErrorCode::kInvalidArgument,  ErrorCode::kUnauthenticated,   ErrorCode::kPermissionDenied,
      ErrorCode::kNotFound,         ErrorCode::kAlreadyExists,     ErrorCode::kTooLarge,
      ErrorCode::kUnsupported,      ErrorCode::kResourceExhausted, ErrorCode::kCancelled,
      ErrorCode::kDataLoss,         ErrorCode::kUnavailable,       ErrorCode::kUpstream,
      ErrorCode::kDeadlineExceeded, ErrorCode::kInternal};
  for (const ErrorCode code : kAll)
    if (code_name(code) == name) return code;
  for (const ErrorCode code : kAll)
    if (http_status(code) == status) return code;
  return status >= 500 ? ErrorCode::kInternal : ErrorCode::kInvalidArgument;
}

}  // namespace

CancelPoll::CancelPoll(net::Loop& loop, const std::atomic<bool>* flag, net::CancelToken token)
    : loop_(loop), flag_(flag), token_(std::move(token)) {
  if (flag_ != nullptr) arm();
}

void CancelPoll::arm() {
  timer_ = loop_.after(std::chrono::milliseconds(50), [this] {
    if (flag_->load()) {
      token_.cancel();
    } else {
      arm();
    }
  });
}

Error error_from_problem(const JsonValue& problem, int status) {
  std::string message = problem["detail"].string_or("");
  if (message.empty()) message = problem["title"].string_or("");
  if (message.empty()) message = "the service answered with status " + std::to_string(status);
  return Error(code_from(problem, static_cast<int>(problem["status"].integer_or(status))),
               std::move(message), problem["hint"].string_or(""));
}

Result<std::unique_ptr<ApiClient>> ApiClient::open(const Context& context, Need need) {
  SM_TRY(Config config, context.load_config());
  const fs::path home = context.home();
  if (const auto run = server::read_run_file(home)) {
    std::string key = config.string("server.api_key");
    if (key.empty() && !server::is_loopback_host(run->host)) key = stored_api_key(home);
    return std::unique_ptr<ApiClient>(
        new HttpApi(*run, std::move(key), config.string("server.tls_certificate")));
  }
  if (need == Need::kService)
    return Error(ErrorCode::kUnavailable, "SampleMind is not running", "start it: samplemind up");
  using Access = library::Catalogue::Access;
  SM_TRY(auto engine, server::Engine::open(std::move(config), home,
                                           need == Need::kWrite ? Access::kWrite : Access::kRead));
  return std::unique_ptr<ApiClient>(new LocalApi(std::move(engine)));
}

Result<JsonValue> ApiClient::get(std::string target) {
  return send("GET", std::move(target), {});
}

Result<JsonValue> ApiClient::post(std::string target, std::string body) {
  return send("POST", std::move(target), std::move(body));
}

Result<JsonValue> ApiClient::send(std::string method, std::string target, std::string sent) {
  std::string body;
  Call call{std::move(method), std::move(target), std::move(sent),
            [&body](int, std::string_view piece) { body += piece; }};
  SM_TRY(const int status, perform(std::move(call), nullptr));
  auto value = JsonValue::parse(body);
  if (status >= 400) return error_from_problem(value.ok() ? *value : JsonValue(), status);
  if (!value.ok()) return std::move(value).error().with_context("the service's answer");
  return value;
}

Result<std::string> ApiClient::fetch(std::string target) {
  std::string body;
  Call call{"GET", std::move(target), {}, [&body](int, std::string_view piece) { body += piece; }};
  SM_TRY(const int status, perform(std::move(call), nullptr));
  if (status < 400) return body;
  const auto value = JsonValue::parse(body);
  return error_from_problem(value.ok() ? *value : JsonValue(), status);
}

Result<void> ApiClient::stream(std::string target, std::string body,
                               const std::function<void(const JsonValue&)>& on_line,
                               const std::atomic<bool>* cancel) {
  std::string pending;
  std::string problem;
  std::optional<Error> failed;
  Call call{"POST", std::move(target), std::move(body), {}};
  call.on_piece = [&](int status, std::string_view piece) {
    if (status >= 400) {
      problem += piece;
      return;
    }
    pending += piece;
    size_t begin = 0;
    for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end == begin) continue;
      const auto line = JsonValue::parse(std::string_view(pending).substr(begin, end - begin));
      if (!line.ok()) {
        failed = line.error().with_context("the service's answer");
      } else if ((*line)["type"].string_or("") == "error") {
        // More may follow: another model that is to be pulled, for instance.
        if (!failed) failed = error_from_problem(*line, 500);
      } else {
        on_line(*line);
      }
    }
    pending.erase(0, begin);
  };
  SM_TRY(const int status, perform(std::move(call), cancel));
  if (status >= 400) {
    const auto value = JsonValue::parse(problem);
    return error_from_problem(value.ok() ? *value : JsonValue(), status);
  }
  if (failed) return std::move(*failed);
  return ok();
}

}  // namespace samplemind::cli
