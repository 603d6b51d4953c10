// Embeddings: each text's vector is cached by itself, so that of a list only the texts are asked
// for that nobody asked before. One loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ai/dialect/embed.h"
#include "ai/gateway.h"
#include "ai/gateway/core.h"
#include "ai/gateway/lookup.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/resolve.h"
#include "ai/gateway/scope.h"
#include "ai/gateway/shared_budgets.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

class Embeddings {
 public:
  // All must outlive it.
  Embeddings(GatewayCore& core, net::Loop& loop, net::Client& client, Resolver& resolver,
             AnswerCache& cache, SharedBudgets& budgets)
      : core_(core),
        loop_(loop),
        client_(client),
        resolver_(resolver),
        cache_(cache),
        budgets_(budgets) {}

  net::Task<void> embed(CallContext context, EmbedForm form, std::string_view model,
                        std::string_view body, ResponseSink& sink);

 private:
  // One distinct text of a request, and what is known of its vector.
  struct Text {
    std::string text;
    Digest key;
    RecordPtr found;
  };
  struct Job;
  class Claims;

  net::Task<std::optional<Failure>> prepare(Job& job, const CallContext& context,
                                            std::string_view model, std::string_view body);
  net::Task<void> look_up(Job& job);
  net::Task<std::optional<Failure>> answer(Job& job);
  // Asks the provider for these texts; on success `job.native` is its body.
  net::Task<std::variant<EmbedAnswer, Failure>> ask(Job& job, const EmbedRequest& request);
  void keep(Job& job, const std::vector<size_t>& asked, const EmbedAnswer& answer);

  GatewayCore& core_;
  net::Loop& loop_;
  net::Client& client_;
  Resolver& resolver_;
  AnswerCache& cache_;
  std::mt19937_64 random_{std::random_device{}()};
  SharedBudgets& budgets_;
};

}  // namespace samplemind::ai
