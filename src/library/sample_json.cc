#include "library/sample_json.h"

#include "audio/analysis_json.h"
#include "base/files.h"

namespace samplemind::library {

void write_json(JsonWriter& w, const Sample& s) {
  w.begin_object()
      .field("id", s.id)
      .field("path", s.file.path)
      .field("name", s.name())
      .field("folder", s.folder());
  if (!is_utf8(s.file.path)) w.field("uri", path_to_text(s.file.path));
  w.field("state", s.missing ? "missing" : !s.error.empty() ? "broken" : "ok");
  if (!s.error.empty()) w.field("error", s.error);
  w.field("size_bytes", s.file.size).field("added_ms", s.added_ms);
  audio::write_json_fields(w, s.analysis);
  w.field_or_null("tempo_source", s.tempo_source);
  w.field_or_null("key_source", s.key_source);
  w.field_or_null("kind_source", s.kind_source);
  const auto key = s.analysis.key ? key_index(*s.analysis.key) : std::nullopt;
  w.field_or_null("camelot", key ? camelot(*key) : "");
  w.field_or_null("open_key", key ? open_key(*key) : "");
  w.field("favourite", s.marks.favourite).field("rating", s.marks.rating);
  w.field("hidden", s.marks.hidden).field("tags", s.marks.tags).field("note", s.marks.note);
  w.field_or_null("colour", s.marks.colour);
  w.key("played_ms");
  if (s.marks.played_ms == 0) {
    w.null();
  } else {
    w.value(s.marks.played_ms);
  }
  if (!s.facts.empty()) {
    w.key("facts");
    write_facts(w, s.facts);
  }
  w.end_object();
}

}  // namespace samplemind::library
