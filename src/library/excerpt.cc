#include "library/excerpt.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "audio/decode/decoder.h"
#include "base/files.h"

namespace samplemind::library {

namespace {

constexpr double kStretchMax_s = 600;
constexpr size_t kBlockFrames = 4096;

void put(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

// A WAV of 32-bit floats.
std::string wav(const audio::StreamInfo& info, const std::vector<float>& samples) {
  const auto bytes = static_cast<uint32_t>(samples.size() * sizeof(float));
  const auto frame = static_cast<uint32_t>(info.channels) * 4;
  std::string out = "RIFF";
  put(out, 36 + bytes, 4);
  out += "WAVEfmt ";
  put(out, 16, 4);
  put(out, 3, 2);
  put(out, static_cast<uint32_t>(info.channels), 2);
  put(out, static_cast<uint32_t>(info.sample_rate_hz), 4);
  put(out, static_cast<uint32_t>(info.sample_rate_hz) * frame, 4);
  put(out, frame, 2);
  put(out, 32, 2);
  out += "data";
  put(out, bytes, 4);
  out.append(reinterpret_cast<const char*>(samples.data()), bytes);
  return out;
}

struct TemporaryFile {
  ~TemporaryFile() {
    std::error_code ignored;
    if (!path.empty()) fs::remove(path, ignored);
  }
  fs::path path;
};

}  // namespace

Result<audio::Analysis> analyze_stretch(const fs::path& path, double from_s, double to_s) {
  if (!std::isfinite(from_s) || !std::isfinite(to_s) || from_s < 0 || (to_s > 0 && to_s <= from_s))
    return Error(ErrorCode::kInvalidArgument, "the stretch must begin before it ends",
                 "--from 1.2 --to 2.0 (seconds)");
  SM_TRY(const auto decoder, audio::Decoder::open(path));
  const audio::StreamInfo& info = decoder->info();
  const auto channels = static_cast<size_t>(info.channels);
  const auto begin = static_cast<uint64_t>(from_s * info.sample_rate_hz);
  const double length_s = to_s > 0 ? std::min(to_s - from_s, kStretchMax_s) : kStretchMax_s;
  const uint64_t end = begin + static_cast<uint64_t>(length_s * info.sample_rate_hz);
  std::vector<float> kept;
  std::vector<float> block(kBlockFrames * channels);
  for (uint64_t at = 0; at < end;) {
    SM_TRY(const size_t frames, decoder->read(block));
    if (frames == 0) break;
    const uint64_t first = std::max(at, begin);
    const uint64_t last = std::min<uint64_t>(at + frames, end);
    if (first < last)
      kept.insert(kept.end(), block.begin() + static_cast<std::ptrdiff_t>((first - at) * channels),
                  block.begin() + static_cast<std::ptrdiff_t>((last - at) * channels));
    at += frames;
  }
  if (kept.empty())
    return Error(ErrorCode::kInvalidArgument,
                 path.string() + ": the sound ends before the stretch begins");
  TemporaryFile file;
  std::string name = (fs::temp_directory_path() / "samplemind-stretch-XXXXXX.wav").string();
  const int fd = ::mkstemps(name.data(), 4);
  if (fd < 0) return errno_error(errno, "make a temporary file");
  ::close(fd);
  file.path = name;
  SM_CHECK_OK(write_file_atomic(file.path, wav(info, kept)));
  return audio::Analyzer().analyze(file.path);
}

}  // namespace samplemind::library
