// Where a request goes. Rules are data: data/routes.toml, which is part of the program, with the
// user's routes.toml over it. Everything here is local and pure: no model is asked, no network
// used. A RouteTable is immutable once made and may be shared between threads; Measurements and
// StickyTable are thread-safe.
//
// A decision costs about a microsecond: words of the last message are looked up, rules are read.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace samplemind::ai {

enum class Task { kGenre, kAudio, kCreative, kFactual, kTools, kSummary, kTranscription };
inline constexpr size_t kTasks = 7;
std::string_view task_name(Task task);
std::optional<Task> parse_task(std::string_view name);

enum class Priority { kSpeed, kQuality, kCost };
inline constexpr size_t kPriorities = 3;
std::string_view priority_name(Priority priority);
std::optional<Priority> parse_priority(std::string_view name);

// What routing looks at.
struct RequestFacts {
  std::string last_text;      // of the last user message; only its beginning counts
  std::string conversation;   // what tells conversations apart: the first messages, or a header
  bool goes_on = false;       // the conversation has an answer already
  int64_t input_tokens = 0;   // estimated
  int64_t output_tokens = 0;  // the most it allows; 0: it does not say
  bool image = false, audio = false, document = false;
  bool tools = false, schema = false;
  bool prefill = false;  // ends with the assistant's words
  std::string task_hint;
};

struct TaskChoice {
  Task task = Task::kFactual;
  std::string why;  // "hint", "sound", "tools", "words: summarise", "no words of a task"
};

// A name that the table knows what to do with.
struct RouteTarget {
  std::string provider;
  std::string model;  // empty: what the provider offers
};

struct RouteAlias {
  std::vector<RouteTarget> targets;
  std::vector<double> weights;  // as many as targets, or none
};

class RouteTable {
 public:
  // `user_text`: of the user's file, may be empty; `user_name` names it in messages. `aliases`: of
  // the configuration, name to "provider/model". `providers`: the names that exist
  // ("claude" and "google" stand for anthropic and gemini).
  // kInvalidArgument with file and line for what is no TOML, an unknown task, provider or member, a
  // circle.
  static Result<RouteTable> load(std::string_view user_text, const std::string& user_name,
                                 const std::map<std::string, std::string>& aliases,
                                 const std::vector<std::string>& providers);

  // kInvalidArgument for a hint that is no task.
  Result<TaskChoice> recognise(const RequestFacts& facts) const;

  // In order; those of one provider stand together. `rule`: which one decided ("speed.genre",
  // "chain").
  struct Order {
    std::vector<RouteTarget> targets;
    size_t named = 0;  // the first so many were named by the rule: measurements do not move them
    std::string rule;
  };
  Order order(Task task, Priority priority) const;

  const RouteAlias* alias(std::string_view name) const;
  // The targets in the order in which this conversation tries them.
  static std::vector<RouteTarget> alias_order(const RouteAlias& alias,
                                              std::string_view conversation);
  // What may stand in for a named model; null: nothing.
  const std::vector<RouteTarget>* fallback(std::string_view provider_model) const;
  const std::vector<std::string>& models(std::string_view provider, Priority priority) const;

  // In place of the file's: from the configuration.
  void set_chain(std::vector<std::string> providers) { chain_ = std::move(providers); }

  Priority default_priority = Priority::kSpeed;
  bool refine = true;
  bool local_may_leave = false;

 private:
  std::vector<std::string> chain_;
  std::array<std::map<std::string, std::vector<RouteTarget>, std::less<>>, kPriorities> rules_;
  std::map<std::string, std::array<std::vector<std::string>, kPriorities>, std::less<>> models_;
  std::map<std::string, RouteAlias, std::less<>> aliases_;
  std::map<std::string, std::vector<RouteTarget>, std::less<>> fallbacks_;
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  std::unordered_map<std::string, Task, Hash, std::equal_to<>> words_;
  std::vector<std::pair<std::string, Task>> beginnings_;  // of words with a trailing *
  // By the first three letters of both: most words of a text need no look-up.
  static constexpr size_t kStarts = 4096;
  std::bitset<kStarts> starts_;
  // REQUIRES: three letters at least.
  static size_t start_of(std::string_view word) {
    const auto letter = [word](size_t i) { return static_cast<unsigned char>(word[i]); };
    return (letter(0) * 961u + letter(1) * 31u + letter(2)) % kStarts;
  }
  friend class RouteReader;
};

// What was measured of each model lately, over all shards.
class Measurements {
 public:
  struct Model {
    double first_token_s = 0;  // running mean; 0: never measured
    double tokens_per_s = 0;
    double error_share = 0;  // running, of tries
    uint64_t tries = 0;
  };
  void first_token(const std::string& model, double seconds);
  void ended(const std::string& model, bool failed, double tokens_per_s);
  Model of(std::string_view model) const;
  // More than half of at least five tries failed lately. Forgotten after a minute without a try, so
  // that a model that has recovered is found out.
  bool failing(std::string_view model, SteadyTime now) const;
  std::vector<std::pair<std::string, Model>> all() const;
  void set_now(const std::string& model, SteadyTime now);

 private:
  struct Entry : Model {
    SteadyTime last{};
  };
  static constexpr size_t kModelsMax = 1024;
  Entry& entry(const std::string& model);
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> models_;
};

// Which model a conversation was given, so that it keeps it for an hour.
class StickyTable {
 public:
  std::optional<std::string> get(uint64_t conversation, int64_t now_ms) const;
  void put(uint64_t conversation, std::string model, int64_t now_ms);

 private:
  static constexpr size_t kMax = 16384;
  static constexpr int64_t kKeepMs = 3600'000;
  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, std::pair<std::string, int64_t>> entries_;
};

}  // namespace samplemind::ai
