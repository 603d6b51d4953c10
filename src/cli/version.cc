// samplemind version; and the commands that are the launcher's
#include "cli/commands.h"
#include "server/engine.h"

namespace samplemind::cli {

Run add_version(Arguments, Context&) {
  return []() -> Result<int> {
    print("samplemind " + std::string(server::version()) + "\n");
    return 0;
  };
}

Run add_checkout_command(Arguments command, Context&) {
  return [name = command.command_name()]() -> Result<int> {
    return Error(ErrorCode::kUnsupported, "'" + name + "' needs the source checkout",
                 "run ./samplemind " + name + " there");
  };
}

}  // namespace samplemind::cli
