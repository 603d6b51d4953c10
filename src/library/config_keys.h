// The configuration keys of the library.
#pragma once

#include <vector>

#include "base/config.h"

namespace samplemind::library {

// library.store (Catalogue::open), library.scan_threads (ScanOptions::threads), library.demo_pack.
std::vector<ConfigKey> config_keys();

}  // namespace samplemind::library
