#include "ai/money.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "prices.h"

namespace samplemind::ai {

namespace {
struct Table {
  std::string date;
  std::map<std::string, Price, std::less<>> prices;  // "openai/gpt-4o-mini"
};

const Table& table() {
  static const Table loaded = [] {
    Table t;
    const toml::table file =
        toml::parse(embedded::kPrices);  // checked by ai_test: it is part of the program
    t.date = file["date"].value_or("");
    for (const auto& [provider, models] : *file["models"].as_table()) {
      for (const auto& [model, price] : *models.as_table()) {
        const toml::table& p = *price.as_table();
        const double input = p["input"].value_or(0.0);
        t.prices[std::string(provider.str()) + "/" + std::string(model.str())] = {
            input, p["cached_input"].value_or(input), p["cache_write"].value_or(input),
            p["output"].value_or(0.0)};
      }
    }
    return t;
  }();
  return loaded;
}
}  // namespace

std::string_view prices_date() {
  return table().date;
}

std::optional<Price> price_of(std::string_view provider, std::string_view model) {
  if (provider == "ollama") return Price{};
  const std::string prefix = std::string(provider) + "/";
  std::string name(model);
  // A dated snapshot has its family's price: cut "-2024-07-18" or "-20240718" off.
  for (;;) {
    const auto it = table().prices.find(prefix + name);
    if (it != table().prices.end()) return it->second;
    const size_t dash = name.rfind('-');
    if (dash == std::string::npos || dash + 1 >= name.size() ||
        name.find_first_not_of("0123456789", dash + 1) != std::string::npos)
      return std::nullopt;
    name.resize(dash);
  }
}

std::optional<int64_t> cost_microusd(std::string_view provider, std::string_view model,
                                     const Usage& u) {
  const auto price = price_of(provider, model);
  if (!price) return std::nullopt;
  if (provider == "ollama") return 0;
  if (!u.reported) return std::nullopt;
  // USD per million tokens is micro-dollars per token.
  const double fresh = static_cast<double>(
      std::max<int64_t>(0, u.input_tokens - u.cached_input_tokens - u.cache_write_tokens));
  const double cost = fresh * price->input +
                      static_cast<double>(u.cached_input_tokens) * price->cached_input +
                      static_cast<double>(u.cache_write_tokens) * price->cache_write +
                      static_cast<double>(u.output_tokens) * price->output;
  return static_cast<int64_t>(std::ceil(cost - 1e-9));
}

}  // namespace samplemind::ai
