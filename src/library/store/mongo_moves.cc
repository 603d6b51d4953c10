// Sounds that get other paths, and sounds that are forgotten. Without transactions: the journal has
// the whole change first, as "pending" (or "undoing"), and open() carries on with what a crash cut
// off; doing any of it twice does no harm.
#include <algorithm>
#include <map>

#include "library/store/mongo_internal.h"

namespace samplemind::library {

namespace {

// A path that no file has, for a sound whose next path another one leaves only later.
constexpr std::string_view kOnTheWay{"\0moving/", 8};

Doc set_path(const std::string& path) {
  return Doc().doc("$set", Doc().blob("path", path));
}

}  // namespace

Result<std::unordered_map<std::string, int64_t>> MongoCatalogue::ids_at(
    const std::vector<std::string>& paths) {
  std::unordered_map<std::string, int64_t> found;
  const Doc fields = Doc().integer("path", 1);
  SM_CHECK_OK(in_parts(paths, [&](const std::vector<std::string>& part) {
    return link_->find(
        "samples", Doc().doc("path", Doc().blobs("$in", part)),
        [&found](const DocView& d) -> Result<void> {
          found[d.blob("path")] = d.integer("_id");
          return ok();
        },
        nullptr, &fields);
  }));
  return found;
}

// From their collections too.
Result<void> MongoCatalogue::remove_samples(const std::vector<int64_t>& ids, Changes& changes) {
  return in_parts(ids, [&](const std::vector<int64_t>& part) -> Result<void> {
    const Doc these = Doc().integers("$in", part);
    SM_TRY(const int64_t in, link_->update("collections", Doc().doc("samples", these),
                                           Doc().doc("$pull", Doc().doc("samples", these))));
    (void)in;
    SM_TRY(const int64_t removed, link_->remove("samples", Doc().doc("_id", these)));
    (void)removed;
    for (const int64_t id : part) changes.remove(id);
    return ok();
  });
}

// A sound that is already at a target gives way, as its file has.
Result<void> MongoCatalogue::move_rows(const std::vector<Move>& moves, Changes& changes) {
  std::unordered_map<int64_t, const Move*> movers;
  std::vector<std::string> targets;
  for (const Move& m : moves) {
    movers[m.id] = &m;
    targets.push_back(m.to);
  }
  SM_TRY(const auto there, ids_at(targets));
  std::vector<int64_t> in_the_way;
  std::vector<MongoLink::Write> aside, writes;
  for (const auto& [path, id] : there) {
    const auto mover = movers.find(id);
    if (mover == movers.end()) {
      in_the_way.push_back(id);
    } else if (mover->second->to != path) {
      aside.push_back({id, set_path(std::string(kOnTheWay) + std::to_string(id)), false});
    }
  }
  SM_CHECK_OK(remove_samples(in_the_way, changes));
  SM_CHECK_OK(link_->write("samples", aside));
  std::vector<int64_t> ids;
  for (const auto& [id, move] : movers) {
    writes.push_back({id, set_path(move->to), false});
    ids.push_back(id);
  }
  SM_CHECK_OK(link_->write("samples", writes));
  SM_TRY(auto samples, load(ids));
  for (Sample& s : samples) changes.put(std::move(s));
  return ok();
}

Result<void> MongoCatalogue::set_state(int64_t journal_id, std::string_view state) {
  SM_TRY(const int64_t marked, link_->update("journal", Doc().integer("_id", journal_id),
                                             Doc().doc("$set", Doc().text("state", state))));
  (void)marked;
  return ok();
}

// The journal's part of a change of paths. `back`: as they were before.
Result<std::vector<Move>> MongoCatalogue::stored_moves(int64_t journal_id, bool back) {
  std::vector<Move> list;
  const Doc order = Doc().integer("n", 1);
  SM_CHECK_OK(link_->find(
      "journal_rows", Doc().integer("journal", journal_id),
      [&](const DocView& d) -> Result<void> {
        SM_TRY(Move m, read_move(d.integer("sample"), d.text("before")));
        if (back) std::swap(m.from, m.to);
        list.push_back(std::move(m));
        return ok();
      },
      &order));
  return list;
}

Result<int64_t> MongoCatalogue::plan_moves(std::string_view kind, std::string_view what,
                                           const std::vector<Move>& moves) {
  SM_TRY(const int64_t id, next_journal_id());
  std::vector<Row> rows;
  for (const Move& m : moves) rows.push_back({m.id, move_before(m)});
  SM_CHECK_OK(add_rows(id, 0, rows));
  SM_CHECK_OK(add_entry(id, kind, what, static_cast<int64_t>(rows.size()), "pending"));
  return id;
}

Result<void> MongoCatalogue::finish_pending() {
  struct Pending {
    int64_t id;
    std::string kind, state;
  };
  std::vector<Pending> pending;
  for (const char* state : {"pending", "undoing"}) {
    SM_CHECK_OK(link_->find(
        "journal", Doc().text("state", state), [&pending](const DocView& d) -> Result<void> {
          pending.push_back({d.integer("_id"), d.text("kind"), d.text("state")});
          return ok();
        }));
  }
  for (const Pending& p : pending) {
    const bool back = p.state == "undoing";
    Changes changes;  // the index is filled after this
    if (back) {
      SM_CHECK_OK(undo_rows(p.id, p.kind, changes));
    } else if (p.kind == "purge") {
      SM_CHECK_OK(drop_purged(p.id, changes));
    } else {
      SM_TRY(std::vector<Move> moves, stored_moves(p.id, false));
      // Of files that a crash left half renamed those have their new names in the library too that
      // have them on the disk.
      if (p.kind == "move") std::erase_if(moves, [](const Move& m) { return !was_moved(m); });
      SM_CHECK_OK(move_rows(moves, changes));
      if (p.kind == "move") SM_CHECK_OK(keep_rows(p.id, moves));
    }
    SM_CHECK_OK(set_state(p.id, back ? "undone" : "done"));
  }
  return ok();
}

// A renaming is taken back by its rows: only those stay that were done.
Result<void> MongoCatalogue::keep_rows(int64_t journal_id, const std::vector<Move>& done) {
  std::vector<int64_t> ids;
  for (const Move& m : done) ids.push_back(m.id);
  SM_TRY(const int64_t dropped,
         link_->remove(
             "journal_rows",
             Doc().integer("journal", journal_id).doc("sample", Doc().integers("$nin", ids))));
  SM_TRY(const int64_t told, link_->update("journal", Doc().integer("_id", journal_id),
                                           Doc().doc("$inc", Doc().integer("changes", -dropped))));
  (void)told;
  return ok();
}

// ---- renaming files ----

Result<int64_t> MongoCatalogue::begin_move(std::string_view what, const std::vector<Move>& moves) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  return plan_moves("move", what, moves);
}

Result<void> MongoCatalogue::finish_move(int64_t journal_id, const std::vector<Move>& done) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  Changes changes;
  SM_CHECK_OK(end_write(move_rows(done, changes), changes));
  return set_state(journal_id, "done");
}

Result<std::vector<Move>> MongoCatalogue::moves(int64_t journal_id) {
  bool renamed = false;
  SM_CHECK_OK(link_->find("journal", Doc().integer("_id", journal_id),
                          [&renamed](const DocView& d) -> Result<void> {
                            renamed = d.text("kind") == "move";
                            return ok();
                          }));
  if (!renamed) return no_renaming(journal_id);
  return stored_moves(journal_id, false);
}

Result<void> MongoCatalogue::mark_undone(int64_t journal_id) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  return set_state(journal_id, "undone");
}

// ---- changes inside files ----

Result<int64_t> MongoCatalogue::add_files_change(std::string_view what, const std::string& record,
                                                 const std::vector<int64_t>& ids) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  SM_TRY(const int64_t id, next_journal_id());
  std::vector<Row> rows;
  for (const int64_t sample : ids) rows.push_back({sample, record});
  SM_CHECK_OK(add_rows(id, 0, rows));
  SM_CHECK_OK(add_entry(id, kFilesChange, what, static_cast<int64_t>(rows.size()), "done"));
  return id;
}

Result<std::optional<std::string>> MongoCatalogue::files_record(int64_t journal_id) {
  std::string kind;
  std::optional<std::string> record;
  SM_CHECK_OK(link_->find("journal", Doc().integer("_id", journal_id),
                          [&kind](const DocView& d) -> Result<void> {
                            kind = d.text("kind");
                            return ok();
                          }));
  if (kind != kFilesChange) return record;
  SM_CHECK_OK(link_->find(
      "journal_rows", Doc().integer("journal", journal_id),
      [&record](const DocView& d) -> Result<void> {
        record = d.text("before");
        return ok();
      },
      nullptr, nullptr, 1));
  return record;
}

// ---- relocating ----

Result<EditReport> MongoCatalogue::relocate(const std::string& from_in, const std::string& to_in) {
  std::string from = from_in;
  std::string to = to_in;
  SM_CHECK_OK(check_relocate(from, to));
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  // All paths are looked through: MongoDB orders binary values by their length first.
  std::vector<Move> moves;
  SM_TRY(const auto all, known());
  for (const auto& [path, sound] : all) {
    if (path == from || path.starts_with(from + "/"))
      moves.push_back({sound.id, path, to + path.substr(from.size())});
  }
  if (moves.empty()) return nothing_below(from_in);
  std::sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) { return a.id < b.id; });
  EditReport report;
  report.changed = static_cast<int64_t>(moves.size());
  SM_TRY(report.journal_id, plan_moves("relocate", "relocate " + from_in + " to " + to_in, moves));
  Changes changes;
  SM_CHECK_OK(end_write(move_rows(moves, changes), changes));
  SM_CHECK_OK(set_state(report.journal_id, "done"));
  return report;
}

// ---- purging ----

Result<EditReport> MongoCatalogue::purge(const std::vector<int64_t>& ids) {
  const std::lock_guard lock(write_mutex_);
  SM_CHECK_OK(begin_write());
  std::unordered_map<int64_t, std::vector<std::string>> in;
  SM_CHECK_OK(link_->find("collections", Doc(), [&in](const DocView& d) -> Result<void> {
    for (const int64_t id : d.integers("samples")) in[id].push_back(d.blob("name"));
    return ok();
  }));
  std::vector<Row> rows;
  EditReport report;
  SM_TRY(const auto there, existing(ids));
  auto written = in_parts(there, [&](const std::vector<int64_t>& part) -> Result<void> {
    SM_TRY(const auto samples, load(part));
    rows.clear();
    for (const Sample& s : samples) {
      // Rows without an entry are of no change.
      if (!s.missing) return not_missing(s);
      rows.push_back({s.id, purged_before(s, in[s.id])});
    }
    if (report.journal_id == 0) {
      SM_TRY(report.journal_id, next_journal_id());
    }
    SM_CHECK_OK(add_rows(report.journal_id, report.changed, rows));
    report.changed += static_cast<int64_t>(rows.size());
    return ok();
  });
  SM_CHECK_OK(std::move(written));
  if (report.changed == 0) return report;
  SM_CHECK_OK(
      add_entry(report.journal_id, "purge", "purge missing sounds", report.changed, "pending"));
  Changes changes;
  SM_CHECK_OK(end_write(drop_purged(report.journal_id, changes), changes));
  SM_CHECK_OK(set_state(report.journal_id, "done"));
  return report;
}

Result<void> MongoCatalogue::drop_purged(int64_t journal_id, Changes& changes) {
  std::vector<int64_t> ids;
  const Doc fields = Doc().integer("sample", 1);
  SM_CHECK_OK(link_->find(
      "journal_rows", Doc().integer("journal", journal_id),
      [&ids](const DocView& d) -> Result<void> {
        ids.push_back(d.integer("sample"));
        return ok();
      },
      nullptr, &fields));
  return remove_samples(ids, changes);
}

Result<void> MongoCatalogue::put_back_purged(int64_t journal_id, Changes& changes) {
  std::vector<Purged> list;
  const Doc order = Doc().integer("n", 1);
  SM_CHECK_OK(link_->find(
      "journal_rows", Doc().integer("journal", journal_id),
      [&list](const DocView& d) -> Result<void> {
        SM_TRY(Purged one, read_purged(d.text("before")));
        list.push_back(std::move(one));
        return ok();
      },
      &order));
  std::vector<std::string> paths;
  for (const Purged& p : list) paths.push_back(p.sample.file.path);
  SM_TRY(const auto there, ids_at(paths));
  std::vector<Sample> samples;
  std::map<std::string, std::vector<int64_t>> places;
  for (Purged& p : list) {
    // Met again since: the new sound stays.
    const auto it = there.find(p.sample.file.path);
    if (it != there.end() && it->second != p.sample.id) continue;
    for (const std::string& name : p.collections) places[name].push_back(p.sample.id);
    samples.push_back(std::move(p.sample));
  }
  for (const auto& [name, ids] : places) {
    const Doc each = Doc().integers("$each", ids);
    SM_TRY(const int64_t in, link_->update("collections", collection_id(name),
                                           Doc().doc("$addToSet", Doc().doc("samples", each))));
    (void)in;
  }
  return store_heard(std::move(samples), changes);
}

}  // namespace samplemind::library
