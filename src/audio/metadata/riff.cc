// wav and aiff: chunks of a four-letter name, a size and a body.
#include <bit>
#include <cmath>
#include <map>

#include "audio/metadata/reader_internal.h"

namespace samplemind::audio {

namespace {

constexpr size_t kChunksMax = 4096;
constexpr size_t kChunkReadMax = 1 << 20;

struct Point {
  uint32_t id = 0;
  uint64_t frame = 0;
  std::string label;
};

// Cue points and loops in frames, until the rate is known.
struct Points {
  std::vector<Point> cues;
  struct Span {
    uint64_t start = 0, end = 0;  // end is the first frame after the loop
    std::string type;
    int count = 0;
  };
  std::vector<Span> loops;

  void write(Metadata& m, double rate_hz) {
    if (rate_hz < 1) return;
    for (Point& p : cues) m.cues.push_back({static_cast<double>(p.frame) / rate_hz, p.label});
    for (Span& s : loops) {
      if (s.end > s.start)
        m.loops.push_back({static_cast<double>(s.start) / rate_hz,
                           static_cast<double>(s.end) / rate_hz, s.type, s.count});
    }
    std::stable_sort(m.cues.begin(), m.cues.end(),
                     [](const auto& a, const auto& b) { return a.time_s < b.time_s; });
  }
};

void info_item(Metadata& m, std::string_view id, std::string_view body) {
  static const std::map<std::string_view, std::string_view> kNames{
      {"INAM", "title"}, {"IART", "artist"},  {"IPRD", "album"}, {"IGNR", "genre"},
      {"ICRD", "date"},  {"ICMT", "comment"}, {"IBPM", "bpm"},   {"IKEY", "key"},
      {"TBPM", "bpm"},   {"TKEY", "key"}};
  const auto name = kNames.find(id);
  // Some programs use IKEY for keywords, as the standard meant it; only a key is taken.
  if (name == kNames.end()) return;
  std::string text = clean_text(body);
  if (id == "IKEY" && !key_from_text(text)) return;
  set_named(m, name->second, std::move(text));
}

void read_list(std::string_view body, Metadata& m, Points& points) {
  const std::string_view type = part(body, 0, 4);
  if (type != "INFO" && type != "adtl") return;
  size_t items = 0;
  for (size_t at = 4; at + 8 <= body.size() && items++ < kChunksMax;) {
    const std::string_view id = body.substr(at, 4);
    const size_t size = le32(body, at + 4);
    const std::string_view item = part(body, at + 8, size);
    if (type == "INFO") {
      info_item(m, id, item);
      add_source(m, "INFO");
    } else if (id == "labl" || id == "note") {
      const uint32_t cue = le32(item, 0);
      for (Point& p : points.cues)
        if (p.id == cue && p.label.empty()) p.label = clean_text(part(item, 4, item.size()));
    }
    if (size > body.size()) break;
    at += 8 + size + (size & 1);
  }
}

void read_smpl(std::string_view body, Metadata& m, Points& points) {
  if (body.size() < 36) return;
  add_source(m, "smpl");
  const uint32_t note = le32(body, 12);
  const uint32_t fraction = le32(body, 16);  // of a semitone, 2^32 being one
  if (note <= 127) {
    set_root_note(m, static_cast<int>(note));
    if (fraction != 0 && !m.tuning_cents) m.tuning_cents = fraction / 4294967296.0 * 100;
  }
  const size_t count = std::min<size_t>(le32(body, 28), kMetadataPointsMax);
  for (size_t i = 0; i < count && 36 + (i + 1) * 24 <= body.size(); ++i) {
    const size_t at = 36 + i * 24;
    static constexpr const char* kTypes[] = {"forward", "alternating", "backward"};
    const uint32_t type = le32(body, at + 4);
    points.loops.push_back({le32(body, at + 8), uint64_t{le32(body, at + 12)} + 1,
                            type < 3 ? kTypes[type] : "forward",
                            static_cast<int>(std::min<uint32_t>(le32(body, at + 20), 1000000))});
  }
}

void read_acid(std::string_view body, Metadata& m) {
  if (body.size() < 24) return;
  add_source(m, "acid");
  const uint32_t flags = le32(body, 0);
  const bool one_shot = (flags & 1) != 0;
  if (!m.one_shot) m.one_shot = one_shot;
  if ((flags & 2) != 0) set_root_note(m, le16(body, 4));
  // Of a one-shot the tempo is what the program happened to play at.
  if (one_shot) return;
  const uint32_t beats = le32(body, 12);
  if (beats > 0 && beats <= 100000 && !m.beats) m.beats = static_cast<int>(beats);
  const int lower = le16(body, 16), upper = le16(body, 18);
  if (upper >= 1 && upper <= 32 && lower >= 1 && lower <= 32 && !m.time_signature)
    m.time_signature = std::to_string(upper) + "/" + std::to_string(lower);
  set_tempo(m, std::bit_cast<float>(le32(body, 20)));
}

void read_cue(std::string_view body, Points& points) {
  const size_t count = std::min<size_t>(le32(body, 0), kMetadataPointsMax);
  for (size_t i = 0; i < count && 4 + (i + 1) * 24 <= body.size(); ++i)
    points.cues.push_back({le32(body, 4 + i * 24), le32(body, 4 + i * 24 + 20), ""});
}

// AIFF's marks, by id.
std::map<uint16_t, Point> read_marks(std::string_view body) {
  std::map<uint16_t, Point> marks;
  const size_t count = std::min<size_t>(be16(body, 0), kMetadataPointsMax);
  size_t at = 2;
  for (size_t i = 0; i < count && at + 7 <= body.size(); ++i) {
    const size_t length = static_cast<unsigned char>(body[at + 6]);
    marks[be16(body, at)] = {be16(body, at), be32(body, at + 2),
                             clean_text(part(body, at + 7, length))};
    at += 7 + length + (length % 2 == 0 ? 1 : 0);
  }
  return marks;
}

double rate_of_comm(std::string_view body) {
  // 80-bit extended: sign and exponent, then a 64-bit mantissa with its leading one.
  const int exponent = (be16(body, 8) & 0x7FFF) - 16383 - 63;
  const auto mantissa = static_cast<double>(number(body, 10, 8, true));
  return body.size() >= 18 && exponent > -70 && exponent < 0 ? std::ldexp(mantissa, exponent) : 0;
}

void read_basc(std::string_view body, Metadata& m) {
  if (body.size() < 20) return;
  add_source(m, "Apple Loops");
  const uint32_t beats = be32(body, 4);
  const uint16_t note = be16(body, 8), scale = be16(body, 10);
  const uint16_t upper = be16(body, 12), lower = be16(body, 14), type = be16(body, 16);
  if (!m.one_shot && (type == 1 || type == 2)) m.one_shot = type == 2;
  if (beats > 0 && beats <= 100000 && !m.beats && m.one_shot != true)
    m.beats = static_cast<int>(beats);
  if (upper >= 1 && upper <= 32 && lower >= 1 && lower <= 32 && !m.time_signature)
    m.time_signature = std::to_string(upper) + "/" + std::to_string(lower);
  if (note >= 48 && note < 60 && (scale == 1 || scale == 2)) {
    static constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                             "F#", "G",  "G#", "A",  "A#", "B"};
    set_key(m, std::string(kNames[note - 48]) + (scale == 1 ? " minor" : " major"));
  }
}

}  // namespace

void read_riff(ByteSource& in, Metadata& m) {
  Points points;
  double rate_hz = 0;
  uint64_t data_size = 0;  // of RF64, whose size field cannot hold it
  std::string labels;      // adtl may come before cue
  uint64_t at = 12;
  for (size_t chunks = 0; chunks < kChunksMax && at + 8 <= in.size(); ++chunks) {
    const std::string head = in.read(at, 8);
    if (head.size() < 8) break;
    const std::string_view id = std::string_view(head).substr(0, 4);
    uint64_t size = le32(head, 4);
    if (id == "data" && size == 0xFFFFFFFF && data_size > 0) size = data_size;
    const auto body = [&] {
      return in.read(at + 8, static_cast<size_t>(std::min<uint64_t>(size, kChunkReadMax)));
    };
    if (id == "fmt ") {
      rate_hz = le32(body(), 4);
    } else if (id == "ds64") {
      data_size = number(body(), 8, 8, false);
    } else if (id == "LIST") {
      std::string list = body();
      if (part(list, 0, 4) == "adtl")
        labels = std::move(list);
      else
        read_list(list, m, points);
    } else if (id == "smpl") {
      read_smpl(body(), m, points);
    } else if (id == "acid") {
      read_acid(body(), m);
    } else if (id == "cue ") {
      read_cue(body(), points);
      if (!points.cues.empty()) add_source(m, "cue");
    } else if (id == "inst") {
      const std::string inst = body();
      if (inst.size() >= 7) {
        add_source(m, "inst");
        set_root_note(m, static_cast<unsigned char>(inst[0]));
        const int cents = static_cast<signed char>(inst[1]);
        if (cents != 0 && std::abs(cents) <= 50 && !m.tuning_cents) m.tuning_cents = cents;
      }
    } else if (id == "bext") {
      std::string text = clean_text(part(body(), 0, 256));
      if (!text.empty()) add_source(m, "bext");
      set_text(m.comment, std::move(text));
    } else if (id == "id3 " || id == "ID3 ") {
      read_id3v2(in, at + 8, m);
    }
    if (size > in.size() - at) break;
    at += 8 + size + (size & 1);
  }
  read_list(labels, m, points);
  points.write(m, rate_hz);
}

void read_aiff(ByteSource& in, Metadata& m) {
  Points points;
  double rate_hz = 0;
  std::map<uint16_t, Point> marks;
  std::string instrument, basics;
  uint64_t frames = 0;
  uint64_t at = 12;
  for (size_t chunks = 0; chunks < kChunksMax && at + 8 <= in.size(); ++chunks) {
    const std::string head = in.read(at, 8);
    if (head.size() < 8) break;
    const std::string_view id = std::string_view(head).substr(0, 4);
    const uint64_t size = be32(head, 4);
    const auto body = [&] {
      return in.read(at + 8, static_cast<size_t>(std::min<uint64_t>(size, kChunkReadMax)));
    };
    if (id == "COMM") {
      const std::string comm = body();
      rate_hz = rate_of_comm(comm);
      frames = be32(comm, 2);
    } else if (id == "MARK") {
      marks = read_marks(body());
    } else if (id == "INST") {
      instrument = body();
    } else if (id == "basc") {
      basics = body();
    } else if (id == "NAME" || id == "AUTH" || id == "ANNO") {
      std::string text = clean_text(body());
      if (!text.empty()) add_source(m, "AIFF text");
      set_text(id == "NAME" ? m.title : id == "AUTH" ? m.artist : m.comment, std::move(text));
    } else if (id == "ID3 " || id == "id3 ") {
      read_id3v2(in, at + 8, m);
    }
    if (size > in.size() - at) break;
    at += 8 + size + (size & 1);
  }
  if (!marks.empty()) add_source(m, "MARK");
  for (const auto& [id, point] : marks) points.cues.push_back(point);
  if (instrument.size() >= 20) {
    add_source(m, "INST");
    set_root_note(m, static_cast<unsigned char>(instrument[0]));
    const int cents = static_cast<signed char>(instrument[1]);
    if (cents != 0 && std::abs(cents) <= 50 && !m.tuning_cents) m.tuning_cents = cents;
    const uint16_t mode = be16(instrument, 8);
    const auto first = marks.find(be16(instrument, 10)), last = marks.find(be16(instrument, 12));
    if ((mode == 1 || mode == 2) && first != marks.end() && last != marks.end())
      points.loops.push_back(
          {first->second.frame, last->second.frame, mode == 1 ? "forward" : "alternating", 0});
  }
  read_basc(basics, m);
  // Apple Loops say how many beats there are; the length gives the tempo.
  if (m.beats && !m.tempo_bpm && !basics.empty() && frames > 0 && rate_hz > 0)
    set_tempo(m, *m.beats * 60.0 * rate_hz / static_cast<double>(frames));
  points.write(m, rate_hz);
}

}  // namespace samplemind::audio
