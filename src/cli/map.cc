// samplemind map
#include <array>
#include <cstdio>
#include <memory>

#include "base/config.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/samples_table.h"
#include "net/http.h"

namespace samplemind::cli {

namespace {

constexpr int kPixels = 1200;  // of the picture's side

struct MapFlags {
  std::vector<std::string> query;
  std::string svg;
  bool refit = false, json = false;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string colour(const JsonValue& hue) {
  const int64_t h = hue.integer_or(-1);
  return h < 0 ? "#8a8a96" : "hsl(" + std::to_string(h) + ",65%,52%)";
}

std::string spoken(std::string kind) {
  if (kind.empty()) return "no kind";
  for (char& c : kind) c = c == '_' ? ' ' : c;
  return kind;
}

// A dot a sound, in its kind's colour; the names of the parts above.
std::string draw(const JsonValue& map) {
  const double scale = kPixels / map["side"].number_or(1);
  const auto& kinds = map["kinds"].items();
  std::vector<std::string> dots(kinds.size());
  const auto& x = map["x"].items();
  const auto& y = map["y"].items();
  const auto& kind = map["kind"].items();
  char text[96];
  for (size_t i = 0; i < x.size() && i < y.size() && i < kind.size(); ++i) {
    const auto k = static_cast<size_t>(kind[i].integer_or(0));
    std::snprintf(text, sizeof text, "M%.1f %.1fh0", x[i].number_or(0) * scale,
                  y[i].number_or(0) * scale);
    if (k < dots.size()) dots[k] += text;
  }
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " +
                    std::to_string(kPixels) + " " + std::to_string(kPixels) +
                    "\" font-family=\"sans-serif\"><rect width=\"100%\" height=\"100%\" "
                    "fill=\"#fff\"/>\n<g stroke-linecap=\"round\" fill=\"none\" "
                    "stroke-opacity=\"0.75\" stroke-width=\"";
  out += x.size() > 20000 ? "3" : x.size() > 2000 ? "5" : "8";
  out += "\">\n";
  for (size_t k = 0; k < dots.size(); ++k) {
    if (dots[k].empty()) continue;
    out += "<path stroke=\"" + colour(map["hues"].items()[k]) + "\" d=\"" + dots[k] + "\"><title>" +
           escaped(spoken(kinds[k].string_or(""))) + "</title></path>\n";
  }
  out +=
      "</g>\n<g text-anchor=\"middle\" font-size=\"17\" fill=\"#1b1b22\" stroke=\"#fff\" "
      "stroke-width=\"4\" paint-order=\"stroke\">\n";
  for (const JsonValue& c : map["clusters"].items()) {
    std::snprintf(text, sizeof text, "<text x=\"%.1f\" y=\"%.1f\">", c["x"].number_or(0) * scale,
                  c["y"].number_or(0) * scale);
    out += text + escaped(spoken(c["kind"].string_or(""))) + " " +
           std::to_string(c["of_kind"].integer_or(0)) + "</text>\n";
  }
  return out + "</g></svg>\n";
}

void tell_parts(const Context& context, const JsonValue& map) {
  Table table({{"Part"}, {"Sounds", true}, {"Of the kind", true}});
  for (const JsonValue& c : map["clusters"].items())
    table.add({spoken(c["kind"].string_or("")), human_count(c["samples"].integer_or(0)),
               human_count(c["of_kind"].integer_or(0))});
  if (!table.empty()) print(table.render(context.out, context.out.width()));
  const int64_t then = map["laid_out_sounds"].integer_or(0);
  const int64_t total = map["total"].integer_or(0);
  std::string note =
      human_count(total) + " sounds on the map, laid out when there were " + human_count(then);
  if (total > 4 * then) note += "; 'samplemind map --refit' gives a better one";
  print_note(context.err, note);
}

Result<int> run_map(const Context& context, const MapFlags& f) {
  std::string query;
  for (const std::string& word : f.query) query += (query.empty() ? "" : " ") + word;
  // The first one lays it out and keeps it.
  SM_TRY(const auto api, ApiClient::open(context, ApiClient::Need::kWrite));
  if (f.refit) SM_CHECK_OK(api->post("/api/v1/library/map/refit", "{}"));
  SM_TRY(const std::string text, api->fetch("/api/v1/library/map?q=" + net::percent_encode(query)));
  if (f.json) print(text + "\n");
  SM_TRY(const JsonValue map, JsonValue::parse(text));
  if (!f.svg.empty()) {
    SM_CHECK_OK(write_file_atomic(fs::absolute(f.svg), draw(map), 0644));
    print_note(context.err, f.svg + ": " + human_count(map["total"].integer_or(0)) + " sounds");
  }
  if (f.json) return 0;
  if (map["total"].integer_or(0) == 0) {
    print(query.empty() ? "The library is empty. samplemind scan ~/Samples fills it.\n"
                        : "Nothing fits. Fewer words or a wider range may find more.\n");
  } else if (f.svg.empty()) {
    tell_parts(context, map);
  }
  return 0;
}

}  // namespace

Run add_map(Arguments command, Context& context) {
  auto f = std::make_shared<MapFlags>();
  command.add_option("QUERY", f->query, "Only these sounds, as in 'samplemind search'");
  command.add_option("--svg", f->svg, "Draw it into this file").type_name("FILE");
  command.add_flag("--refit", f->refit,
                   "Lay it out anew by the sounds that are there now; every place changes");
  command.add_flag("--json", f->json, "One object: ids with their places and kinds, and the parts");
  return [f, &context] { return run_map(context, *f); };
}

}  // namespace samplemind::cli
