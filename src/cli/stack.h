// The container stack of docker/compose.yaml.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/context.h"

namespace samplemind::cli {

struct StackOptions {
  bool up = true;    // false: stop it
  int port = -1;     // on this machine's loopback; below 0: the compose file's 8000
  std::string with;  // profiles beside the service, with commas: ollama,redis,mongodb
};

// `docker compose up -d --build` (or down), by docker or podman, whichever is there. Needs the
// source checkout ($SAMPLEMIND_CHECKOUT, which the launcher sets). The containers get the key of
// this machine's SampleMind, made when there is none. Returns only when it could not start.
Result<int> run_stack(const Context& context, const StackOptions& options);

}  // namespace samplemind::cli
