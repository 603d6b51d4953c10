#include "ai/gateway/embeddings.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "ai/facts.h"
#include "ai/fingerprint.h"
#include "ai/gateway/answer.h"
#include "ai/gateway/books.h"
#include "ai/gateway/route_wishes.h"
#include "ai/gateway/text_flights.h"
#include "ai/gateway/wishes.h"
#include "ai/resilience.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

// A longer list would wait too long for as many answers of Redis, one after the other.
constexpr size_t kRedisTextsMax = 64;

bool worth_another_try(const UpstreamError& e) {
  return e.status >= 500 || e.status == 429 || e.status == 408;
}

// At another endpoint.
bool another_may_have(const UpstreamError& e) {
  return worth_another_try(e) || e.status == 404;
}

// `total` in as many parts as there are texts, by their lengths; the parts add up to it.
std::vector<int64_t> shares(int64_t total, const std::vector<size_t>& sizes) {
  size_t all = 0;
  for (const size_t size : sizes) all += size + 1;
  std::vector<int64_t> out;
  size_t seen = 0;
  int64_t given = 0;
  for (const size_t size : sizes) {
    seen += size + 1;
    const auto until = static_cast<int64_t>(static_cast<double>(total) * static_cast<double>(seen) /
                                            static_cast<double>(all));
    out.push_back(until - given);
    given = until;
  }
  return out;
}

Failure bad_request_failure(std::string message) {
  return {400, "invalid_request_error", "", std::move(message), {}};
}

}  // namespace

struct Embeddings::Job {
  explicit Job(RequestScope& scope_in) : scope(scope_in) {}
  RequestScope& scope;
  EmbedRequest request;
  net::CancelToken cancel;
  Plan plan;
  std::vector<Text> texts;     // distinct
  std::vector<size_t> places;  // of each input among them
  CacheState state = CacheState::kBypass;
  size_t cached = 0;        // texts that need no call
  bool waited = false;      // some came with another's call
  std::string native_body;  // the provider's own, when all texts were asked for in one call
  int64_t tokens = 0, cost_microusd = 0, saved_microusd = 0, tries = 0;
  bool priced = true;
};

// Texts that this request asks for, given up when it ends however it ends.
class Embeddings::Claims {
 public:
  explicit Claims(TextFlights& flights) : flights_(flights) {}
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;
  ~Claims() { release(std::nullopt); }
  void add(const Digest& key) { keys_.push_back(key); }
  void release(const std::optional<Failure>& failure) {
    for (const Digest& key : std::exchange(keys_, {})) flights_.release(key, failure);
  }

 private:
  TextFlights& flights_;
  std::vector<Digest> keys_;
};

net::Task<std::optional<Failure>> Embeddings::prepare(Job& job, const CallContext& context,
                                                      std::string_view model,
                                                      std::string_view body) {
  const Books& books = *core_.books_;
  const std::string redacted = books.redacted(body);
  auto read = read_embed_request(job.request.form, redacted, model);
  if (!read.ok()) co_return bad_request_failure(read.error().message());
  job.request = std::move(*read);
  const ClientWishes wishes = read_wishes(context.headers);
  if (wishes.problem != nullptr) co_return bad_request_failure(wishes.problem);
  const RouteWishes where = read_route_wishes(context);
  if (!where.problem.empty()) co_return bad_request_failure(where.problem);
  Plan& p = job.plan;
  auto named = std::make_shared<ChatRequest>();
  named->model = job.request.model;
  p.request = std::move(named);
  p.facts.input_tokens = estimate_tokens(redacted);
  p.facts.conversation = redacted.substr(0, 512);
  if (auto refused = books.guard(p.facts.input_tokens, redacted)) co_return std::move(*refused);
  p.tenant = context.tenant;
  p.key_holder = context.key;
  p.local_only = where.local_only;
  std::optional<Failure> unresolved = co_await resolver_.resolve(p, where);
  if (unresolved) co_return std::move(*unresolved);
  p.use_cache =
      core_.settings.cache_enabled && !wishes.no_store && !wishes.bypass && separable(job.request);
  p.read_cache = !wishes.no_cache && !wishes.refresh;
  p.only_if_cached = wishes.only_if_cached;
  p.max_age_ms = wishes.max_age_ms;
  p.ttl_ms = wishes.ttl_ms > 0 ? wishes.ttl_ms : core_.ttl_ms_of(p.provider->name(), p.model);
  FingerprintScope scope;
  scope.tenant = p.tenant;
  scope.cache_namespace = wishes.cache_namespace;
  scope.provider = p.provider->identity();
  scope.model = p.model;
  std::unordered_map<std::string_view, size_t> known;
  for (const std::string& text : job.request.inputs) {
    const auto [it, first] = known.try_emplace(text, job.texts.size());
    job.places.push_back(it->second);
    if (!first) continue;
    Text t;
    t.text = text;
    if (p.use_cache) t.key = fingerprint_canonical(scope, embed_identity(job.request, text));
    job.texts.push_back(std::move(t));
  }
  co_return std::nullopt;
}

net::Task<void> Embeddings::look_up(Job& job) {
  const bool ask_redis = job.texts.size() <= kRedisTextsMax;
  for (Text& t : job.texts) {
    if (t.found) continue;
    CacheState state = CacheState::kMiss;
    RecordPtr hit = co_await cache_.look_up(t.key, job.plan.max_age_ms, ask_redis, state);
    if (!hit || core_.past_ttl(*hit)) continue;
    // The slowest tier is what the client is told.
    if (job.cached++ == 0 || state != CacheState::kHitMemory) job.state = state;
    job.saved_microusd += std::max<int64_t>(0, hit->cost_microusd);
    t.found = std::move(hit);
  }
}

net::Task<std::variant<EmbedAnswer, Failure>> Embeddings::ask(Job& job,
                                                              const EmbedRequest& request) {
  Plan& p = job.plan;
  Books& books = *core_.books_;
  const std::string provider = p.provider->name();
  const Dialect target = p.provider->dialect();
  auto call = write_embed_request(target, request, p.model);
  if (!call.ok()) {
    const Error& e = call.error();
    co_return bad_request_failure(e.message() + (e.hint().empty() ? "" : "; " + e.hint()));
  }
  const int64_t estimated = estimate_tokens(request.body);
  const auto most = books.prices.estimate(provider, p.model, estimated, 0);
  std::string id = provider + "/" + p.model;
  auto held = co_await budgets_.hold(p.key_holder, std::move(id), provider == "ollama", most);
  if (const auto* no = std::get_if<Ledger::Refusal>(&held)) {
    co_return Failure{429, "insufficient_quota", no->unpriced ? "price_unknown" : "budget_exceeded",
                      no->message, no->retry_after_ms};
  }
  UsageEntry used;
  if (p.key_holder) used.key = p.key_holder->id;
  used.tenant = p.tenant;
  used.provider = provider;
  used.model = p.model;
  std::optional<UpstreamError> error;
  std::string body;
  std::vector<Provider*> endpoints;
  for (const Candidate& c : p.candidates)
    if (c.twin_of(p.candidates.front())) endpoints.push_back(c.provider);
  for (int64_t attempt = 1;; ++attempt) {
    Provider& endpoint = *endpoints[static_cast<size_t>(attempt - 1) % endpoints.size()];
    error.reset();
    core_.upstream_calls.add();
    ++used.tries;
    RawRequest raw;
    raw.path = call->path;
    raw.body = call->body;
    auto sent = co_await endpoint.raw(client_, std::move(raw), job.cancel);
    if (sent.ok() && !sent->error) {
      body = std::move(sent->body);
      break;
    }
    core_.upstream_errors.add();
    if (sent.ok()) {
      error = std::move(*sent->error);
    } else {
      const bool late = sent.error().code() == ErrorCode::kDeadlineExceeded;
      error.emplace();
      error->status = late ? 504 : 502;
      error->type = late ? "timeout_error" : "upstream_error";
      error->message = endpoint.label() + ": " + sent.error().message();
    }
    const bool another = attempt < static_cast<int64_t>(endpoints.size());  // not asked yet
    if (job.cancel.cancelled() ||
        (another ? !another_may_have(*error)
                 : attempt >= core_.settings.attempts || !worth_another_try(*error) ||
                       error->retry_after_ms.value_or(0) > kRetryAfterMaxMs))
      break;
    books.retries.add();
    if (another) continue;
    const std::chrono::milliseconds pause(
        retry_pause_ms(random_, core_.settings.backoff_ms, attempt, error->retry_after_ms));
    (void)co_await loop_.sleep_for(pause, job.cancel);
  }
  job.tries += used.tries;
  std::variant<EmbedAnswer, Failure> out;
  if (error) {
    out = to_failure(*error);
  } else if (auto answer = read_embed_answer(target, body); !answer.ok()) {
    out = Failure{502, "upstream_error", "", provider + ": " + answer.error().message(), {}};
  } else if (!request.inputs.empty() && answer->vectors.size() != request.inputs.size()) {
    out = Failure{502,
                  "upstream_error",
                  "",
                  provider + ": " + std::to_string(request.inputs.size()) +
                      " texts were asked for and " + std::to_string(answer->vectors.size()) +
                      " vectors came",
                  {}};
  } else {
    out = std::move(*answer);
  }
  // What came is paid for, also when it cannot be used.
  if (!error) {
    const auto* answer = std::get_if<EmbedAnswer>(&out);
    const int64_t told = answer != nullptr ? answer->tokens.value_or(0) : 0;
    used.estimated = told > 0 ? 0 : 1;
    used.input_tokens = told > 0 ? told : estimated;
    const auto cost = books.prices.estimate(provider, p.model, used.input_tokens, 0);
    used.cost_microusd = cost.value_or(0);
    used.unpriced = cost ? 0 : 1;
    job.priced = job.priced && cost;
    job.cost_microusd += used.cost_microusd;
    core_.cost_microusd_total.add(static_cast<uint64_t>(used.cost_microusd));
    if (answer != nullptr) std::get<EmbedAnswer>(out).tokens = used.input_tokens;
    if (target == dialect_of(request.form) && request.form != EmbedForm::kOllamaOld)
      job.native_body = std::move(body);
  }
  const int64_t cost = used.cost_microusd;
  books.ledger->add(std::move(used));
  std::get<SharedBudgets::Hold>(held).settle(cost);
  co_return out;
}

void Embeddings::keep(Job& job, const std::vector<size_t>& asked, const EmbedAnswer& answer) {
  const Plan& p = job.plan;
  std::vector<size_t> sizes;
  for (const size_t at : asked) sizes.push_back(job.texts[at].text.size());
  const std::vector<int64_t> tokens = shares(answer.tokens.value_or(0), sizes);
  const std::vector<int64_t> costs = shares(job.cost_microusd, sizes);
  for (size_t i = 0; i < asked.size(); ++i) {
    Text& t = job.texts[asked[i]];
    auto record = std::make_shared<CacheRecord>();
    record->key = t.key;
    record->key_hex = t.key.hex();
    record->answer.provider = p.provider->name();
    record->answer.model = answer.model;
    record->answer.text = base64_of_floats(answer.vectors[i]);
    record->answer.finish_reason = kEmbeddingRecord;
    record->answer.usage.input_tokens = tokens[i];
    record->stored_ms = core_.clock.unix_ms();
    record->expires_ms = record->stored_ms + p.ttl_ms + core_.settings.stale_ms;
    record->cost_microusd = job.priced ? costs[i] : -1;
    record->tenant = p.tenant;
    record->model = p.model;
    t.found = std::move(record);
    if (p.use_cache) cache_.store(t.found);
  }
}

net::Task<std::optional<Failure>> Embeddings::answer(Job& job) {
  const Plan& p = job.plan;
  if (p.use_cache && p.read_cache) co_await look_up(job);
  for (;;) {
    // Claimed first, waited for last: two requests that hold what the other wants both go on.
    Claims claims(core_.text_flights);
    std::vector<size_t> asked;
    std::vector<TextFlights::WaitPtr> waits;
    for (size_t i = 0; i < job.texts.size(); ++i) {
      if (job.texts[i].found) continue;
      if (p.only_if_cached) {
        co_return Failure{504,
                          "invalid_request_error",
                          "not_cached",
                          "not all vectors are cached, and the request allows no other "
                          "(only-if-cached)",
                          {}};
      }
      if (p.use_cache && p.read_cache) {
        if (auto wait = core_.text_flights.claim(job.texts[i].key, loop_)) {
          waits.push_back(std::move(wait));
          continue;
        }
        claims.add(job.texts[i].key);
      }
      asked.push_back(i);
    }
    if (!asked.empty()) {
      const bool all = asked.size() == job.texts.size() && asked.size() == job.places.size();
      std::vector<std::string> inputs;
      for (const size_t i : asked) inputs.push_back(job.texts[i].text);
      // With all its texts it passes as it came.
      const EmbedRequest request = all ? job.request : with_inputs(job.request, std::move(inputs));
      auto got = co_await ask(job, request);
      if (auto* failure = std::get_if<Failure>(&got)) {
        claims.release(*failure);
        co_return std::move(*failure);
      }
      if (!all) job.native_body.clear();
      (p.use_cache ? core_.misses : core_.bypassed).add(asked.size());
      keep(job, asked, std::get<EmbedAnswer>(got));
      claims.release(std::nullopt);
    }
    if (waits.empty()) co_return std::nullopt;
    for (const TextFlights::WaitPtr& wait : waits) {
      std::function<void()> wake = [w = wait.get()] { w->event.notify(); };
      const auto registration = job.cancel.on_cancel(std::move(wake));
      while (!wait->over && !job.cancel.cancelled()) co_await wait->event.wait();
      if (job.cancel.cancelled()) co_return Failure{499, "cancelled", "cancelled", "cancelled", {}};
      if (wait->failure) co_return *wait->failure;
    }
    job.waited = true;
    core_.coalesced.add(waits.size());
    co_await look_up(job);
    // What the other gave up, or what went from the cache meanwhile, is asked for now.
  }
}

net::Task<void> Embeddings::embed(CallContext context, EmbedForm form, std::string_view model,
                                  std::string_view body, ResponseSink& client) {
  const Dialect dialect = dialect_of(form);
  RequestScope sink(core_, context, dialect_name(dialect), body, &client);
  std::optional<Failure> failure = sink.admit();
  Job job(sink);
  job.request.form = form;
  job.cancel = context.cancel;
  if (!failure) failure = co_await prepare(job, context, model, body);
  Plan& p = job.plan;
  if (!failure) {
    sink.planned(p);
    if (job.texts.empty()) {
      // Nothing that we can read as texts: the provider's own matter.
      auto got = co_await ask(job, job.request);
      if (auto* bad = std::get_if<Failure>(&got)) failure = std::move(*bad);
      core_.bypassed.add();
    } else {
      failure = co_await answer(job);
    }
  }
  if (failure) {
    sink.failed(*failure);
    co_await fail(std::move(*failure), dialect, sink);
    co_return;
  }
  std::string out = std::move(job.native_body);
  if (out.empty()) {
    EmbedAnswer answer;
    for (const size_t place : job.places) {
      const RecordPtr& found = job.texts[place].found;
      auto vector = floats_of_base64(found->answer.text);
      if (!vector.ok()) {
        Failure broken{500, "api_error", "", "a cached vector is damaged", {}};
        sink.failed(broken);
        co_await fail(std::move(broken), dialect, sink);
        co_return;
      }
      answer.vectors.push_back(std::move(*vector));
      answer.model = found->answer.model;
    }
    for (const Text& t : job.texts) job.tokens += t.found->answer.usage.input_tokens;
    answer.tokens = job.tokens;
    out = write_embed_answer(job.request, answer);
  } else {
    for (const Text& t : job.texts)
      if (t.found) job.tokens += t.found->answer.usage.input_tokens;
  }
  const size_t asked = job.texts.size() - job.cached;
  if (p.use_cache && asked > 0) job.state = CacheState::kMiss;
  if (p.use_cache && job.tries == 0 && job.waited) job.state = CacheState::kCoalesced;
  sink.embedded(job.state, job.tokens, job.priced ? job.cost_microusd : -1, job.saved_microusd,
                job.tries);
  net::Headers headers;
  headers.add("content-type", "application/json");
  headers.add("x-samplemind-cache", cache_state_name(job.state));
  headers.add("x-samplemind-model", model_header(p.provider->name(), p.model));
  if (p.use_cache) {
    headers.add("x-samplemind-cached-texts",
                std::to_string(job.cached) + "/" + std::to_string(job.texts.size()));
  }
  if (job.priced) headers.add("x-samplemind-cost-microusd", std::to_string(job.cost_microusd));
  if (job.saved_microusd > 0) {
    headers.add("x-samplemind-saved-microusd", std::to_string(job.saved_microusd));
    core_.saved_microusd_total.add(static_cast<uint64_t>(job.saved_microusd));
  }
  (void)(co_await sink.respond(200, std::move(headers), out)).ok();
}

}  // namespace samplemind::ai
