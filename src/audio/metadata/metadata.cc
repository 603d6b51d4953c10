#include "audio/metadata.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "audio/metadata/reader_internal.h"

namespace samplemind::audio {

std::string ByteSource::read(uint64_t at, size_t n) {
  if (at >= size_) return {};
  n = std::min({n, left_, static_cast<size_t>(std::min<uint64_t>(size_ - at, SIZE_MAX))});
  left_ -= n;
  if (fd_ < 0) return std::string(bytes_.substr(static_cast<size_t>(at), n));
  std::string out(n, '\0');
  size_t done = 0;
  while (done < n) {
    const ssize_t got = ::pread(fd_, out.data() + done, n - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  out.resize(done);
  return out;
}

namespace {

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
}

// The code point at s[at] and its length; length 0 when it is no UTF-8.
size_t utf8_at(std::string_view s, size_t at, uint32_t& c) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[at + i]); };
  const unsigned char b = byte(0);
  const size_t n = b < 0x80                ? 1
                   : b >= 0xC2 && b < 0xE0 ? 2
                   : b >= 0xE0 && b < 0xF0 ? 3
                   : b >= 0xF0 && b < 0xF5 ? 4
                                           : 0;
  if (n == 0 || s.size() - at < n) return 0;
  c = n == 1 ? b : b & (0x7Fu >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    c = c << 6 | (byte(i) & 0x3Fu);
  }
  if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10FFFF)) ||
      (c >= 0xD800 && c < 0xE000))
    return 0;
  return n;
}

// Controls become spaces, spaces at the ends go, and so does what lies beyond the limit.
std::string one_line(const std::u32string& text) {
  std::string out;
  bool space = false;
  for (const char32_t c : text) {
    if (c <= 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0) || c == 0xFEFF || c == 0x2028 ||
        c == 0x2029 || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069)) {
      space = !out.empty();
      continue;
    }
    if (out.size() + 5 > kMetadataTextMax) break;
    if (space) out.push_back(' ');
    space = false;
    append_utf8(out, c);
  }
  return out;
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

Metadata read_from(ByteSource& in) {
  Metadata m;
  const std::string head = in.read(0, 16);
  const auto is = [&](size_t at, std::string_view what) {
    return part(head, at, what.size()) == what;
  };
  if ((is(0, "RIFF") || is(0, "RF64") || is(0, "BW64")) && is(8, "WAVE")) {
    read_riff(in, m);
  } else if (is(0, "FORM") && (is(8, "AIFF") || is(8, "AIFC"))) {
    read_aiff(in, m);
  } else if (is(0, "fLaC")) {
    read_flac(in, m, 0);
  } else if (is(0, "OggS")) {
    read_ogg(in, m);
  } else if (is(4, "ftyp")) {
    read_mp4(in, m);
  } else if (is(0, "ID3")) {
    read_id3v2(in, 0, m);
    const std::string sizes = in.read(6, 4);
    uint64_t size = 10;
    if (sizes.size() == 4) {
      uint64_t value = 0;
      for (const char c : sizes) value = value << 7 | (static_cast<unsigned char>(c) & 0x7F);
      size += value;
    }
    if (in.read(size, 4) == "fLaC") read_flac(in, m, size);
    read_id3v1(in, m);
  } else if (!head.empty() && static_cast<unsigned char>(head[0]) == 0xFF) {
    read_id3v1(in, m);
  }
  return m;
}

}  // namespace

std::string clean_text(std::string_view raw) {
  raw = raw.substr(0, std::min(raw.find('\0'), 2 * kMetadataTextMax));
  std::u32string text;
  bool latin = false;
  for (size_t i = 0; i < raw.size();) {
    uint32_t c = 0;
    const size_t n = utf8_at(raw, i, c);
    if (n == 0 && raw.size() - i > 3) {
      latin = true;
      break;
    }
    if (n == 0) {  // a character that the limit cut, or a stray byte at the end
      latin = raw.size() < 2 * kMetadataTextMax - 3;
      break;
    }
    text.push_back(c);
    i += n;
  }
  if (latin) {
    text.clear();
    for (const char c : raw) text.push_back(static_cast<unsigned char>(c));
  }
  return one_line(text);
}

std::string text_from_utf16(std::string_view raw, bool big_endian) {
  std::u32string text;
  for (size_t i = 0; i + 1 < raw.size() && text.size() < kMetadataTextMax; i += 2) {
    uint32_t c = static_cast<uint32_t>(number(raw, i, 2, big_endian));
    if (c == 0) break;
    if (c >= 0xD800 && c < 0xDC00 && i + 3 < raw.size()) {
      const auto low = static_cast<uint32_t>(number(raw, i + 2, 2, big_endian));
      if (low >= 0xDC00 && low < 0xE000) {
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        i += 2;
      }
    }
    text.push_back(c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
  }
  return one_line(text);
}

void set_text(std::optional<std::string>& field, std::string text) {
  if (!field && !text.empty()) field = std::move(text);
}

void set_tempo(Metadata& m, double bpm) {
  // Within what music has; 0 stands for "not set" in many programs.
  if (!m.tempo_bpm && std::isfinite(bpm) && bpm >= 20 && bpm <= 400) m.tempo_bpm = bpm;
}

void set_tempo(Metadata& m, std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), ',', '.');
  double value = 0;
  const auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error == std::errc()) set_tempo(m, value);
}

void set_key(Metadata& m, std::string text) {
  if (m.key_text || text.empty()) return;
  m.key = key_from_text(text);
  m.key_text = std::move(text);
}

void set_root_note(Metadata& m, int note) {
  if (!m.root_note_midi && note >= 0 && note <= 127) m.root_note_midi = note;
}

void add_source(Metadata& m, std::string name) {
  if (std::find(m.sources.begin(), m.sources.end(), name) == m.sources.end() &&
      m.sources.size() < 16)
    m.sources.push_back(std::move(name));
}

void set_named(Metadata& m, std::string_view name, std::string text) {
  const std::string n = lower(name);
  if (n == "title") {
    set_text(m.title, std::move(text));
  } else if (n == "artist") {
    set_text(m.artist, std::move(text));
  } else if (n == "album") {
    set_text(m.album, std::move(text));
  } else if (n == "genre") {
    set_text(m.genre, std::move(text));
  } else if (n == "date" || n == "year") {
    set_text(m.date, std::move(text));
  } else if (n == "comment" || n == "description") {
    set_text(m.comment, std::move(text));
  } else if (n == "bpm" || n == "tempo" || n == "tbpm" || n == "fbpm") {
    set_tempo(m, text);
  } else if (n == "initialkey" || n == "initial key" || n == "key" || n == "tkey") {
    set_key(m, std::move(text));
  }
}

std::optional<std::string> key_from_text(std::string_view text) {
  static constexpr std::array<const char*, 12> kNames{"C",  "C#", "D",  "D#", "E",  "F",
                                                      "F#", "G",  "G#", "A",  "A#", "B"};
  std::string s;
  for (const char c : lower(clean_text(text)))
    if (c != ' ' && c != '-' && c != '_') s.push_back(c);
  // The signs for sharp and flat.
  for (const auto& [sign, letter] : {std::pair{"\u266F", "#"}, std::pair{"\u266D", "b"}}) {
    for (size_t at; (at = s.find(sign)) != std::string::npos;)
      s.replace(at, std::strlen(sign), letter);
  }
  if (s.empty() || s.size() > 12) return std::nullopt;
  const auto named = [&](int tonic, bool minor) {
    return std::string(kNames[static_cast<size_t>((tonic % 12 + 12) % 12)]) +
           (minor ? " minor" : " major");
  };
  if (s[0] >= '0' && s[0] <= '9') {
    int wheel = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), wheel);
    const std::string_view mode(end, static_cast<size_t>(s.data() + s.size() - end));
    if (error != std::errc() || wheel < 1 || wheel > 12 || mode.size() != 1) return std::nullopt;
    // Fifths up from A minor and C major, which are 8A and 8B, 1m and 1d.
    const int camelot = wheel - 8, open = wheel - 1;
    switch (mode[0]) {
      case 'a':
        return named(9 + 7 * camelot + 84, true);
      case 'b':
        return named(0 + 7 * camelot + 84, false);
      case 'm':
        return named(9 + 7 * open, true);
      case 'd':
        return named(0 + 7 * open, false);
      default:
        return std::nullopt;
    }
  }
  static constexpr std::array<int, 7> kLetters{9, 11, 0, 2, 4, 5, 7};  // a..g
  if (s[0] < 'a' || s[0] > 'g') return std::nullopt;
  int tonic = kLetters[static_cast<size_t>(s[0] - 'a')];
  std::string_view rest = std::string_view(s).substr(1);
  if (rest.starts_with("#") || rest.starts_with("sharp")) {
    ++tonic;
    rest.remove_prefix(rest[0] == '#' ? 1 : 5);
  } else if (rest.starts_with("flat")) {
    --tonic;
    rest.remove_prefix(4);
  } else if (rest.starts_with("b")) {
    --tonic;
    rest.remove_prefix(1);
  }
  if (rest.empty()) {
    // "Am" has lost its case by now: a bare capital letter is major.
    return named(tonic, false);
  }
  if (rest == "m" || rest == "min" || rest == "minor" || rest == "moll" || rest == "aeolian")
    return named(tonic, true);
  if (rest == "maj" || rest == "major" || rest == "dur" || rest == "ionian")
    return named(tonic, false);
  return std::nullopt;
}

Metadata metadata_of(std::string_view bytes) {
  ByteSource in(bytes);
  return read_from(in);
}

Metadata read_metadata(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {};
  struct stat status {};
  Metadata m;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    ByteSource in(fd, static_cast<uint64_t>(status.st_size));
    m = read_from(in);
  }
  ::close(fd);
  return m;
}

}  // namespace samplemind::audio
