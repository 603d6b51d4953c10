#include "ai/gateway/wishes.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "base/config.h"

namespace samplemind::ai {

namespace {

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

// A directive we cannot read is taken at its strictest.
int64_t read_max_age_ms(std::string_view seconds) {
  if (seconds.size() >= 2 && seconds.front() == '"' && seconds.back() == '"')
    seconds = seconds.substr(1, seconds.size() - 2);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), value);
  if (end != seconds.data() + seconds.size() || error == std::errc::invalid_argument) return 0;
  constexpr uint64_t kTenYears = 315'360'000;
  if (error == std::errc::result_out_of_range) value = kTenYears;
  return static_cast<int64_t>(std::min(value, kTenYears)) * 1000;
}

// Of one answer; -1 when it is none or out of bounds. A bare number is seconds, as everywhere in
// HTTP.
int64_t read_ttl_ms(std::string_view text) {
  constexpr int64_t kYearMs = int64_t{366} * 24 * 3600 * 1000;
  const std::string_view value = trimmed(text);
  const bool digits = !value.empty() && std::all_of(value.begin(), value.end(),
                                                    [](char c) { return c >= '0' && c <= '9'; });
  if (value.size() > 18) return -1;
  const auto ms = parse_duration_ms(std::string(value) + (digits ? "s" : ""));
  return ms.ok() && *ms >= 1000 && *ms <= kYearMs ? *ms : -1;
}

bool plain_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

}  // namespace

ClientWishes read_wishes(const net::Headers* headers) {
  ClientWishes w;
  if (headers == nullptr) return w;
  for (const auto& [name, value] : headers->fields()) {
    if (equal_ignoring_case(name, "cache-control")) {
      for (std::string_view rest = value; !rest.empty();) {
        const size_t comma = std::min(rest.find(','), rest.size());
        const std::string_view directive = trimmed(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        const size_t equals = directive.find('=');
        const std::string_view key = trimmed(directive.substr(0, equals));
        if (equal_ignoring_case(key, "no-store")) w.no_store = true;
        if (equal_ignoring_case(key, "no-cache")) w.no_cache = true;
        if (equal_ignoring_case(key, "only-if-cached")) w.only_if_cached = true;
        if (equal_ignoring_case(key, "max-age") && equals != std::string_view::npos)
          w.max_age_ms = read_max_age_ms(trimmed(directive.substr(equals + 1)));
      }
    } else if (equal_ignoring_case(name, "x-samplemind-cache-mode")) {
      w.bypass = equal_ignoring_case(value, "bypass");
      w.refresh = equal_ignoring_case(value, "refresh");
      if (!w.bypass && !w.refresh)
        w.problem = "x-samplemind-cache-mode must be 'bypass' or 'refresh'";
    } else if (equal_ignoring_case(name, "x-samplemind-replay")) {
      w.replay_paced = equal_ignoring_case(value, "paced");
      if (!*w.replay_paced && !equal_ignoring_case(value, "at-once"))
        w.problem = "x-samplemind-replay must be 'paced' or 'at-once'";
    } else if (equal_ignoring_case(name, "x-samplemind-cache-ttl")) {
      w.ttl_ms = read_ttl_ms(value);
      if (w.ttl_ms < 0) {
        w.problem =
            "x-samplemind-cache-ttl must be from 1 second to 1 year, such as 300 (seconds), 5m or "
            "7d; Cache-Control: no-store keeps an answer out of the cache";
      }
    } else if (equal_ignoring_case(name, "x-samplemind-cache-namespace")) {
      w.cache_namespace = value;
      if (!plain_name(value)) {
        w.problem = "x-samplemind-cache-namespace must be 1 to 64 letters, digits, '.', '_' or '-'";
      }
    }
  }
  if (w.max_age_ms == 0) w.no_cache = true;
  return w;
}

std::string answer_changing_headers(const net::Headers* headers) {
  std::string out;
  if (headers == nullptr) return out;
  for (const char* name : {"openai-beta", "anthropic-beta", "anthropic-version"}) {
    for (const std::string_view value : headers->get_all(name)) {
      // What Anthropic's clients always say is no difference.
      if (value == "2023-06-01") continue;
      out.append(name).append(":").append(value).append("\n");
    }
  }
  return out;
}

net::Headers forwarded_headers(const net::Headers* headers) {
  net::Headers out;
  if (headers == nullptr) return out;
  for (const char* name : {"openai-beta", "anthropic-beta", "anthropic-version"}) {
    for (const std::string_view value : headers->get_all(name)) out.add(name, value);
  }
  return out;
}

}  // namespace samplemind::ai
