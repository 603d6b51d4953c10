// A working day of a studio, as questions to AI models, and a scripted provider that answers them
// with the pace of real ones. Both are the same for the same seed: `samplemind bench ai` replays
// them. Nothing here is measured from people: what is assumed stands in docs/benchmarks.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/server.h"

namespace samplemind::cli {

struct DayShape {
  int files = 200;
  int users = 5;
  double share = 0.5;    // of the files that each user works with, drawn for each alone
  int followups = 1000;  // of all users together
  double zipf = 1.0;     // how much the favourites among the follow-up questions are asked
  uint64_t seed = 1;
};
inline constexpr int kDayAnalyses = 10;  // each user makes each of them of each of their files

struct DayQuestion {
  uint32_t file = 0;
  uint16_t kind = 0;  // below kDayAnalyses: an analysis; else a follow-up question
};

struct Day {
  static Day make(const DayShape& shape);
  // As a user's program sends it: POST /v1/chat/completions.
  static std::string body(const DayQuestion& q, std::string_view model);

  std::vector<std::vector<DayQuestion>> users;  // what each asks, in order
  size_t questions = 0;
  size_t distinct = 0;
};

enum class ScriptedDialect { kOpenAi, kAnthropic, kGemini, kOllama };
inline constexpr size_t kScriptedDialects = 4;

// Speaks the four providers' dialects on a free port of this machine, one thread. An answer's
// length is drawn from the question (median 220 tokens); how long a model takes follows from it.
class ScriptedProvider {
 public:
  // `speed`: how many of the models' seconds pass in one of ours.
  static Result<std::unique_ptr<ScriptedProvider>> start(double speed);
  ~ScriptedProvider();
  std::string address() const;  // "127.0.0.1:PORT"
  // Chats asked of it, by its own count.
  uint64_t calls(ScriptedDialect dialect) const {
    return calls_[static_cast<size_t>(dialect)].load();
  }
  // What the model of `provider` ("openai") takes for an answer of so many tokens, at full speed.
  static double model_seconds(std::string_view provider, int64_t output_tokens);

 private:
  explicit ScriptedProvider(double speed) : speed_(speed) {}
  net::Task<void> serve(net::Loop& loop, net::Exchange& exchange);
  const double speed_;
  std::array<std::atomic<uint64_t>, kScriptedDialects> calls_{};
  std::unique_ptr<net::Server> server_;
};

}  // namespace samplemind::cli
