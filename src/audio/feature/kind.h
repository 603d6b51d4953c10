// What a sound is: one of 25 kinds that producers sort by, with a probability each.
//
// A small network (models/kind.bin, trained by tools/train/kind) looks at the first four seconds:
// 40 mel bands at 16 moments, closer together at the attack, and the descriptor's measures of
// colour and envelope. What it was trained on, and how often it is right on sounds that it never
// heard, stands in models/README.md. Pure, thread-safe, the same bits
// every time.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "audio/feature/profile.h"

namespace samplemind::audio {

inline constexpr size_t kKindCount = 25;
extern const std::array<std::string_view, kKindCount> kKindNames;  // "kick", "snare", ...

// Below this probability a sound is not given a kind: one in four.
inline constexpr float kKindProbabilityMin = 0.25f;

using KindProbabilities = std::array<float, kKindCount>;  // in the order of kKindNames, sum 1

// REQUIRES: profile.audible().
KindProbabilities kind_probabilities(const SoundProfile& profile);

// The likeliest kind's index, or nothing when none reaches kKindProbabilityMin.
std::optional<size_t> likeliest_kind(const KindProbabilities& probabilities);

// The network's input, for training it. REQUIRES: profile.audible().
inline constexpr size_t kKindMoments = 16;
inline constexpr size_t kKindInputs = kKindMoments * kMelBands + 54;
std::array<float, kKindInputs> kind_inputs(const SoundProfile& profile);
// The network on its own input.
KindProbabilities kind_probabilities(const std::array<float, kKindInputs>& inputs);

}  // namespace samplemind::audio
