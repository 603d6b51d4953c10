#include "ai/gateway/otlp.h"

#include <chrono>
#include <vector>

#include "ai/gateway/books.h"
#include "base/json.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr std::chrono::seconds kEvery{1};
constexpr std::chrono::milliseconds kPatience{5000};
constexpr size_t kBatch = 512;

void text(JsonWriter& w, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  w.begin_object().field("key", key).key("value").begin_object().field("stringValue", value);
  w.end_object().end_object();
}
// 64-bit numbers are texts in this JSON.
void number(JsonWriter& w, std::string_view key, int64_t value) {
  if (value < 0) return;
  w.begin_object().field("key", key).key("value").begin_object();
  w.field("intValue", std::to_string(value)).end_object().end_object();
}

void write_span(JsonWriter& w, const RequestRecord& r) {
  const int64_t begin_ns = r.begin_ms * 1000000;
  w.begin_object().field("traceId", r.trace_id).field("spanId", r.span_id);
  if (!r.parent_span.empty()) w.field("parentSpanId", r.parent_span);
  w.field("name", "chat " + r.asked)
      .field("kind", 2)
      .field("startTimeUnixNano", std::to_string(begin_ns))
      .field("endTimeUnixNano",
             std::to_string(begin_ns + static_cast<int64_t>(r.duration_s * 1e9)));
  w.key("attributes").begin_array();
  text(w, "gen_ai.operation.name", "chat");
  text(w, "gen_ai.provider.name", r.provider);
  text(w, "gen_ai.request.model", r.asked);
  text(w, "gen_ai.response.model", r.model);
  text(w, "gen_ai.response.finish_reasons", r.finish_reason);
  number(w, "gen_ai.usage.input_tokens", r.input_tokens);
  number(w, "gen_ai.usage.output_tokens", r.output_tokens);
  number(w, "http.response.status_code", r.status);
  text(w, "error.type", r.error);
  text(w, "samplemind.tenant", r.tenant);
  text(w, "samplemind.key", r.key);
  text(w, "samplemind.cache", r.cache);
  text(w, "samplemind.route", r.route);
  number(w, "samplemind.tries", r.tries);
  number(w, "samplemind.cost_microusd", r.cost_microusd);
  number(w, "samplemind.saved_microusd", r.saved_microusd);
  w.end_array();
  w.key("status").begin_object().field("code", r.error.empty() ? 1 : 2);
  if (!r.message.empty()) w.field("message", r.message);
  w.end_object().end_object();
}

}  // namespace

std::string write_otlp(std::span<const RequestRecord> records) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("resourceSpans").begin_array().begin_object();
  w.key("resource").begin_object().key("attributes").begin_array();
  text(w, "service.name", "samplemind");
  w.end_array().end_object();
  w.key("scopeSpans").begin_array().begin_object().key("scope").begin_object();
  w.field("name", "samplemind.gateway").end_object().key("spans").begin_array();
  for (const RequestRecord& r : records) write_span(w, r);
  w.end_array().end_object().end_array().end_object().end_array().end_object();
  return out;
}

net::Task<void> export_traces(GatewayCore& core, net::Loop& loop, net::Client& client) {
  std::string base = core.config.string("log.otlp_endpoint");
  while (base.ends_with('/')) base.pop_back();
  const auto url = net::Url::parse(base + "/v1/traces");
  if (!url.ok()) {
    log::warn("no traces", {{"log.otlp_endpoint", base}, {"error", url.error().message()}});
    co_return;
  }
  Counter& sent = core.books_->metrics.counter("samplemind_otlp_sent_total", "Traces sent.");
  Counter& dropped = core.books_->metrics.counter("samplemind_otlp_dropped_total",
                                                  "Traces that the collector did not take.");
  bool told = false;
  for (;;) {
    (void)co_await loop.sleep_for(kEvery);
    const std::vector<RequestRecord> batch = core.books_->log.drain(kBatch);
    if (batch.empty()) continue;
    net::ClientRequest request("POST", *url);
    request.headers.set("Content-Type", "application/json");
    request.body = write_otlp(batch);
    request.first_byte_timeout = request.idle_timeout = request.total_timeout = kPatience;
    auto response = co_await client.send(std::move(request));
    bool good = response.ok() && (*response)->status() < 300;
    if (response.ok()) {
      const auto rest = co_await (*response)->read_all(64u << 10);
      good &= rest.ok();
    }
    (good ? sent : dropped).add(batch.size());
    if (!good && !std::exchange(told, true))
      log::warn("the collector takes no traces", {{"log.otlp_endpoint", base}});
    if (good) told = false;
  }
}

}  // namespace samplemind::ai
