// Every command: declares its arguments on its subcommand and gives what to run once they were
// parsed. The exit status comes from base/error.h for errors.
#pragma once

#include <functional>

#include "base/result.h"
#include "cli/context.h"

namespace CLI {
class App;
}

namespace samplemind::cli {

using Run = std::function<Result<int>()>;

Run add_up(CLI::App& command, Context& context);
Run add_down(CLI::App& command, Context& context);
Run add_ps(CLI::App& command, Context& context);
Run add_logs(CLI::App& command, Context& context);
Run add_scan(CLI::App& command, Context& context);
Run add_analyze(CLI::App& command, Context& context);
Run add_plot(CLI::App& command, Context& context);
Run add_search(CLI::App& command, Context& context);
Run add_similar(CLI::App& command, Context& context);
Run add_duplicates(CLI::App& command, Context& context);
Run add_rename(CLI::App& command, Context& context);
Run add_watch(CLI::App& command, Context& context);
Run add_edit(CLI::App& command, Context& context);
Run add_tags(CLI::App& command, Context& context);
Run add_collection(CLI::App& command, Context& context);
Run add_undo(CLI::App& command, Context& context);
Run add_library(CLI::App& command, Context& context);
Run add_ask(CLI::App& command, Context& context);
Run add_models(CLI::App& command, Context& context);
Run add_pull_models(CLI::App& command, Context& context);
Run add_cache(CLI::App& command, Context& context);
Run add_keys(CLI::App& command, Context& context);
Run add_route(CLI::App& command, Context& context);
Run add_usage(CLI::App& command, Context& context);
Run add_config(CLI::App& command, Context& context);
Run add_bench(CLI::App& command, Context& context);
Run add_profile(CLI::App& command, Context& context);
Run add_version(CLI::App& command, Context& context);
// test, build, rebuild: the launcher's, which needs the checkout.
Run add_checkout_command(CLI::App& command, Context& context);

}  // namespace samplemind::cli
