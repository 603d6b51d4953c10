// The catalogue: what is known of every sound file, kept in <home>/library.db (SQLite, write-ahead
// log) or in a MongoDB, and what its user says about it. One process writes (it holds
// <home>/library.lock, or a lease in the MongoDB), any number read. Searches run on an index in
// memory (index/search_index.h) that is filled on a thread of its own when the library is opened;
// the first search waits for it. A Catalogue is thread-safe: one connection for writing and one for
// reading, each with its lock; calls block on the disk, so call them from a pool thread.
//
// What the user changes is written to a journal in the same transaction, and undo() takes it back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "audio/analyzer.h"
#include "audio/feature/descriptor.h"
#include "base/hash.h"
#include "base/result.h"
#include "library/facts.h"
#include "library/marks.h"
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
  // To put(): as it was heard. From the catalogue: tempo, key, kind, content and note are those
  // that are believed (library/facts.h), and lists of times come only from get().
  audio::Analysis analysis;
  std::string tempo_source;  // "user", "embedded", "name", "folder", "ear"; empty: not known
  std::string key_source;
  std::string kind_source;
  Marks marks;              // what the user said
  std::vector<Fact> facts;  // all that is known from all sources; only from get()

  std::string name() const;  // the path's last part
  std::string folder() const;
};

struct SearchResult {
  std::vector<Sample> samples;  // with all that was measured, without lists of times and facts
  int64_t total = 0;            // without limit and offset
  // Words that no sound has and what was taken instead: ("kcik", "kick").
  std::vector<std::pair<std::string, std::string>> corrected;
};

// What a change did.
struct EditReport {
  int64_t journal_id = 0;  // for undo(); 0: nothing was changed
  int64_t changed = 0;     // sounds
};

struct Collection {
  std::string name;   // unique without regard to case; 1 to 200 bytes
  std::string query;  // a smart collection: what it finds; empty: sounds put in by hand
  std::string note;
  int64_t created_ms = 0;
  int64_t samples = 0;  // of a hand-made one
};

struct JournalEntry {
  int64_t id = 0;
  int64_t at_ms = 0;
  std::string what;   // "tag dusty"
  std::string state;  // "done", "undone", "pending" (files are being changed)
  int64_t changes = 0;
};

struct SimilarQuery {
  std::string descriptor;  // of the sound in question (audio/feature/descriptor.h)
  audio::AspectWeights weights;
  std::string filter;  // in the query language; empty: all that a search without words finds
  int limit = 20;      // 1..1000
  std::optional<int64_t> except;  // the sound itself
};
struct Similar {
  Sample sample;
  float distance = 0;  // audio::similarity() makes a share of it
  audio::AspectDistances aspects;
};

// What a map is drawn from: the sounds whose descriptors can be compared.
struct SoundPoints {
  std::vector<int64_t> ids;        // rising
  std::vector<uint16_t> kind;      // of each: its place in `kinds`
  std::vector<std::string> kinds;  // the first is "": not known
  std::vector<int8_t> values;      // 80 of each (audio/feature/descriptor.h)
  int64_t total = 0;               // that fit, also those left out
};

struct DuplicateGroup {
  std::string how;  // "bytes": the same files; "audio": the same sound; "near": the same to the ear
  std::vector<Sample> samples;
};

// A file that gets another name, for begin_move() and finish_move().
struct Move {
  int64_t id = 0;
  std::string from;
  std::string to;
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
  // `store`: empty for that file, or the address of a MongoDB that keeps the library instead
  // ("mongodb://host/database", docs/library.md). Then also kInvalidArgument for any other address,
  // kUnauthenticated, and kUnavailable when no server answers within five seconds.
  static Result<std::unique_ptr<Catalogue>> open(const std::filesystem::path& home, Access access,
                                                 const std::string& store = "");
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
  // In MongoDB each sample is whole or not there, and an error may leave some of them stored.
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
  // All ids that fit, in the query's order, without its limit and offset.
  virtual Result<std::vector<int64_t>> find_ids(const SearchQuery& query) = 0;
  // Those that exist, in the order of the ids, without lists of times.
  virtual Result<std::vector<Sample>> get_many(const std::vector<int64_t>& ids) = 0;
  virtual Result<std::vector<std::pair<std::string, int64_t>>> tags() = 0;  // with their counts

  // Nearest first, compared exactly. kInvalidArgument for a descriptor of another version or none.
  virtual Result<std::vector<Similar>> similar(const SimilarQuery& query) = 0;
  // About `most` of those that fit (without the query's limit and order) where there are more:
  // mostly the same ones after sounds were added.
  virtual Result<SoundPoints> points(const SearchQuery& query, size_t most) = 0;
  // At most `limit` groups. With `near` also sounds that are re-encoded, trimmed a little or of
  // another level: candidates by descriptor, found by neighbours along a dozen directions (a few
  // may be missed), then laid over each other (same_sound.h) where the files can be read; the
  // first 50,000 candidates.
  virtual Result<std::vector<DuplicateGroup>> duplicates(bool near, int limit) = 0;

  // ---- what the user says; each a journal entry but for played() ----
  virtual Result<EditReport> edit(const std::vector<int64_t>& ids, const MarksChange& change) = 0;
  virtual Result<EditReport> set_marks(const std::vector<std::pair<int64_t, Marks>>& marks,
                                       std::string_view what) = 0;
  virtual Result<void> played(int64_t id) = 0;

  virtual Result<std::vector<Collection>> collections() = 0;  // by name
  // Makes it, or changes its query and note. A query is checked.
  virtual Result<EditReport> put_collection(const Collection& collection) = 0;
  virtual Result<EditReport> remove_collection(std::string_view name) = 0;
  virtual Result<EditReport> change_collection(std::string_view name,
                                               const std::vector<int64_t>& add,
                                               const std::vector<int64_t>& remove) = 0;
  // Its sounds in its order; a smart one's are found now. kNotFound.
  virtual Result<std::vector<int64_t>> collection_ids(std::string_view name) = 0;

  virtual Result<std::vector<JournalEntry>> journal(int limit) = 0;  // newest first
  // Takes a change back: the newest that is not taken back yet, or that of this id. kNotFound when
  // there is none; kUnsupported for changes of files (library/rename.h and file_tags.h do that).
  virtual Result<JournalEntry> undo(std::optional<int64_t> id) = 0;

  // Renaming files: the intent is on disk before the first file is touched, so that open() can
  // finish what a crash left half done. `finish_move` gives the sounds their new paths.
  virtual Result<int64_t> begin_move(std::string_view what, const std::vector<Move>& moves) = 0;
  virtual Result<void> finish_move(int64_t journal_id, const std::vector<Move>& done) = 0;
  virtual Result<std::vector<Move>> moves(int64_t journal_id) = 0;  // kNotFound: no such renaming
  virtual Result<void> mark_undone(int64_t journal_id) = 0;
  // A change inside the files of these sounds, which are kept as they were in the folder
  // <home>/tag-backups/RECORD (library/file_tags.h): told to the journal before the first of them
  // is touched. `files_record` gives a change's RECORD; nullopt: it is none of files.
  virtual Result<int64_t> add_files_change(std::string_view what, const std::string& record,
                                           const std::vector<int64_t>& ids) = 0;
  virtual Result<std::optional<std::string>> files_record(int64_t journal_id) = 0;

  // ---- care ----
  // Forgets missing sounds, with what was said about them; the journal can bring them back.
  virtual Result<EditReport> purge(const std::vector<int64_t>& ids) = 0;
  // Sounds below `from` are now below `to` (a drive that is mounted elsewhere); their files are not
  // looked at. Gives how many.
  virtual Result<EditReport> relocate(const std::string& from, const std::string& to) = 0;
  // Folders that are scanned again when something in them changes.
  virtual Result<std::vector<std::string>> watched() = 0;
  virtual Result<void> watch(const std::string& folder) = 0;
  virtual Result<bool> unwatch(const std::string& folder) = 0;  // false: it was not watched
  // A whole copy, while others go on reading and writing. The target must not exist.
  virtual Result<void> backup(const std::filesystem::path& target) = 0;
  // kDataLoss with what is wrong.
  virtual Result<void> check() = 0;
  // Rebuilds what can be rebuilt (indices, rows without a sound); gives what was done.
  virtual Result<std::vector<std::string>> repair() = 0;
  virtual uint64_t memory_bytes() = 0;  // SQLite's own count and the index
  // Where it is kept, for people: "library.db" or "MongoDB host:27017/samplemind".
  virtual std::string place() const = 0;
};

// The analysis as the ear gave it, of a sample from get() or find_by_digest().
audio::Analysis heard(const Sample& sample);

// Puts a backup in the library's place; the old file is kept beside it as
// library.db.before-restore. REQUIRES: no process has the library open (kAlreadyExists). kDataLoss
// when the backup is damaged, kUnsupported when it is newer than this program.
Result<void> restore_library(const std::filesystem::path& home,
                             const std::filesystem::path& backup);
// Saves what can be read of a damaged library.db into a new one, and keeps the damaged one beside
// it as library.db.damaged. REQUIRES as above. Gives how many sounds were saved.
Result<int64_t> salvage_library(const std::filesystem::path& home);

}  // namespace samplemind::library
