// The fuzz targets of net, as plain functions: libFuzzer calls them through entry.cc, and a unit
// test runs them over the corpus and over changed copies of it, so that they cannot rot. Each
// checks properties and ends the process when one fails.
#pragma once

#include <string_view>

namespace samplemind::fuzz {

void http_request(std::string_view input);  // a head and a chunked body, whole and split
void http_response(
    std::string_view input);  // the same as an answer; its first byte chooses the request's method
void sse(std::string_view input);  // against a plain reader of the standard's text, whole and split
void ndjson(std::string_view input);        // whole and split
void resp(std::string_view input);          // Redis' replies, whole and split
void url(std::string_view input);           // parse, print, parse again; percent and query decoding
void http2_server(std::string_view input);  // what a client says after its preface
void http2_client(std::string_view input);  // what a server says to three requests

}  // namespace samplemind::fuzz
