// What a client's headers ask of the gateway. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace samplemind::ai {

struct ClientWishes {
  bool no_store = false, no_cache = false, only_if_cached = false, bypass = false, refresh = false;
  int64_t max_age_ms = -1;
  int64_t ttl_ms = -1;               // of this answer, when it is stored; -1: as configured
  std::optional<bool> replay_paced;  // how a kept answer is streamed; nothing: as configured
  std::string_view cache_namespace;  // points into the headers
  const char* problem = nullptr;     // what is wrong with one of them: the request is refused

  // Nothing that keeps the quick way from being taken.
  bool plain() const { return !no_store && !no_cache && !bypass && !refresh && problem == nullptr; }
};

// Cache-Control (a directive that cannot be read is taken at its strictest) and
//   x-samplemind-cache-mode: bypass | refresh
//   x-samplemind-cache-ttl: 1 second to 1 year, in seconds or with a unit ("300", "5m", "7d")
//   x-samplemind-replay: paced | at-once
//   x-samplemind-cache-namespace: 1 to 64 letters, digits, '.', '_', '-': a cache of its own
// `headers` may be null and must outlive what is returned.
ClientWishes read_wishes(const net::Headers* headers);

// Headers that can change an answer, in a fixed order, for the cache's key.
std::string answer_changing_headers(const net::Headers* headers);
// The same headers, for a provider that takes those of its own.
net::Headers forwarded_headers(const net::Headers* headers);

}  // namespace samplemind::ai
