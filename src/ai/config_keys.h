// The AI layer's configuration keys.
#pragma once

#include <vector>

#include "base/config.h"

namespace samplemind::ai {

std::vector<ConfigKey> config_keys();

}  // namespace samplemind::ai
