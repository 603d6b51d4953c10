// Collections: put together by hand, or saved queries.
#include <algorithm>

#include "base/clock.h"
#include "library/store/catalogue_internal.h"

namespace samplemind::library {

Result<std::optional<Collection>> SqliteCatalogue::find_collection(Connection& connection,
                                                                   std::string_view name,
                                                                   int64_t* id) {
  SM_TRY(Statement rows, connection.prepare("SELECT id, name, query, note, created_ms, (SELECT "
                                            "count(*) FROM collection_sample WHERE "
                                            "collection_id=c.id) FROM collection c WHERE name=?"));
  SM_TRY(const bool row, rows.text(name).step());
  if (!row) return std::optional<Collection>();
  *id = rows.get_integer(0);
  return std::optional<Collection>(Collection{rows.get_bytes(1), rows.get_bytes(2),
                                              rows.get_bytes(3), rows.get_integer(4),
                                              rows.get_integer(5)});
}

Result<std::vector<Collection>> SqliteCatalogue::collections() {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows,
         reader_.prepare("SELECT name, query, note, created_ms, (SELECT count(*) FROM "
                         "collection_sample WHERE collection_id=c.id) FROM collection c "
                         "ORDER BY name COLLATE NOCASE"));
  std::vector<Collection> list;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return list;
    list.push_back({rows.get_bytes(0), rows.get_bytes(1), rows.get_bytes(2), rows.get_integer(3),
                    rows.get_integer(4)});
  }
}

// The whole collection, for undo.
Result<std::string> SqliteCatalogue::collection_json(std::string_view name) {
  int64_t id = 0;
  SM_TRY(const auto c, find_collection(writer_, name, &id));
  std::vector<int64_t> samples;
  SM_TRY(Statement rows, writer_.prepare("SELECT sample_id FROM collection_sample WHERE "
                                         "collection_id=? ORDER BY position"));
  rows.integer(id);
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) break;
    samples.push_back(rows.get_integer(0));
  }
  return collection_before(name, c, samples);
}

Result<void> SqliteCatalogue::put_back_collection(const std::string& before) {
  SM_TRY(const JsonValue v, JsonValue::parse(before));
  const std::string name = v["name"].string_or("");
  int64_t id = 0;
  SM_TRY(const auto now, find_collection(writer_, name, &id));
  if (now) {
    for (const char* sql : {"DELETE FROM collection_sample WHERE collection_id=?",
                            "DELETE FROM collection WHERE id=?"}) {
      SM_TRY(Statement drop, writer_.prepare(sql));
      SM_CHECK_OK(drop.integer(id).run());
    }
  }
  if (v["absent"].bool_or(false)) return ok();
  SM_TRY(
      Statement insert,
      writer_.prepare("INSERT INTO collection (name, query, note, created_ms) VALUES (?,?,?,?)"));
  SM_CHECK_OK(insert.text(std::string_view(name))
                  .text(std::string_view(v["query"].string_or("")))
                  .text(std::string_view(v["note"].string_or("")))
                  .integer(v["created_ms"].integer_or(0))
                  .run());
  id = sqlite3_last_insert_rowid(writer_.raw());
  SM_TRY(Statement add,
         writer_.prepare("INSERT OR IGNORE INTO collection_sample (collection_id, position, "
                         "sample_id) SELECT ?, ?, id FROM sample WHERE id=?"));
  int64_t position = 0;
  for (const JsonValue& s : v["samples"].items()) {
    add.reset();
    SM_CHECK_OK(add.integer(id).integer(++position).integer(s.integer_or(0)).run());
  }
  return ok();
}

Result<EditReport> SqliteCatalogue::put_collection(const Collection& c) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  int64_t id = 0;
  SM_TRY(const auto now, find_collection(writer_, c.name, &id));
  SM_TRY(Statement count, writer_.prepare("SELECT count(*) FROM collection"));
  SM_TRY(const bool counted, count.step());
  SM_CHECK_OK(check_collection(c, now, counted ? count.get_integer(0) : 0));
  EditReport report;
  SM_TRY(report.journal_id,
         add_journal("collection", (now ? "change collection " : "make collection ") + c.name,
                     "done"));
  SM_TRY(const std::string before, collection_json(c.name));
  SM_CHECK_OK(add_journal_row(report.journal_id, 0, 0, before));
  SM_TRY(Statement put,
         writer_.prepare("INSERT INTO collection (name, query, note, created_ms) VALUES (?,?,?,?) "
                         "ON CONFLICT(name) DO UPDATE SET query=excluded.query, "
                         "note=excluded.note"));
  SM_CHECK_OK(put.text(std::string_view(c.name))
                  .text(std::string_view(c.query))
                  .text(std::string_view(c.note))
                  .integer(system_clock().unix_ms())
                  .run());
  SM_CHECK_OK(transaction.commit());
  return report;
}

Result<EditReport> SqliteCatalogue::remove_collection(std::string_view name) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  int64_t id = 0;
  SM_TRY(const auto now, find_collection(writer_, name, &id));
  if (!now) return no_collection(name);
  EditReport report;
  report.changed = now->samples;
  SM_TRY(report.journal_id, add_journal("collection", "remove collection " + now->name, "done"));
  SM_TRY(const std::string before, collection_json(now->name));
  SM_CHECK_OK(add_journal_row(report.journal_id, 0, 0, before));
  for (const char* sql : {"DELETE FROM collection_sample WHERE collection_id=?",
                          "DELETE FROM collection WHERE id=?"}) {
    SM_TRY(Statement drop, writer_.prepare(sql));
    SM_CHECK_OK(drop.integer(id).run());
  }
  SM_CHECK_OK(transaction.commit());
  return report;
}

Result<EditReport> SqliteCatalogue::change_collection(std::string_view name,
                                                      const std::vector<int64_t>& add,
                                                      const std::vector<int64_t>& remove) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  int64_t id = 0;
  SM_TRY(const auto now, find_collection(writer_, name, &id));
  if (!now) return no_collection(name);
  if (!now->query.empty())
    return Error(ErrorCode::kInvalidArgument,
                 "'" + now->name + "' is a smart collection: its query decides what is in it");
  SM_TRY(const std::string before, collection_json(now->name));
  SM_TRY(Statement last, writer_.prepare("SELECT coalesce(max(position),0) FROM collection_sample "
                                         "WHERE collection_id=?"));
  SM_TRY(const bool row, last.integer(id).step());
  int64_t position = row ? last.get_integer(0) : 0;
  EditReport report;
  SM_TRY(Statement insert,
         writer_.prepare("INSERT OR IGNORE INTO collection_sample (collection_id, position, "
                         "sample_id) SELECT ?, ?, id FROM sample WHERE id=?"));
  for (const int64_t sample : add) {
    insert.reset();
    SM_CHECK_OK(insert.integer(id).integer(++position).integer(sample).run());
    report.changed += sqlite3_changes(writer_.raw());
  }
  SM_TRY(Statement drop, writer_.prepare("DELETE FROM collection_sample WHERE collection_id=? AND "
                                         "sample_id=?"));
  for (const int64_t sample : remove) {
    drop.reset();
    SM_CHECK_OK(drop.integer(id).integer(sample).run());
    report.changed += sqlite3_changes(writer_.raw());
  }
  if (report.changed == 0) return report;
  SM_TRY(report.journal_id,
         add_journal("collection",
                     (remove.empty() ? "add to collection " : "change collection ") + now->name,
                     "done"));
  SM_CHECK_OK(add_journal_row(report.journal_id, 0, 0, before));
  SM_CHECK_OK(transaction.commit());
  return report;
}

}  // namespace samplemind::library
