// The routes below /api/v1/keys: virtual keys are made, listed, rotated and revoked. A key's secret
// is in the answer that made it and nowhere else.
#pragma once

#include <string>

#include "net/server.h"
#include "server/engine.h"

namespace samplemind::server {

net::Task<void> get_keys(EngineShard& shard, net::Exchange& exchange);
net::Task<void> post_key(EngineShard& shard, net::Exchange& exchange);
// `which`: an id, or a name that only one key has.
net::Task<void> post_key_rotate(EngineShard& shard, net::Exchange& exchange, std::string which);
net::Task<void> post_key_revoke(EngineShard& shard, net::Exchange& exchange, std::string which);

}  // namespace samplemind::server
