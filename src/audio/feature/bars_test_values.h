// Written by tools/train/rhythm/train_bars.py: what the bar network in JAX answers for made-up rows and beats.
#pragma once

#include <array>

// clang-format off
namespace samplemind::audio {
inline constexpr std::array<float, 26> kTestBars{-0.06572f, 1.06455f, -0.19984f, 1.38993f, -0.03416f, 1.26167f, 0.10151f, 1.38293f, 0.04489f, 0.82181f, -0.21223f, 1.53543f, 0.06343f, 1.08690f, 0.06566f, 1.33217f, -0.02977f, 1.07045f, -0.17380f, 1.46371f, -0.15533f, 0.84093f, 0.07189f, 1.28190f, -0.06800f, 0.10375f};
inline constexpr std::array<float, 5> kTestBarMeter{-7.53311f, -9.22829f, -12.81488f, -8.80949f, -0.00187f};
inline constexpr std::array<float, 6> kTestPace{-3.74026f, -6.01653f, -5.74716f, -4.29743f, -11.16136f, -0.06184f};
}  // namespace samplemind::audio
