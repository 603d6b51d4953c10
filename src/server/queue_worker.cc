#include "server/queue_worker.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "audio/analyzer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread_pool.h"

namespace samplemind::server {

namespace {

using library::Measured;
using net::RedisReply;
using namespace std::chrono_literals;

constexpr auto kBlock = 100ms;  // a wait for jobs; results wait no longer for their sending
constexpr auto kAliveEvery = 2s;
constexpr int kAliveSeconds = 10;
constexpr int kFactsSeconds = 3600;  // content measured by one worker is known to all others
constexpr int kResultsSeconds = 3600;
constexpr int kPoisonMax = 10'000;

// KEYS: jobs, results, facts, poison. ARGV: group, id, n, state, digest, text, facts' and results'
// seconds, poison field, poison value, how many poison files are kept. Nothing when another worker
// has finished the job.
constexpr const char* kFinish = R"lua(
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
if redis.call('XDEL', KEYS[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', 'n', ARGV[3], 'state', ARGV[4], 'digest', ARGV[5], 'text', ARGV[6])
redis.call('EXPIRE', KEYS[2], ARGV[8])
if ARGV[4] == 'heard' and ARGV[5] ~= '' then redis.call('SET', KEYS[3], ARGV[6], 'EX', ARGV[7]) end
if ARGV[9] ~= '' and redis.call('HLEN', KEYS[4]) < tonumber(ARGV[11]) then redis.call('HSET', KEYS[4], ARGV[9], ARGV[10]) end
return 1
)lua";

struct Job {
  std::string id, scan, n, path;
  int64_t size = -1;
};

std::optional<Job> read_job(const RedisReply& entry) {
  if (entry.items.size() != 2 || entry.items[1].items.size() < 8) return std::nullopt;
  Job job;
  job.id = entry.items[0].text;
  const auto& list = entry.items[1].items;
  for (size_t i = 0; i + 1 < list.size(); i += 2) {
    const std::string& value = list[i + 1].text;
    if (list[i].text == "scan") job.scan = value;
    if (list[i].text == "n") job.n = value;
    if (list[i].text == "path") job.path = value;
    if (list[i].text == "size") job.size = std::strtoll(value.c_str(), nullptr, 10);
  }
  return job;
}

const char* state_name(Measured::State state) {
  switch (state) {
    case Measured::State::kHeard:
      return "heard";
    case Measured::State::kBroken:
      return "broken";
    case Measured::State::kHealing:
      return "healing";
    case Measured::State::kGone:
      return "gone";
  }
  return "gone";
}

class Worker {
 public:
  Worker(const WorkerOptions& options, std::unique_ptr<QueueLink> link)
      : options_(options),
        threads_(options.threads != 0 ? options.threads
                                      : std::max(1u, std::thread::hardware_concurrency())),
        link_(std::move(link)),
        pool_("worker", threads_, threads_ * 2, ThreadPool::Priority::kBackground) {
    char host[64] = "host";
    (void)::gethostname(host, sizeof host - 1);
    name_ = std::string(host) + ":" + std::to_string(::getpid());
  }

  WorkerReport run() {
    while (!stopping() || !running_.empty() || solo_) {
      const auto stepped = step();
      if (stepped.ok()) {
        if (std::exchange(away_, false)) log::info("the queue answers again", {});
        continue;
      }
      if (stepped.error().message().find("NOGROUP") != std::string::npos &&
          link_->make_group().ok())
        continue;
      if (!std::exchange(away_, true))
        log::warn("the queue does not answer", {{"error", stepped.error().message()}});
      // Told to stop, and nobody to send the results to: another worker takes the jobs over.
      if (stopping()) break;
      link_->pause(100ms);
    }
    abandon_ = true;
    if (!away_)
      (void)link_->call(
          {"XGROUP", "DELCONSUMER", QueueLink::jobs_key(), std::string(QueueLink::kGroup), name_});
    return report_;
  }

 private:
  struct Finished {
    Job job;
    Measured what;
    std::string text;     // of the facts
    bool hashed = false;  // and no more: perhaps the facts are known already
    bool known = false;
    bool cancelled = false;
  };

  bool stopping() const { return options_.stop != nullptr && options_.stop->load(); }

  Result<void> step() {
    SM_CHECK_OK(send_finished());
    SM_CHECK_OK(renew());
    if (solo_ && running_.empty()) start(*std::exchange(solo_, std::nullopt), true);
    if (stopping() || solo_ || solo_running_ || running_.size() >= threads_ * 2) {
      wait_for_finished();
      return ok();
    }
    SM_TRY(const bool taken, take_over());
    if (taken) return ok();
    return take_new();
  }

  void wait_for_finished() {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, kBlock, [this] { return !finished_.empty(); });
  }

  Result<void> take_new() {
    SM_TRY(const RedisReply reply,
           link_->call({"XREADGROUP", "GROUP", std::string(QueueLink::kGroup), name_, "COUNT",
                        std::to_string(threads_ * 2 - running_.size()), "BLOCK",
                        std::to_string(running_.empty() ? kBlock.count() : 10), "STREAMS",
                        QueueLink::jobs_key(), ">"}));
    for (const RedisReply& stream : reply.items) {
      if (stream.items.size() != 2) continue;
      for (const RedisReply& entry : stream.items[1].items) {
        if (auto job = read_job(entry)) start(std::move(*job), false);
      }
    }
    return ok();
  }

  // One job whose worker has been silent. True when there was one.
  Result<bool> take_over() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_ < options_.takeover / 4) return false;
    looked_ = now;
    const std::string group(QueueLink::kGroup);
    SM_TRY(const RedisReply reply,
           link_->call({"XAUTOCLAIM", QueueLink::jobs_key(), group, name_,
                        std::to_string(options_.takeover.count()), "0-0", "COUNT", "1"}));
    if (reply.items.size() < 2 || reply.items[1].items.empty()) return false;
    looked_ = {};  // there may be more
    auto job = read_job(reply.items[1].items[0]);
    if (!job || running_.contains(job->id)) return true;
    SM_TRY(const RedisReply pending,
           link_->call({"XPENDING", QueueLink::jobs_key(), group, job->id, job->id, "1"}));
    const int64_t deliveries = pending.items.empty() || pending.items[0].items.size() != 4
                                   ? 1
                                   : pending.items[0].items[3].integer;
    if (deliveries <= kTriesMax) {
      ++report_.taken_over;
      log::info("taken over from a worker that is silent",
                {{"path", job->path}, {"try", deliveries}});
      solo_ = std::move(*job);
      return true;
    }
    Finished f;
    f.what.state = Measured::State::kBroken;
    f.what.error = "set aside: " + std::to_string(kTriesMax) +
                   " workers died or fell silent while they measured it";
    f.job = std::move(*job);
    log::warn("set aside", {{"path", f.job.path}});
    ++report_.set_aside;
    SM_CHECK_OK(
        send(f, std::to_string(kTriesMax) + " " + std::to_string(system_clock().unix_ms())));
    return true;
  }

  void start(Job job, bool alone) {
    solo_running_ = alone;
    const std::string id = job.id;
    running_.emplace(id, job);
    Finished f;
    f.job = std::move(job);
    post(std::move(f));
  }

  void post(Finished f) {
    SM_ASSERT(pool_.try_post([this, f = std::move(f)]() mutable {
      Finished done = f.hashed ? measure(std::move(f)) : hash(std::move(f));
      const std::lock_guard lock(mutex_);
      finished_.push_back(std::move(done));
      ready_.notify_one();
    }));
  }

  // hash() and measure() run on the pool, which has no Redis: between them the worker's own thread
  // asks for facts that another worker may have heard of the same content.
  Finished hash(Finished f) const {
    const Job& job = f.job;
    const std::string path = map_path(options_.maps, job.path);
    struct stat s {};
    const bool there = ::stat(path.c_str(), &s) == 0;
    if (!there || !S_ISREG(s.st_mode) || s.st_size != job.size) {
      f.what.error = std::string(there ? "another file is" : "no such file") + " at " + path +
                     " on worker " + name_ + " (is the folder mounted there? --map FROM=TO)";
      return f;
    }
    if (const auto digest = blake3_file(path); digest.ok()) f.what.digest_hex = digest->hex();
    f.hashed = true;
    return f;
  }

  Finished measure(Finished f) const {
    f.hashed = false;
    auto heard = library::measure_file(analyzer_, map_path(options_.maps, f.job.path),
                                       f.what.digest_hex, &abandon_);
    f.cancelled = !heard.ok();
    if (!heard.ok()) return f;
    f.what = std::move(heard).value();
    if (f.what.state == Measured::State::kHeard) f.text = library::facts_text(f.what.analysis);
    return f;
  }

  Result<void> send_finished() {
    {
      const std::lock_guard lock(mutex_);
      for (Finished& f : finished_) outgoing_.push_back(std::move(f));
      finished_.clear();
    }
    while (!outgoing_.empty()) {
      Finished& f = outgoing_.front();
      if (f.hashed) SM_CHECK_OK(look_up(f));
      if (f.hashed) {
        post(std::move(f));
      } else {
        if (!f.cancelled) SM_CHECK_OK(send(f, ""));
        count(f);
        running_.erase(f.job.id);
        if (running_.empty()) solo_running_ = false;
      }
      outgoing_.pop_front();
    }
    return ok();
  }

  Result<void> look_up(Finished& f) {
    if (f.what.digest_hex.empty()) return ok();
    SM_TRY(RedisReply reply, link_->call({"GET", QueueLink::facts_key(f.what.digest_hex)}));
    if (!reply.is_text() || !library::facts_from_text(reply.text).ok()) return ok();
    f.hashed = false;
    f.known = true;
    f.what.state = Measured::State::kHeard;
    f.text = std::move(reply.text);
    return ok();
  }

  Result<void> send(const Finished& f, const std::string& poison) {
    const std::string& text = f.text.empty() ? f.what.error : f.text;
    return drop(link_->call(
        {"EVAL", kFinish, "4", QueueLink::jobs_key(), QueueLink::results_key(f.job.scan),
         QueueLink::facts_key(f.what.digest_hex), QueueLink::poison_key(),
         std::string(QueueLink::kGroup), f.job.id, f.job.n, state_name(f.what.state),
         f.what.digest_hex, text, std::to_string(kFactsSeconds), std::to_string(kResultsSeconds),
         poison.empty() ? "" : f.job.path, poison, std::to_string(kPoisonMax)}));
  }
  static Result<void> drop(Result<RedisReply> reply) {
    if (!reply.ok()) return std::move(reply).error();
    return ok();
  }

  void count(const Finished& f) {
    if (f.cancelled) return;
    if (f.what.state == Measured::State::kHeard) {
      ++report_.measured;
      if (f.known) ++report_.known;
    } else if (f.what.state == Measured::State::kGone) {
      ++report_.unreachable;
    } else {
      ++report_.broken;
    }
    if (options_.on_done) options_.on_done(f.job.path, f.what);
  }

  // Tells that this worker lives, and that what it holds is being worked on.
  Result<void> renew() {
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ >= kAliveEvery) {
      SM_CHECK_OK(drop(link_->call(
          {"SET", QueueLink::alive_key(), name_, "EX", std::to_string(kAliveSeconds)})));
      told_ = now;
    }
    if ((running_.empty() && !solo_) || now - renewed_ < options_.takeover / 4) return ok();
    std::vector<std::string> words{"XCLAIM", QueueLink::jobs_key(), std::string(QueueLink::kGroup),
                                   name_, "0"};
    for (const auto& [id, job] : running_) words.push_back(id);
    if (solo_) words.push_back(solo_->id);
    words.push_back("JUSTID");  // does not count as a try
    SM_CHECK_OK(drop(link_->call(std::move(words))));
    renewed_ = now;
    return ok();
  }

  const WorkerOptions& options_;
  const size_t threads_;
  std::unique_ptr<QueueLink> link_;
  const audio::Analyzer analyzer_{};
  std::string name_;
  std::map<std::string, Job> running_;  // by id: held, not sent yet
  std::optional<Job> solo_;             // taken over: waits until nothing else runs
  bool solo_running_ = false;
  std::deque<Finished> outgoing_;
  SteadyTime told_, renewed_, looked_;
  bool away_ = false;
  WorkerReport report_;
  std::atomic<bool> abandon_{false};
  std::mutex mutex_;  // guards what the pool hands over
  std::condition_variable ready_;
  std::vector<Finished> finished_;
  ThreadPool pool_;  // last: its threads end first
};

}  // namespace

Result<std::pair<std::string, std::string>> parse_path_map(const std::string& text) {
  const size_t at = text.find('=');
  std::string from = text.substr(0, std::min(at, text.size()));
  std::string to = at == std::string::npos ? "" : text.substr(at + 1);
  if (!from.starts_with('/') || !to.starts_with('/'))
    return Error(ErrorCode::kInvalidArgument, "--map " + text + ": two absolute folders are needed",
                 "--map /studio/sounds=/mnt/sounds: the scan's folder, then this machine's");
  while (from.ends_with('/')) from.pop_back();
  while (to.ends_with('/')) to.pop_back();
  return std::pair(std::move(from), std::move(to));
}

std::string map_path(const std::vector<std::pair<std::string, std::string>>& maps,
                     const std::string& path) {
  const std::pair<std::string, std::string>* best = nullptr;
  for (const auto& map : maps) {
    const bool fits = path.starts_with(map.first) &&
                      (path.size() == map.first.size() || path[map.first.size()] == '/');
    if (fits && (best == nullptr || map.first.size() > best->first.size())) best = &map;
  }
  return best == nullptr ? path : best->second + path.substr(best->first.size());
}

Result<WorkerReport> run_worker(const WorkerOptions& options) {
  SM_TRY(auto link, QueueLink::open(options.queue));
  return Worker(options, std::move(link)).run();
}

}  // namespace samplemind::server
