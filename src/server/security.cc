#include "server/security.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/hash.h"

namespace samplemind::server {

namespace {

std::string lower(std::string_view s) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "[::1]:8000" -> "::1", "localhost:8000" -> "localhost".
std::string host_part(std::string_view authority) {
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    return end == std::string_view::npos ? std::string() : lower(authority.substr(1, end - 1));
  }
  return lower(authority.substr(0, authority.find(':')));
}

bool is_address(const std::string& host) {
  unsigned char out[16];
  return ::inet_pton(AF_INET, host.c_str(), out) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), out) == 1;
}

bool is_write(const net::RequestHead& r) {
  return r.method != "GET" && r.method != "HEAD" && r.method != "OPTIONS";
}

bool is_public(std::string_view path) {
  // The page is an empty shell and health says nothing; everything behind them needs the key.
  return path == "/" || path == "/healthz" || path == "/readyz" || path.starts_with("/static/") ||
         path == "/favicon.ico";
}

}  // namespace

bool equal_constant_time(std::string_view a, std::string_view b) {
  // Digests have one length, so that not even the key's length shows.
  const Digest x = blake3(a);
  const Digest y = blake3(b);
  unsigned difference = 0;
  for (size_t i = 0; i < x.bytes.size(); ++i)
    difference |= static_cast<unsigned>(x.bytes[i] ^ y.bytes[i]);
  return difference == 0;
}

bool is_loopback_host(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" ||
         (host.starts_with("127.") && is_address(std::string(host)));
}

std::optional<Refusal> check_request(const net::RequestHead& r, const SecurityPolicy& policy) {
  const std::string host = host_part(r.authority);
  // A page elsewhere can point a name of its own at this machine (DNS rebinding): names are
  // answered only when they are known to be ours. An address literal cannot be rebound.
  const bool known = is_loopback_host(host) || is_address(host) ||
                     std::find(policy.allowed_hosts.begin(), policy.allowed_hosts.end(), host) !=
                         policy.allowed_hosts.end();
  if (!known)
    return Refusal{421, "Misdirected request",
                   "this server does not answer to the host name '" + host +
                       "'; add it to server.allowed_hosts if it should"};

  const std::string_view path = r.path();
  const bool guarded = is_write(r) || path.starts_with("/api/") || path.starts_with("/v1/") || path.starts_with("/v1beta/");
  if (guarded) {
    const std::string site = lower(r.headers.get("sec-fetch-site").value_or(""));
    if (!site.empty() && site != "same-origin" && site != "none")
      return Refusal{403, "Foreign page", "a page of another site may not use this server"};
    if (const auto origin = r.headers.get("origin")) {
      const size_t scheme = origin->find("://");
      const std::string from =
          scheme == std::string_view::npos ? "null" : lower(origin->substr(scheme + 3));
      if (from != lower(r.authority))
        return Refusal{403, "Foreign origin",
                       "requests from the origin '" + std::string(*origin) + "' are not accepted"};
    }
  }
  if (!policy.api_key.empty() && !is_public(path)) {
    std::string_view given = r.headers.get("x-api-key").value_or("");
    const std::string_view authorization = r.headers.get("authorization").value_or("");
    if (given.empty() && authorization.size() > 7 && lower(authorization.substr(0, 7)) == "bearer ")
      given = authorization.substr(7);
    if (given.empty())
      return Refusal{401, "Key needed",
                     "send this server's key as 'Authorization: Bearer KEY' or 'x-api-key: KEY'"};
    if (!equal_constant_time(given, policy.api_key))
      return Refusal{401, "Wrong key", "the key is not this server's"};
  }
  // After the key, so that the order of the refusals tells strangers nothing.
  if (is_write(r) &&
      net::media_type(r.headers.get("content-type").value_or("")) != "application/json") {
    return Refusal{415, "JSON needed", "send the body with 'Content-Type: application/json'"};
  }
  return std::nullopt;
}

}  // namespace samplemind::server
