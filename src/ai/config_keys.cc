#include "ai/config_keys.h"

namespace samplemind::ai {

std::vector<ConfigKey> config_keys() {
  using enum ConfigType;
  return {
      {"ai.openai.base_url",
       kString,
       "https://api.openai.com/v1",
       "An OpenAI-compatible server",
       {"OPENAI_BASE_URL"}},
      {"ai.openai.api_key", kString, "", "Its key", {"OPENAI_API_KEY"}, true},
      {"ai.openai.default_model", kString, "gpt-4o-mini", "What 'auto' means there"},
      {"ai.openai.first_byte_timeout", kDurationMs, "60s",
       "How long it may take to begin its answer"},
      {"ai.openai.http", kString, "auto",
       "auto: HTTP/2 where its TLS offers it, HTTP/1.1 on clear text; 1: only HTTP/1.1; 2: only "
       "HTTP/2, on clear text without asking first"},
      {"ai.ollama.host", kString, "127.0.0.1:11434", "Where Ollama listens", {"OLLAMA_HOST"}},
      {"ai.ollama.default_model", kString, "",
       "What 'auto' means there; empty: the first recommended model that is installed, else the "
       "first installed"},
      {"ai.ollama.recommended_models", kStringList,
       "llama3.2:3b-instruct-q8_0,qwen2.5:7b-instruct,phi3.5:mini",
       "What 'samplemind pull-models' pulls"},
      {"ai.ollama.first_byte_timeout", kDurationMs, "5m", "A cold model may take minutes to load"},
      {"ai.order", kStringList, "ollama,openai", "Which provider 'auto' tries first"},
      {"ai.idle_timeout", kDurationMs, "30s", "The longest pause within an answer"},
      {"ai.total_timeout", kDurationMs, "10m",
       "The longest time for one request, retries included"},
      {"ai.attempts", kInteger, "3", "Tries of one request before its first byte"},
      {"ai.backoff", kDurationMs, "1s",
       "First pause between tries; doubles, with full jitter, to at most 10 s"},
      {"ai.breaker", kBool, "true",
       "A model that fails half of its calls is left alone for 5 to 60 s"},
      {"ai.hedge", kBool, "false",
       "A second call beside one that is slower than 95 of 100; it is paid for, too"},
      {"ai.aliases",
       kString,
       "",
       "Names for models: [ai.aliases] fast = \"ollama/llama3.2:3b-instruct-q8_0\"",
       {},
       false,
       true},
      {"cache.enabled", kBool, "true", "Answer repeated requests from the cache"},
      {"cache.memory", kBytes, "64MiB", "Memory for cached answers"},
      {"cache.disk", kBytes, "1GiB", "Disk for cached answers; 0 turns the disk tier off"},
      {"cache.ttl", kDurationMs, "7d", "How long an answer stays good"},
      {"cache.ttls",
       kDurationMs,
       "",
       "Another ttl for some models: [cache.ttls] \"openai/gpt-4o\" = \"1h\"",
       {},
       false,
       true},
      {"cache.stale", kDurationMs, "0s",
       "For so long after its ttl an answer is still given, while a new one is fetched behind"},
      {"cache.negative", kDurationMs, "5s",
       "How long a provider's refusal of a request (400, 404, 413, 415, 422) is repeated without "
       "asking it again; 0s: never"},
      {"cache.length", kBool, "false", "Keep answers that were cut by their length, too"},
      {"cache.sampling", kString, "cache",
       "Requests with a temperature above 0: 'cache' or 'bypass'"},
      {"cache.redis.url", kStringList, "",
       "A third tier that several services share: redis://host:6379 (rediss:// for TLS); for a "
       "cluster some of its servers"},
      {"cache.redis.cluster", kBool, "false", "They form a Redis Cluster"},
      {"cache.redis.username", kString, "", "For Redis' AUTH; empty: the default user"},
      {"cache.redis.password", kString, "", "For Redis' AUTH", {"REDIS_PASSWORD"}, true},
      {"cache.redis.ca_file", kString, "",
       "PEM file to verify Redis' certificate with; empty: the system's store"},
      {"cache.redis.prefix", kString, "samplemind:", "What its keys begin with"},
      {"cache.redis.budget", kDurationMs, "50ms",
       "The longest that Redis may hold up one request; then it counts as a miss"},
  };
}

}  // namespace samplemind::ai
