#include "ai/router.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "base/config.h"
#include "base/hash.h"
#include "routes.h"

namespace samplemind::ai {

namespace {

constexpr std::string_view kTaskNames[kTasks] = {"genre", "audio",   "creative",     "factual",
                                                 "tools", "summary", "transcription"};
constexpr std::string_view kPriorityNames[kPriorities] = {"speed", "quality", "cost"};
constexpr size_t kTextLooked = 512;  // bytes of the last message: a task shows at its beginning
constexpr size_t kTargetsMax = 16;

Error wrong(const std::string& file, const toml::node& node, const std::string& what,
            const std::string& hint = {}) {
  const auto line = node.source().begin.line;
  return Error(ErrorCode::kInvalidArgument,
               file + (line > 0 ? ":" + std::to_string(line) : std::string()) + ": " + what, hint);
}

void lay_over(toml::table& below, const toml::table& above) {
  for (const auto& [key, node] : above) {
    toml::table* inner_below = below.get(key) != nullptr ? below.get(key)->as_table() : nullptr;
    if (const toml::table* inner = node.as_table(); inner != nullptr && inner_below != nullptr) {
      lay_over(*inner_below, *inner);
    } else {
      below.insert_or_assign(key, node);
    }
  }
}

// Models and their makers go by both names.
std::string canonical(const std::string& provider) {
  return provider == "claude" ? "anthropic" : provider == "google" ? "gemini" : provider;
}

bool word_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u >= 'a' && u <= 'z') || (u >= '0' && u <= '9') || u >= 0x80 || c == '-' || c == ';' ||
         c == '\'';
}

}  // namespace

std::string_view task_name(Task task) {
  return kTaskNames[static_cast<size_t>(task)];
}
std::optional<Task> parse_task(std::string_view name) {
  for (size_t i = 0; i < kTasks; ++i)
    if (name == kTaskNames[i]) return static_cast<Task>(i);
  return std::nullopt;
}
std::string_view priority_name(Priority priority) {
  return kPriorityNames[static_cast<size_t>(priority)];
}
std::optional<Priority> parse_priority(std::string_view name) {
  for (size_t i = 0; i < kPriorities; ++i)
    if (name == kPriorityNames[i]) return static_cast<Priority>(i);
  return std::nullopt;
}

// Reads the merged file into a table.
class RouteReader {
 public:
  RouteReader(RouteTable& table, std::string file, const std::vector<std::string>& providers)
      : t_(table), file_(std::move(file)), providers_(providers) {}

  Result<void> read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const std::string name(key.str());
      if (name == "priority") {
        const auto p = parse_priority(node.value_or<std::string>(""));
        if (!p) return wrong(file_, node, "priority must be speed, quality or cost");
        t_.default_priority = *p;
      } else if (name == "chain") {
        SM_TRY(t_.chain_, texts(node, "chain"));
        for (std::string& each : t_.chain_) {
          each = canonical(each);
          SM_CHECK_OK(known(node, each));
        }
      } else if (name == "refine" || name == "local_may_leave") {
        const auto on = node.value_exact<bool>();
        if (!on) return wrong(file_, node, name + " must be true or false");
        (name == "refine" ? t_.refine : t_.local_may_leave) = *on;
      } else if (const auto priority = parse_priority(name)) {
        SM_CHECK_OK(rules(node, *priority));
      } else if (name == "models") {
        SM_CHECK_OK(models(node));
      } else if (name == "alias") {
        SM_CHECK_OK(aliases(node));
      } else if (name == "fallback") {
        fallback_ = node.as_table();
        if (fallback_ == nullptr) return wrong(file_, node, "[fallback] is a table");
      } else if (name == "words") {
        SM_CHECK_OK(words(node));
      } else {
        const auto close =
            nearest(name, {"priority", "chain", "refine", "local_may_leave", "speed", "quality",
                           "cost", "models", "alias", "fallback", "words"});
        return wrong(file_, node, "unknown member '" + name + "'",
                     close ? "did you mean '" + *close + "'?" : "");
      }
    }
    return ok();
  }

  Result<void> finish(const std::map<std::string, std::string>& aliases) {
    for (const auto& [name, model] : aliases) {
      if (t_.aliases_.contains(name)) continue;
      t_.aliases_[name] = {{split(model)}, {}};
    }
    SM_CHECK_OK(flatten_aliases());
    if (fallback_ != nullptr) {
      for (const auto& [key, node] : *fallback_) {
        std::string model(key.str());
        SM_TRY(auto list, targets(node, "fallback"));
        if (model.find('/') != std::string::npos)
          model = canonical(model.substr(0, model.find('/'))) + model.substr(model.find('/'));
        else
          return wrong(file_, node, "fallback: write \"provider/model\", not '" + model + "'");
        t_.fallbacks_[model] = std::move(list);
      }
    }
    return check_fallbacks();
  }

 private:
  Result<std::vector<std::string>> texts(const toml::node& node, const std::string& what) const {
    std::vector<std::string> list;
    if (const auto one = node.value_exact<std::string>()) {
      list.push_back(*one);
      return list;
    }
    const toml::array* items = node.as_array();
    if (items == nullptr || items->size() > 1024)
      return wrong(file_, node, what + " must be a text or a list of texts");
    for (const toml::node& item : *items) {
      const auto text = item.value_exact<std::string>();
      if (!text) return wrong(file_, item, what + " must be a text or a list of texts");
      list.push_back(*text);
    }
    return list;
  }
  Result<void> known(const toml::node& node, const std::string& provider) const {
    if (std::find(providers_.begin(), providers_.end(), provider) != providers_.end()) return ok();
    const auto close = nearest(provider, providers_);
    return wrong(file_, node, "there is no provider '" + provider + "'",
                 close ? "did you mean '" + *close + "'?" : "");
  }
  RouteTarget split(const std::string& text) const {
    const size_t slash = text.find('/');
    const std::string first = canonical(text.substr(0, slash));
    if (std::find(providers_.begin(), providers_.end(), first) == providers_.end())
      return {"", text};  // a model that some provider lists, or another alias
    return {first, slash == std::string::npos ? "" : text.substr(slash + 1)};
  }
  Result<std::vector<RouteTarget>> targets(const toml::node& node, const std::string& what) const {
    SM_TRY(const auto names, texts(node, what));
    if (names.empty() || names.size() > kTargetsMax)
      return wrong(file_, node, what + " names from 1 to 16 targets");
    std::vector<RouteTarget> list;
    for (const std::string& each : names) list.push_back(split(each));
    return list;
  }
  Result<void> rules(const toml::node& node, Priority priority) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(file_, node, "a priority is a table of tasks");
    for (const auto& [key, value] : *table) {
      const std::string task(key.str());
      if (task != "*" && !parse_task(task)) {
        std::vector<std::string> names(std::begin(kTaskNames), std::end(kTaskNames));
        const auto close = nearest(task, names);
        return wrong(file_, value, "there is no task '" + task + "'",
                     close ? "did you mean '" + *close + "'?"
                           : "the tasks are genre, audio, creative, factual, tools, summary, "
                             "transcription, and '*' for the rest");
      }
      SM_TRY(auto list, targets(value, "a rule"));
      for (const RouteTarget& each : list) {
        if (each.provider.empty()) return known(value, each.model.substr(0, each.model.find('/')));
      }
      t_.rules_[static_cast<size_t>(priority)][task] = std::move(list);
    }
    return ok();
  }
  Result<void> models(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(file_, node, "[models] is a table");
    for (const auto& [key, value] : *table) {
      const std::string provider = canonical(std::string(key.str()));
      SM_CHECK_OK(known(value, provider));
      const toml::table* lists = value.as_table();
      if (lists == nullptr) return wrong(file_, value, "[models." + provider + "] is a table");
      for (const auto& [which, names] : *lists) {
        const auto priority = parse_priority(which.str());
        if (!priority)
          return wrong(file_, names, "[models." + provider + "] has speed, quality and cost");
        SM_TRY(t_.models_[provider][static_cast<size_t>(*priority)], texts(names, "models"));
      }
    }
    return ok();
  }
  Result<void> aliases(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(file_, node, "[alias.NAME] is a table");
    for (const auto& [key, value] : *table) {
      const std::string name(key.str());
      RouteAlias alias;
      const toml::table* members = value.as_table();
      if (members == nullptr || !members->contains("targets"))
        return wrong(file_, value, "[alias." + name + "] needs targets");
      if (name == "auto" || name.starts_with("auto:") || name.find('/') != std::string::npos)
        return wrong(file_, value, "an alias cannot be named '" + name + "'");
      for (const auto& [member, content] : *members) {
        if (member.str() == "targets") {
          SM_TRY(alias.targets, targets(content, "targets"));
        } else if (member.str() == "weights") {
          const toml::array* numbers = content.as_array();
          if (numbers == nullptr) return wrong(file_, content, "weights is a list of numbers");
          for (const toml::node& each : *numbers) {
            const auto weight = each.value<double>();
            if (!weight || !(*weight >= 0) || *weight > 1e9)
              return wrong(file_, content, "a weight is a number from 0 on");
            alias.weights.push_back(*weight);
          }
        } else {
          return wrong(file_, content, "an alias has targets and weights");
        }
      }
      double sum = 0;
      for (const double w : alias.weights) sum += w;
      if (!alias.weights.empty() && (alias.weights.size() != alias.targets.size() || sum <= 0))
        return wrong(file_, value, "[alias." + name + "] needs one weight a target, not all 0");
      t_.aliases_[name] = std::move(alias);
    }
    return ok();
  }
  Result<void> words(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(file_, node, "[words] is a table");
    for (const auto& [key, value] : *table) {
      const auto task = parse_task(key.str());
      if (!task) return wrong(file_, value, "there is no task '" + std::string(key.str()) + "'");
      SM_TRY(const auto list, texts(value, "words"));
      for (std::string word : list) {
        for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        if (word.ends_with('*')) {
          word.pop_back();
          if (!word.empty()) t_.beginnings_.emplace_back(std::move(word), *task);
        } else {
          t_.words_[std::move(word)] = *task;
        }
      }
    }
    std::sort(t_.beginnings_.begin(), t_.beginnings_.end());
    for (const auto& [word, task] : t_.words_)
      if (word.size() >= 3) t_.starts_.set(RouteTable::start_of(word));
    for (const auto& [beginning, task] : t_.beginnings_) {
      if (beginning.size() < 3) {
        t_.starts_.set();  // of any word
      } else {
        t_.starts_.set(RouteTable::start_of(beginning));
      }
    }
    return ok();
  }

  // Aliases of aliases become their targets; a circle is refused.
  Result<void> flatten_aliases() {
    std::map<std::string, RouteAlias, std::less<>> flat;
    for (const auto& [name, alias] : t_.aliases_) {
      RouteAlias out;
      std::set<std::string> open{name};
      std::function<Result<void>(const RouteAlias&, double)> add =
          [&](const RouteAlias& from, double share) -> Result<void> {
        double sum = 0;
        for (const double w : from.weights) sum += w;
        for (size_t i = 0; i < from.targets.size(); ++i) {
          const RouteTarget& target = from.targets[i];
          const double weight =
              from.weights.empty() ? (i == 0 ? share : 0) : share * from.weights[i] / sum;
          const auto inner =
              target.provider.empty() ? t_.aliases_.find(target.model) : t_.aliases_.end();
          if (inner == t_.aliases_.end()) {
            if (out.targets.size() >= kTargetsMax)
              return Error(ErrorCode::kInvalidArgument,
                           file_ + ": the alias '" + name + "' has more than 16 targets");
            out.targets.push_back(target);
            out.weights.push_back(weight);
            continue;
          }
          if (!open.insert(target.model).second)
            return Error(ErrorCode::kInvalidArgument,
                         file_ + ": the alias '" + name + "' leads back to '" + target.model + "'");
          SM_CHECK_OK(add(inner->second, weight));
          open.erase(target.model);
        }
        return ok();
      };
      SM_CHECK_OK(add(alias, 1));
      flat[name] = std::move(out);
    }
    t_.aliases_ = std::move(flat);
    return ok();
  }

  Result<void> check_fallbacks() const {
    for (const auto& [model, list] : t_.fallbacks_) {
      const bool local = model.starts_with("ollama/");
      for (const RouteTarget& each : list) {
        const std::string to = each.provider + "/" + each.model;
        if (local && each.provider != "ollama" && !t_.local_may_leave)
          return Error(
              ErrorCode::kInvalidArgument,
              file_ + ": the fallback of '" + model + "' would leave this machine (" + to + ")",
              "set local_may_leave = true if that is what you want");
      }
      // Fallbacks of fallbacks are followed at run time, each model once; a circle is a slip.
      std::set<std::string> seen{model};
      std::vector<std::string> open{model};
      while (!open.empty()) {
        const std::string at = open.back();
        open.pop_back();
        const auto it = t_.fallbacks_.find(at);
        if (it == t_.fallbacks_.end()) continue;
        for (const RouteTarget& each : it->second) {
          const std::string to = each.provider + "/" + each.model;
          if (to == model)
            return Error(ErrorCode::kInvalidArgument,
                         file_ + ": the fallback of '" + model + "' leads back to it");
          if (seen.insert(to).second) open.push_back(to);
        }
      }
    }
    return ok();
  }

  RouteTable& t_;
  std::string file_;
  const std::vector<std::string>& providers_;
  const toml::table* fallback_ = nullptr;
};

Result<RouteTable> RouteTable::load(std::string_view user_text, const std::string& user_name,
                                    const std::map<std::string, std::string>& aliases,
                                    const std::vector<std::string>& providers) {
  RouteTable table;
  toml::table merged = toml::parse(embedded::kRoutes);  // checked by ai_test
  try {
    const toml::table user = toml::parse(user_text, user_name);
    lay_over(merged, user);
  } catch (const toml::parse_error& e) {
    return Error(ErrorCode::kInvalidArgument, user_name + ":" +
                                                  std::to_string(e.source().begin.line) + ": " +
                                                  std::string(e.description()));
  }
  const std::string name = user_name.empty() ? "routes.toml" : user_name;
  RouteReader reader(table, name, providers);
  SM_CHECK_OK(reader.read(merged));
  SM_CHECK_OK(reader.finish(aliases));
  return table;
}

Result<TaskChoice> RouteTable::recognise(const RequestFacts& f) const {
  if (!f.task_hint.empty()) {
    const auto task = parse_task(f.task_hint);
    if (!task) {
      std::vector<std::string> names(std::begin(kTaskNames), std::end(kTaskNames));
      const auto close = nearest(f.task_hint, names);
      return Error(ErrorCode::kInvalidArgument, "there is no task '" + f.task_hint + "'",
                   close ? "did you mean '" + *close + "'?"
                         : "the tasks are genre, audio, creative, factual, tools, summary and "
                           "transcription");
    }
    return TaskChoice{*task, "hint"};
  }
  std::array<int, kTasks> score{};
  std::array<std::string_view, kTasks> first{};
  char lower[kTextLooked];
  const size_t size = std::min(f.last_text.size(), kTextLooked);
  for (size_t i = 0; i < size; ++i) {
    const char c = f.last_text[i];
    lower[i] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  for (size_t at = 0; at < size;) {
    while (at < size && !word_char(lower[at])) ++at;
    size_t end = at;
    while (end < size && word_char(lower[end])) ++end;
    const std::string_view word(lower + at, end - at);
    at = end;
    if (word.size() < 3 || !starts_[start_of(word)]) continue;
    std::optional<Task> task;
    if (const auto it = words_.find(word); it != words_.end()) task = it->second;
    if (!task) {
      // The longest beginning that fits stands before the word in order; few share its letters.
      auto it =
          std::upper_bound(beginnings_.begin(), beginnings_.end(), word,
                           [](std::string_view w, const auto& entry) { return w < entry.first; });
      while (it != beginnings_.begin() && (--it)->first.front() == word.front()) {
        if (!word.starts_with(it->first)) continue;
        task = it->second;
        break;
      }
    }
    if (!task) continue;
    const auto index = static_cast<size_t>(*task);
    if (score[index]++ == 0) first[index] = word;
  }
  const auto scored = [&score](Task t) { return score[static_cast<size_t>(t)]; };
  if (f.audio)
    return scored(Task::kTranscription) > 0 ? TaskChoice{Task::kTranscription, "sound and words"}
                                            : TaskChoice{Task::kAudio, "sound"};
  if (f.tools) return TaskChoice{Task::kTools, "tools"};
  TaskChoice best{Task::kFactual, "no words of another task"};
  int most = 0;
  for (const Task t : {Task::kTranscription, Task::kGenre, Task::kSummary, Task::kCreative,
                       Task::kTools, Task::kAudio, Task::kFactual}) {
    if (scored(t) <= most) continue;
    most = scored(t);
    best = {t, "word '" + std::string(first[static_cast<size_t>(t)]) + "'"};
  }
  return best;
}

RouteTable::Order RouteTable::order(Task task, Priority priority) const {
  Order o;
  const auto& rules = rules_[static_cast<size_t>(priority)];
  auto rule = rules.find(task_name(task));
  if (rule == rules.end()) rule = rules.find("*");
  if (rule != rules.end()) {
    o.rule = std::string(priority_name(priority)) + "." + rule->first;
    o.targets = rule->second;
    o.named = o.targets.size();
  } else {
    o.rule = "chain";
  }
  for (const std::string& provider : chain_) {
    const bool there = std::any_of(
        o.targets.begin(), o.targets.end(),
        [&provider](const RouteTarget& t) { return t.provider == provider && t.model.empty(); });
    if (!there) o.targets.push_back({provider, {}});
  }
  return o;
}

const RouteAlias* RouteTable::alias(std::string_view name) const {
  const auto it = aliases_.find(name);
  return it == aliases_.end() ? nullptr : &it->second;
}

std::vector<RouteTarget> RouteTable::alias_order(const RouteAlias& alias,
                                                 std::string_view conversation) {
  std::vector<RouteTarget> order = alias.targets;
  double sum = 0;
  for (const double w : alias.weights) sum += w;
  if (sum <= 0) return order;
  const double drawn = static_cast<double>(blake3(conversation).prefix64() >> 11) * 0x1p-53 * sum;
  double upto = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    upto += alias.weights[i];
    if (drawn >= upto) continue;
    std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i),
                order.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    break;
  }
  return order;
}

const std::vector<RouteTarget>* RouteTable::fallback(std::string_view provider_model) const {
  const auto it = fallbacks_.find(provider_model);
  return it == fallbacks_.end() ? nullptr : &it->second;
}

const std::vector<std::string>& RouteTable::models(std::string_view provider,
                                                   Priority priority) const {
  static const std::vector<std::string> kNone;
  const auto it = models_.find(provider);
  return it == models_.end() ? kNone : it->second[static_cast<size_t>(priority)];
}

// ---- measurements ----

namespace {
constexpr double kWeight = 0.2;  // of the newest, in running means
void run(double& mean, double value) {
  mean = mean == 0 ? value : mean + kWeight * (value - mean);
}
}  // namespace

Measurements::Entry& Measurements::entry(const std::string& model) {
  if (models_.size() >= kModelsMax && !models_.contains(model)) models_.clear();
  return models_[model];
}

void Measurements::first_token(const std::string& model, double seconds) {
  const std::lock_guard lock(mutex_);
  run(entry(model).first_token_s, std::max(1e-6, seconds));
}

void Measurements::ended(const std::string& model, bool failed, double tokens_per_s) {
  const std::lock_guard lock(mutex_);
  Entry& e = entry(model);
  ++e.tries;
  e.error_share += kWeight * ((failed ? 1.0 : 0.0) - e.error_share);
  if (tokens_per_s > 0) run(e.tokens_per_s, tokens_per_s);
}

void Measurements::set_now(const std::string& model, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  entry(model).last = now;
}

Measurements::Model Measurements::of(std::string_view model) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  return it == models_.end() ? Model() : Model(it->second);
}

bool Measurements::failing(std::string_view model, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(model);
  return it != models_.end() && it->second.tries >= 5 && it->second.error_share > 0.5 &&
         now - it->second.last < std::chrono::minutes(1);
}

std::vector<std::pair<std::string, Measurements::Model>> Measurements::all() const {
  const std::lock_guard lock(mutex_);
  return {models_.begin(), models_.end()};
}

std::optional<std::string> StickyTable::get(uint64_t conversation, int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const auto it = entries_.find(conversation);
  if (it == entries_.end() || now_ms - it->second.second > kKeepMs) return std::nullopt;
  return it->second.first;
}

void StickyTable::put(uint64_t conversation, std::string model, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kMax) entries_.clear();
  entries_[conversation] = {std::move(model), now_ms};
}

}  // namespace samplemind::ai
