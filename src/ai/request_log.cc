#include "ai/request_log.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "ai/guard_text.h"
#include "base/log.h"

namespace samplemind::ai {

namespace {

constexpr size_t kOutgoingMax = 4096;
constexpr size_t kBodyKept = 64u << 10;
constexpr std::string_view kGone = "[redacted]";

constexpr bool digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}
constexpr bool word_char(char c) {
  return (c >= 'a' && c <= 'z') || upper(c) || digit(c);
}
constexpr bool token_char(char c) {
  return word_char(c) || c == '-' || c == '_' || c == '.';
}

// How keys begin: OpenAI and Anthropic, Google, GitHub, Slack, AWS, ours, Hugging Face.
constexpr std::array<std::string_view, 12> kKeyBeginnings = {
    "sk-",   "AIza", "ghp_", "gho_", "github_pat_", "xoxb-",
    "xoxp-", "AKIA", "sm-",  "hf_",  "AQ.",         "ya29."};

// What each character may be, so that most of a text is passed by with one look at each.
enum Mark : uint8_t { kToken = 1, kSecretBegins = 2, kPersonalBegins = 4 };
constexpr std::array<uint8_t, 256> kMarks = [] {
  std::array<uint8_t, 256> marks{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    uint8_t m = token_char(c) ? kToken : 0;
    for (const std::string_view beginning : kKeyBeginnings)
      if (beginning.front() == c) m |= kSecretBegins;
    if (c == 'B' || c == 'b' || c == '-') m |= kSecretBegins;
    if (c == '@' || c == '+' || digit(c) || upper(c)) m |= kPersonalBegins;
    marks[static_cast<size_t>(i)] = m;
  }
  return marks;
}();
uint8_t marks_of(char c) {
  return kMarks[static_cast<unsigned char>(c)];
}

size_t secret_at(std::string_view text, size_t at) {
  if (at > 0 && token_char(text[at - 1])) return 0;
  for (const std::string_view beginning : kKeyBeginnings) {
    if (!text.substr(at).starts_with(beginning)) continue;
    size_t end = at + beginning.size();
    while (end < text.size() && token_char(text[end])) ++end;
    if (end - at >= beginning.size() + 16) return end - at;
  }
  for (const std::string_view word : {"Bearer ", "bearer "}) {
    if (!text.substr(at).starts_with(word)) continue;
    size_t end = at + word.size();
    while (end < text.size() && token_char(text[end])) ++end;
    if (end - at >= word.size() + 8) return end - at;
  }
  constexpr std::string_view kPem = "-----BEGIN ";
  if (text.substr(at).starts_with(kPem)) {
    const size_t name = text.find("PRIVATE KEY-----", at);
    const size_t end = text.find("-----END ", at);
    const size_t last = end == std::string_view::npos ? end : text.find("-----", end + 9);
    if (name != std::string_view::npos && name < at + 64)
      return last == std::string_view::npos ? text.size() - at : last + 5 - at;
  }
  return 0;
}

bool luhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int d = digits[digits.size() - 1 - i] - '0';
    if (i % 2 == 1) d = d * 2 > 9 ? d * 2 - 9 : d * 2;
    sum += d;
  }
  return sum % 10 == 0;
}

// Digits with the separators that people put between them.
size_t number_at(std::string_view text, size_t at) {
  if (at > 0 && (word_char(text[at - 1]) || text[at - 1] == '.')) return 0;
  const bool plus = text[at] == '+';
  if (!plus && !digit(text[at])) return 0;
  std::string digits;
  size_t end = at + (plus ? 1 : 0), last = end;
  while (end < text.size() && (digit(text[end]) || text[end] == ' ' || text[end] == '-' ||
                               (plus && (text[end] == '(' || text[end] == ')')))) {
    if (digit(text[end])) {
      digits += text[end];
      last = end + 1;
    } else if (end > at && !digit(text[end - 1]) && !plus) {
      break;  // two separators: another thing
    }
    ++end;
  }
  if (last < text.size() && word_char(text[last])) return 0;
  if (plus && digits.size() >= 8 && digits.size() <= 15) return last - at;
  if (digits.size() >= 13 && digits.size() <= 19 && luhn(digits)) return last - at;
  return 0;
}

size_t iban_at(std::string_view text, size_t at) {
  if (at > 0 && token_char(text[at - 1])) return 0;
  if (at + 15 > text.size()) return 0;
  if (!upper(text[at]) || !upper(text[at + 1]) || !digit(text[at + 2]) || !digit(text[at + 3]))
    return 0;
  std::string compact;
  size_t end = at, last = at;
  while (end < text.size() && compact.size() < 34 &&
         (upper(text[end]) || digit(text[end]) || text[end] == ' ')) {
    if (text[end] != ' ') {
      compact += text[end];
      last = end + 1;
    }
    ++end;
  }
  // A name in capitals after it is none of it: the check sum decides where it ends.
  for (; compact.size() >= 15; compact.pop_back()) {
    const std::string turned = compact.substr(4) + compact.substr(0, 4);
    int rest = 0;
    for (const char c : turned)
      rest = digit(c) ? (rest * 10 + (c - '0')) % 97 : (rest * 100 + (c - 'A' + 10)) % 97;
    if (rest == 1) return last - at;
    --last;
    while (last > at && text[last - 1] == ' ') --last;
  }
  return 0;
}

}  // namespace

std::string without_secrets(std::string_view text) {
  std::string out;
  size_t copied = 0;
  for (size_t at = 0; at < text.size();) {
    if ((marks_of(text[at]) & kSecretBegins) == 0 ||
        (at > 0 && (marks_of(text[at - 1]) & kToken) != 0)) {
      ++at;
    } else if (const size_t length = secret_at(text, at); length > 0) {
      out.append(text, copied, at - copied);
      out += kGone;
      copied = at += length;
    } else {
      ++at;
    }
  }
  out.append(text, copied);
  return log::redacted(out);
}

std::string without_personal_data(std::string_view text) {
  std::string out;
  size_t copied = 0;
  const auto redact = [&](size_t begin, size_t end) {
    out.append(text, copied, begin - copied);
    out += kGone;
    copied = end;
  };
  for (size_t at = 0; at < text.size();) {
    if ((marks_of(text[at]) & kPersonalBegins) == 0) {
      ++at;
      continue;
    }
    if (text[at] == '@') {
      // A mail address: what stands before belongs to it, too.
      size_t begin = at;
      while (begin > copied && (token_char(text[begin - 1]) || text[begin - 1] == '+')) --begin;
      size_t end = at + 1;
      while (end < text.size() && (token_char(text[end]))) ++end;
      while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-')) --end;
      const std::string_view host = text.substr(at + 1, end - at - 1);
      if (begin < at && host.find('.') != std::string_view::npos) {
        redact(begin, end);
        at = end;
        continue;
      }
    }
    size_t length = number_at(text, at);
    if (length == 0) length = iban_at(text, at);
    if (length > 0) redact(at, at + length);
    at += std::max<size_t>(1, length);
  }
  out.append(text, copied);
  return out;
}

namespace {

// The inside of a JSON string: what stands between two escapes is looked at by itself, so that the
// letter of an escape is no part of a word. A private key goes on over the escapes of its lines.
std::string redacted_string(std::string_view content, bool secrets, bool personal) {
  std::string out;
  bool in_key = false;
  for (size_t at = 0; at < content.size();) {
    size_t end = std::min(content.find('\\', at), content.size());
    std::string piece(content.substr(at, end - at));
    if (in_key) {
      if (piece.find("-----END ") != std::string::npos) in_key = false;
      piece.clear();
    } else if (secrets && piece.find("PRIVATE KEY-----") != std::string::npos &&
               piece.find("-----END ") == std::string::npos) {
      in_key = true;
      piece = piece.substr(0, piece.find("-----BEGIN ")) + std::string(kGone);
    } else {
      if (secrets) piece = without_secrets(piece);
      if (personal) piece = without_personal_data(piece);
    }
    out += piece;
    if (end == content.size()) break;
    const size_t escape = end + 1 < content.size() && content[end + 1] == 'u' ? 6 : 2;
    if (!in_key) out += content.substr(end, escape);
    at = end + escape;
  }
  return out;
}

// Base64, plain or for URLs, also as a data: URL.
bool is_base64(std::string_view text) {
  if (text.starts_with("data:")) text.remove_prefix(std::min(text.find(',') + 1, text.size()));
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/' || c == '=' ||
           c == '-' || c == '_';
  });
}

}  // namespace

std::string redacted_json(std::string_view json, bool secrets, bool personal) {
  constexpr size_t kMediaMin = 2048;
  std::string out;
  out.reserve(json.size());
  for (size_t at = 0; at < json.size();) {
    if (json[at] != '"') {
      out += json[at++];
      continue;
    }
    size_t end = at + 1;
    while (end < json.size() && json[end] != '"') end += json[end] == '\\' ? 2 : 1;
    if (end >= json.size()) return std::string(json);
    size_t after = end + 1;
    while (after < json.size() && (json[after] == ' ' || json[after] == '\n' ||
                                   json[after] == '\t' || json[after] == '\r'))
      ++after;
    const std::string_view content = json.substr(at + 1, end - at - 1);
    const bool is_key = after < json.size() && json[after] == ':';
    const bool media = content.size() > kMediaMin && is_base64(content);
    out += '"';
    if (is_key || media) {
      out += content;
    } else {
      out += redacted_string(content, secrets, personal);
    }
    out += '"';
    at = end + 1;
  }
  return out;
}

void write_json(JsonWriter& w, const RequestRecord& r) {
  const auto count = [&w](std::string_view name, int64_t n) {
    w.key(name);
    n >= 0 ? w.value(n) : w.null();
  };
  w.begin_object()
      .field("id", r.span_id)
      .field("trace_id", r.trace_id)
      .field("begin_ms", r.begin_ms)
      .field("duration_ms", r.duration_s * 1000);
  w.key("first_token_ms");
  r.first_token_s >= 0 ? w.value(r.first_token_s * 1000) : w.null();
  w.field("tenant", r.tenant)
      .field("key", r.key)
      .field("dialect", r.dialect)
      .field("asked", r.asked)
      .field("provider", r.provider)
      .field("model", r.model)
      .field("route", r.route)
      .field("cache", r.cache)
      .field("stream", r.stream)
      .field("status", r.status)
      .field("finish_reason", r.finish_reason)
      .field("error", r.error)
      .field("message", r.message)
      .field("tries", r.tries);
  count("input_tokens", r.input_tokens);
  count("cached_input_tokens", r.cached_input_tokens);
  count("output_tokens", r.output_tokens);
  count("cost_microusd", r.cost_microusd);
  w.field("saved_microusd", r.saved_microusd).field("estimated", r.estimated);
  if (!r.request_body.empty()) w.field("request", r.request_body);
  if (!r.answer_body.empty()) w.field("answer", r.answer_body);
  w.end_object();
}

RequestLog::RequestLog(const Config& config)
    : kept_(
          static_cast<size_t>(std::clamp<int64_t>(config.integer("log.requests_kept"), 0, 10000))),
      bodies_(config.boolean("log.bodies")),
      export_(config.is_set("log.otlp_endpoint")) {
  const std::string& lines = config.string("log.requests");
  lines_ = lines == "all" ? Lines::kAll : lines == "none" ? Lines::kNone : Lines::kUpstream;
}

void RequestLog::write_line(const RequestRecord& r) const {
  log::info("request", {{"gen_ai.operation.name", "chat"},
                        {"gen_ai.provider.name", r.provider},
                        {"gen_ai.request.model", r.asked},
                        {"gen_ai.response.model", r.model},
                        {"gen_ai.usage.input_tokens", r.input_tokens},
                        {"gen_ai.usage.output_tokens", r.output_tokens},
                        {"gen_ai.response.finish_reasons", r.finish_reason},
                        {"http.response.status_code", r.status},
                        {"error.type", r.error},
                        {"samplemind.dialect", r.dialect},
                        {"samplemind.tenant", r.tenant},
                        {"samplemind.key", r.key},
                        {"samplemind.cache", r.cache},
                        {"samplemind.route", r.route},
                        {"samplemind.tries", r.tries},
                        {"samplemind.cost_microusd", r.cost_microusd},
                        {"duration_ms", r.duration_s * 1000},
                        {"first_token_ms", r.first_token_s < 0 ? -1.0 : r.first_token_s * 1000},
                        {"trace_id", r.trace_id},
                        {"span_id", r.span_id}});
}

void RequestLog::add(RequestRecord r) {
  if (bodies_) {
    for (std::string* body : {&r.request_body, &r.answer_body}) {
      if (body->size() > kBodyKept) body->resize(kBodyKept);
      *body = without_personal_data(without_secrets(plain_escapes(*body)));
    }
  } else {
    r.request_body.clear();
    r.answer_body.clear();
  }
  if (!r.message.empty()) r.message = without_secrets(r.message);
  const bool quick = r.cache.starts_with("hit") && r.status == 200;
  if (lines_ == Lines::kAll || (lines_ == Lines::kUpstream && !quick)) write_line(r);
  const std::lock_guard lock(mutex_);
  if (export_) {
    if (outgoing_.size() < kOutgoingMax) {
      outgoing_.push_back(r);
    } else {
      ++dropped_;
    }
  }
  if (kept_ == 0) return;
  if (ring_.size() >= kept_) ring_.pop_front();
  ring_.push_back(std::move(r));
}

std::vector<RequestRecord> RequestLog::last(size_t count) const {
  const std::lock_guard lock(mutex_);
  const size_t n = std::min(count, ring_.size());
  return {ring_.rbegin(), ring_.rbegin() + static_cast<std::ptrdiff_t>(n)};
}

std::vector<RequestRecord> RequestLog::drain(size_t count) {
  const std::lock_guard lock(mutex_);
  const auto end =
      outgoing_.begin() + static_cast<std::ptrdiff_t>(std::min(count, outgoing_.size()));
  std::vector<RequestRecord> out(std::make_move_iterator(outgoing_.begin()),
                                 std::make_move_iterator(end));
  outgoing_.erase(outgoing_.begin(), end);
  return out;
}

uint64_t RequestLog::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace samplemind::ai
