// Searching by words for a sound: POST /api/v1/library/sound.
#pragma once

#include "net/task.h"
#include "server/call.h"

namespace samplemind::server {

// "limit" of a body: a whole number from 1 to 1000.
Result<int> limit_from(const JsonValue& value, int fallback);

net::Task<void> post_sound(Call call);

}  // namespace samplemind::server
