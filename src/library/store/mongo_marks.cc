// What the user says about sounds, and the journal that can take it back.
#include <algorithm>

#include "library/store/mongo_internal.h"

namespace samplemind::library {

namespace {

constexpr size_t kWhatMax = 200;

std::vector<int64_t> ids_of(const std::vector<std::pair<int64_t, Marks>>& marks) {
  std::vector<int64_t> ids;
  for (const auto& [id, ignored] : marks) ids.push_back(id);
  return ids;
}

Doc journal_of(int64_t id) {
  return Doc().integer("_id", id);
}

JournalEntry read_entry(const DocView& d) {
  return JournalEntry{d.integer("_id"), d.integer("at_ms"), d.blob("what"), d.text("state"),
                      d.integer("changes")};
}

}  // namespace

// Beside what was said already, by the ids in parts: the sounds may be many.
Result<EditReport> MongoCatalogue::write_marks(const MarksOfIds& marks, std::string_view what) {
  EditReport report;
  MarksOfIds changed;
  std::vector<Row> rows;
  auto written = in_parts(marks, [&](const MarksOfIds& part) -> Result<void> {
    std::unordered_map<int64_t, Marks> now;
    SM_TRY(auto samples, load(ids_of(part)));
    for (Sample& s : samples) now[s.id] = std::move(s.marks);
    rows.clear();
    for (const auto& [id, after] : part) {
      const auto it = now.find(id);
      if (it == now.end() || it->second == after) continue;
      rows.push_back({id, marks_json(it->second)});
      it->second = after;
      changed.emplace_back(id, after);
    }
    if (rows.empty()) return ok();
    if (report.journal_id == 0) {
      SM_TRY(report.journal_id, next_journal_id());
    }
    SM_CHECK_OK(add_rows(report.journal_id, report.changed, rows));
    report.changed += static_cast<int64_t>(rows.size());
    return ok();
  });
  SM_CHECK_OK(std::move(written));
  if (report.changed == 0) return report;
  SM_CHECK_OK(add_entry(report.journal_id, "marks", what, report.changed));
  Changes changes;
  SM_CHECK_OK(end_write(store_marks(changed, changes), changes));
  return report;
}

Result<void> MongoCatalogue::store_marks(const MarksOfIds& marks, Changes& changes) {
  return in_parts(marks, [&](const MarksOfIds& part) -> Result<void> {
    std::vector<MongoLink::Write> writes;
    for (const auto& [id, after] : part) {
      const Doc set = Doc().text("marks", marks_json(after));
      writes.push_back({id, Doc().doc("$set", set), false});
    }
    SM_CHECK_OK(link_->write("samples", writes));
    SM_TRY(auto samples, load(ids_of(part)));
    for (Sample& s : samples) changes.put(std::move(s));
    return ok();
  });
}

Result<EditReport> MongoCatalogue::edit(const std::vector<int64_t>& ids,
                                        const MarksChange& change) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  MarksOfIds marks;
  SM_CHECK_OK(in_parts(ids, [&](const std::vector<int64_t>& part) -> Result<void> {
    SM_TRY(const auto samples, load(part));
    size_t next = 0;
    for (const int64_t id : part) {
      if (next == samples.size() || samples[next].id != id) return no_sample(id);
      SM_TRY(Marks after, edited(samples[next++], change));
      marks.emplace_back(id, std::move(after));
    }
    return ok();
  }));
  return write_marks(marks, describe(change));
}

Result<EditReport> MongoCatalogue::set_marks(const MarksOfIds& marks, std::string_view what) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  return write_marks(marks, what);
}

Result<void> MongoCatalogue::played(int64_t id) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(auto sample, get(id));
  if (!sample) return no_sample(id);
  sample->marks.played_ms = system_clock().unix_ms();
  Changes changes;
  return end_write(store_marks({{id, sample->marks}}, changes), changes);
}

// ---- the journal ----

Result<void> MongoCatalogue::add_rows(int64_t journal_id, int64_t first,
                                      const std::vector<Row>& rows) {
  const auto count = static_cast<int64_t>(rows.size());
  SM_TRY(const int64_t last, link_->add("meta", "journal_rows", "n", count));
  std::vector<MongoLink::Write> writes;
  for (int64_t i = 0; i < count; ++i) {
    const Row& row = rows[static_cast<size_t>(i)];
    Doc d;
    d.integer("_id", last - count + 1 + i).integer("journal", journal_id).integer("n", first + i);
    d.integer("sample", row.sample).text("before", row.before);
    writes.push_back({last - count + 1 + i, std::move(d), true});
  }
  return link_->write("journal_rows", writes);
}

Result<void> MongoCatalogue::add_entry(int64_t id, std::string_view kind, std::string_view what,
                                       int64_t rows, std::string_view state) {
  Doc d = journal_of(id);
  d.integer("at_ms", system_clock().unix_ms()).text("kind", kind);
  d.blob("what", what.substr(0, kWhatMax)).text("state", state).integer("changes", rows);
  return link_->insert("journal", d);
}

Result<std::vector<JournalEntry>> MongoCatalogue::journal(int limit) {
  std::vector<JournalEntry> list;
  if (limit <= 0) return list;
  const Doc newest = Doc().integer("_id", -1);
  SM_CHECK_OK(link_->find(
      "journal", Doc(),
      [&list](const DocView& d) -> Result<void> {
        list.push_back(read_entry(d));
        return ok();
      },
      &newest, nullptr, limit));
  return list;
}

Result<JournalEntry> MongoCatalogue::undo(std::optional<int64_t> id) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  std::optional<JournalEntry> entry;
  std::string kind;
  const auto look = [&](const Doc& filter) {
    const Doc newest = Doc().integer("_id", -1);
    return link_->find(
        "journal", filter,
        [&](const DocView& d) -> Result<void> {
          entry = read_entry(d);
          kind = d.text("kind");
          return ok();
        },
        &newest, nullptr, 1);
  };
  // One that broke off goes on.
  SM_CHECK_OK(look(id ? journal_of(*id) : Doc().text("state", "undoing")));
  if (!entry && !id) SM_CHECK_OK(look(Doc().text("state", "done")));
  if (entry && entry->state == "undoing") entry->state = "done";
  SM_CHECK_OK(check_undo(entry, kind, id));
  SM_CHECK_OK(set_state(entry->id, "undoing"));
  Changes changes;
  SM_CHECK_OK(end_write(undo_rows(entry->id, kind, changes), changes));
  SM_CHECK_OK(set_state(entry->id, "undone"));
  entry->state = "undone";
  return *entry;
}

Result<void> MongoCatalogue::undo_rows(int64_t journal_id, std::string_view kind,
                                       Changes& changes) {
  if (kind == "marks") return undo_marks(journal_id, changes);
  if (kind == "collection") return undo_collection(journal_id);
  if (kind == "purge") return put_back_purged(journal_id, changes);
  SM_TRY(const auto back, stored_moves(journal_id, true));
  return move_rows(back, changes);
}

// The last row first: a sound that a change names twice gets back what it had at first.
Result<void> MongoCatalogue::undo_marks(int64_t journal_id, Changes& changes) {
  MarksOfIds before;
  const Doc last_first = Doc().integer("n", -1);
  SM_CHECK_OK(link_->find(
      "journal_rows", Doc().integer("journal", journal_id),
      [&before](const DocView& d) -> Result<void> {
        SM_TRY(const JsonValue value, JsonValue::parse(d.text("before")));
        before.emplace_back(d.integer("sample"), marks_from_json(value));
        return ok();
      },
      &last_first));
  // Listening is no change that is taken back.
  std::unordered_map<int64_t, int64_t> played;
  SM_CHECK_OK(in_parts(before, [&](const MarksOfIds& part) -> Result<void> {
    SM_TRY(const auto samples, load(ids_of(part)));
    for (const Sample& s : samples) played[s.id] = s.marks.played_ms;
    return ok();
  }));
  for (auto& [id, marks] : before) marks.played_ms = played[id];
  return store_marks(before, changes);
}

Result<void> MongoCatalogue::undo_collection(int64_t journal_id) {
  std::string before;
  SM_CHECK_OK(link_->find("journal_rows", Doc().integer("journal", journal_id),
                          [&before](const DocView& d) -> Result<void> {
                            before = d.text("before");
                            return ok();
                          }));
  SM_TRY(const JsonValue v, JsonValue::parse(before));
  const std::string name = v["name"].string_or("");
  if (v["absent"].bool_or(false)) {
    SM_TRY(const int64_t gone, link_->remove("collections", collection_id(name)));
    (void)gone;
    return ok();
  }
  std::vector<int64_t> samples;
  for (const JsonValue& s : v["samples"].items()) samples.push_back(s.integer_or(0));
  SM_TRY(samples, existing(samples));
  return store_collection(
      {{name, v["query"].string_or(""), v["note"].string_or(""), v["created_ms"].integer_or(0)},
       samples});
}

}  // namespace samplemind::library
