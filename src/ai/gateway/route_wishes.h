// What a client's headers say about where its request may go.
#pragma once

#include <optional>
#include <string>

#include "ai/gateway.h"
#include "ai/router.h"

namespace samplemind::ai {

struct RouteWishes {
  std::string task;                  // x-samplemind-task
  std::optional<Priority> priority;  // x-samplemind-priority
  bool local_only = false;           // x-samplemind-residency: local-only, or the key's
  std::string conversation;          // x-samplemind-conversation
  std::string problem;               // what cannot be read; empty: all is well
};

RouteWishes read_route_wishes(const CallContext& context);
// Everything about the caller that can change where a request goes, as one text.
std::string routing_scope(const CallContext& context);

}  // namespace samplemind::ai
