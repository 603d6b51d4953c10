// What a command takes: positional arguments, options, flags. A thin face of CLI11, so that only
// arguments.cc and app.cc pay for its header (4 s of compiling each).
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace samplemind::cli {

// One argument that was declared; each call refines it and gives it back.
class Argument {
 public:
  explicit Argument(CLI::Option& option) : option_(&option) {}
  Argument& required();
  // How the help calls its value: "FILE". Without it the help names the type.
  Argument& type_name(const std::string& name);
  // The value must lie within [low, high]; anything else is an error that says so.
  Argument& range(double low, double high);
  // Given once with one value, or again with another: all of them are kept, in order.
  Argument& repeated();
  // "a,b" are two values.
  Argument& comma_separated();
  // The help shows what the variable holds now.
  Argument& capture_default();

 private:
  CLI::Option* option_;
};

// A command's arguments. `name` is "FILE" for a positional one, "--json" or "-f,--follow" else. The
// variable is written when the command line is parsed and must live until the command has run.
class Arguments {
 public:
  explicit Arguments(CLI::App& command) : command_(&command) {}
  // T: std::string, int, int64_t, double, a std::optional of one of them (unset when not given), or
  // a vector of strings or int64_t.
  template <class T>
  Argument add_option(const std::string& name, T& value, const std::string& help);
  Argument add_flag(const std::string& name, bool& value, const std::string& help);
  std::string command_name() const;

 private:
  CLI::App* command_;
};

}  // namespace samplemind::cli
