// Samples, search and scan.
#include <algorithm>
#include <atomic>
#include <charconv>

#include "base/config.h"
#include "base/files.h"
#include "base/json.h"
#include "library/query.h"
#include "library/sample_json.h"
#include "net/offload.h"
#include "server/audio_body.h"
#include "server/call.h"
#include "server/ndjson_stream.h"
#include "server/responses.h"
#include "server/scan_work.h"
#include "server/search_query.h"

namespace samplemind::server {

namespace {

using net::Task;

Task<void> get_samples(Call call) {
  auto query = read_search_query(call.exchange.request().query());
  if (!query.ok()) {
    co_await respond_problem(call.exchange, std::move(query).error());
    co_return;
  }
  library::Catalogue* const catalogue = call.engine().catalogue.get();
  const library::SearchQuery q = *query;
  std::function<Result<library::SearchResult>()> work = [catalogue, q] {
    return catalogue->search(q);
  };
  auto found =
      co_await net::offload<library::SearchResult>(call.engine().blocking, std::move(work));
  if (!found.ok()) {
    co_await respond_problem(call.exchange, std::move(found).error());
    co_return;
  }
  std::string out;
  JsonWriter w(out);
  w.begin_object()
      .field("total", found->total)
      .field("limit", q.limit)
      .field("offset", q.offset)
      .key("samples")
      .begin_array();
  for (const library::Sample& s : found->samples) library::write_json(w, s);
  w.end_array().key("corrected").begin_object();
  for (const auto& [word, instead] : found->corrected) w.field(word, instead);
  w.end_object().end_object();
  co_await respond_json(call.exchange, std::move(out));
}

// The sample of the path's id, or the problem to answer with.
Task<Result<library::Sample>> load_sample(Call call) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(call.id.data(), call.id.data() + call.id.size(), id);
  if (error != std::errc() || end != call.id.data() + call.id.size())
    co_return Error(ErrorCode::kInvalidArgument,
                    "a sample's id is a number, not '" + call.id + "'");
  library::Catalogue* const catalogue = call.engine().catalogue.get();
  std::function<Result<std::optional<library::Sample>>()> work = [catalogue, id] {
    return catalogue->get(id);
  };
  auto found = co_await net::offload<std::optional<library::Sample>>(call.engine().blocking,
                                                                     std::move(work));
  if (!found.ok()) co_return std::move(found).error();
  if (!*found) co_return Error(ErrorCode::kNotFound, "there is no sample " + call.id);
  co_return std::move(**found);
}

Task<void> get_sample(Call call) {
  auto sample = co_await load_sample(call);
  if (!sample.ok()) {
    co_await respond_problem(call.exchange, std::move(sample).error());
    co_return;
  }
  std::string out;
  JsonWriter w(out);
  library::write_json(w, *sample);
  co_await respond_json(call.exchange, std::move(out));
}

Task<void> get_audio(Call call) {
  auto sample = co_await load_sample(call);
  if (!sample.ok()) {
    co_await respond_problem(call.exchange, std::move(sample).error());
    co_return;
  }
  co_await serve_audio(call.exchange, call.engine().blocking, *sample);
}

// Ends the scan with the exchange, also when the handler's frame is destroyed.
struct CancelScan {
  ScanJob& job;
  uint64_t number;
  ~CancelScan() { job.cancel(number); }
};

Task<void> post_scan(Call call) {
  auto body = co_await call.exchange.read_body(kApiBodyMax);
  if (!body.ok()) {
    co_await respond_problem(call.exchange, std::move(body).error());
    co_return;
  }
  auto request = JsonValue::parse(*body);
  std::vector<fs::path> paths;
  if (request.ok()) {
    for (const JsonValue& p : (*request)["paths"].items())
      paths.push_back(path_from_text(p.string_or("")));
  }
  const bool all_absolute =
      std::all_of(paths.begin(), paths.end(), [](const fs::path& p) { return p.is_absolute(); });
  if (!request.ok() || paths.empty() || !all_absolute) {
    Error wrong(
        ErrorCode::kInvalidArgument,
        request.ok() ? "'paths' must be a list of absolute paths" : request.error().message(),
        "{\"paths\": [\"/home/me/Samples\"]}");
    co_await respond_problem(call.exchange, std::move(wrong));
    co_return;
  }
  std::optional<QueueAddress> queue;
  if (const JsonValue& q = (*request)["queue"]; !q.is_null()) {
    queue = QueueAddress{q["url"].string_or(""), q["username"].string_or(""),
                         q["password"].string_or(""), q["ca_file"].string_or("")};
  }
  Engine& engine = call.engine();
  if ((*request)["background"].bool_or(false)) {
    std::function<void(std::string, bool)> ignore = [](std::string, bool) {};
    std::function<void()> nothing = [] {};
    const auto started = start_scan(engine, std::move(paths), std::move(queue), std::move(ignore),
                                    std::move(nothing));
    if (!started) {
      Error busy(ErrorCode::kAlreadyExists, "a scan is running already", "wait for it to end");
      co_await respond_problem(call.exchange, std::move(busy));
    } else {
      co_await respond_json(call.exchange, "{\"type\":\"started\"}\n");
    }
    co_return;
  }
  const NdjsonStream stream(call.shard.loop);
  std::function<void(std::string, bool)> on_line = [stream](std::string line, bool droppable) {
    stream.push(std::move(line), droppable);
  };
  std::function<void()> after = [stream] { stream.close(); };
  const auto number =
      start_scan(engine, std::move(paths), std::move(queue), std::move(on_line), std::move(after));
  if (!number) {
    Error busy(ErrorCode::kAlreadyExists, "a scan is running already", "wait for it to end");
    co_await respond_problem(call.exchange, std::move(busy));
    co_return;
  }
  // Whoever asked has gone away: the scan stops, and what it has finished is kept.
  const CancelScan guard{engine.scan, *number};
  (void)co_await stream.serve(call.exchange);
}

const Route kRoutes[] = {
    {{"GET", "/api/v1/samples", "library", "Search the library", kSearchParameters, "", kJson,
      "SamplePage"},
     get_samples},
    {{"GET", "/api/v1/samples/{id}", "library", "One sample with all that was measured", "", "",
      kJson, "Sample"},
     get_sample},
    {{"GET", "/api/v1/samples/{id}/audio", "library",
      "Its sound; ranges are served, and WAV for formats that browsers cannot play", "", "",
      "audio/*", ""},
     get_audio},
    {{"POST", "/api/v1/scan", "library",
      "Scan folders; lines of progress, then the report. It ends when the client leaves; what is "
      "finished is kept",
      "", "ScanRequest", kNdjson, "ScanLine"},
     post_scan},
};

}  // namespace

std::span<const Route> library_routes() {
  return kRoutes;
}

}  // namespace samplemind::server
