// What all stores of the catalogue share: searching, similarity and duplicates are answered from
// indices in memory (index/), which a store fills when it is opened and tells of every change. A
// store derives from this, implements the rest of Catalogue and the few virtual functions here.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "library/catalogue.h"
#include "library/index/search_index.h"
#include "library/index/sound_vectors.h"

namespace samplemind::library {

class IndexedCatalogue : public Catalogue {
 public:
  Result<SearchResult> search(const SearchQuery& query) override;
  Result<std::vector<int64_t>> find_ids(const SearchQuery& query) override;
  Result<std::vector<std::pair<std::string, int64_t>>> tags() override;
  Result<std::vector<Similar>> similar(const SimilarQuery& query) override;
  Result<SoundPoints> points(const SearchQuery& query, size_t most) override;
  Result<std::vector<DuplicateGroup>> duplicates(bool near, int limit) override;
  Result<std::vector<int64_t>> collection_ids(std::string_view name) override;
  uint64_t memory_bytes() override;

 protected:
  // ---- what a store gives; called with the index's lock held or not: they must not search ----
  // Every sample with its marks, without descriptor and lists of times, by id. An error of f ends
  // it and is its answer.
  virtual Result<void> each_sample(const std::function<Result<void>(Sample)>& f) = 0;
  virtual Result<void> each_descriptor(
      const std::function<Result<void>(int64_t, std::string)>& f) = 0;
  // Those that exist, in the order of the ids, with all that was measured but for lists of times
  // and facts, which would make a page of loops megabytes.
  virtual Result<std::vector<Sample>> page(const std::vector<int64_t>& ids) = 0;
  virtual Result<std::optional<Collection>> collection(std::string_view name) = 0;
  // Of a hand-made one, in its order.
  virtual Result<std::vector<int64_t>> members(std::string_view name) = 0;
  // Ids of equal bytes, or of equal sound in unequal files, in groups of two and more.
  virtual Result<std::vector<std::vector<int64_t>>> equal_ids(bool by_audio) = 0;
  // Another number after another process has written. Asked only by those that do not write.
  virtual Result<int64_t> version() = 0;

  // ---- for the store ----
  // What the index is told once a change is stored.
  class Changes {
   public:
    void put(Sample sample) { samples_.push_back(std::move(sample)); }
    void remove(int64_t id) { gone_.push_back(id); }
    void apply(IndexedCatalogue& catalogue);

   private:
    std::vector<Sample> samples_;
    std::vector<int64_t> gone_;
  };
  // Fills the index, then the descriptors, on a thread of its own, for the process that writes.
  // Searches wait for the index alone. REQUIRES: finish_index() in the store's destructor, which
  // does not wait for the filling to end.
  void start_index();
  void finish_index();
  // The index is read anew before the next search: after a write of which it is not known how much
  // was stored.
  void doubt_index() { doubtful_ = true; }

 private:
  Result<void> fill_index();
  Result<void> ready_index();  // waits for it; reads it anew when another process has written
  Result<void> ready_vectors();
  Result<void> fill_vectors();
  Result<SearchIndex::Found> run_query(const ParsedQuery& query, int limit, int64_t offset);
  Result<void> resolve_collections(ParsedQuery& query, SearchIndex::Collections& collections,
                                   int depth);

  std::shared_mutex index_mutex_;
  SearchIndex index_;
  SoundVectors vectors_;  // under index_mutex_ too
  bool vectors_ready_ = false;
  uint64_t vectors_age_ = 0;    // raised when they are to be read anew
  std::mutex filling_vectors_;  // held by the one who reads them; before index_mutex_
  // While they are read: what was stored meanwhile; empty: gone. Under index_mutex_.
  std::optional<std::unordered_map<int64_t, std::string>> vectors_behind_;
  std::atomic<bool> stopping_{false};
  std::thread index_thread_;
  bool writes_ = false;  // the index is told of every change
  std::atomic<bool> doubtful_{false};
  int64_t index_version_ = -1;  // of version(), when another process writes
};

// ---- a sample and what is known of it ----
// `s.analysis` as it was heard becomes what is believed, with what the path and the marks say.
void settle_sample(Sample& s);
// Lists of times and facts, for samples that are shown in a list.
void drop_lists(Sample& s);
Error no_collection(std::string_view name);
Error no_sample(int64_t id);

// ---- what a change must be, whatever store it is for ----
std::string marks_json(const Marks& marks);
// The sample's marks after the change. kInvalidArgument for a tempo out of range.
Result<Marks> edited(const Sample& sample, const MarksChange& change);
// `now`: the collection of this name that is there, `count`: how many there are.
Result<void> check_collection(const Collection& c, const std::optional<Collection>& now,
                              int64_t count);
// kInvalidArgument unless both are absolute; takes slashes off their ends ("/" becomes empty).
Result<void> check_relocate(std::string& from, std::string& to);
Error nothing_below(const std::string& folder);
Error not_missing(const Sample& sample);  // for purge()

// The kind of a journal entry of Catalogue::add_files_change(); its rows hold the record.
inline constexpr std::string_view kFilesChange = "files";

// ---- the journal (journal_json.cc) ----
// `entry`: what undo(id) would take back. kNotFound, kAlreadyExists, kUnsupported.
Result<void> check_undo(const std::optional<JournalEntry>& entry, std::string_view kind,
                        std::optional<int64_t> id);
// A collection as it was before a change; absent: there was none.
std::string collection_before(std::string_view name, const std::optional<Collection>& c,
                              const std::vector<int64_t>& samples);
Error no_renaming(int64_t journal_id);
std::string move_before(const Move& move);
Result<Move> read_move(int64_t id, const std::string& before);
bool was_moved(const Move& move);  // the file has its new name and not its old one
// A sound with all that is known and was said; read_purged() gives it as it was heard.
std::string purged_before(const Sample& sample, const std::vector<std::string>& collections);
struct Purged {
  Sample sample;
  std::vector<std::string> collections;
};
Result<Purged> read_purged(const std::string& before);

}  // namespace samplemind::library
