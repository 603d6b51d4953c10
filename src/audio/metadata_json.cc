#include "audio/analysis_json.h"
#include "audio/rounding.h"

namespace samplemind::audio {

void write_json(JsonWriter& w, const Metadata& m) {
  w.begin_object();
  w.field("title", m.title).field("artist", m.artist).field("album", m.album);
  w.field("genre", m.genre).field("date", m.date).field("comment", m.comment);
  w.field("tempo_bpm", rounded(m.tempo_bpm, 1000));
  w.field("key", m.key).field("key_text", m.key_text);
  w.field("root_note_midi", m.root_note_midi);
  w.field("tuning_cents", rounded(m.tuning_cents, 100));
  w.field("one_shot", m.one_shot).field("beats", m.beats);
  w.field("time_signature", m.time_signature);
  w.key("loops").begin_array();
  for (const Metadata::Loop& l : m.loops) {
    w.begin_object()
        .field("start_s", rounded(l.start_s, 1e6))
        .field("end_s", rounded(l.end_s, 1e6));
    w.field("type", l.type).field("count", l.count).end_object();
  }
  w.end_array().key("cues").begin_array();
  for (const Metadata::Cue& c : m.cues)
    w.begin_object().field("time_s", rounded(c.time_s, 1e6)).field("label", c.label).end_object();
  w.end_array().field("sources", m.sources).end_object();
}

Metadata metadata_from_json(const JsonValue& v) {
  Metadata m;
  m.title = v["title"].string();
  m.artist = v["artist"].string();
  m.album = v["album"].string();
  m.genre = v["genre"].string();
  m.date = v["date"].string();
  m.comment = v["comment"].string();
  m.tempo_bpm = v["tempo_bpm"].number();
  m.key = v["key"].string();
  m.key_text = v["key_text"].string();
  if (const auto note = v["root_note_midi"].integer()) m.root_note_midi = static_cast<int>(*note);
  m.tuning_cents = v["tuning_cents"].number();
  m.one_shot = v["one_shot"].boolean();
  if (const auto beats = v["beats"].integer()) m.beats = static_cast<int>(*beats);
  m.time_signature = v["time_signature"].string();
  for (const JsonValue& l : v["loops"].items())
    m.loops.push_back({l["start_s"].number_or(0), l["end_s"].number_or(0), l["type"].string_or(""),
                       static_cast<int>(l["count"].integer_or(0))});
  for (const JsonValue& c : v["cues"].items())
    m.cues.push_back({c["time_s"].number_or(0), c["label"].string_or("")});
  for (const JsonValue& s : v["sources"].items()) m.sources.emplace_back(s.string_or(""));
  return m;
}

}  // namespace samplemind::audio
