// Every command: declares its arguments on its subcommand and gives what to run once they were
// parsed. The exit status comes from base/error.h for errors.
#pragma once

#include <functional>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/context.h"

namespace samplemind::cli {

using Run = std::function<Result<int>()>;

Run add_up(Arguments command, Context& context);
Run add_down(Arguments command, Context& context);
Run add_ps(Arguments command, Context& context);
Run add_logs(Arguments command, Context& context);
Run add_scan(Arguments command, Context& context);
Run add_analyze(Arguments command, Context& context);
Run add_plot(Arguments command, Context& context);
Run add_eval(Arguments command, Context& context);
Run add_search(Arguments command, Context& context);
Run add_similar(Arguments command, Context& context);
Run add_map(Arguments command, Context& context);
Run add_duplicates(Arguments command, Context& context);
Run add_rename(Arguments command, Context& context);
Run add_write_tags(Arguments command, Context& context);
Run add_watch(Arguments command, Context& context);
Run add_worker(Arguments command, Context& context);
Run add_edit(Arguments command, Context& context);
Run add_tags(Arguments command, Context& context);
Run add_collection(Arguments command, Context& context);
Run add_undo(Arguments command, Context& context);
Run add_library(Arguments command, Context& context);
Run add_ask(Arguments command, Context& context);
Run add_models(Arguments command, Context& context);
Run add_pull_models(Arguments command, Context& context);
Run add_cache(Arguments command, Context& context);
Run add_keys(Arguments command, Context& context);
Run add_route(Arguments command, Context& context);
Run add_usage(Arguments command, Context& context);
Run add_config(Arguments command, Context& context);
Run add_bench(Arguments command, Context& context);
Run add_profile(Arguments command, Context& context);
Run add_version(Arguments command, Context& context);
// test, build, rebuild: the launcher's, which needs the checkout.
Run add_checkout_command(Arguments command, Context& context);

}  // namespace samplemind::cli
