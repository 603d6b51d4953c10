// OpenAI's responses that are there as JSON already, told again: an upstream's to the client that
// asked, under ids of ours, and a kept one as a stream. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ai/dialect/responses.h"
#include "base/result.h"

namespace samplemind::ai {

// The request for an upstream that speaks responses: the client's bytes with the model's name, less
// the ids of items (they are ours) and the reasoning that OpenAI did not sign. kInvalidArgument
// when it asks for what is not served here: a response in the background.
Result<std::string> rewrite_responses_request(std::string_view body, std::string_view model);

// An upstream's response with the ids of `echo` and what it repeats of its own request; nothing
// else is changed. REQUIRES: `response` is a JSON object.
std::string retold_response(std::string_view response, const ResponseEcho& echo);
// The same of one event's data.
std::string retold_event(std::string_view data, const ResponseEcho& echo);

// A kept response as the stream that told it, less the events up to `after`. Each text is one
// piece. kInternal when it is no response.
Result<std::string> stream_of_response(std::string_view response, int64_t after = -1);

}  // namespace samplemind::ai
