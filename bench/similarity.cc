// How well the similarity descriptor agrees with labels, beside mean MFCC (what a few lines of a
// feature library give), on a labelled corpus of one-shots:
//
//   similarity LABELS.jsonl    lines with "file" (absolute, or relative to the file's folder),
//                              "kind", "content": "oneshot", "group" (kit, instrument)
//
// - precision at 10: of a sound's ten nearest of other groups, how many are of its kind;
// - copies: a copy 20 dB quieter, of 8 bit, as Ogg, with its second half cut, with half a second
//   of silence before: is the original the nearest of all sounds, and among the nearest three.
// Distances of MFCC are Euclidean, with the first coefficient (level) and without.
#include <sndfile.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "audio/analyzer.h"
#include "audio/decode/decoder.h"
#include "audio/feature/descriptor.h"
#include "base/json.h"

namespace {

using namespace samplemind;
namespace fs = std::filesystem;

struct Sound {
  fs::path file;
  std::string kind, group;
};
struct Heard {
  std::string descriptor;
  std::vector<double> mfcc;
};

Heard hear(const fs::path& file) {
  audio::AnalysisOptions options;
  options.only = {audio::Part::kDescriptor, audio::Part::kTimbre};
  Heard out;
  const auto a = audio::Analyzer().analyze(file, options);
  if (!a.ok()) return out;
  out.descriptor = a->descriptor;
  if (a->timbre) out.mfcc.assign(a->timbre->mfcc_mean.begin(), a->timbre->mfcc_mean.end());
  return out;
}

using Distance = std::function<double(const Heard&, const Heard&)>;

double mfcc_distance(const Heard& a, const Heard& b, size_t first) {
  double sum = 0;
  for (size_t i = first; i < a.mfcc.size() && i < b.mfcc.size(); ++i)
    sum += (a.mfcc[i] - b.mfcc[i]) * (a.mfcc[i] - b.mfcc[i]);
  return std::sqrt(sum);
}

std::vector<std::pair<std::string, Distance>> measures() {
  const auto weighted = [](audio::AspectWeights w) {
    return [w](const Heard& a, const Heard& b) {
      return static_cast<double>(audio::distance(a.descriptor, b.descriptor, w).value_or(1e9f));
    };
  };
  return {
      {"descriptor", weighted({})},
      {"  timbre alone", weighted({1, 0, 0, 0})},
      {"  envelope alone", weighted({0, 0, 0, 1})},
      {"  pitch alone", weighted({0, 1, 0, 0})},
      {"mean MFCC 1-12", [](const Heard& a, const Heard& b) { return mfcc_distance(a, b, 1); }},
      {"mean MFCC 0-12", [](const Heard& a, const Heard& b) { return mfcc_distance(a, b, 0); }}};
}

struct Wave {
  std::vector<float> samples;  // interleaved
  int channels = 1, rate = 44100;
};

Wave read(const fs::path& file) {
  Wave w;
  auto decoder = audio::Decoder::open(file);
  if (!decoder.ok()) return w;
  w.channels = (*decoder)->info().channels;
  w.rate = (*decoder)->info().sample_rate_hz;
  std::vector<float> block(16384 * static_cast<size_t>(w.channels));
  for (;;) {
    const auto n = (*decoder)->read(block);
    if (!n.ok() || *n == 0) break;
    w.samples.insert(w.samples.end(), block.begin(),
                     block.begin() + static_cast<ptrdiff_t>(*n * static_cast<size_t>(w.channels)));
  }
  return w;
}

void write(const fs::path& file, const Wave& w, int format) {
  SF_INFO info{};
  info.channels = w.channels;
  info.samplerate = w.rate;
  info.format = format;
  SNDFILE* f = sf_open(file.c_str(), SFM_WRITE, &info);
  if (f == nullptr) return;
  // Vorbis' encoder has a deep stack for long writes: in pieces.
  const size_t step = 4096 * static_cast<size_t>(w.channels);
  for (size_t at = 0; at < w.samples.size(); at += step)
    sf_write_float(f, w.samples.data() + at,
                   static_cast<sf_count_t>(std::min(step, w.samples.size() - at)));
  sf_close(f);
}

const std::vector<std::string> kCopies{"20 dB quieter", "8 bit", "Ogg", "second half cut",
                                       "0.5 s of silence before"};

Heard hear_copy(const Wave& original, size_t which, const fs::path& folder) {
  Wave w = original;
  int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  const auto channels = static_cast<size_t>(w.channels);
  if (which == 0)
    for (float& s : w.samples) s *= 0.1f;
  if (which == 1) format = SF_FORMAT_WAV | SF_FORMAT_PCM_U8;
  if (which == 2) format = SF_FORMAT_OGG | SF_FORMAT_VORBIS;
  if (which == 3) w.samples.resize(w.samples.size() / channels / 2 * channels);
  if (which == 4)
    w.samples.insert(w.samples.begin(), static_cast<size_t>(w.rate / 2) * channels, 0.0f);
  const fs::path file = folder / "copy";
  write(file, w, format);
  return hear(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: similarity LABELS.jsonl\n");
    return 2;
  }
  const fs::path labels = argv[1];
  std::vector<Sound> sounds;
  std::vector<Heard> heard;
  std::ifstream in(labels);
  for (std::string line; std::getline(in, line);) {
    const auto row = JsonValue::parse(line);
    if (!row.ok() || (*row)["content"].string_or("") != "oneshot" || !(*row)["kind"].is_string())
      continue;
    const Sound s{labels.parent_path() / (*row)["file"].string_or(""), (*row)["kind"].string_or(""),
                  (*row)["group"].string_or("")};
    Heard h = hear(s.file);
    if (h.descriptor.empty() || h.mfcc.empty()) continue;
    sounds.push_back(s);
    heard.push_back(std::move(h));
  }
  std::printf("%zu sounds\n\n%-16s %s\n", sounds.size(), "", "precision at 10, other groups only");
  for (const auto& [name, distance] : measures()) {
    double sum = 0;
    size_t queries = 0;
    for (size_t q = 0; q < sounds.size(); ++q) {
      std::vector<std::pair<double, size_t>> near;
      size_t relevant = 0;
      for (size_t i = 0; i < sounds.size(); ++i) {
        if (sounds[i].group == sounds[q].group) continue;
        relevant += sounds[i].kind == sounds[q].kind ? 1 : 0;
        near.emplace_back(distance(heard[q], heard[i]), i);
      }
      if (relevant == 0) continue;
      const size_t n = std::min<size_t>(10, relevant);
      std::partial_sort(near.begin(), near.begin() + static_cast<ptrdiff_t>(n), near.end());
      size_t right = 0;
      for (size_t i = 0; i < n; ++i) right += sounds[near[i].second].kind == sounds[q].kind ? 1 : 0;
      sum += static_cast<double>(right) / static_cast<double>(n);
      ++queries;
    }
    std::printf("%-16s %.1f %%  (n = %zu)\n", name.c_str(),
                100 * sum / static_cast<double>(queries), queries);
  }
  std::string folder = (fs::temp_directory_path() / "similarity.XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  for (size_t which = 0; which < kCopies.size(); ++which) {
    std::vector<Heard> copies;
    for (const Sound& s : sounds) copies.push_back(hear_copy(read(s.file), which, folder));
    std::printf("\n%s: the original is nearest / among three\n", kCopies[which].c_str());
    for (const auto& [name, distance] : measures()) {
      size_t first = 0, three = 0, n = 0;
      for (size_t q = 0; q < sounds.size(); ++q) {
        if (copies[q].descriptor.empty()) continue;
        ++n;
        const double own = distance(copies[q], heard[q]);
        size_t nearer = 0;
        for (size_t i = 0; i < sounds.size(); ++i)
          nearer += i != q && distance(copies[q], heard[i]) < own ? 1 : 0;
        first += nearer == 0 ? 1 : 0;
        three += nearer < 3 ? 1 : 0;
      }
      std::printf("%-16s %.1f / %.1f %%  (n = %zu)\n", name.c_str(),
                  100.0 * static_cast<double>(first) / static_cast<double>(n),
                  100.0 * static_cast<double>(three) / static_cast<double>(n), n);
    }
  }
  fs::remove_all(folder);
  // What a scale of 1 should be: the median distance of two sounds, by aspect.
  std::printf("\nmedian distance of pairs, by aspect:");
  for (size_t k = 0; k < audio::kAspectCount; ++k) {
    std::vector<double> all;
    for (size_t i = 0; i < sounds.size(); ++i)
      for (size_t j = 0; j < i; ++j) {
        const auto d = audio::aspect_distances(heard[i].descriptor, heard[j].descriptor);
        const float parts[] = {d->timbre, d->pitch, d->rhythm, d->envelope};
        all.push_back(parts[k]);
      }
    std::nth_element(all.begin(), all.begin() + static_cast<ptrdiff_t>(all.size() / 2), all.end());
    std::printf(" %s %.2f", std::string(audio::kAspectParts[k].name).c_str(), all[all.size() / 2]);
  }
  std::printf("\n");
  return 0;
}
