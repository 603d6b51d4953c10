#include "ai/gateway.h"

#include <algorithm>
#include <set>
#include <variant>

#include "ai/facts.h"
#include "ai/gateway/answer.h"
#include "ai/gateway/books.h"
#include "ai/gateway/call.h"
#include "ai/gateway/conversation.h"
#include "ai/gateway/core.h"
#include "ai/gateway/embeddings.h"
#include "ai/gateway/lookup.h"
#include "ai/gateway/otlp.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/resolve.h"
#include "ai/gateway/route_wishes.h"
#include "ai/gateway/scope.h"
#include "ai/gateway/side.h"
#include "ai/gateway/wishes.h"
#include "ai/task_group_internal.h"
#include "net/client.h"
#include "net/offload.h"

namespace samplemind::ai {

namespace {

class Shard final : public GatewayShard {
 public:
  Shard(std::shared_ptr<GatewayCore> core, net::Loop& loop)
      : core_(std::move(core)),
        client_(net::Client::create(loop, core_->settings.client)),
        resolver_(*core_, loop, *client_),
        cache_(*core_, loop),
        budgets_(*core_, loop),
        caller_(*core_, loop, *client_, cache_, budgets_),
        embeddings_(*core_, loop, *client_, resolver_, cache_, budgets_),
        tasks_(loop) {
    if (core_->config.is_set("log.otlp_endpoint"))
      tasks_.start(export_traces(*core_, loop, *client_));
  }

  net::Task<void> chat(CallContext context, ChatRoute route, std::string_view body,
                       ResponseSink& client) override {
    RequestScope sink(*core_, context, dialect_name(route.dialect), body, &client);
    if (auto refused = sink.admit()) {
      sink.failed(*refused);
      co_await fail(std::move(*refused), route.dialect, sink);
      co_return;
    }
    const ClientWishes wishes = read_wishes(context.headers);
    // A response is told under an id of its own each time, so it cannot be a body seen before.
    const bool plain = wishes.plain() && route.dialect != Dialect::kResponses;
    const bool paced = wishes.replay_paced.value_or(core_->settings.replay_paced);
    // The quick way: this very body was answered before.
    if (plain && core_->settings.cache_enabled) {
      if (const SeenBodies::Entry* seen = cache_.seen(context, route, wishes, body)) {
        if (RecordPtr hit = core_->memory.get(seen->key, core_->clock.unix_ms());
            hit && cache_.acceptable(*hit, wishes.max_age_ms) && !core_->past_ttl(*hit)) {
          core_->hits_memory.add();
          sink.hit(*hit, CacheState::kHitMemory, seen->route);
          co_await render_hit(*core_, *hit, CacheState::kHitMemory, seen->form, paced,
                              context.cancel, sink);
          co_return;
        }
      }
    }
    std::variant<Plan, Failure> planned = co_await plan(context, route, body, wishes);
    if (auto* failure = std::get_if<Failure>(&planned)) {
      sink.failed(*failure);
      co_await fail(std::move(*failure), route.dialect, sink);
      co_return;
    }
    Plan p = std::move(std::get<Plan>(planned));
    sink.planned(p);
    if (context.headers != nullptr && context.headers->has("traceparent")) {
      p.forward.set("traceparent", sink.traceparent());
      if (const auto state_in = context.headers->get("tracestate"))
        p.forward.set("tracestate", *state_in);
    }
    CacheState state = CacheState::kMiss;
    if (p.use_cache && p.read_cache) {
      const RecordPtr hit = co_await cache_.look_up(p.key, p.max_age_ms, true, state);
      if (hit) {
        // Only now: most bodies never come again, and need no place among those that do.
        if (plain) cache_.remember(context, route, wishes, body, p);
        if (core_->past_ttl(*hit)) caller_.refresh_behind(p);
        sink.hit(*hit, state, p.route);
        co_await render_hit(*core_, *hit, state, p.form, paced, context.cancel, sink);
        co_return;
      }
    }
    if (p.use_cache && p.read_cache) {
      if (const auto known = core_->negative.get(p.key, core_->clock.unix_ms())) {
        core_->hits_negative.add();
        Failure failure = to_failure(known->error);
        failure.age_ms = known->age_ms;
        sink.failed(failure);
        co_await fail(std::move(failure), route.dialect, sink);
        co_return;
      }
    }
    if (p.only_if_cached) {
      Failure failure{504,
                      "invalid_request_error",
                      "not_cached",
                      "no cached answer, and the request allows no other (only-if-cached)",
                      {}};
      sink.failed(failure);
      co_await fail(std::move(failure), route.dialect, sink);
      co_return;
    }
    FlightPtr flight = caller_.join(p, state);
    const Follower follower(*flight, context.cancel);
    if (p.form.stream) {
      co_await stream_flight(p, flight, state, follower, context.cancel, sink);
    } else {
      co_await whole_flight(p, flight, state, follower, context.cancel, sink);
    }
    sink.flown(*flight, state);
  }

  net::Task<Result<AskAnswer>> ask(std::string body, AskOptions options,
                                   std::function<void(std::string_view)> on_text) override {
    const SteadyTime begin = core_->clock.steady();
    CallContext context;
    context.cancel = options.cancel;
    context.tenant = options.tenant;
    RequestScope scope(*core_, context, "SampleMind", body, nullptr);
    ClientWishes wishes;
    wishes.refresh = options.fresh;
    std::variant<Plan, Failure> planned = co_await plan(context, ChatRoute(), body, wishes);
    if (auto* failure = std::get_if<Failure>(&planned)) {
      scope.failed(*failure);
      co_return to_error(*failure);
    }
    Plan p = std::move(std::get<Plan>(planned));
    scope.planned(p);
    AskAnswer out;
    if (p.use_cache && p.read_cache) {
      const RecordPtr hit = co_await cache_.look_up(p.key, p.max_age_ms, true, out.cache);
      if (hit) {
        scope.hit(*hit, out.cache, p.route);
        out.answer = hit->answer;
        out.cost_microusd = 0;
        if (hit->cost_microusd >= 0) {
          out.saved_microusd = hit->cost_microusd;
          core_->saved_microusd_total.add(static_cast<uint64_t>(hit->cost_microusd));
        }
        if (core_->past_ttl(*hit)) caller_.refresh_behind(p);
        on_text(out.answer.text);
        out.elapsed_s = std::chrono::duration<double>(core_->clock.steady() - begin).count();
        co_return out;
      }
    }
    if (options.only_if_cached) co_return Error(ErrorCode::kNotFound, "no cached answer");
    FlightPtr flight = caller_.join(p, out.cache);
    const Follower follower(*flight, options.cancel);
    size_t read = 0;
    for (;;) {
      // Before the first content a failed try may take its pieces back.
      for (; flight->content && read < flight->deltas.size(); ++read) {
        if (!flight->deltas[read].text.empty()) on_text(flight->deltas[read].text);
      }
      if (flight->done || options.cancel.cancelled()) break;
      co_await follower.event->wait();
    }
    scope.flown(*flight, out.cache);
    if (!flight->done) co_return Error(ErrorCode::kCancelled, "cancelled");
    if (flight->error) co_return to_error(to_failure(*flight->error));
    if (read == 0) on_text(flight->answer.text);
    out.answer = flight->answer;
    out.cost_microusd = flight->cost_microusd;
    if (out.cache == CacheState::kCoalesced && flight->cost_microusd) {
      out.cost_microusd = 0;
      out.saved_microusd = flight->cost_microusd;
    }
    out.elapsed_s = std::chrono::duration<double>(core_->clock.steady() - begin).count();
    co_return out;
  }

  net::Task<void> embed(CallContext context, EmbedForm form, std::string_view model,
                        std::string_view body, ResponseSink& sink) override {
    return embeddings_.embed(std::move(context), form, model, body, sink);
  }
  net::Task<void> count_tokens(CallContext context, ChatRoute route, std::string_view body,
                               ResponseSink& sink) override {
    return side_.count_tokens(std::move(context), route, body, sink);
  }
  net::Task<Result<RawAnswer>> ollama(RawRequest request, net::CancelToken cancel) override {
    return side_.ollama(std::move(request), std::move(cancel));
  }

  net::Task<Result<std::optional<StoredResponse>>> kept_response(std::string tenant,
                                                                 std::string id) override {
    return conversations_.get(std::move(tenant), std::move(id));
  }
  net::Task<Result<bool>> delete_response(std::string tenant, std::string id) override {
    return conversations_.erase(std::move(tenant), std::move(id));
  }

  net::Task<Result<RouteReport>> route(CallContext context, ChatRoute where,
                                       std::string body) override {
    const ClientWishes wishes = read_wishes(context.headers);
    std::variant<Plan, Failure> planned = co_await plan(context, where, body, wishes);
    if (auto* failure = std::get_if<Failure>(&planned)) co_return to_error(*failure);
    const Plan& p = std::get<Plan>(planned);
    RouteReport report;
    report.asked = p.request->model;
    report.rule = p.rule;
    report.line = p.route;
    report.input_tokens = p.facts.input_tokens;
    for (const Candidate& c : p.candidates) {
      const int64_t output = reserved_output_tokens(p, c, core_->books_->prices);
      report.candidates.push_back(
          {c.place(), core_->books_->prices.estimate(c.provider->name(), c.model,
                                                     p.facts.input_tokens, output)});
    }
    report.skipped = p.skipped;
    co_return report;
  }

  net::Task<std::vector<ModelInfo>> models() override {
    std::vector<ModelInfo> all;
    std::set<std::string> seen;  // at another endpoint
    for (const auto& provider : resolver_.providers()) {
      if (!provider->configured()) continue;
      auto list = co_await provider->models(*client_);
      if (!list.ok()) continue;
      const std::vector<std::string>& only = provider->only_models();
      for (ModelInfo& m : *list) {
        if (!only.empty() && std::find(only.begin(), only.end(), m.name) == only.end()) continue;
        if (!seen.insert(m.provider + "/" + m.name).second) continue;
        if (const auto price = core_->books_->prices.price(m.provider, m.name)) {
          m.input_usd_per_million = price->input;
          m.output_usd_per_million = price->output;
        }
        all.push_back(std::move(m));
      }
    }
    co_return all;
  }

  net::Task<std::vector<ProviderState>> provider_states() override {
    std::vector<ProviderState> states;
    for (const auto& provider : resolver_.providers())
      states.push_back(co_await provider->state(*client_));

    co_return states;
  }

  net::Task<Result<void>> pull(std::string model,
                               std::function<void(const PullProgress&)> on_progress,
                               net::CancelToken cancel) override {
    core_->negative.clear();  // a model that was not there may be there now
    Provider* ollama = resolver_.providers().front().get();
    co_return co_await ollama->pull(*client_, std::move(model), std::move(on_progress),
                                    std::move(cancel));
  }

  net::Task<Result<void>> load(std::string model, net::CancelToken cancel) override {
    if (model.starts_with("ollama/")) model.erase(0, 7);
    Provider* ollama = resolver_.providers().front().get();
    co_return co_await ollama->load(*client_, std::move(model), std::move(cancel));
  }

  net::Task<Result<Cleared>> clear_cache(CacheFilter filter) override {
    GatewayCore* core = core_.get();
    core->negative.clear();
    std::function<Result<uint64_t>()> work = [core, filter] {
      return Result<uint64_t>(core->cache_admin().erase(filter, core->clock.unix_ms()));
    };
    auto local = co_await net::offload<uint64_t>(core->disk_readers, std::move(work));
    if (!local.ok()) co_return std::move(local).error();
    Cleared out;
    out.entries = *local;
    if (RedisCache* redis = cache_.redis()) {
      std::function<bool(const CacheRecord&)> wanted;
      if (!filter.any()) {
        const int64_t now_ms = core->clock.unix_ms();
        wanted = [filter, now_ms](const CacheRecord& r) { return filter.fits(r, now_ms); };
      }
      auto erased = co_await redis->erase_if(std::move(wanted));
      if (erased.ok()) {
        out.redis_entries = *erased;
      } else {
        out.redis_problem = erased.error().message();
      }
    }
    co_return out;
  }

  size_t connections() const override { return client_->connections(); }

 private:
  net::Task<std::variant<Plan, Failure>> plan(CallContext context, ChatRoute route,
                                              std::string_view body, ClientWishes wishes) {
    const Books& books = *core_->books_;
    std::string redacted;
    if (books.redacts()) {
      redacted = books.redacted(body);
      body = redacted;
    }
    const std::string_view asked = body;
    std::string expanded;
    if (route.dialect == Dialect::kResponses) {
      std::variant<std::string, Failure> done =
          co_await conversations_.expand(std::string(context.tenant), std::string(body));
      if (auto* failure = std::get_if<Failure>(&done)) co_return std::move(*failure);
      expanded = std::move(std::get<std::string>(done));
      body = expanded;
    }
    auto request = read_request(route.dialect, body, route.model, route.stream);
    if (!request.ok())
      co_return Failure{400, "invalid_request_error", "", request.error().message(), {}};
    if (wishes.problem != nullptr)
      co_return Failure{400, "invalid_request_error", "", wishes.problem, {}};
    Plan p;
    p.form.dialect = route.dialect;
    p.form.stream = request->stream;
    p.form.include_usage = request->include_usage;
    p.form.list = route.list;
    p.form.model = request->model;
    p.form.lead = request->lead;
    if (route.dialect == Dialect::kResponses)
      conversations_.prepare(p.form, std::string(context.tenant), asked, expanded);
    p.request = std::make_shared<const ChatRequest>(std::move(*request));
    const RouteWishes where = read_route_wishes(context);
    if (!where.problem.empty())
      co_return Failure{400, "invalid_request_error", "", where.problem, {}};
    p.tenant = context.tenant;
    p.key_holder = context.key;
    p.local_only = where.local_only;
    p.facts = facts_of(*p.request);
    if (auto refused = books.guard(p.facts.input_tokens, body)) co_return std::move(*refused);
    if (!where.conversation.empty()) p.facts.conversation = where.conversation;
    std::optional<Failure> unresolved = co_await resolver_.resolve(p, where);
    if (unresolved) co_return std::move(*unresolved);
    p.cache_namespace = wishes.cache_namespace;
    p.scope_headers = answer_changing_headers(context.headers);
    p.key = key_of(p, *p.provider, p.model);
    p.flight_key = p.key;
    if (p.candidates.size() > 1) {
      Hasher chain;
      chain.update_field(p.key.hex());
      for (const Candidate& c : p.candidates) chain.update_field(c.id());
      p.flight_key = chain.finish();
    }
    if (!core_->settings.cache_enabled) p.note = "the cache is off";
    if (!p.request->never_cache.empty()) p.note = p.request->never_cache;
    if (wishes.no_store) p.note = "no-store";
    if (wishes.bypass) p.note = "x-samplemind-cache-mode: bypass";
    const bool bypass_sampling = context.key && !context.key->sampling.empty()
                                     ? context.key->sampling == "bypass"
                                     : core_->settings.bypass_sampling;
    if (bypass_sampling && p.request->sampling()) p.note = "sampling";
    p.use_cache = p.note.empty();
    p.read_cache = !wishes.no_cache && !wishes.refresh;
    p.max_age_ms = wishes.max_age_ms;
    p.only_if_cached = wishes.only_if_cached;
    p.ttl_ms = wishes.ttl_ms > 0 ? wishes.ttl_ms : core_->ttl_ms_of(p.provider->name(), p.model);
    p.forward = forwarded_headers(context.headers);
    co_return std::move(p);
  }

  std::shared_ptr<GatewayCore> core_;
  std::unique_ptr<net::Client> client_;
  Resolver resolver_;
  AnswerCache cache_;
  SharedBudgets budgets_;
  Caller caller_;
  Embeddings embeddings_;
  SideCalls side_{*core_, *client_, resolver_};
  Conversations conversations_{*core_};
  TaskGroup tasks_;  // last: its frames refer to all of the above
};

}  // namespace

std::unique_ptr<GatewayShard> GatewayShard::create(std::shared_ptr<Gateway> gateway,
                                                   net::Loop& loop) {
  return std::make_unique<Shard>(std::static_pointer_cast<GatewayCore>(std::move(gateway)), loop);
}

}  // namespace samplemind::ai
