#include "base/hash.h"

#include <blake3.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>

namespace samplemind {

static_assert(sizeof(blake3_hasher) <= 1920 && alignof(blake3_hasher) <= 64);

namespace {
blake3_hasher* hasher(std::byte* state) {
  return std::launder(reinterpret_cast<blake3_hasher*>(state));
}
const blake3_hasher* hasher(const std::byte* state) {
  return std::launder(reinterpret_cast<const blake3_hasher*>(state));
}
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

std::string Digest::hex() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(64, '\0');
  char* out = text.data();
  for (const uint8_t b : bytes) {
    *out++ = kDigits[b >> 4];
    *out++ = kDigits[b & 15];
  }
  return text;
}

Result<Digest> Digest::from_hex(std::string_view hex) {
  if (hex.size() != 64)
    return Error(ErrorCode::kInvalidArgument, "a digest has 64 hexadecimal digits");
  Digest digest;
  for (size_t i = 0; i < 32; ++i) {
    const int high = hex_digit(hex[2 * i]);
    const int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return Error(ErrorCode::kInvalidArgument, "a digest has 64 hexadecimal digits");
    digest.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

uint64_t Digest::prefix64() const {
  uint64_t value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Hasher::Hasher() {
  blake3_hasher_init(new (state_.data()) blake3_hasher);
}

Hasher::Hasher(std::string_view context) {
  blake3_hasher_init_derive_key_raw(new (state_.data()) blake3_hasher, context.data(),
                                    context.size());
}

void Hasher::update(std::string_view data) {
  blake3_hasher_update(hasher(state_.data()), data.data(), data.size());
}

void Hasher::update(std::span<const std::byte> data) {
  blake3_hasher_update(hasher(state_.data()), data.data(), data.size());
}

void Hasher::update_field(std::string_view data) {
  const uint64_t size = data.size();
  char prefix[sizeof size];
  std::memcpy(prefix, &size, sizeof size);
  update(std::string_view(prefix, sizeof prefix));
  update(data);
}

Digest Hasher::finish() const {
  Digest digest;
  blake3_hasher_finalize(hasher(state_.data()), digest.bytes.data(), digest.bytes.size());
  return digest;
}

Digest blake3(std::string_view data) {
  Hasher h;
  h.update(data);
  return h.finish();
}

Result<Digest> blake3_file(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error(errno, "open " + path.string());
  // On the stack: of short files, fresh memory of the heap would cost more than the hash.
  std::array<char, 64u << 10> block;
  Hasher h;
  for (;;) {
    const ssize_t n = ::read(fd, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = errno_error(errno, "read " + path.string());
      ::close(fd);
      return error;
    }
    if (n == 0) break;
    h.update(std::string_view(block.data(), static_cast<size_t>(n)));
  }
  ::close(fd);
  return h.finish();
}

}  // namespace samplemind
