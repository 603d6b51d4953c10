// Filling the cache ahead of time: a list of requests or of plain prompts is asked once, with
// bounded concurrency and a budget. What is cached already costs nothing and is passed over, which
// is how a run that was stopped goes on: the same list again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/gateway.h"

namespace samplemind::ai {

struct WarmOptions {
  std::string model = "auto";  // for plain prompts, and for requests that name none
  size_t concurrency = 4;      // 1 to 64
  double budget_usd = -1;      // below 0: none
  std::string tenant = "local";  // whose answers they are
  net::CancelToken cancel;
};

struct WarmProgress {
  uint64_t total = 0;
  uint64_t done = 0;
  uint64_t cached = 0;    // were there already
  uint64_t answered = 0;  // asked now, and kept
  uint64_t not_kept = 0;  // asked now, but such answers are not kept
  uint64_t failed = 0;
  uint64_t cost_unknown = 0;  // of answers whose model has no known price
  int64_t cost_microusd = 0;
  bool over_budget = false;  // ended by the budget: the rest was not asked
};

struct WarmItem {
  size_t line = 0;   // from 1
  std::string body;  // a chat completions request
};

// JSON Lines (each a chat completions request, or a line of OpenAI's batch format, whose "body" it
// is), or plain text: each line a prompt. Empty lines and, in plain text, lines that begin with '#'
// are left out. The kind is that of the first line; kInvalidArgument names a line that is neither.
Result<std::vector<WarmItem>> read_warm_list(std::string_view text, const WarmOptions& options);

// Runs on the shard's loop. `on_problem` is told of each request that failed. The budget is kept so
// that even the calls on their way stay within it, as far as the dearest one so far tells; the
// first call goes alone. With a budget, a model without a known price ends the run: it could cost
// anything.
net::Task<WarmProgress> warm(GatewayShard& shard, std::vector<WarmItem> items, WarmOptions options,
                             std::function<void(const WarmProgress&)> on_progress,
                             std::function<void(size_t line, const Error&)> on_problem);

}  // namespace samplemind::ai
