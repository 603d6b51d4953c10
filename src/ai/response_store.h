// What OpenAI's responses keep between the turns of a conversation: each response with all that was
// said before it, for 30 days or until it is deleted, in <home>/responses.db (SQLite). A response
// belongs to its tenant: to others it is unknown. Bounded: above `bytes_max` the oldest go first.
// What is put is known at once and written behind, at most a tenth of a second later.
//
// Thread-safe. get() and erase() may wait for the disk: not on a loop's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace samplemind::ai {

inline constexpr int64_t kResponseKeptMs = 30LL * 24 * 60 * 60 * 1000;
inline constexpr uint64_t kResponsesBytesMax = 1ull << 30;  // on disk, compressed

struct StoredResponse {
  std::string id;  // "resp_..."
  std::string tenant;
  int64_t created_ms = 0;
  std::string input;     // all items before the answer: JSON, comma-separated
  std::string response;  // as it was told: a JSON object
};

// Nobody guesses one: 192 random bits.
std::string new_response_id();

class ResponseStore {
 public:
  // An empty path keeps in memory for as long as the process lives.
  static Result<std::unique_ptr<ResponseStore>> open(const std::filesystem::path& file,
                                                     const Clock& clock = system_clock(),
                                                     uint64_t bytes_max = kResponsesBytesMax);
  ~ResponseStore();  // writes what waits
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  void put(StoredResponse response);
  Result<std::optional<StoredResponse>> get(const std::string& tenant, const std::string& id);
  // False when there was none.
  Result<bool> erase(const std::string& tenant, const std::string& id);
  void flush();
  uint64_t dropped() const;  // not kept: too many waited for a slow disk

 private:
  struct Database;
  ResponseStore(const Clock& clock, uint64_t bytes_max);
  void write_behind();
  const Clock& clock_;
  const uint64_t bytes_max_;
  std::unique_ptr<Database> database_;  // used under its own lock
  mutable std::mutex mutex_;
  std::condition_variable wake_, written_;
  std::deque<std::shared_ptr<const StoredResponse>> waiting_;
  uint64_t waiting_bytes_ = 0, dropped_ = 0;
  bool stop_ = false;
  std::thread writer_;
};

}  // namespace samplemind::ai
