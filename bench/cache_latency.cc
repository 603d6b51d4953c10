// How long single look-ups take in each tier: median, 99th percentile, the longest. One thread; a
// busy machine shows in the longest, not in the 99th percentile of what takes microseconds.
//   build/.../bin/cache_latency [redis://127.0.0.1:6379]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ai/cache/disk.h"
#include "ai/cache/memory.h"
#include "ai/cache/redis.h"
#include "ai/config_keys.h"
#include "ai/fingerprint.h"
#include "base/config.h"
#include "base/metrics.h"
#include "net/loop.h"

namespace samplemind::ai {
namespace {

constexpr uint64_t kEntries = 10000;

std::shared_ptr<CacheRecord> record_of(uint64_t n, size_t bytes) {
  auto r = std::make_shared<CacheRecord>();
  r->key = blake3(std::to_string(n));
  r->key_hex = r->key.hex();
  r->expires_ms = INT64_MAX / 2;
  r->answer.id = "chatcmpl-123456789";
  r->answer.model = "gpt-4o-mini-2024-07-18";
  r->answer.provider = "openai";
  // Text that does not compress to nothing.
  uint64_t state = n + 1;
  while (r->answer.text.size() < bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    r->answer.text += std::to_string(state >> 40) + " beats ";
  }
  r->answer.finish_reason = "stop";
  r->answer.usage.reported = true;
  return r;
}

class Times {
 public:
  template <class Work>
  void take(Work work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    ns_.push_back((std::chrono::steady_clock::now() - begin).count());
  }
  void add(int64_t ns) { ns_.push_back(ns); }
  void print(const char* what, const char* aim) {
    std::sort(ns_.begin(), ns_.end());
    const auto at = [this](double p) {
      return static_cast<double>(
                 ns_[static_cast<size_t>(p * static_cast<double>(ns_.size() - 1))]) /
             1000;
    };
    std::printf("| %s | %zu | %.2f | %.2f | %.0f | %s |\n", what, ns_.size(), at(0.5), at(0.99),
                at(1), aim);
    std::fflush(stdout);
  }

 private:
  std::vector<int64_t> ns_;
};

void fingerprints() {
  std::string text;
  while (text.size() < 850) text += "What tempo has this loop, and in which key is it? ";
  const std::string body =
      R"({"model":"openai/gpt-4o-mini","temperature":0.2,"messages":[{"role":"user","content":")" +
      text + R"("}],"max_tokens":400})";
  FingerprintScope scope;
  scope.tenant = "local";
  scope.provider = "openai api.openai.com/v1";
  scope.model = "gpt-4o-mini";
  Times times;
  bool fine = true;
  for (int i = 0; i < 200000; ++i) times.take([&] { fine &= fingerprint(scope, body).ok(); });
  if (!fine) std::abort();
  times.print("fingerprint of 1 KB", "3");
}

void memory() {
  MemoryCache cache(256 << 20);
  std::vector<Digest> keys;
  for (uint64_t i = 0; i < kEntries; ++i) {
    const auto r = record_of(i, 500);
    keys.push_back(r->key);
    cache.put(r);
  }
  Times times;
  size_t found = 0;
  for (size_t i = 0; i < 1'000'000; ++i)
    times.take([&] { found += cache.get(keys[i * 7919 % kEntries], 0) != nullptr; });
  if (found != 1'000'000) std::abort();
  times.print("memory look-up among 10,000", "1");
}

void disk() {
  std::string folder = (std::filesystem::temp_directory_path() / "sm_latency_XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) std::abort();
  {
    auto opened = DiskCache::open(folder, 256 << 20);
    if (!opened.ok()) std::abort();
    DiskCache& cache = **opened;
    std::vector<Digest> keys;
    for (uint64_t i = 0; i < kEntries; ++i) {
      const auto r = record_of(i, 4 << 10);
      keys.push_back(r->key);
      cache.put(r);
      if (i % 1000 == 999) cache.flush();
    }
    Times times;
    size_t found = 0;
    for (size_t i = 0; i < 100'000; ++i)
      times.take([&] { found += cache.get(keys[i * 7919 % kEntries], 0) != nullptr; });
    if (found != 100'000) std::abort();
    times.print("disk read of 4 KB among 10,000", "20");
  }
  std::filesystem::remove_all(folder);
}

net::Task<void> ask_redis(RedisCache& cache, Times& times, bool& fine) {
  for (uint64_t i = 0; i < 100; ++i) {
    // The first look-ups find the connection not made yet.
    const RecordPtr none = co_await cache.get(record_of(kEntries + i, 10)->key, 0);
    (void)none;
    cache.put(*record_of(i, 4 << 10), 0);
  }
  for (uint64_t i = 0; i < 20'000; ++i) {
    const Digest key = record_of(50 + i % 50, 1)->key;
    const auto begin = std::chrono::steady_clock::now();
    const RecordPtr found = co_await cache.get(key, 0);
    const auto took = std::chrono::steady_clock::now() - begin;
    fine &= found != nullptr;
    times.add(took.count());
  }
}

void redis(const char* url) {
  auto config = Config::load(config_keys(), "/nonexistent", false,
                             {{"cache.redis.url", url}, {"cache.redis.prefix", "latency:"}});
  if (!config.ok()) std::abort();
  auto options = read_redis_options(*config);
  if (!options.ok() || !*options) {
    std::fprintf(stderr, "cache_latency: %s\n", options.error().message().c_str());
    std::exit(2);
  }
  Metrics metrics;
  RedisCounters counters(metrics);
  net::Loop loop;
  auto cache = RedisCache::create(loop, std::move(**options), counters);
  if (!cache.ok()) std::abort();
  Times times;
  bool fine = true;
  loop.run_until_done(ask_redis(**cache, times, fine));
  cache->reset();
  loop.destroy_tasks();
  times.print(fine ? "Redis hit of 4 KB" : "Redis, NOT all hits", "1000");
}

}  // namespace
}  // namespace samplemind::ai

int main(int argc, char** argv) {
  std::printf(
      "| what, us | times | median | p99 | longest | aim p99 |\n|---|---|---|---|---|---|\n");
  samplemind::ai::fingerprints();
  samplemind::ai::memory();
  samplemind::ai::disk();
  if (argc > 1) samplemind::ai::redis(argv[1]);
  return 0;
}
