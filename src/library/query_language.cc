#include <algorithm>

#include "base/config.h"
#include "library/query.h"
#include "library/query_internal.h"

namespace samplemind::library {

namespace {

struct Name {
  std::string_view name;
  Field field;
};
constexpr Name kNames[] = {{"bpm", Field::kTempo},
                           {"tempo", Field::kTempo},
                           {"len", Field::kLength},
                           {"length", Field::kLength},
                           {"duration", Field::kLength},
                           {"lufs", Field::kLoudness},
                           {"loudness", Field::kLoudness},
                           {"note", Field::kNote},
                           {"rating", Field::kRating},
                           {"added", Field::kAge},
                           {"rate", Field::kRate},
                           {"channels", Field::kChannels},
                           {"key", Field::kKey},
                           {"kind", Field::kKind},
                           {"content", Field::kContent},
                           {"tag", Field::kTag},
                           {"format", Field::kFormat},
                           {"in", Field::kCollection},
                           {"collection", Field::kCollection},
                           {"folder", Field::kFolder},
                           {"is", Field::kIs}};

constexpr std::string_view kFlags[] = {"favourite", "hidden",   "missing", "broken",
                                       "tagged",    "untagged", "rated",   "played"};

std::vector<std::string> field_names() {
  std::vector<std::string> names{"sort"};
  for (const Name& n : kNames) names.emplace_back(n.name);
  return names;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<ParsedQuery> run() {
    if (text_.size() > kQueryMax)
      return Error(ErrorCode::kTooLarge,
                   "the query is longer than " + std::to_string(kQueryMax) + " bytes");
    while (true) {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
      if (at_ == text_.size()) return std::move(out_);
      SM_CHECK_OK(token());
      if (out_.terms.size() > kTermsMax)
        return Error(ErrorCode::kTooLarge,
                     "the query has more than " + std::to_string(kTermsMax) + " conditions");
    }
  }

 private:
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
  Error wrong(size_t position, std::string_view wanted, std::string hint = {}) const {
    return query_error("query", text_, position, wanted, std::move(hint));
  }

  Result<void> token() {
    Term term;
    if (text_[at_] == '-' && at_ + 1 < text_.size() && !is_space(text_[at_ + 1])) {
      term.exclude = true;
      ++at_;
    }
    const bool near = text_[at_] == '~';
    if (near) ++at_;
    const size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      SM_TRY(const std::string phrase, quoted());
      add_words(term, phrase, true);
      return ok();
    }
    while (at_ < text_.size() && !is_space(text_[at_]) && text_[at_] != ':') ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    const bool letters = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (at_ < text_.size() && text_[at_] == ':' && letters)
      return field(std::move(term), fold(name), begin, near);
    while (at_ < text_.size() && !is_space(text_[at_])) ++at_;
    if (near) return wrong(begin - 1, "~ stands before key: only", "~key:8A");
    add_words(term, text_.substr(begin, at_ - begin), false);
    return ok();
  }

  // From a quote to the next one, or to the end while it is still being typed.
  Result<std::string> quoted() {
    const size_t open = at_++;
    const size_t close = text_.find('"', at_);
    if (close == std::string_view::npos) return wrong(open, "this quote is never closed");
    std::string value(text_.substr(at_, close - at_));
    at_ = close + 1;
    return value;
  }

  void add_words(const Term& like, std::string_view text, bool phrase) {
    const std::vector<std::string> list = words(text);
    if (list.empty()) return;
    if (phrase && list.size() > 1) {
      Term term = like;
      term.field = Field::kPhrase;
      for (const std::string& w : list) term.text += (term.text.empty() ? "" : " ") + w;
      out_.terms.push_back(std::move(term));
      return;
    }
    for (const std::string& w : list) {
      Term term = like;
      term.text = w;
      out_.terms.push_back(std::move(term));
    }
  }

  Result<void> field(Term term, const std::string& name, size_t begin, bool near) {
    ++at_;  // the colon
    const size_t value_at = at_;
    std::string value;
    size_t base = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      ++base;
      SM_TRY(value, quoted());
    } else {
      // A key's mode may follow a space only in quotes; everything up to the next space counts.
      while (at_ < text_.size() && !is_space(text_[at_])) ++at_;
      value = text_.substr(value_at, at_ - value_at);
    }
    if (name == "sort") return sort(term, value, value_at);
    const auto known = std::find_if(std::begin(kNames), std::end(kNames),
                                    [&name](const Name& n) { return n.name == name; });
    if (known == std::end(kNames)) {
      const auto close = nearest(name, field_names());
      return wrong(begin, "there is no field '" + name + "'",
                   close ? "did you mean '" + *close + ":'?"
                         : "bpm, key, kind, len, lufs, is, tag, in, folder, rating, note, added, "
                           "format, rate, channels, sort");
    }
    term.field = known->field;
    if (near && term.field != Field::kKey)
      return wrong(begin - 1, "~ stands before key: only", "~key:8A");
    if (value.empty()) return wrong(value_at, "a value was expected after '" + name + ":'");
    SM_CHECK_OK(read_value(term, value, {"query", text_, base}, near));
    out_.terms.push_back(std::move(term));
    return ok();
  }

  Result<void> sort(const Term& term, const std::string& value, size_t value_at) {
    auto parsed = parse_sort(value);
    if (term.exclude) return wrong(value_at - 6, "sort: cannot be excluded", "sort:-bpm falls");
    if (!parsed.ok()) return wrong(value_at, parsed.error().message(), parsed.error().hint());
    out_.sort = *parsed;
    return ok();
  }

  static Result<void> read_value(Term& term, const std::string& value, const Source& source,
                                 bool near) {
    switch (term.field) {
      case Field::kTempo: {
        SM_TRY(term.range, read_range(source, value, 0.5, false, false));
        return ok();
      }
      case Field::kLength: {
        SM_TRY(term.range, read_range(source, value, 0.1, true, false));
        return ok();
      }
      case Field::kAge: {
        SM_TRY(term.range, read_range(source, value, 0.5, true, false));
        return ok();
      }
      case Field::kLoudness: {
        SM_TRY(term.range, read_range(source, value, 0.5, false, true));
        return ok();
      }
      case Field::kNote:
      case Field::kRating:
      case Field::kRate:
      case Field::kChannels: {
        SM_TRY(term.range, read_range(source, value, 0.25, false, false));
        return ok();
      }
      case Field::kKey:
        return read_keys(term, value, source, near);
      case Field::kIs:
        return read_flag(term, fold(value), source);
      case Field::kKind:
      case Field::kTag:
      case Field::kFormat:
        term.values = split(fold(value));
        return ok();
      case Field::kContent:
        for (const std::string& part : split(value)) {
          auto content = parse_content(part);
          if (!content.ok())
            return source.error(0, content.error().message(), content.error().hint());
          term.values.push_back(std::move(*content));
        }
        return ok();
      default:
        term.text = value;
        return ok();
    }
  }

  static std::vector<std::string> split(const std::string& value) {
    std::vector<std::string> parts;
    for (size_t at = 0; at <= value.size();) {
      const size_t end = std::min(value.find(',', at), value.size());
      if (end > at) parts.push_back(value.substr(at, end - at));
      at = end + 1;
    }
    return parts;
  }

  static Result<void> read_keys(Term& term, const std::string& value, const Source& source,
                                bool near) {
    for (size_t at = 0; at <= value.size();) {
      const size_t end = std::min(value.find(',', at), value.size());
      const Source here{source.what, source.whole, source.base + at};
      SM_TRY(const std::string key, read_key(here, std::string_view(value).substr(at, end - at)));
      const auto index = key_index(key);
      SM_ASSERT(index.has_value());
      term.keys |= near ? compatible_keys(*index) : 1u << *index;
      at = end + 1;
    }
    return ok();
  }

  static Result<void> read_flag(Term& term, std::string flag, const Source& source) {
    if (flag == "favorite" || flag == "fav") flag = "favourite";
    if (flag == "one-shot") flag = "oneshot";
    if (flag == "oneshot" || flag == "loop" || flag == "music") {
      term.field = Field::kContent;
      term.values = {flag};
      return ok();
    }
    if (std::find(std::begin(kFlags), std::end(kFlags), flag) == std::end(kFlags)) {
      std::vector<std::string> names{"loop", "oneshot", "music"};
      names.insert(names.end(), std::begin(kFlags), std::end(kFlags));
      const auto close = nearest(flag, names);
      return source.error(0, "'is:" + flag + "' is not known",
                          close ? "did you mean is:" + *close + "?"
                                : "is: takes loop, oneshot, music, favourite, hidden, missing, "
                                  "broken, tagged, untagged, rated or played");
    }
    term.text = std::move(flag);
    return ok();
  }

  std::string_view text_;
  size_t at_ = 0;
  ParsedQuery out_;
};

}  // namespace

Result<ParsedQuery> parse_query(std::string_view text) {
  return Parser(text).run();
}

Result<ParsedQuery> all_terms(const SearchQuery& q) {
  SM_TRY(ParsedQuery all, parse_query(q.text));
  const auto add = [&all](Field field) -> Term& {
    all.terms.emplace_back();
    all.terms.back().field = field;
    return all.terms.back();
  };
  if (q.tempo_bpm.low || q.tempo_bpm.high) add(Field::kTempo).range = q.tempo_bpm;
  if (q.length_s.low || q.length_s.high) add(Field::kLength).range = q.length_s;
  if (q.key) {
    const auto index = key_index(*q.key);
    add(Field::kKey).keys = index ? 1u << *index : 0;
  }
  if (q.kind) add(Field::kKind).values = {fold(*q.kind)};
  if (q.content) add(Field::kContent).values = {*q.content};
  if (q.folder) add(Field::kFolder).text = *q.folder;
  if (q.broken) add(Field::kIs).text = "broken";
  if (!all.sort) all.sort = {q.sort, q.descending};
  return all;
}

}  // namespace samplemind::library
