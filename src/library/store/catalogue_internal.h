// The SQLite store of the catalogue. Its methods are spread over files by what they are for:
// sqlite.cc (opening, samples), sqlite_rows.cc (what the index reads), sqlite_marks.cc (what the
// user says and the journal), sqlite_collections.cc, sqlite_care.cc.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "library/store/indexed_internal.h"
#include "library/store/sqlite_internal.h"

namespace samplemind::library {

class SqliteCatalogue final : public IndexedCatalogue {
 public:
  ~SqliteCatalogue() override;
  Result<void> open(const fs::path& home, Access access);

  Result<std::unordered_map<std::string, Known>> known() override;
  Result<void> put(const std::vector<Sample>& batch) override;
  Result<std::vector<Sample>> find_by_digest(const Digest& digest) override;
  Result<void> relink(int64_t id, const FileStamp& file) override;
  Result<void> mark_missing(const std::vector<int64_t>& ids, bool missing) override;
  Result<std::optional<Sample>> get(int64_t id) override;
  Result<std::optional<Sample>> get_by_path(const std::string& path) override;
  Result<std::vector<Sample>> get_many(const std::vector<int64_t>& ids) override;
  Result<LibrarySummary> summary() override;

  uint64_t memory_bytes() override;
  std::string place() const override { return "library.db"; }

  Result<EditReport> edit(const std::vector<int64_t>& ids, const MarksChange& change) override;
  Result<EditReport> set_marks(const std::vector<std::pair<int64_t, Marks>>& marks,
                               std::string_view what) override;
  Result<void> played(int64_t id) override;
  Result<std::vector<JournalEntry>> journal(int limit) override;
  Result<JournalEntry> undo(std::optional<int64_t> id) override;

  Result<std::vector<Collection>> collections() override;
  Result<EditReport> put_collection(const Collection& collection) override;
  Result<EditReport> remove_collection(std::string_view name) override;
  Result<EditReport> change_collection(std::string_view name, const std::vector<int64_t>& add,
                                       const std::vector<int64_t>& remove) override;

  Result<int64_t> begin_move(std::string_view what, const std::vector<Move>& moves) override;
  Result<void> finish_move(int64_t journal_id, const std::vector<Move>& done) override;
  Result<std::vector<Move>> moves(int64_t journal_id) override;
  Result<int64_t> add_files_change(std::string_view what, const std::string& record,
                                   const std::vector<int64_t>& ids) override;
  Result<std::optional<std::string>> files_record(int64_t journal_id) override;
  Result<void> mark_undone(int64_t journal_id) override;
  Result<EditReport> purge(const std::vector<int64_t>& ids) override;
  Result<EditReport> relocate(const std::string& from, const std::string& to) override;
  Result<std::vector<std::string>> watched() override;
  Result<void> watch(const std::string& folder) override;
  Result<bool> unwatch(const std::string& folder) override;
  Result<void> backup(const fs::path& target) override;
  Result<void> check() override;
  Result<std::vector<std::string>> repair() override;

 private:
  struct Writers;  // prepared statements of one transaction

  Result<void> migrate();
  Result<void> open_empty();
  Result<void> settle_all();
  Result<void> finish_pending_moves();

  // ---- samples (sqlite.cc) ----
  // Writes what was heard, settled with the user's word, at the path's row; gives the row's id and
  // puts the sample into `changes`.
  Result<int64_t> write(Writers& writers, Sample heard_sample, Changes& changes);
  // Settles a sample anew after its path or its marks changed.
  Result<void> rewrite(Writers& writers, Sample sample, Changes& changes);
  static Result<std::optional<Sample>> load(Connection& connection, const char* where,
                                            const std::function<void(Statement&)>& bind);
  static Result<std::optional<Sample>> load(Connection& connection, int64_t id);
  Result<void> move_rows(const std::vector<Move>& moves, Changes& changes);

  // ---- for the index ----
  Result<void> each_sample(const std::function<Result<void>(Sample)>& f) override;
  Result<void> each_descriptor(const std::function<Result<void>(int64_t, std::string)>& f) override;
  Result<std::vector<Sample>> page(const std::vector<int64_t>& ids) override;
  Result<std::optional<Collection>> collection(std::string_view name) override;
  Result<std::vector<int64_t>> members(std::string_view name) override;
  Result<std::vector<std::vector<int64_t>>> equal_ids(bool by_audio) override;
  Result<int64_t> version() override;
  // Calls f with a connection that nobody else uses meanwhile: of its own where this process
  // writes, because reading a million rows must not keep the reader's lock.
  Result<void> reading(const std::function<Result<void>(Connection&)>& f);

  // ---- marks and journal (sqlite_marks.cc) ----
  Result<EditReport> write_marks(const std::vector<std::pair<int64_t, Marks>>& marks,
                                 std::string_view what);
  Result<int64_t> add_journal(std::string_view kind, std::string_view what, std::string_view state);
  Result<void> add_journal_row(int64_t journal_id, int64_t n, int64_t sample_id,
                               std::string_view before);
  Result<void> undo_rows(int64_t journal_id, std::string_view kind, Changes& changes);
  Result<void> put_back_marks(Writers& writers, int64_t id, const std::string& before,
                              Changes& changes);
  Result<void> put_back_purged(const std::string& before, Changes& changes);

  // ---- collections ----
  Result<std::string> collection_json(std::string_view name);  // "null" when there is none
  Result<void> put_back_collection(const std::string& before);
  static Result<std::optional<Collection>> find_collection(Connection& connection,
                                                           std::string_view name, int64_t* id);

  fs::path home_;
  std::optional<FileLock> lock_;
  std::mutex write_mutex_;
  std::mutex read_mutex_;
  Connection writer_;
  Connection reader_;
  bool writable_ = false;
};

// The columns of a sample with its marks, for read_sample().
extern const char* const kSampleColumns;
inline constexpr int kDetailColumn = 30;  // the first one after them
Sample read_sample(const Statement& row);
// What a column's place adds: the detail's JSON, or nothing.
void read_detail(const std::string& json, Sample& sample);

struct SqliteCatalogue::Writers {
  explicit Writers(Connection& c) : connection(c) {}
  Result<void> prepare();
  Connection& connection;
  std::optional<Statement> insert, detail, vector, no_vector, no_detail, marks;
};

}  // namespace samplemind::library
