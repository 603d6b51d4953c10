// Whether a sound is struck once or goes on: one-shot or loop (internal).
//
// A small logistic model over what the onset envelope tells: how many attacks there are and how
// clear, where the energy lies, how the sound ends, whether attacks come evenly and fit a whole
// number of times into its length. Trained on composed loops and on drum hits, notes and effects
// (tools/train/rhythm/train_content.py).
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace samplemind::audio {

inline constexpr size_t kContentFeatures = 11;

// `strength` and `energy` of OnsetStrength, a value a hop of `fps` hops a second; `onsets_s` of
// pick_onsets. Pure.
std::array<float, kContentFeatures> content_features(std::span<const float> strength,
                                                     std::span<const float> energy,
                                                     std::span<const double> onsets_s,
                                                     double duration_s);

// A loop must be a little surer than even odds, as a library holds more one-shots; where several
// attacks are as clear as a drum's, less evidence will do.
bool is_loop(const std::array<float, kContentFeatures>& features);

}  // namespace samplemind::audio
