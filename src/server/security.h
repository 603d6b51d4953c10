// Who may ask what: checks before any route. No web page can drive a local service (Host, Origin
// and Fetch metadata, JSON content type), and with a key set nobody else can. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/http.h"

namespace samplemind::server {

struct SecurityPolicy {
  std::string api_key;                     // empty: none needed
  std::vector<std::string> allowed_hosts;  // besides localhost and address literals
};

struct Refusal {
  int status;
  std::string title;
  std::string detail;
};

// Nothing when the request may go on.
std::optional<Refusal> check_request(const net::RequestHead& request, const SecurityPolicy& policy);

// The time does not depend on where the two differ.
bool equal_constant_time(std::string_view a, std::string_view b);
// "127.0.0.1", "::1", "localhost": names that only this machine answers to.
bool is_loopback_host(std::string_view host);

}  // namespace samplemind::server
