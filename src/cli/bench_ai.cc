// samplemind bench ai: what the cache and the router are worth on a working day.
#include "cli/bench_ai.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <utility>

#include "ai/gateway/books.h"
#include "ai/money.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "server/engine.h"
#include "server/local_exchange.h"
#include "server/routes.h"

namespace samplemind::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kAtOnce = 1e9;  // the models answer at once: only counts are of interest

// One pass of the day.
struct Pass {
  std::string name;
  bool cache = true;
  std::string model;  // that every request names

  size_t requests = 0;
  uint64_t calls = 0, paid = 0;  // at providers; at such as cost money
  uint64_t counted = 0;          // calls as our own books say
  int64_t cost_microusd = 0;
  std::vector<double> all_s, hit_s, fetched_s;  // latencies
};

double quantile(std::vector<double>& v, double q) {
  if (v.empty()) return 0;
  const size_t at = std::min(v.size() - 1, static_cast<size_t>(q * static_cast<double>(v.size())));
  std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(at), v.end());
  return v[at];
}

double fewer(const Pass& p) {
  return p.requests == 0 ? 0 : 1 - static_cast<double>(p.paid) / static_cast<double>(p.requests);
}

struct Replay {
  const net::Handler& handler;
  const Day& day;
  Pass& pass;
  double speed;  // 0: a real provider
  Progress& progress;
  size_t running = 0;
  std::string problem;
  net::Event ended;
};

// What the request took, at the models' full speed. Only the scripted model's time is scaled: what
// the gateway took is as measured.
double at_full_speed(double measured_s, std::string_view cache, const std::string& model,
                     const std::string& answer, double speed) {
  if (speed <= 0 || cache.starts_with("hit")) return measured_s;
  // One that joined another's call waited for a part of it: all that it waited is the model's.
  if (cache == "coalesced") return measured_s * speed;
  const auto told = JsonValue::parse(answer);
  const int64_t tokens = told.ok() ? (*told)["usage"]["completion_tokens"].integer_or(0) : 0;
  const double model_s = ScriptedProvider::model_seconds(model.substr(0, model.find('/')), tokens);
  return std::max(0.0, measured_s - model_s / speed) + model_s;
}

net::Task<void> one_user(Replay& r, size_t user) {
  for (const DayQuestion& q : r.day.users[user]) {
    if (!r.problem.empty()) break;
    std::string answer;
    std::function<void(std::string_view)> on_piece = [&answer](std::string_view piece) {
      answer += piece;
    };
    server::LocalExchange exchange("POST", "/v1/chat/completions", Day::body(q, r.pass.model),
                                   std::move(on_piece));
    const auto begun = Clock::now();
    co_await r.handler(exchange);
    const double took = std::chrono::duration<double>(Clock::now() - begun).count();
    if (exchange.status() != 200) {
      const auto told = JsonValue::parse(answer);
      r.problem = told.ok() ? (*told)["error"]["message"].string_or("") : "";
      if (r.problem.empty()) r.problem = "answered with " + std::to_string(exchange.status());
      break;
    }
    const auto& headers = exchange.head().headers;
    const std::string cache(headers.get("x-samplemind-cache").value_or(""));
    const std::string model(headers.get("x-samplemind-model").value_or(""));
    const double seconds = at_full_speed(took, cache, model, answer, r.speed);
    ++r.pass.requests;
    r.pass.all_s.push_back(seconds);
    (cache.starts_with("hit") ? r.pass.hit_s : r.pass.fetched_s).push_back(seconds);
    r.progress.show(r.pass.name,
                    static_cast<double>(r.pass.requests) / static_cast<double>(r.day.questions),
                    "");
  }
  --r.running;
  r.ended.notify();
}

net::Task<void> all_users(net::Loop& loop, Replay& r) {
  r.running = r.day.users.size();
  for (size_t user = 0; user < r.day.users.size(); ++user) loop.spawn(one_user(r, user));
  while (r.running > 0) co_await r.ended.wait();
}

class Bench {
 public:
  Bench(const Context& context, const DayBenchOptions& options, fs::path folder)
      : context_(context), options_(options), folder_(std::move(folder)) {}

  Result<void> run(Pass& pass, const Day& day, double speed, Progress& progress) {
    ConfigFlags flags = {{"cache.enabled", pass.cache ? "true" : "false"},
                         {"cache.redis.url", ""},
                         {"log.requests", "none"}};
    std::unique_ptr<ScriptedProvider> scripted;
    std::optional<Config> config;
    if (options_.model.empty()) {
      SM_TRY(scripted, ScriptedProvider::start(speed));
      const std::string base = "http://" + scripted->address();
      flags.insert(flags.end(), {{"ai.openai.base_url", base + "/openai/v1"},
                                 {"ai.anthropic.base_url", base + "/anthropic"},
                                 {"ai.gemini.base_url", base + "/gemini/v1beta"},
                                 {"ai.ollama.host", base},
                                 {"ai.openai.api_key", "bench-key-bench"},
                                 {"ai.anthropic.api_key", "bench-key-bench"},
                                 {"ai.gemini.api_key", "bench-key-bench"}});
      // The user's own rules and prices are left out, and what was measured moves nothing: the same
      // seed gives the same counts.
      const fs::path rules = folder_ / "routes.toml";
      SM_CHECK_OK(write_file_atomic(rules, "refine = false\n", 0600));
      flags.emplace_back("ai.routes", rules.string());
      SM_TRY(config, Config::load(server::all_config_keys(), {}, false, flags));
    } else {
      SM_TRY(config, context_.load_config(flags));
    }
    const fs::path home = folder_ / ("pass-" + std::to_string(passes_++));
    SM_TRY(const auto engine,
           server::Engine::open(std::move(*config), home, library::Catalogue::Access::kWrite));
    net::Loop loop;
    auto shard = std::make_unique<server::EngineShard>(*engine, loop);
    net::Handler handler = server::make_handler(*shard, {});
    Replay replay{handler, day, pass, scripted ? speed : 0, progress, 0, {}, {}};
    loop.run_until_done(all_users(loop, replay));
    loop.destroy_tasks();
    handler = {};
    shard.reset();
    if (!replay.problem.empty())
      return Error(ErrorCode::kUpstream, pass.name + ": " + replay.problem);
    ai::Ledger& ledger = *engine->gateway->books().ledger;
    ledger.flush();
    SM_TRY(const auto rows, ledger.usage(ai::UsageBy::kModel, 2));
    uint64_t local = 0;
    for (const ai::UsageRow& row : rows) {
      pass.counted += static_cast<uint64_t>(row.sum.tries);
      pass.cost_microusd += row.sum.cost_microusd;
      if (row.group.starts_with("ollama/")) local += static_cast<uint64_t>(row.sum.tries);
    }
    pass.calls = pass.counted;
    if (scripted) {
      pass.calls = 0;
      for (size_t i = 0; i < kScriptedDialects; ++i)
        pass.calls += scripted->calls(static_cast<ScriptedDialect>(i));
      local = scripted->calls(ScriptedDialect::kOllama);
    }
    pass.paid = pass.calls - local;
    return ok();
  }

 private:
  const Context& context_;
  const DayBenchOptions& options_;
  const fs::path folder_;
  int passes_ = 0;
};

void write_pass(JsonWriter& w, Pass& p) {
  w.begin_object().field("name", p.name).field("cache", p.cache).field("model", p.model);
  w.field("requests", p.requests)
      .field("upstream_calls", p.calls)
      .field("upstream_calls_counted", p.counted)
      .field("paid_calls", p.paid)
      .field("fewer_paid_calls", fewer(p))
      .field("cost_microusd", p.cost_microusd)
      .field("median_s", quantile(p.all_s, 0.5))
      .field("p95_s", quantile(p.all_s, 0.95))
      .field("hit_median_s", quantile(p.hit_s, 0.5))
      .field("hit_p95_s", quantile(p.hit_s, 0.95))
      .field("fetched_median_s", quantile(p.fetched_s, 0.5))
      .field("fetched_p95_s", quantile(p.fetched_s, 0.95))
      .end_object();
}

std::string percent(double share) {
  return std::to_string(std::lround(share * 100)) + " %";
}

}  // namespace

Result<int> run_day_bench(const Context& context, const DayBenchOptions& options,
                          const fs::path& folder) {
  const bool real = !options.model.empty();
  const Day day = Day::make(options.day);
  Bench bench(context, options, folder);
  Progress progress(context.err);
  const std::string named = real ? options.model : "openai/gpt-4o";
  std::vector<Pass> passes;
  passes.push_back({"as it was: one model, no cache", false, named, 0, 0, 0, 0, 0, {}, {}, {}});
  passes.push_back({"cache", true, named, 0, 0, 0, 0, 0, {}, {}, {}});
  if (!real) {
    passes.push_back({"router (auto)", false, "auto", 0, 0, 0, 0, 0, {}, {}, {}});
    passes.push_back({"router (auto) and cache", true, "auto", 0, 0, 0, 0, 0, {}, {}, {}});
    passes.push_back(
        {"router (auto:cost) and cache", true, "auto:cost", 0, 0, 0, 0, 0, {}, {}, {}});
  }
  for (Pass& p : passes) SM_CHECK_OK(bench.run(p, day, options.speed, progress));
  // What the cache is worth hangs on how much users have in common: both ends are told.
  std::vector<std::pair<double, Pass>> shares;
  for (const double share : {0.2, 0.5, 1.0}) {
    if (real) break;
    DayShape shape = options.day;
    shape.share = share;
    Pass p{"files in common", true, named, 0, 0, 0, 0, 0, {}, {}, {}};
    SM_CHECK_OK(bench.run(p, Day::make(shape), kAtOnce, progress));
    shares.emplace_back(share, std::move(p));
  }
  progress.clear();
  if (options.json) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().key("day").begin_object();
    w.field("users", options.day.users)
        .field("files", options.day.files)
        .field("analyses", kDayAnalyses)
        .field("share", options.day.share)
        .field("followups", options.day.followups)
        .field("zipf", options.day.zipf)
        .field("seed", options.day.seed)
        .field("questions", day.questions)
        .field("distinct", day.distinct)
        .end_object();
    w.field("provider", real ? options.model : "scripted").field("speed", real ? 1 : options.speed);
    w.key("passes").begin_array();
    for (Pass& p : passes) write_pass(w, p);
    w.end_array().key("by_share").begin_array();
    for (auto& [share, p] : shares) {
      w.begin_object().field("share", share).field("requests", p.requests);
      w.field("paid_calls", p.paid).field("fewer_paid_calls", fewer(p)).end_object();
    }
    w.end_array().end_object();
    print(out + "\n");
    return 0;
  }
  print(styled(context.out, Style::kBold, "A working day") + ": " +
        std::to_string(options.day.users) + " users, " + std::to_string(options.day.files) +
        " files (each user works with " + percent(options.day.share) + "), " +
        std::to_string(kDayAnalyses) + " analyses of each, " + human_count(options.day.followups) +
        " follow-up questions; " + human_count(static_cast<int64_t>(day.questions)) +
        " requests, " + human_count(static_cast<int64_t>(day.distinct)) + " different ones\n\n");
  Table table({{.header = "", .shrink_to = 20},
               {.header = "calls", .right = true},
               {.header = "paid", .right = true},
               {.header = "fewer paid", .right = true},
               {.header = "cost", .right = true},
               {.header = "median", .right = true},
               {.header = "p95", .right = true, .optional = true},
               {.header = "asked", .right = true, .optional = true},
               {.header = "from cache", .right = true}});
  for (Pass& p : passes) {
    table.add({p.name, human_count(static_cast<int64_t>(p.calls)),
               human_count(static_cast<int64_t>(p.paid)), percent(fewer(p)),
               ai::dollars(p.cost_microusd), human_duration(quantile(p.all_s, 0.5)),
               human_duration(quantile(p.all_s, 0.95)), human_duration(quantile(p.fetched_s, 0.5)),
               p.hit_s.empty() ? "" : human_duration(quantile(p.hit_s, 0.5))});
  }
  print(table.render(context.out, context.out.width()));
  if (!shares.empty()) {
    std::string line = "\nWith the cache alone, by how many of the files each user works with: ";
    for (size_t i = 0; i < shares.size(); ++i) {
      line += (i > 0 ? ", " : "") + percent(shares[i].first) +
              " of them: " + percent(fewer(shares[i].second)) + " fewer paid calls";
    }
    print(line + ".\n");
  }
  print_note(context.err,
             real ? "A real provider: calls were paid for at its price."
                  : "A scripted provider: how long models take is assumed (docs/benchmarks.md), "
                    "what the gateway adds is measured. Ollama's answers cost nothing but power.");
  return 0;
}

}  // namespace samplemind::cli
