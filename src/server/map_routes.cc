// The map of the library.
#include "base/json.h"
#include "library/map/library_map.h"
#include "server/call.h"
#include "server/search_query.h"

namespace samplemind::server {

namespace {

void write_numbers(std::string& out, const auto& numbers) {
  out += '[';
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(numbers[i]);
  }
  out += ']';
}

Result<Reply> map_reply(const Job& job, const library::SearchQuery& query) {
  SM_TRY(const library::MapView view, job.engine.map->view(query));
  Reply reply;
  std::string& out = reply.body;
  out.reserve(view.ids.size() * 24 + 8192);
  JsonWriter w(out);
  w.begin_object().field("total", view.total).field("side", library::kMapSide);
  w.field("laid_out_ms", view.laid_out_ms).field("laid_out_sounds", view.laid_out_sounds);
  w.field("kinds", view.kinds).key("hues").begin_array();
  for (const std::string& kind : view.kinds) w.value(library::kind_hue(kind));
  w.end_array().key("clusters").begin_array();
  for (const library::MapCluster& c : view.clusters) {
    w.begin_object().field("kind", c.kind).field("x", c.x).field("y", c.y);
    w.field("samples", c.samples).field("of_kind", c.of_kind).end_object();
  }
  w.end_array().end_object();
  // A hundred thousand numbers a column: written past the writer.
  out.pop_back();
  out += ",\"ids\":";
  write_numbers(out, view.ids);
  out += ",\"x\":";
  write_numbers(out, view.x);
  out += ",\"y\":";
  write_numbers(out, view.y);
  out += ",\"kind\":";
  write_numbers(out, view.kind);
  out += '}';
  return reply;
}

Result<Reply> get_map(const Job& job) {
  SM_TRY(const library::SearchQuery query, read_search_query(job.query));
  return map_reply(job, query);
}

Result<Reply> post_refit(const Job& job) {
  SM_CHECK_OK(job.engine.map->lay_out_anew());
  return map_reply(job, {});
}

const Route kRoutes[] = {
    {{"GET", "/api/v1/library/map", "library",
      "Places on a plane where sounds that sound alike lie together, 100,000 at most; limit, "
      "offset and sort change nothing. Places never change but by refit",
      kSearchParameters, "", kJson, "LibraryMap"},
     nullptr,
     get_map},
    {{"POST", "/api/v1/library/map/refit", "library",
      "Lay the map out anew by the sounds that are there now: every place changes", "", "", kJson,
      "LibraryMap"},
     nullptr,
     post_refit},
};

}  // namespace

std::span<const Route> map_routes() {
  return kRoutes;
}

}  // namespace samplemind::server
