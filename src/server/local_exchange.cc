#include "server/local_exchange.h"

namespace samplemind::server {

LocalExchange::LocalExchange(std::string method, std::string target, std::string body,
                             std::function<void(std::string_view)> on_piece,
                             net::CancelToken cancel)
    : body_(std::move(body)), on_piece_(std::move(on_piece)), cancel_(std::move(cancel)) {
  request_.method = std::move(method);
  request_.target = std::move(target);
  request_.authority = "localhost";
  if (!body_.empty()) request_.headers.set("content-type", "application/json");
}

net::Task<Result<std::string_view>> LocalExchange::read_some() {
  const std::string_view rest = std::string_view(body_).substr(read_);
  read_ = body_.size();
  co_return rest;
}

net::Task<Result<std::string_view>> LocalExchange::read_body(size_t max_bytes) {
  if (body_.size() > max_bytes)
    co_return Error(ErrorCode::kTooLarge,
                    "the body is over the limit of " + std::to_string(max_bytes) + " bytes");
  co_return std::string_view(body_);
}

net::Task<Result<void>> LocalExchange::respond(net::ResponseHead head, std::string_view body) {
  head_ = std::move(head);
  started_ = finished_ = true;
  on_piece_(body);
  co_return ok();
}

net::Task<Result<void>> LocalExchange::start(net::ResponseHead head) {
  head_ = std::move(head);
  started_ = true;
  co_return ok();
}

net::Task<Result<void>> LocalExchange::write(std::string_view piece) {
  if (cancel_.cancelled()) co_return Error(ErrorCode::kCancelled, "cancelled");
  on_piece_(piece);
  co_return ok();
}

net::Task<Result<void>> LocalExchange::finish() {
  finished_ = true;
  co_return ok();
}

}  // namespace samplemind::server
