// The SQLite store of the catalogue. Its methods are spread over files by what they are for:
// sqlite.cc (opening, samples), sqlite_search.cc, sqlite_similar.cc, sqlite_marks.cc (what the user
// says and the journal), sqlite_collections.cc, sqlite_care.cc.
#pragma once

#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "library/catalogue.h"
#include "library/index/search_index.h"
#include "library/index/sound_vectors.h"
#include "library/store/sqlite_internal.h"

namespace samplemind::library {

class SqliteCatalogue final : public Catalogue {
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

  Result<SearchResult> search(const SearchQuery& query) override;
  Result<std::vector<int64_t>> find_ids(const SearchQuery& query) override;
  Result<std::vector<std::pair<std::string, int64_t>>> tags() override;
  uint64_t memory_bytes() override;
  Result<std::vector<Similar>> similar(const SimilarQuery& query) override;
  Result<std::vector<DuplicateGroup>> duplicates(bool near, int limit) override;

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
  Result<std::vector<int64_t>> collection_ids(std::string_view name) override;

  Result<int64_t> begin_move(std::string_view what, const std::vector<Move>& moves) override;
  Result<void> finish_move(int64_t journal_id, const std::vector<Move>& done) override;
  Result<std::vector<Move>> moves(int64_t journal_id) override;
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
  class Changes;   // what the index is told once a transaction is committed

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

  // ---- the index (sqlite_search.cc) ----
  void start_index();
  Result<void> fill_index();
  Result<void> ready_index();    // waits for it; reads it anew when another process has written
  Result<void> ready_vectors();  // sqlite_similar.cc
  Result<std::vector<Sample>> page(const std::vector<int64_t>& ids);
  Result<SearchIndex::Found> run_query(const ParsedQuery& query, int limit, int64_t offset);
  Result<void> resolve_collections(ParsedQuery& query, SearchIndex::Collections& collections,
                                   int depth);

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

  std::shared_mutex index_mutex_;
  SearchIndex index_;
  SoundVectors vectors_;  // under index_mutex_ too
  bool vectors_ready_ = false;
  std::thread index_thread_;
  std::optional<Error> index_error_;
  int64_t index_version_ = -1;  // of the reader's data_version, when another process writes
};

// The columns of a sample with its marks, for read_sample().
extern const char* const kSampleColumns;
inline constexpr int kDetailColumn = 30;  // the first one after them
Sample read_sample(const Statement& row);
// What a column's place adds: the detail's JSON, or nothing.
void read_detail(const std::string& json, Sample& sample);
// Lists of times and facts, for samples that are shown in a list.
void drop_lists(Sample& sample);

struct SqliteCatalogue::Writers {
  explicit Writers(Connection& c) : connection(c) {}
  Result<void> prepare();
  Connection& connection;
  std::optional<Statement> insert, detail, vector, no_vector, no_detail, marks;
};

class SqliteCatalogue::Changes {
 public:
  void put(Sample sample) { samples_.push_back(std::move(sample)); }
  void remove(int64_t id) { gone_.push_back(id); }
  // REQUIRES: committed.
  void apply(SqliteCatalogue& catalogue);

 private:
  std::vector<Sample> samples_;
  std::vector<int64_t> gone_;
};

}  // namespace samplemind::library
