#include "server/openapi.h"

#include <map>
#include <vector>

#include "base/json.h"
#include "openapi_schemas.h"

namespace samplemind::server {

namespace {

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string_view> split(std::string_view text, char mark) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t at = std::min(text.find(mark), text.size());
    parts.push_back(text.substr(0, at));
    text.remove_prefix(std::min(at + 1, text.size()));
  }
  return parts;
}

void write_parameters(JsonWriter& w, const RouteDoc& r) {
  w.key("parameters").begin_array();
  for (size_t open = r.path.find('{'); open != std::string_view::npos;
       open = r.path.find('{', open + 1)) {
    const std::string_view name = r.path.substr(open + 1, r.path.find('}', open) - open - 1);
    w.begin_object()
        .field("name", name)
        .field("in", "path")
        .field("required", true)
        .key("schema")
        .begin_object()
        .field("type", "string")
        .end_object()
        .end_object();
  }
  for (const std::string_view parameter : split(r.query, ';')) {
    const auto parts = split(parameter, ':');
    if (parts.size() < 3) continue;
    w.begin_object().field("name", parts[0]).field("in", "query").field("description", parts[2]);
    w.key("schema").begin_object().field("type", parts[1]).end_object().end_object();
  }
  w.end_array();
}

// {"content":{TYPE:{"schema":{"$ref":...}}}}'s members, within an object the caller opened.
void write_content(JsonWriter& w, std::string_view type, std::string_view schema) {
  w.key("content").begin_object().key(type).begin_object();
  if (!schema.empty()) {
    w.key("schema")
        .begin_object()
        .field("$ref", "#/components/schemas/" + std::string(schema))
        .end_object();
  }
  w.end_object().end_object();
}

// "GET", "/api/v1/samples/{id}/audio" -> "get_api_v1_samples_id_audio": unique as the routes are.
std::string operation_id(const RouteDoc& r) {
  std::string id = lower(r.method);
  for (const char c : r.path) {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      id += c;
    } else if (c != '}' && id.back() != '_') {
      id += '_';
    }
  }
  if (id.back() == '_') id.pop_back();
  return id;
}

void write_operation(JsonWriter& w, const RouteDoc& r) {
  const bool openai = r.path.starts_with("/v1/");
  w.begin_object().field("operationId", operation_id(r)).field("summary", r.summary);
  w.key("tags").begin_array().value(r.tag).end_array();
  write_parameters(w, r);
  if (!r.body.empty()) {
    w.key("requestBody").begin_object().field("required", true);
    write_content(w, "application/json", r.body);
    w.end_object();
  }
  w.key("responses").begin_object();
  w.key("200").begin_object().field("description", "Done");
  write_content(w, r.answer, r.schema);
  w.end_object();
  if (r.answer == "audio/*") {
    w.key("206").begin_object().field("description", "The part that was asked for");
    write_content(w, r.answer, {});
    w.end_object();
    w.key("416").begin_object().field("description", "A range beyond the end").end_object();
  }
  w.key("default").begin_object().field("description", "A problem");
  write_content(w, openai ? "application/json" : "application/problem+json",
                openai ? "OpenAiError" : "Problem");
  w.end_object().end_object().end_object();
}

}  // namespace

std::string write_openapi(std::span<const RouteDoc> routes, std::string_view version) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("openapi", "3.1.0");
  w.key("info").begin_object().field("title", "SampleMind").field("version", version);
  w.field("description",
          "A local-first AI engine for music producers: hears, finds and coaches. Below /v1 it "
          "speaks OpenAI's API.");
  w.key("license")
      .begin_object()
      .field("name", "Apache-2.0")
      .field("identifier", "Apache-2.0")
      .end_object()
      .end_object();
  w.key("security")
      .begin_array()
      .begin_object()
      .end_object()
      .begin_object()
      .key("key")
      .begin_array()
      .end_array()
      .end_object()
      .end_array();
  w.key("paths").begin_object();
  std::map<std::string_view, std::vector<const RouteDoc*>> paths;
  for (const RouteDoc& r : routes) paths[r.path].push_back(&r);
  for (const auto& [path, methods] : paths) {
    w.key(path).begin_object();
    for (const RouteDoc* r : methods) {
      w.key(lower(r->method));
      write_operation(w, *r);
    }
    w.end_object();
  }
  w.end_object();
  w.key("components").begin_object().key("schemas").raw(embedded::kSchemas);
  w.key("securitySchemes")
      .begin_object()
      .key("key")
      .begin_object()
      .field("type", "http")
      .field("scheme", "bearer")
      .end_object()
      .end_object()
      .end_object();
  w.end_object();
  return out;
}

}  // namespace samplemind::server
