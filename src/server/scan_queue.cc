#include "server/scan_queue.h"

#include <algorithm>
#include <charconv>
#include <random>

#include "base/log.h"

namespace samplemind::server {

namespace {

using library::Measured;
using net::RedisReply;
using namespace std::chrono_literals;

constexpr auto kOutageMax = 120s;   // a Redis that is away longer ends the scan
constexpr auto kWorkersWait = 30s;  // so long a scan waits for a first or another worker
constexpr auto kWorkersLook = 2s;   // between two looks for one
constexpr auto kLostLook = 5s;      // without any result: are the jobs still there?
constexpr size_t kSendMax = 100;    // jobs in one command
constexpr size_t kReadMax = 200;    // results in one

// KEYS: jobs. ARGV: scan, then n, path, size for each. Gives the entries' ids.
constexpr const char* kSubmit = R"lua(
local ids = {}
for i = 2, #ARGV, 3 do
  ids[#ids + 1] = redis.call('XADD', KEYS[1], '*', 'scan', ARGV[1], 'n', ARGV[i], 'path', ARGV[i + 1], 'size', ARGV[i + 2])
end
return ids
)lua";

// KEYS: jobs. ARGV: ids. Gives 1 for each that is still there.
constexpr const char* kThere = R"lua(
local there = {}
for i = 1, #ARGV do there[i] = #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) end
return there
)lua";

std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string random_name() {
  std::random_device device;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string name;
  for (int i = 0; i < 16; ++i) name += kDigits[device() & 15];
  return name;
}

// An entry of a results stream: [id, [field, value, ...]].
std::optional<Measured> read_result(const RedisReply& entry) {
  if (entry.items.size() != 2) return std::nullopt;
  std::map<std::string_view, std::string_view> fields;
  const auto& list = entry.items[1].items;
  for (size_t i = 0; i + 1 < list.size(); i += 2) fields[list[i].text] = list[i + 1].text;
  const auto n = number(fields["n"]);
  if (!n || *n < 0) return std::nullopt;
  Measured m;
  m.n = static_cast<size_t>(*n);
  m.digest_hex = fields["digest"];
  const std::string_view state = fields["state"];
  if (state == "heard") {
    auto facts = library::facts_from_text(fields["text"]);
    // Counted as not reached: it is measured here.
    m.state = facts.ok() ? Measured::State::kHeard : Measured::State::kGone;
    if (facts.ok()) {
      m.analysis = std::move(facts).value();
    } else {
      m.error = facts.error().message();
    }
    return m;
  }
  m.error = fields["text"];
  m.state = state == "broken"    ? Measured::State::kBroken
            : state == "healing" ? Measured::State::kHealing
                                 : Measured::State::kGone;
  return m;
}

}  // namespace

// The braces keep all keys on one server, whatever stands before Redis. The number is the form of
// jobs and results; the analysis' version is in it because facts of two versions must not meet.
static std::string prefix() {
  return "{samplemind:queue:1." + std::to_string(audio::kAnalysisVersion) + "}:";
}
std::string QueueLink::jobs_key() {
  return prefix() + "jobs";
}
std::string QueueLink::alive_key() {
  return prefix() + "alive";
}
std::string QueueLink::poison_key() {
  return prefix() + "poison";
}
std::string QueueLink::facts_key(std::string_view digest_hex) {
  return prefix() + "facts:" + std::string(digest_hex);
}
std::string QueueLink::results_key(std::string_view scan) {
  return prefix() + "results:" + std::string(scan);
}

Result<std::unique_ptr<QueueLink>> QueueLink::open(const QueueAddress& address) {
  net::RedisOptions options;
  SM_CHECK_OK(net::parse_redis_urls({address.url}, options));
  if (options.servers.size() != 1)
    return Error(ErrorCode::kInvalidArgument, "a queue is one Redis server",
                 "--queue redis://127.0.0.1:6379");
  options.username = address.username;
  options.password = address.password;
  options.ca_file = address.ca_file;
  std::unique_ptr<QueueLink> link(new QueueLink(address.url));
  SM_TRY(link->client_, net::RedisClient::create(link->loop_, std::move(options)));
  if (auto made = link->make_group(); !made.ok()) {
    const Error& e = made.error();
    if (e.code() == ErrorCode::kUnauthenticated)
      return Error(e.code(), e.message(),
                   "set library.queue_password, or SAMPLEMIND_LIBRARY_QUEUE_PASSWORD");
    return Error(e.code(), "the queue " + address.url + " does not answer: " + e.message(),
                 "is Redis running there? redis-cli -u " + address.url + " ping");
  }
  return link;
}

QueueLink::~QueueLink() {
  client_.reset();
  loop_.destroy_tasks();
}

Result<RedisReply> QueueLink::call(std::vector<std::string> words,
                                   std::chrono::milliseconds limit) {
  return loop_.run_until_done(
      client_->command(std::move(words), std::chrono::steady_clock::now() + limit));
}

void QueueLink::pause(std::chrono::milliseconds time) {
  (void)loop_.run_until_done(loop_.sleep_for(time));
}

Result<void> QueueLink::make_group() {
  auto made = call({"XGROUP", "CREATE", jobs_key(), std::string(kGroup), "0", "MKSTREAM"});
  if (!made.ok() && made.error().message().find("BUSYGROUP") == std::string::npos)
    return std::move(made).error();
  return ok();
}

ScanQueue::ScanQueue(std::unique_ptr<QueueLink> link)
    : link_(std::move(link)), scan_(random_name()) {
  heard_ = workers_ = std::chrono::steady_clock::now();
}

Result<std::unique_ptr<ScanQueue>> ScanQueue::open(const QueueAddress& address) {
  SM_TRY(auto link, QueueLink::open(address));
  return std::unique_ptr<ScanQueue>(new ScanQueue(std::move(link)));
}

ScanQueue::~ScanQueue() {
  std::vector<std::string> words{"XDEL", QueueLink::jobs_key()};
  for (const auto& [n, o] : outstanding_) {
    if (!o.id.empty()) words.push_back(o.id);
  }
  if (words.size() > 2) (void)link_->call(std::move(words));
  (void)link_->call({"DEL", QueueLink::results_key(scan_)});
}

void ScanQueue::submit(std::vector<library::MeasureJob> jobs) {
  unsent_ += jobs.size();
  for (library::MeasureJob& job : jobs) {
    const size_t n = job.n;
    outstanding_[n] = {std::move(job), {}};
  }
  SM_ASSERT(outstanding_.size() <= kInFlightMax);
}

Result<void> ScanQueue::send() {
  while (unsent_ > 0) {
    std::vector<std::string> words{"EVAL", kSubmit, "1", QueueLink::jobs_key(), scan_};
    std::vector<Outstanding*> sent;
    for (auto& [n, o] : outstanding_) {
      if (!o.id.empty()) continue;
      sent.push_back(&o);
      words.insert(words.end(),
                   {std::to_string(n), o.job.file.path, std::to_string(o.job.file.size)});
      if (sent.size() == kSendMax) break;
    }
    SM_TRY(const RedisReply reply, link_->call(std::move(words)));
    if (reply.items.size() != sent.size())
      return Error(ErrorCode::kUpstream, "Redis did not take the jobs");
    for (size_t i = 0; i < sent.size(); ++i) sent[i]->id = reply.items[i].text;
    unsent_ -= sent.size();
  }
  return ok();
}

Result<std::vector<Measured>> ScanQueue::read() {
  std::vector<Measured> found;
  const std::string key = QueueLink::results_key(scan_);
  for (;;) {
    SM_TRY(const RedisReply reply,
           link_->call({"XRANGE", key, "-", "+", "COUNT", std::to_string(kReadMax)}));
    if (reply.items.empty()) return found;
    std::vector<std::string> taken{"XDEL", key};
    for (const RedisReply& entry : reply.items) {
      if (!entry.items.empty()) taken.push_back(entry.items[0].text);
      auto result = read_result(entry);
      if (!result || outstanding_.erase(result->n) == 0) continue;
      found.push_back(std::move(*result));
    }
    // What cannot be removed comes again and is passed over then.
    if (auto removed = link_->call(std::move(taken)); !removed.ok()) return found;
  }
}

// A Redis that came back without its newest writes has lost jobs or results. A job leaves its
// stream with its result, so one that is in neither, read in this order, is lost.
Result<void> ScanQueue::find_lost(std::vector<Measured>& found) {
  std::vector<std::string> words{"EVAL", kThere, "1", QueueLink::jobs_key()};
  std::vector<size_t> numbers;
  for (const auto& [n, o] : outstanding_) {
    if (o.id.empty()) continue;
    numbers.push_back(n);
    words.push_back(o.id);
  }
  if (numbers.empty()) return ok();
  SM_TRY(const RedisReply there, link_->call(std::move(words)));
  SM_TRY(auto late, read());
  std::move(late.begin(), late.end(), std::back_inserter(found));
  size_t lost = 0;
  for (size_t i = 0; i < numbers.size() && i < there.items.size(); ++i) {
    const auto it = outstanding_.find(numbers[i]);
    if (there.items[i].integer != 0 || it == outstanding_.end()) continue;
    it->second.id.clear();
    ++unsent_;
    ++lost;
  }
  if (lost > 0)
    log::warn("the queue lost jobs; they are sent again", {{"jobs", static_cast<int64_t>(lost)}});
  return ok();
}

Result<void> ScanQueue::see_workers() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < kWorkersLook || outstanding_.empty()) return ok();
  looked_ = now;
  SM_TRY(const RedisReply alive, link_->call({"EXISTS", QueueLink::alive_key()}));
  if (alive.integer != 0) workers_ = now;
  forsaken_ = now - workers_ > kWorkersWait;
  return ok();
}

Result<std::vector<Measured>> ScanQueue::collect(std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  for (;;) {
    std::vector<Measured> found;
    const auto step = [&]() -> Result<void> {
      SM_CHECK_OK(send());
      SM_TRY(found, read());
      const auto now = std::chrono::steady_clock::now();
      if (!found.empty()) {
        heard_ = workers_ = now;
      } else if (now - heard_ > kLostLook || failing_since_) {
        heard_ = now;
        SM_CHECK_OK(find_lost(found));
      }
      return see_workers();
    };
    const Result<void> done = step();
    const auto now = std::chrono::steady_clock::now();
    if (done.ok()) {
      failing_since_.reset();
    } else {
      if (!failing_since_) failing_since_ = now;
      if (now - *failing_since_ > kOutageMax)
        return Error(ErrorCode::kUnavailable,
                     "the queue " + link_->url() + " is out of reach: " + done.error().message(),
                     "what was measured is kept; scan again once Redis answers");
      workers_ = now;  // they cannot tell of themselves either
    }
    if (!found.empty()) return found;
    if (forsaken_)
      return Error(ErrorCode::kUnavailable, "no worker takes jobs from " + link_->url(),
                   "samplemind worker --queue " + link_->url() +
                       " on any machine, of this version; then scan again: what is done is kept");
    if (now >= until) return found;
    link_->pause(done.ok() ? 10ms : 100ms);
  }
}

Result<std::vector<PoisonFile>> poison_files(const QueueAddress& address, bool clear) {
  SM_TRY(auto link, QueueLink::open(address));
  SM_TRY(const RedisReply all, link->call({"HGETALL", QueueLink::poison_key()}));
  std::vector<PoisonFile> files;
  for (size_t i = 0; i + 1 < all.items.size(); i += 2) {
    const std::string_view value = all.items[i + 1].text;
    const size_t space = std::min(value.find(' '), value.size());
    files.push_back({all.items[i].text, number(value.substr(0, space)).value_or(0),
                     number(value.substr(std::min(space + 1, value.size()))).value_or(0)});
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  if (clear) SM_CHECK_OK(link->call({"DEL", QueueLink::poison_key()}));
  return files;
}

}  // namespace samplemind::server
