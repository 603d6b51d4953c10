// What was asked and what it cost: usage, the last requests, where a request would go.
#pragma once

#include "net/server.h"
#include "server/engine.h"

namespace samplemind::server {

net::Task<void> get_usage(EngineShard& shard, net::Exchange& exchange);
net::Task<void> get_requests(EngineShard& shard, net::Exchange& exchange);
net::Task<void> post_route(EngineShard& shard, net::Exchange& exchange);

}  // namespace samplemind::server
