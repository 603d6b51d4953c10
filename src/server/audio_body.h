// A sample's sound over HTTP: ranges (RFC 9110, section 14), validators, and WAV for what browsers
// cannot play.
#pragma once

#include "base/thread_pool.h"
#include "library/catalogue.h"
#include "net/server.h"

namespace samplemind::server {

// `sample` must stay alive until the task is done.
net::Task<void> serve_audio(net::Exchange& exchange, ThreadPool& blocking,
                            const library::Sample& sample);

struct ByteRange {
  uint64_t first = 0;
  uint64_t last = 0;  // inclusive
};
// "bytes=0-99", "bytes=100-", "bytes=-50" against `size`. Nothing: no range, or one we do not serve
// in parts (several): send all. `unsatisfiable` is set for a range beyond the end.
std::optional<ByteRange> parse_byte_range(std::string_view header, uint64_t size,
                                          bool& unsatisfiable);

}  // namespace samplemind::server
