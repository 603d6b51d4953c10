// What the user says about sounds, and the journal that can take it back.
#include <algorithm>

#include "base/clock.h"
#include "library/store/catalogue_internal.h"

namespace samplemind::library {

namespace {

constexpr size_t kWhatMax = 200;

JournalEntry read_entry(const Statement& row) {
  return JournalEntry{row.get_integer(0), row.get_integer(1), row.get_bytes(2), row.get_bytes(3),
                      row.get_integer(4)};
}

}  // namespace

Result<int64_t> SqliteCatalogue::add_journal(std::string_view kind, std::string_view what,
                                             std::string_view state) {
  SM_TRY(Statement insert,
         writer_.prepare("INSERT INTO journal (at_ms, kind, what, state) VALUES (?,?,?,?)"));
  SM_CHECK_OK(insert.integer(system_clock().unix_ms())
                  .text(kind)
                  .text(what.substr(0, kWhatMax))
                  .text(state)
                  .run());
  return sqlite3_last_insert_rowid(writer_.raw());
}

Result<void> SqliteCatalogue::add_journal_row(int64_t journal_id, int64_t n, int64_t sample_id,
                                              std::string_view before) {
  SM_TRY(Statement insert,
         writer_.prepare(
             "INSERT INTO journal_row (journal_id, n, sample_id, before) VALUES (?,?,?,?)"));
  return insert.integer(journal_id).integer(n).integer(sample_id).text(before).run();
}

// Within the caller's lock.
Result<EditReport> SqliteCatalogue::write_marks(const std::vector<std::pair<int64_t, Marks>>& marks,
                                                std::string_view what) {
  EditReport report;
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  SM_TRY(Statement store,
         writer_.prepare("INSERT OR REPLACE INTO sample_mark (id, marks) VALUES (?,?)"));
  SM_TRY(Statement drop, writer_.prepare("DELETE FROM sample_mark WHERE id=?"));
  Changes changes;
  for (const auto& [id, after] : marks) {
    SM_TRY(auto sample, load(writer_, id));
    if (!sample || sample->marks == after) continue;
    if (report.journal_id == 0) {
      SM_TRY(report.journal_id, add_journal("marks", what, "done"));
    }
    SM_CHECK_OK(add_journal_row(report.journal_id, report.changed, id, marks_json(sample->marks)));
    if (after.empty()) {
      drop.reset();
      SM_CHECK_OK(drop.integer(id).run());
    } else {
      store.reset();
      SM_CHECK_OK(store.integer(id).text(std::string_view(marks_json(after))).run());
    }
    if (sample->error.empty()) {
      SM_CHECK_OK(rewrite(writers, std::move(*sample), changes));
    } else {
      sample->marks = after;
      changes.put(std::move(*sample));
    }
    ++report.changed;
  }
  if (report.changed == 0) return report;
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return report;
}

Result<EditReport> SqliteCatalogue::edit(const std::vector<int64_t>& ids,
                                         const MarksChange& change) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  std::vector<std::pair<int64_t, Marks>> marks;
  for (const int64_t id : ids) {
    SM_TRY(const auto sample, load(writer_, id));
    if (!sample) return no_sample(id);
    SM_TRY(Marks after, edited(*sample, change));
    marks.emplace_back(id, std::move(after));
  }
  return write_marks(marks, describe(change));
}

Result<EditReport> SqliteCatalogue::set_marks(const std::vector<std::pair<int64_t, Marks>>& marks,
                                              std::string_view what) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  return write_marks(marks, what);
}

Result<void> SqliteCatalogue::played(int64_t id) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  SM_TRY(auto sample, load(writer_, id));
  if (!sample) return no_sample(id);
  sample->marks.played_ms = system_clock().unix_ms();
  SM_TRY(Statement store,
         writer_.prepare("INSERT OR REPLACE INTO sample_mark (id, marks) VALUES (?,?)"));
  SM_CHECK_OK(store.integer(id).text(std::string_view(marks_json(sample->marks))).run());
  Changes changes;
  changes.put(std::move(*sample));
  changes.apply(*this);
  return ok();
}

Result<std::vector<JournalEntry>> SqliteCatalogue::journal(int limit) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows,
         reader_.prepare("SELECT id, at_ms, what, state, (SELECT count(*) FROM journal_row r WHERE "
                         "r.journal_id=j.id) FROM journal j ORDER BY id DESC LIMIT ?"));
  rows.integer(limit);
  std::vector<JournalEntry> list;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return list;
    list.push_back(read_entry(rows));
  }
}

Result<JournalEntry> SqliteCatalogue::undo(std::optional<int64_t> id) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  std::string kind;
  std::optional<JournalEntry> found;
  {
    SM_TRY(Statement rows,
           writer_.prepare("SELECT id, at_ms, what, state, (SELECT count(*) FROM journal_row r "
                           "WHERE r.journal_id=j.id), kind FROM journal j WHERE "
                           "CASE WHEN ?1 IS NULL THEN state='done' ELSE id=?1 END "
                           "ORDER BY id DESC LIMIT 1"));
    if (id) {
      rows.integer(*id);
    } else {
      rows.null();
    }
    SM_TRY(const bool row, rows.step());
    if (row) {
      found = read_entry(rows);
      kind = rows.get_bytes(5);
    }
  }
  SM_CHECK_OK(check_undo(found, kind, id));
  JournalEntry entry = *found;
  Changes changes;
  SM_CHECK_OK(undo_rows(entry.id, kind, changes));
  SM_TRY(Statement mark, writer_.prepare("UPDATE journal SET state='undone' WHERE id=?"));
  SM_CHECK_OK(mark.integer(entry.id).run());
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  entry.state = "undone";
  return entry;
}

Result<void> SqliteCatalogue::undo_rows(int64_t journal_id, std::string_view kind,
                                        Changes& changes) {
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  SM_TRY(Statement rows, writer_.prepare("SELECT sample_id, before FROM journal_row WHERE "
                                         "journal_id=? ORDER BY n DESC"));
  rows.integer(journal_id);
  std::vector<Move> back;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) break;
    const std::string before = rows.get_bytes(1);
    if (kind == "marks") {
      SM_CHECK_OK(put_back_marks(writers, rows.get_integer(0), before, changes));
    } else if (kind == "collection") {
      SM_CHECK_OK(put_back_collection(before));
    } else if (kind == "purge") {
      SM_CHECK_OK(put_back_purged(before, changes));
    } else if (kind == "relocate") {
      SM_TRY(const Move moved, read_move(rows.get_integer(0), before));
      back.push_back({moved.id, "", moved.from});
    }
  }
  return move_rows(back, changes);
}

Result<void> SqliteCatalogue::put_back_marks(Writers& writers, int64_t id,
                                             const std::string& before, Changes& changes) {
  SM_TRY(auto sample, load(writer_, id));
  if (!sample) return ok();  // purged since
  SM_TRY(const JsonValue value, JsonValue::parse(before));
  Marks marks = marks_from_json(value);
  marks.played_ms = sample->marks.played_ms;
  if (marks.empty()) {
    SM_TRY(Statement drop, writer_.prepare("DELETE FROM sample_mark WHERE id=?"));
    SM_CHECK_OK(drop.integer(id).run());
  } else {
    SM_TRY(Statement store,
           writer_.prepare("INSERT OR REPLACE INTO sample_mark (id, marks) VALUES (?,?)"));
    SM_CHECK_OK(store.integer(id).text(std::string_view(marks_json(marks))).run());
  }
  if (sample->error.empty()) return rewrite(writers, std::move(*sample), changes);
  sample->marks = std::move(marks);
  changes.put(std::move(*sample));
  return ok();
}

// ---- purge and relocate: here for what their undoing needs ----

Result<EditReport> SqliteCatalogue::purge(const std::vector<int64_t>& ids) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  EditReport report;
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  Changes changes;
  SM_TRY(Statement remove, writer_.prepare("DELETE FROM sample WHERE id=?"));
  SM_TRY(Statement in, writer_.prepare("SELECT c.name FROM collection_sample cs JOIN collection c "
                                       "ON c.id=cs.collection_id WHERE cs.sample_id=?"));
  for (const int64_t id : ids) {
    SM_TRY(const auto sample, load(writer_, id));
    if (!sample) continue;
    if (!sample->missing) return not_missing(*sample);
    if (report.journal_id == 0) {
      SM_TRY(report.journal_id, add_journal("purge", "purge missing sounds", "done"));
    }
    std::vector<std::string> collections;
    in.reset();
    in.integer(id);
    for (;;) {
      SM_TRY(const bool more, in.step());
      if (!more) break;
      collections.push_back(in.get_bytes(0));
    }
    SM_CHECK_OK(add_journal_row(report.journal_id, report.changed, id,
                                purged_before(*sample, collections)));
    remove.reset();
    SM_CHECK_OK(remove.integer(id).run());
    changes.remove(id);
    ++report.changed;
  }
  if (report.changed == 0) return report;
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return report;
}

Result<void> SqliteCatalogue::put_back_purged(const std::string& before, Changes& changes) {
  SM_TRY(Purged purged, read_purged(before));
  Sample& s = purged.sample;
  {
    // Met again since: the new sound stays.
    SM_TRY(Statement there, writer_.prepare("SELECT 1 FROM sample WHERE path=?"));
    SM_TRY(const bool row, there.blob(s.file.path).step());
    if (row) return ok();
  }
  const int64_t id = s.id;
  {
    SM_TRY(Statement row, writer_.prepare("INSERT INTO sample (id, path, size, mtime_ns, added_ms, "
                                          "analysis_version) VALUES (?,?,0,0,?,0)"));
    SM_CHECK_OK(row.integer(id).blob(s.file.path).integer(s.added_ms).run());
  }
  if (!s.marks.empty()) {
    SM_TRY(Statement store,
           writer_.prepare("INSERT OR REPLACE INTO sample_mark (id, marks) VALUES (?,?)"));
    SM_CHECK_OK(store.integer(id).text(std::string_view(marks_json(s.marks))).run());
  }
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  SM_TRY(const int64_t written, write(writers, std::move(s), changes));
  (void)written;
  for (const std::string& name : purged.collections) {
    int64_t collection = 0;
    SM_TRY(const auto found, find_collection(writer_, name, &collection));
    if (!found) continue;
    SM_TRY(Statement add,
           writer_.prepare("INSERT OR IGNORE INTO collection_sample (collection_id, position, "
                           "sample_id) SELECT ?1, coalesce(max(position),0)+1, ?2 FROM "
                           "collection_sample WHERE collection_id=?1"));
    SM_CHECK_OK(add.integer(collection).integer(id).run());
  }
  return ok();
}

Result<EditReport> SqliteCatalogue::relocate(const std::string& from_in, const std::string& to_in) {
  std::string from = from_in;
  std::string to = to_in;
  SM_CHECK_OK(check_relocate(from, to));
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  std::vector<Move> moves;
  {
    SM_TRY(Statement rows, writer_.prepare("SELECT id, path FROM sample WHERE path=?1 OR "
                                           "(path>?2 AND path<?3) ORDER BY id"));
    rows.blob(from).blob(from + "/").blob(from + "0");
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) break;
      const std::string path = rows.get_bytes(1);
      moves.push_back({rows.get_integer(0), path, to + path.substr(from.size())});
    }
  }
  if (moves.empty()) return nothing_below(from_in);
  EditReport report;
  SM_TRY(report.journal_id,
         add_journal("relocate", "relocate " + from_in + " to " + to_in, "done"));
  for (const Move& m : moves)
    SM_CHECK_OK(add_journal_row(report.journal_id, report.changed++, m.id, move_before(m)));
  Changes changes;
  SM_CHECK_OK(move_rows(moves, changes));
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return report;
}

// Gives rows new paths and settles them anew; a row that is already at a target gives way when its
// own file is missing, else the target is refused.
Result<void> SqliteCatalogue::move_rows(const std::vector<Move>& moves, Changes& changes) {
  if (moves.empty()) return ok();
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  SM_TRY(Statement update, writer_.prepare("UPDATE sample SET path=? WHERE id=?"));
  SM_TRY(Statement other, writer_.prepare("SELECT id FROM sample WHERE path=? AND id<>?"));
  SM_TRY(Statement remove, writer_.prepare("DELETE FROM sample WHERE id=?"));
  // First out of each other's way: a renaming may swap names.
  for (const Move& m : moves) {
    update.reset();
    SM_CHECK_OK(
        update.blob(std::string("\0moving/", 8) + std::to_string(m.id)).integer(m.id).run());
  }
  for (const Move& m : moves) {
    other.reset();
    SM_TRY(const bool taken, other.blob(m.to).integer(m.id).step());
    if (taken) {
      const int64_t there = other.get_integer(0);
      other.reset();
      remove.reset();
      SM_CHECK_OK(remove.integer(there).run());
      changes.remove(there);
    }
    update.reset();
    SM_CHECK_OK(update.blob(m.to).integer(m.id).run());
    SM_TRY(auto sample, load(writer_, m.id));
    if (!sample) continue;
    if (sample->error.empty()) {
      SM_CHECK_OK(rewrite(writers, std::move(*sample), changes));
    } else {
      changes.put(std::move(*sample));
    }
  }
  return ok();
}

// ---- renaming files ----

Result<int64_t> SqliteCatalogue::begin_move(std::string_view what,
                                            const std::vector<Move>& moves_in) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  SM_TRY(const int64_t id, add_journal("move", what, "pending"));
  int64_t n = 0;
  for (const Move& m : moves_in) SM_CHECK_OK(add_journal_row(id, n++, m.id, move_before(m)));
  SM_CHECK_OK(transaction.commit());
  return id;
}

Result<void> SqliteCatalogue::finish_move(int64_t journal_id, const std::vector<Move>& done) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  Changes changes;
  SM_CHECK_OK(move_rows(done, changes));
  SM_TRY(Statement state, writer_.prepare("UPDATE journal SET state='done' WHERE id=?"));
  SM_CHECK_OK(state.integer(journal_id).run());
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return ok();
}

Result<std::vector<Move>> SqliteCatalogue::moves(int64_t journal_id) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement kind, reader_.prepare("SELECT kind FROM journal WHERE id=?"));
  SM_TRY(const bool there, kind.integer(journal_id).step());
  if (!there || kind.get_bytes(0) != "move") return no_renaming(journal_id);
  SM_TRY(
      Statement rows,
      reader_.prepare("SELECT sample_id, before FROM journal_row WHERE journal_id=? ORDER BY n"));
  rows.integer(journal_id);
  std::vector<Move> list;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return list;
    SM_TRY(Move move, read_move(rows.get_integer(0), rows.get_bytes(1)));
    list.push_back(std::move(move));
  }
}

Result<void> SqliteCatalogue::mark_undone(int64_t journal_id) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  SM_TRY(Statement state, writer_.prepare("UPDATE journal SET state='undone' WHERE id=?"));
  return state.integer(journal_id).run();
}

// ---- changes inside files ----

Result<int64_t> SqliteCatalogue::add_files_change(std::string_view what, const std::string& record,
                                                  const std::vector<int64_t>& ids) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  SM_TRY(const int64_t id, add_journal(kFilesChange, what, "done"));
  int64_t n = 0;
  for (const int64_t sample : ids) SM_CHECK_OK(add_journal_row(id, n++, sample, record));
  SM_CHECK_OK(transaction.commit());
  return id;
}

Result<std::optional<std::string>> SqliteCatalogue::files_record(int64_t journal_id) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows, reader_.prepare("SELECT r.before FROM journal j JOIN journal_row r ON "
                                         "r.journal_id=j.id WHERE j.id=? AND j.kind=? LIMIT 1"));
  SM_TRY(const bool row, rows.integer(journal_id).text(kFilesChange).step());
  if (!row) return std::optional<std::string>();
  return std::optional(std::string(rows.get_bytes(0)));
}

// A renaming that a crash cut off: the files that have their new names get them in the library too,
// the others keep their old ones.
Result<void> SqliteCatalogue::finish_pending_moves() {
  std::vector<int64_t> pending;
  {
    SM_TRY(Statement rows,
           writer_.prepare("SELECT id FROM journal WHERE kind='move' AND state='pending'"));
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) break;
      pending.push_back(rows.get_integer(0));
    }
  }
  for (const int64_t id : pending) {
    Transaction transaction(writer_);
    SM_CHECK_OK(transaction.begin());
    std::vector<Move> done;
    std::vector<int64_t> left;
    {
      SM_TRY(Statement rows,
             writer_.prepare("SELECT sample_id, before, n FROM journal_row WHERE journal_id=?"));
      rows.integer(id);
      for (;;) {
        SM_TRY(const bool more, rows.step());
        if (!more) break;
        SM_TRY(Move m, read_move(rows.get_integer(0), rows.get_bytes(1)));
        if (was_moved(m)) {
          done.push_back(std::move(m));
        } else {
          left.push_back(rows.get_integer(2));
        }
      }
    }
    SM_TRY(Statement drop, writer_.prepare("DELETE FROM journal_row WHERE journal_id=? AND n=?"));
    for (const int64_t n : left) {
      drop.reset();
      SM_CHECK_OK(drop.integer(id).integer(n).run());
    }
    Changes ignored;
    SM_CHECK_OK(move_rows(done, ignored));
    SM_TRY(Statement state, writer_.prepare("UPDATE journal SET state='done' WHERE id=?"));
    SM_CHECK_OK(state.integer(id).run());
    SM_CHECK_OK(transaction.commit());
  }
  return ok();
}

}  // namespace samplemind::library
