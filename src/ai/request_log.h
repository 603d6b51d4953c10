// What happened to each request: the last ones in memory, a line in the log with OpenTelemetry's
// GenAI names, and a queue for an exporter. Texts of requests and answers are kept only when
// [log.bodies] is on. Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/json.h"

namespace samplemind::ai {

struct RequestRecord {
  int64_t begin_ms = 0;  // since 1970
  double duration_s = 0;
  double first_token_s = -1;  // to the first byte of the answer; -1: there was none
  std::string trace_id;       // W3C: 32 hex digits
  std::string span_id;        // 16; also the request's id
  std::string parent_span;
  std::string tenant, key;  // the key's id
  std::string dialect;      // "OpenAI", "Anthropic", ...
  std::string asked;        // the model as the client named it
  std::string provider, model;
  std::string route;  // why there, in one line
  std::string cache;  // "hit-memory", "miss", ...
  std::string finish_reason;
  std::string error;  // its code or type; empty: none
  std::string message;
  int status = 0;  // 499: the client left
  bool stream = false;
  bool estimated = false;  // tokens and cost: the provider did not say
  int tries = 0;
  int64_t input_tokens = -1, cached_input_tokens = 0, output_tokens = -1;  // -1: unknown
  int64_t cost_microusd = -1;                                              // -1: unknown
  int64_t saved_microusd = 0;
  std::string request_body, answer_body;  // with [log.bodies]
};
void write_json(JsonWriter& w, const RequestRecord& record);

// The text without what looks like a secret (keys of the known providers, bearer tokens, private
// keys) or like a person's data (mail addresses, telephone and card numbers, IBANs).
std::string without_secrets(std::string_view text);
std::string without_personal_data(std::string_view text);
// A JSON text with the same done to its strings (not to its keys, nor to long base64, which is
// media). REQUIRES: valid JSON; what is not valid stays as it is.
std::string redacted_json(std::string_view json, bool secrets, bool personal);

class RequestLog {
 public:
  explicit RequestLog(const Config& config);
  void add(RequestRecord record);
  // The newest first.
  std::vector<RequestRecord> last(size_t count) const;
  // What was added since the last call, for an exporter; empty unless one is configured.
  std::vector<RequestRecord> drain(size_t count);
  uint64_t dropped() const;  // never exported: the queue was full

  bool bodies() const { return bodies_; }

 private:
  enum class Lines { kNone, kUpstream, kAll };
  void write_line(const RequestRecord& r) const;
  size_t kept_ = 500;
  bool bodies_ = false;
  bool export_ = false;
  Lines lines_ = Lines::kUpstream;
  mutable std::mutex mutex_;
  std::deque<RequestRecord> ring_;
  std::deque<RequestRecord> outgoing_;
  uint64_t dropped_ = 0;
};

}  // namespace samplemind::ai
