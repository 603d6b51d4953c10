// What the files of routes share: a request with what its route needs, and the table's rows.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "net/server.h"
#include "server/engine.h"
#include "server/openapi.h"
#include "server/security.h"

namespace samplemind::server {

inline constexpr size_t kApiBodyMax = 1 << 20;
inline constexpr size_t kIdsBodyMax = 4 << 20;  // where 100,000 ids may stand

// One request with what its route needs.
struct Call {
  EngineShard& shard;
  net::Exchange& exchange;
  std::string id;  // the {id} of the path
  Caller caller;   // who asks
  Engine& engine() const { return shard.engine; }
};

// A request whose work blocks (SQLite, files): it runs on a thread of the pool and sees only this.
struct Job {
  Engine& engine;
  std::string id;     // the {id} of the path
  std::string query;  // after '?'
  std::string body;
};
struct Reply {
  std::string body;
  std::string type = "application/json";
  std::string file_name;  // not empty: offered as a download
};
using Work = Result<Reply> (*)(const Job&);

struct Route {
  RouteDoc doc;
  net::Task<void> (*run)(Call) = nullptr;  // one of the two
  Work work = nullptr;
  size_t body_max = kApiBodyMax;  // of `work`
};

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kNdjson = "application/x-ndjson";

// Reads the body, runs `work` on the pool, answers with its reply or its problem.
net::Task<void> run_work(Call call, Work work, size_t body_max);

// The JSON object of a job's body. kInvalidArgument when it is none.
Result<JsonValue> body_object(const Job& job);
// {"type":"error",...} for streams of lines.
std::string error_line(const Error& error);

std::span<const Route>
gateway_routes();  // what AI clients of all dialects ask for (docs/dialects.md)
std::span<const Route> library_routes();  // samples, search, scan
std::span<const Route> map_routes();      // the library's map
std::span<const Route> sound_routes();    // similarity, duplicates, exports, renaming, watching
std::span<const Route> user_routes();     // marks, tags, collections, journal, care

}  // namespace samplemind::server
