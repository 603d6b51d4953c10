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

std::string_view given_key(const net::Headers& headers) {
  for (const char* name : {"x-api-key", "x-goog-api-key"}) {
    if (const auto given = headers.get(name); given && !given->empty()) return *given;
  }
  std::string_view authorization = headers.get("authorization").value_or("");
  if (authorization.size() <= 7 || lower(authorization.substr(0, 7)) != "bearer ") return {};
  authorization.remove_prefix(7);
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  return authorization;
}

// What a virtual key with `library` opens besides models.
bool is_library_path(std::string_view path) {
  return path.starts_with("/api/v1/samples") || path == "/api/v1/ask" ||
         path == "/api/v1/providers" || path == "/api/v1/models" || path == "/api/v1/status";
}

std::optional<Refusal> check_key(const net::RequestHead& r, const SecurityPolicy& policy,
                                 Caller* caller) {
  const std::string_view path = r.path();
  const bool model = is_model_path(path);
  const bool virtual_keys = policy.keys != nullptr && policy.keys->any();
  const bool needed = !policy.api_key.empty() || policy.exposed || (virtual_keys && model);
  if (!needed) return std::nullopt;
  const std::string_view given = given_key(r.headers);
  if (given.empty())
    return Refusal{401, "Key needed",
                   "send a key of this server as 'Authorization: Bearer KEY', 'x-api-key: KEY' or "
                   "'x-goog-api-key: KEY'"};
  if (!policy.api_key.empty() && equal_constant_time(given, policy.api_key)) return std::nullopt;
  if (policy.keys != nullptr) {
    const ai::KeyStore::Found found = policy.keys->find(given);
    using Verdict = ai::KeyStore::Verdict;
    if (found.verdict == Verdict::kExpired)
      return Refusal{401, "Key expired", "this key is expired"};
    if (found.verdict == Verdict::kRevoked)
      return Refusal{401, "Key revoked", "this key is revoked"};
    if (found.verdict == Verdict::kGood) {
      if (!model && !(found.key->library && is_library_path(path)))
        return Refusal{403, "Not with this key",
                       found.key->library
                           ? "this key opens models, the library and the coach, nothing else"
                           : "this key opens models, nothing else; 'samplemind keys create "
                             "--library' makes one that opens the library, too"};
      if (caller != nullptr) caller->key = found.key;
      return std::nullopt;
    }
  }
  return Refusal{401, "Wrong key", "the key is not one of this server's"};
}

}  // namespace

bool is_model_path(std::string_view path) {
  if (path.starts_with("/v1/") || path.starts_with("/v1beta/")) return true;
  for (const char* ollama : {"/api/chat", "/api/generate", "/api/embed", "/api/embeddings",
                             "/api/tags", "/api/show", "/api/ps", "/api/version"}) {
    if (path == ollama) return true;
  }
  return false;
}

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

std::optional<Refusal> check_request(const net::RequestHead& r, const SecurityPolicy& policy,
                                     Caller* caller) {
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
  const bool guarded = is_write(r) || path.starts_with("/api/") || path.starts_with("/v1/") ||
                       path.starts_with("/v1beta/");
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
  if (!is_public(path)) {
    if (auto refused = check_key(r, policy, caller)) return refused;
  }
  // After the key, so that the order of the refusals tells strangers nothing.
  // A deletion has no body, and OpenAI's clients name no type then; browsers ask before they send
  // one.
  const auto type = r.headers.get("content-type");
  const bool bare = r.method == "DELETE" && !type;
  if (is_write(r) && !bare && net::media_type(type.value_or("")) != "application/json") {
    return Refusal{415, "JSON needed", "send the body with 'Content-Type: application/json'"};
  }
  return std::nullopt;
}

}  // namespace samplemind::server
