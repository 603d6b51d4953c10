#include "audio/analyzer.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "audio/decode/decoder.h"
#include "audio/measurement.h"
#include "base/hash.h"

namespace samplemind::audio {

namespace {

std::string seconds(double s) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", s);
  return text;
}

}  // namespace

Result<Analysis> Analyzer::analyze(const std::filesystem::path& path,
                                   const AnalysisOptions& options) const {
  SM_TRY(const std::unique_ptr<Decoder> decoder, Decoder::open(path));
  const StreamInfo& info = decoder->info();
  const Parts parts = options.only.empty() ? Parts::of(options.level) : options.only;
  Measurement measurement(info, parts);
  // A short sound needs no long block: clearing that would take longer than reading the sound.
  const size_t block_frames =
      info.frames_promised > 0
          ? std::clamp<size_t>(static_cast<size_t>(info.frames_promised), 1024, kBlockFrames)
          : kBlockFrames;
  std::vector<float> block(block_frames * static_cast<size_t>(info.channels));
  for (;;) {
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
      return Error(ErrorCode::kCancelled, path.string() + ": cancelled");
    }
    SM_TRY(const size_t frames, decoder->read(block));
    if (frames == 0) break;
    measurement.feed(block, frames);
    if (static_cast<double>(measurement.frames()) > options.duration_max_s * info.sample_rate_hz) {
      return Error(ErrorCode::kTooLarge,
                   path.string() + ": longer than " + seconds(options.duration_max_s));
    }
  }
  if (measurement.frames() == 0) {
    return Error(ErrorCode::kDataLoss,
                 path.string() + ": holds no sound (the header is there, the samples are not)");
  }
  const StreamInfo final_info = decoder->info();
  Analysis analysis = measurement.finish();
  if (options.only.empty()) analysis.metadata = read_metadata(path);
  if (parts.has(Part::kDigests)) {
    if (options.file_blake3) {
      analysis.file_blake3 = options.file_blake3;
    } else {
      SM_TRY(const Digest digest, blake3_file(path));
      analysis.file_blake3 = digest.hex();
    }
  }
  const double promised_s =
      static_cast<double>(final_info.frames_promised) / final_info.sample_rate_hz;
  if (final_info.frames_promised > 0 && promised_s > analysis.duration_s * 1.02 + 0.1) {
    analysis.warnings.push_back("the header promises " + seconds(promised_s) + ", the file holds " +
                                seconds(analysis.duration_s) + ": it may be cut or damaged");
  }
  return analysis;
}

}  // namespace samplemind::audio
