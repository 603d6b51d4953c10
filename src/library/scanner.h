// The scanner: walks folders, measures what is new or changed on all cores, stores it in batches.
// Nothing of the user's is ever written.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "library/catalogue.h"

namespace samplemind::library {

class MeasureQueue;

struct ScanProgress {
  int64_t found = 0;  // sound files seen so far
  int64_t to_do = 0;  // new or changed; final once `walking` is false
  int64_t done = 0;   // of to_do, broken ones included
  int64_t broken = 0;
  int64_t unchanged = 0;
  int64_t moved = 0;
  bool walking = true;
  bool paused = false;
  double elapsed_s = 0;
  double files_per_s = 0;
  double left_s = -1;   // -1: not known yet
  std::string current;  // a path being measured
};

struct ScanReport {
  int64_t found = 0;
  int64_t measured = 0;
  int64_t unchanged = 0;
  int64_t moved = 0;
  int64_t missing = 0;  // known files under the scanned folders that are gone; a folder that is
                        // empty altogether (a drive that is not mounted) leaves its files as they
                        // are and is a problem
  int64_t broken = 0;
  bool cancelled = false;
  double elapsed_s = 0;
  struct Problem {
    std::string path;
    std::string message;
  };
  std::vector<Problem> problems;  // broken files and unreadable folders; at most 1,000 are kept
};

struct ScanOptions {
  std::vector<std::filesystem::path> paths;   // folders or files
  size_t threads = 0;                         // 0: all cores
  const std::atomic<bool>* cancel = nullptr;  // what is finished then is stored, the rest is left
  const std::atomic<bool>* pause = nullptr;   // while set nothing new is begun
  MeasureQueue* queue = nullptr;  // others measure (library/measure_queue.h); null: this process
  std::function<void(const ScanProgress&)>
      on_progress;  // on the calling thread, at most every 100 ms
};

// True for names the scanner looks at: wav, wave, aif, aiff, aifc, flac, mp3, ogg, oga, opus, m4a,
// aac, w64, rf64.
bool has_sound_extension(const std::filesystem::path& path);

// Blocks until done. One scan at a time for one catalogue (the caller sees to it).
// Errors: kNotFound (a path does not exist; or no sound file in any of them), kPermissionDenied,
// and the catalogue's.
Result<ScanReport> scan(Catalogue& catalogue, const ScanOptions& options);

}  // namespace samplemind::library
