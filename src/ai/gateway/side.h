// What a gateway does beside chats and embeddings: counted tokens, and Ollama's own lists.
// Forwarded each time: neither cached nor joined. One loop only.
#pragma once

#include <string_view>

#include "ai/gateway.h"
#include "ai/gateway/core.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/resolve.h"
#include "net/client.h"

namespace samplemind::ai {

class SideCalls {
 public:
  // All must outlive it.
  SideCalls(GatewayCore& core, net::Client& client, Resolver& resolver)
      : core_(&core), client_(&client), resolver_(&resolver) {}

  // Counted by the provider where it counts; else an estimate, which x-samplemind-estimated says.
  // Asked once: a failure is told as a chat's, and the client may try again.
  net::Task<void> count_tokens(CallContext context, ChatRoute route, std::string_view body,
                               ResponseSink& sink);
  // A request that only Ollama understands; kUnavailable when it does not answer.
  net::Task<Result<RawAnswer>> ollama(RawRequest request, net::CancelToken cancel);

 private:
  // Finds the model and whether the caller may use it; counts against the caller's limits.
  net::Task<std::optional<Failure>> resolve(Plan& p, const CallContext& context);
  // Why it was not counted. `tokens` stays empty where the provider does not count.
  net::Task<std::optional<UpstreamError>> counted(const Plan& p, net::CancelToken cancel,
                                                  std::optional<int64_t>& tokens);

  GatewayCore* core_;
  net::Client* client_;
  Resolver* resolver_;
};

}  // namespace samplemind::ai
