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
      {"cache.sampling", kString, "cache",
       "Requests with a temperature above 0: 'cache' or 'bypass'"},
  };
}

}  // namespace samplemind::ai
