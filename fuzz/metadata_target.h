// The fuzz target of metadata; see net_targets.h.
#pragma once

#include <string_view>

namespace samplemind::fuzz {

void metadata(std::string_view input);  // tags and chunks: bounded, valid UTF-8, finite

}  // namespace samplemind::fuzz
