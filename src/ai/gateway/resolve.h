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

class Resolver {
 public:
  // `core` and `client` must outlive it.
  Resolver(const GatewayCore& core, net::Loop& loop, net::Client& client);

  // Sets the plan's candidates from its request's model: 'auto', an alias, 'provider/model', or a
  // name that a provider lists. The plan's `facts`, `key_holder` and `local_only` are set before.
  net::Task<std::optional<Failure>> resolve(Plan& p, const RouteWishes& wishes);

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
  // Adds what a rule's target stands for, or a note why not.
  net::Task<void> add_target(Plan& p, RouteTarget target, Priority priority);
  // Adds the model when it may and can answer; a note otherwise.
  void add(Plan& p, Provider& provider, const std::string& model, std::string_view why);
  net::Task<void> add_fallbacks(Plan& p, Priority priority);
  // Why this model cannot or may not answer; empty: it can.
  std::string hindrance(const Plan& p, const Provider& provider, const std::string& model) const;
  void refine(Plan& p, size_t named, Priority priority) const;
  std::optional<Failure> settle(Plan& p);
  std::vector<std::string> preferred(const Provider& provider, Priority priority) const;
  net::Task<const List*> listed(Provider& provider);
  net::Task<void> load_list(Provider& provider, List& list);

  const GatewayCore* core_;
  net::Client* client_;
  std::vector<std::unique_ptr<Provider>> providers_;
  std::map<std::string, bool> own_default_;  // the user chose the provider's default model
  std::map<std::string, List> lists_;
  TaskGroup tasks_;  // last: its frames refer to all of the above
};

}  // namespace samplemind::ai
