// samplemind version; and the commands that are the launcher's
#include <CLI/CLI.hpp>

#include "cli/commands.h"
#include "server/engine.h"

namespace samplemind::cli {

Run add_version(CLI::App&, Context&) {
  return []() -> Result<int> {
    print("samplemind " + std::string(server::version()) + "\n");
    return 0;
  };
}

Run add_checkout_command(CLI::App& command, Context&) {
  return [name = command.get_name()]() -> Result<int> {
    return Error(ErrorCode::kUnsupported, "'" + name + "' needs the source checkout",
                 "run ./samplemind " + name + " there");
  };
}

}  // namespace samplemind::cli
