// Vorbis comments, in flac and in Ogg (Vorbis, Opus).
#include "audio/metadata/reader_internal.h"

namespace samplemind::audio {

namespace {

constexpr size_t kBlocksMax = 512;
constexpr size_t kCommentMax = 1 << 20;
constexpr size_t kFieldsMax = 1024;

void read_comments(std::string_view body, Metadata& m) {
  const size_t vendor = le32(body, 0);
  if (vendor > body.size()) return;
  size_t at = 4 + vendor;
  const size_t count = std::min<size_t>(le32(body, at), kFieldsMax);
  at += 4;
  if (count > 0) add_source(m, "Vorbis comment");
  for (size_t i = 0; i < count && at + 4 <= body.size(); ++i) {
    const size_t size = le32(body, at);
    at += 4;
    if (size > body.size() - at) break;
    const std::string_view field = body.substr(at, size);
    at += size;
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos || equals > 64) continue;
    set_named(m, field.substr(0, equals), clean_text(field.substr(equals + 1)));
  }
}

}  // namespace

void read_flac(ByteSource& in, Metadata& m, uint64_t at) {
  at += 4;
  for (size_t blocks = 0; blocks < kBlocksMax; ++blocks) {
    const std::string head = in.read(at, 4);
    if (head.size() < 4) return;
    const auto type = static_cast<unsigned char>(head[0]);
    const auto size = static_cast<size_t>(number(head, 1, 3, true));
    if ((type & 0x7F) == 4) read_comments(in.read(at + 4, std::min(size, kCommentMax)), m);
    if ((type & 0x80) != 0) return;
    at += 4 + size;
  }
}

// The second packet of the first stream: pages are put together until it ends.
void read_ogg(ByteSource& in, Metadata& m) {
  uint64_t at = 0;
  std::string packet;
  uint32_t serial = 0;
  size_t packets = 0;
  for (size_t pages = 0; pages < kBlocksMax; ++pages) {
    const std::string head = in.read(at, 27);
    if (head.size() < 27 || head.compare(0, 4, "OggS") != 0) return;
    const auto segments = static_cast<unsigned char>(head[26]);
    const std::string table = in.read(at + 27, segments);
    if (table.size() < segments) return;
    if (pages == 0) serial = le32(head, 14);
    uint64_t body = at + 27 + segments;
    size_t total = 0;
    for (const char c : table) total += static_cast<unsigned char>(c);
    at = body + total;
    if (le32(head, 14) != serial) continue;
    for (size_t i = 0; i < table.size();) {
      size_t run = 0;
      bool ends = false;
      while (i < table.size() && !ends) {
        const auto lace = static_cast<unsigned char>(table[i++]);
        run += lace;
        ends = lace < 255;
      }
      if (packets == 1 && packet.size() < kCommentMax)
        packet += in.read(body, std::min(run, kCommentMax - packet.size()));
      body += run;
      if (!ends) continue;
      if (packets == 1) {
        if (packet.compare(0, 7, "\x03vorbis") == 0)
          read_comments(std::string_view(packet).substr(7), m);
        else if (packet.compare(0, 8, "OpusTags") == 0)
          read_comments(std::string_view(packet).substr(8), m);
        return;
      }
      ++packets;
    }
  }
}

}  // namespace samplemind::audio
