// Files and folders: private modes, atomic replacement, locks. Thread-safe free functions.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace samplemind {

namespace fs = std::filesystem;

// The whole file. Errors: not found, permission, over max_bytes (kTooLarge).
Result<std::string> read_file(const fs::path& path, size_t max_bytes = 64u << 20);

// Writes a temporary file beside `path`, flushes it to disk, renames it over `path`: a reader sees
// the old or the new content, never a part. Mode 0600 unless said otherwise.
Result<void> write_file_atomic(const fs::path& path, std::string_view content,
                               unsigned mode = 0600);

// Creates the folder and its parents with mode 0700; an existing folder is left as it is.
Result<void> make_private_dir(const fs::path& path);

// A path as text for JSON: itself when it is UTF-8, else a file:// URI whose other bytes are
// percent-encoded, so that no byte is lost on the way. path_from_text() takes both.
std::string path_to_text(const fs::path& path);
fs::path path_from_text(std::string_view text);

// $NAME, or nothing when unset or empty.
std::optional<std::string> env(const char* name);

// The folder of data: $SAMPLEMIND_HOME, else $XDG_DATA_HOME/samplemind, else
// ~/.local/share/samplemind.
fs::path data_home();
// The folder of the configuration file: $SAMPLEMIND_HOME, else $XDG_CONFIG_HOME/samplemind, else
// ~/.config/samplemind.
fs::path config_home();
// The running program's own path (/proc/self/exe).
fs::path executable_path();

// An exclusive advisory lock (flock) on a file, released by the destructor or by the process's end.
class FileLock {
 public:
  // kAlreadyExists when another process holds it.
  static Result<FileLock> acquire(const fs::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace samplemind
