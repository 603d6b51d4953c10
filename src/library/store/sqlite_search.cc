// Searching: the index in memory finds the ids, SQLite gives their rows.
#include <algorithm>

#include "base/clock.h"
#include "library/store/catalogue_internal.h"

namespace samplemind::library {

namespace {

constexpr int kSmartDepthMax = 4;  // smart collections within smart collections

}  // namespace

void SqliteCatalogue::Changes::apply(SqliteCatalogue& catalogue) {
  const std::unique_lock lock(catalogue.index_mutex_);
  for (const int64_t id : gone_) {
    catalogue.index_.remove(id);
    catalogue.vectors_.remove(id);
  }
  for (const Sample& s : samples_) {
    catalogue.index_.put(s);
    if (catalogue.vectors_ready_) catalogue.vectors_.put(s.id, s.analysis.descriptor);
  }
}

// The thread holds the index's lock before this returns: whoever searches or writes waits for it.
void SqliteCatalogue::start_index() {
  std::atomic<bool> locked{false};
  index_thread_ = std::thread([this, &locked] {
    const std::unique_lock lock(index_mutex_);
    locked = true;
    locked.notify_one();
    if (auto filled = fill_index(); !filled.ok()) index_error_ = std::move(filled).error();
  });
  locked.wait(false);
}

// With the index's lock held. On a connection of its own: reading a million rows must not keep the
// reader's lock.
Result<void> SqliteCatalogue::fill_index() {
  Connection own;
  Connection* from = &reader_;
  if (writable_) {
    SM_CHECK_OK(own.open(home_ / "library.db", SQLITE_OPEN_READWRITE));
    SM_CHECK_OK(own.run("PRAGMA query_only=ON;"));
    from = &own;
  }
  index_.clear();
  SM_TRY(Statement rows, from->prepare(std::string("SELECT ") + kSampleColumns +
                                       " FROM sample s LEFT JOIN sample_mark m ON m.id=s.id "
                                       "ORDER BY s.id"));
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return ok();
    index_.put(read_sample(rows));
  }
}

Result<void> SqliteCatalogue::ready_index() {
  if (writable_) {
    const std::shared_lock lock(index_mutex_);
    if (index_error_) return *index_error_;
    return ok();
  }
  // Another process may write: what it committed since is read.
  const std::lock_guard read_lock(read_mutex_);
  SM_TRY(Statement version, reader_.prepare("PRAGMA data_version"));
  SM_TRY(const bool row, version.step());
  const int64_t now = row ? version.get_integer(0) : 0;
  const std::unique_lock lock(index_mutex_);
  if (now == index_version_) return ok();
  SM_CHECK_OK(fill_index());
  vectors_ready_ = false;
  index_version_ = now;
  return ok();
}

Result<void> SqliteCatalogue::resolve_collections(ParsedQuery& query,
                                                  SearchIndex::Collections& collections,
                                                  int depth) {
  for (const Term& t : query.terms) {
    if (t.field != Field::kCollection || collections.contains(t.text)) continue;
    std::optional<Collection> collection;
    int64_t id = 0;
    {
      const std::lock_guard lock(read_mutex_);
      SM_TRY(collection, find_collection(reader_, t.text, &id));
    }
    if (!collection)
      return Error(ErrorCode::kNotFound, "there is no collection '" + t.text + "'",
                   "'samplemind collection list' shows them");
    auto& members = collections[t.text];
    if (collection->query.empty()) {
      const std::lock_guard lock(read_mutex_);
      SM_TRY(Statement rows,
             reader_.prepare("SELECT sample_id FROM collection_sample WHERE collection_id=?"));
      rows.integer(id);
      for (;;) {
        SM_TRY(const bool more, rows.step());
        if (!more) break;
        members.insert(rows.get_integer(0));
      }
      continue;
    }
    if (depth >= kSmartDepthMax)
      return Error(ErrorCode::kInvalidArgument,
                   "the collection '" + t.text + "' leads back to itself");
    SM_TRY(ParsedQuery inner, parse_query(collection->query));
    SearchIndex::Collections below;
    SM_CHECK_OK(resolve_collections(inner, below, depth + 1));
    const std::shared_lock lock(index_mutex_);
    const auto found = index_.search(inner, -1, 0, system_clock().unix_ms(), below);
    members.insert(found.ids.begin(), found.ids.end());
  }
  return ok();
}

Result<SearchIndex::Found> SqliteCatalogue::run_query(const ParsedQuery& query, int limit,
                                                      int64_t offset) {
  SM_CHECK_OK(ready_index());
  ParsedQuery copy = query;
  SearchIndex::Collections collections;
  SM_CHECK_OK(resolve_collections(copy, collections, 0));
  const std::shared_lock lock(index_mutex_);
  return index_.search(copy, limit, offset, system_clock().unix_ms(), collections);
}

Result<SearchResult> SqliteCatalogue::search(const SearchQuery& q) {
  SM_TRY(const ParsedQuery query, all_terms(q));
  SearchResult result;
  // Only marks: nothing can match.
  if (query.terms.empty() && !query.sort && !q.text.empty()) return result;
  if (query.terms.empty() && q.text.find_first_not_of(" \t\n\r") != std::string::npos &&
      q.text.find(':') == std::string::npos)
    return result;
  SM_TRY(SearchIndex::Found found, run_query(query, q.limit, q.offset));
  result.total = found.total;
  result.corrected = std::move(found.corrected);
  SM_TRY(result.samples, page(found.ids));
  return result;
}

// The rows of a page with all that was measured but for lists of times and facts, which would make
// a page of loops megabytes.
Result<std::vector<Sample>> SqliteCatalogue::page(const std::vector<int64_t>& ids) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows, reader_.prepare(std::string("SELECT ") + kSampleColumns +
                                         ", d.analysis FROM sample s LEFT JOIN sample_mark m ON "
                                         "m.id=s.id LEFT JOIN sample_detail d ON d.id=s.id WHERE "
                                         "s.id=?"));
  std::vector<Sample> list;
  list.reserve(ids.size());
  for (const int64_t id : ids) {
    rows.reset();
    SM_TRY(const bool row, rows.integer(id).step());
    if (!row) continue;
    Sample s = read_sample(rows);
    if (!rows.is_null(kDetailColumn)) read_detail(rows.get_bytes(kDetailColumn), s);
    drop_lists(s);
    list.push_back(std::move(s));
  }
  return list;
}

Result<std::vector<int64_t>> SqliteCatalogue::find_ids(const SearchQuery& q) {
  SM_TRY(const ParsedQuery query, all_terms(q));
  SM_TRY(SearchIndex::Found found, run_query(query, -1, 0));
  return std::move(found.ids);
}

Result<std::vector<std::pair<std::string, int64_t>>> SqliteCatalogue::tags() {
  SM_CHECK_OK(ready_index());
  const std::shared_lock lock(index_mutex_);
  return index_.tags();
}

uint64_t SqliteCatalogue::memory_bytes() {
  const std::shared_lock lock(index_mutex_, std::try_to_lock);
  return static_cast<uint64_t>(sqlite3_memory_used()) +
         (lock ? index_.memory_bytes() + vectors_.memory_bytes() : 0);
}

}  // namespace samplemind::library
