// What the index in memory reads from SQLite.
#include <functional>

#include "library/store/catalogue_internal.h"

namespace samplemind::library {

Result<void> SqliteCatalogue::reading(const std::function<Result<void>(Connection&)>& f) {
  if (!writable_) {
    const std::lock_guard lock(read_mutex_);
    return f(reader_);
  }
  Connection own;
  SM_CHECK_OK(own.open(home_ / "library.db", SQLITE_OPEN_READWRITE));
  SM_CHECK_OK(own.run("PRAGMA query_only=ON;"));
  return f(own);
}

Result<void> SqliteCatalogue::each_sample(const std::function<Result<void>(Sample)>& f) {
  return reading([&](Connection& c) -> Result<void> {
    SM_TRY(Statement rows,
           c.prepare(std::string("SELECT ") + kSampleColumns +
                     " FROM sample s LEFT JOIN sample_mark m ON m.id=s.id ORDER BY s.id"));
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) return ok();
      SM_CHECK_OK(f(read_sample(rows)));
    }
  });
}

Result<void> SqliteCatalogue::each_descriptor(
    const std::function<Result<void>(int64_t, std::string)>& f) {
  return reading([&](Connection& c) -> Result<void> {
    SM_TRY(Statement rows, c.prepare("SELECT id, descriptor FROM sample_vector ORDER BY id"));
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) return ok();
      SM_CHECK_OK(f(rows.get_integer(0), rows.get_bytes(1)));
    }
  });
}

Result<int64_t> SqliteCatalogue::version() {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows, reader_.prepare("PRAGMA data_version"));
  SM_TRY(const bool row, rows.step());
  return row ? rows.get_integer(0) : 0;
}

Result<std::vector<Sample>> SqliteCatalogue::get_many(const std::vector<int64_t>& ids) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows,
         reader_.prepare(std::string("SELECT ") + kSampleColumns +
                         " FROM sample s LEFT JOIN sample_mark m ON m.id=s.id WHERE s.id=?"));
  std::vector<Sample> list;
  list.reserve(ids.size());
  for (const int64_t id : ids) {
    rows.reset();
    SM_TRY(const bool row, rows.integer(id).step());
    if (row) list.push_back(read_sample(rows));
  }
  return list;
}

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

Result<std::vector<std::vector<int64_t>>> SqliteCatalogue::equal_ids(bool by_audio) {
  // The same sound in other files: a wav and its flac, or other tags. Files of the same bytes are
  // in one group of bytes and stand among the sounds with one of them.
  const char* const sql =
      by_audio
          ? "WITH one AS (SELECT min(id) AS id FROM sample WHERE missing=0 AND error IS NULL GROUP "
            "BY coalesce(digest, id)), sound AS (SELECT json_extract(d.analysis, '$.audio_blake3') "
            "AS a, d.id FROM sample_detail d JOIN one ON one.id=d.id) SELECT a, id FROM sound "
            "WHERE a IN (SELECT a FROM sound WHERE a IS NOT NULL GROUP BY a HAVING count(*)>1) "
            "ORDER BY a, id"
          : "SELECT digest, id FROM sample WHERE missing=0 AND error IS NULL AND digest IN "
            "(SELECT digest FROM sample WHERE missing=0 AND error IS NULL AND digest IS NOT NULL "
            "GROUP BY digest HAVING count(*)>1) ORDER BY digest, id";
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows, reader_.prepare(sql));
  std::vector<std::vector<int64_t>> found;
  std::string last;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return found;
    const std::string key = rows.get_bytes(0);
    if (found.empty() || key != last) found.emplace_back();
    last = key;
    found.back().push_back(rows.get_integer(1));
  }
}

Result<std::optional<Collection>> SqliteCatalogue::collection(std::string_view name) {
  const std::lock_guard lock(read_mutex_);
  int64_t id = 0;
  return find_collection(reader_, name, &id);
}

Result<std::vector<int64_t>> SqliteCatalogue::members(std::string_view name) {
  const std::lock_guard lock(read_mutex_);
  int64_t id = 0;
  SM_TRY(const auto found, find_collection(reader_, name, &id));
  if (!found) return no_collection(name);
  SM_TRY(Statement rows, reader_.prepare("SELECT sample_id FROM collection_sample WHERE "
                                         "collection_id=? ORDER BY position"));
  rows.integer(id);
  std::vector<int64_t> ids;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return ids;
    ids.push_back(rows.get_integer(0));
  }
}

uint64_t SqliteCatalogue::memory_bytes() {
  return static_cast<uint64_t>(sqlite3_memory_used()) + IndexedCatalogue::memory_bytes();
}

}  // namespace samplemind::library
