// What it costs to decide who may ask, where it goes and what it may cost; and to write down that
// it was asked. One thread, no network.
#include <benchmark/benchmark.h>

#include <string>

#include "ai/config_keys.h"
#include "ai/dialect/openai.h"
#include "ai/facts.h"
#include "ai/keys.h"
#include "ai/ledger.h"
#include "ai/limits.h"
#include "ai/money.h"
#include "ai/request_log.h"
#include "ai/router.h"
#include "base/clock.h"
#include "base/config.h"
#include "server/security.h"

namespace samplemind::ai {
namespace {

std::string body_of(size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "Which of these two kicks sits better below the bass? ";
  return R"({"model":"auto","messages":[{"role":"user","content":")" + text + R"("}]})";
}

// What a request of 1 KB is about, its task by its words, the order of models for it.
void Routing(benchmark::State& state) {
  const auto table = RouteTable::load({}, {}, {}, {"ollama", "gemini", "anthropic", "openai"});
  const auto request = read_openai_request(body_of(1 << 10));
  for (auto _ : state) {
    const RequestFacts facts = facts_of(*request);
    const auto task = table->recognise(facts);
    auto order = table->order(task->task, Priority::kSpeed);
    benchmark::DoNotOptimize(order);
  }
}
BENCHMARK(Routing);

// A virtual key is found, its limits and two budgets are asked, the call is settled and counted.
void KeyLimitsBudget(benchmark::State& state) {
  const auto keys = KeyStore::in_memory(system_clock());
  VirtualKey wanted;
  wanted.name = "ann";
  wanted.models = {"openai/*", "ollama/*"};
  wanted.requests_per_minute = 1'000'000'000'000;
  wanted.tokens_per_minute = 1'000'000'000'000;
  wanted.budgets = {*parse_budget("1000000/month"), *parse_budget("1000000/day:openai/*")};
  const KeyIssue issue = *keys->create(wanted);
  for (int i = 0; i < 100; ++i) {
    wanted.name = "other" + std::to_string(i);
    (void)keys->create(wanted);
  }
  const auto ledger = Ledger::open({}, {*parse_budget("1000000/month")});
  RateLimiter limits(system_clock());
  server::SecurityPolicy policy;
  policy.keys = keys.get();
  net::RequestHead head;
  head.method = "POST";
  head.target = "/v1/chat/completions";
  head.authority = "localhost:8000";
  head.headers.set("content-type", "application/json");
  head.headers.set("authorization", "Bearer " + issue.secret);
  for (auto _ : state) {
    server::Caller caller;
    if (server::check_request(head, policy, &caller)) state.SkipWithError("refused");
    const Admission a = limits.admit(*caller.key, 250);
    if (a.refused || !caller.key->may_use("openai/gpt-4o")) state.SkipWithError("limited");
    const auto most = PriceTable::builtin().estimate("openai", "gpt-4o", 250, 500);
    auto held = (*ledger)->hold(caller.key.get(), "openai/gpt-4o", false, most);
    if (std::holds_alternative<Ledger::Refusal>(held)) state.SkipWithError("no money");
    UsageEntry used;
    used.key = caller.key->id;
    used.tenant = "local";
    used.provider = "openai";
    used.model = "gpt-4o";
    used.tries = 1;
    used.input_tokens = 250;
    used.cost_microusd = 1;
    (*ledger)->add(std::move(used));
    held = Ledger::Hold();
    limits.settle(*caller.key, 250, 300);
  }
}
BENCHMARK(KeyLimitsBudget);

// The record of one request, as it is kept for /api/v1/requests.
void RequestRecordKept(benchmark::State& state) {
  const auto config =
      Config::load(config_keys(), "/nonexistent", false, {{"log.requests", "none"}});
  RequestLog log(*config);
  for (auto _ : state) {
    RequestRecord r;
    r.begin_ms = 1;
    r.dialect = "OpenAI";
    r.tenant = "local";
    r.trace_id = std::string(32, 'a');
    r.span_id = std::string(16, 'b');
    r.provider = "openai";
    r.model = "gpt-4o";
    r.asked = "openai/gpt-4o";
    r.cache = "miss";
    r.status = 200;
    log.add(std::move(r));
  }
}
BENCHMARK(RequestRecordKept);

}  // namespace
}  // namespace samplemind::ai

BENCHMARK_MAIN();
