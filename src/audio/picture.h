// Pictures of a sound: waveform, spectrograms, chromagram, tempogram, onsets and beats, one above
// the other on one time axis, as PNG or SVG. One call reads the file twice (once to measure it),
// uses one thread and memory that does not depend on the sound's length.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::audio {

enum class Panel { kWaveform, kMel, kLog, kChroma, kTempogram, kBeats };

struct PictureOptions {
  std::vector<Panel> panels;  // from above; empty: all of them
  int width_px = 1400;        // 400..4000
  const std::atomic<bool>* cancel = nullptr;
};

enum class PictureFormat { kPng, kSvg };

std::string_view name(Panel panel);               // "waveform", "mel", "log", "chroma", ...
Result<Panel> panel_from(std::string_view name);  // an unknown name is kInvalidArgument

// The file's bytes. Errors as Analyzer::analyze's, and kInvalidArgument for options out of range.
Result<std::string> draw_picture(const std::filesystem::path& sound, PictureFormat format,
                                 const PictureOptions& options = {});

}  // namespace samplemind::audio
