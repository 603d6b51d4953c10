// Analysis jobs in Redis: one stream with a consumer group for the jobs of all scans, one stream of
// results for each scan. At least once: a job leaves its stream in the same step (a script) in
// which its result enters the other. docs/library.md tells the whole of it.
//
// Everything here blocks the calling thread, which runs a loop of its own for it; one thread only.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "library/measure_queue.h"
#include "net/redis.h"

namespace samplemind::server {

struct QueueAddress {
  std::string url;  // redis://host:6379/0 or rediss://; one server
  std::string username, password, ca_file;
};

// Names in Redis, and commands to it.
class QueueLink {
 public:
  static constexpr std::string_view kGroup = "workers";
  // The payload's form and the meaning of its numbers: workers of another version take other jobs.
  static std::string jobs_key();
  static std::string alive_key();   // is there while any worker lives
  static std::string poison_key();  // a hash: path -> "tries unix_ms size"
  static std::string facts_key(std::string_view digest_hex);
  static std::string results_key(std::string_view scan);

  // kInvalidArgument for a wrong address; kUnavailable, kUnauthenticated when Redis does not
  // answer.
  static Result<std::unique_ptr<QueueLink>> open(const QueueAddress& address);
  ~QueueLink();
  Result<net::RedisReply> call(std::vector<std::string> words,
                               std::chrono::milliseconds limit = std::chrono::seconds(5));
  void pause(std::chrono::milliseconds time);  // the connection is looked after meanwhile
  const std::string& url() const { return url_; }
  // Makes the group where it is missing.
  Result<void> make_group();

 private:
  explicit QueueLink(std::string url) : url_(std::move(url)) {}
  std::string url_;
  net::Loop loop_;
  std::unique_ptr<net::RedisClient> client_;
};

class ScanQueue final : public library::MeasureQueue {
 public:
  static constexpr size_t kInFlightMax = 1000;  // jobs of one scan: back-pressure
  static Result<std::unique_ptr<ScanQueue>> open(const QueueAddress& address);
  ~ScanQueue() override;  // takes back what nobody has begun

  size_t in_flight_max() const override { return kInFlightMax; }
  void submit(std::vector<library::MeasureJob> jobs) override;
  Result<std::vector<library::Measured>> collect(std::chrono::milliseconds wait) override;

 private:
  explicit ScanQueue(std::unique_ptr<QueueLink> link);
  Result<void> send();
  Result<std::vector<library::Measured>> read();
  Result<void> find_lost(std::vector<library::Measured>& found);
  Result<void> see_workers();  // sets forsaken_

  std::unique_ptr<QueueLink> link_;
  std::string scan_;  // its random name
  struct Outstanding {
    library::MeasureJob job;
    std::string id;  // in the stream; empty: not sent yet
  };
  std::map<size_t, Outstanding> outstanding_;
  size_t unsent_ = 0;
  bool forsaken_ = false;  // nobody works on the queue
  std::optional<SteadyTime> failing_since_;
  SteadyTime heard_;    // of the last result, or of the last look for lost jobs
  SteadyTime looked_;   // for workers
  SteadyTime workers_;  // when one was known to live
};

struct PoisonFile {
  std::string path;  // as the scan called it
  int64_t tries = 0;
  int64_t at_ms = 0;
};
// What was set aside, by path; `clear` forgets it.
Result<std::vector<PoisonFile>> poison_files(const QueueAddress& address, bool clear);

}  // namespace samplemind::server
