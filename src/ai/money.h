// What models cost and can do. Money is integer micro-dollars (millionths of a dollar), rounded up.
// The table comes from data/prices.toml, which is dated and part of the program; a user's own
// numbers ([ai.prices]) win. Immutable once made; may be shared between threads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "ai/chat.h"
#include "base/result.h"

namespace samplemind::ai {

// USD per million tokens, which is micro-dollars a token.
struct Price {
  double input = 0;
  double cached_input = 0;  // read from the provider's prompt cache
  double cache_write = 0;   // stored in it
  double output = 0;
  double audio_input = 0;
  double audio_output = 0;
  double image_input = 0;
  double long_input = 0;  // of a request above kLongInputTokens; 0: no such price
  double long_output = 0;
};
inline constexpr int64_t kLongInputTokens = 200000;

// What a model can be asked, as far as the table knows.
struct ModelTraits {
  int64_t context_tokens = 0;  // 0: unknown
  int64_t output_max_tokens = 0;
  bool image = false, audio = false, document = false;
  bool tools = false, schema = false, reasoning = false, embedding = false;
};

class PriceTable {
 public:
  // The table that is part of the program.
  static const PriceTable& builtin();
  // With the members of [ai.prices] over it: "openai/gpt-4o.input" -> "2.5". kInvalidArgument names
  // a member that is none, a negative price, or a model without input or output price.
  static Result<PriceTable> with(const std::map<std::string, std::string>& overrides);

  // "gpt-4o-mini-2024-07-18" has the price of "gpt-4o-mini". Nothing when it is unknown, which is
  // never free; all zeros for Ollama's models.
  std::optional<Price> price(std::string_view provider, std::string_view model) const;
  const ModelTraits* traits(std::string_view provider, std::string_view model) const;
  std::string_view date() const { return date_; }  // "2026-07-24"

  // Of an answer, by its reported usage. Nothing when the price or the usage is unknown; 0 for
  // local models. Never negative, whatever the provider claims.
  std::optional<int64_t> cost(std::string_view provider, std::string_view model,
                              const Usage& usage) const;
  // Before the call. Nothing when the price is unknown.
  std::optional<int64_t> estimate(std::string_view provider, std::string_view model,
                                  int64_t input_tokens, int64_t output_tokens) const;

 private:
  struct Entry {
    Price price;
    ModelTraits traits;
  };
  const Entry* find(std::string_view provider, std::string_view model) const;
  std::string date_;
  std::map<std::string, Entry, std::less<>> models_;  // "openai/gpt-4o-mini"
};

// Of the table that is part of the program.
std::optional<Price> price_of(std::string_view provider, std::string_view model);
std::string_view prices_date();
std::optional<int64_t> cost_microusd(std::string_view provider, std::string_view model,
                                     const Usage& usage);

// "$0.0125": for people. More digits where the amount is small.
std::string dollars(int64_t microusd);
// "2.50", "$2.5" -> 2500000; kInvalidArgument when it is no amount from 0 to a billion dollars.
Result<int64_t> parse_dollars(std::string_view text);

}  // namespace samplemind::ai
