// The parameters of a search as they stand in a request's target, for all routes that search.
#pragma once

#include <string_view>

#include "library/query.h"

namespace samplemind::server {

// For the API's description (server/openapi.h).
inline constexpr std::string_view kSearchParameters =
    "q:string:the query language: words, -word, bpm:120-128, ~key:8A, is:favourite, "
    "sort:-added;bpm:string:120, 120-128, <100;key:string:Am, F# minor, "
    "8A;length:string:<2s, 500ms-2s;kind:string:kick, snare, ...;"
    "content:string:oneshot, loop or music;folder:string:beginning of the path;state:string:ok or "
    "broken;sort:string:name, -tempo, ...;limit:integer:1 to 1000;offset:integer:0 and up";

// Errors (kInvalidArgument) name the parameter and what is wrong with it.
Result<library::SearchQuery> read_search_query(std::string_view text);

}  // namespace samplemind::server
