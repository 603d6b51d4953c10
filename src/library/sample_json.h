// A sample of the library as JSON: id, path, name, folder, state, error, added, then the fields of
// audio/analysis_json.h.
#pragma once

#include "base/json.h"
#include "library/catalogue.h"

namespace samplemind::library {

void write_json(JsonWriter& writer, const Sample& sample);

}  // namespace samplemind::library
