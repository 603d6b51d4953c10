// The parts of the descriptor as floats about -1..1, shared with the naming of kinds.
#pragma once

#include <span>

#include "audio/feature/profile.h"

namespace samplemind::audio {

inline constexpr size_t kTimbreDims = 32;
inline constexpr size_t kPitchDims = 16;
inline constexpr size_t kRhythmDims = 16;
inline constexpr size_t kEnvelopeDims = 16;

// REQUIRES: profile.audible(), `out` of the aspect's size and filled with 0.
void describe_timbre(const SoundProfile& profile, std::span<float> out);
// 0..11 pitch classes, 12 height, 13 tonality, 14 the strongest class's share, 15 glide.
void describe_pitch(const SoundProfile& profile, std::span<float> out);
void describe_envelope(const SoundProfile& profile, std::span<float> out);

}  // namespace samplemind::audio
