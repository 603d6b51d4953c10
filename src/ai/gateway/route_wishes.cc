#include "ai/gateway/route_wishes.h"

namespace samplemind::ai {

namespace {
constexpr const char* kHeaders[] = {"x-samplemind-task", "x-samplemind-priority",
                                    "x-samplemind-residency", "x-samplemind-conversation"};
}

RouteWishes read_route_wishes(const CallContext& context) {
  RouteWishes w;
  if (context.key) w.local_only = context.key->local_only;
  if (context.headers == nullptr) return w;
  const auto get = [&](int i) { return context.headers->get(kHeaders[i]).value_or(""); };
  w.task = get(0).substr(0, 100);
  if (const auto priority = get(1); !priority.empty()) {
    w.priority = parse_priority(priority);
    if (!w.priority) w.problem = "x-samplemind-priority must be speed, quality or cost";
  }
  if (const auto residency = get(2); residency == "local-only") {
    w.local_only = true;
  } else if (!residency.empty() && residency != "any") {
    w.problem = "x-samplemind-residency must be 'local-only' or 'any'";
  }
  w.conversation = get(3).substr(0, 200);
  return w;
}

std::string routing_scope(const CallContext& context) {
  std::string out;
  if (context.key) {
    out.append(context.key->id).append(context.key->local_only ? "!" : "");
    for (const std::string& model : context.key->models) out.append("\n").append(model);
  }
  if (context.headers == nullptr) return out;
  for (const char* name : kHeaders) {
    if (const auto value = context.headers->get(name))
      out.append("\n").append(name).append(":").append(*value);
  }
  return out;
}

}  // namespace samplemind::ai
