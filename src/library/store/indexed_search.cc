// Searching: the index in memory finds the ids, the store gives their rows.
#include <algorithm>

#include "base/clock.h"
#include "library/store/indexed_internal.h"

namespace samplemind::library {

namespace {

constexpr int kSmartDepthMax = 4;  // smart collections within smart collections

}  // namespace

Error no_collection(std::string_view name) {
  return Error(ErrorCode::kNotFound, "there is no collection '" + std::string(name) + "'",
               "'samplemind collection list' shows them");
}

void IndexedCatalogue::Changes::apply(IndexedCatalogue& catalogue) {
  const std::unique_lock lock(catalogue.index_mutex_);
  for (const int64_t id : gone_) {
    catalogue.index_.remove(id);
    catalogue.vectors_.remove(id);
    if (catalogue.vectors_behind_) (*catalogue.vectors_behind_)[id].clear();
  }
  for (const Sample& s : samples_) {
    catalogue.index_.put(s);
    if (catalogue.vectors_ready_) catalogue.vectors_.put(s.id, s.analysis.descriptor);
    if (catalogue.vectors_behind_) (*catalogue.vectors_behind_)[s.id] = s.analysis.descriptor;
  }
}

// The thread holds the index's lock before this returns: whoever searches or writes waits for it.
void IndexedCatalogue::start_index() {
  writes_ = true;
  std::atomic<bool> locked{false};
  index_thread_ = std::thread([this, &locked] {
    {
      const std::unique_lock lock(index_mutex_);
      locked = true;
      locked.notify_one();
      if (!fill_index().ok()) doubt_index();  // the first search tries again and tells
    }
    (void)fill_vectors().ok();  // likewise
  });
  locked.wait(false);
}

void IndexedCatalogue::finish_index() {
  stopping_ = true;
  if (index_thread_.joinable()) index_thread_.join();
}

// With the index's lock held.
Result<void> IndexedCatalogue::fill_index() {
  index_.clear();
  return each_sample([this](const Sample& s) -> Result<void> {
    if (stopping_) return Error(ErrorCode::kCancelled, "the library is being closed");
    index_.put(s);
    return ok();
  });
}

Result<void> IndexedCatalogue::ready_index() {
  int64_t now = 0;
  if (writes_) {
    const std::shared_lock lock(index_mutex_);
    if (!doubtful_) return ok();
  } else {
    // Another process may write: what it committed since is read.
    SM_TRY(now, version());
  }
  const std::unique_lock lock(index_mutex_);
  if (writes_ ? !doubtful_ : now == index_version_) return ok();
  doubtful_ = false;  // a write that fails from here on sets it again
  vectors_ready_ = false;
  ++vectors_age_;
  if (auto filled = fill_index(); !filled.ok()) {
    doubtful_ = true;
    return filled;
  }
  index_version_ = now;
  return ok();
}

Result<void> IndexedCatalogue::resolve_collections(ParsedQuery& query,
                                                   SearchIndex::Collections& collections,
                                                   int depth) {
  for (const Term& t : query.terms) {
    if (t.field != Field::kCollection || collections.contains(t.text)) continue;
    SM_TRY(const std::optional<Collection> found, collection(t.text));
    if (!found) return no_collection(t.text);
    auto& into = collections[t.text];
    if (found->query.empty()) {
      SM_TRY(const std::vector<int64_t> ids, members(t.text));
      into.insert(ids.begin(), ids.end());
      continue;
    }
    if (depth >= kSmartDepthMax)
      return Error(ErrorCode::kInvalidArgument,
                   "the collection '" + t.text + "' leads back to itself");
    SM_TRY(ParsedQuery inner, parse_query(found->query));
    SearchIndex::Collections below;
    SM_CHECK_OK(resolve_collections(inner, below, depth + 1));
    const std::shared_lock lock(index_mutex_);
    const auto inside = index_.search(inner, -1, 0, system_clock().unix_ms(), below);
    into.insert(inside.ids.begin(), inside.ids.end());
  }
  return ok();
}

Result<SearchIndex::Found> IndexedCatalogue::run_query(const ParsedQuery& query, int limit,
                                                       int64_t offset) {
  SM_CHECK_OK(ready_index());
  ParsedQuery copy = query;
  SearchIndex::Collections collections;
  SM_CHECK_OK(resolve_collections(copy, collections, 0));
  const std::shared_lock lock(index_mutex_);
  return index_.search(copy, limit, offset, system_clock().unix_ms(), collections);
}

Result<SearchResult> IndexedCatalogue::search(const SearchQuery& q) {
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

Result<std::vector<int64_t>> IndexedCatalogue::find_ids(const SearchQuery& q) {
  SM_TRY(const ParsedQuery query, all_terms(q));
  SM_TRY(SearchIndex::Found found, run_query(query, -1, 0));
  return std::move(found.ids);
}

Result<std::vector<std::pair<std::string, int64_t>>> IndexedCatalogue::tags() {
  SM_CHECK_OK(ready_index());
  const std::shared_lock lock(index_mutex_);
  return index_.tags();
}

Result<std::vector<int64_t>> IndexedCatalogue::collection_ids(std::string_view name) {
  SM_TRY(const auto found, collection(name));
  if (!found) return no_collection(name);
  if (found->query.empty()) return members(name);
  SearchQuery q;
  q.text = found->query;
  return find_ids(q);
}

uint64_t IndexedCatalogue::memory_bytes() {
  const std::shared_lock lock(index_mutex_, std::try_to_lock);
  return lock ? index_.memory_bytes() + vectors_.memory_bytes() : 0;
}

}  // namespace samplemind::library
