#include "library/sample_json.h"

#include "audio/analysis_json.h"

namespace samplemind::library {

void write_json(JsonWriter& w, const Sample& s) {
  w.begin_object()
      .field("id", s.id)
      .field("path", s.file.path)
      .field("name", s.name())
      .field("folder", s.folder());
  w.field("state", s.missing ? "missing" : !s.error.empty() ? "broken" : "ok");
  if (!s.error.empty()) w.field("error", s.error);
  w.field("size_bytes", s.file.size).field("added_ms", s.added_ms);
  audio::write_json_fields(w, s.analysis);
  w.end_object();
}

}  // namespace samplemind::library
