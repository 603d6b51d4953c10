// Measuring elsewhere: what a scan hands to workers on other machines and what they send back. The
// scan alone writes the library; how jobs travel is the queue's affair (server/scan_queue.h:
// Redis).
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "audio/analyzer.h"
#include "base/result.h"
#include "library/catalogue.h"

namespace samplemind::library {

struct MeasureJob {
  size_t n = 0;  // the scan's number for it
  FileStamp file;
};

// What became of one file.
struct Measured {
  enum class State {
    kHeard,
    kBroken,   // stays so until the file changes
    kHealing,  // broken by something around the file: the next scan tries again
    kGone,     // not there, or another file than the job's, where it was measured
  };
  size_t n = 0;
  State state = State::kGone;
  std::string digest_hex;    // of the file's bytes; empty when they could not be read
  std::string error;         // of kBroken, kHealing and kGone
  audio::Analysis analysis;  // of kHeard
};

// Measures a file here. kCancelled is the only error; the message of a broken file does not repeat
// its path. `digest_hex` may be empty.
Result<Measured> measure_file(const audio::Analyzer& analyzer, const std::string& path,
                              std::string digest_hex, const std::atomic<bool>* cancel);

// An analysis as text that travels (JSON, the descriptor in hexadecimal), and back. kDataLoss for
// anything else.
std::string facts_text(const audio::Analysis& analysis);
Result<audio::Analysis> facts_from_text(std::string_view text);

// One scan's end of a queue, used by its thread alone.
class MeasureQueue {
 public:
  virtual ~MeasureQueue() = default;
  virtual size_t in_flight_max() const = 0;  // jobs without their result
  // Takes jobs; they are sent during collect(). REQUIRES: not above in_flight_max().
  virtual void submit(std::vector<MeasureJob> jobs) = 0;
  // Results that have come, waiting up to `wait` for the first; the same one may come twice. An
  // error ends the scan: the queue is out of reach for long, or nobody works on it.
  virtual Result<std::vector<Measured>> collect(std::chrono::milliseconds wait) = 0;
};

}  // namespace samplemind::library
