// What a client's headers ask of the gateway. Pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "net/http.h"

namespace samplemind::ai {

struct ClientWishes {
  bool no_store = false, no_cache = false, only_if_cached = false, bypass = false, refresh = false;
  bool unknown_mode = false;
  int64_t max_age_ms = -1;
};

// Cache-Control and x-samplemind-cache-mode. A directive that cannot be read is taken at its
// strictest. `headers` may be null.
ClientWishes read_wishes(const net::Headers* headers);

// Headers that can change an answer, in a fixed order, for the cache's key.
std::string answer_changing_headers(const net::Headers* headers);
// Those of them that an OpenAI-compatible server understands.
net::Headers forwarded_headers(const net::Headers* headers);

}  // namespace samplemind::ai
