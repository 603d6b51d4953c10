#include "ai/gateway/books.h"

#include "ai/provider.h"
#include "base/files.h"

namespace samplemind::ai {

namespace {
constexpr size_t kSeriesMax = 500;
constexpr size_t kRoutesFileMax = 1u << 20;
}  // namespace

Books::Books(const Config& config, Metrics& m, const Clock& clock)
    : limits(clock),
      log(config),
      request_seconds(m.histogram("gen_ai_server_request_duration_seconds",
                                  "From a model request's begin to the end of its answer.")),
      first_token_seconds(m.histogram("gen_ai_server_time_to_first_token_seconds",
                                      "From a model request's begin to its answer's first byte.")),
      output_token_seconds(
          m.histogram("gen_ai_server_time_per_output_token_seconds",
                      "Time a token after the first, of answers that a provider streamed.")),
      answered(m.counter("samplemind_gateway_requests_total", "Model requests by how they ended.",
                         {{"outcome", "answered"}})),
      failed(m.counter("samplemind_gateway_requests_total", "Model requests by how they ended.",
                       {{"outcome", "failed"}})),
      refused(m.counter("samplemind_gateway_requests_total", "Model requests by how they ended.",
                        {{"outcome", "refused"}})),
      left(m.counter("samplemind_gateway_requests_total", "Model requests by how they ended.",
                     {{"outcome", "client-left"}})),
      retries(m.counter("samplemind_upstream_retries_total",
                        "Tries after the first at the same model.")),
      fallbacks(
          m.counter("samplemind_route_fallbacks_total", "Requests handed on to the next model.")),
      unpriced(m.counter("samplemind_unpriced_requests_total",
                         "Answers whose price nobody knows; not in the cost.")),
      estimated(m.counter("samplemind_estimated_requests_total",
                          "Answers whose tokens and cost are estimates.")),
      shared_alone(m.counter("samplemind_budget_redis_missed_total",
                             "Calls whose shared budget Redis did not tell in time: this service's "
                             "own sums decided.")),
      shared_lost(m.counter("samplemind_budget_redis_lost_total",
                            "Costs that Redis was never told: it was away for too long.")),
      metrics(m) {
  local_only = config.string("ai.residency") == "local-only";
}

Result<std::unique_ptr<Books>> Books::open(const Config& config, const fs::path& data_folder,
                                           Metrics& metrics, const Clock& clock) {
  std::unique_ptr<Books> books(new Books(config, metrics, clock));
  const std::string& residency = config.string("ai.residency");
  if (residency != "any" && residency != "local-only")
    return Error(ErrorCode::kInvalidArgument,
                 "ai.residency must be 'any' or 'local-only', not '" + residency + "'");
  const std::string& lines = config.string("log.requests");
  if (lines != "upstream" && lines != "all" && lines != "none")
    return Error(ErrorCode::kInvalidArgument,
                 "log.requests must be 'upstream', 'all' or 'none', not '" + lines + "'");
  for (const std::string& each : config.list("ai.block")) books->blocked.add(each);
  for (const std::string& each : config.list("ai.redact")) {
    if (each != "secrets" && each != "personal")
      return Error(ErrorCode::kInvalidArgument,
                   "ai.redact names 'secrets' and 'personal', not '" + each + "'");
    (each == "secrets" ? books->redact_secrets : books->redact_personal) = true;
  }
  books->request_tokens_max = config.integer("ai.request_tokens_max");
  SM_TRY(books->prices, PriceTable::with(config.table("ai.prices")));
  std::vector<Budget> budgets;
  for (const std::string& each : config.list("ai.budgets")) {
    auto budget = parse_budget(each);
    if (!budget.ok()) return std::move(budget).error().with_context("ai.budgets");
    budgets.push_back(std::move(*budget));
  }
  fs::path file = config.string("ai.routes");
  const bool named = !file.empty();
  if (!named && !config.file().empty()) file = config.file().parent_path() / "routes.toml";
  std::string text;
  std::error_code ignored;
  if (named || (!file.empty() && fs::exists(file, ignored))) {
    SM_TRY(text, read_file(file, kRoutesFileMax));
  }
  std::vector<std::string> providers;
  SM_TRY(const std::vector<EndpointSettings> endpoints, read_endpoints(config));
  for (const EndpointSettings& each : endpoints) providers.push_back(each.name);
  SM_TRY(books->routes,
         RouteTable::load(text, file.string(), config.table("ai.aliases"), providers));
  for (const Config::Entry& e : config.entries()) {
    if (e.name != "ai.order" || e.source == ConfigSource::kDefault) continue;
    std::vector<std::string> chain = config.list("ai.order");
    for (std::string& each : chain) each = provider_name(each);
    books->routes.set_chain(std::move(chain));
  }
  SM_TRY(books->ledger, Ledger::open(data_folder.empty() ? fs::path() : data_folder / "usage.db",
                                     std::move(budgets), clock));
  return books;
}

bool Books::room_for(const std::string& series) {
  const std::lock_guard lock(series_mutex_);
  if (series_.contains(series)) return true;
  if (series_.size() >= kSeriesMax) return false;
  series_.insert(series);
  return true;
}

std::optional<Failure> Books::guard(int64_t input_tokens, std::string_view body) const {
  if (request_tokens_max > 0 && input_tokens > request_tokens_max) {
    return Failure{413,
                   "invalid_request_error",
                   "request_too_large",
                   "the request holds about " + std::to_string(input_tokens) +
                       " tokens; this gateway takes " + std::to_string(request_tokens_max),
                   {}};
  }
  if (blocked.in(body)) {
    return Failure{400,
                   "invalid_request_error",
                   "request_blocked",
                   "the request holds text that this gateway's operator has blocked",
                   {}};
  }
  return std::nullopt;
}

std::string Books::redacted(std::string_view body) const {
  return redacts() ? redacted_json(plain_escapes(body), redact_secrets, redact_personal)
                   : std::string(body);
}

void Books::count_route(const std::string& rule) {
  const std::string shown = room_for("route " + rule) ? rule : "other";
  metrics
      .counter("samplemind_route_total", "Requests by the rule that routed them.",
               {{"rule", shown}})
      .add();
}

void Books::count_model(const std::string& provider, const std::string& model_in,
                        int64_t input_tokens, int64_t output_tokens, int64_t cost_microusd) {
  const std::string model = room_for("model " + provider + "/" + model_in) ? model_in : "other";
  const auto add = [&](const char* name, const char* help, const char* type, int64_t n) {
    if (n <= 0) return;
    Labels labels{{"gen_ai_provider_name", provider}, {"gen_ai_response_model", model}};
    if (*type != '\0') labels.emplace_back("gen_ai_token_type", type);
    metrics.counter(name, help, labels).add(static_cast<uint64_t>(n));
  };
  add("gen_ai_client_token_usage_total", "Tokens by model.", "input", input_tokens);
  add("gen_ai_client_token_usage_total", "Tokens by model.", "output", output_tokens);
  add("samplemind_model_cost_microusd_total", "Spent by model, in millionths of a dollar.", "",
      cost_microusd);
}

void Books::set_breaker(const std::string& model, int state) {
  if (!room_for("breaker " + model)) return;
  metrics
      .gauge("samplemind_breaker_state", "Of a model: 0 asked, 1 left alone, 2 asked on probation.",
             {{"model", model}})
      .set(state);
}

}  // namespace samplemind::ai
