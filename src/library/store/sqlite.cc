#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <mutex>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "library/catalogue.h"

namespace samplemind::library {

std::string Sample::name() const {
  return file.path.substr(file.path.rfind('/') + 1);
}
std::string Sample::folder() const {
  const size_t slash = file.path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : file.path.substr(0, slash);
}

namespace {

// One entry a version: version n is reached by running entries 0..n-1. Never change an entry that
// was released.
constexpr std::array<const char*, 2> kMigrations{R"sql(
CREATE TABLE sample (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path BLOB NOT NULL UNIQUE,          -- the file system's bytes: they need not be UTF-8
  size INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  digest BLOB,
  error TEXT,
  missing INTEGER NOT NULL DEFAULT 0,
  added_ms INTEGER NOT NULL,
  analysis_version INTEGER NOT NULL,
  name TEXT NOT NULL,                 -- for sorting
  format TEXT, duration_s REAL, sample_rate_hz INTEGER, channels INTEGER, bit_depth INTEGER,
  tempo_bpm REAL, tempo_confidence REAL, time_signature TEXT,
  key TEXT, key_confidence REAL,
  loudness_lufs REAL, loudness_range_lu REAL, true_peak_dbtp REAL,
  content TEXT, kind TEXT, note_midi REAL,
  lists TEXT                          -- JSON: beats_s, downbeats_s, onsets_s, warnings
);
CREATE INDEX sample_digest ON sample(digest);
CREATE INDEX sample_tempo ON sample(tempo_bpm) WHERE tempo_bpm IS NOT NULL;
CREATE INDEX sample_key ON sample(key) WHERE key IS NOT NULL;
-- What an open list shows first, and what it counts.
CREATE INDEX sample_name ON sample(name COLLATE NOCASE) WHERE error IS NULL AND missing = 0;
CREATE VIRTUAL TABLE sample_words USING fts5(name, folder, facts, tokenize = 'unicode61', prefix = '2 3');
CREATE TRIGGER sample_gone AFTER DELETE ON sample BEGIN
  DELETE FROM sample_words WHERE rowid = old.id;
END;
)sql",
                                                 R"sql(
ALTER TABLE sample ADD COLUMN kind_confidence REAL;
ALTER TABLE sample ADD COLUMN descriptor BLOB;  -- audio/feature/descriptor.h
CREATE INDEX sample_kind ON sample(kind) WHERE kind IS NOT NULL;
)sql"};

constexpr int kFactColumns = 19;    // format to descriptor
constexpr int kFolderWordsMax = 4;  // only the last folders of a path say something about the sound

struct StatementDeleter {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};

class Connection;

class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* raw) : connection_(connection), raw_(raw) {}
  Statement& text(std::string_view v) {
    sqlite3_bind_text(raw_.get(), ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& blob(std::string_view v) {
    sqlite3_bind_blob(raw_.get(), ++bound_, v.data(), static_cast<int>(v.size()), SQLITE_TRANSIENT);
    return *this;
  }
  Statement& integer(int64_t v) {
    sqlite3_bind_int64(raw_.get(), ++bound_, v);
    return *this;
  }
  Statement& real(double v) {
    sqlite3_bind_double(raw_.get(), ++bound_, v);
    return *this;
  }
  Statement& null() {
    sqlite3_bind_null(raw_.get(), ++bound_);
    return *this;
  }
  Statement& real(const std::optional<double>& v) { return v ? real(*v) : null(); }
  Statement& text(const std::optional<std::string>& v) {
    return v ? text(std::string_view(*v)) : null();
  }
  // True while there is a row.
  Result<bool> step();
  Result<void> run() {
    SM_TRY(const bool row, step());
    (void)row;
    return ok();
  }
  void reset() {
    sqlite3_reset(raw_.get());
    bound_ = 0;
  }

  int64_t get_integer(int c) const { return sqlite3_column_int64(raw_.get(), c); }
  double get_real(int c) const { return sqlite3_column_double(raw_.get(), c); }
  bool is_null(int c) const { return sqlite3_column_type(raw_.get(), c) == SQLITE_NULL; }
  std::optional<double> maybe_real(int c) const {
    return is_null(c) ? std::nullopt : std::optional(get_real(c));
  }
  std::optional<int> maybe_integer(int c) const {
    return is_null(c) ? std::nullopt : std::optional(static_cast<int>(get_integer(c)));
  }
  std::optional<std::string> maybe_text(int c) const {
    return is_null(c) ? std::nullopt : std::optional(get_bytes(c));
  }
  std::string get_bytes(int c) const {
    const void* p = sqlite3_column_blob(raw_.get(), c);
    return p == nullptr ? std::string()
                        : std::string(static_cast<const char*>(p),
                                      static_cast<size_t>(sqlite3_column_bytes(raw_.get(), c)));
  }

 private:
  Connection& connection_;
  std::unique_ptr<sqlite3_stmt, StatementDeleter> raw_;
  int bound_ = 0;
};

class Connection {
 public:
  ~Connection() { close(); }
  void close() {
    sqlite3_close_v2(db_);
    db_ = nullptr;
  }
  const std::string& file() const { return file_; }
  Result<void> open(const fs::path& file, int flags) {
    file_ = file.string();
    if (sqlite3_open_v2(file.c_str(), &db_, flags | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK)
      return error("open");
    sqlite3_busy_timeout(db_, 5000);
    sqlite3_extended_result_codes(db_, 1);
    return ok();
  }
  Result<Statement> prepare(std::string_view sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
        SQLITE_OK)
      return error("prepare");
    return Statement(*this, raw);
  }
  Result<void> run(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("run");
    return ok();
  }
  Error error(std::string_view what) const {
    const int code = db_ != nullptr ? sqlite3_errcode(db_) : SQLITE_NOMEM;
    const std::string message = file_ + ": " + std::string(what) + ": " +
                                (db_ != nullptr ? sqlite3_errmsg(db_) : "out of memory");
    switch (code & 0xFF) {
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return Error(ErrorCode::kDataLoss, message,
                     "the library's file is damaged: move it away and scan again; your sounds are "
                     "not touched");
      case SQLITE_FULL:
        return Error(ErrorCode::kResourceExhausted, message, "the disk is full; nothing was lost");
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
      case SQLITE_PERM:
        return Error(ErrorCode::kPermissionDenied, message);
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Error(ErrorCode::kUnavailable, message);
      default:
        return Error(ErrorCode::kInternal, message);
    }
  }
  sqlite3* raw() const { return db_; }

 private:
  sqlite3* db_ = nullptr;
  std::string file_;
};

Result<bool> Statement::step() {
  const int code = sqlite3_step(raw_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_.error("step");
}

// Rolls back unless committed.
class Transaction {
 public:
  explicit Transaction(Connection& c) : connection_(c) {}
  Result<void> begin() { return connection_.run("BEGIN IMMEDIATE"); }
  Result<void> commit() {
    SM_CHECK_OK(connection_.run("COMMIT"));
    done_ = true;
    return ok();
  }
  ~Transaction() {
    if (!done_) (void)!connection_.run("ROLLBACK").ok();
  }

 private:
  Connection& connection_;
  bool done_ = false;
};

constexpr const char* kColumns =
    "id, path, size, mtime_ns, digest, error, missing, added_ms, analysis_version, format, "
    "duration_s, sample_rate_hz, channels, bit_depth, tempo_bpm, tempo_confidence, "
    "time_signature, key, key_confidence, loudness_lufs, loudness_range_lu, true_peak_dbtp, "
    "content, kind, note_midi, kind_confidence, descriptor, lists";

// What the columns do not hold: the lists, as one JSON object. Times to 0.1 ms.
std::string write_lists(const audio::Analysis& a) {
  std::string json;
  JsonWriter w(json);
  w.begin_object();
  const auto times = [&](std::string_view name, const std::vector<double>& seconds) {
    if (seconds.empty()) return;
    w.key(name).begin_array();
    for (const double t : seconds) w.value(std::round(t * 1e4) / 1e4);
    w.end_array();
  };
  times("beats_s", a.beats_s);
  times("downbeats_s", a.downbeats_s);
  times("onsets_s", a.onsets_s);
  if (!a.warnings.empty()) w.field("warnings", a.warnings);
  w.end_object();
  return json;
}

void read_lists(const std::string& json, audio::Analysis& a) {
  const auto lists = JsonValue::parse(json);
  if (!lists.ok()) return;
  const auto times = [&](std::string_view name, std::vector<double>& seconds) {
    for (const JsonValue& t : (*lists)[name].items()) seconds.push_back(t.number_or(0));
  };
  times("beats_s", a.beats_s);
  times("downbeats_s", a.downbeats_s);
  times("onsets_s", a.onsets_s);
  for (const JsonValue& w : (*lists)["warnings"].items()) a.warnings.push_back(w.string_or(""));
}

Sample read_sample(const Statement& row, bool with_times) {
  Sample s;
  s.id = row.get_integer(0);
  s.file.path = row.get_bytes(1);
  s.file.size = row.get_integer(2);
  s.file.mtime_ns = row.get_integer(3);
  if (const std::string digest = row.get_bytes(4); digest.size() == 32) {
    Digest d;
    std::copy(digest.begin(), digest.end(), d.bytes.begin());
    s.digest_hex = d.hex();
  }
  s.error = row.get_bytes(5);
  s.missing = row.get_integer(6) != 0;
  s.added_ms = row.get_integer(7);
  s.analysis_version = static_cast<int>(row.get_integer(8));
  audio::Analysis& a = s.analysis;
  int c = 9;
  a.format = row.get_bytes(c++);
  a.duration_s = row.get_real(c++);
  a.sample_rate_hz = static_cast<int>(row.get_integer(c++));
  a.channels = static_cast<int>(row.get_integer(c++));
  a.bit_depth = row.maybe_integer(c++);
  a.tempo_bpm = row.maybe_real(c++);
  a.tempo_confidence = row.maybe_real(c++);
  a.time_signature = row.maybe_text(c++);
  a.key = row.maybe_text(c++);
  a.key_confidence = row.maybe_real(c++);
  a.loudness_lufs = row.maybe_real(c++);
  a.loudness_range_lu = row.maybe_real(c++);
  a.true_peak_dbtp = row.maybe_real(c++);
  a.content = row.maybe_text(c++);
  a.kind = row.maybe_text(c++);
  a.note_midi = row.maybe_real(c++);
  a.kind_confidence = row.maybe_real(c++);
  a.descriptor = row.get_bytes(c++);
  if (with_times) read_lists(row.get_bytes(c), a);
  return s;
}

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& w : list) out += (out.empty() ? "" : " ") + w;
  return out;
}

std::string folder_words(const std::string& folder) {
  size_t start = folder.size();
  for (int i = 0; i < kFolderWordsMax && start != std::string::npos && start > 0; ++i)
    start = folder.rfind('/', start - 1);
  return joined(index_words(start == std::string::npos ? folder : folder.substr(start)));
}

// "-loop" excludes; every other word must be there, as a whole or as the beginning of one.
std::string match_expression(std::string_view text) {
  std::string wanted;
  std::string unwanted;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    std::string_view token = text.substr(at, end - at);
    at = end + 1;
    const bool exclude = token.size() > 1 && token.front() == '-';
    for (const std::string& w : words(token)) {
      std::string& side = exclude ? unwanted : wanted;
      if (!side.empty()) side += exclude ? " OR " : " AND ";
      side += '"' + w + "\"*";
    }
  }
  if (unwanted.empty()) return wanted;
  if (wanted.empty()) return "NOT:" + unwanted;  // FTS5 has no lone NOT: the caller turns it round
  return "(" + wanted + ") NOT (" + unwanted + ")";
}

class SqliteCatalogue final : public Catalogue {
 public:
  Result<void> open(const fs::path& home, Access access) {
    const fs::path file = home / "library.db";
    if (access == Access::kWrite) {
      SM_CHECK_OK(make_private_dir(home));
      auto lock = FileLock::acquire(home / "library.lock");
      if (!lock.ok() && lock.error().code() == ErrorCode::kAlreadyExists) {
        return Error(ErrorCode::kAlreadyExists,
                     "the library in " + home.string() + " is open in another process",
                     "'samplemind ps' shows the service; 'samplemind down' stops it");
      }
      if (!lock.ok()) return std::move(lock).error();
      lock_.emplace(std::move(lock).value());
      SM_CHECK_OK(create_private(file));
      SM_CHECK_OK(writer_.open(file, SQLITE_OPEN_READWRITE));
      SM_CHECK_OK(check_version(writer_));
      SM_CHECK_OK(
          writer_.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                      "PRAGMA temp_store=MEMORY;"));
      SM_CHECK_OK(migrate());
      writable_ = true;
    } else {
      std::error_code ignored;
      if (!fs::exists(file, ignored)) return open_empty();
    }
    SM_CHECK_OK(reader_.open(file, SQLITE_OPEN_READWRITE));
    SM_CHECK_OK(reader_.run("PRAGMA query_only=ON; PRAGMA cache_size=-16000;"));
    SM_TRY(const size_t version, check_version(reader_));
    if (version == 0) {  // created and never filled
      reader_.close();
      return open_empty();
    }
    if (version < kMigrations.size()) {
      return Error(ErrorCode::kUnavailable,
                   file.string() + " was made by an older samplemind (schema " +
                       std::to_string(version) + ")",
                   "'samplemind up' or 'samplemind scan' brings it up to date");
    }
    return ok();
  }

  Result<std::unordered_map<std::string, Known>> known() override {
    const std::lock_guard lock(read_mutex_);
    std::unordered_map<std::string, Known> all;
    SM_TRY(Statement rows, reader_.prepare("SELECT path, id, size, mtime_ns, analysis_version, "
                                           "missing, error IS NOT NULL FROM sample"));
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) return all;
      all.emplace(rows.get_bytes(0),
                  Known{rows.get_integer(1), rows.get_integer(2), rows.get_integer(3),
                        static_cast<int>(rows.get_integer(4)), rows.get_integer(5) != 0,
                        rows.get_integer(6) != 0});
    }
  }

  Result<void> put(const std::vector<Sample>& batch) override {
    const std::lock_guard lock(write_mutex_);
    SM_ASSERT(writable_);
    Transaction transaction(writer_);
    SM_CHECK_OK(transaction.begin());
    SM_TRY(Statement insert,
           writer_.prepare(
               "INSERT INTO sample (path, size, mtime_ns, digest, error, missing, added_ms, "
               "analysis_version, name, format, duration_s, sample_rate_hz, channels, bit_depth, "
               "tempo_bpm, tempo_confidence, time_signature, key, key_confidence, loudness_lufs, "
               "loudness_range_lu, true_peak_dbtp, content, kind, note_midi, kind_confidence, "
               "descriptor, lists)"
               " VALUES (?,?,?,?,?,0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
               " ON CONFLICT(path) DO UPDATE SET size=excluded.size, mtime_ns=excluded.mtime_ns, "
               "digest=excluded.digest, error=excluded.error, missing=0, "
               "analysis_version=excluded.analysis_version, name=excluded.name, "
               "format=excluded.format, duration_s=excluded.duration_s, "
               "sample_rate_hz=excluded.sample_rate_hz, channels=excluded.channels, "
               "bit_depth=excluded.bit_depth, tempo_bpm=excluded.tempo_bpm, "
               "tempo_confidence=excluded.tempo_confidence, "
               "time_signature=excluded.time_signature, key=excluded.key, "
               "key_confidence=excluded.key_confidence, loudness_lufs=excluded.loudness_lufs, "
               "loudness_range_lu=excluded.loudness_range_lu, "
               "true_peak_dbtp=excluded.true_peak_dbtp, content=excluded.content, "
               "kind=excluded.kind, note_midi=excluded.note_midi, "
               "kind_confidence=excluded.kind_confidence, descriptor=excluded.descriptor, "
               "lists=excluded.lists "
               "RETURNING id"));
    SM_TRY(Statement unindex, writer_.prepare("DELETE FROM sample_words WHERE rowid=?"));
    SM_TRY(
        Statement index,
        writer_.prepare("INSERT INTO sample_words (rowid, name, folder, facts) VALUES (?,?,?,?)"));
    for (const Sample& s : batch) {
      const audio::Analysis& a = s.analysis;
      const bool broken = !s.error.empty();
      insert.reset();
      insert.blob(s.file.path).integer(s.file.size).integer(s.file.mtime_ns);
      if (const auto digest = Digest::from_hex(s.digest_hex); digest.ok()) {
        insert.blob({reinterpret_cast<const char*>(digest->bytes.data()), digest->bytes.size()});
      } else {
        insert.null();
      }
      if (broken) {
        insert.text(std::string_view(s.error));
      } else {
        insert.null();
      }
      insert.integer(s.added_ms != 0 ? s.added_ms : system_clock().unix_ms())
          .integer(s.analysis_version)
          .text(std::string_view(s.name()));
      if (broken) {
        for (int c = 0; c < kFactColumns; ++c) insert.null();
      } else {
        insert.text(std::string_view(a.format)).real(a.duration_s);
        insert.integer(a.sample_rate_hz).integer(a.channels);
        insert.real(a.bit_depth ? std::optional<double>(*a.bit_depth) : std::nullopt);
        insert.real(a.tempo_bpm).real(a.tempo_confidence).text(a.time_signature);
        insert.text(a.key).real(a.key_confidence);
        insert.real(a.loudness_lufs).real(a.loudness_range_lu).real(a.true_peak_dbtp);
        insert.text(a.content).text(a.kind).real(a.note_midi).real(a.kind_confidence);
        if (a.descriptor.empty()) {
          insert.null();
        } else {
          insert.blob(a.descriptor);
        }
        insert.text(std::string_view(write_lists(a)));
      }
      SM_TRY(const bool row, insert.step());
      SM_ASSERT(row);
      const int64_t id = insert.get_integer(0);
      insert.reset();
      unindex.reset();
      SM_CHECK_OK(unindex.integer(id).run());
      SM_CHECK_OK(add_words(index, id, s));
    }
    return transaction.commit();
  }

  Result<std::vector<Sample>> find_by_digest(const Digest& digest) override {
    const std::lock_guard lock(read_mutex_);
    SM_TRY(Statement rows, reader_.prepare(std::string("SELECT ") + kColumns +
                                           " FROM sample WHERE digest=? ORDER BY id LIMIT 16"));
    rows.blob({reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
    std::vector<Sample> list;
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) return list;
      list.push_back(read_sample(rows, true));
    }
  }

  Result<void> relink(int64_t id, const FileStamp& file) override {
    const std::lock_guard lock(write_mutex_);
    SM_ASSERT(writable_);
    Transaction transaction(writer_);
    SM_CHECK_OK(transaction.begin());
    Sample s;
    s.file = file;
    SM_TRY(Statement remove, writer_.prepare("DELETE FROM sample WHERE path=? AND id<>?"));
    SM_CHECK_OK(remove.blob(file.path).integer(id).run());
    SM_TRY(Statement update,
           writer_.prepare(
               "UPDATE sample SET path=?, size=?, mtime_ns=?, name=?, missing=0 WHERE id=?"));
    SM_CHECK_OK(update.blob(file.path)
                    .integer(file.size)
                    .integer(file.mtime_ns)
                    .text(std::string_view(s.name()))
                    .integer(id)
                    .run());
    SM_TRY(Statement reindex,
           writer_.prepare("UPDATE sample_words SET name=?, folder=? WHERE rowid=?"));
    SM_CHECK_OK(reindex.text(std::string_view(joined(index_words(s.name()))))
                    .text(std::string_view(folder_words(s.folder())))
                    .integer(id)
                    .run());
    return transaction.commit();
  }

  Result<void> mark_missing(const std::vector<int64_t>& ids, bool missing) override {
    if (ids.empty()) return ok();
    const std::lock_guard lock(write_mutex_);
    SM_ASSERT(writable_);
    Transaction transaction(writer_);
    SM_CHECK_OK(transaction.begin());
    SM_TRY(Statement update, writer_.prepare("UPDATE sample SET missing=? WHERE id=?"));
    for (const int64_t id : ids) {
      update.reset();
      SM_CHECK_OK(update.integer(missing ? 1 : 0).integer(id).run());
    }
    return transaction.commit();
  }

  Result<SearchResult> search(const SearchQuery& q) override {
    std::string match = match_expression(q.text);
    std::string where = q.broken ? "s.error IS NOT NULL" : "s.error IS NULL";
    where += " AND s.missing=0";
    std::string from = "sample s";
    const bool only_not = match.starts_with("NOT:");
    if (only_not) {
      match.erase(0, 4);
      where += " AND s.id NOT IN (SELECT rowid FROM sample_words WHERE sample_words MATCH ?1)";
    } else if (!match.empty()) {
      from = "sample_words f JOIN sample s ON s.id=f.rowid";
      where += " AND sample_words MATCH ?1";
    } else if (!q.text.empty()) {
      return SearchResult{};  // only marks: nothing can match
    } else {
      where += " AND ?1 IS NULL";
    }
    const auto range = [&](const char* column, const Range& r, const char* low, const char* high) {
      if (r.low) where += std::string(" AND s.") + column + ">=" + low;
      if (r.high) where += std::string(" AND s.") + column + "<=" + high;
    };
    range("tempo_bpm", q.tempo_bpm, "?2", "?3");
    range("duration_s", q.length_s, "?4", "?5");
    if (q.key) where += " AND s.key=?6";
    if (q.kind) where += " AND s.kind=?7";
    if (q.content) where += " AND s.content=?8";
    // A folder's bytes are a prefix of its files' paths up to the next slash.
    if (q.folder) where += " AND s.path>?9 AND s.path<?10";
    const std::string direction = q.descending ? " DESC" : " ASC";
    std::string order;
    switch (q.sort) {
      case Sort::kRelevance:
        order = !match.empty() && !only_not
                    ? "bm25(sample_words, 4.0, 1.0, 2.0), s.name COLLATE NOCASE"
                    : "s.name COLLATE NOCASE";
        break;
      case Sort::kName:
        order = "s.name COLLATE NOCASE" + direction;
        break;
      case Sort::kTempo:
        order = "s.tempo_bpm IS NULL, s.tempo_bpm" + direction;
        break;
      case Sort::kKey:
        order = "s.key IS NULL, s.key" + direction;
        break;
      case Sort::kLength:
        order = "s.duration_s" + direction;
        break;
      case Sort::kLoudness:
        order = "s.loudness_lufs IS NULL, s.loudness_lufs" + direction;
        break;
      case Sort::kAdded:
        order = "s.added_ms" + direction;
        break;
    }
    std::string columns = std::string("s.") + kColumns;
    for (size_t at = 0; (at = columns.find(", ", at)) != std::string::npos; at += 4)
      columns.replace(at, 2, ", s.");

    const std::lock_guard lock(read_mutex_);
    SearchResult result;
    SM_TRY(Statement count, reader_.prepare("SELECT count(*) FROM " + from + " WHERE " + where));
    bind(count, q, match);
    SM_TRY(const bool counted, count.step());
    if (counted) result.total = count.get_integer(0);
    SM_TRY(Statement rows,
           reader_.prepare("SELECT " + columns + " FROM " + from + " WHERE " + where +
                           " ORDER BY " + order + ", s.id LIMIT ?11 OFFSET ?12"));
    bind(rows, q, match);
    rows.integer(q.limit).integer(q.offset);
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) return result;
      result.samples.push_back(read_sample(rows, false));
    }
  }

  Result<std::optional<Sample>> get(int64_t id) override {
    const std::lock_guard lock(read_mutex_);
    SM_TRY(Statement rows,
           reader_.prepare(std::string("SELECT ") + kColumns + " FROM sample WHERE id=?"));
    rows.integer(id);
    return one(rows);
  }

  Result<std::optional<Sample>> get_by_path(const std::string& path) override {
    const std::lock_guard lock(read_mutex_);
    SM_TRY(Statement rows,
           reader_.prepare(std::string("SELECT ") + kColumns + " FROM sample WHERE path=?"));
    rows.blob(path);
    return one(rows);
  }

  Result<LibrarySummary> summary() override {
    const std::lock_guard lock(read_mutex_);
    SM_TRY(Statement rows,
           reader_.prepare("SELECT count(*) FILTER (WHERE error IS NULL AND missing=0), count(*) "
                           "FILTER (WHERE error IS NOT NULL AND missing=0),"
                           " count(*) FILTER (WHERE missing=1), total(duration_s) FILTER (WHERE "
                           "missing=0) FROM sample"));
    SM_TRY(const bool row, rows.step());
    SM_ASSERT(row);
    return LibrarySummary{rows.get_integer(0), rows.get_integer(1), rows.get_integer(2),
                          rows.get_real(3)};
  }

  Result<void> check() override {
    const std::lock_guard lock(read_mutex_);
    SM_TRY(Statement rows, reader_.prepare("PRAGMA integrity_check"));
    SM_TRY(const bool row, rows.step());
    const std::string answer = row ? rows.get_bytes(0) : "no answer";
    if (answer != "ok")
      return Error(ErrorCode::kDataLoss, "the library's file is damaged: " + answer);
    return ok();
  }

  uint64_t memory_bytes() override { return static_cast<uint64_t>(sqlite3_memory_used()); }

 private:
  // The file's schema. kUnsupported when it is newer than this program.
  static Result<size_t> check_version(Connection& c) {
    SM_TRY(Statement rows, c.prepare("PRAGMA user_version"));
    SM_TRY(const bool row, rows.step());
    const int64_t version = row ? rows.get_integer(0) : 0;
    if (version < 0 || version > static_cast<int64_t>(kMigrations.size())) {
      return Error(ErrorCode::kUnsupported,
                   c.file() + " has schema " + std::to_string(version) +
                       ", this program knows up to " + std::to_string(kMigrations.size()),
                   "it was made by a newer samplemind: update this one");
    }
    return static_cast<size_t>(version);
  }

  // Nothing scanned yet: an empty catalogue in memory answers every question rightly.
  Result<void> open_empty() {
    SM_CHECK_OK(reader_.open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    for (const char* migration : kMigrations) SM_CHECK_OK(reader_.run(migration));
    return ok();
  }

  // SQLite gives its log and index the mode of the file itself.
  static Result<void> create_private(const fs::path& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return errno_error(errno, "open " + file.string());
    ::close(fd);
    return ok();
  }

  Result<void> migrate() {
    Transaction transaction(writer_);
    SM_CHECK_OK(transaction.begin());
    SM_TRY(const size_t version, check_version(writer_));
    for (size_t v = version; v < kMigrations.size(); ++v) SM_CHECK_OK(writer_.run(kMigrations[v]));
    SM_CHECK_OK(writer_.run(("PRAGMA user_version=" + std::to_string(kMigrations.size())).c_str()));
    return transaction.commit();
  }

  Result<void> add_words(Statement& index, int64_t id, const Sample& s) {
    std::string facts;
    if (s.analysis.content) facts += *s.analysis.content;
    if (s.analysis.kind) facts += " " + joined(words(*s.analysis.kind));
    if (s.analysis.key) facts += " " + *s.analysis.key;
    if (s.analysis.tempo_bpm)
      facts += " " + std::to_string(static_cast<int>(*s.analysis.tempo_bpm + 0.5));
    facts += " " + s.analysis.format;
    index.reset();
    return index.integer(id)
        .text(std::string_view(joined(index_words(s.name()))))
        .text(std::string_view(folder_words(s.folder())))
        .text(std::string_view(facts))
        .run();
  }

  static Result<std::optional<Sample>> one(Statement& rows) {
    SM_TRY(const bool row, rows.step());
    if (!row) return std::optional<Sample>();
    return std::optional<Sample>(read_sample(rows, true));
  }

  // ?1..?10 in order.
  static void bind(Statement& s, const SearchQuery& q, const std::string& match) {
    if (match.empty()) {
      s.null();
    } else {
      s.text(std::string_view(match));
    }
    s.real(q.tempo_bpm.low)
        .real(q.tempo_bpm.high)
        .real(q.length_s.low)
        .real(q.length_s.high)
        .text(q.key)
        .text(q.kind)
        .text(q.content);
    if (q.folder) {
      std::string folder = *q.folder;
      while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
      if (folder != "/") folder += '/';
      s.blob(folder);
      folder.back() = '/' + 1;  // the first path after all those below the folder
      s.blob(folder);
    } else {
      s.null().null();
    }
  }

  std::optional<FileLock> lock_;
  std::mutex write_mutex_;
  std::mutex read_mutex_;
  Connection writer_;
  Connection reader_;
  bool writable_ = false;
};

}  // namespace

Result<std::unique_ptr<Catalogue>> Catalogue::open(const fs::path& home, Access access) {
  auto catalogue = std::make_unique<SqliteCatalogue>();
  SM_CHECK_OK(catalogue->open(home, access));
  return std::unique_ptr<Catalogue>(std::move(catalogue));
}

}  // namespace samplemind::library
