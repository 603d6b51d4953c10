#include "net/http.h"

#include <algorithm>
#include <charconv>

#include "net/http1_internal.h"

namespace samplemind::net {

void Headers::add(std::string_view name, std::string_view value) {
  constexpr size_t kMostHeads = 512;  // no growing piece by piece
  const size_t at = text_.size(), needed = at + name.size() + value.size();
  if (needed > text_.capacity()) {
    // Both may be views of the old text.
    std::string grown;
    grown.reserve(std::max(kMostHeads, 2 * needed));
    grown.append(text_).append(name).append(value);
    text_ = std::move(grown);
  } else {
    text_.append(name).append(value);
  }
  if (entries_.empty()) entries_.reserve(16);
  entries_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(name.size()),
                      static_cast<uint32_t>(value.size())});
}

void Headers::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void Headers::remove(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& e) { return iequals(field(e).name, name); });
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const Field each : fields()) {
    if (iequals(each.name, name)) return each.value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::get_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Field each : fields()) {
    if (iequals(each.name, name)) values.push_back(each.value);
  }
  return values;
}

std::string_view RequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view RequestHead::query() const {
  const size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::string media_type(std::string_view content_type) {
  std::string type(trim_ows(content_type.substr(0, content_type.find(';'))));
  for (char& c : type) c = ascii_lower(c);
  return type;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    case 529:
      return "Overloaded";
    default:
      return "Unknown";
  }
}

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return Error(ErrorCode::kInvalidArgument,
                     "'%' is not followed by two hexadecimal digits at byte " + std::to_string(i),
                     "write a literal '%' as %25");
      }
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

bool valid_host(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '/' && c != '?' && c != '#' &&
           c != '@' && c != '\\' && c != '[' && c != ']' && c != '"' && c != '<' && c != '>';
  });
}

}  // namespace

Result<std::string> percent_decode(std::string_view text) {
  return decode(text, false);
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (piece.empty()) continue;
    const size_t mark = std::min(piece.find('='), piece.size());
    SM_TRY(std::string name, decode(piece.substr(0, mark), true));
    SM_TRY(std::string value, decode(piece.substr(std::min(mark + 1, piece.size())), true));
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

std::string Url::authority() const {
  std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != (scheme == "https" ? 443 : 80)) out += ":" + std::to_string(port);
  return out;
}

Result<Url> Url::parse(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return Error(ErrorCode::kInvalidArgument,
                 "'" + std::string(text) + "' is not a usable URL: " + std::string(why),
                 "write it as http://host:port/path or https://host/path");
  };
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad("no scheme");
  url.scheme = std::string(text.substr(0, colon));
  for (char& c : url.scheme) c = ascii_lower(c);
  if (url.scheme != "http" && url.scheme != "https") return bad("only http and https are spoken");
  url.port = url.scheme == "https" ? 443 : 80;
  std::string_view rest = text.substr(colon + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  rest.remove_prefix(authority_end);
  rest = rest.substr(0, rest.find('#'));
  if (authority.find('@') != std::string_view::npos) {
    return bad("user and password in a URL are not taken");
  }
  std::string_view port;
  if (!authority.empty() && authority[0] == '[') {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad("'[' without ']'");
    url.host = std::string(authority.substr(1, close - 1));
    if (url.host.find(':') == std::string::npos) return bad("not an IPv6 address in brackets");
    port = authority.substr(close + 1);
    if (!port.empty() && port[0] != ':') return bad("text after ']'");
  } else {
    const size_t mark = std::min(authority.find(':'), authority.size());
    url.host = std::string(authority.substr(0, mark));
    port = authority.substr(mark);
  }
  if (!valid_host(url.host)) return bad("no valid host name");
  for (char& c : url.host) c = ascii_lower(c);
  if (port.size() > 1) {
    unsigned number = 0;
    const auto [end, error] =
        std::from_chars(port.data() + 1, port.data() + port.size(), number, 10);
    if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
      return bad("the port must be 1 to 65535");
    }
    url.port = static_cast<uint16_t>(number);
  }
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
      return bad("blanks and control characters must be percent-encoded");
    }
  }
  url.target = std::string(rest);
  if (url.target.empty() || url.target[0] != '/') url.target.insert(0, "/");
  return url;
}

}  // namespace samplemind::net
