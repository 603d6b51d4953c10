#include "library/marks.h"

#include <algorithm>

#include "library/query.h"

namespace samplemind::library {

void write_json(JsonWriter& w, const Marks& m) {
  w.begin_object();
  if (m.favourite) w.field("favourite", true);
  if (m.hidden) w.field("hidden", true);
  if (m.rating != 0) w.field("rating", m.rating);
  if (!m.note.empty()) w.field("note", m.note);
  if (!m.colour.empty()) w.field("colour", m.colour);
  if (!m.tags.empty()) w.field("tags", m.tags);
  if (m.played_ms != 0) w.field("played_ms", m.played_ms);
  if (m.tempo_bpm) w.field("tempo_bpm", m.tempo_bpm);
  if (m.key) w.field("key", m.key);
  if (m.kind) w.field("kind", m.kind);
  if (m.content) w.field("content", m.content);
  w.end_object();
}

Marks marks_from_json(const JsonValue& v) {
  Marks m;
  m.favourite = v["favourite"].bool_or(false);
  m.hidden = v["hidden"].bool_or(false);
  m.rating = static_cast<int>(std::clamp<int64_t>(v["rating"].integer_or(0), 0, 5));
  m.note = v["note"].string_or("");
  m.colour = v["colour"].string_or("");
  for (const JsonValue& t : v["tags"].items()) m.tags.push_back(t.string_or(""));
  m.played_ms = v["played_ms"].integer_or(0);
  m.tempo_bpm = v["tempo_bpm"].number();
  m.key = v["key"].string();
  m.kind = v["kind"].string();
  m.content = v["content"].string();
  return m;
}

namespace {

Error wrong(std::string_view field, std::string_view why, std::string hint = {}) {
  return Error(ErrorCode::kInvalidArgument, "'" + std::string(field) + "' " + std::string(why),
               std::move(hint));
}

Result<std::string> read_tag(const JsonValue& v) {
  std::string tag = fold(v.string_or(""));
  while (!tag.empty() && tag.front() == ' ') tag.erase(0, 1);
  while (!tag.empty() && tag.back() == ' ') tag.pop_back();
  if (tag.empty() || tag.size() > kTagMax || std::any_of(tag.begin(), tag.end(), [](char c) {
        return c == ',' || c == '"' || static_cast<unsigned char>(c) < 0x20;
      }))
    return wrong("tags", "hold 1 to 64 bytes each, without commas, quotes and control characters");
  return tag;
}

Result<std::vector<std::string>> read_tags(const JsonValue& list) {
  std::vector<std::string> tags;
  if (!list.is_array()) return wrong("tags", "must be a list of texts");
  for (const JsonValue& v : list.items()) {
    SM_TRY(std::string tag, read_tag(v));
    tags.push_back(std::move(tag));
  }
  if (tags.size() > kTagsMax) return wrong("tags", "hold at most 100");
  return tags;
}

void tidy(std::vector<std::string>& tags) {
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  if (tags.size() > kTagsMax) tags.resize(kTagsMax);
}

Result<void> read_user_facts(std::string_view name, const JsonValue& v, MarksChange& c) {
  const auto text = v.string();
  if (name == "tempo_bpm") {
    if (v.is_null()) {
      c.tempo_bpm.emplace();
      return ok();
    }
    const auto bpm = v.number();
    if (!bpm || *bpm < 20 || *bpm > 400) return wrong(name, "must be 20 to 400, or null");
    c.tempo_bpm.emplace(*bpm);
    return ok();
  }
  if (name == "tempo_factor") {
    SM_TRY(c.tempo_factor, parse_tempo_factor(text.value_or("")));
    return ok();
  }
  if (!v.is_null() && !text) return wrong(name, "must be a text, or null");
  if (name == "key") {
    c.key.emplace();
    if (text) {
      SM_TRY(*c.key, parse_key(*text));
    }
  } else if (name == "kind") {
    c.kind.emplace();
    if (text) {
      const auto& known = kind_names();
      if (std::find(known.begin(), known.end(), *text) == known.end()) {
        std::string all;
        for (const std::string& k : known) all += (all.empty() ? "" : ", ") + k;
        return wrong(name, "'" + *text + "' is no kind", all);
      }
      *c.kind = *text;
    }
  } else {
    c.content.emplace();
    if (text) {
      SM_TRY(*c.content, parse_content(*text));
    }
  }
  return ok();
}

}  // namespace

Result<MarksChange> read_change(const JsonValue& value) {
  if (!value.is_object() || value.size() == 0)
    return Error(ErrorCode::kInvalidArgument, "a change must be an object with at least one field",
                 "{\"favourite\": true, \"rating\": 4, \"tags_add\": [\"dusty\"]}");
  MarksChange c;
  for (const auto& [name, v] : value.members()) {
    if (name == "favourite" || name == "hidden") {
      if (!v.is_bool()) return wrong(name, "must be true or false");
      (name == "favourite" ? c.favourite : c.hidden) = v.boolean();
    } else if (name == "rating") {
      const auto stars = v.is_null() ? std::optional<int64_t>(0) : v.integer();
      if (!stars || *stars < 0 || *stars > 5) return wrong(name, "must be a whole number 0 to 5");
      c.rating = static_cast<int>(*stars);
    } else if (name == "note") {
      c.note = v.string_or("");
      if (c.note->size() > kNoteMax) return wrong(name, "is longer than 4096 bytes");
    } else if (name == "colour") {
      c.colour = fold(v.string_or(""));
      const bool fits = c.colour->empty() ||
                        (c.colour->size() == 7 && c.colour->front() == '#' &&
                         c.colour->find_first_not_of("0123456789abcdef", 1) == std::string::npos);
      if (!fits) return wrong(name, "must be #rrggbb, or empty");
    } else if (name == "tags") {
      SM_TRY(c.tags, read_tags(v));
    } else if (name == "tags_add") {
      SM_TRY(c.tags_add, read_tags(v));
    } else if (name == "tags_remove") {
      SM_TRY(c.tags_remove, read_tags(v));
    } else if (name == "tempo_bpm" || name == "tempo_factor" || name == "key" || name == "kind" ||
               name == "content") {
      SM_CHECK_OK(read_user_facts(name, v, c));
    } else {
      return wrong(name, "cannot be changed",
                   "favourite, hidden, rating, note, colour, tags, tags_add, tags_remove, "
                   "tempo_bpm, tempo_factor, key, kind, content");
    }
  }
  return c;
}

void apply(const MarksChange& c, std::optional<double> tempo_now, Marks& m) {
  if (c.favourite) m.favourite = *c.favourite;
  if (c.hidden) m.hidden = *c.hidden;
  if (c.rating) m.rating = *c.rating;
  if (c.note) m.note = *c.note;
  if (c.colour) m.colour = *c.colour;
  if (c.tags) m.tags = *c.tags;
  m.tags.insert(m.tags.end(), c.tags_add.begin(), c.tags_add.end());
  for (const std::string& t : c.tags_remove) std::erase(m.tags, t);
  tidy(m.tags);
  if (c.tempo_bpm) m.tempo_bpm = *c.tempo_bpm;
  if (c.tempo_factor) {
    const std::optional<double> base = m.tempo_bpm ? m.tempo_bpm : tempo_now;
    if (base) m.tempo_bpm = *base * *c.tempo_factor;
  }
  if (c.key) m.key = *c.key;
  if (c.kind) m.kind = *c.kind;
  if (c.content) m.content = *c.content;
}

std::string describe(const MarksChange& c) {
  std::string out;
  const auto add = [&out](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (c.favourite) add(*c.favourite ? "favourite" : "no favourite");
  if (c.hidden) add(*c.hidden ? "hide" : "show");
  if (c.rating) add("rating " + std::to_string(*c.rating));
  if (c.note) add(c.note->empty() ? "remove note" : "note");
  if (c.colour) add(c.colour->empty() ? "no colour" : "colour " + *c.colour);
  if (c.tags) add("set tags");
  for (const std::string& t : c.tags_add) add("tag " + t);
  for (const std::string& t : c.tags_remove) add("untag " + t);
  if (c.tempo_bpm) add(*c.tempo_bpm ? "tempo" : "take tempo back");
  if (c.tempo_factor) add("tempo by a factor");
  if (c.key) add(*c.key ? "key " + **c.key : "take key back");
  if (c.kind) add(*c.kind ? "kind " + **c.kind : "take kind back");
  if (c.content) add(*c.content ? **c.content : "take content back");
  return out;
}

std::vector<Fact> facts_from_marks(const Marks& m) {
  std::vector<Fact> facts;
  const auto add = [&facts](const char* what) -> Fact& {
    facts.emplace_back();
    facts.back().what = what;
    facts.back().source = FactSource::kUser;
    facts.back().confidence = 1;
    return facts.back();
  };
  if (m.tempo_bpm) add("tempo").number = *m.tempo_bpm;
  if (m.key) add("key").text = *m.key;
  if (m.kind) add("kind").text = *m.kind;
  if (m.content) add("content").text = *m.content;
  return facts;
}

}  // namespace samplemind::library
