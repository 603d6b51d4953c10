// For this folder's tests: catalogues, temporary folders and small sound files.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/files.h"
#include "base/hash.h"
#include "library/catalogue.h"

namespace samplemind::library {

// Where a home's library is kept: in the home (empty), or in a database of its own of the MongoDB
// that SAMPLEMIND_TEST_STORE names, so that the same tests run over both stores
// (tests/integration/mongo_test.py).
inline std::string test_store(const fs::path& home) {
  const char* const server = std::getenv("SAMPLEMIND_TEST_STORE");
  if (server == nullptr) return {};
  return std::string(server) + "/t" + blake3(home.string()).hex().substr(0, 24);
}
inline Result<std::unique_ptr<Catalogue>> open_catalogue(const fs::path& home,
                                                         Catalogue::Access access) {
  return Catalogue::open(home, access, test_store(home));
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "sm-library-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// A 16-bit mono WAV at 44,100 Hz: a decaying tone; `number` makes its bytes unlike any other's.
inline std::string wav_bytes(int number, double length_s = 0.05) {
  const auto frames = static_cast<uint32_t>(length_s * 44100);
  std::string out;
  const auto put = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  };
  out += "RIFF";
  put(36 + frames * 2, 4);
  out += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(1, 2);
  put(44100, 4);
  put(88200, 4);
  put(2, 2);
  put(16, 2);
  out += "data";
  put(frames * 2, 4);
  const double step = 0.02 + 0.00001 * number;
  for (uint32_t i = 0; i < frames; ++i) {
    const double s = 12000 * std::sin(step * i) * std::exp(-static_cast<double>(i) / 2000) +
                     (i < 32 ? ((number >> (i % 31)) & 1) * 200 : 0);
    put(static_cast<uint16_t>(static_cast<int16_t>(s)), 2);
  }
  return out;
}

inline void write_file(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

}  // namespace samplemind::library
