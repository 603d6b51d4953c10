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
#include "ai/provider.h"
#include "ai/task_group_internal.h"
#include "net/client.h"
#include "net/loop.h"

namespace samplemind::ai {

inline constexpr int64_t kModelListMs = 30000;  // how long a provider's list of models is believed
inline constexpr int64_t kListFailedMs =
    2000;  // how long a provider that did not list is left alone

class Resolver {
 public:
  // `core` and `client` must outlive it.
  Resolver(const GatewayCore& core, net::Loop& loop, net::Client& client);

  // Sets the plan's provider and model from its request's model: an alias, 'auto',
  // 'provider/model', or a name that a provider lists.
  net::Task<std::optional<Failure>> resolve(Plan& p);

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

  // The first provider in order that is ready, with its preferred model.
  net::Task<std::optional<Failure>> resolve_auto(Plan& p);
  net::Task<const List*> listed(Provider& provider);
  net::Task<void> load_list(Provider& provider, List& list);

  const GatewayCore* core_;
  net::Client* client_;
  std::vector<std::unique_ptr<Provider>> providers_;
  std::map<std::string, List> lists_;
  TaskGroup tasks_;  // last: its frames refer to all of the above
};

}  // namespace samplemind::ai
