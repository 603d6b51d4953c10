// The shapes of answers: JSON, RFC 9457 problem details, OpenAI's errors, NDJSON streams.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ai/request.h"
#include "base/error.h"
#include "net/server.h"

namespace samplemind::server {

// {"type":"about:blank","title":...,"status":...,"detail":...,"hint":...,"code":...}
std::string problem_json(int status, std::string_view title, std::string_view detail,
                         std::string_view hint = {}, std::string_view code = {});
std::string problem_json(const Error& error);

// The dialect whose clients use the path; nothing for our own API.
std::optional<ai::Dialect> dialect_of_path(std::string_view path);

// What the server itself refuses (a body over the limit), in the form that fits the path.
std::string refusal_body(const net::RequestHead& request, std::string_view detail,
                         net::ResponseHead& answer);

net::Task<void> respond_json(net::Exchange& exchange, std::string json, int status = 200);
net::Task<void> respond_problem(net::Exchange& exchange, Error error);
// `allow`: the value of an Allow header. In the form that fits the path: the dialect's whose
// clients use it, problem details elsewhere.
net::Task<void> respond_refusal(net::Exchange& exchange, int status, std::string title,
                                std::string detail, std::string allow = {});

}  // namespace samplemind::server
