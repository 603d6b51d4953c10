#include "ai/provider.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <map>

namespace samplemind::ai {

net::Task<Result<void>> Provider::pull(net::Client&, std::string model,
                                       std::function<void(const PullProgress&)>, net::CancelToken) {
  co_return Error(ErrorCode::kUnsupported, name() + " cannot pull " + model,
                  "only Ollama's models are pulled");
}
net::Task<Result<void>> Provider::load(net::Client&, std::string model, net::CancelToken) {
  co_return Error(ErrorCode::kUnsupported, name() + " cannot load " + model,
                  "only Ollama's models are loaded");
}

std::vector<std::unique_ptr<Provider>> make_providers(const Config& config) {
  std::vector<std::unique_ptr<Provider>> list;
  auto endpoints = read_endpoints(config);
  SM_ASSERT(endpoints.ok());
  std::map<std::string, std::string> identities;
  for (EndpointSettings& each : *endpoints) {
    const std::string name = each.provider;
    const auto make = name == "ollama"      ? make_ollama
                      : name == "gemini"    ? make_gemini
                      : name == "anthropic" ? make_anthropic
                                            : make_openai;
    list.push_back(make(config, std::move(each)));
    const auto first = identities.try_emplace(name, name + " " + list.back()->endpoint()).first;
    list.back()->set_identity(first->second);
  }
  return list;
}

std::optional<int64_t> parse_retry_after_ms(std::string_view value, int64_t now_unix_s) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size()) {
    if (!(seconds >= 0) || seconds > 1e7) return std::nullopt;
    return static_cast<int64_t>(std::ceil(seconds * 1000));
  }
  std::tm date{};
  const std::string text(value);
  if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return std::nullopt;
  return std::max<int64_t>(0, (::timegm(&date) - now_unix_s) * 1000);
}

}  // namespace samplemind::ai
