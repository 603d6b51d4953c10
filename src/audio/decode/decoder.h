// Sound files as blocks of samples. A Decoder belongs to one thread.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace samplemind::audio {

struct StreamInfo {
  std::string format;            // "wav", "aiff", "flac", "ogg", "opus", "mp3", "m4a"
  int sample_rate_hz = 0;        // 1..768000
  int channels = 0;              // 1..64
  std::optional<int> bit_depth;  // of linear PCM
  int64_t frames_promised =
      -1;  // by the header; -1: unknown. What read() gives may be less (a cut file)
};

class Decoder {
 public:
  // Opens by content, not by name. m4a and aac go through the separate program samplemind-decode.
  // Errors as in Analyzer::analyze.
  static Result<std::unique_ptr<Decoder>> open(const std::filesystem::path& path);
  virtual ~Decoder() = default;
  virtual const StreamInfo& info() const = 0;
  // Fills `interleaved` (whole frames, channels * n floats, full scale +-1) and gives the number of
  // frames; 0 at the end. Samples that are no numbers come as 0. kDataLoss when the decoder fails
  // in the middle.
  virtual Result<size_t> read(std::span<float> interleaved) = 0;
};

}  // namespace samplemind::audio
