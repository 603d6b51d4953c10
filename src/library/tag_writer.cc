#include "library/tag_writer.h"

#include <taglib/aifffile.h>
#include <taglib/flacfile.h>
#include <taglib/id3v2framefactory.h>
#include <taglib/mp4file.h>
#include <taglib/mpegfile.h>
#include <taglib/oggflacfile.h>
#include <taglib/opusfile.h>
#include <taglib/rifffile.h>
#include <taglib/tpropertymap.h>
#include <taglib/vorbisfile.h>
#include <taglib/wavfile.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.h"

namespace samplemind::library {

namespace {

namespace fs = std::filesystem;

// The chunks of a wav, below what TagLib's wav file shows.
class Chunks : public TagLib::RIFF::File {
 public:
  explicit Chunks(const char* path) : TagLib::RIFF::File(path, LittleEndian) {}
  TagLib::Tag* tag() const override { return nullptr; }
  TagLib::AudioProperties* audioProperties() const override { return nullptr; }
  bool save() override { return false; }

  TagLib::ByteVector get(const char* name) {
    for (unsigned i = 0; i < chunkCount(); ++i)
      if (chunkName(i) == name) return chunkData(i);
    return {};
  }
  void set(const char* name, const TagLib::ByteVector& data) { setChunkData(name, data); }
};

uint32_t le32(const TagLib::ByteVector& bytes, unsigned at) {
  return bytes.toUInt(at, false);
}
void put32(TagLib::ByteVector& bytes, unsigned at, uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// ACID: flags, root note, 0x8000, 0, beats, meter, tempo; 24 bytes.
void set_acid(Chunks& file, const FileTags& tags) {
  constexpr uint32_t kOneShot = 1, kRootSet = 2, kStretch = 4;
  TagLib::ByteVector acid = file.get("acid");
  if (acid.size() < 24) {
    acid = TagLib::ByteVector(24, 0);
    acid[4] = 60;
    acid[7] = static_cast<char>(0x80);
    acid[16] = acid[18] = 4;
  }
  uint32_t flags = le32(acid, 0);
  float bpm = 0;
  std::from_chars(tags.bpm.data(), tags.bpm.data() + tags.bpm.size(), bpm);
  flags = tags.one_shot ? flags | kOneShot : (flags & ~kOneShot) | kStretch;
  if (tags.note >= 0) {
    flags |= kRootSet;
    acid[4] = static_cast<char>(tags.note);
    acid[5] = 0;
  }
  put32(acid, 0, flags);
  if (bpm > 0) {
    const double beats = tags.length_s * static_cast<double>(bpm) / 60;
    put32(acid, 12, static_cast<uint32_t>(std::lround(beats)));
    put32(acid, 20, std::bit_cast<uint32_t>(bpm));
  }
  file.set("acid", acid);
}

// smpl holds loops too: only its note is set. A new one has no loop.
void set_smpl(Chunks& file, int note) {
  TagLib::ByteVector smpl = file.get("smpl");
  if (smpl.size() < 36) smpl = TagLib::ByteVector(36, 0);
  put32(smpl, 12, static_cast<uint32_t>(note));
  put32(smpl, 16, 0);
  file.set("smpl", smpl);
}

void set_property(TagLib::PropertyMap& map, const char* name, const std::string& value) {
  if (!value.empty()) map.replace(name, TagLib::String(value, TagLib::String::UTF8));
}

// TagLib's properties have no key for MP4: it stands where others look for it, in a free-form item.
// False: nothing was changed.
bool set_mp4_key(TagLib::File& file, const std::string& key) {
  constexpr const char* kName = "----:com.apple.iTunes:initialkey";
  auto* const tag = dynamic_cast<TagLib::MP4::Tag*>(file.tag());
  const TagLib::StringList value(TagLib::String(key, TagLib::String::UTF8));
  if (tag == nullptr || key.empty() || tag->item(kName).toStringList() == value) return false;
  tag->setItem(kName, TagLib::MP4::Item(value));
  return true;
}

std::unique_ptr<TagLib::File> open_as(const char* path, std::string_view format) {
  constexpr bool kNoProperties = false;
  if (format == "wav") return std::make_unique<TagLib::RIFF::WAV::File>(path, kNoProperties);
  if (format == "aiff") return std::make_unique<TagLib::RIFF::AIFF::File>(path, kNoProperties);
  if (format == "mp3")
    return std::make_unique<TagLib::MPEG::File>(path, TagLib::ID3v2::FrameFactory::instance(),
                                                kNoProperties);
  if (format == "flac")
    return std::make_unique<TagLib::FLAC::File>(path, TagLib::ID3v2::FrameFactory::instance(),
                                                kNoProperties);
  if (format == "ogg") return std::make_unique<TagLib::Ogg::Vorbis::File>(path, kNoProperties);
  if (format == "opus") return std::make_unique<TagLib::Ogg::Opus::File>(path, kNoProperties);
  if (format == "m4a") return std::make_unique<TagLib::MP4::File>(path, kNoProperties);
  return nullptr;
}

}  // namespace

bool takes_tags(std::string_view format) {
  for (const std::string_view known : {"wav", "aiff", "mp3", "flac", "ogg", "opus", "m4a"})
    if (format == known) return true;
  return false;
}

Result<void> set_file_tags(const fs::path& path, std::string_view format, const FileTags& tags) {
  const auto refused = [&path](const char* why) {
    return Error(ErrorCode::kDataLoss, path.string() + ": " + why);
  };
  {
    const auto file = open_as(path.c_str(), format);
    if (!file)
      return Error(ErrorCode::kUnsupported, std::string(format) + " files are not written");
    if (!file->isValid() || file->readOnly()) return refused("its tags cannot be read");
    TagLib::PropertyMap map = file->properties();
    const TagLib::PropertyMap before = map;
    set_property(map, "BPM", tags.bpm);
    if (format != "m4a") set_property(map, "INITIALKEY", tags.key);
    set_property(map, "GROUPING", tags.grouping);
    bool changed = !(map == before);
    if (changed) file->setProperties(map);
    if (format == "m4a") changed |= set_mp4_key(*file, tags.key);
    if (changed) {
      if (!file->save()) return refused("its tags cannot be written");
    }
  }
  if (format != "wav" || (tags.bpm.empty() && tags.note < 0)) return ok();
  Chunks chunks(path.c_str());
  if (!chunks.isValid()) return refused("its chunks cannot be read");
  set_acid(chunks, tags);
  if (tags.note >= 0) set_smpl(chunks, tags.note);
  return ok();
}

}  // namespace samplemind::library
