#include "server/audio_body.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "audio/decode/decoder.h"
#include "net/offload.h"
#include "server/responses.h"

namespace samplemind::server {

namespace {

constexpr size_t kPiece = 256 << 10;
constexpr uint64_t kConvertMax = 256u << 20;  // of WAV made for the browser

std::string_view type_of(std::string_view format) {
  if (format == "wav") return "audio/wav";
  if (format == "flac") return "audio/flac";
  if (format == "mp3") return "audio/mpeg";
  if (format == "ogg" || format == "opus") return "audio/ogg";
  if (format == "m4a") return "audio/mp4";
  return {};
}

struct OpenFile {
  explicit OpenFile(int fd_in) : fd(fd_in) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() { ::close(fd); }
  int fd;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
};

Result<std::shared_ptr<OpenFile>> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno_error(errno, "open " + path);
  auto file = std::make_shared<OpenFile>(fd);
  struct stat s {};
  if (::fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))
    return Error(ErrorCode::kNotFound, "the sound's file is no regular file any more");
  file->size = static_cast<uint64_t>(s.st_size);
  file->mtime_ns = int64_t{s.st_mtim.tv_sec} * 1000000000 + s.st_mtim.tv_nsec;
  return file;
}

// 16-bit WAV of any sound we can decode.
Result<std::string> to_wav(const std::string& path) {
  SM_TRY(const auto decoder, audio::Decoder::open(path));
  const auto channels = static_cast<size_t>(decoder->info().channels);
  std::string data;
  std::vector<float> block(16384 * channels);
  for (;;) {
    SM_TRY(const size_t frames, decoder->read(block));
    if (frames == 0) break;
    for (size_t i = 0; i < frames * channels; ++i) {
      const auto v = static_cast<int16_t>(std::lround(std::clamp(block[i], -1.0f, 1.0f) * 32767));
      data.append(reinterpret_cast<const char*>(&v), 2);
    }
    if (data.size() > kConvertMax)
      return Error(ErrorCode::kTooLarge, "the sound is too long to be converted for the browser");
  }
  std::string out = "RIFF";
  const auto u32 = [&out](uint32_t v) { out.append(reinterpret_cast<const char*>(&v), 4); };
  const auto u16 = [&out](uint16_t v) { out.append(reinterpret_cast<const char*>(&v), 2); };
  const auto rate = static_cast<uint32_t>(decoder->info().sample_rate_hz);
  u32(static_cast<uint32_t>(36 + data.size()));
  out += "WAVEfmt ";
  u32(16);
  u16(1);
  u16(static_cast<uint16_t>(channels));
  u32(rate);
  u32(rate * static_cast<uint32_t>(channels) * 2);
  u16(static_cast<uint16_t>(channels * 2));
  u16(16);
  out += "data";
  u32(static_cast<uint32_t>(data.size()));
  return out + data;
}

// The range that is to be sent, with its headers and status; nothing when the request was answered.
net::Task<std::optional<ByteRange>> choose_range(net::Exchange& exchange, net::ResponseHead& head,
                                                 uint64_t size) {
  const net::Headers& asked = exchange.request().headers;
  const std::string etag(head.headers.get("etag").value_or(""));
  ByteRange all{0, size == 0 ? 0 : size - 1};
  // If-Range: parts only of the very bytes that the client has a part of.
  const bool same = asked.get("if-range").value_or(etag) == etag;
  if (!same || !asked.has("range")) co_return all;
  bool unsatisfiable = false;
  const auto range = parse_byte_range(*asked.get("range"), size, unsatisfiable);
  if (unsatisfiable) {
    net::ResponseHead refusal;
    refusal.status = 416;
    refusal.headers.add("content-range", "bytes */" + std::to_string(size));
    refusal.headers.add("content-type", "application/problem+json");
    const std::string body = problem_json(416, "Range not satisfiable",
                                          "the sound has " + std::to_string(size) + " bytes");
    (void)(co_await exchange.respond(std::move(refusal), body)).ok();
    co_return std::nullopt;
  }
  if (!range) co_return all;
  head.status = 206;
  head.headers.add("content-range", "bytes " + std::to_string(range->first) + "-" +
                                        std::to_string(range->last) + "/" + std::to_string(size));
  co_return *range;
}

net::Task<void> send_file(net::Exchange& exchange, ThreadPool& blocking,
                          std::shared_ptr<OpenFile> file, ByteRange range) {
  const uint64_t total = file->size == 0 ? 0 : range.last - range.first + 1;
  for (uint64_t at = 0; at < total;) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(kPiece, total - at));
    const uint64_t offset = range.first + at;
    std::function<Result<std::string>()> reading = [file, offset, want]() -> Result<std::string> {
      std::string piece(want, '\0');
      const ssize_t n = ::pread(file->fd, piece.data(), want, static_cast<off_t>(offset));
      if (n <= 0) return Error(ErrorCode::kDataLoss, "the file became shorter while it was sent");
      piece.resize(static_cast<size_t>(n));
      return piece;
    };
    const auto piece = co_await net::offload<std::string>(blocking, std::move(reading));
    if (!piece.ok()) {
      exchange.abort();
      co_return;
    }
    if (!(co_await exchange.write(*piece)).ok()) co_return;
    at += piece->size();
  }
  (void)(co_await exchange.finish()).ok();
}

}  // namespace

std::optional<ByteRange> parse_byte_range(std::string_view header, uint64_t size,
                                          bool& unsatisfiable) {
  unsatisfiable = false;
  if (!header.starts_with("bytes=") || header.find(',') != std::string_view::npos)
    return std::nullopt;
  header.remove_prefix(6);
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view text) -> std::optional<uint64_t> {
    uint64_t v = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return v;
  };
  const auto first = number(header.substr(0, dash));
  const auto last = number(header.substr(dash + 1));
  const bool suffix = dash == 0;
  if ((suffix && !last) || (!suffix && !first) || (dash + 1 < header.size() && !last))
    return std::nullopt;
  ByteRange r;
  if (suffix) {
    unsatisfiable = *last == 0 || size == 0;
    r.first = *last >= size ? 0 : size - *last;
    r.last = size == 0 ? 0 : size - 1;
  } else {
    if (last && *last < *first) return std::nullopt;
    unsatisfiable = *first >= size;
    r.first = *first;
    r.last = last ? std::min(*last, size - 1) : size - 1;
  }
  if (unsatisfiable) return std::nullopt;
  return r;
}

net::Task<void> serve_audio(net::Exchange& exchange, ThreadPool& blocking,
                            const library::Sample& sample) {
  const std::string path = sample.file.path;
  const std::string_view type = type_of(sample.analysis.format);
  std::function<Result<std::shared_ptr<OpenFile>>()> opening = [path] { return open_file(path); };
  auto opened = co_await net::offload<std::shared_ptr<OpenFile>>(blocking, std::move(opening));
  if (!opened.ok()) {
    co_await respond_problem(exchange, std::move(opened).error());
    co_return;
  }
  const std::shared_ptr<OpenFile> file = *opened;
  // The file may have changed since it was scanned: its own stamp is part of the validator.
  const std::string etag = "\"" + sample.digest_hex.substr(0, 16) + "-" +
                           std::to_string(file->size) + "-" + std::to_string(file->mtime_ns) + "\"";
  net::ResponseHead head;
  head.headers.add("etag", etag);
  head.headers.add("cache-control", "private, no-cache");
  head.headers.add("accept-ranges", "bytes");
  head.headers.add("x-content-type-options", "nosniff");
  head.headers.add("cross-origin-resource-policy", "same-origin");
  if (exchange.request().headers.get("if-none-match").value_or("") == etag) {
    head.status = 304;
    (void)(co_await exchange.respond(std::move(head), {})).ok();
    co_return;
  }
  if (type.empty()) {
    std::function<Result<std::string>()> work = [path] { return to_wav(path); };
    const auto wav = co_await net::offload<std::string>(blocking, std::move(work));
    if (!wav.ok()) {
      Error error = wav.error();
      co_await respond_problem(exchange, std::move(error));
      co_return;
    }
    head.headers.add("content-type", "audio/wav");
    const auto range = co_await choose_range(exchange, head, wav->size());
    if (!range) co_return;
    const std::string_view body =
        std::string_view(*wav).substr(range->first, range->last - range->first + 1);
    (void)(co_await exchange.respond(std::move(head), body)).ok();
    co_return;
  }
  const auto range = co_await choose_range(exchange, head, file->size);
  if (!range) co_return;
  head.headers.add("content-type", type);
  const uint64_t total = file->size == 0 ? 0 : range->last - range->first + 1;
  head.headers.add("content-length", std::to_string(total));
  if (!(co_await exchange.start(std::move(head))).ok()) co_return;
  if (exchange.request().method == "HEAD") {
    (void)(co_await exchange.finish()).ok();
    co_return;
  }
  co_await send_file(exchange, blocking, file, *range);
}

}  // namespace samplemind::server
