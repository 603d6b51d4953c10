// Turns sound into what the rhythm and key models are given, for their training: the same code, and
// so the same numbers, as the engine's.
//
//   rhythm_dump [--key|--content] < sounds > values
//
// Little-endian. In: for each sound a uint32 count and that many float32 mono samples at 22,050 Hz.
// Out: for each sound a uint32 count of frames and kRhythmInputs float32 values a frame; with --key
// the values of KeyFeatures, with --content a uint32 count and those of content_features.
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <vector>

#include "audio/feature/content.h"
#include "audio/feature/key.h"
#include "audio/feature/rhythm.h"
#include "audio/feature/rhythm_bands.h"

int main(int argc, char** argv) {
  using namespace samplemind::audio;
  const bool key = argc > 1 && std::string_view(argv[1]) == "--key";
  const bool content = argc > 1 && std::string_view(argv[1]) == "--content";
  uint32_t count = 0;
  while (std::fread(&count, sizeof count, 1, stdin) == 1) {
    std::vector<float> samples(count);
    if (std::fread(samples.data(), sizeof(float), count, stdin) != count) return 1;
    FrameEngine engine(kRhythmBandsRate);
    if (key) {
      KeyProfile profile;
      engine.subscribe(KeyProfile::kSpec, profile);
      engine.feed(samples);
      engine.finish();
      const KeyFeatures values = profile.features();
      std::fwrite(values.data(), sizeof(float), values.size(), stdout);
      std::fflush(stdout);
      continue;
    }
    if (content) {
      OnsetStrength strength;
      engine.subscribe(OnsetStrength::kSpec, strength);
      engine.feed(samples);
      engine.finish();
      const auto values =
          content_features(strength.full(), strength.energy(), pick_onsets(strength),
                           static_cast<double>(count) / kRhythmRateHz);
      const auto size = static_cast<uint32_t>(values.size());
      std::fwrite(&size, sizeof size, 1, stdout);
      std::fwrite(values.data(), sizeof(float), values.size(), stdout);
      std::fflush(stdout);
      continue;
    }
    RhythmBands bands;
    bands.subscribe(engine);
    engine.feed(samples);
    engine.finish();
    bands.finish();
    std::vector<float> values;
    const auto frames = static_cast<uint32_t>(bands.ready());
    bands.take(frames, values);
    std::fwrite(&frames, sizeof frames, 1, stdout);
    std::fwrite(values.data(), sizeof(float), values.size(), stdout);
    std::fflush(stdout);
  }
  return 0;
}
