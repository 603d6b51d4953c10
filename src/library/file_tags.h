// What the library knows of sounds, written into their files: tempo, key and grouping as ID3v2
// (mp3, wav, aiff), Vorbis comments (flac, ogg, opus) or MP4 tags, and for wav also the ACID and
// smpl chunks that samplers read. Only on request; other tags and chunks stay as they are.
//
// A file is never written in place: a copy gets the tags, is heard once more (the sound must be the
// same to the last sample), is put on disk and takes the file's name in one step; the file as it
// was stays in <home>/tag-backups/NUMBER. A program that dies in between leaves each file as it was
// or whole with its tags, and at most one hidden .samplemind-*.tmp, which the next writing removes.
// Functions block on the disk; one writing at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "library/catalogue.h"

namespace samplemind::library {

struct TagStep {
  int64_t id = 0;
  std::string path;
  // What would be written; empty: nothing is known that would be.
  std::string bpm;       // "128", "93.5"; loops and music
  std::string key;       // "F#m", "C"
  std::string grouping;  // kind and the user's tags: "kick, dusty"
  int note = -1;         // MIDI root note of a one-shot, for wav's chunks
  std::string problem;   // why this file is left alone; empty: it would be written
};

struct TagReport {
  int64_t written = 0;
  int64_t unchanged = 0;   // said so already
  std::string backup;      // the folder with the files as they were; empty: nothing was written
  int64_t journal_id = 0;  // of the writing in the library's journal; 0: nothing was written
  std::vector<std::string> problems;
};

// The plan for these sounds, in their order; touches nothing. kTooLarge above 100,000.
Result<std::vector<TagStep>> plan_tags(Catalogue& catalogue, const std::vector<int64_t>& ids);
// Carries the steps without a problem out. Files that changed since they were scanned are left
// alone. REQUIRES: a writable catalogue whose home this is.
Result<TagReport> write_tags(Catalogue& catalogue, const std::filesystem::path& home,
                             const std::vector<TagStep>& plan);
// Puts the files of a writing back to what they were, of that record (Catalogue::files_record()) or
// of the newest that was not taken back yet; those that somebody changed since are left alone and
// told, and the change then stays in the journal. kNotFound: there is none, or its files are kept
// on another machine.
Result<TagReport> undo_tags(Catalogue& catalogue, const std::filesystem::path& home,
                            const std::optional<std::string>& record = std::nullopt);

}  // namespace samplemind::library
