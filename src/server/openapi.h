// The API's description for tools: OpenAPI 3.1, made from the router's own table so that the two
// cannot differ.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace samplemind::server {

struct RouteDoc {
  std::string_view method;  // "GET"
  std::string_view path;    // "/api/v1/samples/{id}"
  std::string_view tag;
  std::string_view summary;
  std::string_view query;   // "name:type:description;..." of query parameters
  std::string_view body;    // the request's schema by its name in schemas.json, or empty
  std::string_view answer;  // media type of the answer
  std::string_view schema;  // of the answer, by name; empty when it is no JSON
};

std::string write_openapi(std::span<const RouteDoc> routes, std::string_view version);

}  // namespace samplemind::server
