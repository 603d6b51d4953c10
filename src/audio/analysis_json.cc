#include "audio/analysis_json.h"

#include <cmath>

#include "audio/facts_json.h"
#include "audio/feature/key.h"
#include "audio/rounding.h"

namespace samplemind::audio {

namespace {
void times(JsonWriter& w, std::string_view name, const std::vector<double>& seconds) {
  w.key(name).begin_array();
  for (const double t : seconds) w.value(rounded(t, 1e4));
  w.end_array();
}

std::vector<double> times(const JsonValue& list) {
  std::vector<double> seconds;
  for (const JsonValue& t : list.items()) seconds.push_back(t.number_or(0));
  return seconds;
}

std::optional<int> to_int(const JsonValue& v) {
  if (const auto i = v.integer()) return static_cast<int>(*i);
  return std::nullopt;
}
}  // namespace

void write_json_fields(JsonWriter& w, const Analysis& a) {
  w.field("format", a.format)
      .field("duration_s", rounded(a.duration_s, 1e6))
      .field("sample_rate_hz", a.sample_rate_hz);
  w.field("channels", a.channels).field("bit_depth", a.bit_depth);
  w.field("peak_dbfs", rounded(a.peak_dbfs, 100)).field("rms_dbfs", rounded(a.rms_dbfs, 100));
  w.field("silence_start_s", rounded(a.silence_start_s, 1e4))
      .field("silence_end_s", rounded(a.silence_end_s, 1e4));
  w.field("file_blake3", a.file_blake3).field("audio_blake3", a.audio_blake3);
  w.field("tempo_bpm", rounded(a.tempo_bpm, 100))
      .field("tempo_confidence", rounded(a.tempo_confidence, 1000));
  w.key("tempo_alternatives").begin_array();
  for (const TempoCandidate& t : a.tempo_alternatives) {
    w.begin_object().field("bpm", rounded(t.bpm, 100));
    w.field("probability", rounded(t.probability, 1000)).end_object();
  }
  w.end_array();
  times(w, "beats_s", a.beats_s);
  times(w, "downbeats_s", a.downbeats_s);
  times(w, "onsets_s", a.onsets_s);
  w.field("time_signature", a.time_signature);
  w.field("key", a.key).field("key_confidence", rounded(a.key_confidence, 1000));
  const std::optional<Key> key = a.key ? parse_key(*a.key) : std::nullopt;
  w.field("key_camelot", key ? std::optional(key->camelot()) : std::nullopt);
  w.field("key_open", key ? std::optional(key->open_key()) : std::nullopt);
  w.field("tuning_cents", rounded(a.tuning_cents, 10));
  w.field("loudness_lufs", rounded(a.loudness_lufs, 100))
      .field("loudness_range_lu", rounded(a.loudness_range_lu, 100));
  w.field("true_peak_dbtp", rounded(a.true_peak_dbtp, 100));
  w.field("content", a.content).field("kind", a.kind);
  w.field("kind_confidence", rounded(a.kind_confidence, 1000));
  w.key("kinds").begin_object();
  for (const auto& [kind, probability] : a.kinds) w.field(kind, rounded(probability, 1000));
  w.end_object();
  w.field("note_midi", rounded(a.note_midi, 100));
  write_facts(w, a);
  w.key("metadata");
  if (a.metadata.empty()) {
    w.null();
  } else {
    write_json(w, a.metadata);
  }
  w.field("warnings", a.warnings);
}

void write_json(JsonWriter& w, std::string_view path, const Analysis& a) {
  w.begin_object().field("path", path);
  write_json_fields(w, a);
  w.end_object();
}

Analysis analysis_from_json(const JsonValue& v) {
  Analysis a;
  a.format = v["format"].string_or("");
  a.duration_s = v["duration_s"].number_or(0);
  a.sample_rate_hz = static_cast<int>(v["sample_rate_hz"].integer_or(0));
  a.channels = static_cast<int>(v["channels"].integer_or(0));
  a.bit_depth = to_int(v["bit_depth"]);
  a.peak_dbfs = v["peak_dbfs"].number();
  a.rms_dbfs = v["rms_dbfs"].number();
  a.silence_start_s = v["silence_start_s"].number();
  a.silence_end_s = v["silence_end_s"].number();
  a.file_blake3 = v["file_blake3"].string();
  a.audio_blake3 = v["audio_blake3"].string();
  a.tempo_bpm = v["tempo_bpm"].number();
  a.tempo_confidence = v["tempo_confidence"].number();
  for (const JsonValue& t : v["tempo_alternatives"].items())
    a.tempo_alternatives.push_back({t["bpm"].number_or(0), t["probability"].number_or(0)});
  a.beats_s = times(v["beats_s"]);
  a.downbeats_s = times(v["downbeats_s"]);
  a.onsets_s = times(v["onsets_s"]);
  a.time_signature = v["time_signature"].string();
  a.key = v["key"].string();
  a.key_confidence = v["key_confidence"].number();
  a.tuning_cents = v["tuning_cents"].number();
  a.loudness_lufs = v["loudness_lufs"].number();
  a.loudness_range_lu = v["loudness_range_lu"].number();
  a.true_peak_dbtp = v["true_peak_dbtp"].number();
  a.content = v["content"].string();
  a.kind = v["kind"].string();
  a.kind_confidence = v["kind_confidence"].number();
  for (const auto& [kind, probability] : v["kinds"].members())
    a.kinds.emplace_back(kind, probability.number_or(0));
  a.note_midi = v["note_midi"].number();
  if (v["metadata"].is_object()) a.metadata = metadata_from_json(v["metadata"]);
  for (const JsonValue& warning : v["warnings"].items())
    a.warnings.push_back(warning.string_or(""));
  return a;
}

}  // namespace samplemind::audio
