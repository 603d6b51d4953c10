// An Analysis as JSON, with the field names of `samplemind analyze --json`. Absent values are null.
#pragma once

#include <string_view>

#include "audio/analyzer.h"
#include "base/json.h"

namespace samplemind::audio {

// One object {"path":...,"duration_s":...,...}.
void write_json(JsonWriter& writer, std::string_view path, const Analysis& analysis);
// The fields alone, inside an object that the caller opened. Times are rounded to 0.1 ms.
void write_json_fields(JsonWriter& writer, const Analysis& analysis);
// What the file says about itself, as an object; the field "metadata" of an analysis.
void write_json(JsonWriter& writer, const Metadata& metadata);
Metadata metadata_from_json(const JsonValue& value);
// The inverse of write_json_fields, for values that were stored; missing fields stay absent.
Analysis analysis_from_json(const JsonValue& value);

}  // namespace samplemind::audio
