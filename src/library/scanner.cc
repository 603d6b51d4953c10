#include "library/scanner.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "audio/analyzer.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/thread_pool.h"

namespace samplemind::library {

namespace {

constexpr size_t kBatchMax = 64;
constexpr auto kBatchAge = std::chrono::milliseconds(500);
constexpr auto kProgressEvery = std::chrono::milliseconds(100);
constexpr size_t kProblemsMax = 1000;

bool cancelled(const ScanOptions& o) {
  return o.cancel != nullptr && o.cancel->load(std::memory_order_relaxed);
}

std::optional<FileStamp> stamp(const fs::path& path) {
  struct stat s {};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return FileStamp{path.string(), s.st_size, s.st_mtim.tv_sec * 1000000000LL + s.st_mtim.tv_nsec};
}

class Scan {
 public:
  Scan(Catalogue& catalogue, const ScanOptions& options)
      : catalogue_(catalogue), options_(options), start_(std::chrono::steady_clock::now()) {}

  Result<ScanReport> run() {
    SM_TRY(known_, catalogue_.known());
    for (const fs::path& path : options_.paths) SM_CHECK_OK(add_root(path));
    for (const fs::path& root : roots_) walk(root);
    if (progress_.found == 0 && !cancelled(options_)) return nothing_found();
    find_missing();
    progress_.walking = false;
    progress_.to_do = static_cast<int64_t>(todo_.size());
    SM_CHECK_OK(mark_missing());
    measure();
    SM_CHECK_OK(flush());
    if (failure_) return *failure_;
    report(true);
    ScanReport r;
    r.found = progress_.found;
    r.measured = progress_.done - progress_.broken - progress_.moved;
    r.unchanged = progress_.unchanged;
    r.moved = progress_.moved;
    r.missing = static_cast<int64_t>(missing_.size());
    r.broken = progress_.broken;
    r.cancelled = cancelled(options_);
    r.elapsed_s = elapsed();
    r.problems = std::move(problems_);
    return r;
  }

 private:
  double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  Result<void> add_root(const fs::path& path) {
    std::error_code error;
    const fs::path absolute = fs::weakly_canonical(fs::absolute(path), error);
    const fs::file_status status = fs::status(absolute, error);
    if (error && error != std::errc::no_such_file_or_directory)
      return errno_error(error.value(), path.string());
    if (status.type() == fs::file_type::not_found)
      return Error(ErrorCode::kNotFound, path.string() + ": there is no such file or folder");
    if (status.type() == fs::file_type::directory) {
      fs::directory_iterator probe(absolute, error);
      if (error) return errno_error(error.value(), "open folder " + path.string());
    }
    roots_.push_back(absolute);
    return ok();
  }

  void walk(const fs::path& root) {
    std::error_code error;
    if (!fs::is_directory(root, error)) {
      found(root, true);
      return;
    }
    // Depth first with our own stack: an unreadable folder is a problem of its own, and a folder
    // met twice (a link that leads back up) is not entered again.
    std::vector<fs::path> stack{root};
    while (!stack.empty() && !cancelled(options_)) {
      const fs::path folder = std::move(stack.back());
      stack.pop_back();
      struct stat s {};
      if (::stat(folder.c_str(), &s) != 0 || !folders_.insert({s.st_dev, s.st_ino}).second)
        continue;
      fs::directory_iterator entries(folder, error);
      if (error) {
        problem(folder.string(), "open folder: " + error.message());
        continue;
      }
      std::vector<fs::path> inner;
      for (const fs::directory_iterator end; entries != end; entries.increment(error)) {
        if (error) break;
        std::error_code ignored;
        if (entries->is_directory(ignored)) {
          inner.push_back(entries->path());
        } else if (has_sound_extension(entries->path())) {
          found(entries->path(), false);
        }
      }
      std::sort(inner.rbegin(), inner.rend());
      std::move(inner.begin(), inner.end(), std::back_inserter(stack));
      report(false);
    }
  }

  void found(const fs::path& path, bool named) {
    const auto file = stamp(path);
    if (!file) {
      if (named) problem(path.string(), "is no regular file");
      return;
    }
    if (!seen_.insert(file->path).second) return;
    ++progress_.found;
    const auto it = known_.find(file->path);
    const bool same = it != known_.end() && it->second.size == file->size &&
                      it->second.mtime_ns == file->mtime_ns &&
                      (it->second.broken || it->second.analysis_version == audio::kAnalysisVersion);
    if (!same) {
      todo_.push_back(*file);
      return;
    }
    ++progress_.unchanged;
    if (it->second.missing) back_.push_back(it->second.id);
  }

  Error nothing_found() const {
    std::string where;
    for (const fs::path& p : options_.paths) where += (where.empty() ? "" : ", ") + p.string();
    if (!problems_.empty())
      return Error(ErrorCode::kPermissionDenied, "no sound file could be reached in " + where +
                                                     ": " + problems_.front().path + ": " +
                                                     problems_.front().message);
    return Error(ErrorCode::kNotFound, "no sound file in " + where,
                 "looked for wav, aiff, flac, mp3, ogg, opus and m4a");
  }

  // Known files below the scanned folders that were not met.
  void find_missing() {
    if (cancelled(options_)) return;
    for (const auto& [path, known] : known_) {
      if (known.missing || seen_.contains(path)) continue;
      for (const fs::path& root : roots_) {
        const std::string prefix = root.string();
        const bool below = path == prefix || (path.starts_with(prefix) &&
                                              (prefix == "/" || path[prefix.size()] == '/'));
        // A folder that cannot be read today (a drive not mounted, no permission) says nothing
        // about its files.
        std::error_code ignored;
        if (below && !fs::exists(path, ignored) && !ignored) {
          missing_.push_back(known.id);
          break;
        }
      }
    }
  }

  Result<void> mark_missing() {
    SM_CHECK_OK(catalogue_.mark_missing(missing_, true));
    return catalogue_.mark_missing(back_, false);
  }

  void measure() {
    const size_t threads = options_.threads != 0
                               ? options_.threads
                               : std::max(1u, std::thread::hardware_concurrency());
    ThreadPool pool("scan", threads, threads * 4, ThreadPool::Priority::kBackground);
    for (const FileStamp& file : todo_) {
      if (cancelled(options_) || failed()) break;
      pool.post_blocking([this, &file] { measure_one(file); });
    }
    if (cancelled(options_)) pool.clear();
  }  // joins

  bool failed() {
    const std::lock_guard lock(mutex_);
    return failure_.has_value();
  }

  void measure_one(const FileStamp& file) {
    if (cancelled(options_)) return;
    {
      const std::lock_guard lock(mutex_);
      progress_.current = file.path;
    }
    Sample sample;
    sample.file = file;
    sample.analysis_version = audio::kAnalysisVersion;
    auto digest = blake3_file(file.path);
    if (digest.ok()) {
      sample.digest_hex = digest->hex();
      if (relinked(*digest, file)) return;
    }
    audio::AnalysisOptions options;
    options.cancel = options_.cancel;
    auto analysis = analyzer_.analyze(file.path, options);
    if (!analysis.ok() && analysis.error().code() == ErrorCode::kCancelled) return;
    if (analysis.ok()) {
      sample.analysis = std::move(analysis).value();
    } else {
      sample.error = analysis.error().message();
      // The path stands beside it wherever it is shown.
      if (sample.error.starts_with(file.path + ": ")) sample.error.erase(0, file.path.size() + 2);
    }
    const std::lock_guard lock(mutex_);
    ++progress_.done;
    if (!sample.error.empty()) {
      ++progress_.broken;
      problem(file.path, sample.error);
    }
    batch_.push_back(std::move(sample));
    store_if_due();
    report(false);
  }

  // A file whose content is known from a place where it no longer is has been moved.
  bool relinked(const Digest& digest, const FileStamp& file) {
    if (missing_.empty() && known_.empty()) return false;
    const std::lock_guard lock(mutex_);
    auto before = catalogue_.find_missing_by_digest(digest);
    if (!before.ok() || !*before || !(*before)->error.empty() ||
        (*before)->analysis_version != audio::kAnalysisVersion)
      return false;
    if (!catalogue_.relink((*before)->id, file).ok()) return false;
    ++progress_.done;
    ++progress_.moved;
    std::erase(missing_, (*before)->id);
    report(false);
    return true;
  }

  // REQUIRES: mutex_ held.
  void store_if_due() {
    if (batch_.size() < kBatchMax && std::chrono::steady_clock::now() - batch_start_ < kBatchAge)
      return;
    auto stored = catalogue_.put(batch_);
    if (!stored.ok() && !failure_) failure_ = std::move(stored).error();
    batch_.clear();
    batch_start_ = std::chrono::steady_clock::now();
  }

  Result<void> flush() {
    const std::lock_guard lock(mutex_);
    if (batch_.empty()) return ok();
    auto stored = catalogue_.put(batch_);
    batch_.clear();
    return stored;
  }

  void problem(const std::string& path, const std::string& message) {
    if (problems_.size() < kProblemsMax) problems_.push_back({path, message});
  }

  // REQUIRES: called by the walking thread alone, or with mutex_ held.
  void report(bool last) {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.on_progress || (!last && now - reported_ < kProgressEvery)) return;
    reported_ = now;
    progress_.elapsed_s = elapsed();
    if (!progress_.walking && progress_.done > 0) {
      if (measure_start_ == std::chrono::steady_clock::time_point()) measure_start_ = now;
      progress_.files_per_s =
          static_cast<double>(progress_.done) / std::max(1e-3, progress_.elapsed_s);
      progress_.left_s =
          static_cast<double>(progress_.to_do - progress_.done) / progress_.files_per_s;
    }
    options_.on_progress(progress_);
  }

  Catalogue& catalogue_;
  const ScanOptions& options_;
  const audio::Analyzer analyzer_{};
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point measure_start_;
  std::chrono::steady_clock::time_point reported_;
  std::chrono::steady_clock::time_point batch_start_ = start_;
  std::vector<fs::path> roots_;
  std::unordered_map<std::string, Catalogue::Known> known_;
  std::set<std::pair<dev_t, ino_t>> folders_;
  std::unordered_set<std::string> seen_;
  std::vector<FileStamp> todo_;
  std::vector<int64_t> missing_;
  std::vector<int64_t> back_;
  std::mutex mutex_;  // guards everything below while measuring
  ScanProgress progress_;
  std::vector<Sample> batch_;
  std::vector<ScanReport::Problem> problems_;
  std::optional<Error> failure_;
};

}  // namespace

bool has_sound_extension(const fs::path& path) {
  static const std::set<std::string, std::less<>> kExtensions{
      ".wav", ".wave", ".aif",  ".aiff", ".aifc", ".flac", ".mp3",
      ".ogg", ".oga",  ".opus", ".m4a",  ".aac",  ".w64",  ".rf64"};
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kExtensions.contains(extension) &&
         !path.filename().string().starts_with("._");  // "._x.wav" is macOS's side file, no sound
}

Result<ScanReport> scan(Catalogue& catalogue, const ScanOptions& options) {
  return Scan(catalogue, options).run();
}

}  // namespace samplemind::library
