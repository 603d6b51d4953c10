// Who may ask what: checks before any route. No web page can drive a local service (Host, Origin
// and Fetch metadata, JSON content type), and with keys nobody else can. Thread-safe.
//
// There are two kinds of keys. The server's own (server.api_key) opens everything. Virtual keys
// (ai/keys.h) open the routes of models, and with `library` the library and the coach. A key comes
// as Authorization: Bearer, x-api-key or x-goog-api-key, never in the address.
// - Only this machine can reach the server and there is no key of either kind: none is needed, and
//   whatever a client sends is taken.
// - There are virtual keys: models need one (or the server's own). The rest stays open on this
//   machine as long as server.api_key is not set.
// - server.api_key is set, or others can reach the server: everything needs a key.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ai/keys.h"
#include "net/http.h"

namespace samplemind::server {

struct SecurityPolicy {
  std::string api_key;                     // empty: none needed
  std::vector<std::string> allowed_hosts;  // besides localhost and address literals
  const ai::KeyStore* keys = nullptr;      // virtual keys; must outlive the policy
  bool exposed = false;                    // others than this machine can reach the server
};

// Who asks: the holder of a virtual key, or nobody in particular (the machine's user, whoever has
// the server's own key).
struct Caller {
  ai::VirtualKeyPtr key;
};

struct Refusal {
  int status;
  std::string title;
  std::string detail;
};

// Nothing when the request may go on; `caller` (optional) is set then.
std::optional<Refusal> check_request(const net::RequestHead& request, const SecurityPolicy& policy,
                                     Caller* caller = nullptr);

// Routes at which models are asked, in any of the dialects.
bool is_model_path(std::string_view path);

// The time does not depend on where the two differ.
bool equal_constant_time(std::string_view a, std::string_view b);
// "127.0.0.1", "::1", "localhost": names that only this machine answers to.
bool is_loopback_host(std::string_view host);

}  // namespace samplemind::server
