// Who answers for a model's name. One loop only; its tasks run there and must not outlive it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/gateway/core.h"
#include "ai/gateway/plan.h"
#include "ai/gateway/route_wishes.h"
#include "ai/provider.h"
#include "ai/task_group_internal.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

inline constexpr int64_t kModelListMs = 30000;  // how long a provider's list of models is believed
inline constexpr int64_t kListFailedMs =
    2000;                                    // how long a provider that did not list is left alone
inline constexpr size_t kCandidatesMax = 8;  // models that one request may try
inline constexpr size_t kEndpointsMax = 8;   // of each of them

class Resolver {
 public:
  // `core` and `client` must outlive it.
  Resolver(const GatewayCore& core, net::Loop& loop, net::Client& client);

  // Sets the plan's candidates from its request's model: 'auto', an alias, 'provider/model', or a
  // name that a provider lists. The plan's `facts`, `key_holder` and `local_only` are set before.
  net::Task<std::optional<Failure>> resolve(Plan& p, const RouteWishes& wishes);

  // By a provider's name its first endpoint that is configured, else its first; by an endpoint's
  // name that one. Null: there is none.
  Provider* provider_named(std::string_view name);
  const std::vector<std::unique_ptr<Provider>>& providers() const { return providers_; }

 private:
  // What a provider offers, as far as it said lately. Equal questions at once are one request.
  struct List {
    std::vector<std::string> names;
    std::string problem;  // why it could not be asked
    int64_t until_ms = 0;
    bool loading = false;
    std::vector<net::Event*> waiters;
  };
  struct ListWaiter {
    explicit ListWaiter(List& l) : list(l) { list.waiters.push_back(&event); }
    ListWaiter(const ListWaiter&) = delete;
    ListWaiter& operator=(const ListWaiter&) = delete;
    ~ListWaiter() { std::erase(list.waiters, &event); }
    List& list;
    net::Event event;
  };

  net::Task<std::optional<Failure>> resolve_auto(Plan& p, std::optional<Priority> priority,
                                                 const RouteWishes& wishes);
  net::Task<std::optional<Failure>> resolve_alias(Plan& p, const RouteAlias& alias,
                                                  Priority priority);
  net::Task<std::optional<Failure>> resolve_name(Plan& p);
  // Whether `name` is this endpoint's own, not its provider's: then no other stands in for it.
  static bool alone(const Provider& provider, std::string_view name) {
    return provider.label() == name && provider.label() != provider.name();
  }
  // Adds what a rule's target stands for, or a note why not.
  net::Task<void> add_target(Plan& p, RouteTarget target, Priority priority);
  // The configured endpoints of a provider, those first that this conversation goes to: each gets
  // its share by weight, those that fail or are not known to have the model come last, and one
  // that is known not to have it only when none has.
  std::vector<Provider*> endpoints(const Plan& p, Provider& provider, const std::string& model,
                                   bool alone);
  bool pooled(const Provider& provider) const;
  // What any of its endpoints lists.
  net::Task<const List*> offered(Provider& provider, bool alone);
  // Adds the model, at each endpoint that may and can answer; a note otherwise.
  void add(Plan& p, Provider& provider, const std::string& model, bool alone = false);
  // The same for a model that was named, whatever hinders it.
  void add_named(Plan& p, Provider& provider, const std::string& model, bool alone = false);
  net::Task<void> add_fallbacks(Plan& p, Priority priority);
  // Why this model cannot or may not answer; empty: it can.
  std::string hindrance(const Plan& p, const Provider& provider, const std::string& model) const;
  void refine(Plan& p, size_t named, Priority priority) const;
  std::optional<Failure> settle(Plan& p);
  std::vector<std::string> preferred(const Provider& provider, Priority priority) const;
  // Of this endpoint. Where there are several, an old list is good enough while a new one comes.
  net::Task<const List*> listed(Provider& provider);
  net::Task<void> load_list(Provider& provider, List& list);

  const GatewayCore* core_;
  net::Client* client_;
  std::vector<std::unique_ptr<Provider>> providers_;
  std::map<std::string, bool> own_default_;  // the user chose the provider's default model
  std::map<std::string, std::vector<Provider*>> pools_;  // of providers with several endpoints
  std::map<std::string, List> lists_;                    // by label
  std::map<std::string, List> merged_;                   // of pools
  TaskGroup tasks_;  // last: its frames refer to all of the above
};

}  // namespace samplemind::ai
