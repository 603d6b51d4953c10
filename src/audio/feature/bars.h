// Small networks that look at a sound beat by beat, not frame by frame, and say where bars begin,
// in which metre, and whether the beats are beats at all: too fast, too slow or half a beat late.
// Steps of a quarter of a beat make patterns of drums and changes of harmony look the same at every
// tempo, which is what the frame network (rhythm_net.h) finds hard. Their weights (models/bars.bin)
// come from tools/train/rhythm/train_bars.py; the mean of their answers varies less than one's.
//
// A beat's inputs: how ten bands rise and how loud they are in its four quarters, what the frame
// network says there, how alike its harmony and its rhythm are to those one to eight beats before.
// About 60,000 multiplications a beat and network. Pure and thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "audio/feature/rhythm_net.h"

namespace samplemind::audio {

// Whether a sequence of beats has the right pace. kOff: it has, but lies half a beat off.
// kThreeForTwo: three of it fill two beats, as when quarters are heard in 6/8; kTwoForThree: two
// fill three, as when dotted quarters are heard in 3/4.
enum class Pace : uint8_t { kRight, kDouble, kHalf, kOff, kThreeForTwo, kTwoForThree };
inline constexpr size_t kPaces = 6;

struct BarOpinion {
  std::vector<float> first;             // log-odds that a beat begins a bar; one a beat
  std::array<double, kMeters> meter{};  // log-probabilities
  std::array<double, kPaces> pace{};    // log-probabilities
};

// `beats_s` rising, seconds. Beats after the part that `activity.bands` covers get no opinion.
BarOpinion hear_bars(const RhythmActivity& activity, std::span<const double> beats_s);

}  // namespace samplemind::audio
