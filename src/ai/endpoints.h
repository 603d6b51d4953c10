// Where each provider answers. A provider has its own address (ai.PROVIDER.base_url) and, below
// [ai.endpoints.NAME], any number of others that speak its dialect: servers of one's own, regions,
// second keys. The endpoints of a provider stand in for each other: what has the same name at two
// of them is the same model, to the cache and to the bill.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/result.h"

namespace samplemind::ai {

// In the order in which they are named when a model is looked for.
inline constexpr std::array<std::string_view, 4> kProviders{"ollama", "gemini", "anthropic",
                                                            "openai"};
// "claude" and "google" are other names for anthropic and gemini.
std::string_view provider_name(std::string_view name);

struct EndpointSettings {
  std::string provider;
  std::string name;  // the provider's for its first; unlike any provider's for the others
  std::string url;
  std::string url_key;      // the configuration key that says it, for messages
  bool url_chosen = false;  // not the default
  std::string key;
  double weight = 1;                // its share of the requests; 0: only when the others fail
  std::vector<std::string> models;  // the only ones that it serves; empty: what it lists
};

// The first of each provider in the order of kProviders, then the others by name. kInvalidArgument
// for a name or provider that cannot be, a missing or broken address, a weight below 0 or a named
// environment variable that is not set.
Result<std::vector<EndpointSettings>> read_endpoints(const Config& config);

}  // namespace samplemind::ai
