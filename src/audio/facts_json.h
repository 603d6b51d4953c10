// The facts of levels detailed and professional as JSON members of an object that is open.
#pragma once

#include "audio/analyzer.h"
#include "base/json.h"

namespace samplemind::audio {

// "onset_strength", "chroma", "timbre", "spectrum", "envelope", "stereo", "f0_hz", "note",
// "harmonic_percussive", "groove", "bands", "quality": each an object, as in facts.h; those that
// were not measured are left out.
void write_facts(JsonWriter& w, const Analysis& a);

}  // namespace samplemind::audio
