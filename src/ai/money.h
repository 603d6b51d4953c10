// What an answer costs, in integer micro-dollars. Prices come from data/prices.toml, which is dated
// and part of the program.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ai/chat.h"

namespace samplemind::ai {

struct Price {
  double input = 0;         // USD per million tokens
  double cached_input = 0;  // read from the provider's prompt cache
  double cache_write = 0;   // stored in it
  double output = 0;
};

// The price of a provider's model ("gpt-4o-mini-2024-07-18" has that of "gpt-4o-mini"); nothing
// when it is unknown, which is never free.
std::optional<Price> price_of(std::string_view provider, std::string_view model);
std::string_view prices_date();  // "2026-11-01"

// Rounded up to a whole micro-dollar. Nothing when the price or the usage is unknown; 0 for local
// models.
std::optional<int64_t> cost_microusd(std::string_view provider, std::string_view model,
                                     const Usage& usage);

}  // namespace samplemind::ai
