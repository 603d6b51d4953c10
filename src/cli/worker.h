// What `samplemind scan --queue` and `samplemind worker` share.
#pragma once

#include <string>

#include "cli/context.h"
#include "server/scan_queue.h"

namespace samplemind::cli {

// The address with what the configuration says of it (library.queue_*). kInvalidArgument when it is
// no address of one Redis.
Result<server::QueueAddress> queue_address(const Context& context, const std::string& url);

}  // namespace samplemind::cli
