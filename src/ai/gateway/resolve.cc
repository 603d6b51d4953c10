#include "ai/gateway/resolve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "ai/facts.h"
#include "ai/gateway/books.h"
#include "base/hash.h"

namespace samplemind::ai {

namespace {

// Up to three of the known models that the asked name may mean, in quotes: those that begin with
// it, else one that is a slip away, with or without its tag ("llama3.2:3b": "llama3.2").
std::string close_names(const std::string& asked, const std::vector<std::string>& known) {
  std::vector<std::string> close;
  for (const std::string& each : known) {
    if (close.size() < 3 && asked.size() >= 3 && each.starts_with(asked)) close.push_back(each);
  }
  if (close.empty()) {
    std::vector<std::string> untagged;
    for (const std::string& each : known) untagged.push_back(each.substr(0, each.find(':')));
    if (const auto whole = nearest(asked, known)) {
      close.push_back(*whole);
    } else if (const auto base = nearest(asked, untagged)) {
      const auto at = std::find(untagged.begin(), untagged.end(), *base) - untagged.begin();
      close.push_back(known[static_cast<size_t>(at)]);
    }
  }
  std::string out;
  for (size_t i = 0; i < close.size(); ++i)
    out += (i == 0 ? "'" : i + 1 == close.size() ? " or '" : ", '") + close[i] + "'";
  return out;
}

// Some list dated names only: "claude-sonnet-4-5" is "claude-sonnet-4-5-20250929".
bool lists(const std::vector<std::string>& names, std::string_view model) {
  return std::any_of(names.begin(), names.end(), [model](std::string_view n) {
    return n == model || (n.starts_with(model) && (n.substr(model.size()) == ":latest" ||
                                                   n.substr(model.size()).starts_with("-2")));
  });
}

// Ollama does not list what its models can take; their names tell.
bool ollama_sees(const std::string& model) {
  for (const char* part : {"llava", "vision", "-vl", "vl:", "moondream", "minicpm-v", "gemma3",
                           "llama4", "mistral-small3", "bakllava"}) {
    if (model.find(part) != std::string::npos) return true;
  }
  return false;
}

void note(Plan& p, const std::string& name, const std::string& why) {
  if (p.skipped.size() < 2 * kCandidatesMax) p.skipped.push_back(name + ": " + why);
}

}  // namespace

Resolver::Resolver(const GatewayCore& core, net::Loop& loop, net::Client& client)
    : core_(&core), client_(&client), tasks_(loop) {
  providers_ = make_providers(core_->config);
  std::map<std::string, std::vector<Provider*>> all;
  for (const auto& each : providers_) all[each->name()].push_back(each.get());
  for (auto& [name, endpoints] : all)
    if (endpoints.size() > 1) pools_[name] = std::move(endpoints);
  for (const Config::Entry& e : core_->config.entries()) {
    constexpr std::string_view kEnd = ".default_model";
    if (e.name.starts_with("ai.") && e.name.ends_with(kEnd))
      own_default_[e.name.substr(3, e.name.size() - 3 - kEnd.size())] =
          e.source != ConfigSource::kDefault;
  }
}

Provider* Resolver::provider_named(std::string_view name) {
  name = provider_name(name);
  Provider* found = nullptr;
  for (const auto& p : providers_) {
    if (alone(*p, name)) return p.get();
    if (p->name() == name && (found == nullptr || (!found->configured() && p->configured())))
      found = p.get();
  }
  return found;
}

bool Resolver::pooled(const Provider& provider) const {
  return !pools_.empty() && pools_.contains(provider.name());
}

std::vector<Provider*> Resolver::endpoints(const Plan& p, Provider& provider,
                                           const std::string& model, bool alone) {
  if (alone || !pooled(provider)) return {&provider};
  struct Turn {
    int rank;
    double score;
    Provider* endpoint;
  };
  std::vector<Turn> turns;
  const std::string seed = p.tenant + "\n" + p.facts.conversation + "\n";
  const SteadyTime now = core_->clock.steady();
  for (Provider* each : pools_.at(provider.name())) {
    if (!each->configured()) continue;
    const std::vector<std::string>& only = each->only_models();
    const List& list = lists_[each->label()];
    int rank = 0;
    if (!only.empty() || list.problem.empty()) {
      if (!lists(only.empty() ? list.names : only, model)) rank = 4;
    } else {
      rank = 2;
    }
    if (rank == 0 && core_->books_->measured.failing(each->label() + "/" + model, now)) rank = 1;
    // Weighted rendezvous hashing (Schindelhauer and Schomaker, 2005): a conversation keeps its
    // endpoint, also when others come and go, and the prompt cache there keeps it.
    const double u =
        (static_cast<double>(blake3(seed + each->label()).prefix64() >> 11) + 0.5) * 0x1p-53;
    const double score = each->weight() > 0 ? -std::log(u) / each->weight() : HUGE_VAL;
    if (rank < 4 && each->weight() <= 0) ++rank;
    turns.push_back({rank, score, each});
  }
  if (turns.empty()) return {&provider};
  std::stable_sort(turns.begin(), turns.end(), [](const Turn& a, const Turn& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.score < b.score;
  });
  // Those that have not got it: only when it is not known of any that it has.
  std::vector<Provider*> out;
  for (const Turn& t : turns) {
    if (out.size() >= kEndpointsMax || (t.rank == 4 && turns.front().rank < 4)) break;
    out.push_back(t.endpoint);
  }
  return out;
}

void Resolver::add_named(Plan& p, Provider& provider, const std::string& model, bool alone) {
  for (Provider* each : endpoints(p, provider, model, alone)) {
    const bool known =
        std::any_of(p.candidates.begin(), p.candidates.end(),
                    [&](const Candidate& c) { return c.provider == each && c.model == model; });
    if (!known) p.candidates.push_back({each, model, "named"});
  }
}

net::Task<std::optional<Failure>> Resolver::resolve(Plan& p, const RouteWishes& wishes) {
  const RouteTable& routes = core_->books_->routes;
  const std::string& name = p.request->model;
  const Priority priority = wishes.priority.value_or(routes.default_priority);
  for (const auto& [provider, pool] : pools_) {
    for (Provider* each : pool) {
      List& list = lists_[each->label()];
      if (!each->configured() || list.until_ms > 0 || std::exchange(list.loading, true)) continue;
      tasks_.start(load_list(*each, list));
    }
    for (Provider* each : pool)
      if (each->configured()) (void)co_await listed(*each);
  }
  if (name == "auto") co_return co_await resolve_auto(p, wishes.priority, wishes);
  if (name.starts_with("auto:")) {
    const auto said = parse_priority(std::string_view(name).substr(5));
    if (!said) {
      co_return Failure{404,
                        "invalid_request_error",
                        "model_not_found",
                        "the model '" + name +
                            "' does not exist; there is 'auto', 'auto:speed', 'auto:quality' and "
                            "'auto:cost'",
                        {}};
    }
    co_return co_await resolve_auto(p, said, wishes);
  }
  if (const RouteAlias* alias = routes.alias(name))
    co_return co_await resolve_alias(p, *alias, priority);
  auto failed = co_await resolve_name(p);
  if (failed) co_return failed;
  co_await add_fallbacks(p, priority);
  co_return settle(p);
}

net::Task<std::optional<Failure>> Resolver::resolve_auto(Plan& p, std::optional<Priority> said,
                                                         const RouteWishes& wishes) {
  Books& books = *core_->books_;
  const Priority priority = said.value_or(books.routes.default_priority);
  if (!wishes.task.empty()) p.facts.task_hint = wishes.task;
  auto task = books.routes.recognise(p.facts);
  if (!task.ok()) {
    const std::string hint = task.error().hint();
    co_return Failure{400,
                      "invalid_request_error",
                      "unknown_task",
                      task.error().message() + (hint.empty() ? "" : "; " + hint),
                      {}};
  }
  const RouteTable::Order order = books.routes.order(task->task, priority);
  p.rule = order.rule;
  p.chained = true;
  p.why = "auto:" + std::string(priority_name(priority)) + ", task " +
          std::string(task_name(task->task)) + " (" + task->why + "), rule " + order.rule;
  size_t named = 0;
  for (size_t i = 0; i < order.targets.size(); ++i) {
    co_await add_target(p, order.targets[i], priority);
    if (i + 1 == order.named) named = p.candidates.size();
  }
  refine(p, named, priority);
  // A conversation that has begun stays where it is, as long as it can be answered there.
  const uint64_t conversation = blake3(p.tenant + "\n" + p.facts.conversation).prefix64();
  const int64_t now_ms = core_->clock.unix_ms();
  if (p.facts.goes_on) {
    if (const auto kept = books.sticky.get(conversation, now_ms)) {
      const bool moves = !p.candidates.empty() && p.candidates.front().id() != *kept;
      const auto others =
          std::stable_partition(p.candidates.begin(), p.candidates.end(),
                                [&kept](const Candidate& c) { return c.id() == *kept; });
      if (moves && others != p.candidates.begin()) p.why += ", stays with its conversation";
    }
  }
  if (!p.candidates.empty()) books.sticky.put(conversation, p.candidates.front().id(), now_ms);
  co_return settle(p);
}

net::Task<std::optional<Failure>> Resolver::resolve_alias(Plan& p, const RouteAlias& alias,
                                                          Priority priority) {
  p.rule = "alias." + p.request->model;
  p.chained = true;
  p.why = "alias " + p.request->model;
  const std::vector<RouteTarget> targets =
      RouteTable::alias_order(alias, p.tenant + "\n" + p.facts.conversation);
  for (const RouteTarget& each : targets) co_await add_target(p, each, priority);
  co_return settle(p);
}

net::Task<std::optional<Failure>> Resolver::resolve_name(Plan& p) {
  const std::string& name = p.request->model;
  p.rule = "named";
  p.why = "named";
  if (const size_t slash = name.find('/'); slash != std::string::npos) {
    if (Provider* provider = provider_named(name.substr(0, slash))) {
      if (!provider->configured()) {
        co_return Failure{503,
                          "invalid_request_error",
                          "provider_not_configured",
                          "the provider '" + provider->name() +
                              "' is not configured: 'samplemind models' says what to do",
                          {}};
      }
      add_named(p, *provider, name.substr(slash + 1), alone(*provider, name.substr(0, slash)));
      co_return std::nullopt;
    }
  }
  std::vector<std::string> known;
  std::string unreachable;
  for (const auto& provider : providers_) {
    if (!provider->configured()) continue;
    const List& list = *co_await listed(*provider);
    if (!list.problem.empty()) unreachable += (unreachable.empty() ? "" : "; ") + list.problem;
    for (const std::string& model : list.names) {
      if (model == name || model == name + ":latest") {
        // Another provider may offer the same; what begins on this machine stays there.
        const bool would_leave = !p.candidates.empty() &&
                                 p.candidates.front().provider->on_this_machine() &&
                                 !provider->on_this_machine();
        if (!would_leave) add_named(p, *provider, model);
        // What is here is not looked for elsewhere.
        if (provider->on_this_machine()) co_return std::nullopt;
        break;
      }
      known.push_back(model);
    }
  }
  if (!p.candidates.empty()) co_return std::nullopt;
  if (known.empty() && !unreachable.empty()) {
    co_return Failure{503,
                      "upstream_error",
                      "provider_unreachable",
                      "no AI provider answers: " + unreachable +
                          ". 'samplemind models' says what each of them needs",
                      {}};
  }
  std::string message = "the model '" + name + "' does not exist";
  if (const std::string close = close_names(name, known); !close.empty()) {
    message += "; did you mean " + close + "?";
  } else if (!known.empty()) {
    message += "; there is '" + known.front() + "'";
    if (known.size() > 1) message += " and " + std::to_string(known.size() - 1) + " more";
    message += ": GET /v1/models lists them";
  } else {
    message +=
        "; no provider offers any: 'samplemind pull-models' gets some for Ollama, "
        "OPENAI_API_KEY, ANTHROPIC_API_KEY and GEMINI_API_KEY open the others'";
  }
  if (!unreachable.empty()) message += " (" + unreachable + ")";
  co_return Failure{404, "invalid_request_error", "model_not_found", message, {}};
}

net::Task<void> Resolver::add_fallbacks(Plan& p, Priority priority) {
  // Each model once, however they refer to each other.
  std::vector<std::string> open;
  for (const Candidate& c : p.candidates) open.push_back(c.id());
  for (size_t i = 0; i < open.size() && i < kCandidatesMax; ++i) {
    const std::vector<RouteTarget>* list = core_->books_->routes.fallback(open[i]);
    if (list == nullptr) continue;
    for (const RouteTarget& each : *list) {
      const size_t before = p.candidates.size();
      co_await add_target(p, each, priority);
      for (size_t j = before; j < p.candidates.size(); ++j) open.push_back(p.candidates[j].id());
      p.chained = true;
    }
  }
}

std::vector<std::string> Resolver::preferred(const Provider& provider, Priority priority) const {
  std::vector<std::string> wanted;
  const std::string& chosen = core_->config.string("ai." + provider.name() + ".default_model");
  const auto own = own_default_.find(provider.name());
  if (!chosen.empty() && own != own_default_.end() && own->second) wanted.push_back(chosen);
  const auto& by_rule = core_->books_->routes.models(provider.name(), priority);
  wanted.insert(wanted.end(), by_rule.begin(), by_rule.end());
  if (!chosen.empty()) wanted.push_back(chosen);
  if (provider.name() == "ollama") {
    wanted.insert(wanted.end(), core_->settings.recommended.begin(),
                  core_->settings.recommended.end());
  }
  return wanted;
}

net::Task<void> Resolver::add_target(Plan& p, RouteTarget target, Priority priority) {
  if (target.provider.empty()) {
    // A bare name: whoever lists it.
    for (const auto& provider : providers_) {
      if (!provider->configured()) continue;
      const List& list = *co_await listed(*provider);
      for (const std::string& model : list.names) {
        if (model != target.model && model != target.model + ":latest") continue;
        add(p, *provider, model);
        co_return;
      }
    }
    note(p, target.model, "no provider lists it");
    co_return;
  }
  Provider* provider = provider_named(target.provider);
  if (provider == nullptr || !provider->configured()) {
    note(p, target.provider, "not configured");
    co_return;
  }
  const bool by_name = alone(*provider, target.provider);
  if (!target.model.empty()) {
    add(p, *provider, target.model, by_name);
    co_return;
  }
  if ((p.local_only || core_->books_->local_only) && (by_name || !pooled(*provider)) &&
      !provider->on_this_machine()) {
    note(p, provider->name(), "not on this machine");
    co_return;
  }
  const List& list = *co_await offered(*provider, by_name);
  if (list.names.empty()) {
    note(p, provider->name(), list.problem.empty() ? "has no model" : list.problem);
    co_return;
  }
  std::vector<std::string> order;
  for (const std::string& each : preferred(*provider, priority)) {
    const auto listed_as = std::find_if(
        list.names.begin(), list.names.end(),
        [&each](const std::string& n) { return n == each || n.starts_with(each + "-2"); });
    if (listed_as != list.names.end()) order.push_back(*listed_as);
  }
  order.insert(order.end(), list.names.begin(), list.names.end());
  std::string first_hindrance;
  for (const std::string& model : order) {
    std::string why_not;
    for (const Provider* each : endpoints(p, *provider, model, by_name)) {
      why_not = hindrance(p, *each, model);
      if (!why_not.empty()) continue;
      add(p, *provider, model, by_name);
      co_return;
    }
    if (first_hindrance.empty()) first_hindrance = model + " " + why_not;
  }
  note(p, provider->name(), first_hindrance);
}

std::string Resolver::hindrance(const Plan& p, const Provider& provider,
                                const std::string& model) const {
  if (p.key_holder && !p.key_holder->may_use(provider.name() + "/" + model))
    return "may not be used with this key";
  if ((p.local_only || core_->books_->local_only) && !provider.on_this_machine())
    return "is not on this machine";
  const RequestFacts& f = p.facts;
  if (provider.name() == "ollama") {
    if (f.audio) return "takes no sound";
    if (f.document) return "takes no documents";
    if (f.image && !ollama_sees(model)) return "takes no pictures";
    return {};
  }
  const ModelTraits* t = core_->books_->prices.traits(provider.name(), model);
  if (t == nullptr) return {};  // unknown: it will say so itself
  if (t->embedding) return "makes embeddings, no answers";
  if (f.audio && !t->audio) return "takes no sound";
  if (f.image && !t->image) return "takes no pictures";
  if (f.document && !t->document) return "takes no documents";
  if (f.tools && !t->tools) return "calls no tools";
  if (f.schema && !t->schema) return "keeps to no schema";
  if (t->context_tokens > 0 && f.input_tokens > t->context_tokens)
    return "takes " + std::to_string(t->context_tokens) + " tokens, the request has about " +
           std::to_string(f.input_tokens);
  return {};
}

void Resolver::add(Plan& p, Provider& provider, const std::string& model, bool alone) {
  std::string last;  // of the models that are there
  size_t models = 0;
  for (const Candidate& c : p.candidates) {
    if (c.provider->name() == provider.name() && c.model == model) return;
    std::string id = c.id();
    if (id != last) ++models;
    last = std::move(id);
  }
  if (models >= kCandidatesMax) return;
  std::string why_not;
  bool added = false;
  for (Provider* each : endpoints(p, provider, model, alone)) {
    std::string hindered = hindrance(p, *each, model);
    if (hindered.empty()) {
      p.candidates.push_back({each, model, p.rule});
      added = true;
    } else if (why_not.empty()) {
      why_not = std::move(hindered);
    }
  }
  if (!added) note(p, provider.name() + "/" + model, why_not);
}

void Resolver::refine(Plan& p, size_t named, Priority priority) const {
  Books& books = *core_->books_;
  if (books.routes.refine && named < p.candidates.size()) {
    // In steps of a quarter: smaller differences are noise.
    const auto weight = [&](const Candidate& each) -> double {
      // Endpoints of one model move together.
      const Candidate& c = *std::find_if(p.candidates.begin(), p.candidates.end(),
                                         [&](const Candidate& o) { return o.twin_of(each); });
      if (priority == Priority::kCost) {
        const auto price = books.prices.price(c.provider->name(), c.model);
        return price ? price->input + price->output : 1e9;
      }
      const double seconds = books.measured.of(c.place()).first_token_s;
      if (priority != Priority::kSpeed || seconds <= 0) return 0;
      return 100 + std::floor(std::log(seconds) / std::log(1.25));
    };
    // Only what was measured moves: a model that nobody asked yet keeps its place.
    std::vector<Candidate> known;
    std::vector<size_t> places;
    for (size_t i = named; i < p.candidates.size(); ++i) {
      if (weight(p.candidates[i]) <= 0 && priority != Priority::kCost) continue;
      places.push_back(i);
      known.push_back(p.candidates[i]);
    }
    std::stable_sort(known.begin(), known.end(),
                     [&](const Candidate& a, const Candidate& b) { return weight(a) < weight(b); });
    for (size_t i = 0; i < places.size(); ++i) p.candidates[places[i]] = known[i];
  }
  const SteadyTime now = core_->clock.steady();
  std::stable_partition(p.candidates.begin(), p.candidates.end(), [&](const Candidate& c) {
    return !books.measured.failing(c.place(), now);
  });
}

std::optional<Failure> Resolver::settle(Plan& p) {
  // What was named is held to the same rules; there the reason is the answer.
  if (!p.chained || p.rule == "named") {
    std::vector<Candidate> good;
    std::string why_not;
    const bool one_model_left = one_model(p);
    for (Candidate& c : p.candidates) {
      std::string each = hindrance(p, *c.provider, c.model);
      const bool forbidden =
          each == "may not be used with this key" || each == "is not on this machine";
      if (each.empty() || (!forbidden && c.why == "named" && one_model_left)) {
        good.push_back(std::move(c));
      } else if (why_not.empty()) {
        why_not = "'" + c.place() + "' " + each;
      }
    }
    if (good.empty()) {
      const bool key = why_not.find("with this key") != std::string::npos;
      return Failure{403,
                     key ? "permission_error" : "invalid_request_error",
                     key ? "model_not_allowed" : "not_local",
                     why_not,
                     {}};
    }
    p.candidates = std::move(good);
  }
  if (p.candidates.empty()) {
    std::string tried;
    bool able = false;
    for (const std::string& each : p.skipped) {
      tried += (tried.empty() ? "" : "; ") + each;
      able |= each.find(" takes ") != std::string::npos ||
              each.find(" with this key") != std::string::npos ||
              each.find(" on this machine") != std::string::npos;
    }
    std::string message = "no AI provider is ready";
    if (!tried.empty()) message += " (" + tried + ")";
    if (!able)
      message +=
          ": install Ollama and run 'samplemind pull-models', or set OPENAI_API_KEY, "
          "ANTHROPIC_API_KEY or GEMINI_API_KEY";
    return Failure{503, "upstream_error", "no_provider", message, {}};
  }
  p.provider = p.candidates.front().provider;
  p.model = p.candidates.front().model;
  p.route = p.candidates.front().place() + " (" + p.why;
  if (p.candidates.size() > 1) {
    p.route += "; then";
    for (size_t i = 1; i < std::min(p.candidates.size(), kCandidatesMax); ++i)
      p.route += (i > 1 ? ", " : " ") + p.candidates[i].place();
  }
  if (!p.skipped.empty()) {
    p.route += "; not";
    for (size_t i = 0; i < p.skipped.size() && i < 4; ++i)
      p.route += (i > 0 ? ", " : " ") + p.skipped[i];
  }
  p.route += ")";
  return std::nullopt;
}

net::Task<const Resolver::List*> Resolver::listed(Provider& provider) {
  List& list = lists_[provider.label()];  // stays where it is
  if (list.until_ms > core_->clock.unix_ms()) co_return &list;
  if (!list.loading) {
    list.loading = true;
    tasks_.start(load_list(provider, list));
  }
  if (list.until_ms > 0 && pooled(provider)) co_return &list;
  ListWaiter waiter(list);
  while (list.loading) co_await waiter.event.wait();
  co_return &list;
}

net::Task<const Resolver::List*> Resolver::offered(Provider& provider, bool alone) {
  if (alone || !pooled(provider)) co_return co_await listed(provider);
  List all;
  for (Provider* each : pools_.at(provider.name())) {
    if (!each->configured()) continue;
    const List& list = *co_await listed(*each);
    const std::vector<std::string>& only = each->only_models();
    for (const std::string& name : only.empty() ? list.names : only)
      if (std::find(all.names.begin(), all.names.end(), name) == all.names.end())
        all.names.push_back(name);
    if (all.problem.empty()) all.problem = list.problem;
  }
  List& merged = merged_[provider.name()];
  merged = std::move(all);
  co_return &merged;
}

net::Task<void> Resolver::load_list(Provider& provider, List& list) {
  auto names = co_await provider.model_names(*client_);
  list.loading = false;
  list.problem = names.ok() ? std::string() : provider.label() + ": " + names.error().message();
  list.names = names.ok() ? std::move(*names) : std::vector<std::string>();
  list.until_ms = core_->clock.unix_ms() + (list.problem.empty() ? kModelListMs : kListFailedMs);
  for (net::Event* each : list.waiters) each->notify();
}

}  // namespace samplemind::ai
