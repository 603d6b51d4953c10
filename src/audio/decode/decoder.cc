#include "audio/decode/decoder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sndfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <mutex>

#include "audio/decode/mp3.h"
#include "audio/decode/wire.h"
#include "base/files.h"
#include "base/process.h"

namespace samplemind::audio {

namespace {

constexpr int kChannelsMax = 64;

std::string format_name(int format) {
  switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
    case SF_FORMAT_RF64:
    case SF_FORMAT_W64:
      return "wav";
    case SF_FORMAT_AIFF:
      return "aiff";
    case SF_FORMAT_FLAC:
      return "flac";
    case SF_FORMAT_MPEG:
      return "mp3";
    case SF_FORMAT_OGG:
      return (format & SF_FORMAT_SUBMASK) == SF_FORMAT_OPUS ? "opus" : "ogg";
    case SF_FORMAT_AU:
      return "au";
    case SF_FORMAT_CAF:
      return "caf";
    default:
      return "other";
  }
}

std::optional<int> pcm_bits(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
      return 8;
    case SF_FORMAT_PCM_16:
      return 16;
    case SF_FORMAT_PCM_24:
      return 24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT:
      return 32;
    case SF_FORMAT_DOUBLE:
      return 64;
    default:
      return std::nullopt;
  }
}

bool integers(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_PCM_16:
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_PCM_32:
      return true;
    default:
      return false;
  }
}

void clean(std::span<float> samples) {
  for (float& s : samples) {
    if (!std::isfinite(s)) s = 0;
  }
}

class SndfileDecoder final : public Decoder {
 public:
  // Whole numbers (`from_integers`) hold no NaN and no infinity.
  SndfileDecoder(SNDFILE* file, StreamInfo info, bool from_integers, std::string path)
      : file_(file),
        info_(std::move(info)),
        may_be_unclean_(!from_integers),
        path_(std::move(path)) {}
  ~SndfileDecoder() override { sf_close(file_); }
  const StreamInfo& info() const override { return info_; }

  Result<size_t> read(std::span<float> interleaved) override {
    const size_t frames_max = interleaved.size() / static_cast<size_t>(info_.channels);
    const sf_count_t n =
        sf_readf_float(file_, interleaved.data(), static_cast<sf_count_t>(frames_max));
    // A damaged stretch ends the sound: what came before it is kept, and the caller sees fewer
    // frames than were promised.
    if (n <= 0) {
      if (total_ == 0 && sf_error(file_) != SF_ERR_NO_ERROR) {
        return Error(ErrorCode::kDataLoss, path_ + ": damaged: " + sf_strerror(file_));
      }
      return size_t{0};
    }
    total_ += n;
    if (may_be_unclean_)
      clean(interleaved.first(static_cast<size_t>(n) * static_cast<size_t>(info_.channels)));
    return static_cast<size_t>(n);
  }

 private:
  SNDFILE* file_;
  StreamInfo info_;
  bool may_be_unclean_;
  std::string path_;
  sf_count_t total_ = 0;
};

// samplemind-decode beside our program, or in ../libexec/samplemind.
std::optional<fs::path> decode_program() {
  if (auto named = env("SAMPLEMIND_DECODE")) return find_program(*named);
  const fs::path here = executable_path().parent_path();
  for (const fs::path& p :
       {here / "samplemind-decode", here / "../libexec/samplemind/samplemind-decode",
        here / "../bin/samplemind-decode"}) {
    if (auto found = find_program(p.string())) return found;
  }
  return find_program("samplemind-decode");
}

constexpr std::chrono::seconds kChildSilenceMax{
    20};  // a decoder that gives nothing for so long hangs
constexpr uint64_t kChildAddressSpaceMax = 1ull << 30;
constexpr uint64_t kChildCpuSecondsMax = 600;

// Reads what samplemind-decode writes (decode/wire.h). A child that crashes, hangs or talks
// nonsense is an error of this file only.
class ChildDecoder final : public Decoder {
 public:
  ChildDecoder(pid_t pid, int fd, std::string path) : pid_(pid), fd_(fd), path_(std::move(path)) {}
  ~ChildDecoder() override {
    ::close(fd_);
    if (!ended_) {
      ::kill(pid_, SIGKILL);
      (void)wait_process(pid_, std::chrono::seconds(5));
    }
  }

  Result<void> begin() {
    wire::Header header{};
    SM_TRY(const size_t got, fill(reinterpret_cast<char*>(&header), sizeof header));
    if (got != sizeof header) return failure();
    if (std::memcmp(header.magic, wire::kMagic, sizeof header.magic) != 0 || header.channels == 0 ||
        header.channels > kChannelsMax || header.sample_rate_hz == 0 ||
        header.sample_rate_hz > 768000) {
      return Error(ErrorCode::kDataLoss, path_ + ": the decoder gave nonsense");
    }
    info_.format = "m4a";
    info_.sample_rate_hz = static_cast<int>(header.sample_rate_hz);
    info_.channels = static_cast<int>(header.channels);
    info_.frames_promised = header.frames_promised;
    return ok();
  }

  const StreamInfo& info() const override { return info_; }

  Result<size_t> read(std::span<float> interleaved) override {
    const size_t frame_bytes = sizeof(float) * static_cast<size_t>(info_.channels);
    const size_t want = interleaved.size_bytes() / frame_bytes * frame_bytes;
    SM_TRY(const size_t got, fill(reinterpret_cast<char*>(interleaved.data()), want));
    const size_t frames = got / frame_bytes;
    if (got < want && !ended_) {
      const std::optional<int> status = wait_process(pid_, std::chrono::seconds(5));
      ended_ = status.has_value();
      if (total_ + frames == 0 || !status || *status > 128) {
        if (!status || *status != 0) return failure_from(status);
      }
    }
    total_ += frames;
    clean(interleaved.first(frames * static_cast<size_t>(info_.channels)));
    return frames;
  }

 private:
  Result<size_t> fill(char* to, size_t size) {
    size_t got = 0;
    while (got < size) {
      pollfd ready{fd_, POLLIN, 0};
      const int n =
          ::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kChildSilenceMax).count()));
      if (n < 0 && errno == EINTR) continue;
      if (n == 0)
        return Error(ErrorCode::kDataLoss,
                     path_ + ": the decoder gave nothing for 20 s and was stopped");
      const ssize_t r = ::read(fd_, to + got, size - got);
      if (r < 0 && errno == EINTR) continue;
      if (r < 0) return errno_error(errno, path_ + ": read from samplemind-decode");
      if (r == 0) break;
      got += static_cast<size_t>(r);
    }
    return got;
  }
  Error failure() {
    const std::optional<int> status = wait_process(pid_, std::chrono::seconds(5));
    ended_ = status.has_value();
    return failure_from(status);
  }
  Error failure_from(std::optional<int> status) const {
    if (status == wire::kExitNotSound) {
      return Error(ErrorCode::kUnsupported, path_ + ": not a sound file we know",
                   "supported: wav, aiff, flac, mp3, ogg, opus, m4a");
    }
    if (status && *status > 128)
      return Error(ErrorCode::kDataLoss, path_ + ": damaged: the decoder crashed on it (signal " +
                                             std::to_string(*status - 128) + ")");
    return Error(ErrorCode::kDataLoss, path_ + ": damaged: it could not be decoded");
  }

  pid_t pid_;
  int fd_;
  std::string path_;
  StreamInfo info_;
  bool ended_ = false;
  size_t total_ = 0;
};

Result<std::unique_ptr<Decoder>> open_child(const fs::path& path) {
  const auto program = decode_program();
  if (!program) {
    return Error(
        ErrorCode::kUnsupported,
        path.string() +
            ": m4a needs the program samplemind-decode, which is not installed beside samplemind",
        "build it with FFmpeg's libraries present, or convert the file to wav or flac");
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
  ProcessOptions o;
  o.argv = {program->string(), "--", fs::absolute(path).string()};
  o.stdout_fd = ends[1];
  o.die_with_parent = true;
  o.bare = true;  // it reads what strangers made: no keys are there for it to find
  o.address_space_max_bytes = kChildAddressSpaceMax;
  o.cpu_max_seconds = kChildCpuSecondsMax;
  o.no_new_files = true;
  auto pid = start_process(o);
  ::close(ends[1]);
  if (!pid.ok()) {
    ::close(ends[0]);
    return std::move(pid).error();
  }
  auto decoder = std::make_unique<ChildDecoder>(*pid, ends[0], path.string());
  SM_CHECK_OK(decoder->begin());
  return std::unique_ptr<Decoder>(std::move(decoder));
}

// ISO base media ("....ftyp") or an ADTS stream.
bool wants_child(std::string_view head) {
  if (head.size() >= 8 && head.substr(4, 4) == "ftyp") return true;
  if (head.size() < 2) return false;
  const auto b0 = static_cast<unsigned char>(head[0]);
  const auto b1 = static_cast<unsigned char>(head[1]);
  return b0 == 0xFF && (b1 & 0xF6) == 0xF0;  // ADTS: layer bits are 00, those of MPEG audio never
}

}  // namespace

Result<std::unique_ptr<Decoder>> Decoder::open(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno_error(errno, path.string());
  struct stat status {};
  char head[16] = {};
  const bool stat_ok = ::fstat(fd, &status) == 0;
  if (stat_ok && !S_ISREG(status.st_mode)) {
    ::close(fd);
    return Error(ErrorCode::kInvalidArgument,
                 path.string() + (S_ISDIR(status.st_mode) ? ": is a folder, not a sound file"
                                                          : ": is no regular file"),
                 S_ISDIR(status.st_mode) ? "'samplemind scan' takes folders" : "");
  }
  const ssize_t n = ::pread(fd, head, sizeof head, 0);
  if (n <= 0) {
    ::close(fd);
    return n < 0 ? errno_error(errno, path.string())
                 : Error(ErrorCode::kDataLoss, path.string() + ": the file is empty (0 bytes)");
  }
  // What stands behind ID3 tags may be of several kinds.
  const off_t tags = id3_end(fd);
  ssize_t looked = n;
  if (tags > 0) looked = std::max<ssize_t>(0, ::pread(fd, head, sizeof head, tags));
  const std::string_view begin(head, static_cast<size_t>(looked));
  if (wants_child(begin)) {
    ::close(fd);
    return open_child(path);
  }
  const bool frame = begin.size() > 1 && static_cast<unsigned char>(begin[0]) == 0xFF;
  if (frame || (tags > 0 && !begin.starts_with("fLaC") && !begin.starts_with("RIFF"))) {
    if (const auto start = find_mpeg_audio(fd, tags)) return open_mp3(fd, *start, path);
  }
  SF_INFO info{};
  // libsndfile keeps the error of the last failed open in a global: two threads must not open at
  // once, or they swap messages.
  static std::mutex open_mutex;
  SNDFILE* file = nullptr;
  std::string why;
  {
    const std::lock_guard lock(open_mutex);
    file = sf_open_fd(fd, SFM_READ, &info, SF_TRUE);  // closes the descriptor also when it fails
    if (file == nullptr) why = sf_strerror(nullptr);
  }
  if (file == nullptr) {
    // MPEG audio behind something else.
    const int again = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (again >= 0) {
      if (const auto start = find_mpeg_audio(again, tags)) return open_mp3(again, *start, path);
      ::close(again);
    }
    return Error(ErrorCode::kUnsupported, path.string() + ": not a sound file we can read: " + why,
                 "supported: wav, aiff, flac, mp3, ogg, opus, m4a");
  }
  if (info.channels < 1 || info.channels > kChannelsMax || info.samplerate < 1 ||
      info.samplerate > 768000) {
    sf_close(file);
    return Error(ErrorCode::kUnsupported, path.string() + ": " + std::to_string(info.channels) +
                                              " channels at " + std::to_string(info.samplerate) +
                                              " Hz; up to 64 channels and 768000 Hz are supported");
  }
  StreamInfo stream;
  stream.format = format_name(info.format);
  stream.sample_rate_hz = info.samplerate;
  stream.channels = info.channels;
  stream.bit_depth = pcm_bits(info.format);
  stream.frames_promised = info.frames > 0 && info.frames < SF_COUNT_MAX ? info.frames : -1;
  return std::unique_ptr<Decoder>(std::make_unique<SndfileDecoder>(
      file, std::move(stream), integers(info.format), path.string()));
}

}  // namespace samplemind::audio
