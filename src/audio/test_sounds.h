// Sounds with known answers, for the tests of this folder.
#pragma once

#include <sndfile.h>
#include <stdlib.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace samplemind::audio::test {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "audio_test.XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  fs::path path;
};

inline std::vector<float> sine(double hz, double seconds, double level = 0.5, int rate = 44100) {
  std::vector<float> out(static_cast<size_t>(seconds * rate));
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(
        level * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  return out;
}

// Clicks of 10 ms at every beat; every fourth one louder and lower.
inline std::vector<float> clicks(double bpm, double seconds, int rate = 44100) {
  std::vector<float> out(static_cast<size_t>(seconds * rate));
  const double period = 60.0 / bpm * rate;
  for (int beat = 0; beat * period < static_cast<double>(out.size()); ++beat) {
    const auto at = static_cast<size_t>(beat * period);
    const double hz = beat % 4 == 0 ? 800 : 1600;
    for (size_t i = 0; i < static_cast<size_t>(rate / 50) && at + i < out.size(); ++i) {
      out[at + i] +=
          static_cast<float>((beat % 4 == 0 ? 0.8 : 0.5) *
                             std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate) *
                             std::exp(-static_cast<double>(i) / (rate * 0.004)));
    }
  }
  return out;
}

inline void add(std::vector<float>& to, const std::vector<float>& part, double at_s,
                int rate = 44100) {
  const auto at = static_cast<size_t>(at_s * rate);
  for (size_t i = 0; i < part.size() && at + i < to.size(); ++i) to[at + i] += part[i];
}

inline fs::path write(const fs::path& file, const std::vector<float>& samples, int channels = 1,
                      int rate = 44100, int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) {
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* f = sf_open(file.c_str(), SFM_WRITE, &info);
  if (f == nullptr) throw std::runtime_error(sf_strerror(nullptr));
  sf_write_float(f, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(f);
  return file;
}

inline fs::path write_bytes(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

inline std::string read_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace samplemind::audio::test
