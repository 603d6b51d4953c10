#include "ai/gateway.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <random>
#include <unordered_map>
#include <variant>

#include "ai/cache/disk.h"
#include "ai/cache/memory.h"
#include "ai/dialect/openai.h"
#include "ai/fingerprint.h"
#include "ai/money.h"
#include "ai/resilience.h"
#include "ai/task_group_internal.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "net/client.h"
#include "net/offload.h"

namespace samplemind::ai {

namespace {

constexpr size_t kSeenMax = 65536;       // bodies whose fingerprint is remembered, a shard
constexpr int64_t kModelListMs = 30000;  // how long a provider's list of models is believed
constexpr int64_t kListFailedMs = 2000;  // how long a provider that did not list is left alone
constexpr int64_t kRetryPauseMaxMs = 10000;
constexpr int64_t kRetryAfterMaxMs = 60000;  // a provider that asks for more is not waited for
constexpr size_t kTailBytesMax = 64u << 10;
constexpr size_t kFlightBytesMax = 32u << 20;  // of one answer
constexpr size_t kModelsKnownMax = 1024;       // whose health is remembered; clients choose names
constexpr double kRetryShare = 0.2;            // retries, of a provider's calls
constexpr double kRetryReserve = 10;
constexpr double kHedgeShare = 0.05;
constexpr double kHedgeReserve = 2;

int64_t elapsed_ms(SteadyTime since, const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.steady() - since).count();
}

}  // namespace

std::string_view cache_state_name(CacheState state) {
  switch (state) {
    case CacheState::kHitMemory:
      return "hit-memory";
    case CacheState::kHitDisk:
      return "hit-disk";
    case CacheState::kMiss:
      return "miss";
    case CacheState::kCoalesced:
      return "coalesced";
    case CacheState::kBypass:
      break;
  }
  return "bypass";
}

namespace {

struct Settings {
  bool cache_enabled = true;
  bool bypass_sampling = false;
  int64_t ttl_ms = 0;
  int64_t attempts = 3;
  bool breaker = true;
  bool hedge = false;
  int64_t backoff_ms = 1000;
  int64_t total_timeout_ms = 600000;
  std::string openai_default;
  std::string ollama_default;
  std::vector<std::string> recommended;
  std::vector<std::string> order;
  std::map<std::string, std::string> aliases;
};

class GatewayCore final : public Gateway {
 public:
  GatewayCore(const Config& config, Metrics& metrics, const Clock& clock_in)
      : config(config),
        clock(clock_in),
        memory(std::max<uint64_t>(1 << 20, config.bytes("cache.memory"))),
        hits_memory(metrics.counter("samplemind_cache_hits_total", "Answers from the cache.",
                                    {{"tier", "memory"}})),
        hits_disk(metrics.counter("samplemind_cache_hits_total", "Answers from the cache.",
                                  {{"tier", "disk"}})),
        misses(
            metrics.counter("samplemind_cache_misses_total", "Requests that went to a provider.")),
        coalesced(metrics.counter("samplemind_cache_coalesced_total",
                                  "Requests that joined an equal one on its way.")),
        bypassed(metrics.counter("samplemind_cache_bypass_total",
                                 "Requests that neither read nor fill the cache.")),
        upstream_calls(metrics.counter("samplemind_upstream_calls_total", "Tries at providers.")),
        upstream_errors(metrics.counter("samplemind_upstream_errors_total", "Tries that failed.")),
        upstream_paused(metrics.counter("samplemind_upstream_paused_total",
                                        "Tries not made: the model failed too often lately.")),
        retries_saved(metrics.counter("samplemind_upstream_retries_saved_total",
                                      "Tries not made: too many retries already.")),
        hedges(metrics.counter("samplemind_upstream_hedges_total",
                               "Second tries beside a slow first one.")),
        hedges_won(metrics.counter("samplemind_upstream_hedges_won_total",
                                   "Second tries that answered sooner.")),
        input_tokens(metrics.counter("samplemind_tokens_total", "Tokens that providers counted.",
                                     {{"direction", "input"}})),
        output_tokens(metrics.counter("samplemind_tokens_total", "Tokens that providers counted.",
                                      {{"direction", "output"}})),
        cost_microusd_total(
            metrics.counter("samplemind_cost_microusd_total", "Spent, in millionths of a dollar.")),
        saved_microusd_total(metrics.counter("samplemind_saved_microusd_total",
                                             "Saved by the cache, in millionths of a dollar.")),
        first_token(metrics.histogram("samplemind_first_token_seconds",
                                      "From the call to the first piece of the answer.")) {
    settings.cache_enabled = config.boolean("cache.enabled");
    settings.bypass_sampling = config.string("cache.sampling") == "bypass";
    settings.ttl_ms = config.duration_ms("cache.ttl");
    settings.attempts = std::clamp<int64_t>(config.integer("ai.attempts"), 1, 10);
    settings.breaker = config.boolean("ai.breaker");
    settings.hedge = config.boolean("ai.hedge");
    settings.backoff_ms = config.duration_ms("ai.backoff");
    settings.total_timeout_ms = config.duration_ms("ai.total_timeout");
    settings.openai_default = config.string("ai.openai.default_model");
    settings.ollama_default = config.string("ai.ollama.default_model");
    settings.recommended = config.list("ai.ollama.recommended_models");
    settings.order = config.list("ai.order");
    settings.aliases = config.table("ai.aliases");
  }

  CacheStats cache_stats() const override {
    CacheStats s;
    s.memory_bytes = memory.bytes();
    s.memory_entries = memory.entries();
    if (disk) {
      s.disk_bytes = disk->bytes();
      s.disk_entries = disk->entries();
    }
    s.hits_memory = hits_memory.value();
    s.hits_disk = hits_disk.value();
    s.misses = misses.value();
    s.coalesced = coalesced.value();
    s.saved_microusd = saved_microusd_total.value();
    return s;
  }
  void flush() override {
    if (disk) disk->flush();
  }

  const Config config;
  const Clock& clock;
  Settings settings;
  MemoryCache memory;
  std::unique_ptr<DiskCache> disk;
  ThreadPool disk_readers{"cache-read", 1, 1024};
  Counter &hits_memory, &hits_disk, &misses, &coalesced, &bypassed, &upstream_calls,
      &upstream_errors, &upstream_paused, &retries_saved, &hedges, &hedges_won, &input_tokens,
      &output_tokens, &cost_microusd_total, &saved_microusd_total;
  Histogram& first_token;
};

// One upstream call and everyone who waits for it: a growing list of pieces that each follower
// reads from its start. It lives on one loop.
class Flight final : public ChatSink {
 public:
  void delta(ChatDelta d, const ChatAnswer& head_in) override {
    answer.id = head_in.id;
    answer.created_s = head_in.created_s;
    answer.model = head_in.model;
    bytes += sizeof d + d.text.size() + d.reasoning.size() + d.openai_data.size();
    for (const ChatDelta::Tool& t : d.tools) bytes += t.arguments.size();
    if (bytes > kFlightBytesMax) {
      too_large = true;
      cancel.cancel();
      return;
    }
    append(answer, d);
    if (d.has_content() || !d.finish_reason.empty()) has_content();
    deltas.push_back(std::move(d));
    wake();
  }
  void whole(ChatAnswer a, std::string body, size_t choices_in) override {
    answer = std::move(a);
    openai_body = std::move(body);
    choices = choices_in;
    has_content();
    wake();
  }
  void rest(std::unique_ptr<net::ClientResponse> response) override { tail = std::move(response); }
  void end(std::optional<UpstreamError> e) {
    error = std::move(e);
    done = true;
    wake();
  }
  void has_content() {
    content = true;
    if (auto call = std::exchange(on_content, nullptr)) call();
  }
  // A try that failed before content leaves nothing behind.
  void restart() {
    deltas.clear();
    answer = ChatAnswer();
    bytes = 0;
  }
  void wake() {
    for (net::Event* f : followers) f->notify();
  }

  std::string provider;
  std::vector<ChatDelta> deltas;
  ChatAnswer answer;
  std::string openai_body;
  size_t choices = 1;
  size_t bytes = 0;
  bool content = false;  // pieces with content were given: no other try may follow
  bool done = false;
  bool too_large = false;
  std::unique_ptr<net::ClientResponse> tail;
  std::function<void()> on_content;  // called once
  std::optional<UpstreamError> error;
  std::optional<int64_t> cost_microusd;
  net::CancelToken cancel = net::CancelToken::create();
  std::vector<net::Event*> followers;
};
using FlightPtr = std::shared_ptr<Flight>;

// One of two tries that run for the same flight: the first to give content is the flight's, and
// cancels the other. Before that its pieces are its own.
class RacingTry final : public ChatSink {
 public:
  RacingTry(Flight& flight_in, std::shared_ptr<RacingTry*> winner_in)
      : flight(flight_in), winner(std::move(winner_in)), cancel(flight_in.cancel.child()) {}
  void delta(ChatDelta d, const ChatAnswer& head) override {
    if (lost()) return;
    if (*winner == nullptr && !d.has_content() && d.finish_reason.empty()) {
      early.emplace_back(std::move(d), head);
      return;
    }
    win();
    flight.delta(std::move(d), head);
  }
  void whole(ChatAnswer answer, std::string body, size_t choices) override {
    if (lost()) return;
    win();
    flight.whole(std::move(answer), std::move(body), choices);
  }
  void rest(std::unique_ptr<net::ClientResponse> response) override {
    if (!lost()) flight.rest(std::move(response));
  }
  bool lost() const { return *winner != nullptr && *winner != this; }
  void win() {
    if (*winner == this) return;
    *winner = this;
    if (other != nullptr) other->cancel.cancel();
    for (auto& [d, head] : early) flight.delta(std::move(d), head);
    early.clear();
  }

  Flight& flight;
  std::shared_ptr<RacingTry*> winner;
  RacingTry* other = nullptr;
  net::CancelToken cancel;
  std::vector<std::pair<ChatDelta, ChatAnswer>> early;
  std::optional<UpstreamError> error;
  bool done = false;
  std::shared_ptr<net::Event> event;
};

// What is known of a model's health, on this loop.
struct ModelHealth {
  CircuitBreaker breaker;
  LatencyWindow first_content;
  CallBudget hedges{kHedgeShare, kHedgeReserve};
};

// What a request is, once read and resolved.
struct Plan {
  OpenAiRequest request;
  Provider* provider = nullptr;
  std::string model;
  Digest key;
  bool use_cache =
      true;  // may be answered from and stored in the cache, and joined with equal ones
  bool read_cache = true;
  bool store = true;
  net::Headers forward;
  std::string tenant;
  int64_t max_age_ms = -1;  // an older answer is not wanted; -1: any
  bool only_if_cached = false;
  std::string note;  // why the cache is not used
};

struct ClientWishes {
  bool no_store = false, no_cache = false, only_if_cached = false, bypass = false, refresh = false;
  bool unknown_mode = false;
  int64_t max_age_ms = -1;
};

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

// A directive we cannot read is taken at its strictest.
int64_t read_max_age_ms(std::string_view seconds) {
  if (seconds.size() >= 2 && seconds.front() == '"' && seconds.back() == '"')
    seconds = seconds.substr(1, seconds.size() - 2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), value);
  if (end != seconds.data() + seconds.size() || error == std::errc::invalid_argument) return 0;
  constexpr uint64_t kTenYears = 315'360'000;
  if (error == std::errc::result_out_of_range) value = kTenYears;
  return static_cast<int64_t>(std::min(value, kTenYears)) * 1000;
}

ClientWishes read_wishes(const net::Headers* headers) {
  ClientWishes w;
  if (headers == nullptr) return w;
  for (const auto& [name, value] : headers->fields()) {
    if (equal_ignoring_case(name, "cache-control")) {
      for (std::string_view rest = value; !rest.empty();) {
        const size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view directive = trimmed(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        const size_t equals = directive.find('=');
        const std::string_view key = trimmed(directive.substr(0, equals));
        if (equal_ignoring_case(key, "no-store")) w.no_store = true;
        if (equal_ignoring_case(key, "no-cache")) w.no_cache = true;
        if (equal_ignoring_case(key, "only-if-cached")) w.only_if_cached = true;
        if (equal_ignoring_case(key, "max-age") && equals != std::string_view::npos)
          w.max_age_ms = read_max_age_ms(trimmed(directive.substr(equals + 1)));
      }
    } else if (equal_ignoring_case(name, "x-samplemind-cache-mode")) {
      w.bypass = equal_ignoring_case(value, "bypass");
      w.refresh = equal_ignoring_case(value, "refresh");
      w.unknown_mode = !w.bypass && !w.refresh;
    }
  }
  if (w.max_age_ms == 0) w.no_cache = true;
  return w;
}

// Headers that can change an answer, in a fixed order.
std::string answer_changing_headers(const net::Headers* headers) {
  std::string out;
  if (headers == nullptr) return out;
  for (const char* name : {"openai-beta", "anthropic-beta", "anthropic-version"}) {
    for (const std::string_view value : headers->get_all(name))
      out.append(name).append(":").append(value).append("\n");
  }
  return out;
}

// Those of them that an OpenAI-compatible server understands.
net::Headers forwarded_headers(const net::Headers* headers) {
  net::Headers out;
  if (headers == nullptr) return out;
  for (const std::string_view value : headers->get_all("openai-beta"))
    out.add("OpenAI-Beta", value);
  return out;
}

// Up to three of the known models that the asked name may mean, in quotes: those that begin with
// it, else one that is a slip away, with or without its tag ("llama3.2:3b": "llama3.2").
std::string close_names(const std::string& asked, const std::vector<std::string>& known) {
  std::vector<std::string> close;
  for (const std::string& each : known) {
    if (close.size() < 3 && asked.size() >= 3 && each.starts_with(asked)) close.push_back(each);
  }
  if (close.empty()) {
    std::vector<std::string> untagged;
    for (const std::string& each : known) untagged.push_back(each.substr(0, each.find(':')));
    if (const auto whole = nearest(asked, known)) {
      close.push_back(*whole);
    } else if (const auto base = nearest(asked, untagged)) {
      const auto at = std::find(untagged.begin(), untagged.end(), *base) - untagged.begin();
      close.push_back(known[static_cast<size_t>(at)]);
    }
  }
  std::string out;
  for (size_t i = 0; i < close.size(); ++i)
    out += (i == 0 ? "'" : i + 1 == close.size() ? " or '" : ", '") + close[i] + "'";
  return out;
}

// "provider/model" for a header: a client chooses the name, so what is not plain is
// percent-encoded.
std::string model_header(std::string_view provider, std::string_view model) {
  std::string out = std::string(provider) + "/";
  for (const char c : model) {
    if (c > ' ' && c < 0x7F && c != '%') {
      out += c;
    } else {
      out += net::percent_encode(std::string_view(&c, 1));
    }
  }
  return out;
}

struct Failure {
  int status;
  std::string type, code, message;
  std::optional<int64_t> retry_after_ms;
};

class Shard final : public GatewayShard {
 public:
  Shard(std::shared_ptr<GatewayCore> core, net::Loop& loop)
      : core_(std::move(core)), loop_(loop), client_(net::Client::create(loop)) {
    providers_.push_back(make_ollama(core_->config));
    providers_.push_back(make_openai(core_->config));
  }

  net::Task<void> openai_chat(CallContext context, std::string_view body,
                              ResponseSink& sink) override {
    const ClientWishes wishes = read_wishes(context.headers);
    const bool plain = !wishes.no_store && !wishes.no_cache && !wishes.bypass && !wishes.refresh &&
                       !wishes.unknown_mode;
    const Digest seen_key = seen_digest(context, body);
    // The quick way: this very body was answered before.
    if (plain && core_->settings.cache_enabled) {
      const auto seen = seen_.find(seen_key);
      if (seen != seen_.end() && seen->second.until_ms > core_->clock.unix_ms()) {
        if (RecordPtr hit = core_->memory.get(seen->second.key, core_->clock.unix_ms());
            hit && young_enough(*hit, wishes.max_age_ms)) {
          core_->hits_memory.add();
          co_await render_hit(*hit, CacheState::kHitMemory, seen->second.stream,
                              seen->second.include_usage, sink);
          co_return;
        }
      }
    }
    std::variant<Plan, Failure> planned = co_await plan(context, body, wishes);
    if (auto* failure = std::get_if<Failure>(&planned)) {
      co_await fail(std::move(*failure), sink);
      co_return;
    }
    Plan p = std::move(std::get<Plan>(planned));
    CacheState state = CacheState::kMiss;
    if (p.use_cache && p.read_cache) {
      const RecordPtr hit = co_await look_up(p, state);
      if (hit) {
        // Only now: most bodies never come again, and need no place among those that do.
        if (plain) remember(seen_key, p);
        co_await render_hit(*hit, state, p.request.stream, p.request.include_usage, sink);
        co_return;
      }
    }
    if (p.only_if_cached) {
      Failure failure{504,
                      "invalid_request_error",
                      "not_cached",
                      "no cached answer, and the request allows no other (only-if-cached)",
                      {}};
      co_await fail(std::move(failure), sink);
      co_return;
    }
    FlightPtr flight = join(p, body, state);
    const Follower follower(*flight, context.cancel);
    if (p.request.stream) {
      co_await stream_flight(p, flight, state, follower, context.cancel, sink);
    } else {
      co_await whole_flight(p, flight, state, follower, context.cancel, sink);
    }
  }

  net::Task<Result<AskAnswer>> ask(std::string body, AskOptions options,
                                   std::function<void(std::string_view)> on_text) override {
    const SteadyTime begin = core_->clock.steady();
    CallContext context;
    context.cancel = options.cancel;
    context.tenant = "local";
    ClientWishes wishes;
    wishes.refresh = options.fresh;
    std::variant<Plan, Failure> planned = co_await plan(context, body, wishes);
    if (auto* failure = std::get_if<Failure>(&planned)) co_return to_error(*failure);
    Plan p = std::move(std::get<Plan>(planned));
    AskAnswer out;
    if (p.use_cache && p.read_cache) {
      const RecordPtr hit = co_await look_up(p, out.cache);
      if (hit) {
        out.answer = hit->answer;
        out.cost_microusd = 0;
        if (hit->cost_microusd >= 0) {
          out.saved_microusd = hit->cost_microusd;
          core_->saved_microusd_total.add(static_cast<uint64_t>(hit->cost_microusd));
        }
        on_text(out.answer.text);
        out.elapsed_s = std::chrono::duration<double>(core_->clock.steady() - begin).count();
        co_return out;
      }
    }
    FlightPtr flight = join(p, body, out.cache);
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
    if (!flight->done) co_return Error(ErrorCode::kCancelled, "cancelled");
    if (flight->error) co_return to_error(to_failure(*flight->error));
    if (read == 0) on_text(flight->answer.text);
    out.answer = flight->answer;
    out.cost_microusd = flight->cost_microusd;
    out.elapsed_s = std::chrono::duration<double>(core_->clock.steady() - begin).count();
    co_return out;
  }

  net::Task<std::vector<ModelInfo>> models() override {
    std::vector<ModelInfo> all;
    for (const auto& provider : providers_) {
      if (!provider->configured()) continue;
      auto list = co_await provider->models(*client_);
      if (!list.ok()) continue;
      for (ModelInfo& m : *list) {
        if (const auto price = price_of(m.provider, m.name)) {
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
    for (const auto& provider : providers_) states.push_back(co_await provider->state(*client_));
    states.push_back({"gemini", false, "not built yet", "comes with a later version"});
    states.push_back({"claude", false, "not built yet", "comes with a later version"});
    co_return states;
  }

  net::Task<Result<void>> pull(std::string model,
                               std::function<void(const PullProgress&)> on_progress,
                               net::CancelToken cancel) override {
    Provider* ollama = providers_.front().get();
    co_return co_await ollama->pull(*client_, std::move(model), std::move(on_progress),
                                    std::move(cancel));
  }

  size_t connections() const override { return client_->connections(); }

 private:
  struct Seen {
    Digest key;
    bool stream;
    bool include_usage;
    int64_t until_ms;
  };

  // Registers with a flight for as long as it lives; the last one to leave cancels the upstream
  // call.
  struct Follower {
    Follower(Flight& f, const net::CancelToken& cancel)
        : flight(f), event(std::make_unique<net::Event>()) {
      flight.followers.push_back(event.get());
      net::Event* e = event.get();
      registration = cancel.on_cancel([e] { e->notify(); });
    }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    ~Follower() {
      std::erase(flight.followers, event.get());
      if (flight.followers.empty() && !flight.done) flight.cancel.cancel();
    }
    Flight& flight;
    std::unique_ptr<net::Event> event;
    net::CancelToken::Registration registration;
  };

  Digest seen_digest(const CallContext& context, std::string_view body) const {
    Hasher h = seen_base_;
    h.update_field(context.tenant);
    h.update_field(answer_changing_headers(context.headers));
    h.update(body);
    return h.finish();
  }

  void remember(const Digest& seen_key, const Plan& p) {
    if (seen_.size() >= kSeenMax) seen_.clear();
    // Names that were resolved by a provider's list are resolved again once the list is.
    seen_[seen_key] = {p.key, p.request.stream, p.request.include_usage,
                       core_->clock.unix_ms() + kModelListMs};
  }

  bool young_enough(const CacheRecord& r, int64_t max_age_ms) const {
    return max_age_ms < 0 || core_->clock.unix_ms() - r.stored_ms <= max_age_ms;
  }

  static Failure to_failure(const UpstreamError& e) {
    return {e.status, e.type, e.code, e.message, e.retry_after_ms};
  }
  static Error to_error(const Failure& f) {
    ErrorCode code = ErrorCode::kUpstream;
    if (f.status == 400) code = ErrorCode::kInvalidArgument;
    if (f.status == 404) code = ErrorCode::kNotFound;
    if (f.status == 429) code = ErrorCode::kResourceExhausted;
    if (f.status == 499) code = ErrorCode::kCancelled;
    if (f.status == 503) code = ErrorCode::kUnavailable;
    if (f.status == 504) code = ErrorCode::kDeadlineExceeded;
    return Error(code, f.message);
  }

  net::Task<void> fail(Failure f, ResponseSink& sink) {
    net::Headers headers;
    headers.set("content-type", "application/json");
    if (f.retry_after_ms)
      headers.set("retry-after", std::to_string((*f.retry_after_ms + 999) / 1000));
    // Our own tries are spent: a client that tries again at once only multiplies the load.
    if (f.status >= 500) headers.set("x-should-retry", "false");
    const std::string body = write_openai_error(f.message, f.type, f.code);
    (void)(co_await sink.respond(f.status, std::move(headers), body)).ok();
  }

  net::Task<std::variant<Plan, Failure>> plan(CallContext context, std::string_view body,
                                              ClientWishes wishes) {
    auto request = read_openai_request(body);
    if (!request.ok())
      co_return Failure{400, "invalid_request_error", "", request.error().message(), {}};
    if (wishes.unknown_mode) {
      co_return Failure{400,
                        "invalid_request_error",
                        "",
                        "x-samplemind-cache-mode must be 'bypass' or 'refresh'",
                        {}};
    }
    Plan p;
    p.request = std::move(*request);
    std::optional<Failure> unresolved = co_await resolve(p);
    if (unresolved) co_return std::move(*unresolved);
    FingerprintScope scope;
    const std::string headers = answer_changing_headers(context.headers);
    const std::string provider = p.provider->name() + " " + p.provider->endpoint();
    scope.tenant = context.tenant;
    scope.provider = provider;
    scope.model = p.model;
    scope.headers = headers;
    auto key = fingerprint(scope, body);
    if (!key.ok()) co_return Failure{400, "invalid_request_error", "", key.error().message(), {}};
    p.key = *key;
    if (!core_->settings.cache_enabled) p.note = "the cache is off";
    if (!p.request.never_cache.empty()) p.note = p.request.never_cache;
    if (wishes.no_store) p.note = "no-store";
    if (wishes.bypass) p.note = "x-samplemind-cache-mode: bypass";
    if (core_->settings.bypass_sampling && p.request.sampling) p.note = "sampling";
    p.use_cache = p.note.empty();
    p.read_cache = !wishes.no_cache && !wishes.refresh;
    p.max_age_ms = wishes.max_age_ms;
    p.only_if_cached = wishes.only_if_cached;
    p.tenant = context.tenant;
    p.forward = forwarded_headers(context.headers);
    co_return std::move(p);
  }

  Provider* provider_named(std::string_view name) {
    for (const auto& p : providers_) {
      if (p->name() == name) return p.get();
    }
    return nullptr;
  }

  // Finds who answers for the model's name: an alias, 'auto', 'provider/model', or a name that a
  // provider lists.
  net::Task<std::optional<Failure>> resolve(Plan& p) {
    std::string name = p.request.model;
    if (const auto alias = core_->settings.aliases.find(name);
        alias != core_->settings.aliases.end())
      name = alias->second;
    if (name == "auto") co_return co_await resolve_auto(p);
    if (const size_t slash = name.find('/'); slash != std::string::npos) {
      if (Provider* provider = provider_named(name.substr(0, slash))) {
        if (!provider->configured()) {
          co_return Failure{503,
                            "invalid_request_error",
                            "provider_not_configured",
                            "the provider '" + provider->name() +
                                "' is not configured: 'samplemind models' says what to do",
                            {}};
        }
        p.provider = provider;
        p.model = name.substr(slash + 1);
        co_return std::nullopt;
      }
    }
    std::vector<std::string> known;
    std::string unreachable;
    for (const auto& provider : providers_) {
      if (!provider->configured()) continue;
      const List& list = *co_await listed(*provider);
      if (!list.problem.empty()) unreachable += (unreachable.empty() ? "" : "; ") + list.problem;
      for (const std::string& model : list.names) {
        if (model == name || model == name + ":latest") {
          p.provider = provider.get();
          p.model = model;
          co_return std::nullopt;
        }
        known.push_back(model);
      }
    }
    if (known.empty() && !unreachable.empty()) {
      co_return Failure{503,
                        "upstream_error",
                        "provider_unreachable",
                        "no AI provider answers: " + unreachable +
                            ". 'samplemind models' says what each of them needs",
                        {}};
    }
    std::string message = "the model '" + p.request.model + "' does not exist";
    if (const std::string close = close_names(name, known); !close.empty()) {
      message += "; did you mean " + close + "?";
    } else if (!known.empty()) {
      message += "; there is '" + known.front() + "'";
      if (known.size() > 1) message += " and " + std::to_string(known.size() - 1) + " more";
      message += ": GET /v1/models lists them";
    } else {
      message +=
          "; no provider offers any: 'samplemind pull-models' gets some for Ollama, "
          "OPENAI_API_KEY opens OpenAI's";
    }
    if (!unreachable.empty()) message += " (" + unreachable + ")";
    co_return Failure{404, "invalid_request_error", "model_not_found", message, {}};
  }

  // The first provider in order that is ready, with its preferred model.
  net::Task<std::optional<Failure>> resolve_auto(Plan& p) {
    std::string tried;
    for (const std::string& name : core_->settings.order) {
      Provider* provider = provider_named(name);
      if (provider == nullptr || !provider->configured()) continue;
      const List& list = *co_await listed(*provider);
      if (list.names.empty()) {
        const std::string problem = list.problem.empty() ? name + " has no model" : list.problem;
        tried += (tried.empty() ? "" : "; ") + problem;
        continue;
      }
      std::vector<std::string> wanted;
      if (name == "openai") {
        wanted.push_back(core_->settings.openai_default);
      } else {
        if (!core_->settings.ollama_default.empty())
          wanted.push_back(core_->settings.ollama_default);
        wanted.insert(wanted.end(), core_->settings.recommended.begin(),
                      core_->settings.recommended.end());
      }
      p.provider = provider;
      p.model = list.names.front();
      for (const std::string& each : wanted) {
        if (std::find(list.names.begin(), list.names.end(), each) == list.names.end()) continue;
        p.model = each;
        break;
      }
      co_return std::nullopt;
    }
    co_return Failure{
        503,
        "upstream_error",
        "no_provider",
        "no AI provider is ready" + (tried.empty() ? std::string() : " (" + tried + ")") +
            ": install Ollama and run 'samplemind pull-models', or set OPENAI_API_KEY",
        {}};
  }

  // What a provider offers, as far as it said lately. Equal questions at once are one request.
  struct List {
    std::vector<std::string> names;
    std::string problem;  // why it could not be asked
    int64_t until_ms = 0;
    bool loading = false;
    std::vector<net::Event*> waiters;
  };
  struct ListWaiter {
    explicit ListWaiter(List& l) : list(l) { list.waiters.push_back(&event); }
    ListWaiter(const ListWaiter&) = delete;
    ListWaiter& operator=(const ListWaiter&) = delete;
    ~ListWaiter() { std::erase(list.waiters, &event); }
    List& list;
    net::Event event;
  };

  net::Task<const List*> listed(Provider& provider) {
    List& list = lists_[provider.name()];  // stays where it is
    if (list.until_ms > core_->clock.unix_ms()) co_return &list;
    if (!list.loading) {
      list.loading = true;
      tasks_.start(load_list(provider, list));
    }
    ListWaiter waiter(list);
    while (list.loading) co_await waiter.event.wait();
    co_return &list;
  }

  net::Task<void> load_list(Provider& provider, List& list) {
    auto names = co_await provider.model_names(*client_);
    list.loading = false;
    list.problem = names.ok() ? std::string() : provider.name() + ": " + names.error().message();
    list.names = names.ok() ? std::move(*names) : std::vector<std::string>();
    list.until_ms = core_->clock.unix_ms() + (list.problem.empty() ? kModelListMs : kListFailedMs);
    for (net::Event* each : list.waiters) each->notify();
  }

  net::Task<RecordPtr> look_up(const Plan& p, CacheState& state) {
    if (RecordPtr hit = from_memory(p, state)) co_return hit;
    if (!core_->disk || !core_->disk->may_have(p.key)) co_return nullptr;
    // Not a shared pointer: the last one must not die on the pool's own thread. The pool belongs to
    // the core and runs its queue to the end before the disk tier goes.
    GatewayCore* core = core_.get();
    const Digest key = p.key;
    std::function<Result<RecordPtr>()> work = [core, key]() -> Result<RecordPtr> {
      const RecordPtr found = core->disk->get(key, core->clock.unix_ms());
      if (!found) return RecordPtr();
      // The disk keeps the answer free of any dialect: rendered once, it is a memory entry like any
      // other.
      auto record = std::make_shared<CacheRecord>(*found);
      record->openai_body = write_openai_answer(record->answer);
      return RecordPtr(std::move(record));
    };
    auto found = co_await net::offload<RecordPtr>(core_->disk_readers, std::move(work));
    // An equal request may have been answered meanwhile, and what it left is newer.
    if (RecordPtr hit = from_memory(p, state)) co_return hit;
    if (!found.ok() || !*found || !young_enough(**found, p.max_age_ms)) co_return nullptr;
    core_->memory.put(*found);
    core_->hits_disk.add();
    state = CacheState::kHitDisk;
    co_return std::move(*found);
  }

  RecordPtr from_memory(const Plan& p, CacheState& state) {
    RecordPtr hit = core_->memory.get(p.key, core_->clock.unix_ms());
    if (!hit || !young_enough(*hit, p.max_age_ms)) return nullptr;
    core_->hits_memory.add();
    state = CacheState::kHitMemory;
    return hit;
  }

  net::Task<void> render_hit(const CacheRecord& r_in, CacheState state, bool stream,
                             bool include_usage, ResponseSink& sink) {
    net::Headers headers;
    headers.add("content-type", stream ? "text/event-stream" : "application/json");
    headers.add("x-samplemind-cache", cache_state_name(state));
    headers.add("x-samplemind-cache-key", r_in.key_hex);
    headers.add("x-samplemind-model", model_header(r_in.answer.provider, r_in.model));
    headers.add("x-samplemind-cost-microusd", "0");
    headers.add("age", std::to_string((core_->clock.unix_ms() - r_in.stored_ms) / 1000));
    if (r_in.cost_microusd > 0) {
      headers.add("x-samplemind-saved-microusd", std::to_string(r_in.cost_microusd));
      core_->saved_microusd_total.add(static_cast<uint64_t>(r_in.cost_microusd));
    }
    if (stream) {
      headers.add("cache-control", "no-cache");
      const std::string events = write_openai_stream(r_in.answer, include_usage);
      (void)(co_await sink.respond(200, std::move(headers), events)).ok();
    } else {
      (void)(co_await sink.respond(200, std::move(headers), r_in.openai_body)).ok();
    }
  }

  // Joins the flight of an equal request or starts one.
  FlightPtr join(const Plan& p, std::string_view body, CacheState& state) {
    if (p.use_cache) {
      if (const auto it = flights_.find(p.key);
          it != flights_.end() && !it->second->cancel.cancelled()) {
        core_->coalesced.add();
        state = CacheState::kCoalesced;
        return it->second;
      }
      core_->misses.add();
      state = CacheState::kMiss;
    } else {
      core_->bypassed.add();
      state = CacheState::kBypass;
    }
    auto flight = std::make_shared<Flight>();
    flight->provider = p.provider->name();
    if (p.use_cache) flights_[p.key] = flight;
    tasks_.start(fly(flight, p, std::string(body)));
    return flight;
  }

  std::shared_ptr<ModelHealth> health_of(const Plan& p) {
    if (health_.size() >= kModelsKnownMax) health_.clear();
    std::shared_ptr<ModelHealth>& health = health_[p.provider->name() + " " + p.model];
    if (!health) health = std::make_shared<ModelHealth>();
    return health;
  }
  CallBudget& retries_of(const std::string& provider) {
    return retries_.try_emplace(provider, kRetryShare, kRetryReserve).first->second;
  }

  // Tells the breaker how a try ended. A client's own fault, a rate limit or a cancelled call say
  // nothing of the provider's health.
  void judge(ModelHealth& health, const std::optional<UpstreamError>& error) {
    const SteadyTime now = core_->clock.steady();
    if (!error) {
      health.breaker.success(now);
    } else if (error->status >= 500 && error->code != "upstream_key_refused") {
      health.breaker.failure(now);
    } else {
      health.breaker.neither();
    }
  }

  static UpstreamError paused_error(const Flight& flight, const Plan& p,
                                    std::chrono::milliseconds wait) {
    UpstreamError e;
    e.status = 503;
    e.code = "upstream_paused";
    e.retry_after_ms = std::max<int64_t>(1, wait.count());
    e.message = flight.provider + ": '" + p.model +
                "' failed too often lately and is asked again in " +
                std::to_string((*e.retry_after_ms + 999) / 1000) + " s";
    return e;
  }

  net::Task<void> fly(FlightPtr flight, Plan p, std::string body_in) {
    const auto body = std::make_shared<const std::string>(std::move(body_in));
    const std::shared_ptr<ModelHealth> health = health_of(p);
    const SteadyTime begin = core_->clock.steady();
    SteadyTime try_begin = begin;
    flight->on_content = [this, begin, &try_begin, health] {
      const SteadyTime now = core_->clock.steady();
      core_->first_token.observe(std::chrono::duration<double>(now - begin).count());
      health->first_content.add(now - try_begin);
    };
    retries_of(flight->provider).earn(begin);
    std::optional<UpstreamError> error;
    for (int64_t attempt = 1;; ++attempt) {
      try_begin = core_->clock.steady();
      if (core_->settings.breaker && !health->breaker.allow(try_begin)) {
        core_->upstream_paused.add();
        // What the tries before said tells more than that no other follows.
        if (!error) error = paused_error(*flight, p, health->breaker.until_probe(try_begin));
        break;
      }
      core_->upstream_calls.add();
      CallOptions options;
      options.model = p.model;
      options.stream = p.request.stream;
      options.headers = p.forward;
      options.total_timeout = std::chrono::milliseconds(std::max<int64_t>(1, left_ms(begin)));
      options.cancel = flight->cancel;
      // A second try of a request with tools could act twice.
      const auto p95 = core_->settings.hedge && !p.request.tools && attempt == 1
                           ? health->first_content.p95()
                           : std::nullopt;
      if (p95) {
        error = co_await race(flight, p, body, std::move(options), *p95, health);
      } else {
        error = co_await p.provider->chat(*client_, *body, std::move(options), *flight);
      }
      if (core_->settings.breaker) judge(*health, error);
      if (!error) break;
      core_->upstream_errors.add();
      if (!error->retry || flight->content || attempt >= core_->settings.attempts ||
          flight->cancel.cancelled())
        break;
      const int64_t pause_ms = retry_pause_ms(attempt, *error);
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
    flight->answer.provider = flight->provider;
    if (flight->too_large) {
      error = UpstreamError{};
      error->code = "upstream_answer_too_large";
      error->message = flight->provider + ": the answer is larger than 32 MiB";
    }
    if (!error) {
      account(*flight, p);
      if (p.use_cache && flight->choices == 1 && flight->answer.complete()) store(*flight, p);
    } else if (error->code != "cancelled") {
      log::warn("upstream failed", {{"provider", flight->provider},
                                    {"model", p.model},
                                    {"status", error->status},
                                    {"error", error->message}});
    }
    if (const auto it = flights_.find(p.key); it != flights_.end() && it->second == flight)
      flights_.erase(it);
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

  // The call, and a second one beside it when it has given no content for as long as 95 of 100
  // took.
  net::Task<std::optional<UpstreamError>> race(FlightPtr flight, const Plan& p,
                                               std::shared_ptr<const std::string> body,
                                               CallOptions options, std::chrono::nanoseconds p95,
                                               std::shared_ptr<ModelHealth> health) {
    health->hedges.earn(core_->clock.steady());
    auto winner = std::make_shared<RacingTry*>(nullptr);
    auto event = std::make_shared<net::Event>();
    auto first = std::make_shared<RacingTry>(*flight, winner);
    first->event = event;
    tasks_.start(run_try(flight, p.provider, body, options, first));
    bool late = false;
    std::function<void()> on_late = [event, &late] {
      late = true;
      event->notify();
    };
    const net::Loop::Timer timer = loop_.after(p95, std::move(on_late));
    while (!first->done && !late) co_await event->wait();
    if (first->done || *winner != nullptr || flight->cancel.cancelled() ||
        !health->hedges.spend(core_->clock.steady())) {
      while (!first->done) co_await event->wait();
      co_return std::move(first->error);
    }
    core_->hedges.add();
    core_->upstream_calls.add();
    auto second = std::make_shared<RacingTry>(*flight, winner);
    second->event = event;
    first->other = second.get();
    second->other = first.get();
    tasks_.start(run_try(flight, p.provider, body, std::move(options), second));
    // Until the one that has won is done, or both are.
    while (!(first->done && second->done) && !(*winner != nullptr && (*winner)->done))
      co_await event->wait();
    first->other = second->other = nullptr;
    if (*winner == second.get()) {
      core_->hedges_won.add();
      co_return std::move(second->error);
    }
    co_return std::move(first->error);
  }

  // Holds all that it refers to: the loser may end after the race.
  net::Task<void> run_try(FlightPtr flight, Provider* provider,
                          std::shared_ptr<const std::string> body, CallOptions options,
                          std::shared_ptr<RacingTry> racer) {
    options.cancel = racer->cancel;
    racer->error = co_await provider->chat(*client_, *body, std::move(options), *racer);
    racer->done = true;
    racer->event->notify();
    (void)flight;
  }

  int64_t left_ms(SteadyTime begin) const {
    return core_->settings.total_timeout_ms - elapsed_ms(begin, core_->clock);
  }

  // Exponential with full jitter; never sooner than the provider asks.
  int64_t retry_pause_ms(int64_t attempt, const UpstreamError& error) {
    const int64_t ceiling = std::min(
        core_->settings.backoff_ms << std::min<int64_t>(attempt - 1, 10), kRetryPauseMaxMs);
    const int64_t pause_ms =
        std::uniform_int_distribution<int64_t>(0, std::max<int64_t>(1, ceiling))(random_);
    return std::max(pause_ms, error.retry_after_ms.value_or(0));
  }

  void account(Flight& flight, const Plan& p) {
    flight.cost_microusd = cost_microusd(flight.provider, p.model, flight.answer.usage);
    core_->input_tokens.add(
        static_cast<uint64_t>(std::max<int64_t>(0, flight.answer.usage.input_tokens)));
    core_->output_tokens.add(
        static_cast<uint64_t>(std::max<int64_t>(0, flight.answer.usage.output_tokens)));
    core_->cost_microusd_total.add(static_cast<uint64_t>(flight.cost_microusd.value_or(0)));
  }

  void store(const Flight& flight, const Plan& p) {
    auto record = std::make_shared<CacheRecord>();
    record->key = p.key;
    record->key_hex = p.key.hex();
    record->answer = flight.answer;
    record->stored_ms = core_->clock.unix_ms();
    record->expires_ms = record->stored_ms + core_->settings.ttl_ms;
    record->cost_microusd = flight.cost_microusd.value_or(-1);
    record->tenant = p.tenant;
    record->model = p.model;
    record->openai_body = write_openai_answer(record->answer);
    const RecordPtr shared = record;
    core_->memory.put(shared);
    if (core_->disk) core_->disk->put(shared);
  }

  static net::Headers answer_headers(const Plan& p, const Flight& flight, CacheState state,
                                     bool stream) {
    net::Headers headers;
    headers.add("content-type", stream ? "text/event-stream" : "application/json");
    headers.add("x-samplemind-cache", cache_state_name(state));
    if (p.use_cache) headers.add("x-samplemind-cache-key", p.key.hex());
    headers.add("x-samplemind-model", model_header(flight.provider, p.model));
    if (stream) {
      headers.add("cache-control", "no-cache");
      headers.add("x-accel-buffering", "no");
    }
    return headers;
  }

  net::Task<void> whole_flight(const Plan& p, FlightPtr flight, CacheState state,
                               const Follower& follower, net::CancelToken cancel,
                               ResponseSink& sink) {
    while (!flight->done && !cancel.cancelled()) co_await follower.event->wait();
    if (!flight->done) co_return;  // the client is gone
    if (flight->error) {
      Failure failure = to_failure(*flight->error);
      co_await fail(std::move(failure), sink);
      co_return;
    }
    net::Headers headers = answer_headers(p, *flight, state, false);
    if (flight->cost_microusd)
      headers.add("x-samplemind-cost-microusd", std::to_string(*flight->cost_microusd));
    const std::string body =
        flight->openai_body.empty() ? write_openai_answer(flight->answer) : flight->openai_body;
    (void)(co_await sink.respond(200, std::move(headers), body)).ok();
  }

  net::Task<void> stream_flight(const Plan& p, FlightPtr flight, CacheState state,
                                const Follower& follower, net::CancelToken cancel,
                                ResponseSink& sink) {
    // Nothing is sent before the first content: until then a failure is an HTTP status and another
    // try is possible.
    while (!flight->done && !flight->content && !cancel.cancelled())
      co_await follower.event->wait();
    if (cancel.cancelled() && !flight->done) co_return;
    if (flight->error && !flight->content) {
      Failure failure = to_failure(*flight->error);
      co_await fail(std::move(failure), sink);
      co_return;
    }
    net::Headers headers = answer_headers(p, *flight, state, true);
    if (!(co_await sink.start(200, std::move(headers))).ok()) co_return;
    size_t read = 0;
    bool first = true;
    bool role_missing = true;
    for (;;) {
      std::string events;
      for (; read < flight->deltas.size(); ++read) {
        const ChatDelta& d = flight->deltas[read];
        if (d.usage_only && !p.request.include_usage) continue;
        if (!d.openai_data.empty()) {
          std::string data = d.openai_data;
          if (role_missing && !d.has_role) data = with_role(data);
          role_missing &= !d.has_role && data.size() == d.openai_data.size();
          events += "data: " + data + "\n\n";
        } else if (d.has_content() || !d.finish_reason.empty() || first) {
          events += "data: " + write_openai_chunk(flight->answer, d, first) + "\n\n";
        }
        first = false;
      }
      const bool done = flight->done;
      if (done && !flight->error) {
        if (flight->deltas.empty()) {
          events += write_openai_stream(flight->answer,
                                        p.request.include_usage);  // the leader asked for it whole
        } else {
          const bool native = !flight->deltas.back().openai_data.empty();
          if (!native && p.request.include_usage)
            events += "data: " + write_openai_usage_chunk(flight->answer) + "\n\n";
          events += "data: [DONE]\n\n";
        }
      } else if (done) {
        // After content: one error event and no terminal marker.
        events +=
            "data: " +
            write_openai_error(flight->error->message, flight->error->type, flight->error->code) +
            "\n\n";
      }
      if (!events.empty() && !(co_await sink.write(events)).ok()) co_return;
      if (done) {
        // Also after an error: a reset could overtake the event that tells of it. What says that
        // the answer is not complete is that event and the missing [DONE].
        (void)(co_await sink.finish()).ok();
        co_return;
      }
      if (cancel.cancelled()) co_return;
      if (read == flight->deltas.size() && !flight->done) co_await follower.event->wait();
    }
  }

  std::shared_ptr<GatewayCore> core_;
  net::Loop& loop_;
  std::unique_ptr<net::Client> client_;
  std::vector<std::unique_ptr<Provider>> providers_;
  std::unordered_map<Digest, Seen> seen_;
  std::unordered_map<Digest, FlightPtr> flights_;
  std::map<std::string, List> lists_;
  std::unordered_map<std::string, std::shared_ptr<ModelHealth>> health_;
  std::map<std::string, CallBudget> retries_;
  std::mt19937_64 random_{std::random_device{}()};
  const Hasher seen_base_{"samplemind body seen"};
  TaskGroup tasks_{loop_};  // last: its frames refer to all of the above
};

}  // namespace

Result<std::shared_ptr<Gateway>> Gateway::create(const Config& config,
                                                 const std::filesystem::path& cache_folder,
                                                 Metrics& metrics, const Clock& clock) {
  const std::string sampling = config.string("cache.sampling");
  if (sampling != "cache" && sampling != "bypass") {
    return Error(ErrorCode::kInvalidArgument,
                 "cache.sampling must be 'cache' or 'bypass', not '" + sampling + "'");
  }
  const std::vector<std::string> providers{"ollama", "openai"};
  for (const std::string& name : config.list("ai.order")) {
    if (std::find(providers.begin(), providers.end(), name) != providers.end()) continue;
    const auto close = nearest(name, providers);
    return Error(ErrorCode::kInvalidArgument, "ai.order: there is no provider '" + name + "'",
                 close ? "did you mean '" + *close + "'?" : "the providers are ollama and openai");
  }
  for (const auto& [alias, model] : config.table("ai.aliases")) {
    if (model.empty())
      return Error(ErrorCode::kInvalidArgument, "ai.aliases." + alias + " names no model");
  }
  if (config.duration_ms("cache.ttl") <= 0)
    return Error(ErrorCode::kInvalidArgument, "cache.ttl must be above 0",
                 "cache.enabled = false turns the cache off");
  auto core = std::make_shared<GatewayCore>(config, metrics, clock);
  const uint64_t disk_bytes = config.bytes("cache.disk");
  if (core->settings.cache_enabled && disk_bytes > 0 && !cache_folder.empty()) {
    auto disk = DiskCache::open(cache_folder, disk_bytes);
    if (disk.ok()) {
      core->disk = std::move(*disk);
    } else {
      log::warn("no disk cache", {{"error", disk.error().message()}});
    }
  }
  return std::shared_ptr<Gateway>(std::move(core));
}

std::unique_ptr<GatewayShard> GatewayShard::create(std::shared_ptr<Gateway> gateway,
                                                   net::Loop& loop) {
  return std::make_unique<Shard>(std::static_pointer_cast<GatewayCore>(std::move(gateway)), loop);
}

}  // namespace samplemind::ai
