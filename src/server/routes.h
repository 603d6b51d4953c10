// Every route of the service: the gateway's (/v1), the API's (/api/v1), health, metrics, the page.
#pragma once

#include <string>
#include <vector>

#include "net/server.h"
#include "server/engine.h"
#include "server/security.h"

namespace samplemind::server {

// What a shard's server calls. The shard must outlive the handler and its exchanges.
net::Handler make_handler(EngineShard& shard, SecurityPolicy policy);

// Loads the models of ai.ollama.preload, one after the other; what fails is logged.
net::Task<void> preload_models(EngineShard& shard);

// "GET /api/v1/samples/{id}", in the router's order.
std::vector<std::string> route_list();

}  // namespace samplemind::server
