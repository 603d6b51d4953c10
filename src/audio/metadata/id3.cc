// ID3v1 and ID3v2.2, 2.3 and 2.4.
#include "audio/metadata/reader_internal.h"

namespace samplemind::audio {

namespace {

constexpr size_t kFramesMax = 1024;
constexpr size_t kFrameReadMax = 64 << 10;  // of a text frame; pictures are skipped
constexpr size_t kWholeTagMax = 2 << 20;    // of a tag that has to be read at once

uint32_t syncsafe(std::string_view s, size_t at) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4 && at + i < s.size(); ++i)
    v = v << 7 | (static_cast<unsigned char>(s[at + i]) & 0x7Fu);
  return v;
}

std::string without_unsynchronisation(std::string_view s) {
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    out.push_back(s[i]);
    if (s[i] == '\xFF' && i + 1 < s.size() && s[i + 1] == '\0') ++i;
  }
  return out;
}

// Where the text that begins at 0 ends in this encoding, and where the next one begins.
std::pair<size_t, size_t> end_of_text(std::string_view s, int encoding) {
  if (encoding == 1 || encoding == 2) {
    for (size_t i = 0; i + 1 < s.size(); i += 2)
      if (s[i] == '\0' && s[i + 1] == '\0') return {i, i + 2};
    return {s.size(), s.size()};
  }
  const size_t at = s.find('\0');
  return at == std::string_view::npos ? std::pair{s.size(), s.size()} : std::pair{at, at + 1};
}

std::string decoded(std::string_view s, int encoding) {
  if (encoding == 1) {
    const bool big = part(s, 0, 2) == "\xFE\xFF";
    const bool marked = big || part(s, 0, 2) == "\xFF\xFE";
    return text_from_utf16(marked ? s.substr(2) : s, big);
  }
  if (encoding == 2) return text_from_utf16(s, true);
  return clean_text(s);
}

void text_frame(std::string_view id, std::string_view body, Metadata& m) {
  if (body.empty()) return;
  const int encoding = body[0];
  if (encoding < 0 || encoding > 3) return;
  std::string_view text = body.substr(1);
  const bool comment = id == "COMM" || id == "COM";
  const bool named = id == "TXXX" || id == "TXX";
  if (comment) text = part(text, 3, text.size());  // the language
  if (comment || named) {
    const auto [end, next] = end_of_text(text, encoding);
    const std::string name = decoded(text.substr(0, end), encoding);
    const std::string value = decoded(part(text, next, text.size()), encoding);
    if (named) {
      set_named(m, name, value);
    } else if (name.empty()) {  // iTunes puts numbers into comments with names
      set_text(m.comment, value);
    }
    return;
  }
  const std::string value = decoded(text, encoding);
  if (id == "TIT2" || id == "TT2") {
    set_text(m.title, value);
  } else if (id == "TPE1" || id == "TP1") {
    set_text(m.artist, value);
  } else if (id == "TALB" || id == "TAL") {
    set_text(m.album, value);
  } else if (id == "TCON" || id == "TCO") {
    set_text(m.genre, value);
  } else if (id == "TDRC" || id == "TYER" || id == "TYE") {
    set_text(m.date, value);
  } else if (id == "TBPM" || id == "TBP") {
    set_tempo(m, value);
  } else if (id == "TKEY" || id == "TKE") {
    set_key(m, value);
  }
}

bool wanted(std::string_view id) {
  return id[0] == 'T' || id == "COMM" || id == "COM";
}

}  // namespace

void read_id3v2(ByteSource& in, uint64_t at, Metadata& m) {
  const std::string head = in.read(at, 10);
  if (head.size() < 10 || head.compare(0, 3, "ID3") != 0) return;
  const int version = head[3];
  if (version < 2 || version > 4) return;
  const auto flags = static_cast<unsigned char>(head[5]);
  const uint32_t tag_size = syncsafe(head, 6);
  add_source(m, "ID3v2." + std::to_string(version));
  // A tag with unsynchronisation as a whole is read at once; others frame by frame, so that a
  // picture of some megabytes costs nothing.
  const bool whole = (flags & 0x80) != 0 && version < 4;
  std::string plain;
  if (whole)
    plain = without_unsynchronisation(in.read(at + 10, std::min<size_t>(tag_size, kWholeTagMax)));
  ByteSource memory{std::string_view(plain)};
  ByteSource& from = whole ? memory : in;
  uint64_t pos = whole ? 0 : at + 10;
  const uint64_t end = whole ? plain.size() : std::min<uint64_t>(pos + tag_size, in.size());
  if ((flags & 0x40) != 0 && version >= 3) {
    const std::string size = from.read(pos, 4);
    pos += version == 4 ? syncsafe(size, 0) : uint64_t{be32(size, 0)} + 4;
  }
  const size_t head_size = version == 2 ? 6 : 10;
  for (size_t frames = 0; frames < kFramesMax && pos + head_size < end; ++frames) {
    const std::string frame = from.read(pos, head_size);
    if (frame.size() < head_size || frame[0] == '\0') break;
    const std::string_view id = std::string_view(frame).substr(0, version == 2 ? 3 : 4);
    uint64_t size = version == 2   ? number(frame, 3, 3, true)
                    : version == 3 ? be32(frame, 4)
                                   : syncsafe(frame, 4);
    pos += head_size;
    if (size > end - pos) break;
    const unsigned frame_flags = version >= 3 ? be16(frame, 8) : 0;
    // Compressed and encrypted frames are left alone.
    const bool readable = version == 3 ? (frame_flags & 0x00C0) == 0 : (frame_flags & 0x000C) == 0;
    if (wanted(id) && readable) {
      std::string body = from.read(pos, std::min<uint64_t>(size, kFrameReadMax));
      if (version == 4 && (frame_flags & 0x0001) != 0) body.erase(0, 4);  // its length
      if (version == 4 && (frame_flags & 0x0002) != 0) body = without_unsynchronisation(body);
      text_frame(id, body, m);
    }
    pos += size;
  }
}

void read_id3v1(ByteSource& in, Metadata& m) {
  if (in.size() < 128) return;
  const std::string tag = in.read(in.size() - 128, 128);
  if (tag.size() < 128 || tag.compare(0, 3, "TAG") != 0) return;
  add_source(m, "ID3v1");
  set_text(m.title, clean_text(part(tag, 3, 30)));
  set_text(m.artist, clean_text(part(tag, 33, 30)));
  set_text(m.album, clean_text(part(tag, 63, 30)));
  set_text(m.date, clean_text(part(tag, 93, 4)));
  set_text(m.comment, clean_text(part(tag, 97, 28)));
}

}  // namespace samplemind::audio
