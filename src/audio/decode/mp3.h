// MPEG audio (layers 1 to 3; ISO 11172-3, 13818-3) through libmpg123: without a word on stderr, on
// over damaged stretches, and gapless, the encoder's delay and padding left out where its LAME tag
// tells them. A file that was put together of several is heard to its end, each part by its own
// tag.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "audio/decode/decoder.h"
#include "base/result.h"

namespace samplemind::audio {

// The end of the ID3v2 tags that the file begins with; 0: there are none.
off_t id3_end(int fd);

struct MpegStart {
  off_t offset = 0;          // of the first frame
  bool length_told = false;  // by a Xing, Info or VBRI tag
};
// The first frame at or behind `from`, within 128 KiB: one that others like it follow, so that
// noise is not taken for sound. Nothing: there is none.
std::optional<MpegStart> find_mpeg_audio(int fd, off_t from);

// Takes the descriptor, also when it fails. kUnsupported: no MPEG audio.
Result<std::unique_ptr<Decoder>> open_mp3(int fd, const MpegStart& start,
                                          const std::filesystem::path& path);

}  // namespace samplemind::audio
