#include "server/cache_routes.h"

#include <algorithm>
#include <charconv>

#include "ai/cache/admin.h"
#include "ai/dialect/openai.h"
#include "ai/warm.h"
#include "base/files.h"
#include "base/json.h"
#include "base/log.h"
#include "net/offload.h"
#include "server/ndjson_stream.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

using net::Exchange;
using net::Task;

constexpr size_t kClearBodyMax = 64u << 10;
constexpr size_t kWarmListMax = 256u << 20;  // of the scheduled file
constexpr size_t kLineMax = 64u << 20;       // of an import
constexpr size_t kPage = 200;
constexpr int64_t kLimitMax = 1000;
constexpr size_t kKeyDigitsMin = 6;

Result<void> check_key(const std::string& key) {
  const bool digits = std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (digits && key.size() >= kKeyDigitsMin && key.size() <= 64) return ok();
  return Error(
      ErrorCode::kInvalidArgument,
      "a key is 64 hexadecimal digits, or the first of them (6 at least), not '" + key + "'",
      "'samplemind cache ls' lists the keys; answers tell theirs in "
      "x-samplemind-cache-key");
}

// One setting of a filter, by its name in the API.
Result<bool> set_filter(ai::CacheFilter& filter, std::string_view name, const std::string& value) {
  if (name == "key") {
    filter.key = value;
    SM_CHECK_OK(check_key(value));
  } else if (name == "model") {
    filter.model = value;
  } else if (name == "provider") {
    filter.provider = value;
  } else if (name == "tenant") {
    filter.tenant = value;
  } else if (name == "older_than") {
    auto ms = parse_duration_ms(value);
    if (!ms.ok() || *ms <= 0)
      return Error(ErrorCode::kInvalidArgument,
                   "older_than must be a time such as 30m, 12h or 7d, not '" + value + "'");
    filter.older_than_ms = *ms;
  } else {
    return false;
  }
  if (value.empty())
    return Error(ErrorCode::kInvalidArgument, "'" + std::string(name) + "' must not be empty");
  return true;
}

const std::vector<std::string> kFilterNames{"key", "model", "provider", "tenant", "older_than"};

Error unknown_name(std::string_view name, std::vector<std::string> known) {
  const auto close = nearest(name, known);
  std::string all;
  for (const std::string& each : known) all += (all.empty() ? "" : ", ") + each;
  return Error(ErrorCode::kInvalidArgument, "unknown parameter '" + std::string(name) + "'",
               close ? "did you mean '" + *close + "'?" : "there are " + all);
}

// From the members of a JSON body; those in `others` are the caller's.
Result<ai::CacheFilter> read_filter(const JsonValue& body, const std::vector<std::string>& others) {
  ai::CacheFilter filter;
  for (const auto& [name, value] : body.members()) {
    if (std::find(others.begin(), others.end(), name) != others.end()) continue;
    if (!value.is_string())
      return Error(ErrorCode::kInvalidArgument, "'" + name + "' must be a text");
    SM_TRY(const bool known, set_filter(filter, name, *value.string()));
    if (known) continue;
    std::vector<std::string> names = kFilterNames;
    names.insert(names.end(), others.begin(), others.end());
    return unknown_name(name, std::move(names));
  }
  return filter;
}

void write_entry(JsonWriter& w, const ai::CacheRecord& r, int64_t now_ms) {
  w.begin_object()
      .field("key", r.key_hex)
      .field("model", r.answer.provider + "/" + r.model)
      .field("provider", r.answer.provider)
      .field("tenant", r.tenant)
      .field("stored_ms", r.stored_ms)
      .field("age_s", std::max<int64_t>(0, now_ms - r.stored_ms) / 1000);
  w.field("expires_ms", r.expires_ms)
      .field("finish_reason", r.answer.finish_reason)
      .field("input_tokens", r.answer.usage.input_tokens)
      .field("output_tokens", r.answer.usage.output_tokens)
      .key("cost_microusd");
  if (r.cost_microusd < 0) {
    w.null();
  } else {
    w.value(r.cost_microusd);
  }
  if (r.embedding()) {
    // Four characters of base64 for three bytes, four bytes a number.
    w.field("begins", "a vector of " + std::to_string(r.answer.text.size() * 3 / 16) + " numbers");
    w.end_object();
    return;
  }
  std::string text = r.answer.text.substr(0, 200);
  while (!text.empty() && (text.back() & 0xC0) == 0x80) text.pop_back();
  if (!text.empty() && (text.back() & 0x80) != 0) text.pop_back();
  w.field("begins", r.answer.text.size() <= 200 ? r.answer.text : text).end_object();
}

struct Page {
  std::vector<std::string> lines;
  std::string cursor;
  bool more = false;
};

// A page of entries, each written by `write`, read on a thread that may wait for the disk.
Task<Result<Page>> read_page(Engine& engine, ai::CacheFilter filter, std::string cursor, size_t max,
                             std::string (*write)(const ai::CacheRecord&, int64_t)) {
  ai::Gateway* const gateway = engine.gateway.get();
  std::function<Result<Page>()> work = [gateway, filter, cursor, max, write]() -> Result<Page> {
    Page page;
    page.cursor = cursor;
    const int64_t now_ms = system_clock().unix_ms();
    page.more = gateway->cache_admin().page(
        page.cursor, max, filter, now_ms,
        [&](const ai::CacheRecord& r) { page.lines.push_back(write(r, now_ms)); });
    return page;
  };
  co_return co_await net::offload<Page>(engine.blocking, std::move(work));
}

std::string entry_line(const ai::CacheRecord& r, int64_t now_ms) {
  std::string out;
  JsonWriter w(out);
  write_entry(w, r, now_ms);
  return out;
}

// A cursor is opaque to clients: hexadecimal, since the disk's holds any byte.
std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[c & 15];
  }
  return out;
}
Result<std::string> from_hex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size() + text.size() % 2; i += 2) {
    unsigned value = 0;
    const auto [end, error] =
        std::from_chars(text.data() + i, text.data() + std::min(i + 2, text.size()), value, 16);
    if (error != std::errc() || end != text.data() + i + 2)
      return Error(ErrorCode::kInvalidArgument, "the cursor is not one that a listing gave");
    out += static_cast<char>(value);
  }
  return out;
}

// The start of an answer in lines.
net::ResponseHead ndjson_head() {
  net::ResponseHead head;
  head.headers.add("content-type", "application/x-ndjson");
  head.headers.add("cache-control", "no-store");
  return head;
}

Task<Result<JsonValue>> read_object(Exchange& exchange, size_t max) {
  auto body = co_await exchange.read_body(max);
  if (!body.ok()) co_return std::move(body).error();
  if (body->empty()) co_return *JsonValue::parse("{}");
  auto value = JsonValue::parse(*body);
  if (value.ok() && !value->is_object())
    co_return Error(ErrorCode::kInvalidArgument, "the body must be a JSON object");
  co_return value;
}

std::string problem_line(size_t line, const Error& error) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("type", "problem").field("line", line).field("detail", error.message());
  w.end_object();
  return out;
}

std::string warm_line(const char* type, const ai::WarmProgress& p) {
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("type", type)
      .field("total", p.total)
      .field("done", p.done)
      .field("cached", p.cached)
      .field("answered", p.answered)
      .field("not_kept", p.not_kept)
      .field("failed", p.failed);
  w.field("cost_unknown", p.cost_unknown)
      .field("cost_microusd", p.cost_microusd)
      .field("over_budget", p.over_budget)
      .end_object();
  return out;
}

Result<ai::WarmOptions> read_warm_options(const JsonValue& body) {
  ai::WarmOptions options;
  for (const auto& [name, value] : body.members()) {
    if (name == "text") {
      continue;
    } else if (name == "model" && value.is_string() && !value.string()->empty()) {
      options.model = *value.string();
    } else if (name == "concurrency" && value.integer() && *value.integer() >= 1 &&
               *value.integer() <= 64) {
      options.concurrency = static_cast<size_t>(*value.integer());
    } else if (name == "budget_usd" && value.number() && *value.number() >= 0) {
      options.budget_usd = *value.number();
    } else if (name == "tenant" && value.is_string() && ai::usable_tenant(*value.string())) {
      options.tenant = *value.string();
    } else if (name == "model" || name == "concurrency" || name == "budget_usd" ||
               name == "tenant") {
      return Error(ErrorCode::kInvalidArgument, "'" + name + "' has no acceptable value",
                   "model: a name; concurrency: 1 to 64; budget_usd: dollars, 0 or more; tenant: "
                   "letters, digits, '-', '_' and '.'");
    } else {
      return unknown_name(name, {"text", "model", "concurrency", "budget_usd", "tenant"});
    }
  }
  if (!body["text"].is_string())
    return Error(ErrorCode::kInvalidArgument,
                 "'text' is missing: JSON Lines of requests, or prompts, one a line");
  return options;
}

}  // namespace

Task<void> get_cache_stats(EngineShard& shard, Exchange& exchange) {
  const ai::CacheStats s = shard.engine.gateway->cache_stats();
  std::string out;
  JsonWriter w(out);
  const uint64_t hits = s.hits_memory + s.hits_disk + s.hits_redis;
  const uint64_t asked = hits + s.misses + s.coalesced;
  w.begin_object()
      .field("hits_memory", s.hits_memory)
      .field("hits_disk", s.hits_disk)
      .field("hits_redis", s.hits_redis)
      .field("hits_negative", s.hits_negative)
      .field("misses", s.misses)
      .field("coalesced", s.coalesced)
      .field("refreshes", s.refreshes);
  w.key("hit_ratio");
  if (asked == 0) {
    w.null();
  } else {
    w.value(static_cast<double>(hits + s.coalesced) / static_cast<double>(asked));
  }
  w.field("saved_microusd", s.saved_microusd)
      .field("memory_entries", s.memory_entries)
      .field("memory_bytes", s.memory_bytes)
      .field("memory_bytes_max", s.memory_bytes_max)
      .field("disk_entries", s.disk_entries)
      .field("disk_bytes", s.disk_bytes)
      .field("disk_bytes_max", s.disk_bytes_max);
  w.field("disk_dropped", s.disk_dropped)
      .field("disk_damaged", s.disk_damaged)
      .field("redis", s.redis)
      .field("redis_errors", s.redis_errors)
      .field("redis_dropped", s.redis_dropped)
      .end_object();
  co_await respond_json(exchange, std::move(out));
}

Task<void> get_cache_entries(EngineShard& shard, Exchange& exchange) {
  ai::CacheFilter filter;
  int64_t limit = 50;
  std::string cursor;
  std::optional<Error> wrong;
  const auto parameters = net::parse_query(exchange.request().query());
  if (!parameters.ok()) wrong = parameters.error();
  for (size_t i = 0; !wrong && i < parameters->size(); ++i) {
    const auto& [name, value] = (*parameters)[i];
    if (name == "limit") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
      if (error != std::errc() || end != value.data() + value.size() || limit < 1 ||
          limit > kLimitMax)
        wrong = Error(ErrorCode::kInvalidArgument, "limit must be from 1 to 1000");
    } else if (name == "cursor") {
      auto bytes = from_hex(value);
      if (bytes.ok()) {
        cursor = std::move(*bytes);
      } else {
        wrong = std::move(bytes).error();
      }
    } else {
      const auto known = set_filter(filter, name, value);
      if (!known.ok()) {
        wrong = known.error();
      } else if (!*known) {
        std::vector<std::string> names = kFilterNames;
        names.insert(names.end(), {"limit", "cursor"});
        wrong = unknown_name(name, std::move(names));
      }
    }
  }
  if (wrong) {
    co_await respond_problem(exchange, std::move(*wrong));
    co_return;
  }
  auto page = co_await read_page(shard.engine, std::move(filter), std::move(cursor),
                                 static_cast<size_t>(limit), entry_line);
  if (!page.ok()) {
    co_await respond_problem(exchange, std::move(page).error());
    co_return;
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object().key("entries").begin_array();
  for (const std::string& line : page->lines) w.raw(line);
  w.end_array().key("cursor");
  if (page->more) {
    w.value(to_hex(page->cursor));
  } else {
    w.null();
  }
  w.end_object();
  co_await respond_json(exchange, std::move(out));
}

Task<void> get_cache_entry(EngineShard& shard, Exchange& exchange, std::string key) {
  if (auto valid = check_key(key); !valid.ok()) {
    co_await respond_problem(exchange, valid.error());
    co_return;
  }
  ai::Gateway* const gateway = shard.engine.gateway.get();
  std::function<Result<ai::RecordPtr>()> work = [gateway, key]() -> Result<ai::RecordPtr> {
    const int64_t now_ms = system_clock().unix_ms();
    ai::CacheAdmin admin = gateway->cache_admin();
    if (const auto digest = Digest::from_hex(key); digest.ok()) {
      if (auto found = admin.get(*digest, now_ms)) return found;
      return Error(ErrorCode::kNotFound, "no answer is cached under " + key);
    }
    ai::CacheFilter filter;
    filter.key = key;
    std::vector<Digest> found;
    std::string cursor;
    admin.page(cursor, 2, filter, now_ms,
               [&](const ai::CacheRecord& r) { found.push_back(r.key); });
    if (found.size() > 1)
      return Error(ErrorCode::kInvalidArgument, "several keys begin with " + key,
                   "give more of its digits");
    ai::RecordPtr one = found.empty() ? nullptr : admin.get(found[0], now_ms);
    if (!one) return Error(ErrorCode::kNotFound, "no cached answer's key begins with " + key);
    return one;
  };
  auto found = co_await net::offload<ai::RecordPtr>(shard.engine.blocking, std::move(work));
  if (!found.ok()) {
    co_await respond_problem(exchange, std::move(found).error());
    co_return;
  }
  const ai::CacheRecord& r = **found;
  std::string out = entry_line(r, system_clock().unix_ms());
  out.pop_back();
  out += ",\"answer\":" + ai::write_openai_answer(r.answer) + "}";
  co_await respond_json(exchange, std::move(out));
}

Task<void> post_cache_clear(EngineShard& shard, Exchange& exchange) {
  auto body = co_await read_object(exchange, kClearBodyMax);
  Result<ai::CacheFilter> filter = ai::CacheFilter();
  bool all = false;
  if (!body.ok()) {
    filter = std::move(body).error();
  } else {
    filter = read_filter(*body, {"all"});
    all = (*body)["all"].bool_or(false);
    if (filter.ok() && filter->any() != all) {
      filter = all ? Error(ErrorCode::kInvalidArgument, "'all' goes with nothing else")
                   : Error(ErrorCode::kInvalidArgument, "nothing says which entries are to go",
                           "give key, model, provider, tenant or older_than, or {\"all\": true}");
    }
  }
  if (!filter.ok()) {
    co_await respond_problem(exchange, std::move(filter).error());
    co_return;
  }
  auto cleared = co_await shard.gateway->clear_cache(std::move(*filter));
  if (!cleared.ok()) {
    co_await respond_problem(exchange, std::move(cleared).error());
    co_return;
  }
  log::info("cache cleared", {{"entries", cleared->entries}, {"redis", cleared->redis_entries}});
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("cleared", cleared->entries)
      .field("cleared_redis", cleared->redis_entries)
      .field("redis_problem", cleared->redis_problem)
      .end_object();
  co_await respond_json(exchange, std::move(out));
}

Task<void> post_cache_warm(EngineShard& shard, Exchange& exchange) {
  auto body = co_await read_object(exchange, shard.body_max);
  Result<ai::WarmOptions> options = ai::WarmOptions();
  Result<std::vector<ai::WarmItem>> items = std::vector<ai::WarmItem>();
  if (body.ok()) {
    options = read_warm_options(*body);
  } else {
    options = std::move(body).error();
  }
  if (options.ok()) items = ai::read_warm_list(*(*body)["text"].string(), *options);
  if (!options.ok() || !items.ok()) {
    const Error& problem = options.ok() ? items.error() : options.error();
    co_await respond_problem(exchange, problem);
    co_return;
  }
  options->cancel = exchange.cancel();
  const NdjsonStream stream(shard.loop);
  auto running = [](EngineShard& s, std::vector<ai::WarmItem> list, ai::WarmOptions o,
                    NdjsonStream out) -> Task<void> {
    std::function<void(const ai::WarmProgress&)> on_progress = [out](const ai::WarmProgress& p) {
      out.push(warm_line("progress", p), true);
    };
    std::function<void(size_t, const Error&)> on_problem = [out](size_t line, const Error& e) {
      out.push(problem_line(line, e), false);
    };
    const ai::WarmProgress end = co_await ai::warm(*s.gateway, std::move(list), std::move(o),
                                                   std::move(on_progress), std::move(on_problem));
    out.push(warm_line("report", end), false);
    out.close();
  };
  shard.loop.spawn(running(shard, std::move(*items), std::move(*options), stream));
  (void)co_await stream.serve(exchange);
}

Task<void> post_cache_export(EngineShard& shard, Exchange& exchange) {
  auto body = co_await read_object(exchange, kClearBodyMax);
  Result<ai::CacheFilter> filter =
      body.ok() ? read_filter(*body, {}) : Result<ai::CacheFilter>(body.error());
  if (!filter.ok()) {
    co_await respond_problem(exchange, std::move(filter).error());
    co_return;
  }
  if (!(co_await exchange.start(ndjson_head())).ok()) co_return;
  std::string cursor;
  const auto write = [](const ai::CacheRecord& r, int64_t) { return ai::write_export_line(r); };
  for (bool more = true; more;) {
    auto page = co_await read_page(shard.engine, *filter, cursor, kPage, write);
    if (!page.ok()) {
      exchange.abort();
      co_return;
    }
    std::string text;
    for (const std::string& line : page->lines) text += line + "\n";
    if (!text.empty() && !(co_await exchange.write(text)).ok()) co_return;
    cursor = std::move(page->cursor);
    more = page->more;
  }
  (void)(co_await exchange.finish()).ok();
}

Task<void> post_cache_import(EngineShard& shard, Exchange& exchange) {
  ai::Gateway* const gateway = shard.engine.gateway.get();
  struct Report {
    uint64_t imported = 0, expired = 0, refused = 0;
    size_t line = 0;
    std::vector<std::string> problems;  // the first few
  };
  auto report = std::make_shared<Report>();
  std::string pending;
  for (bool ended = false; !ended;) {
    auto piece = co_await exchange.read_some();
    if (!piece.ok()) {
      co_await respond_problem(exchange, std::move(piece).error());
      co_return;
    }
    ended = piece->empty();
    pending += *piece;
    if (pending.size() > kLineMax) {
      Error too_long(ErrorCode::kTooLarge, "a line of more than 64 MiB");
      co_await respond_problem(exchange, std::move(too_long));
      co_return;
    }
    const size_t whole = ended ? pending.size() : pending.rfind('\n') + 1;
    if (whole == 0) continue;
    std::string text = pending.substr(0, whole);
    pending.erase(0, whole);
    std::function<Result<bool>()> work = [gateway, report, text = std::move(text)] {
      const int64_t now_ms = system_clock().unix_ms();
      for (std::string_view rest = text; !rest.empty();) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        ++report->line;
        if (line.empty()) continue;
        auto record = ai::read_export_line(line);
        if (!record.ok()) {
          ++report->refused;
          if (report->problems.size() < 10)
            report->problems.push_back("line " + std::to_string(report->line) + ": " +
                                       record.error().message());
        } else if ((*record)->expires_ms <= now_ms) {
          ++report->expired;
        } else {
          gateway->cache_import(*record);
          ++report->imported;
        }
      }
      return Result<bool>(true);
    };
    auto done = co_await net::offload<bool>(shard.engine.blocking, std::move(work));
    if (!done.ok()) {
      co_await respond_problem(exchange, std::move(done).error());
      co_return;
    }
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("imported", report->imported)
      .field("expired", report->expired)
      .field("refused", report->refused)
      .field("problems", report->problems)
      .end_object();
  co_await respond_json(exchange, std::move(out));
}

Task<void> warm_on_schedule(EngineShard& shard) {
  Engine& engine = shard.engine;
  const std::string file = engine.config.string("cache.warm.file");
  if (file.empty()) co_return;
  const std::chrono::milliseconds every(engine.config.duration_ms("cache.warm.every"));
  for (;;) {
    std::function<Result<std::string>()> work = [file] { return read_file(file, kWarmListMax); };
    auto text = co_await net::offload<std::string>(engine.blocking, std::move(work));
    ai::WarmOptions options;
    options.model = engine.config.string("cache.warm.model");
    options.tenant = engine.config.string("cache.warm.tenant");
    options.concurrency = static_cast<size_t>(
        std::clamp<int64_t>(engine.config.integer("cache.warm.concurrency"), 1, 64));
    if (engine.config.is_set("cache.warm.budget_usd"))
      options.budget_usd = engine.config.number("cache.warm.budget_usd");
    auto items = text.ok() ? ai::read_warm_list(*text, options)
                           : Result<std::vector<ai::WarmItem>>(text.error());
    if (!items.ok()) {
      log::warn("cache warm: the list cannot be used",
                {{"file", file}, {"error", items.error().message()}});
    } else {
      std::function<void(const ai::WarmProgress&)> ignore = [](const ai::WarmProgress&) {};
      std::function<void(size_t, const Error&)> on_problem = [file](size_t line, const Error& e) {
        log::warn("cache warm", {{"file", file}, {"line", line}, {"error", e.message()}});
      };
      const ai::WarmProgress end =
          co_await ai::warm(*shard.gateway, std::move(*items), std::move(options),
                            std::move(ignore), std::move(on_problem));
      log::info("cache warm", {{"file", file},
                               {"total", end.total},
                               {"cached", end.cached},
                               {"answered", end.answered},
                               {"failed", end.failed},
                               {"cost_microusd", end.cost_microusd},
                               {"over_budget", end.over_budget}});
    }
    if (every.count() <= 0 || !co_await shard.loop.sleep_for(every)) co_return;
  }
}

}  // namespace samplemind::server
