// How many requests the memory tier answers: LRU, ours, and what no cache can beat, on the same
// traces with the same bytes. One thread, the same figures at each run.
//   cmake -DSAMPLEMIND_BENCH=ON ... && build/.../bin/cache_hit_ratio [requests]
//
// Traces: popularity after Zipf over 50,000 requests' texts whose answers take 1 to 32 KB (median
// about 3), with or without scans: one in four requests belongs to a run of 2,000 that come once
// and never again (a batch job).
//
// The optimum: with sizes that differ, the best possible is not computable for traces of this
// length; it lies between the two figures shown. "Belady" knows the future and drops what is worth
// least of its room (the largest size times distance to its next use, of 64 drawn at random): a
// cache could reach it. "bound" cannot be beaten: each return of an answer is a piece of room times
// time, the cheapest are paid first out of all the room and time there is, as if pieces never
// got in each other's way (PFOO-L: Berger, Beckmann, Harchol-Balter, "Practical bounds on optimal
// caching with variable object sizes", 2018).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "ai/cache/memory.h"

namespace samplemind::ai {
namespace {

struct Request {
  uint64_t object;
  size_t bytes;
};
using Trace = std::vector<Request>;

constexpr uint64_t kObjects = 50000;
constexpr uint64_t kScanRun = 2000;

// The same object has the same size each time.
size_t body_bytes(uint64_t object) {
  std::mt19937_64 random(object * 0x9E3779B97F4A7C15u + 1);
  std::lognormal_distribution<double> size(std::log(1200.0), 0.9);
  return static_cast<size_t>(std::clamp(size(random), 200.0, 16000.0));
}

Trace make_trace(double alpha, bool scans, size_t requests) {
  std::vector<double> until(kObjects);
  double sum = 0;
  for (uint64_t i = 0; i < kObjects; ++i)
    until[i] = sum += 1 / std::pow(static_cast<double>(i + 1), alpha);
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> draw(0, sum);
  Trace trace;
  trace.reserve(requests);
  const CacheRecord empty;
  uint64_t once = kObjects;
  while (trace.size() < requests) {
    // Three runs of ordinary requests, then one of the scan.
    const bool scan = scans && trace.size() / kScanRun % 4 == 3;
    uint64_t object = 0;
    if (scan) {
      object = once++;
    } else {
      const auto at = std::lower_bound(until.begin(), until.end(), draw(random));
      object = std::min<uint64_t>(static_cast<uint64_t>(at - until.begin()), kObjects - 1);
    }
    trace.push_back({object, empty.bytes() + 2 * body_bytes(object)});
  }
  return trace;
}

double lru(const Trace& trace, size_t bytes_max) {
  std::list<Request> order;  // newest first
  std::unordered_map<uint64_t, std::list<Request>::iterator> places;
  size_t bytes = 0, hits = 0;
  for (const Request& r : trace) {
    if (const auto it = places.find(r.object); it != places.end()) {
      ++hits;
      order.splice(order.begin(), order, it->second);
      continue;
    }
    order.push_front(r);
    places[r.object] = order.begin();
    for (bytes += r.bytes; bytes > bytes_max; order.pop_back()) {
      bytes -= order.back().bytes;
      places.erase(order.back().object);
    }
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

double ours(const Trace& trace, size_t bytes_max) {
  MemoryCache cache(bytes_max);
  size_t hits = 0;
  for (const Request& r : trace) {
    const Digest key = blake3({reinterpret_cast<const char*>(&r.object), sizeof r.object});
    if (cache.get(key, 0)) {
      ++hits;
      continue;
    }
    auto record = std::make_shared<CacheRecord>();
    record->key = key;
    record->expires_ms = INT64_MAX;
    record->openai_body.assign(body_bytes(r.object), 'x');
    cache.put(std::move(record));
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

std::vector<size_t> next_uses(const Trace& trace) {
  std::vector<size_t> next(trace.size(), SIZE_MAX);
  std::unordered_map<uint64_t, size_t> last;
  for (size_t i = trace.size(); i-- > 0;) {
    if (const auto it = last.find(trace[i].object); it != last.end()) next[i] = it->second;
    last[trace[i].object] = i;
  }
  return next;
}

double belady(const Trace& trace, const std::vector<size_t>& next, size_t bytes_max) {
  struct Entry {
    uint64_t object;
    size_t bytes, next;
  };
  std::vector<Entry> entries;
  std::unordered_map<uint64_t, size_t> places;
  std::mt19937_64 random(3);
  size_t bytes = 0, hits = 0;
  for (size_t i = 0; i < trace.size(); ++i) {
    if (const auto it = places.find(trace[i].object); it != places.end()) {
      ++hits;
      entries[it->second].next = next[i];
      continue;
    }
    places[trace[i].object] = entries.size();
    entries.push_back({trace[i].object, trace[i].bytes, next[i]});
    bytes += trace[i].bytes;
    while (bytes > bytes_max) {
      size_t worst = entries.size() - 1;  // the new one may be the first to go
      double most = -1;
      for (int k = 0; k < 64; ++k) {
        const size_t at = k == 0 ? entries.size() - 1 : random() % entries.size();
        const Entry& e = entries[at];
        const double worth = e.next == SIZE_MAX
                                 ? 1e300
                                 : static_cast<double>(e.bytes) * static_cast<double>(e.next - i);
        if (worth > most) {
          most = worth;
          worst = at;
        }
      }
      bytes -= entries[worst].bytes;
      places.erase(entries[worst].object);
      if (worst + 1 != entries.size()) {
        entries[worst] = entries.back();
        places[entries[worst].object] = worst;
      }
      entries.pop_back();
    }
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

double bound(const Trace& trace, const std::vector<size_t>& next, size_t bytes_max) {
  std::vector<double> costs;
  for (size_t i = 0; i < trace.size(); ++i) {
    if (next[i] != SIZE_MAX)
      costs.push_back(static_cast<double>(trace[i].bytes) * static_cast<double>(next[i] - i));
  }
  std::sort(costs.begin(), costs.end());
  double left = static_cast<double>(bytes_max) * static_cast<double>(trace.size());
  size_t hits = 0;
  for (const double cost : costs) {
    if ((left -= cost) < 0) break;
    ++hits;
  }
  return static_cast<double>(hits) / static_cast<double>(trace.size());
}

int run(size_t requests) {
  double room = 0;
  const CacheRecord empty;
  for (uint64_t i = 0; i < kObjects; ++i)
    room += static_cast<double>(empty.bytes() + 2 * body_bytes(i));
  std::printf("%zu requests, hit ratio in per cent\n", requests);
  std::printf("| Zipf | scans | memory (share of all answers) | LRU | ours | Belady | bound |\n");
  std::printf("|---|---|---|---|---|---|---|\n");
  int better = 0, rows = 0;
  for (const double alpha : {0.7, 0.9, 1.1}) {
    for (const bool scans : {false, true}) {
      const Trace trace = make_trace(alpha, scans, requests);
      const std::vector<size_t> next = next_uses(trace);
      for (const double share : {0.02, 0.1, 0.3}) {
        const auto bytes = static_cast<size_t>(room * share);
        const double by_lru = lru(trace, bytes), by_us = ours(trace, bytes);
        std::printf("| %.1f | %s | %.0f MiB (%.0f %%) | %.1f | %.1f | %.1f | %.1f |\n", alpha,
                    scans ? "yes" : "no", static_cast<double>(bytes) / (1 << 20), share * 100,
                    by_lru * 100, by_us * 100, belady(trace, next, bytes) * 100,
                    bound(trace, next, bytes) * 100);
        std::fflush(stdout);
        better += by_us > by_lru;
        ++rows;
      }
    }
  }
  std::printf("better than LRU in %d of %d rows\n", better, rows);
  return 0;
}

}  // namespace
}  // namespace samplemind::ai

int main(int argc, char** argv) {
  return samplemind::ai::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500000);
}
