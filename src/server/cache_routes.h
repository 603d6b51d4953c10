// The routes below /api/v1/cache: what is in the cache, tidying it up, filling it, moving it.
#pragma once

#include <string>

#include "net/server.h"
#include "server/engine.h"

namespace samplemind::server {

net::Task<void> get_cache_stats(EngineShard& shard, net::Exchange& exchange);
// ?key=&model=&provider=&tenant=&older_than=&limit=&cursor=
net::Task<void> get_cache_entries(EngineShard& shard, net::Exchange& exchange);
// The whole key, or a beginning of at least 6 digits that only one entry has.
net::Task<void> get_cache_entry(EngineShard& shard, net::Exchange& exchange, std::string key);
net::Task<void> post_cache_clear(EngineShard& shard, net::Exchange& exchange);
net::Task<void> post_cache_warm(EngineShard& shard, net::Exchange& exchange);
net::Task<void> post_cache_export(EngineShard& shard, net::Exchange& exchange);
net::Task<void> post_cache_import(EngineShard& shard, net::Exchange& exchange);

// Runs [cache.warm] file again and again, every [cache.warm] every. Does nothing when no file is
// set. For one shard of the service.
net::Task<void> warm_on_schedule(EngineShard& shard);

}  // namespace samplemind::server
