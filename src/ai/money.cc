#include "ai/money.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/config.h"
#include "prices.h"

namespace samplemind::ai {

namespace {

struct Member {
  const char* name;
  double Price::*field;
};
constexpr Member kMembers[] = {
    {"input", &Price::input},
    {"cached_input", &Price::cached_input},
    {"cache_write", &Price::cache_write},
    {"output", &Price::output},
    {"audio_input", &Price::audio_input},
    {"audio_output", &Price::audio_output},
    {"image_input", &Price::image_input},
    {"long_input", &Price::long_input},
    {"long_output", &Price::long_output},
};

// What is not named costs what plain tokens cost.
void fill_gaps(Price& p, const std::map<std::string, double>& given) {
  const auto rest = [&given](const char* name, double& field, double plain) {
    if (!given.contains(name)) field = plain;
  };
  rest("cached_input", p.cached_input, p.input);
  rest("cache_write", p.cache_write, p.input);
  rest("audio_input", p.audio_input, p.input);
  rest("audio_output", p.audio_output, p.output);
  rest("image_input", p.image_input, p.input);
}

// One provider, two names: the company's and its models'.
std::string_view provider_key(std::string_view provider) {
  return provider == "claude" ? "anthropic" : provider;
}

int64_t whole_up(double microusd) {
  constexpr double kMost = 9e15;
  return static_cast<int64_t>(std::ceil(std::clamp(microusd, 0.0, kMost) - 1e-9));
}

}  // namespace

const PriceTable& PriceTable::builtin() {
  static const PriceTable loaded = [] {
    PriceTable t;
    const toml::table file =
        toml::parse(embedded::kPrices);  // checked by ai_test: it is part of the program
    t.date_ = file["date"].value_or("");
    for (const auto& [provider, models] : *file["models"].as_table()) {
      for (const auto& [model, price] : *models.as_table()) {
        const toml::table& p = *price.as_table();
        Entry entry;
        std::map<std::string, double> given;
        for (const Member& m : kMembers) {
          if (const auto value = p[m.name].value<double>()) {
            entry.price.*m.field = *value;
            given[m.name] = *value;
          }
        }
        fill_gaps(entry.price, given);
        entry.traits.context_tokens = p["context"].value_or<int64_t>(0);
        entry.traits.output_max_tokens = p["output_max"].value_or<int64_t>(0);
        if (const toml::array* can = p["can"].as_array()) {
          for (const toml::node& each : *can) {
            const std::string what = each.value_or("");
            entry.traits.image |= what == "image";
            entry.traits.audio |= what == "audio";
            entry.traits.document |= what == "document";
            entry.traits.tools |= what == "tools";
            entry.traits.schema |= what == "schema";
            entry.traits.reasoning |= what == "reasoning";
            entry.traits.embedding |= what == "embedding";
          }
        }
        t.models_[std::string(provider.str()) + "/" + std::string(model.str())] = entry;
      }
    }
    return t;
  }();
  return loaded;
}

Result<PriceTable> PriceTable::with(const std::map<std::string, std::string>& overrides) {
  PriceTable table = builtin();
  std::map<std::string, std::map<std::string, double>> by_model;
  for (const auto& [name, text] : overrides) {
    const size_t dot = name.rfind('.');
    const std::string model = name.substr(0, dot);
    const std::string member = dot == std::string::npos ? "" : name.substr(dot + 1);
    const bool known = std::any_of(std::begin(kMembers), std::end(kMembers),
                                   [&member](const Member& m) { return member == m.name; });
    if (!known || model.find('/') == std::string::npos) {
      return Error(ErrorCode::kInvalidArgument, "ai.prices." + name + " is no price",
                   "write [ai.prices.\"provider/model\"] with input, output and, where they "
                   "differ, cached_input, cache_write, audio_input, audio_output, image_input");
    }
    double value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0) || value > 1e6) {
      return Error(ErrorCode::kInvalidArgument,
                   "ai.prices." + name +
                       " must be a price in dollars per million tokens, from 0 to 1000000, not '" +
                       text + "'");
    }
    by_model[model][member] = value;
  }
  for (auto& [model, given] : by_model) {
    const size_t slash = model.find('/');
    const std::string key = std::string(provider_key(model.substr(0, slash))) + model.substr(slash);
    const bool is_new = !table.models_.contains(key);
    if (is_new && !(given.contains("input") && given.contains("output"))) {
      return Error(ErrorCode::kInvalidArgument,
                   "ai.prices: '" + model + "' needs both an input and an output price");
    }
    Entry& entry = table.models_[key];
    for (const Member& m : kMembers) {
      if (given.contains(m.name)) entry.price.*m.field = given[m.name];
    }
    // A changed plain price changes what hung on it; the user named only what they know.
    if (is_new) fill_gaps(entry.price, given);
  }
  return table;
}

const PriceTable::Entry* PriceTable::find(std::string_view provider, std::string_view model) const {
  std::string name;
  provider = provider_key(provider);
  name.reserve(provider.size() + 1 + model.size());
  name.append(provider).append("/").append(model);
  // A dated snapshot has its family's price: cut "-2024-07-18", "-20240718" or "-latest" off.
  for (;;) {
    if (const auto it = models_.find(name); it != models_.end()) return &it->second;
    const size_t dash = name.rfind('-');
    if (dash == std::string::npos || dash <= provider.size() || dash + 1 >= name.size())
      return nullptr;
    const std::string_view last = std::string_view(name).substr(dash + 1);
    // Two digits or more: "-5" tells one model from another.
    const bool date = last.size() >= 2 && last.find_first_not_of("0123456789") == last.npos;
    if (!date && last != "latest") return nullptr;
    name.resize(dash);
  }
}

std::optional<Price> PriceTable::price(std::string_view provider, std::string_view model) const {
  if (provider == "ollama") return Price{};
  const Entry* entry = find(provider, model);
  if (entry == nullptr) return std::nullopt;
  return entry->price;
}

const ModelTraits* PriceTable::traits(std::string_view provider, std::string_view model) const {
  const Entry* entry = find(provider, model);
  return entry == nullptr ? nullptr : &entry->traits;
}

std::optional<int64_t> PriceTable::cost(std::string_view provider, std::string_view model,
                                        const Usage& u) const {
  if (provider == "ollama") return 0;
  const auto p = price(provider, model);
  if (!p || !u.reported) return std::nullopt;
  // Anthropic's: 2 times the input price for an hour, 1.25 times for five minutes.
  constexpr double kHourFactor = 2 / 1.25;
  // Counts come from outside: none below zero, no part larger than its whole.
  const auto count = [](int64_t n) { return static_cast<double>(std::max<int64_t>(0, n)); };
  const double input = count(u.input_tokens);
  const double cached = std::min(count(u.cached_input_tokens), input);
  const double written = std::min(count(u.cache_write_tokens), input - cached);
  const double for_an_hour = std::min(count(u.cache_write_1h_tokens), written);
  const double audio_in = std::min(count(u.audio_input_tokens), input - cached - written);
  const double image_in =
      std::min(count(u.image_input_tokens), input - cached - written - audio_in);
  const double output = count(u.output_tokens);
  const double audio_out = std::min(count(u.audio_output_tokens), output);
  const bool is_long = u.input_tokens > kLongInputTokens && p->long_input > 0;
  const double factor_in = is_long && p->input > 0 ? p->long_input / p->input : 1;
  const double factor_out =
      is_long && p->output > 0 && p->long_output > 0 ? p->long_output / p->output : 1;
  const double plain_in = input - cached - written - audio_in - image_in;
  const double cost =
      factor_in * (plain_in * p->input + image_in * p->image_input + cached * p->cached_input +
                   written * p->cache_write + for_an_hour * (kHourFactor - 1) * p->cache_write +
                   audio_in * p->audio_input) +
      factor_out * ((output - audio_out) * p->output + audio_out * p->audio_output);
  return whole_up(cost);
}

std::optional<int64_t> PriceTable::estimate(std::string_view provider, std::string_view model,
                                            int64_t input_tokens, int64_t output_tokens) const {
  const auto p = price(provider, model);
  if (!p) return std::nullopt;
  const bool is_long = input_tokens > kLongInputTokens && p->long_input > 0;
  const double input = std::max(is_long ? p->long_input : p->input, p->cache_write);
  const double output = is_long && p->long_output > 0 ? p->long_output : p->output;
  return whole_up(static_cast<double>(std::max<int64_t>(0, input_tokens)) * input +
                  static_cast<double>(std::max<int64_t>(0, output_tokens)) * output);
}

std::optional<Price> price_of(std::string_view provider, std::string_view model) {
  return PriceTable::builtin().price(provider, model);
}
std::string_view prices_date() {
  return PriceTable::builtin().date();
}
std::optional<int64_t> cost_microusd(std::string_view provider, std::string_view model,
                                     const Usage& usage) {
  return PriceTable::builtin().cost(provider, model, usage);
}

std::string dollars(int64_t microusd) {
  if (microusd == 0) return "$0";
  char buffer[40];
  const bool small = microusd > -10000 && microusd < 10000;
  std::snprintf(buffer, sizeof buffer, small ? "%s$%.6f" : "%s$%.4f", microusd < 0 ? "-" : "",
                static_cast<double>(microusd < 0 ? -microusd : microusd) / 1e6);
  std::string text = buffer;
  const size_t cents = text.find('.') + 3;
  while (text.size() > cents && text.back() == '0') text.pop_back();
  return text;
}

Result<int64_t> parse_dollars(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('$')) digits.remove_prefix(1);
  double value = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
      !(value >= 0) || value > 1e9) {
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(text) + "' is no amount of dollars",
                 "write 5, 2.50 or 0.001");
  }
  return static_cast<int64_t>(std::llround(value * 1e6));
}

}  // namespace samplemind::ai
