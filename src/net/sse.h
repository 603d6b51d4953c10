// Readers of event streams, byte-exact at every split: Server-Sent Events (WHATWG HTML, "event
// stream") and NDJSON.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::net {

struct SseEvent {
  std::string event;  // "message" when absent
  std::string data;   // several data: lines joined by \n
  std::string id;
};

// Feed bytes, take events. CR, LF and CRLF end lines (also CR and LF in different reads); U+2028
// does not; a leading BOM is skipped; comment lines are skipped. No allocation beyond the line and
// data buffers. Not thread-safe.
class SseReader {
 public:
  explicit SseReader(size_t event_bytes_max = 8 << 20) : event_bytes_max_(event_bytes_max) {}
  // kTooLarge when one event passes the limit.
  Result<void> feed(std::string_view bytes);
  // The next complete event, in order.
  std::optional<SseEvent> next();
  // True when the stream ended inside an event (bytes after the last empty line).
  bool partial() const;

 private:
  void line(std::string_view text);
  void dispatch();
  size_t event_bytes_max_;
  std::string pending_;  // the beginning of a line whose end has not come
  size_t bom_seen_ = 0;
  bool at_start_ = true;
  bool skip_lf_ = false;  // the last line ended with CR: a following LF belongs to it
  bool in_event_ = false;
  bool failed_ = false;
  bool has_data_ = false;
  SseEvent current_;
  std::string last_id_;
  std::vector<SseEvent> ready_;
  size_t ready_at_ = 0;
};

// One JSON text a line; empty lines are skipped.
class NdjsonReader {
 public:
  explicit NdjsonReader(size_t line_bytes_max = 8 << 20) : line_bytes_max_(line_bytes_max) {}
  Result<void> feed(std::string_view bytes);
  std::optional<std::string> next();
  // What is left after the last newline (a final line without one counts as a line once the stream
  // has ended properly).
  std::optional<std::string> flush();

 private:
  size_t line_bytes_max_;
  std::string pending_;
  size_t at_ = 0;
  size_t scan_ = 0;  // no line feed before this
  size_t open_ = 0;  // bytes of the line whose end has not come
};

}  // namespace samplemind::net
