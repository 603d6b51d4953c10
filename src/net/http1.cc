#include <algorithm>
#include <array>
#include <cstring>

#include "net/http1_internal.h"

namespace samplemind::net {

namespace {

constexpr size_t kFieldsMax = 256;               // more in one head is an attack or a loop
constexpr size_t kChunkExtensionBytesMax = 256;  // nobody uses them
constexpr size_t kTrailerBytesMax = 8 << 10;

constexpr std::array<bool, 256> make_token_table() {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~"))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

constexpr std::array<bool, 256> make_value_table() {
  std::array<bool, 256> table{};
  for (int c = 0x20; c < 256; ++c) table[c] = c != 0x7f;
  table['\t'] = true;
  return table;
}
constexpr std::array<bool, 256> kValue = make_value_table();

bool all_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!kToken[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

bool all_value(std::string_view text) {
  bool good = true;
  for (const char c : text) good &= kValue[static_cast<unsigned char>(c)];
  return good;
}

// Takes the next line off `rest`, without its CRLF.
std::string_view take_line(std::string_view& rest) {
  const auto* lf = static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
  const size_t length = static_cast<size_t>(lf - rest.data());
  const std::string_view line = rest.substr(0, length - 1);
  rest.remove_prefix(length + 1);
  return line;
}

bool parse_length(std::string_view text, uint64_t& out) {
  if (text.empty() || text.size() > 18) return false;
  out = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    out = out * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

bool valid_authority(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '/' || c == '?' || c == '#' || c == '@' || c == ',' ||
        c == '\\') {
      return false;
    }
  }
  return true;
}

struct FieldFacts {
  int hosts = 0;
  std::string_view host;
  int lengths = 0;
  uint64_t length = 0;
  bool lengths_differ = false;
  int encodings = 0;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  bool expect_continue = false;
  bool expect_other = false;
};

// One pass over the field lines. `rest` ends with the empty line.
const char* parse_fields(std::string_view rest, Headers& headers, FieldFacts& facts,
                         bool& too_many) {
  size_t count = 0;
  for (std::string_view line = take_line(rest); !line.empty(); line = take_line(rest)) {
    if (++count > kFieldsMax) {
      too_many = true;
      return "too many header fields";
    }
    if (line[0] == ' ' || line[0] == '\t') return "folded header line";
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return "header line without a colon";
    const std::string_view name = line.substr(0, colon);
    if (!all_token(name)) return "invalid character in a header name";
    const std::string_view value = trim_ows(line.substr(colon + 1));
    if (!all_value(value)) return "control character in a header value";
    headers.add(name, value);
    // By length first: nearly all fields are none of these.
    switch (name.size()) {
      case 4:
        if (iequals(name, "host")) {
          ++facts.hosts;
          facts.host = value;
        }
        break;
      case 6:
        if (iequals(name, "expect")) {
          (iequals(value, "100-continue") ? facts.expect_continue : facts.expect_other) = true;
        }
        break;
      case 10:
        if (iequals(name, "connection")) {
          facts.close |= list_has_token(value, "close");
          facts.keep_alive |= list_has_token(value, "keep-alive");
        }
        break;
      case 14:
        if (iequals(name, "content-length")) {
          uint64_t length = 0;
          if (!parse_length(value, length)) return "invalid Content-Length";
          facts.lengths_differ |= facts.lengths > 0 && length != facts.length;
          facts.length = length;
          ++facts.lengths;
        }
        break;
      case 17:
        if (iequals(name, "transfer-encoding")) {
          ++facts.encodings;
          facts.chunked = iequals(value, "chunked");
        }
        break;
      default:
        break;
    }
  }
  return nullptr;
}

HeadFault parse_target(std::string_view target, RequestHead& out, bool& absolute) {
  absolute = false;
  for (const char c : target) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '#') return {400, "invalid character in the target"};
  }
  if (out.method == "CONNECT") return {501, "CONNECT is not served here"};
  if (target == "*" && out.method == "OPTIONS") {
    out.target = "*";
    return {};
  }
  if (!target.empty() && target[0] == '/') {
    out.target = std::string(target);
    return {};
  }
  size_t start = 0;
  if (target.size() > 7 && iequals(target.substr(0, 7), "http://")) start = 7;
  if (target.size() > 8 && iequals(target.substr(0, 8), "https://")) start = 8;
  if (start == 0) return {400, "the target is neither a path nor a URL"};
  const size_t slash = std::min(target.find_first_of("/?", start), target.size());
  out.authority = std::string(target.substr(start, slash - start));
  out.target = std::string(target.substr(slash));
  if (out.target.empty() || out.target[0] != '/') out.target.insert(0, "/");
  if (out.authority.empty() || !valid_authority(out.authority)) {
    return {400, "invalid host in the target"};
  }
  absolute = true;
  return {};
}

HeadFault parse_request_line(std::string_view line, RequestHead& out, bool& absolute) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {400, "invalid request line"};
  const std::string_view method = line.substr(0, first);
  const std::string_view version = line.substr(last + 1);
  if (!all_token(method) || method.size() > 32) return {400, "invalid method"};
  if (version == "HTTP/1.1") {
    out.version = HttpVersion::k1_1;
  } else if (version == "HTTP/1.0") {
    out.version = HttpVersion::k1_0;
  } else if (version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.') {
    return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  } else {
    return {400, "invalid request line"};
  }
  out.method.assign(method);
  return parse_target(line.substr(first + 1, last - first - 1), out, absolute);
}

}  // namespace

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && ascii_lower(a[i]) != ascii_lower(b[i])) return false;
  }
  return true;
}

std::string_view trim_ows(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool list_has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    if (iequals(trim_ows(list.substr(0, end)), token)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

Parse HeadScanner::scan(std::string_view bytes) {
  while (scanned_ < bytes.size()) {
    const void* found = std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_);
    if (found == nullptr) {
      scanned_ = bytes.size();
      return Parse::kNeedMore;
    }
    const size_t at = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    if (at == 0 || bytes[at - 1] != '\r') return Parse::kBad;
    scanned_ = at + 1;
    if (at == line_ + 1) return Parse::kDone;
    line_ = at + 1;
  }
  return Parse::kNeedMore;
}

HeadFault parse_request_head(std::string_view head, RequestHead& out, Framing& framing) {
  out.headers.clear();
  out.authority.clear();
  framing = Framing();
  bool absolute = false;
  std::string_view rest = head;
  if (HeadFault fault = parse_request_line(take_line(rest), out, absolute); fault.status != 0) {
    return fault;
  }
  FieldFacts facts;
  bool too_many = false;
  if (const char* why = parse_fields(rest, out.headers, facts, too_many)) {
    return {too_many ? 431 : 400, why};
  }
  const bool http_1_1 = out.version == HttpVersion::k1_1;
  if (facts.hosts > 1) return {400, "more than one Host"};
  if (http_1_1 && facts.hosts == 0) return {400, "no Host"};
  if (!valid_authority(facts.host)) return {400, "invalid Host"};
  if (absolute) {
    // RFC 9112 3.2.2: the target's host counts; later readers of the field must see the same.
    out.headers.set("host", out.authority);
  } else {
    out.authority = std::string(facts.host);
  }
  // A repeated Content-Length is refused even when the values agree: nobody honest sends it.
  if (facts.lengths > 1) return {400, "more than one Content-Length"};
  if (facts.encodings > 0) {
    if (facts.lengths > 0) return {400, "both Content-Length and Transfer-Encoding"};
    if (!http_1_1) return {400, "Transfer-Encoding in HTTP/1.0"};
    if (facts.encodings > 1 || !facts.chunked) {
      return {400, "a Transfer-Encoding other than chunked"};
    }
    framing.body = BodyKind::kChunked;
  } else if (facts.length > 0) {
    framing.body = BodyKind::kLength;
    framing.length = facts.length;
  }
  if (facts.expect_other) return {417, "an expectation other than 100-continue"};
  framing.expect_continue = facts.expect_continue && http_1_1 && framing.body != BodyKind::kNone;
  framing.keep_alive = !facts.close && (http_1_1 || facts.keep_alive);
  return {};
}

HeadFault check_http2_target(const RequestHead& head) {
  if (!all_token(head.method) || head.method.size() > 32) return {400, "invalid method"};
  if (head.authority.empty() || !valid_authority(head.authority))
    return {400, "invalid :authority"};
  const bool whole_server = head.target == "*" && head.method == "OPTIONS";
  if (!head.target.starts_with('/') && !whole_server) return {400, "the target is not a path"};
  RequestHead ignored;
  ignored.method = head.method;
  bool absolute = false;
  return parse_target(head.target, ignored, absolute);
}

HeadFault parse_response_head(std::string_view head, std::string_view method, ResponseHead& out,
                              Framing& framing) {
  out.headers.clear();
  framing = Framing();
  std::string_view rest = head;
  const std::string_view line = take_line(rest);
  // "HTTP/1.1 200 OK"; the reason and the blank before it may be missing.
  const bool digits = line.size() >= 12 && std::all_of(line.begin() + 9, line.begin() + 12,
                                                       [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !(line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ")) ||
      (line.size() > 12 && line[12] != ' ') || !all_value(line)) {
    return {502, "the answer does not begin with an HTTP/1.1 status line"};
  }
  const bool http_1_1 = line[7] == '1';
  out.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (out.status < 100) return {502, "the answer's status is below 100"};
  FieldFacts facts;
  bool too_many = false;
  if (const char* why = parse_fields(rest, out.headers, facts, too_many)) return {502, why};
  framing.keep_alive = !facts.close && (http_1_1 || facts.keep_alive);
  if (facts.lengths_differ) return {502, "the answer has differing Content-Length"};
  if (facts.encodings > 0) {
    if (facts.lengths > 0) return {502, "the answer has both Content-Length and Transfer-Encoding"};
    if (facts.encodings > 1 || !facts.chunked || !http_1_1) {
      return {502, "the answer has a Transfer-Encoding other than chunked"};
    }
  }
  const bool no_body =
      method == "HEAD" || out.status < 200 || out.status == 204 || out.status == 304;
  if (no_body) {
    framing.body = BodyKind::kNone;
  } else if (facts.encodings > 0) {
    framing.body = BodyKind::kChunked;
  } else if (facts.lengths > 0) {
    framing.body = facts.length == 0 ? BodyKind::kNone : BodyKind::kLength;
    framing.length = facts.length;
  } else {
    framing.body = BodyKind::kUntilClose;
    framing.keep_alive = false;
  }
  return {};
}

ChunkedReader::Step ChunkedReader::step(std::string_view bytes, size_t& consumed,
                                        std::string_view& data) {
  consumed = 0;
  data = {};
  while (consumed < bytes.size()) {
    const char c = bytes[consumed];
    switch (state_) {
      case State::kSize: {
        int digit = -1;
        if (c >= '0' && c <= '9') digit = c - '0';
        if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
        if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
        if (digit >= 0) {
          if (++digits_ > 15) return bad("chunk size too long");
          left_ = left_ * 16 + static_cast<uint64_t>(digit);
        } else if (digits_ == 0) {
          return bad("chunk size is not a hexadecimal number");
        } else if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (c == ';') {
          state_ = State::kExtension;
        } else {
          return bad("chunk size is not a hexadecimal number");
        }
        ++consumed;
        break;
      }
      case State::kExtension:
        if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (!kValue[static_cast<unsigned char>(c)] ||
                   ++extension_bytes_ > kChunkExtensionBytesMax) {
          return bad("invalid chunk extension");
        }
        ++consumed;
        break;
      case State::kSizeLf:
        if (c != '\n') return bad("carriage return without line feed after a chunk size");
        ++consumed;
        state_ = left_ == 0 ? State::kTrailer : State::kData;
        break;
      case State::kData: {
        const size_t size = std::min<uint64_t>(left_, bytes.size() - consumed);
        data = bytes.substr(consumed, size);
        consumed += size;
        left_ -= size;
        if (left_ == 0) state_ = State::kDataCr;
        return Step::kData;
      }
      case State::kDataCr:
        if (c != '\r') return bad("chunk longer than its size");
        ++consumed;
        state_ = State::kDataLf;
        break;
      case State::kDataLf:
        if (c != '\n') return bad("chunk longer than its size");
        ++consumed;
        state_ = State::kSize;
        digits_ = 0;
        extension_bytes_ = 0;
        break;
      case State::kTrailer:
        if (++trailer_bytes_ > kTrailerBytesMax) return bad("trailer too long");
        if (c == '\r') {
          state_ = State::kTrailerLf;
        } else if (c == '\n') {
          return bad("line feed without carriage return in the trailer");
        } else {
          trailer_line_ += c;
        }
        ++consumed;
        break;
      case State::kTrailerLf: {
        if (c != '\n') return bad("carriage return without line feed in the trailer");
        ++consumed;
        if (trailer_line_.empty()) return Step::kEnd;
        // Trailers are checked and dropped: nothing here needs them, and they must not become
        // headers.
        const size_t colon = trailer_line_.find(':');
        if (colon == std::string::npos ||
            !all_token(std::string_view(trailer_line_).substr(0, colon)) ||
            !all_value(std::string_view(trailer_line_).substr(colon + 1))) {
          return bad("invalid trailer");
        }
        trailer_line_.clear();
        state_ = State::kTrailer;
        break;
      }
    }
  }
  return Step::kNeedMore;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  const size_t from = out.size();
  out.append(name).append(": ").append(value);
  // Eight bytes at a time: hardly any has one below 14, as the forbidden three are.
  constexpr uint64_t kEach = 0x0101010101010101u;
  size_t i = from;
  for (uint64_t v = 0; i + sizeof v <= out.size(); i += sizeof v) {
    std::memcpy(&v, out.data() + i, sizeof v);
    if (((v - kEach * 14) & ~v & kEach * 0x80) != 0) break;
  }
  for (; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
  out.append("\r\n");
}

}  // namespace samplemind::net
