// Content-Encoding of answers: gzip and Brotli, in bounded memory and with bounded expansion.
#include <brotli/decode.h>
#include <zlib.h>

#include "net/client_internal.h"
#include "net/http1_internal.h"

namespace samplemind::net::pool {

namespace {

constexpr size_t kStep = 32 << 10;  // decoded bytes at a time
// A small answer that unpacks to gigabytes is an attack or a mistake: real texts pack 3 to 20
// times.
constexpr uint64_t kExpansionFree = 4 << 20;
constexpr uint64_t kExpansionMax = 200;

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual const char* name() const = 0;
  // Decodes a part of `in` (advancing it) into `out`. False when the data are damaged.
  virtual bool step(std::string_view& in, std::string& out) = 0;
  virtual bool ended() const = 0;
  virtual bool more() const = 0;  // it holds output back
};

class Gzip final : public Decoder {
 public:
  Gzip() { inflateInit2(&stream_, 15 + 16); }
  ~Gzip() override { inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;
  const char* name() const override { return "gzip"; }
  bool step(std::string_view& in, std::string& out) override {
    out.resize(kStep);
    if (ended_) {  // gzip allows members in a row
      if (in.empty()) {
        out.clear();
        return true;
      }
      inflateReset(&stream_);
      ended_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    in.remove_prefix(in.size() - stream_.avail_in);
    full_ = stream_.avail_out == 0;
    out.resize(out.size() - stream_.avail_out);
    if (result == Z_STREAM_END) ended_ = true;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
  }
  bool ended() const override { return ended_; }
  bool more() const override { return full_ && !ended_; }

 private:
  z_stream stream_{};
  bool ended_ = false;
  bool full_ = false;
};

class Brotli final : public Decoder {
 public:
  Brotli() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    SM_ASSERT(state_ != nullptr);
  }
  ~Brotli() override { BrotliDecoderDestroyInstance(state_); }
  Brotli(const Brotli&) = delete;
  Brotli& operator=(const Brotli&) = delete;
  const char* name() const override { return "Brotli"; }
  bool step(std::string_view& in, std::string& out) override {
    out.clear();
    if (ended()) return in.empty();  // nothing may follow
    out.resize(kStep);
    size_t in_left = in.size();
    size_t out_left = out.size();
    const auto* next_in = reinterpret_cast<const uint8_t*>(in.data());
    auto* next_out = reinterpret_cast<uint8_t*>(out.data());
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state_, &in_left, &next_in, &out_left, &next_out, nullptr);
    in.remove_prefix(in.size() - in_left);
    out.resize(out.size() - out_left);
    return result != BROTLI_DECODER_RESULT_ERROR;
  }
  bool ended() const override { return BrotliDecoderIsFinished(state_) == BROTLI_TRUE; }
  bool more() const override { return BrotliDecoderHasMoreOutput(state_) == BROTLI_TRUE; }

 private:
  BrotliDecoderState* state_;
};

class Decoded final : public ClientResponse {
 public:
  Decoded(std::unique_ptr<ClientResponse> inner, std::unique_ptr<Decoder> decoder)
      : inner_(std::move(inner)), decoder_(std::move(decoder)), head_(inner_->head()) {
    head_.headers.remove("content-encoding");
    head_.headers.remove("content-length");
  }
  const ResponseHead& head() const override { return head_; }
  HttpVersion version() const override { return inner_ ? inner_->version() : version_; }
  Task<Result<std::string_view>> read_some() override {
    for (;;) {
      if (!inner_) co_return Error(ErrorCode::kUpstream, "the answer has failed before");
      if (packed_.empty() && !decoder_->more()) {
        Result<std::string_view> raw = co_await inner_->read_some();
        if (!raw.ok()) co_return raw;
        if (raw->empty()) {
          if (in_ > 0 && !decoder_->ended()) co_return fail("data end too early");
          co_return std::string_view();
        }
        packed_ = *raw;
        in_ += packed_.size();
      }
      if (!decoder_->step(packed_, unpacked_)) co_return fail("data are damaged");
      out_ += unpacked_.size();
      if (out_ > kExpansionFree && out_ / kExpansionMax > in_)
        co_return fail("data unpack to far more than they are");
      if (!unpacked_.empty()) co_return std::string_view(unpacked_);
    }
  }

 private:
  Error fail(const char* what) {
    version_ = inner_->version();
    inner_ = nullptr;  // closes the connection or resets the stream
    return Error(ErrorCode::kUpstream,
                 "the answer's " + std::string(decoder_->name()) + " " + what);
  }
  std::unique_ptr<ClientResponse> inner_;
  std::unique_ptr<Decoder> decoder_;
  ResponseHead head_;
  HttpVersion version_ = HttpVersion::k1_1;
  std::string_view packed_;
  std::string unpacked_;
  uint64_t in_ = 0;
  uint64_t out_ = 0;
};

// "gzip, br;q=0.5": is `coding` in it, and not by q=0?
bool accepts(std::string_view list, std::string_view coding) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    const std::string_view item = list.substr(0, end);
    const size_t mark = std::min(item.find(';'), item.size());
    if (iequals(trim_ows(item.substr(0, mark)), coding)) {
      std::string_view weight = mark < item.size() ? trim_ows(item.substr(mark + 1)) : "";
      return !(weight == "q=0" || weight == "q=0.0" || weight == "q=0.00" || weight == "q=0.000");
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

}  // namespace

Sent decode_content(const ClientRequest& request, std::unique_ptr<ClientResponse> response) {
  const auto encoding = response->head().headers.get("content-encoding");
  if (!encoding || iequals(*encoding, "identity")) return response;
  const std::string coding(*encoding);
  const bool gzip = iequals(coding, "gzip") || iequals(coding, "x-gzip");
  const auto accepted = request.headers.get("accept-encoding");
  if ((!gzip && !iequals(coding, "br")) || !accepted || !accepts(*accepted, gzip ? "gzip" : "br")) {
    return Error(ErrorCode::kUpstream,
                 "the answer is encoded as '" + coding + "', which was not asked for");
  }
  const int status = response->status();
  if (request.method == "HEAD" || status == 204 || status == 304) return response;
  std::unique_ptr<Decoder> decoder;
  if (gzip) {
    decoder = std::make_unique<Gzip>();
  } else {
    decoder = std::make_unique<Brotli>();
  }
  return std::unique_ptr<ClientResponse>(
      std::make_unique<Decoded>(std::move(response), std::move(decoder)));
}

}  // namespace samplemind::net::pool
