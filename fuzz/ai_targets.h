// The fuzz targets of ai's dialects, as plain functions: see net_targets.h. The first byte chooses
// the dialect; what follows is a body, an answer, or one event a line.
#pragma once

#include <string_view>

namespace samplemind::fuzz {

// Read, written for every target, read again: what was written is JSON that its own reader takes.
void dialect_request(std::string_view input);
// A whole answer of an upstream, written for every client.
void dialect_answer(std::string_view input);
// A stream of an upstream, written for every client as it comes.
void dialect_stream(std::string_view input);
void dialect_embed(std::string_view input);
// The text of a request as the guardrails see it: JSON stays the same JSON. No byte chooses here.
void guard_text(std::string_view input);

}  // namespace samplemind::fuzz
