// Watching, backup and restore, check and repair.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "library/store/catalogue_internal.h"
#include "library/store/schema.h"

namespace samplemind::library {

namespace {

// Rows of the tables beside `sample` whose sound is not there.
constexpr std::array<std::array<const char*, 3>, 4> kOrphans{
    {{"measurements", "sample_detail", "id"},
     {"descriptors", "sample_vector", "id"},
     {"marks", "sample_mark", "id"},
     {"places in collections", "collection_sample", "sample_id"}}};

Result<int64_t> one_number(Connection& c, const std::string& sql) {
  SM_TRY(Statement rows, c.prepare(sql));
  SM_TRY(const bool row, rows.step());
  return row ? rows.get_integer(0) : 0;
}

std::string orphan_condition(const std::array<const char*, 3>& o) {
  return std::string(" FROM ") + o[1] + " WHERE " + o[2] + " NOT IN (SELECT id FROM sample)";
}

Result<void> integrity(Connection& c) {
  SM_TRY(Statement rows, c.prepare("PRAGMA main.integrity_check"));
  SM_TRY(const bool row, rows.step());
  const std::string answer = row ? rows.get_bytes(0) : "no answer";
  if (answer == "ok") return ok();
  return Error(ErrorCode::kDataLoss, "the library's file is damaged: " + answer,
               "'samplemind library check --repair' saves what can be read");
}

Result<FileLock> lock_alone(const fs::path& home) {
  auto lock = FileLock::acquire(home / "library.lock");
  if (lock.ok()) return lock;
  if (lock.error().code() != ErrorCode::kAlreadyExists) return std::move(lock).error();
  return Error(ErrorCode::kAlreadyExists,
               "the library in " + home.string() + " is open in another process",
               "samplemind down, then again");
}

// Copies a database, page by page, with SQLite's own means.
Result<void> copy_database(Connection& from, const fs::path& to) {
  Connection target;
  SM_CHECK_OK(target.open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  ::chmod(to.c_str(), 0600);
  sqlite3_backup* const copy = sqlite3_backup_init(target.raw(), "main", from.raw(), "main");
  if (copy == nullptr) return target.error("copy");
  const int code = sqlite3_backup_step(copy, -1);
  sqlite3_backup_finish(copy);
  if (code != SQLITE_DONE) return target.error("copy");
  return ok();
}

void remove_database(const fs::path& file) {
  std::error_code ignored;
  for (const char* tail : {"", "-wal", "-shm", "-journal"})
    fs::remove(file.string() + tail, ignored);
}

Result<void> rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return errno_error(errno, "rename " + from.string() + " to " + to.string());
  return ok();
}

}  // namespace

Result<std::vector<std::string>> SqliteCatalogue::watched() {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows, reader_.prepare("SELECT folder FROM watch ORDER BY folder"));
  std::vector<std::string> list;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return list;
    list.push_back(rows.get_bytes(0));
  }
}

Result<void> SqliteCatalogue::watch(const std::string& folder) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  SM_TRY(Statement insert, writer_.prepare("INSERT OR IGNORE INTO watch (folder) VALUES (?)"));
  return insert.blob(folder).run();
}

Result<bool> SqliteCatalogue::unwatch(const std::string& folder) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  SM_TRY(Statement drop, writer_.prepare("DELETE FROM watch WHERE folder=?"));
  SM_CHECK_OK(drop.blob(folder).run());
  return sqlite3_changes(writer_.raw()) > 0;
}

Result<void> SqliteCatalogue::backup(const fs::path& target) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(target, error)))
    return Error(ErrorCode::kAlreadyExists, target.string() + " exists already");
  const fs::path part = target.string() + ".part";
  remove_database(part);
  const std::lock_guard lock(read_mutex_);
  auto copied = copy_database(reader_, part);
  if (!copied.ok()) {
    remove_database(part);
    return std::move(copied).error().with_context("backup to " + target.string());
  }
  return rename_file(part, target);
}

Result<void> SqliteCatalogue::check() {
  const std::lock_guard lock(read_mutex_);
  SM_CHECK_OK(integrity(reader_));
  for (const auto& orphan : kOrphans) {
    SM_TRY(const int64_t n, one_number(reader_, "SELECT count(*)" + orphan_condition(orphan)));
    if (n > 0)
      return Error(ErrorCode::kDataLoss,
                   std::to_string(n) + " " + orphan[0] + " belong to no sound",
                   "'samplemind library check --repair' removes them");
  }
  return ok();
}

Result<std::vector<std::string>> SqliteCatalogue::repair() {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  std::vector<std::string> done;
  SM_CHECK_OK(writer_.run("REINDEX"));
  done.emplace_back("indices built anew");
  for (const auto& orphan : kOrphans) {
    SM_TRY(Statement drop, writer_.prepare("DELETE" + orphan_condition(orphan)));
    SM_CHECK_OK(drop.run());
    if (const int n = sqlite3_changes(writer_.raw()); n > 0)
      done.push_back(std::to_string(n) + " " + orphan[0] + " of no sound removed");
  }
  SM_CHECK_OK(integrity(writer_));
  return done;
}

Result<void> restore_library(const fs::path& home, const fs::path& backup) {
  SM_CHECK_OK(make_private_dir(home));
  SM_TRY(const FileLock lock, lock_alone(home));
  const fs::path file = home / "library.db";
  const fs::path part = home / "library.db.restoring";
  {
    Connection source;
    std::error_code ignored;
    if (!fs::exists(backup, ignored))
      return Error(ErrorCode::kNotFound, backup.string() + " does not exist");
    SM_CHECK_OK(source.open(backup, SQLITE_OPEN_READWRITE));
    SM_CHECK_OK(integrity(source));
    SM_TRY(const int64_t version, one_number(source, "PRAGMA user_version"));
    if (version < 1 || version > static_cast<int64_t>(migrations().size()))
      return Error(ErrorCode::kUnsupported,
                   backup.string() + " has schema " + std::to_string(version) +
                       ", this program knows 1 to " + std::to_string(migrations().size()));
    remove_database(part);
    SM_CHECK_OK(copy_database(source, part));
  }
  std::error_code ignored;
  if (fs::exists(file, ignored)) {
    const fs::path aside = home / "library.db.before-restore";
    remove_database(aside);
    // Its log goes with it: the two belong together.
    for (const char* tail : {"-wal", "-shm"}) {
      if (fs::exists(file.string() + tail, ignored))
        SM_CHECK_OK(rename_file(file.string() + tail, aside.string() + tail));
    }
    SM_CHECK_OK(rename_file(file, aside));
  }
  return rename_file(part, file);
}

// Table by table, row by row, until the damage ends a walk; then from the other end.
Result<int64_t> salvage_library(const fs::path& home) {
  SM_TRY(const FileLock lock, lock_alone(home));
  const fs::path file = home / "library.db";
  const fs::path part = home / "library.db.saving";
  std::error_code ignored;
  if (!fs::exists(file, ignored))
    return Error(ErrorCode::kNotFound, file.string() + " does not exist");
  remove_database(part);
  int64_t saved = 0;
  {
    Connection target;
    SM_CHECK_OK(target.open(part, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    ::chmod(part.c_str(), 0600);
    for (const char* migration : migrations()) SM_CHECK_OK(target.run(migration));
    SM_CHECK_OK(target.run(("PRAGMA user_version=" + std::to_string(migrations().size())).c_str()));
    Connection old;
    SM_CHECK_OK(old.open(file, SQLITE_OPEN_READWRITE));
    for (const char* table :
         {"sample", "sample_detail", "sample_vector", "sample_mark", "collection",
          "collection_sample", "journal", "journal_row", "watch"}) {
      for (const char* direction : {"", " DESC"}) {
        const bool rowid = std::string_view(table) != "collection_sample" &&
                           std::string_view(table) != "journal_row" &&
                           std::string_view(table) != "watch";
        if (!rowid && *direction != '\0') continue;
        auto rows = old.prepare(std::string("SELECT * FROM ") + table +
                                (rowid ? std::string(" ORDER BY rowid") + direction : ""));
        if (!rows.ok()) continue;
        const int columns = sqlite3_column_count(rows->raw());
        std::string sql = std::string("INSERT OR IGNORE INTO ") + table + " VALUES (?";
        for (int c = 1; c < columns; ++c) sql += ",?";
        auto insert = target.prepare(sql + ")");
        if (!insert.ok()) continue;
        Transaction transaction(target);
        SM_CHECK_OK(transaction.begin());
        for (;;) {
          const auto more = rows->step();
          if (!more.ok() || !*more) break;
          insert->reset();
          for (int c = 0; c < columns; ++c) {
            sqlite3_bind_value(insert->raw(), c + 1, sqlite3_column_value(rows->raw(), c));
          }
          if (insert->run().ok() && std::string_view(table) == "sample")
            saved += sqlite3_changes(target.raw());
        }
        SM_CHECK_OK(transaction.commit());
      }
    }
    if (saved == 0)
      return Error(ErrorCode::kDataLoss, "nothing of " + file.string() + " could be read",
                   "restore a backup: samplemind library restore FILE");
    for (const auto& orphan : kOrphans)
      SM_CHECK_OK(target.run(("DELETE" + orphan_condition(orphan)).c_str()));
    SM_CHECK_OK(integrity(target));
  }
  const fs::path aside = home / "library.db.damaged";
  remove_database(aside);
  for (const char* tail : {"-wal", "-shm"}) {
    if (fs::exists(file.string() + tail, ignored))
      SM_CHECK_OK(rename_file(file.string() + tail, aside.string() + tail));
  }
  SM_CHECK_OK(rename_file(file, aside));
  SM_CHECK_OK(rename_file(part, file));
  return saved;
}

}  // namespace samplemind::library
