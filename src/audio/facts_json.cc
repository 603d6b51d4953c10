#include "audio/facts_json.h"

#include <cmath>

namespace samplemind::audio {

namespace {

// Five significant digits: no feature is known better.
double rounded(double v) {
  if (v == 0 || !std::isfinite(v)) return 0;
  const double scale = std::pow(10, 4 - std::floor(std::log10(std::abs(v))));
  return std::round(v * scale) / scale;
}

std::optional<double> rounded(const std::optional<double>& v) {
  if (!v) return std::nullopt;
  return rounded(*v);
}

template <class List>
void list(JsonWriter& w, std::string_view name, const List& values) {
  w.key(name).begin_array();
  for (const auto v : values) w.value(rounded(static_cast<double>(v)));
  w.end_array();
}

void spread(JsonWriter& w, const Spread& s) {
  w.begin_object()
      .field("mean", rounded(s.mean))
      .field("deviation", rounded(s.deviation))
      .field("min", rounded(s.least))
      .field("max", rounded(s.most))
      .end_object();
}

void spread(JsonWriter& w, std::string_view name, const Spread& s) {
  w.key(name);
  spread(w, s);
}

void curve(JsonWriter& w, std::string_view name, const Curve& c) {
  w.key(name).begin_object().field("step_s", rounded(c.step_s));
  list(w, "values", c.values);
  w.end_object();
}

// "A#3 -12 cents" as a name and a deviation.
void note(JsonWriter& w, double midi) {
  constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                    "F#", "G",  "G#", "A",  "A#", "B"};
  const auto nearest = static_cast<int>(std::lround(midi));
  const std::string octave = std::to_string(nearest / 12 - 1);
  w.field("note", kNames[static_cast<size_t>(nearest % 12)] + octave)
      .field("note_cents", std::round((midi - nearest) * 100));
}

void write_quality(JsonWriter& w, const QualityFacts& q) {
  w.key("quality").begin_object();
  w.field("clipped_runs", static_cast<int64_t>(q.clipped_runs))
      .field("clipped_share", rounded(q.clipped_share));
  w.field("dc_offset", rounded(q.dc_offset)).field("hum_hz", q.hum_hz);
  w.field("hum_db", rounded(q.hum_db)).field("noise_floor_dbfs", rounded(q.noise_floor_dbfs));
  w.field("mono_loss_db", rounded(q.mono_loss_db))
      .field("intersample_db", rounded(q.intersample_db));
  w.field("issues", q.issues).end_object();
}

}  // namespace

void write_facts(JsonWriter& w, const Analysis& a) {
  if (a.onset_strength) curve(w, "onset_strength", *a.onset_strength);
  if (a.chroma) {
    w.key("chroma").begin_object();
    list(w, "mean", a.chroma->chroma);
    list(w, "pitch_classes", a.chroma->pitch_classes);
    w.end_object();
  }
  if (a.timbre) {
    w.key("timbre").begin_object();
    list(w, "mfcc_mean", a.timbre->mfcc_mean);
    list(w, "mfcc_deviation", a.timbre->mfcc_deviation);
    list(w, "delta_mean", a.timbre->delta_mean);
    list(w, "delta_deviation", a.timbre->delta_deviation);
    w.end_object();
  }
  if (const auto& s = a.spectrum) {
    w.key("spectrum").begin_object();
    spread(w, "centroid_hz", s->centroid_hz);
    spread(w, "bandwidth_hz", s->bandwidth_hz);
    spread(w, "rolloff_hz", s->rolloff_hz);
    spread(w, "flatness", s->flatness);
    w.key("contrast_db").begin_array();
    for (const Spread& band : s->contrast_db) spread(w, band);
    w.end_array().field("zero_crossing_rate", rounded(s->zero_crossing_rate)).end_object();
  }
  if (const auto& e = a.envelope) {
    w.key("envelope").begin_object();
    curve(w, "rms_db", e->rms_db);
    w.field("dynamic_range_db", rounded(e->dynamic_range_db))
        .field("crest_db", rounded(e->crest_db));
    w.field("attack_s", rounded(e->attack_s)).field("decay_s", rounded(e->decay_s)).end_object();
  }
  if (const auto& s = a.stereo) {
    w.key("stereo").begin_object().field("width", rounded(s->width));
    w.field("correlation", rounded(s->correlation)).field("balance_db", rounded(s->balance_db));
    w.end_object();
  }
  if (a.f0_hz) {
    w.field("f0_hz", rounded(*a.f0_hz));
    note(w, *a.note_midi);
  }
  if (const auto& h = a.harmonic_percussive) {
    w.key("harmonic_percussive").begin_object().field("harmonic", rounded(h->harmonic));
    w.field("percussive", rounded(h->percussive)).end_object();
  }
  if (const auto& g = a.groove) {
    w.key("groove").begin_object();
    list(w, "pattern", g->pattern);
    w.field("bars", static_cast<int64_t>(g->bars)).field("swing", rounded(g->swing));
    w.field("timing_mean_ms", rounded(g->timing_mean_ms))
        .field("timing_deviation_ms", rounded(g->timing_deviation_ms))
        .end_object();
  }
  if (const auto& b = a.bands) {
    w.key("bands").begin_object();
    for (size_t i = 0; i < kBandCount; ++i) w.field(kBandNames[i], rounded(b->share[i]));
    curve(w, "energy_db", b->energy_db);
    w.end_object();
  }
  if (a.quality) write_quality(w, *a.quality);
}

}  // namespace samplemind::audio
