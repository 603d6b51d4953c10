// What a gateway counts and how it decides, shared by all shards: prices, budgets with usage, rate
// limits, routes with what was measured, the log of requests. Thread-safe; made once, before the
// shards.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ai/gateway/plan.h"
#include "ai/guard_text.h"
#include "ai/ledger.h"
#include "ai/limits.h"
#include "ai/money.h"
#include "ai/request_log.h"
#include "ai/router.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/result.h"

namespace samplemind::ai {

struct Books {
  // Reads [ai.prices], [ai.budgets], routes.toml beside the configuration file; keeps usage in
  // `data_folder` (empty: in memory).
  static Result<std::unique_ptr<Books>> open(const Config& config,
                                             const std::filesystem::path& data_folder,
                                             Metrics& metrics, const Clock& clock);

  PriceTable prices;
  RouteTable routes;
  Measurements measured;
  StickyTable sticky;
  RateLimiter limits;
  std::unique_ptr<Ledger> ledger;
  RequestLog log;
  bool local_only = false;  // ai.residency: nothing leaves this machine
  BlockedWords blocked;     // ai.block
  bool redact_secrets = false, redact_personal = false;
  int64_t request_tokens_max = 0;  // 0: no limit
  // A failure when the operator does not want to see this request at a model.
  std::optional<Failure> guard(int64_t input_tokens, std::string_view body) const;
  // The request's body without what is not to leave (ai.redact); the same when nothing is.
  bool redacts() const { return redact_secrets || redact_personal; }
  std::string redacted(std::string_view body) const;

  // Names after OpenTelemetry's GenAI conventions.
  Histogram &request_seconds, &first_token_seconds, &output_token_seconds;
  Counter &answered, &failed, &refused, &left, &retries, &fallbacks, &unpriced, &estimated,
      &shared_alone, &shared_lost;
  Metrics& metrics;
  // Bounded: a client chooses names, and each is a series for ever.
  void count_route(const std::string& rule);
  void count_model(const std::string& provider, const std::string& model, int64_t input_tokens,
                   int64_t output_tokens, int64_t cost_microusd);
  void set_breaker(const std::string& model, int state);  // 0 closed, 1 open, 2 half open

 private:
  Books(const Config& config, Metrics& metrics_in, const Clock& clock);
  bool room_for(const std::string& series);
  std::mutex series_mutex_;
  std::set<std::string> series_;
};

}  // namespace samplemind::ai
