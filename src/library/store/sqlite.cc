// Opening, and the samples themselves.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "audio/analysis_json.h"
#include "base/clock.h"
#include "base/files.h"
#include "library/store/catalogue_internal.h"
#include "library/store/schema.h"

namespace samplemind::library {

const char* const kSampleColumns =
    "s.id, s.path, s.size, s.mtime_ns, s.digest, s.error, s.missing, s.added_ms, "
    "s.analysis_version, s.format, s.duration_s, s.sample_rate_hz, s.channels, s.bit_depth, "
    "s.tempo_bpm, s.tempo_confidence, s.tempo_source, s.time_signature, s.key, s.key_confidence, "
    "s.key_source, s.loudness_lufs, s.loudness_range_lu, s.true_peak_dbtp, s.content, s.kind, "
    "s.kind_confidence, s.kind_source, s.note_midi, m.marks";

Sample read_sample(const Statement& row) {
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
  s.tempo_source = row.get_bytes(c++);
  a.time_signature = row.maybe_text(c++);
  a.key = row.maybe_text(c++);
  a.key_confidence = row.maybe_real(c++);
  s.key_source = row.get_bytes(c++);
  a.loudness_lufs = row.maybe_real(c++);
  a.loudness_range_lu = row.maybe_real(c++);
  a.true_peak_dbtp = row.maybe_real(c++);
  a.content = row.maybe_text(c++);
  a.kind = row.maybe_text(c++);
  a.kind_confidence = row.maybe_real(c++);
  s.kind_source = row.get_bytes(c++);
  a.note_midi = row.maybe_real(c++);
  if (!row.is_null(c)) {
    if (const auto marks = JsonValue::parse(row.get_bytes(c)); marks.ok())
      s.marks = marks_from_json(*marks);
  }
  return s;
}

void read_detail(const std::string& json, Sample& s) {
  const auto value = JsonValue::parse(json);
  if (value.ok()) {
    std::string descriptor = std::move(s.analysis.descriptor);
    s.analysis = audio::analysis_from_json(*value);
    s.analysis.descriptor = std::move(descriptor);
  }
  settle_sample(s);
}

Result<void> SqliteCatalogue::Writers::prepare() {
  const auto make = [this](std::optional<Statement>& statement, const char* sql) -> Result<void> {
    SM_TRY(Statement made, connection.prepare(sql));
    statement.emplace(std::move(made));
    return ok();
  };
  SM_CHECK_OK(make(
      insert,
      "INSERT INTO sample (path, size, mtime_ns, digest, error, missing, added_ms, "
      "analysis_version, format, duration_s, sample_rate_hz, channels, bit_depth, tempo_bpm, "
      "tempo_confidence, tempo_source, time_signature, key, key_confidence, key_source, "
      "loudness_lufs, loudness_range_lu, true_peak_dbtp, content, kind, kind_confidence, "
      "kind_source, note_midi) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
      "ON CONFLICT(path) DO UPDATE SET size=excluded.size, mtime_ns=excluded.mtime_ns, "
      "digest=excluded.digest, error=excluded.error, missing=excluded.missing, "
      "analysis_version=excluded.analysis_version, format=excluded.format, "
      "duration_s=excluded.duration_s, sample_rate_hz=excluded.sample_rate_hz, "
      "channels=excluded.channels, bit_depth=excluded.bit_depth, tempo_bpm=excluded.tempo_bpm, "
      "tempo_confidence=excluded.tempo_confidence, tempo_source=excluded.tempo_source, "
      "time_signature=excluded.time_signature, key=excluded.key, "
      "key_confidence=excluded.key_confidence, key_source=excluded.key_source, "
      "loudness_lufs=excluded.loudness_lufs, loudness_range_lu=excluded.loudness_range_lu, "
      "true_peak_dbtp=excluded.true_peak_dbtp, content=excluded.content, kind=excluded.kind, "
      "kind_confidence=excluded.kind_confidence, kind_source=excluded.kind_source, "
      "note_midi=excluded.note_midi RETURNING id, added_ms"));
  SM_CHECK_OK(make(detail, "INSERT OR REPLACE INTO sample_detail (id, analysis) VALUES (?,?)"));
  SM_CHECK_OK(make(no_detail, "DELETE FROM sample_detail WHERE id=?"));
  SM_CHECK_OK(make(vector, "INSERT OR REPLACE INTO sample_vector (id, descriptor) VALUES (?,?)"));
  SM_CHECK_OK(make(no_vector, "DELETE FROM sample_vector WHERE id=?"));
  return make(marks, "SELECT m.marks FROM sample s JOIN sample_mark m ON m.id=s.id WHERE s.path=?");
}

Result<int64_t> SqliteCatalogue::write(Writers& w, Sample s, Changes& changes) {
  w.marks->reset();
  w.marks->blob(s.file.path);
  SM_TRY(const bool has_marks, w.marks->step());
  s.marks = {};
  if (has_marks) {
    if (const auto marks = JsonValue::parse(w.marks->get_bytes(0)); marks.ok())
      s.marks = marks_from_json(*marks);
  }
  w.marks->reset();
  const bool broken = !s.error.empty();
  std::string heard_json;
  if (!broken) {
    JsonWriter json(heard_json);
    json.begin_object();
    audio::write_json_fields(json, s.analysis);
    json.end_object();
    settle_sample(s);
  } else {
    s.analysis = {};
  }
  const audio::Analysis& a = s.analysis;
  Statement& i = *w.insert;
  i.reset();
  i.blob(s.file.path).integer(s.file.size).integer(s.file.mtime_ns);
  if (const auto digest = Digest::from_hex(s.digest_hex); digest.ok()) {
    i.blob({reinterpret_cast<const char*>(digest->bytes.data()), digest->bytes.size()});
  } else {
    i.null();
  }
  if (broken) {
    i.text(std::string_view(s.error));
  } else {
    i.null();
  }
  i.integer(s.missing ? 1 : 0)
      .integer(s.added_ms != 0 ? s.added_ms : system_clock().unix_ms())
      .integer(s.analysis_version);
  if (broken) {
    constexpr int kFactColumns = 20;  // format to note_midi
    for (int c = 0; c < kFactColumns; ++c) i.null();
  } else {
    i.text(std::string_view(a.format)).real(a.duration_s);
    i.integer(a.sample_rate_hz).integer(a.channels);
    i.real(a.bit_depth ? std::optional<double>(*a.bit_depth) : std::nullopt);
    i.real(a.tempo_bpm).real(a.tempo_confidence).text(std::string_view(s.tempo_source));
    i.text(a.time_signature);
    i.text(a.key).real(a.key_confidence).text(std::string_view(s.key_source));
    i.real(a.loudness_lufs).real(a.loudness_range_lu).real(a.true_peak_dbtp);
    i.text(a.content).text(a.kind).real(a.kind_confidence);
    i.text(std::string_view(s.kind_source)).real(a.note_midi);
  }
  SM_TRY(const bool row, i.step());
  SM_ASSERT(row);
  s.id = i.get_integer(0);
  s.added_ms = i.get_integer(1);
  i.reset();
  Statement& d = broken ? *w.no_detail : *w.detail;
  d.reset();
  d.integer(s.id);
  if (!broken) d.text(std::string_view(heard_json));
  SM_CHECK_OK(d.run());
  const bool vector = !broken && !a.descriptor.empty();
  Statement& v = vector ? *w.vector : *w.no_vector;
  v.reset();
  v.integer(s.id);
  if (vector) v.blob(a.descriptor);
  SM_CHECK_OK(v.run());
  const int64_t id = s.id;
  changes.put(std::move(s));
  return id;
}

// `s` as load() gave it, with another path or other marks.
Result<void> SqliteCatalogue::rewrite(Writers& w, Sample s, Changes& changes) {
  s.analysis = heard(s);
  SM_TRY(const int64_t id, write(w, std::move(s), changes));
  (void)id;
  return ok();
}

Result<std::optional<Sample>> SqliteCatalogue::load(Connection& connection, const char* where,
                                                    const std::function<void(Statement&)>& bind) {
  SM_TRY(Statement rows,
         connection.prepare(std::string("SELECT ") + kSampleColumns +
                            ", d.analysis, v.descriptor FROM sample s LEFT JOIN sample_mark m ON "
                            "m.id=s.id LEFT JOIN sample_detail d ON d.id=s.id LEFT JOIN "
                            "sample_vector v ON v.id=s.id WHERE " +
                            where));
  bind(rows);
  SM_TRY(const bool row, rows.step());
  if (!row) return std::optional<Sample>();
  Sample s = read_sample(rows);
  s.analysis.descriptor = rows.get_bytes(kDetailColumn + 1);
  if (!rows.is_null(kDetailColumn)) read_detail(rows.get_bytes(kDetailColumn), s);
  return std::optional<Sample>(std::move(s));
}

Result<std::optional<Sample>> SqliteCatalogue::load(Connection& connection, int64_t id) {
  return load(connection, "s.id=?", [id](Statement& s) { s.integer(id); });
}

// ---- opening ----

namespace {

// The file's schema. kUnsupported when it is newer than this program.
Result<size_t> check_version(Connection& c) {
  SM_TRY(Statement rows, c.prepare("PRAGMA user_version"));
  SM_TRY(const bool row, rows.step());
  const int64_t version = row ? rows.get_integer(0) : 0;
  if (version < 0 || version > static_cast<int64_t>(migrations().size())) {
    return Error(ErrorCode::kUnsupported,
                 c.file() + " has schema " + std::to_string(version) +
                     ", this program knows up to " + std::to_string(migrations().size()),
                 "it was made by a newer samplemind: update this one");
  }
  return static_cast<size_t>(version);
}

// SQLite gives its log and index the mode of the file itself.
Result<void> create_private(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(errno, "open " + file.string());
  ::close(fd);
  return ok();
}

Result<FileLock> lock_home(const fs::path& home) {
  auto lock = FileLock::acquire(home / "library.lock");
  if (!lock.ok() && lock.error().code() == ErrorCode::kAlreadyExists) {
    return Error(ErrorCode::kAlreadyExists,
                 "the library in " + home.string() + " is open in another process",
                 "'samplemind ps' shows the service; 'samplemind down' stops it");
  }
  return lock;
}

}  // namespace

SqliteCatalogue::~SqliteCatalogue() {
  finish_index();
}

Result<void> SqliteCatalogue::open(const fs::path& home, Access access) {
  home_ = home;
  const fs::path file = home / "library.db";
  if (access == Access::kWrite) {
    SM_CHECK_OK(make_private_dir(home));
    SM_TRY(FileLock lock, lock_home(home));
    lock_.emplace(std::move(lock));
    SM_CHECK_OK(create_private(file));
    SM_CHECK_OK(writer_.open(file, SQLITE_OPEN_READWRITE));
    SM_CHECK_OK(check_version(writer_));
    SM_CHECK_OK(
        writer_.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
                    "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16000;"));
    SM_CHECK_OK(migrate());
    writable_ = true;
    SM_CHECK_OK(finish_pending_moves());
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
  if (version < migrations().size()) {
    return Error(
        ErrorCode::kUnavailable,
        file.string() + " was made by an older samplemind (schema " + std::to_string(version) + ")",
        "'samplemind up' or 'samplemind scan' brings it up to date");
  }
  if (writable_) start_index();
  return ok();
}

// Nothing scanned yet: an empty catalogue in memory answers every question rightly.
Result<void> SqliteCatalogue::open_empty() {
  SM_CHECK_OK(reader_.open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  for (const char* migration : migrations()) SM_CHECK_OK(reader_.run(migration));
  return ok();
}

Result<void> SqliteCatalogue::migrate() {
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  SM_TRY(const size_t version, check_version(writer_));
  for (size_t v = version; v < migrations().size(); ++v) SM_CHECK_OK(writer_.run(migrations()[v]));
  if (version > 0 && version < 3) SM_CHECK_OK(settle_all());
  SM_CHECK_OK(writer_.run(("PRAGMA user_version=" + std::to_string(migrations().size())).c_str()));
  return transaction.commit();
}

// What names say, for sounds that were stored before anybody looked at their names.
Result<void> SqliteCatalogue::settle_all() {
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  std::vector<int64_t> ids;
  {
    SM_TRY(Statement rows, writer_.prepare("SELECT id FROM sample WHERE error IS NULL"));
    for (;;) {
      SM_TRY(const bool more, rows.step());
      if (!more) break;
      ids.push_back(rows.get_integer(0));
    }
  }
  for (const int64_t id : ids) {
    Changes ignored;
    SM_TRY(auto sample, load(writer_, id));
    if (sample) SM_CHECK_OK(rewrite(writers, std::move(*sample), ignored));
  }
  return ok();
}

// ---- samples ----

Result<std::unordered_map<std::string, Catalogue::Known>> SqliteCatalogue::known() {
  const std::lock_guard lock(read_mutex_);
  std::unordered_map<std::string, Known> all;
  SM_TRY(Statement rows, reader_.prepare("SELECT path, id, size, mtime_ns, analysis_version, "
                                         "missing, error IS NOT NULL FROM sample"));
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return all;
    all.emplace(rows.get_bytes(0), Known{rows.get_integer(1), rows.get_integer(2),
                                         rows.get_integer(3), static_cast<int>(rows.get_integer(4)),
                                         rows.get_integer(5) != 0, rows.get_integer(6) != 0});
  }
}

Result<void> SqliteCatalogue::put(const std::vector<Sample>& batch) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  Changes changes;
  for (const Sample& s : batch) {
    Sample copy = s;
    copy.missing = false;
    SM_TRY(const int64_t id, write(writers, std::move(copy), changes));
    (void)id;
  }
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return ok();
}

Result<std::vector<Sample>> SqliteCatalogue::find_by_digest(const Digest& digest) {
  const std::lock_guard lock(read_mutex_);
  SM_TRY(Statement rows,
         reader_.prepare("SELECT id FROM sample WHERE digest=? ORDER BY id LIMIT 16"));
  rows.blob({reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
  std::vector<Sample> list;
  for (;;) {
    SM_TRY(const bool more, rows.step());
    if (!more) return list;
    SM_TRY(auto sample, load(reader_, rows.get_integer(0)));
    if (sample) list.push_back(std::move(*sample));
  }
}

Result<void> SqliteCatalogue::relink(int64_t id, const FileStamp& file) {
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  Writers writers(writer_);
  SM_CHECK_OK(writers.prepare());
  Changes changes;
  {
    SM_TRY(Statement other, writer_.prepare("SELECT id FROM sample WHERE path=? AND id<>?"));
    SM_TRY(const bool there, other.blob(file.path).integer(id).step());
    if (there) changes.remove(other.get_integer(0));
  }
  SM_TRY(Statement remove, writer_.prepare("DELETE FROM sample WHERE path=? AND id<>?"));
  SM_CHECK_OK(remove.blob(file.path).integer(id).run());
  SM_TRY(Statement update, writer_.prepare("UPDATE sample SET path=? WHERE id=?"));
  SM_CHECK_OK(update.blob(file.path).integer(id).run());
  SM_TRY(auto sample, load(writer_, id));
  if (!sample) return no_sample(id);
  sample->file = file;
  sample->missing = false;
  SM_CHECK_OK(rewrite(writers, std::move(*sample), changes));
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return ok();
}

Result<void> SqliteCatalogue::mark_missing(const std::vector<int64_t>& ids, bool missing) {
  if (ids.empty()) return ok();
  const std::lock_guard lock(write_mutex_);
  SM_ASSERT(writable_);
  Transaction transaction(writer_);
  SM_CHECK_OK(transaction.begin());
  SM_TRY(Statement update, writer_.prepare("UPDATE sample SET missing=? WHERE id=?"));
  Changes changes;
  for (const int64_t id : ids) {
    update.reset();
    SM_CHECK_OK(update.integer(missing ? 1 : 0).integer(id).run());
    SM_TRY(auto sample, load(writer_, id));
    if (sample) changes.put(std::move(*sample));
  }
  SM_CHECK_OK(transaction.commit());
  changes.apply(*this);
  return ok();
}

Result<std::optional<Sample>> SqliteCatalogue::get(int64_t id) {
  const std::lock_guard lock(read_mutex_);
  return load(reader_, id);
}

Result<std::optional<Sample>> SqliteCatalogue::get_by_path(const std::string& path) {
  const std::lock_guard lock(read_mutex_);
  return load(reader_, "s.path=?", [&path](Statement& s) { s.blob(path); });
}

Result<LibrarySummary> SqliteCatalogue::summary() {
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

}  // namespace samplemind::library
