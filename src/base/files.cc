#include "base/files.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/json.h"

namespace samplemind {

namespace {
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "write " + path.string());
    content.remove_prefix(static_cast<size_t>(n));
  }
  return ok();
}

fs::path home() {
  if (auto h = env("HOME")) return *h;
  if (const passwd* user = ::getpwuid(::getuid()); user != nullptr && user->pw_dir != nullptr)
    return user->pw_dir;
  return "/";
}

fs::path xdg(const char* variable, const char* fallback) {
  if (auto own = env("SAMPLEMIND_HOME")) return *own;
  if (auto dir = env(variable); dir && dir->front() == '/') return fs::path(*dir) / "samplemind";
  return home() / fallback / "samplemind";
}
}  // namespace

Result<std::string> read_file(const fs::path& path, size_t max_bytes) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return errno_error(errno, "open " + path.string());
  std::string content;
  struct stat status {};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    if (static_cast<size_t>(status.st_size) > max_bytes) {
      return Error(ErrorCode::kTooLarge, path.string() + " has " + std::to_string(status.st_size) +
                                             " bytes; the limit is " + std::to_string(max_bytes));
    }
    content.reserve(static_cast<size_t>(status.st_size));
  }
  char block[65536];
  for (;;) {
    const ssize_t n = ::read(fd.get(), block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error(errno, "read " + path.string());
    if (n == 0) return content;
    content.append(block, static_cast<size_t>(n));
    if (content.size() > max_bytes) {
      return Error(ErrorCode::kTooLarge,
                   path.string() + " has more than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

Result<void> write_file_atomic(const fs::path& path, std::string_view content, unsigned mode) {
  std::string temporary = path.string() + ".XXXXXX";
  {
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (fd.get() < 0) return errno_error(errno, "create a file beside " + path.string());
    Result<void> written = write_all(fd.get(), content, path);
    if (written.ok() && (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0)) {
      written = errno_error(errno, "write " + path.string());
    }
    if (!written.ok()) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    Error error = errno_error(errno, "replace " + path.string());
    ::unlink(temporary.c_str());
    return error;
  }
  Fd folder(::open(path.parent_path().empty() ? "." : path.parent_path().c_str(),
                   O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() >= 0) ::fsync(folder.get());
  return ok();
}

Result<void> make_private_dir(const fs::path& path) {
  fs::path so_far;
  for (const fs::path& part : path) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), 0700) == 0) continue;
    const int error = errno;
    std::error_code ignored;
    if (fs::is_directory(so_far, ignored)) continue;
    return errno_error(error == EEXIST ? ENOTDIR : error, "create folder " + path.string());
  }
  return ok();
}

std::optional<std::string> env(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

fs::path data_home() {
  return xdg("XDG_DATA_HOME", ".local/share");
}
fs::path config_home() {
  return xdg("XDG_CONFIG_HOME", ".config");
}

std::string path_to_text(const fs::path& path) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  const std::string& bytes = path.native();
  if (is_utf8(bytes)) return bytes;
  std::string out = "file://";
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    if (b > 0x20 && b < 0x7F && c != '%' && c != '?' && c != '#') {
      out += c;
    } else {
      out += {'%', kDigits[b >> 4], kDigits[b & 15]};
    }
  }
  return out;
}

fs::path path_from_text(std::string_view text) {
  if (!text.starts_with("file:///")) return text;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (size_t i = 7; i < text.size(); ++i) {
    const bool coded =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out += coded ? static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2])) : text[i];
    i += coded ? 2 : 0;
  }
  return out;
}

fs::path executable_path() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error);
}

Result<FileLock> FileLock::acquire(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error(errno, "open lock " + path.string());
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error == EWOULDBLOCK) {
      return Error(ErrorCode::kAlreadyExists, path.string() + " is locked by another process");
    }
    return errno_error(error, "lock " + path.string());
  }
  return FileLock(fd);
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace samplemind
