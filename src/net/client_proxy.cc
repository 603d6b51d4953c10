// Which proxy, if any, the environment names for an origin.
#include <algorithm>
#include <cstdlib>

#include "net/client_internal.h"
#include "net/http1_internal.h"

namespace samplemind::net::pool {

namespace {

std::string environment(const char* lower, const char* upper) {
  const char* value = std::getenv(lower);
  if (value == nullptr && upper != nullptr) value = std::getenv(upper);
  return value != nullptr ? value : "";
}

// no_proxy: names match themselves and what lies below them; "*" matches all.
bool excluded_from_proxy(const std::string& host, const std::string& list) {
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(',', at), list.size());
    std::string entry(trim_ows(std::string_view(list).substr(at, end - at)));
    at = end + 1;
    for (char& c : entry) c = ascii_lower(c);
    if (entry == "*") return true;
    if (entry.starts_with("*.")) entry.erase(0, 1);
    while (!entry.empty() && entry[0] == '.') entry.erase(0, 1);
    if (entry.empty()) continue;
    if (host == entry || host.ends_with("." + entry)) return true;
  }
  return false;
}

std::string base64(std::string_view in) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < in.size(); i += 3) {
    uint32_t bits = static_cast<unsigned char>(in[i]) << 16;
    if (i + 1 < in.size()) bits |= static_cast<unsigned char>(in[i + 1]) << 8;
    if (i + 2 < in.size()) bits |= static_cast<unsigned char>(in[i + 2]);
    out += kDigits[bits >> 18];
    out += kDigits[bits >> 12 & 63];
    out += i + 1 < in.size() ? kDigits[bits >> 6 & 63] : '=';
    out += i + 2 < in.size() ? kDigits[bits & 63] : '=';
  }
  return out;
}

}  // namespace

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  ErrorCodeAsio error;
  const auto address = asio::ip::make_address(host, error);
  return !error && address.is_loopback();
}

Result<Target> target_of(const ClientRequest& request, const ClientOptions& options) {
  const Url& url = request.url;
  const bool proxies = options.proxy_from_environment;
  Target target;
  target.use = request.use;
  if (target.use == HttpUse::kAuto && !options.http2) target.use = HttpUse::kHttp1;
  target.tls = url.scheme == "https";
  target.host = target.connect_host = url.host;
  target.port = target.connect_port = url.port;
  target.key = url.scheme + "://" + url.host + ":" + std::to_string(url.port);
  if (target.use == HttpUse::kHttp1) target.key += " h1";
  if (target.use == HttpUse::kHttp2) target.key += " h2";
  if (!proxies || is_loopback(url.host)) return target;
  // In a CGI program HTTP_PROXY would come from a request's "Proxy" header.
  const bool cgi = std::getenv("REQUEST_METHOD") != nullptr;
  std::string proxy = target.tls ? environment("https_proxy", "HTTPS_PROXY")
                                 : environment("http_proxy", cgi ? nullptr : "HTTP_PROXY");
  if (proxy.empty()) proxy = environment("all_proxy", "ALL_PROXY");
  if (proxy.empty() || excluded_from_proxy(url.host, environment("no_proxy", "NO_PROXY")))
    return target;
  if (proxy.find("://") == std::string::npos) proxy.insert(0, "http://");
  std::string credentials;
  const size_t start = proxy.find("://") + 3;
  if (const size_t at = proxy.find('@', start);
      at != std::string::npos && at < proxy.find('/', start)) {
    credentials = proxy.substr(start, at - start);
    proxy.erase(start, at - start + 1);
  }
  Result<Url> parsed = Url::parse(proxy);
  if (!parsed.ok() || parsed->scheme != "http") {
    return Error(ErrorCode::kInvalidArgument,
                 "the proxy named by the environment is not an http:// URL",
                 "correct http_proxy/https_proxy, or set no_proxy for " + url.host);
  }
  target.connect_host = parsed->host;
  target.connect_port = parsed->port;
  // Through a plain proxy a request in clear text is HTTP/1.1, unless it is tunnelled.
  (target.tls || target.use == HttpUse::kHttp2 ? target.tunnel : target.absolute) = true;
  if (!credentials.empty()) {
    Result<std::string> plain = percent_decode(credentials);
    target.proxy_authorization = "Basic " + base64(plain.ok() ? *plain : credentials);
  }
  target.key += " by " + target.connect_host + ":" + std::to_string(target.connect_port);
  return target;
}

}  // namespace samplemind::net::pool
