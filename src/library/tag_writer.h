// Sets a few tags of one sound file in place, keeping all others: TagLib, and our own ACID and smpl
// chunks for wav. Used on copies only (file_tags.h). Thread-safe for different files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samplemind::library {

struct FileTags {
  std::string bpm;  // empty texts and a negative note are not written
  std::string key;  // "F#m"
  std::string grouping;
  int note = -1;  // MIDI
  bool one_shot = false;
  double length_s = 0;  // for ACID's count of beats
};

// Formats as audio::Analysis names them: wav, aiff, mp3, flac, ogg, opus, m4a.
bool takes_tags(std::string_view format);
// kUnsupported for other formats, kDataLoss when the file cannot be read or written as one.
Result<void> set_file_tags(const std::filesystem::path& file, std::string_view format,
                           const FileTags& tags);

}  // namespace samplemind::library
