#include "ai/gateway/scope.h"

#include <algorithm>
#include <random>

#include "ai/gateway/books.h"
#include "ai/limits.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

constexpr size_t kBodyKept = 64u << 10;
constexpr size_t kNameKept = 200;

std::string hex(uint64_t a) {
  std::string out(16, '0');
  for (size_t i = 0; i < 16; ++i) out[15 - i] = "0123456789abcdef"[(a >> (4 * i)) & 15];
  return out;
}

uint64_t random64() {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  for (;;) {
    if (const uint64_t n = engine(); n != 0) return n;
  }
}

// "00-TRACE-SPAN-FLAGS"; anything else counts as absent (W3C Trace Context).
bool read_traceparent(std::string_view text, RequestRecord& r) {
  const auto all_hex = [](std::string_view s) {
    return s.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           s.find_first_not_of('0') != std::string_view::npos;
  };
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
      text.starts_with("ff") || (text.starts_with("00") && text.size() != 55))
    return false;
  if (!all_hex(text.substr(3, 32)) || !all_hex(text.substr(36, 16))) return false;
  r.trace_id = text.substr(3, 32);
  r.parent_span = text.substr(36, 16);
  return true;
}

// A header's value: what a client chose may hold anything.
std::string header_text(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 1000)) out += c >= ' ' && c < 0x7F ? c : '?';
  return out;
}

}  // namespace

RequestScope::RequestScope(GatewayCore& core, const CallContext& context, std::string_view dialect,
                           std::string_view body, ResponseSink* sink)
    : core_(core),
      sink_(sink),
      key_(context.key),
      body_(body),
      anthropic_(dialect == "Anthropic"),
      begin_(core.clock.steady()) {
  record_.begin_ms = core.clock.unix_ms();
  record_.dialect = dialect;
  record_.tenant = context.tenant;
  if (key_) record_.key = key_->id;
  const auto parent = context.headers != nullptr ? context.headers->get("traceparent")
                                                 : std::optional<std::string_view>();
  if (!parent || !read_traceparent(*parent, record_))
    record_.trace_id = hex(random64()) + hex(random64());
  record_.span_id = hex(random64());
}

std::string RequestScope::traceparent() const {
  return "00-" + record_.trace_id + "-" + record_.span_id + "-01";
}

std::optional<Failure> RequestScope::admit() {
  if (!key_) return std::nullopt;
  admitted_tokens_ = static_cast<int64_t>(body_.size() / 4);
  // Pictures and sound are sent as text that is no words.
  if (body_.size() > 256u << 10) admitted_tokens_ = (256 << 10) / 4;
  const Admission a = core_.books_->limits.admit(*key_, admitted_tokens_);
  limits_ = a.state;
  if (!a.refused) return std::nullopt;
  admitted_tokens_ = 0;
  Failure f{429, "rate_limit_error", "rate_limit_exceeded", a.message, {}};
  if (a.retry_after_ms > 0) f.retry_after_ms = a.retry_after_ms;
  refused_ = true;
  return f;
}

void RequestScope::planned(const Plan& p) {
  record_.asked = p.request->model.substr(0, kNameKept);
  record_.stream = p.form.stream;
  record_.provider = p.provider->name();
  record_.model = p.model;
  record_.route = p.route;
  core_.books_->count_route(p.rule);
}

void RequestScope::hit(const CacheRecord& r, CacheState state, const std::string& route) {
  hit_ = true;
  record_.provider = r.answer.provider;
  record_.model = r.model;
  if (record_.asked.empty()) record_.asked = r.model;
  if (record_.route.empty()) record_.route = route;
  record_.cache = cache_state_name(state);
  record_.finish_reason = r.answer.finish_reason;
  record_.cost_microusd = 0;
  record_.saved_microusd = std::max<int64_t>(0, r.cost_microusd);
  record_.input_tokens = r.answer.usage.input_tokens;
  record_.output_tokens = r.answer.usage.output_tokens;
  if (core_.books_->log.bodies()) record_.answer_body = r.answer.text;
}

void RequestScope::flown(const Flight& f, CacheState state) {
  record_.cache = cache_state_name(state);
  coalesced_ = state == CacheState::kCoalesced;
  if (!f.provider.empty()) record_.provider = f.provider;
  if (!f.model.empty()) record_.model = f.model;
  if (!f.route.empty()) record_.route = f.route;
  record_.tries = coalesced_ ? 0 : f.tries;
  record_.finish_reason = f.answer.finish_reason;
  record_.estimated = f.estimated;
  record_.cached_input_tokens = f.answer.usage.cached_input_tokens;
  if (f.answer.usage.reported || f.estimated) {
    record_.input_tokens = f.answer.usage.input_tokens;
    record_.output_tokens = f.answer.usage.output_tokens;
  }
  if (coalesced_) {
    record_.cost_microusd = 0;
    record_.saved_microusd = f.cost_microusd.value_or(0);
  } else {
    record_.cost_microusd = f.cost_microusd.value_or(-1);
  }
  if (f.error) {
    record_.error = f.error->code.empty() ? f.error->type : f.error->code;
    record_.message = f.error->message;
  }
  if (core_.books_->log.bodies()) record_.answer_body = f.answer.text;
}

void RequestScope::embedded(CacheState state, int64_t input_tokens, int64_t cost_microusd,
                            int64_t saved_microusd, int64_t tries) {
  hit_ = state == CacheState::kHitMemory || state == CacheState::kHitDisk ||
         state == CacheState::kHitRedis;
  coalesced_ = state == CacheState::kCoalesced;
  record_.cache = cache_state_name(state);
  record_.tries = tries;
  record_.input_tokens = input_tokens;
  record_.output_tokens = 0;
  record_.cost_microusd = cost_microusd;
  record_.saved_microusd = saved_microusd;
}

void RequestScope::failed(const Failure& f) {
  record_.error = f.code.empty() ? f.type : f.code;
  record_.message = f.message;
  if (record_.status == 0) record_.status = f.status;
  if (sink_ == nullptr) ended_ = true;
}

void RequestScope::add_headers(net::Headers& h) {
  if (const auto taken = h.get("x-samplemind-route")) record_.route = *taken;  // not as planned
  if (!record_.route.empty()) h.set("x-samplemind-route", header_text(record_.route));
  h.set("x-samplemind-request-id", record_.span_id);
  const int64_t now_ms = core_.clock.unix_ms();
  const auto tell = [&](const char* kind, int64_t limit, int64_t left, int64_t full_ms) {
    if (limit == 0) return;
    if (anthropic_) {
      const std::string prefix = std::string("anthropic-ratelimit-") + kind;
      h.set(prefix + "-limit", std::to_string(limit));
      h.set(prefix + "-remaining", std::to_string(left));
      h.set(prefix + "-reset",
            format_rfc3339(WallTime(std::chrono::milliseconds(now_ms + full_ms + 999))));
    } else {
      h.set(std::string("x-ratelimit-limit-") + kind, std::to_string(limit));
      h.set(std::string("x-ratelimit-remaining-") + kind, std::to_string(left));
      h.set(std::string("x-ratelimit-reset-") + kind, go_duration(full_ms));
    }
  };
  tell("requests", limits_.requests_limit, limits_.requests_left, limits_.requests_full_ms);
  tell("tokens", limits_.tokens_limit, limits_.tokens_left, limits_.tokens_full_ms);
}

void RequestScope::first_byte() {
  if (record_.first_token_s >= 0) return;
  record_.first_token_s = std::chrono::duration<double>(core_.clock.steady() - begin_).count();
}

net::Task<Result<void>> RequestScope::respond(int status, net::Headers headers,
                                              std::string_view body) {
  record_.status = status;
  add_headers(headers);
  first_byte();
  auto sent = co_await sink_->respond(status, std::move(headers), body);
  ended_ = sent.ok();
  co_return sent;
}

net::Task<Result<void>> RequestScope::start(int status, net::Headers headers) {
  record_.status = status;
  add_headers(headers);
  first_byte();
  return sink_->start(status, std::move(headers));
}

net::Task<Result<void>> RequestScope::write(std::string_view piece) {
  return sink_->write(piece);
}

net::Task<Result<void>> RequestScope::finish() {
  ended_ = true;
  return sink_->finish();
}

void RequestScope::abort() {
  ended_ = true;
  sink_->abort();
}

RequestScope::~RequestScope() {
  Books& books = *core_.books_;
  record_.duration_s = std::chrono::duration<double>(core_.clock.steady() - begin_).count();
  if (!ended_ && sink_ != nullptr) record_.status = 499;
  if (key_ && admitted_tokens_ > 0) {
    const int64_t used =
        std::max<int64_t>(0, record_.input_tokens) + std::max<int64_t>(0, record_.output_tokens);
    books.limits.settle(*key_, admitted_tokens_, hit_ || coalesced_ ? 0 : used);
  }
  const bool good = record_.error.empty() && record_.status < 400;
  (refused_                ? books.refused
   : record_.status == 499 ? books.left
   : good                  ? books.answered
                           : books.failed)
      .add();
  books.request_seconds.observe(record_.duration_s);
  if (good && record_.first_token_s >= 0) books.first_token_seconds.observe(record_.first_token_s);
  if (good && record_.stream && !hit_ && record_.output_tokens > 1) {
    books.output_token_seconds.observe((record_.duration_s - record_.first_token_s) /
                                       static_cast<double>(record_.output_tokens - 1));
  }
  if (!refused_) {
    UsageEntry e;
    e.key = record_.key;
    e.tenant = record_.tenant;
    e.provider = record_.provider.empty() ? "none" : record_.provider;
    e.model = record_.model.empty() ? "none" : record_.model;
    e.requests = 1;
    e.errors = good ? 0 : 1;
    e.hits = hit_ ? 1 : 0;
    e.coalesced = coalesced_ ? 1 : 0;
    e.saved_microusd = record_.saved_microusd;
    books.ledger->add(std::move(e));
  }
  if (books.log.bodies()) record_.request_body = body_.substr(0, kBodyKept);
  books.log.add(std::move(record_));
}

}  // namespace samplemind::ai
