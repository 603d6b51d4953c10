// Reads weight files embedded in the binary: little-endian, half precision. They are ours, so a
// wrong one is a wrong build and stops the process.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace samplemind::audio {

class WeightReader {
 public:
  WeightReader(std::string_view bytes, std::string_view magic) : bytes_(bytes) {
    SM_ASSERT(bytes_.starts_with(magic));
    bytes_.remove_prefix(magic.size());
  }
  uint16_t u16() {
    SM_ASSERT(bytes_.size() >= 2);
    const auto v = static_cast<uint16_t>(static_cast<unsigned char>(bytes_[0]) |
                                         static_cast<unsigned char>(bytes_[1]) << 8);
    bytes_.remove_prefix(2);
    return v;
  }
  // IEEE half precision, finite values.
  float half() {
    const uint16_t h = u16();
    const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t mantissa = h & 1023u;
    if (exponent == 0) {
      const float value = static_cast<float>(mantissa) * 0x1p-24f;
      return sign != 0 ? -value : value;
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  }
  bool done() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

}  // namespace samplemind::audio
