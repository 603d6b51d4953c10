#include "server/responses.h"

#include "ai/dialect/openai.h"
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

std::string problem_json(const Error& e) {
  const int status = http_status(e.code());
  return problem_json(status, net::reason_phrase(status), e.message(), e.hint(),
                      code_name(e.code()));
}

std::string refusal_body(const net::RequestHead& request, std::string_view detail,
                         net::ResponseHead& answer) {
  answer.headers.add("cache-control", "no-store");
  if (request.path().starts_with("/v1/")) {
    answer.headers.add("content-type", "application/json");
    return ai::write_openai_error(
        detail, answer.status < 500 ? "invalid_request_error" : "api_error",
        code_name(answer.status == 413 ? ErrorCode::kTooLarge : ErrorCode::kInternal));
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
  if (exchange.request().path().starts_with("/v1/")) {
    const int status = http_status(error.code());
    const std::string type = status < 500 ? "invalid_request_error" : "api_error";
    const std::string message = error.message() + (error.hint().empty() ? "" : "; " + error.hint());
    co_await respond_json(exchange, ai::write_openai_error(message, type, code_name(error.code())),
                          status);
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
  if (exchange.request().path().starts_with("/v1/")) {
    head.headers.add("content-type", "application/json");
    body = ai::write_openai_error(detail,
                                  status == 401 ? "authentication_error" : "invalid_request_error",
                                  status == 401 ? "invalid_api_key" : "");
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
