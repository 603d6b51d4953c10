#include "coach/facts.h"

#include <cmath>
#include <string_view>

namespace samplemind::coach {

namespace {
struct Fact {
  std::string_view name;
  double step;  // numbers are rounded to a multiple of it; 0: text
};
// What a producer's question can rest on; beats and onsets are too long to be worth their tokens.
constexpr Fact kFacts[] = {
    {"duration_s", 0.01},
    {"sample_rate_hz", 1},
    {"channels", 1},
    {"bit_depth", 1},
    {"tempo_bpm", 0.1},
    {"tempo_confidence", 0.01},
    {"time_signature", 0},
    {"key", 0},
    {"key_confidence", 0.01},
    {"loudness_lufs", 0.1},
    {"loudness_range_lu", 0.1},
    {"true_peak_dbtp", 0.1},
    {"content", 0},
    {"kind", 0},
    {"note_midi", 0.1},
};

double rounded(double value, double step) {
  const double inverse =
      1 / step;  // exact powers of ten: 0.01 * 523 would print as 5.2300000000000004
  return std::round(value * inverse) / inverse;
}
}  // namespace

std::string write_facts(std::span<const Sound> sounds) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("sounds").begin_array();
  for (const Sound& sound : sounds) {
    w.begin_object().field("name", sound.name);
    for (const Fact& fact : kFacts) {
      const JsonValue& value = sound.measured[fact.name];
      if (fact.step == 0) {
        if (const auto text = value.string()) w.field(fact.name, *text);
      } else if (const auto number = value.number()) {
        w.field(fact.name, rounded(*number, fact.step));
      }
    }
    w.end_object();
  }
  w.end_array().end_object();
  return out;
}

}  // namespace samplemind::coach
