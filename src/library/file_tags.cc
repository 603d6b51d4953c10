#include "library/file_tags.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "audio/analyzer.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "library/tag_writer.h"

namespace samplemind::library {

namespace {

constexpr size_t kFilesMax = 100000;
constexpr size_t kProblemsMax = 1000;
constexpr int kJournalMax = 1000;  // changes that are looked through

std::string short_number(double value) {
  char text[32];
  const double rounded = std::round(value);
  std::snprintf(text, sizeof text, std::abs(value - rounded) < 0.05 ? "%.0f" : "%.1f", value);
  return text;
}

void flush(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

std::optional<FileStamp> stamp_of(const std::string& path) {
  struct stat s {};
  if (::lstat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return FileStamp{path, s.st_size, s.st_mtim.tv_sec * 1000000000LL + s.st_mtim.tv_nsec};
}

// A copy with the same owner (where that is permitted) and mode, on disk.
Result<void> copy_whole(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::copy_file(from, to, fs::copy_options::none, error);
  if (error) return errno_error(error.value(), "copy " + from.string());
  struct stat s {};
  if (::stat(from.c_str(), &s) == 0) {
    if (::chown(to.c_str(), s.st_uid, s.st_gid) != 0) errno = 0;
    ::chmod(to.c_str(), s.st_mode & 07777);
  }
  flush(to);
  return ok();
}

// ---- the record of a writing: <home>/tag-backups/NUMBER/ ----
//
// files.json     the paths, in order, before anything is touched
// after          "N DIGEST\n" of file N as it will be, before it takes its name
// N              file N as it was
// undone         empty; was taken back

fs::path temporary(const std::string& path, const fs::path& record, size_t n) {
  return fs::path(path).parent_path() /
         (".samplemind-" + record.filename().string() + "-" + std::to_string(n) + ".tmp");
}

std::vector<fs::path> records(const fs::path& home) {
  std::vector<fs::path> list;
  std::error_code error;
  for (fs::directory_iterator it(home / "tag-backups", error), end; !error && it != end;
       it.increment(error))
    if (it->is_directory()) list.push_back(it->path());
  std::sort(list.rbegin(), list.rend());  // numbers of equal length: the newest first
  return list;
}

Result<std::vector<std::string>> paths_of(const fs::path& record) {
  SM_TRY(const std::string text, read_file(record / "files.json"));
  SM_TRY(const JsonValue json, JsonValue::parse(text));
  std::vector<std::string> paths;
  for (const JsonValue& p : json["files"].items())
    paths.push_back(path_from_text(p.string_or("")).native());
  return paths;
}

// What a writing that died has left beside the files.
void clean(const fs::path& record) {
  std::error_code ignored;
  if (fs::exists(record / "whole", ignored)) return;
  if (const auto paths = paths_of(record); paths.ok()) {
    for (size_t n = 0; n < paths->size(); ++n) ::unlink(temporary((*paths)[n], record, n).c_str());
  }
  (void)!write_file_atomic(record / "whole", "").ok();
}

Result<fs::path> make_record(const fs::path& home, const std::vector<const TagStep*>& steps) {
  char number[24];
  std::snprintf(number, sizeof number, "%013lld", static_cast<long long>(system_clock().unix_ms()));
  const fs::path record = home / "tag-backups" / number;
  SM_CHECK_OK(make_private_dir(record));
  std::string json;
  JsonWriter w(json);
  w.begin_object().key("files").begin_array();
  for (const TagStep* s : steps) w.value(path_to_text(s->path));
  w.end_array().end_object();
  SM_CHECK_OK(write_file_atomic(record / "files.json", json));
  return record;
}

Result<void> append_line(const fs::path& file, const std::string& line) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(errno, "open " + file.string());
  const bool written = ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
                       ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  if (!written) return errno_error(error, "write " + file.string());
  return ok();
}

Result<std::string> sound_digest(const fs::path& path) {
  audio::AnalysisOptions options;
  options.only = {audio::Part::kDigests};
  SM_TRY(const audio::Analysis a, audio::Analyzer().analyze(path, options));
  if (!a.audio_blake3)
    return Error(ErrorCode::kDataLoss, path.string() + ": its sound cannot be read");
  return *a.audio_blake3;
}

// The library learns what its file says now; the sound was not measured again, as it is the same.
Result<void> renew(Catalogue& catalogue, int64_t id, const std::string& path,
                   const std::string& digest_hex) {
  SM_TRY(auto sample, catalogue.get(id));
  const auto stamp = stamp_of(path);
  if (!sample || !stamp) return ok();
  sample->analysis = heard(*sample);
  sample->analysis.metadata = audio::read_metadata(path);
  sample->analysis.file_blake3 = digest_hex;
  sample->digest_hex = digest_hex;
  sample->file = *stamp;
  return catalogue.put({*sample});
}

enum class Outcome { kWritten, kSame };

// One call of write_tags().
struct Writing {
  Catalogue& catalogue;
  const fs::path record;
  const std::vector<const TagStep*> steps;
  int64_t journal_id = 0;

  // Before file n, the first that is written, is touched.
  Result<void> tell_journal(size_t n) {
    if (journal_id != 0) return ok();
    std::vector<int64_t> ids;
    for (size_t i = n; i < steps.size(); ++i) ids.push_back(steps[i]->id);
    SM_TRY(journal_id,
           catalogue.add_files_change("write tags into files", record.filename().string(), ids));
    return ok();
  }
};

Result<Outcome> write_one(Writing& writing, size_t n) {
  Catalogue& catalogue = writing.catalogue;
  const TagStep& step = *writing.steps[n];
  const fs::path& record = writing.record;
  SM_TRY(const auto sample, catalogue.get(step.id));
  const auto stamp = stamp_of(step.path);
  if (!stamp) return Error(ErrorCode::kNotFound, step.path + ": is no regular file any more");
  if (!sample || sample->file.path != step.path || sample->file.size != stamp->size ||
      sample->file.mtime_ns != stamp->mtime_ns)
    return Error(ErrorCode::kAlreadyExists, step.path + ": changed since it was scanned",
                 "scan it again first");
  if (::access(step.path.c_str(), W_OK) != 0) return errno_error(errno, step.path);
  const fs::path copy = temporary(step.path, record, n);
  ::unlink(copy.c_str());
  struct Remove {
    const fs::path& file;
    ~Remove() { ::unlink(file.c_str()); }
  } remove{copy};
  SM_CHECK_OK(copy_whole(step.path, copy));
  FileTags tags;
  tags.bpm = step.bpm;
  tags.key = step.key;
  tags.grouping = step.grouping;
  tags.note = step.note;
  tags.one_shot = sample->analysis.content.value_or("") == "oneshot";
  tags.length_s = sample->analysis.duration_s;
  SM_CHECK_OK(set_file_tags(copy, sample->analysis.format, tags));
  SM_TRY(const Digest before, blake3_file(step.path));
  SM_TRY(const Digest after, blake3_file(copy));
  if (before == after) return Outcome::kSame;
  SM_TRY(const std::string sound_before, sound_digest(step.path));
  SM_TRY(const std::string sound_after, sound_digest(copy));
  if (sound_before != sound_after)
    return Error(ErrorCode::kDataLoss,
                 step.path + ": with tags its sound would not be the same; it was left alone");
  flush(copy);
  // The file as it was: its own inode where the backup is on the same file system.
  const fs::path backup = record / std::to_string(n);
  if (::link(step.path.c_str(), backup.c_str()) != 0) SM_CHECK_OK(copy_whole(step.path, backup));
  flush(record);
  SM_CHECK_OK(append_line(record / "after", std::to_string(n) + " " + after.hex() + "\n"));
  SM_CHECK_OK(writing.tell_journal(n));
  const auto last = stamp_of(step.path);
  if (!last || last->mtime_ns != stamp->mtime_ns || last->size != stamp->size)
    return Error(ErrorCode::kAlreadyExists, step.path + ": changed while its tags were written");
  if (::rename(copy.c_str(), step.path.c_str()) != 0) return errno_error(errno, step.path);
  flush(fs::path(step.path).parent_path());
  SM_CHECK_OK(renew(catalogue, step.id, step.path, after.hex()));
  return Outcome::kWritten;
}

void add_problem(TagReport& report, const Error& error) {
  if (report.problems.size() < kProblemsMax) report.problems.push_back(error.message());
}

Result<bool> undo_one(Catalogue& catalogue, const std::string& path, const fs::path& record,
                      size_t n, const std::string& after_hex) {
  const fs::path backup = record / std::to_string(n);
  SM_TRY(const Digest now, blake3_file(path));
  SM_TRY(const Digest old, blake3_file(backup));
  if (now == old) return false;
  if (now.hex() != after_hex)
    return Error(ErrorCode::kAlreadyExists, path + ": was changed since its tags were written");
  const fs::path copy = temporary(path, record, n);
  ::unlink(copy.c_str());
  SM_CHECK_OK(copy_whole(backup, copy));
  struct stat s {};
  if (::stat(backup.c_str(), &s) == 0) {
    const timespec times[2] = {s.st_atim, s.st_mtim};
    ::utimensat(AT_FDCWD, copy.c_str(), times, 0);
  }
  if (::rename(copy.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(copy.c_str());
    return errno_error(error, path);
  }
  flush(fs::path(path).parent_path());
  SM_TRY(const auto sample, catalogue.get_by_path(path));
  if (sample) SM_CHECK_OK(renew(catalogue, sample->id, path, old.hex()));
  return true;
}

// All files of a record, as far as they are what the writing made of them.
Result<TagReport> undo_record(Catalogue& catalogue, const fs::path& record) {
  SM_TRY(const auto paths, paths_of(record));
  SM_TRY(const std::string after, read_file(record / "after"));
  TagReport report;
  report.backup = record.string();
  for (size_t at = 0; at < after.size();) {
    const size_t end = std::min(after.find('\n', at), after.size());
    const std::string_view line = std::string_view(after).substr(at, end - at);
    at = end + 1;
    size_t n = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), n);
    if (error != std::errc() || n >= paths.size() || stop == line.data() + line.size()) continue;
    auto done =
        undo_one(catalogue, paths[n], record, n, std::string(stop + 1, line.data() + line.size()));
    if (!done.ok()) {
      add_problem(report, done.error());
    } else {
      ++(*done ? report.written : report.unchanged);
    }
  }
  return report;
}

}  // namespace

Result<std::vector<TagStep>> plan_tags(Catalogue& catalogue, const std::vector<int64_t>& ids) {
  if (ids.size() > kFilesMax)
    return Error(ErrorCode::kTooLarge, "more than 100,000 files at once", "use a narrower query");
  SM_TRY(const auto samples, catalogue.get_many(ids));
  std::vector<TagStep> plan;
  for (const Sample& s : samples) {
    TagStep step;
    step.id = s.id;
    step.path = s.file.path;
    const audio::Analysis& a = s.analysis;
    if (a.tempo_bpm && a.content.value_or("") != "oneshot") step.bpm = short_number(*a.tempo_bpm);
    if (const auto key = a.key ? key_index(*a.key) : std::nullopt) {
      const std::string name = key_name(*key);
      step.key = name.substr(0, name.find(' ')) + (*key >= 12 ? "m" : "");
    }
    step.grouping = a.kind.value_or("");
    for (const std::string& tag : s.marks.tags)
      step.grouping += (step.grouping.empty() ? "" : ", ") + tag;
    if (a.note_midi && a.content.value_or("") == "oneshot")
      step.note = std::clamp(static_cast<int>(std::lround(*a.note_midi)), 0, 127);
    if (s.missing) {
      step.problem = "the file is missing";
    } else if (!s.error.empty()) {
      step.problem = "the file could not be read";
    } else if (!takes_tags(a.format)) {
      step.problem = a.format + " files are not written";
    } else if (step.bpm.empty() && step.key.empty() && step.grouping.empty() && step.note < 0) {
      step.problem = "nothing is known that could be written";
    }
    plan.push_back(std::move(step));
  }
  return plan;
}

Result<TagReport> write_tags(Catalogue& catalogue, const fs::path& home,
                             const std::vector<TagStep>& plan) {
  for (const fs::path& r : records(home)) clean(r);
  TagReport report;
  std::vector<const TagStep*> steps;
  for (const TagStep& s : plan)
    if (s.problem.empty()) steps.push_back(&s);
  if (steps.empty()) return report;
  SM_TRY(const fs::path record, make_record(home, steps));
  Writing writing{catalogue, record, std::move(steps)};
  for (size_t n = 0; n < writing.steps.size(); ++n) {
    auto done = write_one(writing, n);
    if (!done.ok()) {
      add_problem(report, done.error());
      if (done.error().code() == ErrorCode::kResourceExhausted) break;  // the disk is full
    } else {
      ++(*done == Outcome::kWritten ? report.written : report.unchanged);
    }
  }
  (void)!write_file_atomic(record / "whole", "").ok();
  if (report.written > 0) {
    report.backup = record.string();
    report.journal_id = writing.journal_id;
  } else {
    std::error_code ignored;
    fs::remove_all(record, ignored);  // nothing to take back
    if (writing.journal_id != 0) SM_CHECK_OK(catalogue.mark_undone(writing.journal_id));
  }
  return report;
}

Result<TagReport> undo_tags(Catalogue& catalogue, const fs::path& home,
                            const std::optional<std::string>& wanted) {
  std::error_code ignored;
  for (const fs::path& record : records(home)) {
    const std::string name = record.filename().string();
    if (wanted && name != *wanted) continue;
    clean(record);
    if (fs::exists(record / "undone", ignored) || !fs::exists(record / "after", ignored)) continue;
    SM_TRY(TagReport report, undo_record(catalogue, record));
    if (!report.problems.empty()) return report;
    SM_CHECK_OK(write_file_atomic(record / "undone", ""));
    SM_TRY(const auto changes, catalogue.journal(kJournalMax));
    for (const JournalEntry& e : changes) {
      if (e.state != "done") continue;
      SM_TRY(const auto of, catalogue.files_record(e.id));
      if (of != name) continue;
      SM_CHECK_OK(catalogue.mark_undone(e.id));
      report.journal_id = e.id;
      break;
    }
    return report;
  }
  if (wanted)
    return Error(
        ErrorCode::kNotFound,
        "the files as they were are not here (tag-backups/" + *wanted + " in the data folder)",
        "take it back on the machine that wrote them");
  return Error(ErrorCode::kNotFound, "no tags were written that could be taken back");
}

}  // namespace samplemind::library
