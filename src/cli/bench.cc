// samplemind bench
#include <algorithm>
#include <memory>
#include <thread>

#include "audio/analyzer.h"
#include "base/files.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/bench_ai.h"
#include "cli/commands.h"
#include "library/demo_pack.h"
#include "net/server.h"
#include "server/engine.h"
#include "server/local_exchange.h"
#include "server/routes.h"

namespace samplemind::cli {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begun) {
  return std::chrono::duration<double>(Clock::now() - begun).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// A folder of its own that goes with the bench.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> create() {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "samplemind-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) return errno_error(errno, "create " + pattern);
    return std::make_unique<TemporaryFolder>(pattern);
  }
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// An upstream in this process that answers at once: what is left is the price of the way.
constexpr std::string_view kFakeAnswer =
    R"({"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"bench",)"
    R"("choices":[{"index":0,"message":{"role":"assistant","content":"A short kick with its tail )"
    R"(cut at the bass note leaves room for the low end."},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":120,"completion_tokens":17,"total_tokens":137}})";

net::Task<void> fake_upstream(net::Exchange& exchange) {
  (void)(co_await exchange.read_body(1 << 20)).ok();
  net::ResponseHead head;
  head.headers.add("content-type", "application/json");
  (void)(co_await exchange.respond(std::move(head), kFakeAnswer)).ok();
}

struct CacheFigures {
  double uncached_s = 0;
  double cached_s = 0;
  std::string upstream;
};

// One whole chat request through the gateway's route; gives seconds.
Result<double> one_request(net::Loop& loop, const net::Handler& handler, const std::string& body) {
  std::string answer;
  server::LocalExchange exchange("POST", "/v1/chat/completions", body,
                                 [&](std::string_view piece) { answer += piece; });
  const auto begun = Clock::now();
  loop.run_until_done(handler(exchange));
  const double seconds = seconds_since(begun);
  if (exchange.status() != 200) {
    const auto problem = JsonValue::parse(answer);
    return Error(ErrorCode::kUpstream,
                 problem.ok() ? (*problem)["error"]["message"].string_or("the upstream failed")
                              : "the upstream failed");
  }
  return seconds;
}

Result<CacheFigures> bench_cache(const Context& context, const fs::path& home,
                                 const std::string& model, Progress& progress) {
  CacheFigures figures;
  ConfigFlags flags;
  std::unique_ptr<net::Server> upstream;
  if (model.empty()) {
    net::Server::HandlerFactory factory = [](net::Loop&, size_t) -> net::Handler {
      return [](net::Exchange& exchange) { return fake_upstream(exchange); };
    };
    SM_TRY(upstream, net::Server::bind({}, std::move(factory)));
    upstream->start();
    flags = {{"ai.openai.base_url", "http://127.0.0.1:" + std::to_string(upstream->port()) + "/v1"},
             {"ai.openai.api_key", "bench-key-bench"},
             {"ai.order", "openai"}};
    figures.upstream = "an upstream in this process that answers at once";
  } else {
    figures.upstream = model;
  }
  SM_TRY(Config config, context.load_config(flags));
  SM_TRY(const auto engine,
         server::Engine::open(std::move(config), home, library::Catalogue::Access::kWrite));
  net::Loop loop;
  auto shard = std::make_unique<server::EngineShard>(*engine, loop);
  net::Handler handler = server::make_handler(*shard, {});
  const auto body_of = [&](int i) {
    std::string body;
    JsonWriter w(body);
    w.begin_object().field("model", model.empty() ? std::string("openai/bench") : model);
    w.key("messages").begin_array().begin_object().field("role", "user");
    w.field("content", "Bench question " + std::to_string(i) + ": which kick goes with this bass?");
    w.end_object().end_array().end_object();
    return body;
  };
  // Real models are slow and may cost money: few questions.
  const int uncached = model.empty() ? 200 : 3;
  const int cached = 2000;
  Result<void> outcome = ok();
  std::vector<double> miss, hit;
  for (int i = 0; i < uncached && outcome.ok(); ++i) {
    progress.show("Asking anew", static_cast<double>(i) / uncached, "");
    auto took = one_request(loop, handler, body_of(i));
    if (took.ok())
      miss.push_back(*took);
    else
      outcome = std::move(took).error();
  }
  for (int i = 0; i < cached && outcome.ok(); ++i) {
    auto took = one_request(loop, handler, body_of(i % uncached));
    if (took.ok())
      hit.push_back(*took);
    else
      outcome = std::move(took).error();
  }
  loop.destroy_tasks();
  handler = {};
  shard.reset();
  if (upstream) upstream->stop(std::chrono::milliseconds(100));
  SM_CHECK_OK(std::move(outcome));
  figures.uncached_s = median(miss);
  figures.cached_s = median(hit);
  return figures;
}

struct EarFigures {
  size_t files = 0;
  double sound_s = 0;
  double one_core_s = 0;  // all files, one after the other
  double all_cores_s = 0;
  size_t cores = 1;
};

Result<EarFigures> bench_ear(const fs::path& folder, Progress& progress) {
  EarFigures figures;
  SM_CHECK_OK(library::write_demo_pack(folder, [&](int done, int total) {
    progress.show("Making sounds", static_cast<double>(done) / std::max(total, 1), "");
  }));
  std::vector<fs::path> files;
  for (const auto& sound : library::demo_pack_contents()) files.push_back(folder / sound.file);
  figures.files = files.size();
  figures.cores = std::max(1u, std::thread::hardware_concurrency());
  const audio::Analyzer analyzer;
  std::vector<double> single, parallel;
  for (int round = 0; round < 3; ++round) {
    progress.show("Listening", round / 3.0, "");
    double length = 0;
    auto begun = Clock::now();
    for (const fs::path& file : files) {
      SM_TRY(const audio::Analysis a, analyzer.analyze(file));
      length += a.duration_s;
    }
    single.push_back(seconds_since(begun));
    figures.sound_s = length;
    begun = Clock::now();
    {
      ThreadPool pool("bench", figures.cores, files.size());
      for (const fs::path& file : files)
        (void)pool.post_blocking([&analyzer, file] { (void)analyzer.analyze(file).ok(); });
    }
    parallel.push_back(seconds_since(begun));
  }
  figures.one_core_s = median(single);
  figures.all_cores_s = median(parallel);
  return figures;
}

Result<int> run_bench(const Context& context, const std::string& model, bool json) {
  SM_TRY(const auto folder, TemporaryFolder::create());
  Progress progress(context.err);
  SM_TRY(const CacheFigures cache, bench_cache(context, folder->path() / "home", model, progress));
  SM_TRY(const EarFigures ear, bench_ear(folder->path() / "pack", progress));
  progress.clear();
  const double ratio = cache.cached_s > 0 ? cache.uncached_s / cache.cached_s : 0;
  const double one = ear.sound_s / ear.one_core_s;
  const double all = ear.sound_s / ear.all_cores_s;
  const double files_per_s = static_cast<double>(ear.files) / ear.all_cores_s;
  if (json) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().key("cache").begin_object();
    w.field("upstream", cache.upstream)
        .field("uncached_s", cache.uncached_s)
        .field("cached_s", cache.cached_s)
        .field("ratio", ratio)
        .end_object();
    w.key("analysis").begin_object().field("files", ear.files).field("sound_s", ear.sound_s);
    w.field("times_real_time_one_core", one)
        .field("times_real_time", all)
        .field("files_per_s", files_per_s)
        .field("cores", ear.cores)
        .end_object()
        .end_object();
    print(out + "\n");
    return 0;
  }
  const auto figure = [](double v) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, v < 10 ? "%.1f" : "%.0f", v);
    return std::string(buffer);
  };
  print(styled(context.out, Style::kBold, "Answers") + "\n  asked anew    " +
        human_duration(cache.uncached_s) + "   (" + printable(cache.upstream) +
        ")\n  from cache    " + human_duration(cache.cached_s) + "\n  ratio         " +
        styled(context.out, Style::kGreen, figure(ratio) + " times faster") + "\n");
  print(styled(context.out, Style::kBold, "Listening") + "\n  demo pack     " +
        std::to_string(ear.files) + " sounds, " + human_duration(ear.sound_s) +
        "\n  one core      " + figure(one) + " times real time\n  " + std::to_string(ear.cores) +
        (ear.cores == 1 ? " core        " : " cores       ") +
        styled(context.out, Style::kGreen, figure(all) + " times real time") + ", " +
        figure(files_per_s) + " files/s\n");
  print_note(context.err, "Medians of several runs on this machine, with what else it was doing.");
  return 0;
}

}  // namespace

Run add_bench(Arguments command, Context& context) {
  struct Flags {
    std::string what;
    DayBenchOptions ai;
    std::optional<int64_t> files, users, followups, seed;
    std::optional<double> share, zipf, speed;
    bool quick = false;
  };
  auto f = std::make_shared<Flags>();
  command.add_option("WHAT", f->what,
                     "ai: what cache and router are worth on a working day. Without it: answers "
                     "from the cache, and analysis");
  command.add_flag("--quick", f->quick, "Half a minute at most; ai: a small day");
  command
      .add_option("--model", f->ai.model,
                  "Ask this model instead of a fake upstream: three real questions, at its price; "
                  "ai: a small day, twice")
      .type_name("NAME");
  command.add_option("--files", f->files, "ai: files of the library (200)").range(1, 10000);
  command.add_option("--users", f->users, "ai: users (5)").range(1, 100);
  command.add_option("--share", f->share, "ai: of the files that each user works with (0.5)")
      .range(0, 1);
  command.add_option("--followups", f->followups, "ai: follow-up questions of all users (1000)")
      .range(0, 1e6);
  command.add_option("--zipf", f->zipf, "ai: exponent of their popularity (1.0)").range(0, 4);
  command.add_option("--speed", f->speed, "ai: how much faster the scripted models are (500)")
      .range(1, 1e6);
  command.add_option("--seed", f->seed, "ai: another day (1)").range(0, 1e15);
  command.add_flag("--json", f->ai.json, "One object");
  return [f, &context]() -> Result<int> {
    if (f->what.empty()) return run_bench(context, f->ai.model, f->ai.json);
    if (f->what != "ai")
      return Error(ErrorCode::kInvalidArgument, "'samplemind bench' cannot '" + f->what + "'",
                   "it can: ai");
    DayShape& day = f->ai.day;
    const bool small = f->quick || !f->ai.model.empty();
    day.files = static_cast<int>(f->files.value_or(small ? 4 : day.files));
    day.users = static_cast<int>(f->users.value_or(day.users));
    day.followups = static_cast<int>(f->followups.value_or(small ? 40 : day.followups));
    day.share = f->share.value_or(day.share);
    day.zipf = f->zipf.value_or(day.zipf);
    day.seed = static_cast<uint64_t>(f->seed.value_or(static_cast<int64_t>(day.seed)));
    f->ai.speed = f->speed.value_or(f->ai.speed);
    SM_TRY(const auto folder, TemporaryFolder::create());
    return run_day_bench(context, f->ai, folder->path());
  };
}

}  // namespace samplemind::cli
