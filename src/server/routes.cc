#include "server/routes.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "base/files.h"
#include "base/heap.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "coach/coach.h"
#include "library/sample_json.h"
#include "net/offload.h"
#include "page_choice_js.h"
#include "page_css.h"
#include "page_html.h"
#include "page_js.h"
#include "page_map_js.h"
#include "page_sound_js.h"
#include "server/cache_routes.h"
#include "server/call.h"
#include "server/key_routes.h"
#include "server/ndjson_stream.h"
#include "server/openapi.h"
#include "server/responses.h"
#include "server/usage_routes.h"

namespace samplemind::server {

namespace {

using net::Exchange;
using net::Task;

// ---- coach ----

std::string answer_json(const ai::AskAnswer& a) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("type", "answer")
      .field("answer", a.answer.text)
      .field("provider", a.answer.provider)
      .field("model", a.answer.model);
  w.key("usage")
      .begin_object()
      .field("prompt_tokens", a.answer.usage.input_tokens)
      .field("completion_tokens", a.answer.usage.output_tokens)
      .end_object();
  w.field("cost_microusd", a.cost_microusd)
      .field("saved_microusd", a.saved_microusd)
      .field("finish_reason", a.answer.finish_reason);
  w.field("cache", ai::cache_state_name(a.cache))
      .field("elapsed_ms", a.elapsed_s * 1000)
      .end_object();
  return out;
}

Result<std::vector<coach::Sound>> sounds_by_id(library::Catalogue& catalogue,
                                               const std::vector<int64_t>& ids) {
  std::vector<coach::Sound> sounds;
  for (const int64_t id : ids) {
    SM_TRY(const auto sample, catalogue.get(id));
    if (!sample) return Error(ErrorCode::kNotFound, "there is no sample " + std::to_string(id));
    std::string json;
    JsonWriter w(json);
    library::write_json(w, *sample);
    SM_TRY(JsonValue measured, JsonValue::parse(json));
    sounds.push_back({sample->name(), std::move(measured)});
  }
  return sounds;
}

Result<coach::Question> read_question(Engine& engine, std::string_view body) {
  SM_TRY(const JsonValue r, JsonValue::parse(body));
  coach::Question q;
  q.text = r["question"].string_or("");
  q.model = r["model"].string_or("auto");
  std::vector<int64_t> ids;
  for (const JsonValue& id : r["sample_ids"].items()) {
    if (!id.integer())
      return Error(ErrorCode::kInvalidArgument, "'sample_ids' must be a list of numbers");
    ids.push_back(*id.integer());
  }
  SM_TRY(q.sounds, sounds_by_id(*engine.catalogue, ids));
  for (const JsonValue& sound : r["sounds"].items()) {
    std::string name = sound["name"].string_or(sound["path"].string_or("sound"));
    name = name.substr(name.rfind('/') + 1);
    q.sounds.push_back({std::move(name), sound});
  }
  if (q.sounds.empty()) {
    SM_TRY(q.sounds, coach::find_context(*engine.catalogue, q.text));
    SM_TRY(q.library, engine.catalogue->summary());
  }
  return q;
}

Task<void> post_ask(Call call) {
  auto body = co_await call.exchange.read_body(kApiBodyMax);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  Engine& engine = call.engine();
  const std::string text(*body);
  std::function<Result<coach::Question>()> work = [&engine, text] {
    return read_question(engine, text);
  };
  auto question = co_await net::offload<coach::Question>(engine.blocking, std::move(work));
  if (question.ok()) {
    if (auto written = coach::write_request(*question); !written.ok())
      question = std::move(written).error();
  }
  if (!question.ok()) {
    co_await respond_problem(call.exchange, std::move(question).error());
    co_return;
  }
  ai::AskOptions options;
  options.fresh = JsonValue::parse(text).value()["fresh"].bool_or(false);
  options.cancel = call.exchange.cancel();
  const std::string_view accept = call.exchange.request().headers.get("accept").value_or("");
  const bool whole = accept.find("application/json") != std::string_view::npos &&
                     accept.find("x-ndjson") == std::string_view::npos;
  if (whole) {
    std::function<void(std::string_view)> ignore = [](std::string_view) {};
    auto answer = co_await coach::ask(*call.shard.gateway, std::move(*question), std::move(options),
                                      std::move(ignore));
    if (answer.ok()) {
      co_await respond_json(call.exchange, answer_json(*answer));
    } else {
      co_await respond_problem(call.exchange, std::move(answer).error());
    }
    co_return;
  }
  const NdjsonStream stream(call.shard.loop);
  std::function<void(std::string_view)> on_text = [stream](std::string_view piece) {
    std::string line;
    JsonWriter w(line);
    w.begin_object().field("type", "text").field("text", piece).end_object();
    stream.push(std::move(line), false);
  };
  auto asking = [](EngineShard& shard, coach::Question q, ai::AskOptions o,
                   std::function<void(std::string_view)> text_in, NdjsonStream out) -> Task<void> {
    auto answer =
        co_await coach::ask(*shard.gateway, std::move(q), std::move(o), std::move(text_in));
    out.push(answer.ok() ? answer_json(*answer) : error_line(answer.error()), false);
    out.close();
  };
  call.shard.loop.spawn(
      asking(call.shard, std::move(*question), std::move(options), std::move(on_text), stream));
  (void)co_await stream.serve(call.exchange);
}

// ---- providers and models ----

void write_providers(JsonWriter& w, const std::vector<ai::ProviderState>& states) {
  w.key("providers").begin_array();
  for (const ai::ProviderState& s : states) {
    w.begin_object()
        .field("name", s.name)
        .field("usable", s.usable)
        .field("detail", s.detail)
        .field("remedy", s.remedy)
        .end_object();
  }
  w.end_array();
}

Task<void> get_providers(Call call) {
  const auto states = co_await call.shard.gateway->provider_states();
  std::string out;
  JsonWriter w(out);
  w.begin_object();
  write_providers(w, states);
  w.end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_models(Call call) {
  const auto models = co_await call.shard.gateway->models();
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("models").begin_array();
  for (const ai::ModelInfo& m : models) {
    w.begin_object()
        .field("provider", m.provider)
        .field("name", m.name)
        .field("id", m.provider + "/" + m.name)
        .field("local", m.local)
        .field("size_bytes", m.size_bytes);
    w.field("context_tokens", m.context_tokens)
        .field("input_usd_per_million", m.input_usd_per_million)
        .field("output_usd_per_million", m.output_usd_per_million)
        .end_object();
  }
  w.end_array().end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> post_pull(Call call) {
  auto body = co_await call.exchange.read_body(kApiBodyMax);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  std::vector<std::string> names;
  if (auto request = JsonValue::parse(*body); request.ok()) {
    for (const JsonValue& n : (*request)["names"].items()) names.push_back(n.string_or(""));
  }
  if (names.empty()) names = call.engine().config.list("ai.ollama.recommended_models");
  const NdjsonStream stream(call.shard.loop);
  auto pulling = [](EngineShard& shard, std::vector<std::string> wanted, net::CancelToken cancel,
                    NdjsonStream out) -> Task<void> {
    for (const std::string& name : wanted) {
      std::function<void(const ai::PullProgress&)> on_progress = [out,
                                                                  name](const ai::PullProgress& p) {
        std::string line;
        JsonWriter w(line);
        w.begin_object()
            .field("type", "progress")
            .field("name", name)
            .field("status", p.status)
            .field("completed_bytes", p.completed_bytes);
        w.field("total_bytes", p.total_bytes).end_object();
        out.push(std::move(line), true);
      };
      auto pulled = co_await shard.gateway->pull(name, std::move(on_progress), cancel);
      std::string line;
      if (pulled.ok()) {
        JsonWriter w(line);
        w.begin_object().field("type", "pulled").field("name", name).end_object();
      } else {
        line = error_line(pulled.error());
      }
      out.push(std::move(line), false);
      if (cancel.cancelled()) break;
    }
    out.close();
  };
  call.shard.loop.spawn(pulling(call.shard, std::move(names), call.exchange.cancel(), stream));
  (void)co_await stream.serve(call.exchange);
}

double seconds_since(SteadyTime begin) {
  return std::chrono::duration<double>(system_clock().steady() - begin).count();
}

Task<void> post_load(Call call) {
  auto body = co_await call.exchange.read_body(kApiBodyMax);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  std::string name;
  if (const auto request = JsonValue::parse(*body); request.ok())
    name = (*request)["name"].string_or("");
  if (name.empty()) {
    Error missing(ErrorCode::kInvalidArgument, "no model is named",
                  R"(send {"name": "llama3.2:1b"}; GET /api/v1/models lists them)");
    co_await respond_problem(call.exchange, std::move(missing));
    co_return;
  }
  const SteadyTime begin = system_clock().steady();
  const auto loaded = co_await call.shard.gateway->load(name, call.exchange.cancel());
  if (!loaded.ok()) {
    co_await respond_problem(call.exchange, loaded.error());
    co_return;
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("name", name).field("seconds", seconds_since(begin)).end_object();
  co_await respond_json(call.exchange, std::move(out));
}

// ---- admin ----

Task<void> get_status(Call call) {
  Engine& engine = call.engine();
  library::Catalogue* const catalogue = engine.catalogue.get();
  std::function<Result<library::LibrarySummary>()> work = [catalogue] {
    return catalogue->summary();
  };
  auto summary = co_await net::offload<library::LibrarySummary>(engine.blocking, std::move(work));
  if (!summary.ok()) {
    co_await respond_problem(call.exchange, std::move(summary).error());
    co_return;
  }
  const auto states = co_await call.shard.provider_states();
  const ai::CacheStats cache = engine.gateway->cache_stats();
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("version", version())
      .field("pid", ::getpid())
      .field("uptime_s", engine.uptime_s())
      .field("home", engine.home.string())
      .field("page", engine.address);
  w.field("scanning", engine.scan.running())
      .key("library")
      .begin_object()
      .field("samples", summary->samples)
      .field("broken", summary->broken);
  w.field("missing", summary->missing).field("duration_s", summary->duration_s).end_object();
  write_providers(w, states);
  w.key("cache")
      .begin_object()
      .field("hits_memory", cache.hits_memory)
      .field("hits_disk", cache.hits_disk)
      .field("misses", cache.misses)
      .field("coalesced", cache.coalesced);
  w.field("memory_entries", cache.memory_entries)
      .field("memory_bytes", cache.memory_bytes)
      .field("disk_entries", cache.disk_entries)
      .field("disk_bytes", cache.disk_bytes);
  w.field("saved_microusd", cache.saved_microusd).end_object().end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_profile(Call call) {
  Engine& engine = call.engine();
  const HeapUse heap = heap_use();
  const ai::CacheStats cache = engine.gateway->cache_stats();
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("rss_bytes", process_rss_bytes(::getpid()))
      .key("components")
      .begin_array();
  const auto component = [&w](std::string_view name, uint64_t bytes, std::string_view what) {
    w.begin_object().field("name", name).field("bytes", bytes).field("what", what).end_object();
  };
  component("heap in use", heap.used_bytes, "allocated by all parts, those below included");
  component("heap free", heap.kept_bytes, "kept by the allocator for later");
  component("answer cache", cache.memory_bytes,
            std::to_string(cache.memory_entries) + " answers in memory");
  component("library", engine.catalogue->memory_bytes(), "the index, SQLite's pages");
  w.end_array();
  w.key("disk").begin_array();
  w.begin_object()
      .field("name", "answer cache")
      .field("bytes", cache.disk_bytes)
      .field("what", std::to_string(cache.disk_entries) + " answers")
      .end_object();
  std::error_code ignored;
  uint64_t db = 0;
  for (const char* name : {"library.db", "library.db-wal"}) {
    const auto size = fs::file_size(engine.home / name, ignored);
    if (!ignored) db += size;
  }
  w.begin_object()
      .field("name", "library")
      .field("bytes", db)
      .field("what", engine.catalogue->place())
      .end_object();
  w.end_array();
  const net::Server* const server = engine.server;
  w.field("connections", server == nullptr ? 0 : server->connections());
  w.field("requests_running", server == nullptr ? 0 : server->active_exchanges());
  w.field("upstream_connections", call.shard.gateway->connections());
  w.end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_config(Call call) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("file", call.engine().config.file().string()).key("values").begin_array();
  for (const Config::Entry& e : call.engine().config.entries()) {
    w.begin_object()
        .field("name", e.name)
        .field("value", e.secret ? masked(e.value) : e.value)
        .field("origin", e.origin)
        .field("description", e.description)
        .end_object();
  }
  w.end_array().end_object();
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_health(Call call) {
  co_await respond_json(call.exchange, "{\"status\":\"ok\"}");
}

Task<void> get_ready(Call call) {
  const bool ready = call.engine().ready;
  const char* const body = ready ? "{\"status\":\"ready\"}" : "{\"status\":\"starting\"}";
  const int status = ready ? 200 : 503;
  co_await respond_json(call.exchange, body, status);
}

Task<void> get_metrics(Call call) {
  Engine& engine = call.engine();
  const ai::CacheStats cache = engine.gateway->cache_stats();
  engine.metrics.gauge("samplemind_cache_bytes", "Cached answers.", {{"tier", "memory"}})
      .set(static_cast<int64_t>(cache.memory_bytes));
  engine.metrics.gauge("samplemind_cache_bytes", "Cached answers.", {{"tier", "disk"}})
      .set(static_cast<int64_t>(cache.disk_bytes));
  engine.metrics.gauge("samplemind_resident_bytes", "Memory of the process.")
      .set(static_cast<int64_t>(process_rss_bytes(::getpid())));
  net::ResponseHead head;
  head.headers.add("content-type", "text/plain; version=0.0.4; charset=utf-8");
  const std::string text = engine.metrics.prometheus();
  (void)(co_await call.exchange.respond(std::move(head), text)).ok();
}

Task<void> get_openapi(Call call);

// ---- the page ----

Task<void> serve_static(Call call, std::string_view type, std::string_view content) {
  net::ResponseHead head;
  head.headers.add("content-type", type);
  head.headers.add("x-content-type-options", "nosniff");
  head.headers.add("referrer-policy", "no-referrer");
  head.headers.add(
      "content-security-policy",
      "default-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
      "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'");
  head.headers.add("x-frame-options", "DENY");
  head.headers.add("cross-origin-opener-policy", "same-origin");
  head.headers.add("cross-origin-resource-policy", "same-origin");
  const std::string etag = "\"" + blake3(content).hex().substr(0, 16) + "\"";
  head.headers.add("etag", etag);
  head.headers.add("cache-control", "no-cache");
  if (call.exchange.request().headers.get("if-none-match").value_or("") == etag) {
    head.status = 304;
    content = {};
  }
  (void)(co_await call.exchange.respond(std::move(head), content)).ok();
}
Task<void> get_page(Call call) {
  return serve_static(call, "text/html; charset=utf-8", embedded::kPageHtml);
}
Task<void> get_page_css(Call call) {
  return serve_static(call, "text/css; charset=utf-8", embedded::kPageCss);
}
constexpr std::string_view kJavaScript = "text/javascript; charset=utf-8";
Task<void> get_page_js(Call call) {
  return serve_static(call, kJavaScript, embedded::kPageJs);
}
Task<void> get_choice_js(Call call) {
  return serve_static(call, kJavaScript, embedded::kChoiceJs);
}
Task<void> get_map_js(Call call) {
  return serve_static(call, kJavaScript, embedded::kMapJs);
}
Task<void> get_sound_js(Call call) {
  return serve_static(call, kJavaScript, embedded::kSoundJs);
}

// ---- the router ----

const std::vector<Route>& routes() {
  static const std::vector<Route> own{
      {{"POST", "/api/v1/ask", "coach",
        "Ask about sounds; the text as it comes, then the answer with its cost (whole with Accept: "
        "application/json)",
        "", "AskRequest", kNdjson, "AskLine"},
       post_ask},
      {{"GET", "/api/v1/providers", "ai", "The state of each AI provider", "", "", kJson,
        "Providers"},
       get_providers},
      {{"GET", "/api/v1/models", "ai",
        "The models of all usable providers with size, context and price", "", "", kJson, "Models"},
       get_models},
      {{"POST", "/api/v1/models/pull", "ai", "Pull models into Ollama", "", "PullRequest", kNdjson,
        "PullLine"},
       post_pull},
      {{"POST", "/api/v1/models/load", "ai",
        "Load one of Ollama's models into memory; answers once it is there", "", "LoadRequest",
        kJson, "Loaded"},
       post_load},
      {{"GET", "/api/v1/cache/stats", "cache", "Hits, savings, sizes", "", "", kJson, "CacheStats"},
       [](Call c) { return get_cache_stats(c.shard, c.exchange); }},
      {{"GET", "/api/v1/cache/entries", "cache", "The cached answers, the oldest first",
        "key:string:its first digits;model:string:name or provider/name;provider:string:such as "
        "openai;tenant:string:whose;older_than:string:stored longer ago, 12h or "
        "7d;limit:integer:1 to 1000;cursor:string:of the page before",
        "", kJson, "CachePage"},
       [](Call c) { return get_cache_entries(c.shard, c.exchange); }},
      {{"GET", "/api/v1/cache/entries/{key}", "cache",
        "One of them with its answer; the first digits of its key are enough", "", "", kJson,
        "CacheEntry"},
       [](Call c) { return get_cache_entry(c.shard, c.exchange, std::move(c.id)); }},
      {{"POST", "/api/v1/cache/clear", "cache",
        "Remove those that fit all that is given, from every tier", "", "CacheClear", kJson,
        "CacheCleared"},
       [](Call c) { return post_cache_clear(c.shard, c.exchange); }},
      {{"POST", "/api/v1/cache/warm", "cache",
        "Ask a list of requests or prompts ahead of time; lines of progress, then the report. It "
        "ends when the client leaves; what was answered is kept",
        "", "CacheWarm", kNdjson, "CacheWarmLine"},
       [](Call c) { return post_cache_warm(c.shard, c.exchange); }},
      {{"POST", "/api/v1/cache/export", "cache", "Cached answers as lines that import takes", "",
        "CacheFilter", kNdjson, ""},
       [](Call c) { return post_cache_export(c.shard, c.exchange); }},
      {{"POST", "/api/v1/cache/import", "cache", "Take in lines of an export", "", "", kJson,
        "CacheImported"},
       [](Call c) { return post_cache_import(c.shard, c.exchange); }},
      {{"GET", "/api/v1/status", "admin", "Version, library, providers, cache", "", "", kJson,
        "Status"},
       get_status},
      {{"GET", "/api/v1/profile", "admin", "Memory and disk by component", "", "", kJson,
        "Profile"},
       get_profile},
      {{"GET", "/api/v1/config", "admin", "The configuration, secrets masked", "", "", kJson,
        "Configuration"},
       get_config},
      {{"GET", "/api/v1/keys", "admin", "Virtual keys, without their secrets", "", "", kJson,
        "Keys"},
       [](Call call) { return get_keys(call.shard, call.exchange); }},
      {{"POST", "/api/v1/keys", "admin", "Make a virtual key; its secret is told this once", "",
        "KeyWish", kJson, "KeyIssue"},
       [](Call call) { return post_key(call.shard, call.exchange); }},
      {{"POST", "/api/v1/keys/{id}/rotate", "admin",
        "A new secret for a key (its id, or a name that only it has)", "", "KeyRotation", kJson,
        "KeyIssue"},
       [](Call call) { return post_key_rotate(call.shard, call.exchange, std::move(call.id)); }},
      {{"POST", "/api/v1/keys/{id}/revoke", "admin", "The key opens nothing any more", "", "",
        kJson, "KeyIssue"},
       [](Call call) { return post_key_revoke(call.shard, call.exchange, std::move(call.id)); }},
      {{"GET", "/api/v1/usage", "admin",
        "Requests, tokens, cost and savings; budgets as they stand",
        "by:string:model, key or day;days:integer:1 to 3660, today included", "", kJson, "Usage"},
       [](Call call) { return get_usage(call.shard, call.exchange); }},
      {{"GET", "/api/v1/requests", "admin",
        "The last model requests, newest first; their texts only with log.bodies",
        "limit:integer:1 to 1000", "", kJson, "Requests"},
       [](Call call) { return get_requests(call.shard, call.exchange); }},
      {{"POST", "/api/v1/route", "admin",
        "Where a request (OpenAI's form) would go, and why; nothing is asked", "", "ChatRequest",
        kJson, "RouteReport"},
       [](Call call) { return post_route(call.shard, call.exchange); }},
      {{"GET", "/healthz", "admin", "Alive", "", "", kJson, "Health"}, get_health},
      {{"GET", "/readyz", "admin", "Ready for requests; 503 before", "", "", kJson, "Health"},
       get_ready},
      {{"GET", "/metrics", "admin", "Prometheus metrics", "", "", "text/plain", ""}, get_metrics},
      {{"GET", "/openapi.json", "admin", "This description", "", "", kJson, ""}, get_openapi},
      {{"GET", "/", "page", "The page", "", "", "text/html", ""}, get_page},
      {{"GET", "/static/page.css", "page", "Its style", "", "", "text/css", ""}, get_page_css},
      {{"GET", "/static/page.js", "page", "Its program", "", "", "text/javascript", ""},
       get_page_js},
      {{"GET", "/static/map.js", "page", "Its map", "", "", "text/javascript", ""}, get_map_js},
      {{"GET", "/static/choice.js", "page", "Its choice of many", "", "", "text/javascript", ""},
       get_choice_js},
      {{"GET", "/static/sound.js", "page", "Its words for a sound", "", "", "text/javascript", ""},
       get_sound_js},
  };
  static const std::vector<Route> all = [] {
    std::vector<Route> list;
    for (const auto more : {gateway_routes(), std::span<const Route>(own), library_routes(),
                            map_routes(), sound_routes(), user_routes()})
      list.insert(list.end(), more.begin(), more.end());
    return list;
  }();
  return all;
}

Task<void> get_openapi(Call call) {
  std::vector<RouteDoc> docs;
  for (const Route& r : routes()) docs.push_back(r.doc);
  co_await respond_json(call.exchange, write_openapi(docs, version()));
}

// True when the path fits; `id` takes what stands for {id}. A model's id may hold slashes: a last
// {id} takes the rest.
bool fits(std::string_view pattern, std::string_view path, std::string& id) {
  const size_t open = pattern.find('{');
  if (open == std::string_view::npos) return pattern == path;
  const std::string_view tail = pattern.substr(pattern.find('}') + 1);
  if (!path.starts_with(pattern.substr(0, open)) || path.size() <= open + tail.size() ||
      !path.ends_with(tail))
    return false;
  const std::string_view raw = path.substr(open, path.size() - open - tail.size());
  if (!pattern.starts_with("/v1/models/") && !pattern.starts_with("/v1beta/models/") &&
      raw.find('/') != std::string_view::npos)
    return false;
  auto decoded = net::percent_decode(raw);
  if (!decoded.ok()) return false;
  id = std::move(*decoded);
  return true;
}

Task<void> not_found(Exchange& exchange, std::string allowed) {
  const std::string path(exchange.request().path());
  if (allowed.empty()) {
    co_await respond_refusal(exchange, 404, "Not found",
                             "there is no " + path + " here; /openapi.json lists what there is");
    co_return;
  }
  co_await respond_refusal(exchange, 405, "Method not allowed",
                           exchange.request().method + " does not fit " + path + "; use " + allowed,
                           allowed);
}

Task<void> dispatch(EngineShard& shard, const SecurityPolicy& policy, Exchange& exchange) {
  const net::RequestHead& request = exchange.request();
  Caller caller;
  if (auto refusal = check_request(request, policy, &caller)) {
    co_await respond_refusal(exchange, refusal->status, refusal->title, refusal->detail);
    co_return;
  }
  const std::string_view path = request.path();
  const std::string_view method =
      request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::string allowed;
  for (const Route& route : routes()) {
    std::string id;
    if (!fits(route.doc.path, path, id)) continue;
    if (route.doc.method == method) {
      Call call{shard, exchange, std::move(id), std::move(caller)};
      if (route.work != nullptr) {
        co_await run_work(std::move(call), route.work, route.body_max);
      } else {
        co_await route.run(std::move(call));
      }
      co_return;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.doc.method);
  }
  co_await not_found(exchange, std::move(allowed));
}

Task<void> timed(EngineShard& shard, const SecurityPolicy& policy, Histogram& seconds,
                 Exchange& exchange) {
  const SteadyTime begin = system_clock().steady();
  co_await dispatch(shard, policy, exchange);
  seconds.observe(std::chrono::duration<double>(system_clock().steady() - begin).count());
}

}  // namespace

Task<void> preload_models(EngineShard& shard) {
  for (const std::string& name : shard.engine.config.list("ai.ollama.preload")) {
    const SteadyTime begin = system_clock().steady();
    const auto loaded = co_await shard.gateway->load(name, net::CancelToken());
    if (loaded.ok()) {
      log::info("preload", {{"model", name}, {"seconds", seconds_since(begin)}});
    } else {
      log::warn("preload", {{"model", name}, {"error", loaded.error().message()}});
    }
  }
}

net::Handler make_handler(EngineShard& shard, SecurityPolicy policy) {
  for (std::string& host : policy.allowed_hosts) {
    for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  Histogram& seconds = shard.engine.metrics.histogram(
      "samplemind_http_request_seconds", "From a request's head to the end of its answer.");
  auto shared = std::make_shared<const SecurityPolicy>(std::move(policy));
  return [&shard, shared, &seconds](Exchange& exchange) {
    return timed(shard, *shared, seconds, exchange);
  };
}

std::vector<std::string> route_list() {
  std::vector<std::string> list;
  for (const Route& r : routes())
    list.push_back(std::string(r.doc.method) + " " + std::string(r.doc.path));
  return list;
}

}  // namespace samplemind::server
