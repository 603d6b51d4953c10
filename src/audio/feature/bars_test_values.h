// Written by tools/train/rhythm/train_bars.py: what the bar network in JAX answers for made-up rows and beats.
#pragma once

#include <array>

// clang-format off
namespace samplemind::audio {
inline constexpr std::array<float, 26> kTestBars{5.44437f, 2.97407f, 5.24746f, 0.54593f, 5.49646f, 2.38159f, 5.27916f, 0.33086f, 5.30399f, 2.33133f, 4.98865f, 0.48752f, 5.04663f, 1.59138f, 4.75668f, -0.24682f, 5.08462f, 2.44035f, 5.10620f, 0.45585f, 5.12600f, 1.91033f, 5.11258f, 0.27133f, 5.41570f, 2.33424f};
inline constexpr std::array<float, 5> kTestBarMeter{-12.34550f, -13.40114f, -22.62577f, -12.29394f, -0.00001f};
inline constexpr std::array<float, 5> kTestPace{-0.09453f, -5.56637f, -3.24917f, -3.04563f, -19.22888f};
}  // namespace samplemind::audio
