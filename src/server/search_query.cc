#include "server/search_query.h"

#include <charconv>

#include "base/config.h"
#include "base/files.h"
#include "net/http.h"

namespace samplemind::server {

namespace {

Result<int> parse_int(const std::string& text, std::string_view name, int low, int high) {
  int v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < low || v > high) {
    return Error(ErrorCode::kInvalidArgument, std::string(name) + " must be a whole number from " +
                                                  std::to_string(low) + " to " +
                                                  std::to_string(high) + ", not '" + text + "'");
  }
  return v;
}

}  // namespace

Result<library::SearchQuery> read_search_query(std::string_view text) {
  library::SearchQuery q;
  SM_TRY(const auto parameters, net::parse_query(text));
  for (const auto& [name, value] : parameters) {
    if (name == "q") {
      q.text = value;
    } else if (name == "bpm") {
      SM_TRY(q.tempo_bpm, library::parse_range(value, "bpm", 0.5));
    } else if (name == "key") {
      SM_TRY(q.key, library::parse_key(value));
    } else if (name == "length") {
      SM_TRY(q.length_s, library::parse_length(value));
    } else if (name == "kind") {
      q.kind = value;
    } else if (name == "content") {
      SM_TRY(q.content, library::parse_content(value));
    } else if (name == "folder") {
      q.folder = path_from_text(value).native();
    } else if (name == "state") {
      if (value != "ok" && value != "broken")
        return Error(ErrorCode::kInvalidArgument,
                     "state must be ok or broken, not '" + value + "'");
      q.broken = value == "broken";
    } else if (name == "sort") {
      SM_TRY(const auto sort, library::parse_sort(value));
      q.sort = sort.first;
      q.descending = sort.second;
    } else if (name == "limit") {
      SM_TRY(q.limit, parse_int(value, "limit", 1, 1000));
    } else if (name == "offset") {
      SM_TRY(q.offset, parse_int(value, "offset", 0, 100000000));
    } else {
      const auto close = nearest(name, {"q", "bpm", "key", "length", "kind", "content", "folder",
                                        "state", "sort", "limit", "offset"});
      return Error(ErrorCode::kInvalidArgument, "unknown parameter '" + name + "'",
                   close ? "did you mean '" + *close + "'?" : "");
    }
  }
  return q;
}

}  // namespace samplemind::server
