// BLAKE3-256 (https://github.com/BLAKE3-team/BLAKE3-specs), the project's only content hash.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samplemind {

struct Digest {
  std::array<uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
  std::string hex() const;                               // 64 lower-case digits
  static Result<Digest> from_hex(std::string_view hex);  // REQUIRES nothing; bad text is an error
  uint64_t prefix64() const;                             // first 8 bytes, for hash tables
};

// Streaming hash. Not thread-safe; no allocation after construction.
class Hasher {
 public:
  Hasher();
  // For domain separation: BLAKE3's derive-key mode with this context.
  explicit Hasher(std::string_view context);
  void update(std::string_view data);
  void update(std::span<const std::byte> data);
  // A length-prefixed field, so that ("ab","c") and ("a","bc") differ.
  void update_field(std::string_view data);
  Digest finish() const;  // may be called again after more updates

 private:
  alignas(64) std::array<std::byte, 1920> state_;
};

Digest blake3(std::string_view data);
// Reads the file in blocks of 1 MiB.
Result<Digest> blake3_file(const std::filesystem::path& path);

}  // namespace samplemind

template <>
struct std::hash<samplemind::Digest> {
  size_t operator()(const samplemind::Digest& d) const noexcept { return d.prefix64(); }
};
