// The catalogue: what is known of every sound file, kept in <home>/library.db (SQLite, write-ahead
// log). One process writes (it holds <home>/library.lock), any number read. A Catalogue is
// thread-safe: one connection for writing and one for reading, each with its lock; calls block on
// the disk, so call them from a pool thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audio/analyzer.h"
#include "base/hash.h"
#include "base/result.h"
#include "library/query.h"

namespace samplemind::library {

// A file as the scanner saw it.
struct FileStamp {
  std::string path;  // absolute, the file system's bytes
  int64_t size = 0;
  int64_t mtime_ns = 0;
};

struct Sample {
  int64_t id = 0;  // stays the same across rescans and moves
  FileStamp file;
  std::string digest_hex;  // BLAKE3 of the file's bytes
  std::string error;       // why it could not be read; empty when it was
  bool missing = false;    // was there at an earlier scan
  int64_t added_ms = 0;    // Unix time
  int analysis_version = 0;
  audio::Analysis analysis;  // lists of times only from get()

  std::string name() const;  // the path's last part
  std::string folder() const;
};

struct SearchResult {
  std::vector<Sample> samples;
  int64_t total = 0;  // without limit and offset
};

struct LibrarySummary {
  int64_t samples = 0;
  int64_t broken = 0;
  int64_t missing = 0;
  double duration_s = 0;
};

class Catalogue {
 public:
  enum class Access { kWrite, kRead };
  // Creates the folder and the file where needed (kWrite). kAlreadyExists when another process
  // writes; kUnsupported when the file was made by a newer version; kDataLoss when it is damaged.
  // With kRead and no file: an empty catalogue.
  static Result<std::unique_ptr<Catalogue>> open(const std::filesystem::path& home, Access access);
  virtual ~Catalogue() = default;

  // All files known under the folders, by path: what a rescan compares with.
  struct Known {
    int64_t id;
    int64_t size;
    int64_t mtime_ns;
    int analysis_version;
    bool missing;
    bool broken;
  };
  virtual Result<std::unordered_map<std::string, Known>> known() = 0;

  // Inserts or replaces by path, in one transaction: all of them or none.
  virtual Result<void> put(const std::vector<Sample>& batch) = 0;
  // The samples of this content, oldest first, 16 at most, with their lists of times: a moved file
  // keeps its id, a copy needs no second measurement.
  virtual Result<std::vector<Sample>> find_by_digest(const Digest& digest) = 0;
  // Gives a sample a new path and stamp.
  virtual Result<void> relink(int64_t id, const FileStamp& file) = 0;
  virtual Result<void> mark_missing(const std::vector<int64_t>& ids, bool missing) = 0;

  virtual Result<SearchResult> search(const SearchQuery& query) = 0;
  virtual Result<std::optional<Sample>> get(int64_t id) = 0;
  virtual Result<std::optional<Sample>> get_by_path(const std::string& path) = 0;
  virtual Result<LibrarySummary> summary() = 0;
  virtual Result<void> check() = 0;     // PRAGMA integrity_check
  virtual uint64_t memory_bytes() = 0;  // SQLite's own count
};

}  // namespace samplemind::library
