// The MongoDB store of the catalogue. mongo.cc: opening and samples; mongo_marks.cc: what the user
// says and the journal; mongo_moves.cc: renaming, relocating, purging; mongo_collections.cc:
// collections, watched folders, care.
//
// Collections of the database:
//   samples      _id, path (unique), digest, the file's stamp, what was heard as JSON, descriptor,
//                marks as JSON; what is believed follows on reading (settle_sample)
//   collections  _id: the name in lower case; its samples' ids in order
//   journal, journal_rows    what undo needs: the rows are written first, then the entry, then the
//                change itself, so that a change that broke off half way can be taken back
//   watch        folders
//   meta         the counters of ids and of writes, the schema, the writer's lease
//
// It needs no transactions, so that it runs on a single server and on a replica set alike.
#pragma once

#include <algorithm>
#include <mutex>
#include <unordered_set>

#include "library/store/indexed_internal.h"
#include "library/store/mongo_lease.h"
#include "library/store/mongo_link_internal.h"

namespace samplemind::library {

class MongoCatalogue final : public IndexedCatalogue {
 public:
  ~MongoCatalogue() override;
  Result<void> open(const std::string& address, Access access);

  Result<std::unordered_map<std::string, Known>> known() override;
  Result<void> put(const std::vector<Sample>& batch) override;
  Result<std::vector<Sample>> find_by_digest(const Digest& digest) override;
  Result<void> relink(int64_t id, const FileStamp& file) override;
  Result<void> mark_missing(const std::vector<int64_t>& ids, bool missing) override;
  Result<std::optional<Sample>> get(int64_t id) override;
  Result<std::optional<Sample>> get_by_path(const std::string& path) override;
  Result<std::vector<Sample>> get_many(const std::vector<int64_t>& ids) override;
  Result<LibrarySummary> summary() override;
  std::string place() const override { return "MongoDB " + link_->name(); }

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
  Result<void> backup(const std::filesystem::path& target) override;
  Result<void> check() override;
  Result<std::vector<std::string>> repair() override;

 private:
  Result<void> check_schema(bool make);
  Result<void> make_indices();
  // What a write begins and ends with, within write_mutex_. A write that failed may have been
  // stored in part: the index is then read anew.
  Result<void> begin_write() { return lease_->check(); }
  Result<void> end_write(Result<void> written, Changes& changes);

  // ---- samples ----
  Result<std::vector<Sample>> load(const std::vector<int64_t>& ids);  // in the order of the ids
  Result<std::vector<int64_t>> existing(const std::vector<int64_t>& ids);  // in their order
  // Samples as they were heard, whole, at their ids.
  Result<void> store_heard(std::vector<Sample> samples, Changes& changes);
  Result<void> remove_samples(const std::vector<int64_t>& ids, Changes& changes);
  Result<std::unordered_map<std::string, int64_t>> ids_at(const std::vector<std::string>& paths);

  // ---- for the index ----
  Result<void> each_sample(const std::function<Result<void>(Sample)>& f) override;
  Result<void> each_descriptor(const std::function<Result<void>(int64_t, std::string)>& f) override;
  Result<std::vector<Sample>> page(const std::vector<int64_t>& ids) override;
  Result<std::optional<Collection>> collection(std::string_view name) override;
  Result<std::vector<int64_t>> members(std::string_view name) override;
  Result<std::vector<std::vector<int64_t>>> equal_ids(bool by_audio) override;
  Result<int64_t> version() override;

  // ---- marks and journal ----
  using MarksOfIds = std::vector<std::pair<int64_t, Marks>>;
  Result<EditReport> write_marks(const MarksOfIds& marks, std::string_view what);
  Result<void> store_marks(const MarksOfIds& marks, Changes& changes);
  struct Row {
    int64_t sample;
    std::string before;
  };
  Result<void> add_rows(int64_t journal_id, int64_t first, const std::vector<Row>& rows);
  Result<void> add_entry(int64_t id, std::string_view kind, std::string_view what, int64_t rows,
                         std::string_view state = "done");
  Result<void> set_state(int64_t journal_id, std::string_view state);
  Result<int64_t> next_journal_id() { return link_->add("meta", "journal", "n", 1); }
  Result<void> undo_rows(int64_t journal_id, std::string_view kind, Changes& changes);
  Result<void> undo_marks(int64_t journal_id, Changes& changes);
  Result<void> undo_collection(int64_t journal_id);

  // ---- paths, and sounds that are forgotten ----
  Result<void> finish_pending();  // what a crash cut off
  Result<int64_t> plan_moves(std::string_view kind, std::string_view what,
                             const std::vector<Move>& moves);
  Result<std::vector<Move>> stored_moves(int64_t journal_id, bool back);
  Result<void> move_rows(const std::vector<Move>& moves, Changes& changes);
  Result<void> keep_rows(int64_t journal_id, const std::vector<Move>& done);
  Result<void> drop_purged(int64_t journal_id, Changes& changes);
  Result<void> put_back_purged(int64_t journal_id, Changes& changes);

  // ---- care ----
  struct Faults {
    std::vector<int64_t> unreadable;  // samples
    std::vector<int64_t> dead;        // in collections, without a sample
  };
  Result<Faults> find_faults();

  // ---- collections ----
  struct Stored {
    Collection collection;
    std::vector<int64_t> samples;
  };
  Result<std::optional<Stored>> find_collection(std::string_view name);
  Result<void> store_collection(const Stored& stored);
  // Writes the journal for a change of one collection; gives the entry's id.
  Result<int64_t> before_change(std::string_view what, std::string_view name,
                                const std::optional<Stored>& now);

  std::unique_ptr<MongoLink> link_;
  std::unique_ptr<WriterLease> lease_;  // only of the process that writes
  std::mutex write_mutex_;
};

// Calls f with at most a thousand of them at a time: a question of ids or paths stays far below
// MongoDB's 16 MB.
template <typename T, typename F>
Result<void> in_parts(const std::vector<T>& all, F f) {
  constexpr size_t kAtOnce = 1000;
  for (size_t at = 0; at < all.size(); at += kAtOnce) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at);
    const size_t count = std::min(kAtOnce, all.size() - at);
    SM_CHECK_OK(f(std::vector<T>(begin, begin + static_cast<std::ptrdiff_t>(count))));
  }
  return ok();
}

// {_id: the name in lower case}
Doc collection_id(std::string_view name);

}  // namespace samplemind::library
