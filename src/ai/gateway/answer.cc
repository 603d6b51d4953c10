#include "ai/gateway/answer.h"

#include <memory>
#include <utility>

#include "ai/dialect/dialect.h"
#include "ai/dialect/openai.h"
#include "ai/gateway/replay.h"

namespace samplemind::ai {

namespace {

// What a client that reads slowly may hold in memory besides the flight's own pieces.
constexpr size_t kWriteMax = 64u << 10;

net::Headers answer_headers(const Plan& p, const Flight& flight, CacheState state) {
  net::Headers headers;
  headers.add("content-type", content_type(p.form));
  headers.add("x-samplemind-cache", cache_state_name(state));
  if (p.use_cache) headers.add("x-samplemind-cache-key", p.key.hex());
  headers.add("x-samplemind-model",
              model_header(flight.provider, flight.model.empty() ? p.model : flight.model));
  if (!flight.route.empty()) headers.add("x-samplemind-route", flight.route);
  if (p.form.stream) {
    headers.add("cache-control", "no-cache");
    headers.add("x-accel-buffering", "no");
  }
  return headers;
}

}  // namespace

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

net::Task<void> fail(Failure f, Dialect dialect, ResponseSink& sink) {
  net::Headers headers;
  headers.set("content-type", "application/json");
  if (f.retry_after_ms)
    headers.set("retry-after", std::to_string((*f.retry_after_ms + 999) / 1000));
  if (f.age_ms >= 0) {
    headers.set("x-samplemind-cache", cache_state_name(CacheState::kHitMemory));
    headers.set("age", std::to_string(f.age_ms / 1000));
  }
  if ((f.status >= 500 && !f.once) || f.spent) headers.set("x-should-retry", "false");
  const std::string body = write_error(dialect, to_answer_error(f));
  (void)(co_await sink.respond(f.status, std::move(headers), body)).ok();
}

net::Task<void> render_hit(GatewayCore& core, const CacheRecord& r_in, CacheState state, Form form,
                           bool paced, net::CancelToken cancel, ResponseSink& sink) {
  net::Headers headers;
  headers.add("content-type", content_type(form));
  headers.add("x-samplemind-cache", cache_state_name(state));
  headers.add("x-samplemind-cache-key", r_in.key_hex);
  headers.add("x-samplemind-model", model_header(r_in.answer.provider, r_in.model));
  headers.add("x-samplemind-cost-microusd", "0");
  headers.add("age", std::to_string((core.clock.unix_ms() - r_in.stored_ms) / 1000));
  if (core.past_ttl(r_in)) headers.add("x-samplemind-cache-stale", "true");
  if (r_in.cost_microusd > 0) {
    headers.add("x-samplemind-saved-microusd", std::to_string(r_in.cost_microusd));
    core.saved_microusd_total.add(static_cast<uint64_t>(r_in.cost_microusd));
  }
  if (form.on_complete) form.on_complete(r_in.answer);
  if (form.stream) {
    headers.add("cache-control", "no-cache");
    if (paced) {
      headers.add("x-accel-buffering", "no");
      co_await replay_paced(r_in, form, std::move(headers), core.settings.replay_rate,
                            std::move(cancel), sink);
      co_return;
    }
    const std::string events = write_stream(form, r_in.answer);
    (void)(co_await sink.respond(200, std::move(headers), events)).ok();
  } else if (form.dialect == Dialect::kOpenAi) {
    RecordPtr rendered;
    if (r_in.openai_body.empty()) {
      // Wanted for the first time since it was stored: most answers never are.
      auto copy = std::make_shared<CacheRecord>(r_in);
      copy->openai_body = write_openai_answer(copy->answer);
      rendered = std::move(copy);
      core.memory.replace(r_in, rendered);
    }
    const std::string& body = rendered ? rendered->openai_body : r_in.openai_body;
    (void)(co_await sink.respond(200, std::move(headers), body)).ok();
  } else {
    const std::string body = write_answer(form, r_in.answer);
    (void)(co_await sink.respond(200, std::move(headers), body)).ok();
  }
}

net::Task<void> whole_flight(const Plan& p, FlightPtr flight, CacheState state,
                             const Follower& follower, net::CancelToken cancel,
                             ResponseSink& sink) {
  while (!flight->done && !cancel.cancelled()) co_await follower.event->wait();
  if (!flight->done) co_return;  // the client is gone
  if (flight->error) {
    Failure failure = to_failure(*flight->error);
    co_await fail(std::move(failure), p.form.dialect, sink);
    co_return;
  }
  net::Headers headers = answer_headers(p, *flight, state);
  if (flight->cost_microusd && state == CacheState::kCoalesced) {
    // Whoever came first pays.
    headers.add("x-samplemind-cost-microusd", "0");
    if (*flight->cost_microusd > 0)
      headers.add("x-samplemind-saved-microusd", std::to_string(*flight->cost_microusd));
  } else if (flight->cost_microusd) {
    headers.add("x-samplemind-cost-microusd", std::to_string(*flight->cost_microusd));
  }
  if (p.form.on_complete) p.form.on_complete(flight->answer);
  // What came whole in the client's own dialect passes as it came; a response has another id.
  const bool native = !flight->native_body.empty() && flight->native == p.form.dialect &&
                      p.form.lead.empty() && p.form.dialect != Dialect::kResponses;
  const std::string body = native ? flight->native_body : write_answer(p.form, flight->answer);
  (void)(co_await sink.respond(200, std::move(headers), body)).ok();
}

net::Task<void> stream_flight(const Plan& p, FlightPtr flight, CacheState state,
                              const Follower& follower, net::CancelToken cancel,
                              ResponseSink& sink) {
  // Nothing is sent before the first content: until then a failure is an HTTP status and another
  // try is possible.
  while (!flight->done && !flight->content && !cancel.cancelled()) co_await follower.event->wait();
  if (cancel.cancelled() && !flight->done) co_return;
  if (flight->error && !flight->content) {
    Failure failure = to_failure(*flight->error);
    co_await fail(std::move(failure), p.form.dialect, sink);
    co_return;
  }
  net::Headers headers = answer_headers(p, *flight, state);
  if (!(co_await sink.start(200, std::move(headers))).ok()) co_return;
  const std::unique_ptr<StreamWriter> writer = make_stream_writer(p.form);
  size_t read = 0;
  for (;;) {
    std::string events;
    for (; read < flight->deltas.size() && events.size() < kWriteMax; ++read)
      writer->delta(events, flight->answer, flight->deltas[read]);
    const bool done = flight->done && read == flight->deltas.size();
    if (done && !flight->error && p.form.on_complete) p.form.on_complete(flight->answer);
    if (done && flight->error) {
      // After content: one error event and no terminal marker.
      writer->error(events, to_answer_error(to_failure(*flight->error)));
    } else if (done && flight->deltas.empty()) {
      events += write_stream(p.form, flight->answer);  // the leader asked for it whole
    } else if (done) {
      writer->end(events, flight->answer);
    }
    if (!events.empty() && !(co_await sink.write(events)).ok()) co_return;
    if (done) {
      // Also after an error: a reset could overtake the event that tells of it. What says that the
      // answer is not complete is that event and the missing marker.
      (void)(co_await sink.finish()).ok();
      co_return;
    }
    if (cancel.cancelled()) co_return;
    if (read == flight->deltas.size() && !flight->done) co_await follower.event->wait();
  }
}

}  // namespace samplemind::ai
