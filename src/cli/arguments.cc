#include "cli/arguments.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <vector>

namespace samplemind::cli {

namespace {

std::string plain(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.15g", number);
  return text;
}

}  // namespace

Argument& Argument::required() {
  option_->required();
  return *this;
}

Argument& Argument::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Argument& Argument::range(double low, double high) {
  const auto check = [low, high](std::string& word) -> std::string {
    double value = 0;
    if (CLI::detail::lexical_cast(word, value) && value >= low && value <= high) return {};
    return "'" + word + "' is no number from " + plain(low) + " to " + plain(high);
  };
  option_->check(CLI::Validator(check, ""));
  return *this;
}

Argument& Argument::repeated() {
  option_->expected(1)->take_all();
  return *this;
}

Argument& Argument::comma_separated() {
  option_->delimiter(',');
  return *this;
}

Argument& Argument::capture_default() {
  option_->capture_default_str();
  return *this;
}

template <class T>
Argument Arguments::add_option(const std::string& name, T& value, const std::string& help) {
  return Argument(*command_->add_option(name, value, help));
}
template Argument Arguments::add_option(const std::string&, std::string&, const std::string&);
template Argument Arguments::add_option(const std::string&, int&, const std::string&);
template Argument Arguments::add_option(const std::string&, int64_t&, const std::string&);
template Argument Arguments::add_option(const std::string&, double&, const std::string&);
template Argument Arguments::add_option(const std::string&, std::optional<std::string>&,
                                        const std::string&);
template Argument Arguments::add_option(const std::string&, std::optional<int>&,
                                        const std::string&);
template Argument Arguments::add_option(const std::string&, std::optional<int64_t>&,
                                        const std::string&);
template Argument Arguments::add_option(const std::string&, std::optional<double>&,
                                        const std::string&);
template Argument Arguments::add_option(const std::string&, std::vector<std::string>&,
                                        const std::string&);
template Argument Arguments::add_option(const std::string&, std::vector<int64_t>&,
                                        const std::string&);

Argument Arguments::add_flag(const std::string& name, bool& value, const std::string& help) {
  return Argument(*command_->add_flag(name, value, help));
}

std::string Arguments::command_name() const {
  return command_->get_name();
}

}  // namespace samplemind::cli
