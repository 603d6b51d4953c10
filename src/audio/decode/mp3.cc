#include "audio/decode/mp3.h"

#include <mpg123.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace samplemind::audio {

namespace {

constexpr size_t kLookedThrough = 128u << 10;
constexpr int kTagsMax = 8;

struct FrameHeader {
  int version = 0;  // 1, 2; 3 is MPEG 2.5
  int layer = 0;
  int rate_hz = 0;
  bool mono = false;
  size_t bytes = 0;  // of the whole frame
  bool like(const FrameHeader& o) const {
    return version == o.version && layer == o.layer && rate_hz == o.rate_hz;
  }
};

// ISO 11172-3, 2.4.2.3, and its extension to lower rates. Frames of a free bit rate are not known.
std::optional<FrameHeader> frame_header(std::string_view at) {
  if (at.size() < 4) return std::nullopt;
  const auto byte = [at](size_t i) { return static_cast<unsigned char>(at[i]); };
  if (byte(0) != 0xFF || (byte(1) & 0xE0) != 0xE0) return std::nullopt;
  constexpr std::array<int, 4> kVersions{3, 0, 2, 1};
  FrameHeader h;
  h.version = kVersions[(byte(1) >> 3) & 3];
  h.layer = 4 - ((byte(1) >> 1) & 3);
  const size_t bit_rate = byte(2) >> 4;
  const size_t rate = (byte(2) >> 2) & 3;
  if (h.version == 0 || h.layer == 4 || bit_rate == 0 || bit_rate == 15 || rate == 3)
    return std::nullopt;
  using Rates = std::array<int, 15>;
  constexpr Rates kFirst1{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448};
  constexpr Rates kFirst2{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384};
  constexpr Rates kFirst3{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320};
  constexpr Rates kLater1{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256};
  constexpr Rates kLater{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160};
  const bool first = h.version == 1;
  const Rates& rates = first ? (h.layer == 1   ? kFirst1
                                : h.layer == 2 ? kFirst2
                                               : kFirst3)
                             : (h.layer == 1 ? kLater1 : kLater);
  constexpr std::array<int, 3> kSampleRates{44100, 48000, 32000};
  h.rate_hz = kSampleRates[rate] >> (h.version - 1);
  h.mono = (byte(3) >> 6) == 3;
  const int padding = (byte(2) >> 1) & 1;
  const int bits = rates[bit_rate] * 1000;
  if (h.layer == 1) {
    h.bytes = static_cast<size_t>((12 * bits / h.rate_hz + padding) * 4);
  } else {
    const int slots = h.layer == 3 && !first ? 72 : 144;
    h.bytes = static_cast<size_t>(slots * bits / h.rate_hz + padding);
  }
  return h;
}

// A frame without sound that stands first and tells of those behind it.
struct LengthTag {
  std::optional<uint32_t> frames;  // how many there are, where it says so: none is no answer
};

// `frame`: of which at least the first kTagReach bytes, if it is so long.
constexpr size_t kTagReach = 64;
std::optional<LengthTag> length_tag(std::string_view frame, const FrameHeader& h) {
  if (h.layer != 3) return std::nullopt;
  const auto number = [frame](size_t i) -> std::optional<uint32_t> {
    if (frame.size() < i + 4) return std::nullopt;
    uint32_t n = 0;
    for (size_t k = 0; k < 4; ++k) n = n << 8 | static_cast<unsigned char>(frame[i + k]);
    return n > 0 ? std::optional(n) : std::nullopt;
  };
  const size_t xing = 4 + size_t{h.version == 1 ? (h.mono ? 17u : 32u) : (h.mono ? 9u : 17u)};
  constexpr size_t kVbri = 36;
  const std::string_view name = frame.substr(std::min(frame.size(), xing), 4);
  if (name == "Xing" || name == "Info") {
    const auto fields = number(xing + 4);
    return LengthTag{fields && (*fields & 1) != 0 ? number(xing + 8) : std::nullopt};
  }
  if (frame.substr(std::min(frame.size(), kVbri), 4) == "VBRI")
    return LengthTag{number(kVbri + 14)};
  return std::nullopt;
}

// The file's frames one behind the other, as libmpg123 reads them; what stands between them, torn
// frames, tags, noise that has a frame's look, is left out. Without it one false header of another
// format ends the sound there.
//
// Files that were put together of several are streams one behind the other: each ends for the
// decoder where the next one's tag stands, or where its own tag says so, until go_on() is called.
class FrameReader {
 public:
  FrameReader(int fd, off_t start) : fd_(fd), next_(start) {}
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;
  ~FrameReader() { ::close(fd_); }

  static ssize_t read(void* self, void* to, size_t size) {
    return static_cast<FrameReader*>(self)->give(static_cast<char*>(to), size);
  }
  static off_t seek(void*, off_t, int) { return -1; }

  // To the beginning of the next stream. False: there is none.
  bool go_on() {
    while (!waits_) {
      next_ += static_cast<off_t>(left_);
      left_ = 0;
      if (!find_frame()) return false;
    }
    waits_ = false;
    given_ = 0;
    told_.reset();
    return true;
  }

 private:
  ssize_t give(char* to, size_t size) {
    size_t given = 0;
    while (given < size) {
      if (left_ == 0 && (waits_ || !find_frame() || waits_)) break;
      const std::string_view some = at(next_, 1);
      const size_t n = std::min({size - given, left_, some.size()});
      if (n == 0) break;  // the file ends within a frame
      std::memcpy(to + given, some.data(), n);
      given += n;
      left_ -= n;
      next_ += static_cast<off_t>(n);
    }
    return static_cast<ssize_t>(given);
  }

  // Behind a frame the next is believed at sight; elsewhere only with another behind it.
  bool find_frame() {
    for (bool sure = true;; sure = false) {
      if (sure) {
        if (const auto h = like_first(next_)) return begin(*h);
      }
      std::string_view some = at(next_, 4);
      if (some.size() < 4) return false;
      const void* found = std::memchr(some.data() + 1, 0xFF, some.size() - 1);
      if (found == nullptr) {
        next_ += static_cast<off_t>(some.size());
        continue;
      }
      next_ += static_cast<const char*>(found) - some.data();
      const auto h = like_first(next_);
      if (!h) continue;
      const off_t behind = next_ + static_cast<off_t>(h->bytes);
      if (like_first(behind) || at(behind, 4).size() < 4) return begin(*h);
    }
  }
  bool begin(const FrameHeader& h) {
    if (!first_) first_ = h;
    const auto tag = length_tag(at(next_, std::min(h.bytes, kTagReach)), h);
    waits_ = given_ > 0 && (tag || (told_ && given_ > *told_));
    if (waits_) return true;
    if (given_ == 0 && tag) told_ = tag->frames;
    ++given_;
    left_ = h.bytes;
    return true;
  }
  std::optional<FrameHeader> like_first(off_t offset) {
    const auto h = frame_header(at(offset, 4));
    if (h && (!first_ || (h->like(*first_) && h->mono == first_->mono))) return h;
    return std::nullopt;
  }
  // What the file holds there: `least` bytes or all that is left.
  std::string_view at(off_t offset, size_t least) {
    const off_t end = begin_ + static_cast<off_t>(held_);
    if (offset < begin_ || offset + static_cast<off_t>(least) > end) {
      begin_ = offset;
      const ssize_t n = ::pread(fd_, buffer_.data(), buffer_.size(), offset);
      held_ = n > 0 ? static_cast<size_t>(n) : 0;
    }
    const auto from = static_cast<size_t>(offset - begin_);
    return std::string_view(buffer_.data(), held_).substr(std::min(from, held_));
  }

  int fd_;
  off_t next_;                    // to be given
  size_t left_ = 0;               // of the frame that is being given
  uint64_t given_ = 0;            // frames of this stream, its tag counted
  std::optional<uint32_t> told_;  // frames that its tag tells of, itself not counted
  bool waits_ = false;            // the frame at next_ begins another stream
  std::optional<FrameHeader> first_;
  std::vector<char> buffer_ = std::vector<char>(64u << 10);
  off_t begin_ = 0;  // of the buffer, in the file
  size_t held_ = 0;
};

struct HandleDeleter {
  void operator()(mpg123_handle* h) const {
    mpg123_close(h);
    mpg123_delete(h);
  }
};
using Handle = std::unique_ptr<mpg123_handle, HandleDeleter>;

class Mp3Decoder final : public Decoder {
 public:
  Mp3Decoder(std::unique_ptr<FrameReader> frames, Handle handle, StreamInfo info, std::string path)
      : frames_(std::move(frames)),
        handle_(std::move(handle)),
        info_(std::move(info)),
        path_(std::move(path)) {}
  const StreamInfo& info() const override { return info_; }

  Result<size_t> read(std::span<float> interleaved) override {
    const size_t frame_bytes = sizeof(float) * static_cast<size_t>(info_.channels);
    const size_t want = interleaved.size_bytes() / frame_bytes * frame_bytes;
    size_t got = 0;
    while (got < want && !ended_) {
      size_t done = 0;
      const int said =
          mpg123_read(handle_.get(), reinterpret_cast<unsigned char*>(interleaved.data()) + got,
                      want - got, &done);
      got += done;
      // What the first frame began is gone on with; another format in the middle ends it.
      if (said == MPG123_NEW_FORMAT && total_ + got == begun_at_) continue;
      if (said == MPG123_DONE && next_stream()) {
        begun_at_ = total_ + got;
        continue;
      }
      if (said != MPG123_OK) ended_ = true;
      if (said != MPG123_OK && said != MPG123_DONE && total_ + got == 0)
        return Error(ErrorCode::kDataLoss, path_ + ": damaged: " + mpg123_strerror(handle_.get()));
    }
    total_ += got;
    const size_t frames = got / frame_bytes;
    for (float& s : interleaved.first(frames * static_cast<size_t>(info_.channels)))
      if (!std::isfinite(s)) s = 0;
    return frames;
  }

 private:
  // Each stream of the file is opened by itself: its own tag tells what to leave out of it.
  bool next_stream() {
    if (!frames_->go_on()) return false;
    mpg123_close(handle_.get());
    long rate = 0;
    int channels = 0, encoding = 0;
    return mpg123_open_handle(handle_.get(), frames_.get()) == MPG123_OK &&
           mpg123_getformat(handle_.get(), &rate, &channels, &encoding) == MPG123_OK &&
           rate == info_.sample_rate_hz && channels == info_.channels;
  }

  std::unique_ptr<FrameReader> frames_;
  Handle handle_;  // reads from them
  StreamInfo info_;
  std::string path_;
  bool ended_ = false;
  size_t total_ = 0;     // bytes given
  size_t begun_at_ = 0;  // of these when the stream that is being read began
};

}  // namespace

off_t id3_end(int fd) {
  off_t end = 0;
  for (int i = 0; i < kTagsMax; ++i) {
    unsigned char head[10] = {};
    if (::pread(fd, head, sizeof head, end) != sizeof head || std::memcmp(head, "ID3", 3) != 0)
      break;
    off_t size = 0;
    for (int k = 6; k < 10; ++k) size = size << 7 | (head[k] & 0x7F);
    end += size + ((head[5] & 0x10) != 0 ? 20 : 10);  // with its footer
  }
  return end;
}

std::optional<MpegStart> find_mpeg_audio(int fd, off_t from) {
  std::vector<char> buffer(kLookedThrough);
  const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), from);
  if (n < 4) return std::nullopt;
  const std::string_view text(buffer.data(), static_cast<size_t>(n));
  const bool whole = text.size() < kLookedThrough;
  for (size_t at = 0; at + 4 <= text.size(); ++at) {
    const void* next = std::memchr(text.data() + at, 0xFF, text.size() - at);
    if (next == nullptr) return std::nullopt;
    at = static_cast<size_t>(static_cast<const char*>(next) - text.data());
    const auto first = frame_header(text.substr(at));
    if (!first) continue;
    int alike = 1;
    size_t behind = at + first->bytes;
    while (alike < 4 && behind + 4 <= text.size()) {
      const auto other = frame_header(text.substr(behind));
      if (!other || !other->like(*first)) break;
      ++alike;
      behind += other->bytes;
    }
    // A file of few frames is one where they stand at once and lead to its end.
    const bool to_the_end = whole && at == 0 && behind + 4 > text.size();
    if (alike < 3 && !to_the_end) continue;
    return MpegStart{from + static_cast<off_t>(at),
                     length_tag(text.substr(at, first->bytes), *first).has_value()};
  }
  return std::nullopt;
}

Result<std::unique_ptr<Decoder>> open_mp3(int fd, const MpegStart& start,
                                          const std::filesystem::path& path) {
  static const int ready = mpg123_init();
  int problem = ready;
  Handle handle(ready == MPG123_OK ? mpg123_new(nullptr, &problem) : nullptr);
  auto frames = std::make_unique<FrameReader>(fd, start.offset);
  const auto refused = [&](const char* why) {
    return Error(ErrorCode::kUnsupported, path.string() + ": not a sound file we can read: " + why,
                 "supported: wav, aiff, flac, mp3, ogg, opus, m4a");
  };
  if (!handle) return refused(mpg123_plain_strerror(problem));
  mpg123_handle* h = handle.get();
  const long flags = MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_GAPLESS | MPG123_SKIP_ID3V2 |
                     MPG123_NO_FRANKENSTEIN;  // one format in all of it
  long rate = 0;
  int channels = 0, encoding = 0;
  if (mpg123_param(h, MPG123_ADD_FLAGS, flags, 0) != MPG123_OK ||
      mpg123_param(h, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE, 0) != MPG123_OK ||
      mpg123_replace_reader_handle(h, FrameReader::read, FrameReader::seek, nullptr) != MPG123_OK ||
      mpg123_open_handle(h, frames.get()) != MPG123_OK ||
      mpg123_getformat(h, &rate, &channels, &encoding) != MPG123_OK)
    return refused(mpg123_strerror(h));
  // From now on as the first frame is, and never another way.
  if (rate < 1 || channels < 1 || channels > 2 || mpg123_format_none(h) != MPG123_OK ||
      mpg123_format(h, rate, channels, MPG123_ENC_FLOAT_32) != MPG123_OK)
    return refused("its format is none that MPEG audio has");
  StreamInfo info;
  info.format = "mp3";
  info.sample_rate_hz = static_cast<int>(rate);
  info.channels = channels;
  const off_t length = start.length_told ? mpg123_length(h) : -1;
  if (length > 0) info.frames_promised = static_cast<int64_t>(length);
  return std::unique_ptr<Decoder>(std::make_unique<Mp3Decoder>(std::move(frames), std::move(handle),
                                                               std::move(info), path.string()));
}

}  // namespace samplemind::audio
