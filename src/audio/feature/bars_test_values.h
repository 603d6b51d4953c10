// Written by tools/train/rhythm/train_bars.py: what the bar network in JAX answers for made-up rows and beats.
#pragma once

#include <array>

// clang-format off
namespace samplemind::audio {
inline constexpr std::array<float, 26> kTestBars{-6.44037f, 4.40485f, -6.97666f, 6.01332f, -7.25137f, 4.77038f, -8.03860f, 7.07436f, -8.14855f, 5.87961f, -7.04538f, 5.54351f, -6.69902f, 4.20457f, -7.03431f, 5.58504f, -8.35273f, 5.68187f, -8.94562f, 7.32852f, -9.56848f, 5.98392f, -8.42254f, 6.99546f, -8.36822f, 5.43947f};
inline constexpr std::array<float, 5> kTestBarMeter{-15.07766f, -9.53812f, -25.30584f, -15.46338f, -0.00007f};
inline constexpr std::array<float, 3> kTestPace{-0.14160f, -7.29511f, -2.02989f};
}  // namespace samplemind::audio
