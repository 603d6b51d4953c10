#include "server/responses.h"

#include "ai/dialect/dialect.h"
#include "base/json.h"
#include "net/http.h"

namespace samplemind::server {

std::string problem_json(int status, std::string_view title, std::string_view detail,
                         std::string_view hint, std::string_view code) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("type", "about:blank")
      .field("title", title)
      .field("status", status)
      .field("detail", detail);
  if (!hint.empty()) w.field("hint", hint);
  if (!code.empty()) w.field("code", code);
  w.end_object();
  return out;
}

std::optional<ai::Dialect> dialect_of_path(std::string_view path) {
  if (path == "/v1/messages" || path.starts_with("/v1/messages/")) return ai::Dialect::kAnthropic;
  if (path.starts_with("/v1beta/")) return ai::Dialect::kGemini;
  if (path.starts_with("/v1/models/") && path.find(':') != std::string_view::npos &&
      path.ends_with("Content"))
    return ai::Dialect::kGemini;
  if (path.starts_with("/api/") && !path.starts_with("/api/v1/")) return ai::Dialect::kOllama;
  if (path.starts_with("/v1/")) return ai::Dialect::kOpenAi;
  return std::nullopt;
}

namespace {
std::string error_json(ai::Dialect dialect, int status, std::string_view type,
                       std::string_view code, std::string_view message) {
  ai::AnswerError e;
  e.status = status;
  e.type = type;
  e.code = code;
  e.message = message;
  return ai::write_error(dialect, e);
}
}  // namespace

std::string problem_json(const Error& e) {
  const int status = http_status(e.code());
  return problem_json(status, net::reason_phrase(status), e.message(), e.hint(),
                      code_name(e.code()));
}

std::string refusal_body(const net::RequestHead& request, std::string_view detail,
                         net::ResponseHead& answer) {
  answer.headers.add("cache-control", "no-store");
  if (const auto dialect = dialect_of_path(request.path())) {
    answer.headers.add("content-type", "application/json");
    return error_json(
        *dialect, answer.status, answer.status < 500 ? "invalid_request_error" : "api_error",
        code_name(answer.status == 413 ? ErrorCode::kTooLarge : ErrorCode::kInternal), detail);
  }
  answer.headers.add("content-type", "application/problem+json");
  return problem_json(answer.status, net::reason_phrase(answer.status), detail);
}

net::Task<void> respond_json(net::Exchange& exchange, std::string json, int status) {
  net::ResponseHead head;
  head.status = status;
  head.headers.add("content-type", "application/json");
  head.headers.add("x-content-type-options", "nosniff");
  head.headers.add("cache-control", "no-store");
  (void)(co_await exchange.respond(std::move(head), json)).ok();
}

net::Task<void> respond_problem(net::Exchange& exchange, Error error) {
  if (const auto dialect = dialect_of_path(exchange.request().path())) {
    const int status = http_status(error.code());
    const std::string type = status < 500 ? "invalid_request_error" : "api_error";
    const std::string message = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
    co_await respond_json(
        exchange, error_json(*dialect, status, type, code_name(error.code()), message), status);
    co_return;
  }
  net::ResponseHead head;
  head.status = http_status(error.code());
  head.headers.add("content-type", "application/problem+json");
  head.headers.add("cache-control", "no-store");
  if (head.status == 429 || head.status == 503) head.headers.add("retry-after", "1");
  const std::string body = problem_json(error);
  (void)(co_await exchange.respond(std::move(head), body)).ok();
}

net::Task<void> respond_refusal(net::Exchange& exchange, int status, std::string title,
                                std::string detail, std::string allow) {
  net::ResponseHead head;
  head.status = status;
  std::string body;
  if (const auto dialect = dialect_of_path(exchange.request().path())) {
    head.headers.add("content-type", "application/json");
    body = error_json(*dialect, status,
                      status == 401 ? "authentication_error" : "invalid_request_error",
                      status == 401 ? "invalid_api_key" : "", detail);
  } else {
    head.headers.add("content-type", "application/problem+json");
    body = problem_json(status, title, detail);
  }
  head.headers.add("cache-control", "no-store");
  head.headers.add("x-content-type-options", "nosniff");
  if (!allow.empty()) head.headers.add("allow", allow);
  if (status == 401) head.headers.add("www-authenticate", "Bearer");
  (void)(co_await exchange.respond(std::move(head), body)).ok();
}

}  // namespace samplemind::server
