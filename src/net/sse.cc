#include "net/sse.h"

#include <cstring>

namespace samplemind::net {

namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";
constexpr size_t kCompactAt =
    64 << 10;  // taken bytes are dropped from the front in such steps: linear in all

// Finds line ends front to back; each byte is looked at twice at most, whichever kind of end is
// used.
class LineEnds {
 public:
  explicit LineEnds(const char* end) : end_(end) {}
  // The first CR or LF at or after `from`, or null.
  const char* find(const char* from) {
    if (!lf_known_ || (lf_ != nullptr && lf_ < from)) lf_ = search(from, '\n', lf_known_);
    if (!cr_known_ || (cr_ != nullptr && cr_ < from)) cr_ = search(from, '\r', cr_known_);
    if (lf_ == nullptr || cr_ == nullptr) return lf_ != nullptr ? lf_ : cr_;
    return lf_ < cr_ ? lf_ : cr_;
  }

 private:
  const char* search(const char* from, char what, bool& known) const {
    known = true;
    return static_cast<const char*>(std::memchr(from, what, static_cast<size_t>(end_ - from)));
  }
  const char* end_;
  const char* lf_ = nullptr;
  const char* cr_ = nullptr;
  bool lf_known_ = false;
  bool cr_known_ = false;
};

}  // namespace

Result<void> SseReader::feed(std::string_view bytes) {
  if (failed_) return Error(ErrorCode::kTooLarge, "the event stream has failed before");
  if (at_start_) {
    // A byte order mark may come in pieces.
    while (!bytes.empty() && bom_seen_ < kBom.size() && bytes[0] == kBom[bom_seen_]) {
      ++bom_seen_;
      bytes.remove_prefix(1);
    }
    if (bom_seen_ < kBom.size() && bytes.empty()) return ok();
    at_start_ = false;
    if (bom_seen_ < kBom.size()) pending_.assign(kBom.substr(0, bom_seen_));
  }
  LineEnds ends(bytes.data() + bytes.size());
  while (!bytes.empty()) {
    if (skip_lf_) {
      skip_lf_ = false;
      if (bytes[0] == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const char* end = ends.find(bytes.data());
    const size_t length = end != nullptr ? static_cast<size_t>(end - bytes.data()) : bytes.size();
    if (pending_.size() + length + current_.data.size() > event_bytes_max_) {
      failed_ = true;
      return Error(ErrorCode::kTooLarge, "an event of the stream is longer than " +
                                             std::to_string(event_bytes_max_) + " bytes");
    }
    if (end == nullptr) {
      pending_.append(bytes);
      return ok();
    }
    skip_lf_ = *end == '\r';
    if (pending_.empty()) {
      line(bytes.substr(0, length));  // the usual case: no copy
    } else {
      pending_.append(bytes.substr(0, length));
      line(pending_);
      pending_.clear();
    }
    bytes.remove_prefix(length + 1);
  }
  return ok();
}

void SseReader::line(std::string_view text) {
  if (text.empty()) {
    dispatch();
    return;
  }
  in_event_ = true;
  const size_t colon = text.find(':');
  if (colon == 0) return;  // a comment
  const std::string_view name = text.substr(0, colon);
  std::string_view value =
      colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (!value.empty() && value[0] == ' ') value.remove_prefix(1);
  if (name == "data") {
    if (has_data_) current_.data += '\n';
    current_.data.append(value);
    has_data_ = true;
  } else if (name == "event") {
    current_.event.assign(value);
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    last_id_.assign(value);
  }
}

void SseReader::dispatch() {
  in_event_ = false;
  if (has_data_) {
    if (current_.event.empty()) current_.event = "message";
    current_.id = last_id_;
    ready_.push_back(std::move(current_));
  }
  current_ = SseEvent();
  has_data_ = false;
}

std::optional<SseEvent> SseReader::next() {
  if (ready_at_ == ready_.size()) {
    ready_.clear();
    ready_at_ = 0;
    return std::nullopt;
  }
  return std::move(ready_[ready_at_++]);
}

bool SseReader::partial() const {
  return in_event_ || !pending_.empty() || (at_start_ && bom_seen_ > 0);
}

Result<void> NdjsonReader::feed(std::string_view bytes) {
  pending_.append(bytes);
  // The line that is still open is what may grow without end; finished ones wait for next().
  const size_t last = bytes.rfind('\n');
  open_ = last == std::string_view::npos ? open_ + bytes.size() : bytes.size() - last - 1;
  size_t longest = open_;
  if (last != std::string_view::npos && pending_.size() - at_ > line_bytes_max_) {
    for (size_t from = at_; from < pending_.size();) {
      const size_t end = std::min(pending_.find('\n', from), pending_.size());
      longest = std::max(longest, end - from);
      from = end + 1;
    }
  }
  if (longest > line_bytes_max_) {
    return Error(ErrorCode::kTooLarge, "a line of the stream is longer than " +
                                           std::to_string(line_bytes_max_) + " bytes");
  }
  return ok();
}

std::optional<std::string> NdjsonReader::next() {
  for (;;) {
    const size_t end = pending_.find('\n', scan_);
    if (end == std::string::npos) {
      scan_ = pending_.size();
      if (at_ >= kCompactAt || at_ == pending_.size()) {
        pending_.erase(0, at_);
        scan_ -= at_;
        at_ = 0;
      }
      return std::nullopt;
    }
    std::string_view text(pending_.data() + at_, end - at_);
    at_ = scan_ = end + 1;
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (text.find_first_not_of(" \t") != std::string_view::npos) return std::string(text);
  }
}

std::optional<std::string> NdjsonReader::flush() {
  std::string_view text(pending_.data() + at_, pending_.size() - at_);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  std::optional<std::string> last;
  if (text.find_first_not_of(" \t") != std::string_view::npos) last = std::string(text);
  pending_.clear();
  at_ = scan_ = 0;
  return last;
}

}  // namespace samplemind::net
