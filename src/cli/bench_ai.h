// samplemind bench ai. The day and the provider: bench_day.h.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/bench_day.h"
#include "cli/context.h"

namespace samplemind::cli {

struct DayBenchOptions {
  DayShape day;
  double speed = 500;  // of the scripted models
  std::string model;   // a real one; empty: the scripted provider
  bool json = false;
};

// `folder`: for what each pass keeps; the caller removes it.
Result<int> run_day_bench(const Context& context, const DayBenchOptions& options,
                          const std::filesystem::path& folder);

}  // namespace samplemind::cli
