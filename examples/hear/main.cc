// hear FILE...: what SampleMind's ear says about sounds, and how alike the first two are.
#include <cstdio>

#include "audio/analyzer.h"
#include "audio/feature/descriptor.h"

int main(int argc, char** argv) {
  using namespace samplemind;
  const audio::Analyzer analyzer;  // immutable: one is enough for any number of threads
  audio::AnalysisOptions options;
  options.level = audio::Level::kStandard;
  std::vector<std::string> descriptors;
  for (int i = 1; i < argc; ++i) {
    const Result<audio::Analysis> heard = analyzer.analyze(argv[i], options);
    if (!heard.ok()) {
      std::fprintf(stderr, "%s\n", heard.error().message().c_str());
      return 1;
    }
    std::printf("%s: %.2f s, %s", argv[i], heard->duration_s,
                heard->content.value_or("silence").c_str());
    if (heard->kind)
      std::printf(", %s (%.0f %%)", heard->kind->c_str(), *heard->kind_confidence * 100);
    if (heard->tempo_bpm) std::printf(", %.1f bpm", *heard->tempo_bpm);
    if (heard->key) std::printf(", %s", heard->key->c_str());
    if (heard->loudness_lufs) std::printf(", %.1f LUFS", *heard->loudness_lufs);
    std::printf("\n");
    descriptors.push_back(heard->descriptor);
  }
  if (descriptors.size() >= 2) {
    if (const auto distance = audio::distance(descriptors[0], descriptors[1]))
      std::printf("distance %.2f, likeness %.0f %%\n", *distance,
                  audio::similarity(*distance) * 100);
  }
  return 0;
}
