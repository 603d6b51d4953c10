// Written by tools/train/rhythm/train_bars.py: what the bar network in JAX answers for made-up rows and beats.
#pragma once

#include <array>

// clang-format off
namespace samplemind::audio {
inline constexpr std::array<float, 26> kTestBars{-18.26846f, 7.94450f, -20.00521f, 1.59950f, -17.85484f, 6.18909f, -18.25903f, 1.98883f, -20.21847f, 6.05153f, -22.47934f, 0.61262f, -19.25763f, 5.15667f, -17.94678f, 0.97855f, -19.15568f, 7.29112f, -20.83680f, 1.72520f, -19.31937f, 6.92847f, -18.73538f, 1.92203f, -21.51097f, 6.49632f};
inline constexpr std::array<float, 5> kTestBarMeter{-10.11872f, -4.60220f, -13.52504f, -7.56725f, -0.01065f};
inline constexpr std::array<float, 3> kTestPace{-0.46175f, -4.97678f, -1.01357f};
}  // namespace samplemind::audio
