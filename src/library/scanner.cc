#include "library/scanner.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>

#include "audio/analyzer.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "library/measure_queue.h"

namespace samplemind::library {

namespace {

constexpr size_t kBatchMax = 256;
constexpr auto kBatchAge = std::chrono::milliseconds(500);
constexpr auto kProgressEvery = std::chrono::milliseconds(100);
constexpr size_t kProblemsMax = 1000;
constexpr int64_t kUnmountedMin = 10;

bool cancelled(const ScanOptions& o) {
  return o.cancel != nullptr && o.cancel->load(std::memory_order_relaxed);
}

bool paused(const ScanOptions& o) {
  return o.pause != nullptr && o.pause->load(std::memory_order_relaxed) && !cancelled(o);
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
    find_missing();
    if (progress_.found == 0 && missing_.empty() && !cancelled(options_)) return nothing_found();
    progress_.walking = false;
    progress_.to_do = static_cast<int64_t>(todo_.size());
    SM_CHECK_OK(mark_missing());
    if (options_.queue != nullptr) measure_elsewhere(*options_.queue);
    if (!failure_) measure();
    SM_CHECK_OK(flush());
    if (failure_) return std::move(*failure_);
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
      if (probe == fs::directory_iterator()) empty_roots_.push_back(absolute.string());
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
      while (paused(options_)) {
        report(false);
        std::this_thread::sleep_for(kProgressEvery);
      }
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
        std::error_code ignored;
        if (entries->is_directory(ignored)) {
          inner.push_back(entries->path());
        } else if (has_sound_extension(entries->path())) {
          found(entries->path(), false);
        }
      }
      // increment() ends the loop on an error.
      if (error) problem(folder.string(), "read folder: " + error.message());
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
    find_unmounted();
    for (const auto& [path, known] : known_) {
      if (known.missing || seen_.contains(path)) continue;
      for (const fs::path& root : roots_) {
        const std::string prefix = root.string();
        const bool below = path == prefix || (path.starts_with(prefix) &&
                                              (prefix == "/" || path[prefix.size()] == '/'));
        // A folder that cannot be read today (a drive not mounted, no permission) says nothing
        // about its files.
        std::error_code ignored;
        if (below && !unmounted_.contains(prefix) && !fs::exists(path, ignored) && !ignored) {
          missing_.push_back(known.id);
          break;
        }
      }
    }
  }

  // A scanned folder that is there but holds nothing at all, where many sounds were known, is more
  // likely a drive that is not mounted.
  void find_unmounted() {
    for (const std::string& root : empty_roots_) {
      const auto below = std::count_if(known_.begin(), known_.end(), [&root](const auto& k) {
        return !k.second.missing && k.first.starts_with(root + "/");
      });
      if (below < kUnmountedMin) continue;
      unmounted_.insert(root);
      problem(root, "the folder is empty: is its drive mounted? Its " + std::to_string(below) +
                        " sounds are kept as they are (remove the folder too if they are gone)");
    }
  }

  Result<void> mark_missing() {
    SM_CHECK_OK(catalogue_.mark_missing(missing_, true));
    return catalogue_.mark_missing(back_, false);
  }

  // Workers measure; this thread alone hands out work, stores and reports, so that a long file
  // keeps no finished one from the disk.
  void measure() {
    const size_t threads = options_.threads != 0
                               ? options_.threads
                               : std::max(1u, std::thread::hardware_concurrency());
    const size_t in_flight_max = threads * 4;
    size_t next = 0;
    size_t in_flight = 0;
    measure_start_ = stored_ = std::chrono::steady_clock::now();
    ThreadPool pool("scan", threads, in_flight_max, ThreadPool::Priority::kBackground);
    for (;;) {
      const bool stopping = cancelled(options_) || failure_.has_value();
      const bool waiting = !stopping && paused(options_);
      while (!stopping && !waiting && in_flight < in_flight_max && next < todo_.size()) {
        const FileStamp& file = todo_[next++];
        SM_ASSERT(pool.try_post([this, &file] { finish(measure_one(file)); }));
        ++in_flight;
      }
      if (in_flight == 0 && waiting) {
        // What is finished is stored before the wait, however long that is.
        if (auto stored = flush(); !stored.ok() && !failure_) failure_ = std::move(stored).error();
        report(false);
        std::this_thread::sleep_for(kProgressEvery);
        continue;
      }
      if (in_flight == 0) break;
      std::vector<Finished> finished;
      {
        std::unique_lock lock(mutex_);
        ready_.wait_for(lock, kProgressEvery, [this] { return !finished_.empty(); });
        finished.swap(finished_);
      }
      in_flight -= finished.size();
      for (Finished& m : finished) take(std::move(m));
      store_if_due();
      report(false);
    }
  }

  struct Finished {
    Sample sample;
    bool dropped = false;         // cancelled, or gone since it was found
    std::vector<Sample> earlier;  // the catalogue's samples of the same content
    bool reused = false;          // the analysis is one of theirs
  };

  // Workers on other machines measure; this thread hands out, stores and reports. What they cannot
  // reach stays in todo_ and is measured here.
  void measure_elsewhere(MeasureQueue& queue) {
    measure_start_ = stored_ = std::chrono::steady_clock::now();
    std::vector<bool> answered(todo_.size());
    std::vector<FileStamp> unreached;
    std::string first_unreached;
    size_t next = 0;
    size_t in_flight = 0;
    while (!cancelled(options_) && !failure_ && (next < todo_.size() || in_flight > 0)) {
      std::vector<MeasureJob> jobs;
      while (!paused(options_) && next < todo_.size() &&
             in_flight + jobs.size() < queue.in_flight_max())
        jobs.push_back({next, todo_[next]}), ++next;
      in_flight += jobs.size();
      if (!jobs.empty()) queue.submit(std::move(jobs));
      auto results = queue.collect(kProgressEvery);
      if (!results.ok()) {
        failure_ = std::move(results).error();
        break;
      }
      for (Measured& r : *results) {
        if (r.n >= next || answered[r.n]) continue;  // an answer that came twice
        answered[r.n] = true;
        --in_flight;
        if (r.state == Measured::State::kGone) {
          if (first_unreached.empty()) first_unreached = r.error;
          unreached.push_back(todo_[r.n]);
        } else {
          take(from_elsewhere(todo_[r.n], std::move(r)));
        }
      }
      store_if_due();
      report(false);
    }
    if (!unreached.empty())
      problem(unreached.front().path,
              first_unreached + "; " + std::to_string(unreached.size()) +
                  " sounds that workers could not reach were measured here");
    todo_ = std::move(unreached);
  }

  Finished from_elsewhere(const FileStamp& file, Measured result) {
    Finished m;
    m.sample.file = file;
    m.sample.analysis_version = audio::kAnalysisVersion;
    m.sample.digest_hex = result.digest_hex;
    if (const auto digest = Digest::from_hex(result.digest_hex); digest.ok() && reuse(*digest, m))
      return m;
    settle(std::move(result), m);
    return m;
  }

  void finish(Finished measured) {
    const std::lock_guard lock(mutex_);
    finished_.push_back(std::move(measured));
    ready_.notify_one();
  }

  // Content that the catalogue knows needs no second measurement.
  bool reuse(const Digest& digest, Finished& m) {
    auto earlier = catalogue_.find_by_digest(digest);
    if (earlier.ok()) m.earlier = std::move(earlier).value();
    for (const Sample& e : m.earlier) {
      if (!e.error.empty() || e.analysis_version != audio::kAnalysisVersion) continue;
      m.sample.analysis = heard(e);
      m.reused = true;
      return true;
    }
    return false;
  }

  // On a worker.
  Finished measure_one(const FileStamp& file) {
    Finished m;
    m.dropped = cancelled(options_);
    if (m.dropped) return m;
    Sample& sample = m.sample;
    sample.file = file;
    sample.analysis_version = audio::kAnalysisVersion;
    if (const auto digest = blake3_file(file.path); digest.ok()) {
      sample.digest_hex = digest->hex();
      if (reuse(*digest, m)) return m;
    }
    auto heard = measure_file(analyzer_, file.path, sample.digest_hex, options_.cancel);
    if (heard.ok()) {
      settle(std::move(heard).value(), m);
    } else {
      m.dropped = true;
    }
    return m;
  }

  // What is wrong with the file stays until the file changes. What is wrong around it (no
  // permission, a drive that fails, no decoder) may heal without that: a time that no file has
  // makes the next scan try again.
  static void settle(Measured from, Finished& m) {
    m.dropped = from.state == Measured::State::kGone;
    m.sample.analysis = std::move(from.analysis);
    m.sample.error = std::move(from.error);
    if (from.state == Measured::State::kHealing) m.sample.file.mtime_ns = -1;
  }

  void take(Finished m) {
    if (m.dropped) return;
    ++progress_.done;
    progress_.current = m.sample.file.path;
    if (!m.sample.error.empty()) {
      ++progress_.broken;
      problem(m.sample.file.path, m.sample.error);
    } else if (m.reused && relinked(m)) {
      ++progress_.moved;
      return;
    }
    batch_.push_back(std::move(m.sample));
  }

  // A file whose content is known from a place where it no longer is has been moved: it keeps its
  // id. A path that is known already keeps the id of that path.
  bool relinked(const Finished& m) {
    if (const auto here = known_.find(m.sample.file.path);
        here != known_.end() && !here->second.missing)
      return false;
    for (const Sample& e : m.earlier) {
      std::error_code error;
      if (e.analysis_version != audio::kAnalysisVersion || !e.error.empty() ||
          relinked_.contains(e.id) || fs::exists(e.file.path, error) || error)
        continue;
      if (auto done = catalogue_.relink(e.id, m.sample.file); !done.ok()) {
        if (!failure_) failure_ = std::move(done).error();
        return false;
      }
      relinked_.insert(e.id);
      std::erase(missing_, e.id);
      return true;
    }
    return false;
  }

  void store_if_due() {
    const auto now = std::chrono::steady_clock::now();
    if (batch_.empty()) {
      stored_ = now;
    } else if (batch_.size() >= kBatchMax || now - stored_ >= kBatchAge) {
      if (auto stored = flush(); !stored.ok() && !failure_) failure_ = std::move(stored).error();
      stored_ = now;
    }
  }

  Result<void> flush() {
    if (batch_.empty()) return ok();
    auto stored = catalogue_.put(batch_);
    batch_.clear();
    return stored;
  }

  void problem(const std::string& path, const std::string& message) {
    if (problems_.size() < kProblemsMax) problems_.push_back({path, message});
  }

  void report(bool last) {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.on_progress || (!last && now - reported_ < kProgressEvery)) return;
    reported_ = now;
    progress_.elapsed_s = elapsed();
    progress_.paused = paused(options_);
    if (!progress_.walking && progress_.done > 0) {
      const double measuring_s = std::chrono::duration<double>(now - measure_start_).count();
      progress_.files_per_s = static_cast<double>(progress_.done) / std::max(1e-3, measuring_s);
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
  std::chrono::steady_clock::time_point stored_;  // when nothing finished was waiting
  std::vector<fs::path> roots_;
  std::unordered_map<std::string, Catalogue::Known> known_;
  std::set<std::pair<dev_t, ino_t>> folders_;
  std::unordered_set<std::string> seen_;
  std::vector<std::string> empty_roots_;
  std::unordered_set<std::string> unmounted_;
  std::vector<FileStamp> todo_;
  std::vector<int64_t> missing_;
  std::vector<int64_t> back_;
  std::unordered_set<int64_t> relinked_;
  ScanProgress progress_;
  std::vector<Sample> batch_;
  std::vector<ScanReport::Problem> problems_;
  std::mutex mutex_;  // guards what workers hand over
  std::condition_variable ready_;
  std::vector<Finished> finished_;
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
