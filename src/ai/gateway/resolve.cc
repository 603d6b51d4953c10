#include "ai/gateway/resolve.h"

#include <algorithm>

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

}  // namespace

Resolver::Resolver(const GatewayCore& core, net::Loop& loop, net::Client& client)
    : core_(&core), client_(&client), tasks_(loop) {
  providers_ = make_providers(core_->config);
}

Provider* Resolver::provider_named(std::string_view name) {
  name = provider_name(name);
  for (const auto& p : providers_) {
    if (p->name() == name) return p.get();
  }
  return nullptr;
}

net::Task<std::optional<Failure>> Resolver::resolve(Plan& p) {
  std::string name = p.request->model;
  if (const auto alias = core_->settings.aliases.find(name); alias != core_->settings.aliases.end())
    name = alias->second;
  if (name == "auto") co_return co_await resolve_auto(p);
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
      p.provider = provider;
      p.model = name.substr(slash + 1);
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
        p.provider = provider.get();
        p.model = model;
        co_return std::nullopt;
      }
      known.push_back(model);
    }
  }
  if (known.empty() && !unreachable.empty()) {
    co_return Failure{503,
                      "upstream_error",
                      "provider_unreachable",
                      "no AI provider answers: " + unreachable +
                          ". 'samplemind models' says what each of them needs",
                      {}};
  }
  std::string message = "the model '" + p.request->model + "' does not exist";
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

net::Task<std::optional<Failure>> Resolver::resolve_auto(Plan& p) {
  std::string tried;
  for (const std::string& name : core_->settings.order) {
    Provider* provider = provider_named(name);
    if (provider == nullptr || !provider->configured()) continue;
    const List& list = *co_await listed(*provider);
    if (list.names.empty()) {
      const std::string problem =
          list.problem.empty() ? provider->name() + " has no model" : list.problem;
      tried += (tried.empty() ? "" : "; ") + problem;
      continue;
    }
    std::vector<std::string> wanted;
    const std::string preferred = core_->config.string("ai." + provider->name() + ".default_model");
    if (!preferred.empty()) wanted.push_back(preferred);
    if (provider->name() == "ollama") {
      wanted.insert(wanted.end(), core_->settings.recommended.begin(),
                    core_->settings.recommended.end());
    }
    p.provider = provider;
    p.model = list.names.front();
    for (const std::string& each : wanted) {
      // Some list dated names only: "claude-sonnet-4-5" is "claude-sonnet-4-5-20250929".
      const auto listed_as = std::find_if(
          list.names.begin(), list.names.end(),
          [&each](const std::string& n) { return n == each || n.starts_with(each + "-2"); });
      if (listed_as == list.names.end()) continue;
      p.model = *listed_as;
      break;
    }
    co_return std::nullopt;
  }
  co_return Failure{503,
                    "upstream_error",
                    "no_provider",
                    "no AI provider is ready" +
                        (tried.empty() ? std::string() : " (" + tried + ")") +
                        ": install Ollama and run 'samplemind pull-models', or set OPENAI_API_KEY, "
                        "ANTHROPIC_API_KEY or GEMINI_API_KEY",
                    {}};
}

net::Task<const Resolver::List*> Resolver::listed(Provider& provider) {
  List& list = lists_[provider.name()];  // stays where it is
  if (list.until_ms > core_->clock.unix_ms()) co_return &list;
  if (!list.loading) {
    list.loading = true;
    tasks_.start(load_list(provider, list));
  }
  ListWaiter waiter(list);
  while (list.loading) co_await waiter.event.wait();
  co_return &list;
}

net::Task<void> Resolver::load_list(Provider& provider, List& list) {
  auto names = co_await provider.model_names(*client_);
  list.loading = false;
  list.problem = names.ok() ? std::string() : provider.name() + ": " + names.error().message();
  list.names = names.ok() ? std::move(*names) : std::vector<std::string>();
  list.until_ms = core_->clock.unix_ms() + (list.problem.empty() ? kModelListMs : kListFailedMs);
  for (net::Event* each : list.waiters) each->notify();
}

}  // namespace samplemind::ai
