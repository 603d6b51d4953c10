#include "ai/cache/redis.h"

#include <algorithm>
#include <utility>

namespace samplemind::ai {

namespace {

constexpr std::chrono::seconds kPatience{1};  // for what a person asks for
constexpr const char* kScanCount = "500";

SteadyTime in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// In a pattern of SCAN these have a meaning.
std::string escaped_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view("*?[]\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

Result<std::optional<RedisCacheOptions>> read_redis_options(const Config& config) {
  const std::vector<std::string> urls = config.list("cache.redis.url");
  if (urls.empty()) return std::optional<RedisCacheOptions>();
  RedisCacheOptions out;
  if (auto parsed = net::parse_redis_urls(urls, out.redis); !parsed.ok())
    return Error(parsed.error()).with_context("cache.redis.url");
  out.redis.cluster = config.boolean("cache.redis.cluster");
  out.redis.username = config.string("cache.redis.username");
  out.redis.password = config.string("cache.redis.password");
  out.redis.ca_file = config.string("cache.redis.ca_file");
  out.prefix = config.string("cache.redis.prefix");
  out.budget = std::chrono::milliseconds(config.duration_ms("cache.redis.budget"));
  if (out.budget.count() < 1 || out.budget.count() > 500)
    return Error(ErrorCode::kInvalidArgument, "cache.redis.budget must be from 1ms to 500ms");
  if (!out.redis.cluster && out.redis.servers.size() > 1)
    return Error(ErrorCode::kInvalidArgument, "cache.redis.url names several servers",
                 "set cache.redis.cluster = true, or name one");
  if (out.redis.cluster && out.redis.database != 0)
    return Error(ErrorCode::kInvalidArgument, "cache.redis.url: a cluster has only database 0");
  if (out.prefix.find_first_of("{}") != std::string::npos)
    return Error(ErrorCode::kInvalidArgument,
                 "cache.redis.prefix must not hold braces: all keys would share one slot");
  return std::optional<RedisCacheOptions>(std::move(out));
}

RedisCounters::RedisCounters(Metrics& metrics)
    : hits(metrics.counter("samplemind_cache_hits_total", "Answers from the cache.",
                           {{"tier", "redis"}})),
      errors(metrics.counter("samplemind_redis_errors_total",
                             "Look-ups that Redis did not answer within their budget.")),
      writes(metrics.counter("samplemind_redis_writes_total", "Answers handed to Redis.")),
      dropped(metrics.counter("samplemind_redis_dropped_total",
                              "Answers not handed to Redis: it was not there or too slow.")),
      damaged(metrics.counter("samplemind_redis_damaged_total",
                              "Entries in Redis that were damaged and removed.")) {}

Result<std::unique_ptr<RedisCache>> RedisCache::create(net::Loop& loop, RedisCacheOptions options,
                                                       RedisCounters& counters) {
  SM_TRY(auto client, net::RedisClient::create(loop, options.redis));
  return std::unique_ptr<RedisCache>(
      new RedisCache(std::move(client), std::move(options), counters));
}

net::Task<RecordPtr> RedisCache::get(Digest key, int64_t now_ms) {
  std::vector<std::string> words{"GET", options_.prefix + key.hex()};
  auto reply = co_await client_->command(std::move(words), in(options_.budget));
  if (!reply.ok()) {
    counters_.errors.add();
    co_return nullptr;
  }
  if (!reply->is_text()) co_return nullptr;
  auto record = decode_record(reply->text, key);
  if (!record.ok()) {
    counters_.damaged.add();
    (void)client_->send({"UNLINK", options_.prefix + key.hex()});
    co_return nullptr;
  }
  if (record->expires_ms <= now_ms) co_return nullptr;
  co_return std::make_shared<const CacheRecord>(std::move(*record));
}

void RedisCache::put(const CacheRecord& record, int64_t now_ms) {
  const int64_t left_ms = record.expires_ms - now_ms;
  if (left_ms <= 0) return;
  std::string bytes = encode_record(record);
  if (bytes.size() > kRecordBytesMax ||
      !client_->send({"SET", options_.prefix + record.key_hex, std::move(bytes), "PX",
                      std::to_string(left_ms)})) {
    counters_.dropped.add();
    return;
  }
  counters_.writes.add();
}

net::Task<Result<void>> RedisCache::erase(Digest key) {
  std::vector<std::string> words{"UNLINK", options_.prefix + key.hex()};
  auto reply = co_await client_->command(std::move(words), in(kPatience));
  if (!reply.ok()) co_return std::move(reply).error();
  co_return ok();
}

net::Task<Result<uint64_t>> RedisCache::erase_if(std::function<bool(const CacheRecord&)> wanted) {
  auto servers = co_await client_->servers(in(kPatience));
  if (!servers.ok()) co_return std::move(servers).error();
  uint64_t erased = 0;
  for (const net::RedisAddress& server : *servers) {
    std::string cursor = "0";
    do {
      std::vector<std::string> scan{
          "SCAN", cursor, "MATCH", escaped_pattern(options_.prefix) + "*", "COUNT", kScanCount};
      auto page = co_await client_->command_at(server, std::move(scan), in(kPatience));
      if (!page.ok()) co_return std::move(page).error();
      if (page->items.size() != 2)
        co_return Error(ErrorCode::kUpstream, "Redis: SCAN was not answered as it should be");
      cursor = page->items[0].text;
      for (const net::RedisReply& each : page->items[1].items) {
        const std::string& name = each.text;
        const auto key = Digest::from_hex(
            std::string_view(name).substr(std::min(name.size(), options_.prefix.size())));
        if (!key.ok()) continue;  // not ours
        if (wanted) {
          std::vector<std::string> get{"GET", name};
          auto value = co_await client_->command(std::move(get), in(kPatience));
          if (!value.ok()) co_return std::move(value).error();
          const auto record = decode_record(value->text, *key);
          if (!value->is_text() || (record.ok() && !wanted(*record))) continue;
        }
        std::vector<std::string> unlink{"UNLINK", name};
        auto gone = co_await client_->command(std::move(unlink), in(kPatience));
        if (!gone.ok()) co_return std::move(gone).error();
        erased += static_cast<uint64_t>(std::max<int64_t>(0, gone->integer));
      }
    } while (cursor != "0");
  }
  co_return erased;
}

}  // namespace samplemind::ai
