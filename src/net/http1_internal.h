// HTTP/1.1 on the wire (RFC 9112), strict: what two parties could read differently is refused. Pure
// functions and small state machines over bytes, without I/O, so that tests and fuzz targets reach
// them. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http.h"

namespace samplemind::net {

inline char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}
bool iequals(std::string_view a, std::string_view b);
std::string_view trim_ows(std::string_view text);
// True when a comma-separated list holds the token, without case.
bool list_has_token(std::string_view list, std::string_view token);

enum class Parse { kNeedMore, kDone, kBad };

// Finds the empty line that ends a head, reading each byte once however small the pieces are. A
// line feed without its carriage return is an error at once.
class HeadScanner {
 public:
  // `bytes` begins with the head and only grows between calls. After kDone, size() is the head's
  // length.
  Parse scan(std::string_view bytes);
  size_t size() const { return scanned_; }
  void reset() { scanned_ = line_ = 0; }

 private:
  size_t scanned_ = 0;
  size_t line_ = 0;  // where the current line begins
};

enum class BodyKind { kNone, kLength, kChunked, kUntilClose };

struct Framing {
  BodyKind body = BodyKind::kNone;
  uint64_t length = 0;
  bool keep_alive = true;
  bool expect_continue = false;
};

// What is wrong with a head, as the status that answers it (0: nothing) and a sentence for people.
struct HeadFault {
  int status = 0;
  const char* why = "";
};

// `head` is a whole head, from its first byte to its empty line.
HeadFault parse_request_head(std::string_view head, RequestHead& out, Framing& framing);
// What HTTP/1.1's request line is checked for, on an HTTP/2 request's method, target and authority.
HeadFault check_http2_target(const RequestHead& head);
// `method` is the request's: an answer to HEAD has no body. status of the fault is 502.
HeadFault parse_response_head(std::string_view head, std::string_view method, ResponseHead& out,
                              Framing& framing);

// Takes a chunked body apart, in place.
class ChunkedReader {
 public:
  enum class Step { kNeedMore, kData, kEnd, kBad };
  // Looks at the front of `bytes`; `consumed` bytes may be dropped; with kData `data` is the next
  // piece (a part of `bytes`, and of what was consumed). Call again until kNeedMore.
  Step step(std::string_view bytes, size_t& consumed, std::string_view& data);
  const char* why() const { return why_; }
  void reset() { *this = ChunkedReader(); }

 private:
  enum class State { kSize, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kTrailerLf };
  Step bad(const char* why) {
    why_ = why;
    return Step::kBad;
  }
  State state_ = State::kSize;
  uint64_t left_ = 0;
  int digits_ = 0;
  size_t extension_bytes_ = 0;
  size_t trailer_bytes_ = 0;
  std::string trailer_line_;
  const char* why_ = "";
};

// Appends "Name: value\r\n"; what would break the line (CR, LF, NUL) becomes a blank.
void append_field(std::string& out, std::string_view name, std::string_view value);

}  // namespace samplemind::net
