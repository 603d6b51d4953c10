// How a request is answered when the cache has nothing: money is set aside, models are asked in
// order, failures are retried or handed on, and what it cost is counted.
#include <algorithm>
#include <chrono>
#include <utility>

#include "ai/facts.h"
#include "ai/gateway/books.h"
#include "ai/gateway/call.h"
#include "ai/resilience.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr size_t kTailBytesMax = 64u << 10;
constexpr int64_t kTriesBeforeNext = 2;  // at a model that another can stand in for
constexpr int64_t kOutputTokensUsual = 4096;

int64_t elapsed_ms(SteadyTime since, const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.steady() - since).count();
}

UpstreamError paused_error(const Plan& p, std::chrono::milliseconds wait) {
  UpstreamError e;
  e.status = 503;
  e.code = "upstream_paused";
  e.retry_after_ms = std::max<int64_t>(1, wait.count());
  e.message = p.provider->label() + ": '" + p.model +
              "' failed too often lately and is asked again in " +
              std::to_string((*e.retry_after_ms + 999) / 1000) + " s";
  return e;
}

UpstreamError refused_error(const Ledger::Refusal& r) {
  UpstreamError e;
  e.status = 429;
  e.type = "insufficient_quota";
  e.code = r.unpriced ? "price_unknown" : "budget_exceeded";
  e.message = r.message;
  e.retry_after_ms = r.retry_after_ms;
  return e;
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The request is longer than the model takes: each provider has its own words.
bool too_long(const UpstreamError& e) {
  if (e.code == "context_length_exceeded") return true;
  if (e.status != 400 && e.status != 413) return false;
  for (const char* words :
       {"context length", "context window", "maximum context", "prompt is too long",
        "input token count", "maximum number of tokens", "too many tokens", "input is too long"}) {
    if (holds(e.message, words)) return true;
  }
  return false;
}

bool filtered(const UpstreamError& e) {
  return holds(e.code, "content_filter") || holds(e.code, "content_policy") ||
         holds(e.code, "safety");
}

// Whether another endpoint for the same model may be asked.
bool may_go_to_twin(const UpstreamError& e) {
  const bool ours =
      e.code == "cancelled" || e.code == "budget_exceeded" || e.code == "price_unknown";
  if (ours || filtered(e)) return false;
  return e.status >= 500 || e.status == 408 || e.status == 409 || e.status == 429 ||
         e.status == 404;
}

// Whether another model may be asked after this failure of the `at`th.
bool may_go_on(const UpstreamError& e, size_t at) {
  if (e.code == "cancelled" || filtered(e)) return false;
  if (e.status >= 500 || e.status == 408 || e.status == 409 || e.status == 429) return true;
  if (too_long(e)) return true;
  // What one model has not, or what cannot be said in its dialect, another may have.
  if (e.status == 404 || e.code == "unsupported_parameter") return true;
  // A bad request is the client's; but what the first would have taken and a stand-in refuses is
  // the stand-in's.
  return at > 0;
}

}  // namespace

int64_t reserved_output_tokens(const Plan& p, const Candidate& c, const PriceTable& prices) {
  const ModelTraits* traits = prices.traits(c.provider->name(), c.model);
  const int64_t most =
      traits != nullptr && traits->output_max_tokens > 0 ? traits->output_max_tokens : INT32_MAX;
  const int64_t wanted = p.facts.output_tokens > 0 ? p.facts.output_tokens : kOutputTokensUsual;
  return std::min(wanted, most) * std::max<int64_t>(1, p.request->choices);
}

int64_t Caller::left_ms(SteadyTime begin) const {
  return core_->settings.total_timeout_ms - elapsed_ms(begin, core_->clock);
}

void Caller::set_breaker(ModelHealth& health, const std::string& model) {
  const int state = static_cast<int>(health.breaker.state(core_->clock.steady()));
  if (std::exchange(health.shown_state, state) != state) core_->books_->set_breaker(model, state);
}

void Caller::judge(ModelHealth& health, const std::optional<UpstreamError>& error) {
  const SteadyTime now = core_->clock.steady();
  if (!error) {
    health.breaker.success(now);
  } else if (error->status >= 500 && error->code != "upstream_key_refused") {
    health.breaker.failure(now);
  } else {
    health.breaker.neither();
  }
}

net::Task<std::optional<UpstreamError>> Caller::ask_model(FlightPtr flight, const Plan& p,
                                                          size_t others, SteadyTime begin) {
  const std::shared_ptr<ModelHealth> health = health_of(p);
  Books& books = *core_->books_;
  const std::string id = p.provider->label() + "/" + p.model;
  SteadyTime try_begin = core_->clock.steady();
  flight->on_content = [this, begin, &try_begin, health, &books, &id] {
    const SteadyTime now = core_->clock.steady();
    core_->first_token.observe(std::chrono::duration<double>(now - begin).count());
    books.measured.first_token(id, std::chrono::duration<double>(now - try_begin).count());
    health->first_content.add(now - try_begin);
  };
  retries_of(flight->provider).earn(begin);
  // Another endpoint for the same model is better than a pause here.
  const int64_t before_next = p.twin != nullptr ? 1 : kTriesBeforeNext;
  const int64_t attempts_max =
      others > 0 ? std::min(core_->settings.attempts, before_next) : core_->settings.attempts;
  std::optional<UpstreamError> error;
  for (int64_t attempt = 1;; ++attempt) {
    try_begin = core_->clock.steady();
    if (core_->settings.breaker && !health->breaker.allow(try_begin)) {
      core_->upstream_paused.add();
      // What the tries before said tells more than that no other follows.
      if (!error) error = paused_error(p, health->breaker.until_probe(try_begin));
      break;
    }
    core_->upstream_calls.add();
    if (attempt > 1) books.retries.add();
    ++flight->tries;
    CallOptions options;
    options.model = p.model;
    options.stream = p.request->stream;
    options.headers = p.forward;
    const int64_t left = std::max<int64_t>(1, left_ms(begin));
    options.total_timeout = std::chrono::milliseconds(left);
    // Those that follow must have their share of the time, too.
    if (others > 0)
      options.first_byte_timeout =
          std::chrono::milliseconds(std::max<int64_t>(1, left / static_cast<int64_t>(others + 1)));
    options.cancel = flight->cancel;
    // A second try of a request with tools could act twice.
    const auto p95 = core_->settings.hedge && !p.request->has_tools() && attempt == 1
                         ? health->first_content.p95()
                         : std::nullopt;
    if (p95) {
      error = co_await race(flight, p, std::move(options), *p95, health);
    } else {
      error = co_await p.provider->chat(*client_, *p.request, std::move(options), *flight);
    }
    if (core_->settings.breaker) judge(*health, error);
    set_breaker(*health, id);
    if (!error || error->code != "cancelled") {
      const double seconds =
          std::chrono::duration<double>(core_->clock.steady() - try_begin).count();
      const auto tokens = static_cast<double>(flight->answer.usage.output_tokens);
      const bool failed = error && (error->status >= 500 || error->status == 429);
      books.measured.ended(id, failed, !error && seconds > 0 ? tokens / seconds : 0);
      books.measured.set_now(id, core_->clock.steady());
    }
    if (!error) break;
    core_->upstream_errors.add();
    if (!error->retry || flight->content || attempt >= attempts_max ||
        flight->tries >= core_->settings.attempts_total || flight->cancel.cancelled())
      break;
    // Whoever asks for patience, or took too long already, is left for the next.
    if (others > 0 && (error->retry_after_ms || error->status == 429 || error->status == 503 ||
                       error->status == 504))
      break;
    const int64_t pause_ms =
        retry_pause_ms(random_, core_->settings.backoff_ms, attempt, error->retry_after_ms);
    if (pause_ms >= left_ms(begin) || pause_ms > kRetryAfterMaxMs) break;
    if (!retries_of(flight->provider).spend(core_->clock.steady())) {
      core_->retries_saved.add();
      break;
    }
    log::info("upstream retry", {{"provider", flight->provider},
                                 {"model", p.model},
                                 {"attempt", attempt},
                                 {"status", error->status},
                                 {"pause_ms", pause_ms}});
    flight->restart();
    const bool slept =
        co_await loop_.sleep_for(std::chrono::milliseconds(pause_ms), flight->cancel);
    if (!slept) break;
  }
  flight->on_content = nullptr;
  co_return error;
}

net::Task<void> Caller::fly(FlightPtr flight, Plan p) {
  const SteadyTime begin = core_->clock.steady();
  Books& books = *core_->books_;
  std::optional<UpstreamError> error;
  std::optional<UpstreamError> first_error;
  std::string chain;           // what the others said
  int64_t context_needed = 0;  // a request that was too long for a model of this size
  std::string long_for;
  for (size_t at = 0; at < p.candidates.size(); ++at) {
    const Candidate& c = p.candidates[at];
    const bool twin_next = at + 1 < p.candidates.size() && p.candidates[at + 1].twin_of(c);
    if (at > 0) {
      // What one endpoint says of the request, all of them would.
      if (c.twin_of(p.candidates[at - 1]) && !may_go_to_twin(*error)) continue;
      const ModelTraits* traits = books.prices.traits(c.provider->name(), c.model);
      if (context_needed > 0 && traits != nullptr && traits->context_tokens > 0 &&
          traits->context_tokens <= context_needed) {
        chain += "; " + c.place() + ": takes no more than " + long_for;
        continue;
      }
      flight->restart();
      books.fallbacks.add();
    }
    p.provider = c.provider;
    p.model = c.model;
    if (first_error) {
      // Known before its first byte, so that the client is told as well.
      flight->route = c.place() + " (" + p.why + "; first " + first_error->message + chain + ")";
    }
    p.twin = twin_next ? p.candidates[at + 1].provider : nullptr;
    flight->provider = c.provider->name();
    flight->model = c.model;
    const int tries_before = flight->tries;
    const std::optional<int64_t> most =
        books.prices.estimate(c.provider->name(), c.model, p.facts.input_tokens,
                              reserved_output_tokens(p, c, books.prices));
    std::string id = c.id();
    auto held =
        co_await budgets_->hold(p.key_holder, std::move(id), c.provider->name() == "ollama", most);
    if (auto* refusal = std::get_if<Ledger::Refusal>(&held)) {
      error = refused_error(*refusal);
    } else {
      const size_t others = p.candidates.size() - at - 1;
      error = co_await ask_model(flight, p, others, begin);
      // What it cost is counted before what was set aside for it is given back.
      const int64_t cost = account(*flight, p, flight->tries - tries_before, error.has_value());
      std::get<SharedBudgets::Hold>(held).settle(cost);
    }
    if (!error || flight->content || flight->cancel.cancelled()) break;
    if (too_long(*error)) {
      const ModelTraits* traits = books.prices.traits(c.provider->name(), c.model);
      context_needed = traits != nullptr ? traits->context_tokens : 0;
      long_for = c.id();
    }
    if (!first_error) {
      first_error = error;
      long_for = long_for.empty() ? c.id() : long_for;
    } else {
      chain += "; " + c.place() + ": " + error->message;
      if (!first_error->retry_after_ms) first_error->retry_after_ms = error->retry_after_ms;
    }
    const bool goes_on = (twin_next && may_go_to_twin(*error)) || may_go_on(*error, at);
    if (at + 1 == p.candidates.size() || !goes_on ||
        flight->tries >= core_->settings.attempts_total || left_ms(begin) <= 1)
      break;
    log::info("route next", {{"from", c.place()},
                             {"to", p.candidates[at + 1].place()},
                             {"status", error->status},
                             {"error", error->code}});
  }
  if (!error && first_error) p.key = key_of(p, *p.provider, p.model);
  if (error && !flight->content) flight->route.clear();
  if (error && first_error && !flight->content) {
    // The first is the one that was meant; the others only stood in.
    error = first_error;
    if (!chain.empty()) error->message += " (then" + chain.substr(1) + ")";
  }
  if (error) error->spent = flight->tries > 1;
  flight->answer.provider = flight->provider;
  if (flight->too_large) {
    error = UpstreamError{};
    error->code = "upstream_answer_too_large";
    error->message = flight->provider + ": the answer is larger than 32 MiB";
  }
  if (!error) {
    const bool keep = flight->answer.complete() ||
                      (core_->settings.keep_length && flight->answer.cut_by_length());
    if (p.use_cache && flight->choices == 1 && keep) cache_->store(*flight, p);
  } else if (error->code != "cancelled") {
    log::warn("upstream failed", {{"provider", flight->provider},
                                  {"model", p.model},
                                  {"status", error->status},
                                  {"error", error->message}});
  }
  if (error && p.use_cache && core_->settings.negative_ms > 0 && NegativeCache::lasting(*error) &&
      one_model(p))
    core_->negative.put(p.key, *error, core_->clock.unix_ms(), core_->settings.negative_ms);
  forget(p.flight_key, flight);
  std::unique_ptr<net::ClientResponse> tail = std::move(flight->tail);
  flight->end(std::move(error));
  flight.reset();
  // All is told; what may follow is the transfer's end, after which the connection serves again.
  for (size_t read = 0; tail && read < kTailBytesMax;) {
    const auto piece = co_await tail->read_some();
    if (!piece.ok() || piece->empty()) break;
    read += piece->size();
  }
}

int64_t Caller::account(Flight& flight, const Plan& p, int tries, bool failed) {
  Books& books = *core_->books_;
  if (tries == 0) return 0;
  UsageEntry e;
  if (p.key_holder) e.key = p.key_holder->id;
  e.tenant = p.tenant;
  e.provider = p.provider->name();
  e.model = p.model;
  e.tries = tries;
  Usage& usage = flight.answer.usage;
  // A provider that did not say, or was cut off before it could, bills all the same.
  const bool cut = failed && flight.content;
  if ((!failed && !usage.reported) || cut) {
    usage.input_tokens = std::max(usage.input_tokens, p.facts.input_tokens);
    int64_t output = estimate_tokens(flight.answer.text) +
                     estimate_tokens(flight.answer.reasoning) +
                     estimate_tokens(flight.answer.refusal);
    for (const ToolCall& call : flight.answer.tool_calls)
      output += estimate_tokens(call.name) + estimate_tokens(call.arguments);
    usage.output_tokens = std::max(usage.output_tokens, output);
    flight.estimated = true;
  }
  if (!failed || cut) {
    Usage counted = usage;
    counted.reported = true;
    flight.cost_microusd = books.prices.cost(e.provider, p.model, counted);
    if (flight.hedges_lost > 0 && flight.cost_microusd) {
      // The one that was called off had read the question, too.
      *flight.cost_microusd +=
          flight.hedges_lost *
          books.prices.estimate(e.provider, p.model, usage.input_tokens, 0).value_or(0);
      flight.hedges_lost = 0;
    }
    e.input_tokens = usage.input_tokens;
    e.cached_input_tokens = usage.cached_input_tokens;
    e.output_tokens = usage.output_tokens;
    e.cost_microusd = flight.cost_microusd.value_or(0);
    e.unpriced = flight.cost_microusd ? 0 : 1;
    e.estimated = flight.estimated ? 1 : 0;
    if (e.unpriced > 0) books.unpriced.add();
    if (e.estimated > 0) books.estimated.add();
    core_->input_tokens.add(static_cast<uint64_t>(std::max<int64_t>(0, usage.input_tokens)));
    core_->output_tokens.add(static_cast<uint64_t>(std::max<int64_t>(0, usage.output_tokens)));
    core_->cost_microusd_total.add(static_cast<uint64_t>(e.cost_microusd));
    books.count_model(e.provider, e.model, e.input_tokens, e.output_tokens, e.cost_microusd);
  }
  const int64_t cost = e.cost_microusd;
  books.ledger->add(std::move(e));
  return cost;
}

}  // namespace samplemind::ai
