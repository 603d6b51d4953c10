// What samplemind-decode writes to standard output: this header, then interleaved float32 samples,
// all in host order (both ends run on one machine).
#pragma once

#include <cstdint>

namespace samplemind::audio::wire {

inline constexpr char kMagic[8] = {'S', 'M', 'P', 'C', 'M', '0', '0', '1'};
struct Header {
  char magic[8];
  uint32_t sample_rate_hz;
  uint32_t channels;
  int64_t frames_promised;  // -1: unknown
};
inline constexpr int kExitNotSound = 3;
inline constexpr int kExitDamaged = 4;

}  // namespace samplemind::audio::wire
