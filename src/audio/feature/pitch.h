// Fundamental frequency of one note: YIN (de Cheveigne and Kawahara, JASA 111, 2002).
#pragma once

#include <optional>
#include <span>

namespace samplemind::audio {

// MIDI note number (69 = 440 Hz) of a tonal sound, as the median over its loud frames; nothing when
// it is not clearly periodic. `mono` at `rate_hz`, a few seconds at most are read. Pure,
// thread-safe.
std::optional<double> find_note(std::span<const float> mono, int rate_hz);

}  // namespace samplemind::audio
