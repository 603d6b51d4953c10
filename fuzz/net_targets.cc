#include "net_targets.h"

#include <algorithm>
#include <string>
#include <vector>

#include "net/http1_internal.h"
#include "net/resp.h"
#include "net/sse.h"

namespace samplemind::fuzz {

namespace {

using namespace samplemind::net;

// Two cuts that depend on the input, so that the fuzzer can move them.
struct Cuts {
  explicit Cuts(std::string_view input) {
    if (input.empty()) return;
    first = static_cast<unsigned char>(input.front()) % (input.size() + 1);
    second = static_cast<unsigned char>(input.back()) * 7 % (input.size() + 1);
    if (second < first) std::swap(first, second);
  }
  size_t first = 0;
  size_t second = 0;
};

struct Scan {
  Parse state = Parse::kNeedMore;
  size_t size = 0;
};

Scan scan(std::string_view input, std::vector<size_t> until) {
  HeadScanner scanner;
  until.push_back(input.size());
  Scan out;
  for (const size_t end : until) {
    out.state = scanner.scan(input.substr(0, end));
    if (out.state != Parse::kNeedMore) break;
  }
  out.size = out.state == Parse::kDone ? scanner.size() : 0;
  return out;
}

void check_fields(const Headers& headers) {
  for (const auto& [name, value] : headers.fields()) {
    SM_ASSERT(!name.empty() &&
              name.find_first_of(std::string_view(" \t\r\n\0:", 6)) == std::string::npos);
    SM_ASSERT(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    SM_ASSERT(trim_ows(value) == value);
  }
}

struct Body {
  std::string data;
  size_t used = 0;
  bool ended = false;
  bool bad = false;
  bool operator==(const Body&) const = default;
};

Body read_chunks(std::string_view input, std::vector<size_t> until) {
  ChunkedReader reader;
  Body out;
  until.push_back(input.size());
  for (const size_t end : until) {
    while (!out.ended && !out.bad) {
      size_t used = 0;
      std::string_view data;
      const std::string_view rest = input.substr(out.used, end - out.used);
      const auto step = reader.step(rest, used, data);
      SM_ASSERT(used <= rest.size() && data.size() <= used);
      out.bad = step == ChunkedReader::Step::kBad;
      if (out.bad) break;
      out.data += data;
      out.used += used;
      out.ended = step == ChunkedReader::Step::kEnd;
      if (step == ChunkedReader::Step::kNeedMore) break;
    }
  }
  if (out.bad) {
    out.used = 0;
    out.data.clear();  // how much came before the fault depends on the cuts
  }
  return out;
}

void check_chunks(std::string_view input) {
  const Cuts cuts(input);
  const Body whole = read_chunks(input, {});
  SM_ASSERT(whole == read_chunks(input, {cuts.first, cuts.second}));
  if (whole.ended) SM_ASSERT(whole.data.size() < whole.used);
}

std::string show(const SseEvent& event) {
  return event.event + '\x1f' + event.id + '\x1f' + event.data;
}

// The standard's algorithm, word by word, on the whole text.
std::vector<std::string> plain_sse(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string> events;
  SseEvent current;
  std::string last_id;
  bool has_data = false;
  while (true) {
    const size_t end = text.find_first_of("\r\n");
    if (end == std::string_view::npos) return events;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (line.empty()) {
      if (has_data) {
        current.data.pop_back();
        current.id = last_id;
        if (current.event.empty()) current.event = "message";
        events.push_back(show(current));
      }
      current = SseEvent();
      has_data = false;
    } else if (name == "data") {
      current.data.append(value).append("\n");
      has_data = true;
    } else if (name == "event") {
      current.event = value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
      last_id = value;
    }
  }
}

std::vector<std::string> read_sse(std::string_view input, std::vector<size_t> until) {
  SseReader reader;
  std::vector<std::string> events;
  until.push_back(input.size());
  size_t at = 0;
  for (const size_t end : until) {
    SM_ASSERT(reader.feed(input.substr(at, end - at)).ok());
    at = end;
    while (auto event = reader.next()) events.push_back(show(*event));
  }
  return events;
}

std::vector<std::string> read_ndjson(std::string_view input, std::vector<size_t> until) {
  NdjsonReader reader;
  std::vector<std::string> lines;
  until.push_back(input.size());
  size_t at = 0;
  for (const size_t end : until) {
    SM_ASSERT(reader.feed(input.substr(at, end - at)).ok());
    at = end;
    while (auto line = reader.next()) lines.push_back(*line);
  }
  if (auto last = reader.flush()) lines.push_back(*last);
  return lines;
}

}  // namespace

void http_request(std::string_view input) {
  const Cuts cuts(input);
  const Scan whole = scan(input, {});
  const Scan split = scan(input, {cuts.first, cuts.second});
  SM_ASSERT(whole.state == split.state && whole.size == split.size);
  if (whole.state != Parse::kDone) {
    check_chunks(input);
    return;
  }
  RequestHead head;
  Framing framing;
  const HeadFault fault = parse_request_head(input.substr(0, whole.size), head, framing);
  if (fault.status != 0) {
    SM_ASSERT(fault.status >= 400 && fault.status < 600 && *fault.why != '\0');
    return;
  }
  check_fields(head.headers);
  SM_ASSERT(!head.target.empty() && (head.target[0] == '/' || head.target == "*"));
  SM_ASSERT(!(head.headers.has("content-length") && head.headers.has("transfer-encoding")));
  SM_ASSERT(head.headers.get_all("host").size() <= 1);
  SM_ASSERT((framing.body == BodyKind::kChunked) == head.headers.has("transfer-encoding"));
  // What we understood, written plainly, is understood the same.
  std::string again = head.method + " " + head.target +
                      (head.version == HttpVersion::k1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  for (const auto& [name, value] : head.headers.fields()) append_field(again, name, value);
  again += "\r\n";
  RequestHead second;
  Framing second_framing;
  SM_ASSERT(scan(again, {}).size == again.size());
  SM_ASSERT(parse_request_head(again, second, second_framing).status == 0);
  SM_ASSERT(second.target == head.target && second.headers.fields() == head.headers.fields());
  SM_ASSERT(second_framing.body == framing.body && second_framing.length == framing.length &&
            second_framing.keep_alive == framing.keep_alive);
  if (framing.body == BodyKind::kChunked) check_chunks(input.substr(whole.size));
  (void)head.path();
  (void)head.query();
}

void http_response(std::string_view input) {
  if (input.empty()) return;
  const std::string_view method = input[0] % 2 == 0 ? "GET" : "HEAD";
  input.remove_prefix(1);
  const Scan whole = scan(input, {});
  if (whole.state != Parse::kDone) return;
  ResponseHead head;
  Framing framing;
  if (parse_response_head(input.substr(0, whole.size), method, head, framing).status != 0) return;
  check_fields(head.headers);
  SM_ASSERT(head.status >= 100 && head.status <= 999);
  if (method == "HEAD" || head.status == 204 || head.status == 304)
    SM_ASSERT(framing.body == BodyKind::kNone);
  if (framing.body == BodyKind::kUntilClose) SM_ASSERT(!framing.keep_alive);
  if (framing.body == BodyKind::kChunked) check_chunks(input.substr(whole.size));
}

void sse(std::string_view input) {
  const Cuts cuts(input);
  const std::vector<std::string> expected = plain_sse(input);
  SM_ASSERT(read_sse(input, {}) == expected);
  SM_ASSERT(read_sse(input, {cuts.first, cuts.second}) == expected);
}

void ndjson(std::string_view input) {
  const Cuts cuts(input);
  const std::vector<std::string> whole = read_ndjson(input, {});
  SM_ASSERT(read_ndjson(input, {cuts.first, cuts.second}) == whole);
  for (const std::string& line : whole)
    SM_ASSERT(line.find('\n') == std::string::npos && !line.empty());
}

namespace {
struct Replies {
  std::string printed;
  bool bad = false;
  bool operator==(const Replies&) const = default;
};

void print(std::string& out, const RedisReply& reply) {
  out += std::to_string(static_cast<int>(reply.kind)) + ":" + std::to_string(reply.integer) + ":" +
         std::to_string(reply.text.size()) + ":" + reply.text + "(";
  for (const RedisReply& each : reply.items) print(out, each);
  out += ")";
}

Replies read_resp(std::string_view input, std::vector<size_t> until) {
  RespReader reader;
  Replies out;
  size_t from = 0;
  until.push_back(input.size());
  for (const size_t end : until) {
    std::string_view bytes = input.substr(from, end - from);
    from = end;
    while (!bytes.empty()) {
      const size_t before = bytes.size();
      auto reply = reader.read(bytes);
      if (!reply.ok()) {
        out.bad = true;
        return out;
      }
      SM_ASSERT(bytes.size() < before);
      if (*reply) print(out.printed, **reply);
    }
  }
  return out;
}
}  // namespace

void resp(std::string_view input) {
  const Cuts cuts(input);
  const Replies whole = read_resp(input, {});
  // Cut elsewhere, a bad reply may be noticed sooner or later, but what was good before it stays.
  const Replies split = read_resp(input, {cuts.first, cuts.second});
  SM_ASSERT(split == whole);
}

void url(std::string_view input) {
  if (Result<Url> parsed = Url::parse(input); parsed.ok()) {
    Result<Url> again = Url::parse(parsed->scheme + "://" + parsed->authority() + parsed->target);
    SM_ASSERT(again.ok());
    SM_ASSERT(again->host == parsed->host && again->port == parsed->port &&
              again->target == parsed->target);
  }
  if (Result<std::string> decoded = percent_decode(input); decoded.ok()) {
    SM_ASSERT(*percent_decode(percent_encode(*decoded)) == *decoded);
  }
  (void)parse_query(input).ok();
  (void)media_type(input);
}

}  // namespace samplemind::fuzz
