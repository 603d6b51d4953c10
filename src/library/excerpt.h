// A stretch of a sound file, measured on its own.
#pragma once

#include <atomic>
#include <filesystem>

#include "audio/analyzer.h"
#include "base/result.h"

namespace samplemind::library {

// Measures `from_s` to `to_s` of the file (to_s <= 0: to its end), at most 10 minutes. The file is
// decoded once; the stretch lies in a temporary file meanwhile. Errors as Analyzer::analyze, and
// kInvalidArgument when the stretch is outside the sound.
Result<audio::Analysis> analyze_stretch(const std::filesystem::path& path, double from_s,
                                        double to_s);

}  // namespace samplemind::library
