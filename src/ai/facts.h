// What routing and money look at in a request: sizes, what it holds, what it needs. Pure.
#pragma once

#include "ai/request.h"
#include "ai/router.h"

namespace samplemind::ai {

// Tokens are estimated from bytes: about four a token for plain text, three for others; a picture
// counts 1,100, a second of sound 32. Estimates err on the high side, so that what is set aside for
// a call covers it.
RequestFacts facts_of(const ChatRequest& request);

// Of an answer whose provider did not say: the same rule.
int64_t estimate_tokens(std::string_view text);

}  // namespace samplemind::ai
