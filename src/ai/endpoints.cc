#include "ai/endpoints.h"

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "net/http.h"

namespace samplemind::ai {

namespace {

Error bad(const std::string& key, const std::string& what, std::string hint = {}) {
  return Error(ErrorCode::kInvalidArgument, key + ": " + what, std::move(hint));
}

bool is_provider(std::string_view name) {
  return std::find(kProviders.begin(), kProviders.end(), name) != kProviders.end();
}

EndpointSettings first_of(const Config& config, const std::string& provider) {
  EndpointSettings e;
  e.provider = e.name = provider;
  e.url_key = "ai." + provider + (provider == "ollama" ? ".host" : ".base_url");
  e.url = config.string(e.url_key);
  for (const Config::Entry& entry : config.entries())
    if (entry.name == e.url_key) e.url_chosen = entry.source != ConfigSource::kDefault;
  if (provider != "ollama") e.key = config.string("ai." + provider + ".api_key");
  e.weight = config.number("ai." + provider + ".weight");
  return e;
}

}  // namespace

std::string_view provider_name(std::string_view name) {
  if (name == "claude") return "anthropic";
  return name == "google" ? "gemini" : name;
}

Result<std::vector<EndpointSettings>> read_endpoints(const Config& config) {
  std::vector<EndpointSettings> list;
  for (const std::string_view provider : kProviders) {
    list.push_back(first_of(config, std::string(provider)));
    if (list.back().weight < 0)
      return bad("ai." + std::string(provider) + ".weight", "a share is not below 0");
  }
  std::set<std::string> names;
  for (const auto& [member, value] : config.table("ai.endpoints"))
    names.insert(member.substr(0, member.find('.')));
  for (const std::string& name : names) {
    const std::string at = "ai.endpoints." + name;
    const auto has = [&](const char* member) { return config.is_set(at + "." + member); };
    const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '-' || c == '_';
    });
    if (!plain) return bad(at, "a name is made of letters, digits, - and _");
    if (is_provider(provider_name(name)) || name == "auto")
      return bad(at, "'" + name + "' is taken: give it a name of its own");
    EndpointSettings e;
    e.name = name;
    e.provider = has("provider") ? config.string(at + ".provider") : "openai";
    e.provider = provider_name(e.provider);
    if (!is_provider(e.provider)) {
      return bad(at + ".provider", "there is no provider '" + e.provider + "'",
                 "openai (also for servers that speak its dialect), anthropic, gemini or ollama");
    }
    e.url_key = at + ".url";
    if (!has("url")) return bad(e.url_key, "is missing", "url = \"http://127.0.0.1:8000/v1\"");
    e.url = config.string(e.url_key);
    e.url_chosen = true;
    if (has("key_env")) {
      const std::string& variable = config.string(at + ".key_env");
      const auto value = env(variable.c_str());
      if (!value || value->empty())
        return bad(at + ".key_env", "the environment variable " + variable + " is not set");
      e.key = *value;
      log::redact(e.key);
    } else if (has("api_key")) {
      e.key = config.string(at + ".api_key");
    }
    if (has("weight")) e.weight = config.number(at + ".weight");
    if (e.weight < 0) return bad(at + ".weight", "a share is not below 0");
    if (has("models")) e.models = config.list(at + ".models");
    list.push_back(std::move(e));
  }
  for (const EndpointSettings& e : list) {
    if (e.url.find("://") == std::string::npos && e.provider == "ollama") continue;
    if (auto url = net::Url::parse(e.url); !url.ok() && e.name != e.provider)
      return std::move(url).error().with_context(e.url_key);
  }
  return list;
}

}  // namespace samplemind::ai
