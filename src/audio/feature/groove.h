// The rhythm pattern of a bar and how it is played: onset strength on sixteenths, swing, timing.
// Pure functions, thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audio/facts.h"

namespace samplemind::audio {

// `strength` has a value every 1 / fps seconds; beats and onsets in seconds, rising. Bars begin at
// downbeats when there are some, else at the first beat, four beats each. Nothing with fewer than
// five beats.
std::optional<GrooveFacts> find_groove(std::span<const float> strength, double fps,
                                       std::span<const double> beats_s,
                                       std::span<const double> downbeats_s,
                                       std::span<const double> onsets_s,
                                       const std::optional<std::string>& time_signature);

}  // namespace samplemind::audio
