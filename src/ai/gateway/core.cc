#include "ai/gateway/core.h"

#include "base/files.h"
#include "base/log.h"

namespace samplemind::ai {

std::string_view cache_state_name(CacheState state) {
  switch (state) {
    case CacheState::kHitMemory:
      return "hit-memory";
    case CacheState::kHitDisk:
      return "hit-disk";
    case CacheState::kHitRedis:
      return "hit-redis";
    case CacheState::kMiss:
      return "miss";
    case CacheState::kCoalesced:
      return "coalesced";
    case CacheState::kBypass:
      break;
  }
  return "bypass";
}

GatewayCore::GatewayCore(const Config& config, Metrics& metrics, const Clock& clock_in)
    : config(config),
      clock(clock_in),
      memory(std::max<uint64_t>(1 << 20, config.bytes("cache.memory"))),
      redis_counters(metrics),
      hits_memory(metrics.counter("samplemind_cache_hits_total", "Answers from the cache.",
                                  {{"tier", "memory"}})),
      hits_disk(metrics.counter("samplemind_cache_hits_total", "Answers from the cache.",
                                {{"tier", "disk"}})),
      misses(metrics.counter("samplemind_cache_misses_total", "Requests that went to a provider.")),
      coalesced(metrics.counter("samplemind_cache_coalesced_total",
                                "Requests that joined an equal one on its way.")),
      bypassed(metrics.counter("samplemind_cache_bypass_total",
                               "Requests that neither read nor fill the cache.")),
      hits_negative(metrics.counter("samplemind_cache_negative_total",
                                    "Refusals repeated without asking the provider again.")),
      refreshes(metrics.counter("samplemind_cache_refreshes_total",
                                "Answers past their ttl that were fetched anew behind.")),
      upstream_calls(metrics.counter("samplemind_upstream_calls_total", "Tries at providers.")),
      upstream_errors(metrics.counter("samplemind_upstream_errors_total", "Tries that failed.")),
      upstream_paused(metrics.counter("samplemind_upstream_paused_total",
                                      "Tries not made: the model failed too often lately.")),
      retries_saved(metrics.counter("samplemind_upstream_retries_saved_total",
                                    "Tries not made: too many retries already.")),
      hedges(metrics.counter("samplemind_upstream_hedges_total",
                             "Second tries beside a slow first one.")),
      hedges_won(metrics.counter("samplemind_upstream_hedges_won_total",
                                 "Second tries that answered sooner.")),
      input_tokens(metrics.counter("samplemind_tokens_total", "Tokens that providers counted.",
                                   {{"direction", "input"}})),
      output_tokens(metrics.counter("samplemind_tokens_total", "Tokens that providers counted.",
                                    {{"direction", "output"}})),
      cost_microusd_total(
          metrics.counter("samplemind_cost_microusd_total", "Spent, in millionths of a dollar.")),
      saved_microusd_total(metrics.counter("samplemind_saved_microusd_total",
                                           "Saved by the cache, in millionths of a dollar.")),
      first_token(metrics.histogram("samplemind_first_token_seconds",
                                    "From the call to the first piece of the answer.")) {
  settings.cache_enabled = config.boolean("cache.enabled");
  settings.bypass_sampling = config.string("cache.sampling") == "bypass";
  settings.ttl_ms = config.duration_ms("cache.ttl");
  for (const auto& [model, text] : config.table("cache.ttls"))
    settings.model_ttls_ms[model] = parse_duration_ms(text).value_or(0);
  settings.stale_ms = config.duration_ms("cache.stale");
  settings.negative_ms = config.duration_ms("cache.negative");
  settings.keep_length = config.boolean("cache.length");
  settings.attempts = std::clamp<int64_t>(config.integer("ai.attempts"), 1, 10);
  settings.breaker = config.boolean("ai.breaker");
  settings.hedge = config.boolean("ai.hedge");
  settings.attempts_total = std::clamp<int64_t>(config.integer("ai.attempts_total"), 1, 50);
  settings.backoff_ms = config.duration_ms("ai.backoff");
  settings.total_timeout_ms = config.duration_ms("ai.total_timeout");
  settings.replay_paced = config.string("cache.replay") == "paced";
  settings.replay_rate = std::clamp<int64_t>(config.integer("cache.replay_rate"), 1, 10000);
  const auto count = [&config](const char* key, int64_t least) {
    return static_cast<size_t>(std::clamp<int64_t>(config.integer(key), least, 10000));
  };
  settings.client.connect_timeout =
      std::chrono::milliseconds(std::max<int64_t>(1, config.duration_ms("ai.connect_timeout")));
  settings.client.connections_per_host_max = count("ai.connections", 1);
  settings.client.kept_per_host_max = count("ai.connections_kept", 0);
  settings.client.http2_connections_max = count("ai.http2_connections", 1);
  settings.client.http2_streams_wanted = count("ai.http2_streams", 1);
  settings.client.ca_file = config.string("ai.ca_file");

  settings.recommended = config.list("ai.ollama.recommended_models");
  settings.order = config.list("ai.order");
  settings.aliases = config.table("ai.aliases");
}

CacheStats GatewayCore::cache_stats() const {
  CacheStats s;
  s.memory_bytes = memory.bytes();
  s.memory_entries = memory.entries();
  if (disk) {
    s.disk_bytes = disk->bytes();
    s.disk_entries = disk->entries();
  }
  s.hits_memory = hits_memory.value();
  s.hits_disk = hits_disk.value();
  s.hits_redis = redis_counters.hits.value();
  s.hits_negative = hits_negative.value();
  s.refreshes = refreshes.value();
  s.memory_bytes_max = memory.bytes_max();
  if (disk) {
    s.disk_bytes_max = config.bytes("cache.disk");
    s.disk_dropped = disk->dropped();
    s.disk_damaged = disk->damaged();
  }
  if (redis) {
    for (const net::RedisAddress& each : redis->redis.servers)
      s.redis += (s.redis.empty() ? "" : ", ") + each.text();
    s.redis_errors = redis_counters.errors.value();
    s.redis_dropped = redis_counters.dropped.value();
  }
  s.misses = misses.value();
  s.coalesced = coalesced.value();
  s.saved_microusd = saved_microusd_total.value();
  return s;
}

int64_t GatewayCore::ttl_ms_of(const std::string& provider, const std::string& model) const {
  const auto it = settings.model_ttls_ms.find(provider + "/" + model);
  return it != settings.model_ttls_ms.end() ? it->second : settings.ttl_ms;
}

void GatewayCore::cache_import(const RecordPtr& record) {
  memory.put(record);
  if (!disk) return;
  // An import is faster than the disk: it waits rather than lose what does not fit the queue.
  if (++imported_ % 1000 == 0) disk->flush();
  disk->put(record);
}

void GatewayCore::flush() {
  if (disk) disk->flush();
  books_->ledger->flush();
  responses->flush();
}

Result<std::shared_ptr<Gateway>> Gateway::create(const Config& config,
                                                 const std::filesystem::path& cache_folder,
                                                 Metrics& metrics, const Clock& clock,
                                                 const std::filesystem::path& data_folder) {
  const std::string sampling = config.string("cache.sampling");
  if (sampling != "cache" && sampling != "bypass") {
    return Error(ErrorCode::kInvalidArgument,
                 "cache.sampling must be 'cache' or 'bypass', not '" + sampling + "'");
  }
  const std::string replay = config.string("cache.replay");
  if (replay != "at-once" && replay != "paced") {
    return Error(ErrorCode::kInvalidArgument,
                 "cache.replay must be 'at-once' or 'paced', not '" + replay + "'");
  }
  if (config.is_set("ai.ca_file")) {
    auto read = read_file(config.string("ai.ca_file"), 16u << 20);
    if (!read.ok()) return std::move(read).error().with_context("ai.ca_file");
  }
  SM_CHECK_OK(read_endpoints(config));
  const std::vector<std::string> providers(kProviders.begin(), kProviders.end());
  for (const std::string& name : config.list("ai.order")) {
    if (std::find(providers.begin(), providers.end(), provider_name(name)) != providers.end())
      continue;
    const auto close = nearest(name, providers);
    return Error(ErrorCode::kInvalidArgument, "ai.order: there is no provider '" + name + "'",
                 close ? "did you mean '" + *close + "'?"
                       : "the providers are ollama, gemini, anthropic and openai");
  }
  for (const auto& [alias, model] : config.table("ai.aliases")) {
    if (model.empty())
      return Error(ErrorCode::kInvalidArgument, "ai.aliases." + alias + " names no model");
  }
  if (config.duration_ms("cache.ttl") <= 0)
    return Error(ErrorCode::kInvalidArgument, "cache.ttl must be above 0",
                 "cache.enabled = false turns the cache off");
  for (const auto& [model, text] : config.table("cache.ttls")) {
    if (parse_duration_ms(text).value_or(0) <= 0)
      return Error(ErrorCode::kInvalidArgument, "cache.ttls." + model + " must be above 0");
  }
  for (const char* name : {"cache.stale", "cache.negative"}) {
    if (config.duration_ms(name) < 0)
      return Error(ErrorCode::kInvalidArgument, std::string(name) + " must not be below 0");
  }
  SM_TRY(auto redis, read_redis_options(config));
  if (redis && redis->redis.tls) {
    // Now, not at the first request: a CA file that cannot be read is the operator's to mend.
    net::Loop trial;
    if (auto client = net::RedisClient::create(trial, redis->redis); !client.ok())
      return std::move(client).error().with_context("cache.redis");
  }
  auto core = std::make_shared<GatewayCore>(config, metrics, clock);
  SM_TRY(core->books_, Books::open(config, data_folder, metrics, clock));
  SM_TRY(
      core->responses,
      ResponseStore::open(data_folder.empty() ? data_folder : data_folder / "responses.db", clock));
  if (core->settings.cache_enabled) core->redis = std::move(redis);
  const uint64_t disk_bytes = config.bytes("cache.disk");
  if (core->settings.cache_enabled && disk_bytes > 0 && !cache_folder.empty()) {
    auto disk = DiskCache::open(cache_folder, disk_bytes);
    if (disk.ok()) {
      core->disk = std::move(*disk);
    } else {
      log::warn("no disk cache", {{"error", disk.error().message()}});
    }
  }
  return std::shared_ptr<Gateway>(std::move(core));
}

}  // namespace samplemind::ai
