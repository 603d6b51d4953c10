// Fuzz targets of the library; see net_targets.h.
#pragma once

#include <string_view>

namespace samplemind::fuzz {

void query(std::string_view input);       // the query language: bounded terms, or where it is wrong
void sound_name(std::string_view input);  // what a path says: bounded words, facts within range

}  // namespace samplemind::fuzz
