// library_scan [FILES]: writes FILES (10,000) one-shots into a temporary folder and prints how many
// files a second a first scan measures and stores, and how many a rescan with nothing changed looks
// at; then how long searches take. One line of JSON, so that runs can be compared.
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "library/demo_pack.h"
#include "library/scanner.h"

namespace {

using namespace samplemind;
using namespace samplemind::library;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A 16-bit mono WAV of the sound; `number` goes into its last sample, so that no two are the same.
void write_wav(const fs::path& path, const std::vector<float>& sound, int number) {
  std::string out;
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  };
  const auto bytes = static_cast<uint32_t>(sound.size() * 2);
  out += "RIFF";
  put(36 + bytes, 4);
  out += "WAVEfmt ";
  put(16, 4);
  put(1 | 1u << 16, 4);
  put(44100, 4);
  put(88200, 4);
  put(2 | 16u << 16, 4);
  out += "data";
  put(bytes, 4);
  const float level = 0.5f + 0.0499f * static_cast<float>(number % 10);
  for (const float s : sound)
    put(static_cast<uint16_t>(static_cast<int16_t>(s * level * 32767)), 2);
  out.back() = static_cast<char>(number >> 8 & 0x03);
  out[out.size() - 2] = static_cast<char>(number);
  std::ofstream(path, std::ios::binary) << out;
}

double percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(p * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int files = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10000;
  std::string name = (fs::temp_directory_path() / "library-scan-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return 1;
  const fs::path root = name;
  std::vector<std::vector<float>> hits;
  for (const DemoSound& s : demo_pack_contents()) {
    if (s.content != "oneshot") continue;
    hits.push_back(render_demo_sound(s));
    // One-shots as packs have them: half a second at most.
    hits.back().resize(std::min<size_t>(hits.back().size(), 22050));
  }
  static constexpr const char* kWords[] = {"Kick", "Snare", "Hat", "Clap", "Bass", "Deep", "Dusty"};
  double audio_s = 0;
  for (int i = 0; i < files; ++i) {
    const fs::path folder = root / "sounds" / ("Kit " + std::to_string(i / 200));
    if (i % 200 == 0) fs::create_directories(folder);
    const auto& hit = hits[static_cast<size_t>(i) % hits.size()];
    audio_s += static_cast<double>(hit.size()) / 44100;
    write_wav(
        folder / (std::string(kWords[i % 7]) + "_" + kWords[i % 5] + std::to_string(i) + ".wav"),
        hit, i);
  }
  auto opened = Catalogue::open(root / "home", Catalogue::Access::kWrite);
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().message().c_str());
    return 1;
  }
  Catalogue& catalogue = **opened;
  ScanOptions options;
  options.paths = {root / "sounds"};
  auto start = Clock::now();
  const auto first = scan(catalogue, options);
  const double scan_s = seconds_since(start);
  double rescan_s = 1e9;
  bool right = first.ok() && first->measured == files;
  for (int round = 0; round < 5; ++round) {
    start = Clock::now();
    const auto again = scan(catalogue, options);
    rescan_s = std::min(rescan_s, seconds_since(start));
    right = right && again.ok() && again->unchanged == files;
  }
  std::vector<double> search_ms;
  for (int i = 0; i < 200; ++i) {
    SearchQuery q;
    q.text = std::string(kWords[i % 7]).substr(0, 3) + " " + std::to_string(i % 9);
    start = Clock::now();
    right = catalogue.search(q).ok() && right;
    search_ms.push_back(seconds_since(start) * 1e3);
  }
  right = right && catalogue.check().ok();
  std::printf(
      "{\"bench\":\"library_scan\",\"files\":%d,\"audio_s\":%.0f,\"cores\":%u,"
      "\"scan_files_per_s\":%.0f,\"scan_times_real_time\":%.0f,\"rescan_files_per_s\":%.0f,"
      "\"search_ms_median\":%.2f,\"search_ms_p99\":%.2f,\"right\":%s}\n",
      files, audio_s, std::thread::hardware_concurrency(), files / scan_s, audio_s / scan_s,
      files / rescan_s, percentile(search_ms, 0.5), percentile(search_ms, 0.99),
      right ? "true" : "false");
  std::error_code ignored;
  fs::remove_all(root, ignored);
  return right ? 0 : 1;
}
