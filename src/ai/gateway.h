// The gateway: every model call goes through here. It resolves the model, answers from the cache,
// joins equal requests (single flight), calls a provider with bounded retries, and stores what came
// complete.
//
// Gateway is shared by the whole process and thread-safe; the memory and disk tiers are its own.
// GatewayShard belongs to one loop: its tasks run there and must not outlive it. Single flight
// holds for the whole process: N equal requests at once, on whatever shards, make one upstream
// call, and all of them get its pieces as they come. A hit costs one hash of the body, two look-ups
// and one write; it never changes thread.
//
// What a client may ask for with its headers (wishes.h): Cache-Control, x-samplemind-cache-mode,
// x-samplemind-cache-ttl, x-samplemind-cache-namespace. What it is told: x-samplemind-cache,
// x-samplemind-cache-key, Age, x-samplemind-cost-microusd, x-samplemind-saved-microusd, and
// x-samplemind-cache-stale when the answer is past its ttl and a new one is fetched behind.
//
// Failures are answered in the client's own dialect. An upstream that refuses the gateway's own key
// (401, 403) becomes a 502: the client's key is not at fault. 429 keeps its Retry-After. Time-outs
// are 504, an unreachable provider is 502, one that could not even say which models it has 503.
// After the first content a failure is one error event and no terminal marker.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ai/cache/admin.h"
#include "ai/cache/record.h"
#include "ai/chat.h"
#include "ai/dialect/embed.h"
#include "ai/keys.h"
#include "ai/provider.h"
#include "ai/response_store.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "base/result.h"
#include "net/http.h"
#include "net/loop.h"

namespace samplemind::ai {

enum class CacheState { kHitMemory, kHitDisk, kHitRedis, kMiss, kCoalesced, kBypass };
std::string_view cache_state_name(CacheState state);  // "hit-memory", ...

struct CacheStats {
  uint64_t memory_bytes = 0;
  uint64_t memory_entries = 0;
  uint64_t disk_bytes = 0;
  uint64_t disk_entries = 0;
  uint64_t hits_memory = 0;
  uint64_t hits_disk = 0;
  uint64_t hits_redis = 0;
  uint64_t hits_negative = 0;
  uint64_t refreshes = 0;  // behind an answer that was past its ttl
  uint64_t misses = 0;
  uint64_t coalesced = 0;
  uint64_t saved_microusd = 0;
  uint64_t memory_bytes_max = 0;
  uint64_t disk_bytes_max = 0;  // 0: no disk tier
  uint64_t disk_dropped = 0;    // not written: the queue or the disk was full
  uint64_t disk_damaged = 0;    // entries that were damaged and removed
  std::string redis;            // where it is; empty: no such tier
  uint64_t redis_errors = 0;
  uint64_t redis_dropped = 0;
};

// What a clearing removed.
struct Cleared {
  uint64_t entries = 0;  // in memory and on disk
  uint64_t redis_entries = 0;
  std::string redis_problem;  // why Redis was not cleared; empty when it was, or is not used
};

struct Books;  // gateway/books.h

class Gateway {
 public:
  // `data_folder`: where usage is kept; empty: in memory.
  // `cache_folder` empty: no disk tier. A disk tier that another process holds is left out with a
  // warning, never an error.
  static Result<std::shared_ptr<Gateway>> create(const Config& config,
                                                 const std::filesystem::path& cache_folder,
                                                 Metrics& metrics,
                                                 const Clock& clock = system_clock(),
                                                 const std::filesystem::path& data_folder = {});
  virtual ~Gateway() = default;
  virtual CacheStats cache_stats() const = 0;
  virtual Books& books() = 0;  // what it counts and how it decides
  virtual void flush() = 0;    // what is to be written to disk is written
  // For the cache's own routes. What it does may wait for the disk: not on a loop's thread.
  virtual CacheAdmin cache_admin() = 0;
  virtual void cache_import(const RecordPtr& record) = 0;  // may wait for the disk
};

// Where an HTTP answer goes. The server implements it over its exchange.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual net::Task<Result<void>> respond(int status, net::Headers headers,
                                          std::string_view body) = 0;
  virtual net::Task<Result<void>> start(int status, net::Headers headers) = 0;
  virtual net::Task<Result<void>> write(std::string_view piece) = 0;
  virtual net::Task<Result<void>> finish() = 0;
  virtual void abort() = 0;
};

struct CallContext {
  std::string_view tenant = "local";
  VirtualKeyPtr key = nullptr;            // whose; null: nobody in particular
  const net::Headers* headers = nullptr;  // the client's; may be null
  net::CancelToken cancel;
};

// What the path says of a chat request.
struct ChatRoute {
  Dialect dialect = Dialect::kOpenAi;
  std::string_view model = {};  // Gemini names it in the path
  bool stream = false;          // likewise
  bool list = false;            // Gemini's stream without ?alt=sse
};

struct AskOptions {
  bool fresh = false;           // ask the model again and replace what is cached
  bool only_if_cached = false;  // kNotFound instead of a call
  std::string tenant = "local";
  net::CancelToken cancel;
};

struct AskAnswer {
  ChatAnswer answer;
  CacheState cache = CacheState::kMiss;
  std::optional<int64_t> cost_microusd;   // of this answer: 0 for a hit
  std::optional<int64_t> saved_microusd;  // what a hit saved
  double elapsed_s = 0;
};

// Where a request would go, and why.
struct RouteReport {
  struct Candidate {
    std::string id;                        // "provider/model"
    std::optional<int64_t> most_microusd;  // what it may cost; nothing: unknown
  };
  std::string asked, rule, line;
  int64_t input_tokens = 0;  // estimated
  std::vector<Candidate> candidates;
  std::vector<std::string> skipped;
};

class GatewayShard {
 public:
  static std::unique_ptr<GatewayShard> create(std::shared_ptr<Gateway> gateway, net::Loop& loop);
  virtual ~GatewayShard() = default;

  // A chat request of any dialect; answer and failures are of the same. `body` and what the route
  // refers to must stay valid until the task is done.
  virtual net::Task<void> chat(CallContext context, ChatRoute route, std::string_view body,
                               ResponseSink& sink) = 0;
  // POST /v1/chat/completions.
  net::Task<void> openai_chat(CallContext context, std::string_view body, ResponseSink& sink) {
    return chat(std::move(context), ChatRoute(), body, sink);
  }
  // Embeddings and counted tokens: forwarded, translated where the provider speaks another dialect.
  virtual net::Task<void> embed(CallContext context, EmbedForm form, std::string_view model,
                                std::string_view body, ResponseSink& sink) = 0;
  virtual net::Task<void> count_tokens(CallContext context, ChatRoute route, std::string_view body,
                                       ResponseSink& sink) = 0;
  // What is kept of OpenAI's responses.
  virtual net::Task<Result<std::optional<StoredResponse>>> kept_response(std::string tenant,
                                                                         std::string id) = 0;
  virtual net::Task<Result<bool>> delete_response(std::string tenant, std::string id) = 0;
  // What only Ollama has: its lists of models.
  virtual net::Task<Result<RawAnswer>> ollama(RawRequest request, net::CancelToken cancel) = 0;

  // The same for programs: `openai_body` is a whole chat completions request (its "stream" decides
  // whether on_text is called as the text comes or once at the end).
  virtual net::Task<Result<AskAnswer>> ask(std::string openai_body, AskOptions options,
                                           std::function<void(std::string_view)> on_text) = 0;

  // Where the request would go; nothing is asked but the providers' lists of models.
  virtual net::Task<Result<RouteReport>> route(CallContext context, ChatRoute where,
                                               std::string body) = 0;

  // Of all usable providers; a provider that does not answer is left out.
  virtual net::Task<std::vector<ModelInfo>> models() = 0;
  virtual net::Task<std::vector<ProviderState>> provider_states() = 0;
  virtual net::Task<Result<void>> pull(std::string model,
                                       std::function<void(const PullProgress&)> on_progress,
                                       net::CancelToken cancel) = 0;
  // Loads one of Ollama's models into memory, so that its first question need not wait for that.
  virtual net::Task<Result<void>> load(std::string model, net::CancelToken cancel) = 0;
  // All tiers, also refusals that are kept for seconds. `filter` without anything clears all.
  virtual net::Task<Result<Cleared>> clear_cache(CacheFilter filter) = 0;
  virtual size_t connections() const = 0;
};

}  // namespace samplemind::ai
