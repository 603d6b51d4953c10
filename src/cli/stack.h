// The container stack of docker/compose.yaml.
#pragma once

#include "base/result.h"
#include "cli/context.h"

namespace samplemind::cli {

// `docker compose up -d` (or down), by docker or podman, whichever is there. Needs the source
// checkout ($SAMPLEMIND_CHECKOUT, which the launcher sets).
Result<int> run_stack(const Context& context, bool up);

}  // namespace samplemind::cli
