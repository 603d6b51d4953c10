// One request from its first byte to its last, as the books see it: the caller's limits, the
// headers that every answer has, and the record that is left behind. It stands between the gateway
// and the client's sink. Belongs to one loop; ends when the request does.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ai/gateway.h"
#include "ai/gateway/core.h"
#include "ai/gateway/flight.h"
#include "ai/gateway/plan.h"

namespace samplemind::ai {

class RequestScope final : public ResponseSink {
 public:
  // All that is given must outlive it.
  RequestScope(GatewayCore& core, const CallContext& context, std::string_view dialect,
               std::string_view body, ResponseSink* sink);
  ~RequestScope() override;
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  // Counts against the caller's rate limits; a failure when they are passed.
  std::optional<Failure> admit();
  void planned(const Plan& p);
  void hit(const CacheRecord& record, CacheState state, const std::string& route);
  void flown(const Flight& flight, CacheState state);
  // Embeddings. `cost_microusd` -1: nobody knows.
  void embedded(CacheState state, int64_t input_tokens, int64_t cost_microusd,
                int64_t saved_microusd, int64_t tries);
  void failed(const Failure& f);

  const std::string& trace_id() const { return record_.trace_id; }
  // What an upstream is sent as traceparent.
  std::string traceparent() const;

  net::Task<Result<void>> respond(int status, net::Headers headers, std::string_view body) override;
  net::Task<Result<void>> start(int status, net::Headers headers) override;
  net::Task<Result<void>> write(std::string_view piece) override;
  net::Task<Result<void>> finish() override;
  void abort() override;

 private:
  void add_headers(net::Headers& headers);
  void first_byte();
  GatewayCore& core_;
  ResponseSink* sink_;  // null: a program asks
  VirtualKeyPtr key_;
  std::string_view body_;
  LimitState limits_;
  bool anthropic_ = false;
  int64_t admitted_tokens_ = 0;
  SteadyTime begin_;
  RequestRecord record_;
  bool refused_ = false;
  bool ended_ = false;  // the answer went out whole
  bool hit_ = false, coalesced_ = false;
};

}  // namespace samplemind::ai
