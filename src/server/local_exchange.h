// An exchange without a network: the command line calls the server's own handler in its process.
#pragma once

#include <functional>
#include <string>

#include "net/server.h"

namespace samplemind::server {

class LocalExchange final : public net::Exchange {
 public:
  // `on_piece` gets the answer's body as it comes.
  LocalExchange(std::string method, std::string target, std::string body,
                std::function<void(std::string_view)> on_piece, net::CancelToken cancel = {});

  int status() const { return head_.status; }
  const net::ResponseHead& head() const { return head_; }
  bool finished() const { return finished_; }  // false: the answer was cut

  const net::RequestHead& request() const override { return request_; }
  std::string_view peer_address() const override { return "127.0.0.1"; }
  bool secure() const override { return false; }
  net::CancelToken cancel() const override { return cancel_; }
  net::Task<Result<std::string_view>> read_some() override;
  net::Task<Result<std::string_view>> read_body(size_t max_bytes) override;
  net::Task<Result<void>> respond(net::ResponseHead head, std::string_view body) override;
  net::Task<Result<void>> start(net::ResponseHead head) override;
  net::Task<Result<void>> write(std::string_view piece) override;
  net::Task<Result<void>> finish() override;
  void abort() override {}
  bool started() const override { return started_; }

 private:
  net::RequestHead request_;
  net::ResponseHead head_;
  std::string body_;
  size_t read_ = 0;
  std::function<void(std::string_view)> on_piece_;
  net::CancelToken cancel_;
  bool started_ = false;
  bool finished_ = false;
};

}  // namespace samplemind::server
