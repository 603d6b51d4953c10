// MP4's tags: moov / udta / meta / ilst.
#include "audio/metadata/reader_internal.h"

namespace samplemind::audio {

namespace {

constexpr size_t kBoxesMax = 1024;
constexpr size_t kItemReadMax = 64 << 10;

struct Box {
  uint64_t body = 0, end = 0;
  std::string name;
};

// The box at `at`, which ends within `end`.
std::optional<Box> box_at(ByteSource& in, uint64_t at, uint64_t end) {
  if (at > end || end - at < 8) return std::nullopt;
  const std::string head = in.read(at, 16);
  if (head.size() < 8) return std::nullopt;
  uint64_t size = be32(head, 0), start = 8;
  if (size == 1) {
    if (head.size() < 16) return std::nullopt;
    size = number(head, 8, 8, true);
    start = 16;
  } else if (size == 0) {
    size = end - at;
  }
  if (size < start || size > end - at) return std::nullopt;
  return Box{at + start, at + size, head.substr(4, 4)};
}

std::optional<Box> find(ByteSource& in, uint64_t at, uint64_t end, std::string_view name) {
  for (size_t boxes = 0; boxes < kBoxesMax; ++boxes) {
    auto box = box_at(in, at, end);
    if (!box) return std::nullopt;
    if (box->name == name) return box;
    at = box->end;
  }
  return std::nullopt;
}

// What a `data` box holds, after its type and locale.
std::string data_of(ByteSource& in, const Box& item) {
  const auto data = find(in, item.body, item.end, "data");
  if (!data || data->end - data->body < 8) return {};
  return in.read(data->body + 8, std::min<uint64_t>(data->end - data->body - 8, kItemReadMax));
}

void read_item(ByteSource& in, const Box& item, Metadata& m) {
  if (item.name == "tmpo") {
    const std::string data = data_of(in, item);
    set_tempo(m, static_cast<double>(number(data, 0, std::min<size_t>(data.size(), 8), true)));
  } else if (item.name == "----") {  // a name of somebody's own
    const auto name = find(in, item.body, item.end, "name");
    if (!name || name->end - name->body < 4) return;
    const std::string text =
        in.read(name->body + 4, std::min<uint64_t>(name->end - name->body - 4, 64));
    set_named(m, text, clean_text(data_of(in, item)));
  } else if (item.name[0] == '\xA9') {
    const std::string_view what = std::string_view(item.name).substr(1);
    if (what == "nam") set_text(m.title, clean_text(data_of(in, item)));
    if (what == "ART") set_text(m.artist, clean_text(data_of(in, item)));
    if (what == "alb") set_text(m.album, clean_text(data_of(in, item)));
    if (what == "gen") set_text(m.genre, clean_text(data_of(in, item)));
    if (what == "day") set_text(m.date, clean_text(data_of(in, item)));
    if (what == "cmt") set_text(m.comment, clean_text(data_of(in, item)));
  }
}

}  // namespace

void read_mp4(ByteSource& in, Metadata& m) {
  auto box = find(in, 0, in.size(), "moov");
  if (box) box = find(in, box->body, box->end, "udta");
  if (box) box = find(in, box->body, box->end, "meta");
  if (!box || box->end - box->body < 8) return;
  // `meta` has a version before its boxes; QuickTime's has none.
  const bool plain = in.read(box->body + 4, 4) == "hdlr";
  const auto list = find(in, box->body + (plain ? 0 : 4), box->end, "ilst");
  if (!list) return;
  uint64_t at = list->body;
  for (size_t items = 0; items < kBoxesMax; ++items) {
    const auto item = box_at(in, at, list->end);
    if (!item) break;
    add_source(m, "MP4");
    read_item(in, *item, m);
    at = item->end;
  }
}

}  // namespace samplemind::audio
