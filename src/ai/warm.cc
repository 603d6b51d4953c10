#include "ai/warm.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/json.h"
#include "net/loop.h"

namespace samplemind::ai {

namespace {

constexpr size_t kItemsMax = 1'000'000;

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && static_cast<unsigned char>(s.front()) <= ' ') s.remove_prefix(1);
  while (!s.empty() && static_cast<unsigned char>(s.back()) <= ' ') s.remove_suffix(1);
  return s;
}

std::string prompt_body(std::string_view prompt, const std::string& model) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("model", model).key("messages").begin_array();
  w.begin_object().field("role", "user").field("content", prompt).end_object();
  w.end_array().end_object();
  return out;
}

Result<std::string> request_body(std::string_view line, const std::string& model) {
  SM_TRY(const JsonValue value, JsonValue::parse(line));
  const JsonValue& request = value["body"].is_object() ? value["body"] : value;
  if (!request["messages"].is_array())
    return Error(ErrorCode::kInvalidArgument, "no request: 'messages' is missing");
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  if (!request["model"].is_string()) w.field("model", model);
  for (const auto& [name, each] : request.members()) {
    if (name == "stream" || name == "stream_options") continue;  // the answer is the same
    w.key(name);
    each.write(w);
  }
  w.end_object();
  return out;
}

// What the workers share; all on one loop.
struct Run {
  Run(GatewayShard& shard_in, std::vector<WarmItem> items_in, WarmOptions options_in)
      : shard(shard_in), items(std::move(items_in)), options(std::move(options_in)) {}
  GatewayShard& shard;
  std::vector<WarmItem> items;
  WarmOptions options;
  std::function<void(const WarmProgress&)> on_progress;
  std::function<void(size_t, const Error&)> on_problem;
  WarmProgress progress;
  size_t next = 0;
  size_t running = 0;  // calls
  size_t workers = 0;
  bool learnt = false;  // a call has told its cost
  int64_t dearest_microusd = 0;
  net::Event ended;
  std::vector<net::Event*> waiting;  // for a call to end

  bool over() const {
    return progress.over_budget || next >= items.size() || options.cancel.cancelled();
  }
  // Whether one more call may go beside those on their way.
  bool affordable() const {
    if (options.budget_usd < 0) return true;
    const auto budget = static_cast<int64_t>(options.budget_usd * 1e6);
    if (progress.cost_microusd >= budget || (!learnt && running > 0)) return false;
    return progress.cost_microusd + static_cast<int64_t>(running + 1) * dearest_microusd <= budget;
  }
  void call_ended() {
    --running;
    for (net::Event* each : std::exchange(waiting, {})) each->notify();
  }
  void account(const AskAnswer& answer) {
    if (answer.cache == CacheState::kBypass || !answer.answer.complete()) {
      ++progress.not_kept;
    } else {
      ++progress.answered;
    }
    if (!answer.cost_microusd) {
      ++progress.cost_unknown;
      if (options.budget_usd >= 0) progress.over_budget = true;
      return;
    }
    learnt = true;
    progress.cost_microusd += *answer.cost_microusd;
    dearest_microusd = std::max(dearest_microusd, *answer.cost_microusd);
  }
};

net::Task<void> work(std::shared_ptr<Run> run) {
  const std::function<void(std::string_view)> ignore = [](std::string_view) {};
  net::Event event;
  while (!run->over()) {
    const WarmItem item = std::move(run->items[run->next++]);
    AskOptions look;
    look.only_if_cached = true;
    look.tenant = run->options.tenant;
    auto answer = co_await run->shard.ask(item.body, std::move(look), ignore);
    if (answer.ok()) {
      ++run->progress.cached;
    } else {
      while (!run->affordable() && run->running > 0 && !run->options.cancel.cancelled()) {
        run->waiting.push_back(&event);
        co_await event.wait();
        std::erase(run->waiting, &event);
      }
      if (!run->affordable()) run->progress.over_budget = true;
      if (run->progress.over_budget || run->options.cancel.cancelled()) break;
      ++run->running;
      AskOptions options;
      options.tenant = run->options.tenant;
      options.cancel = run->options.cancel;
      answer = co_await run->shard.ask(item.body, std::move(options), ignore);
      if (answer.ok()) {
        run->account(*answer);
      } else if (answer.error().code() != ErrorCode::kCancelled) {
        ++run->progress.failed;
        run->on_problem(item.line, answer.error());
      }
      run->call_ended();
    }
    ++run->progress.done;
    run->on_progress(run->progress);
  }
  if (--run->workers == 0) run->ended.notify();
}

}  // namespace

Result<std::vector<WarmItem>> read_warm_list(std::string_view text, const WarmOptions& options) {
  std::vector<WarmItem> items;
  size_t number = 0;
  std::optional<bool> json;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty()) continue;
    if (!json) json = line.front() == '{';
    if (!*json && line.front() == '#') continue;
    if (items.size() >= kItemsMax)
      return Error(ErrorCode::kTooLarge, "more than a million requests in one list");
    if (!*json) {
      items.push_back({number, prompt_body(line, options.model)});
      continue;
    }
    auto body = request_body(line, options.model);
    if (!body.ok()) {
      return Error(ErrorCode::kInvalidArgument,
                   "line " + std::to_string(number) + ": " + body.error().message(),
                   "each line is a request with \"messages\", or, in plain text, a prompt");
    }
    items.push_back({number, std::move(*body)});
  }
  return items;
}

net::Task<WarmProgress> warm(GatewayShard& shard, std::vector<WarmItem> items, WarmOptions options,
                             std::function<void(const WarmProgress&)> on_progress,
                             std::function<void(size_t line, const Error&)> on_problem) {
  const size_t workers = std::clamp<size_t>(options.concurrency, 1, 64);
  auto run = std::make_shared<Run>(shard, std::move(items), std::move(options));
  run->on_progress = std::move(on_progress);
  run->on_problem = std::move(on_problem);
  run->progress.total = run->items.size();
  run->workers = workers;
  for (size_t i = 0; i < workers; ++i) net::Loop::current()->spawn(work(run));
  // The workers hear of a cancellation themselves: a call ends with it.
  while (run->workers > 0) co_await run->ended.wait();
  co_return run->progress;
}

}  // namespace samplemind::ai
