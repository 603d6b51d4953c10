// Bounded reading of foreign bytes for the metadata parsers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "audio/metadata.h"

namespace samplemind::audio {

// A file, or bytes in memory. Reads past the end give what there is; once kMetadataReadMax bytes
// were read in all, nothing more comes.
class ByteSource {
 public:
  explicit ByteSource(std::string_view bytes) : bytes_(bytes), size_(bytes.size()) {}
  ByteSource(int fd, uint64_t size) : fd_(fd), size_(size) {}
  uint64_t size() const { return size_; }
  std::string read(uint64_t at, size_t n);

 private:
  std::string_view bytes_;
  int fd_ = -1;
  uint64_t size_ = 0;
  size_t left_ = kMetadataReadMax;
};

// Numbers at a place in a string; 0 beyond its end.
inline uint64_t number(std::string_view s, size_t at, size_t bytes, bool big_endian) {
  uint64_t v = 0;
  if (at > s.size() || s.size() - at < bytes) return 0;
  for (size_t i = 0; i < bytes; ++i)
    v = v << 8 | static_cast<unsigned char>(s[big_endian ? at + i : at + bytes - 1 - i]);
  return v;
}
inline uint32_t le32(std::string_view s, size_t at) {
  return static_cast<uint32_t>(number(s, at, 4, false));
}
inline uint16_t le16(std::string_view s, size_t at) {
  return static_cast<uint16_t>(number(s, at, 2, false));
}
inline uint32_t be32(std::string_view s, size_t at) {
  return static_cast<uint32_t>(number(s, at, 4, true));
}
inline uint16_t be16(std::string_view s, size_t at) {
  return static_cast<uint16_t>(number(s, at, 2, true));
}
inline std::string_view part(std::string_view s, size_t at, size_t n) {
  return at < s.size() ? s.substr(at, n) : std::string_view();
}

// One line of valid UTF-8 of at most kMetadataTextMax bytes, cut at the first NUL; bytes that are
// no UTF-8 are taken as Latin-1. Empty when nothing is left.
std::string clean_text(std::string_view raw);
std::string text_from_utf16(std::string_view raw, bool big_endian);

// Sets a field that is not set yet: the first source that names it counts.
void set_text(std::optional<std::string>& field, std::string text);
void set_tempo(Metadata& m, double bpm);
void set_tempo(Metadata& m, std::string_view text);
void set_key(Metadata& m, std::string text);
void set_root_note(Metadata& m, int note);
void add_source(Metadata& m, std::string name);
// A named field of the kinds that tags share ("bpm", "initialkey", "title", ...), any case.
void set_named(Metadata& m, std::string_view name, std::string text);

// Each reads its container from `at`; `size` bytes belong to it.
void read_id3v2(ByteSource& in, uint64_t at, Metadata& m);
void read_id3v1(ByteSource& in, Metadata& m);
void read_riff(ByteSource& in, Metadata& m);
void read_aiff(ByteSource& in, Metadata& m);
void read_flac(ByteSource& in, Metadata& m, uint64_t at);
void read_ogg(ByteSource& in, Metadata& m);
void read_mp4(ByteSource& in, Metadata& m);

}  // namespace samplemind::audio
