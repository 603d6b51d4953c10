// The fuzz target of the ear, as a plain function (see net_targets.h).
#pragma once

#include <string_view>

namespace samplemind::fuzz {

// A file's bytes through decoding and every feature: the answer is an error with a message, or an
// analysis whose JSON parses. Files for the separate decoder (m4a, aac) are left out: it is a
// process of its own.
void sound(std::string_view input);

}  // namespace samplemind::fuzz
