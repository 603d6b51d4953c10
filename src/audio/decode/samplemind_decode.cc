// samplemind-decode FILE: decodes one sound file with FFmpeg's libraries and writes it as in
// decode/wire.h.
//
// A program of its own for two reasons: Debian builds those libraries with GPL parts, so that
// nothing else of SampleMind may link them; and a crash or hang on a hostile file ends this process
// and not the service. The caller limits its memory and time.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
}

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "audio/decode/wire.h"

namespace {

using namespace samplemind::audio;

struct FormatDeleter {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
};
struct CodecDeleter {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
};
struct FrameDeleter {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};
struct PacketDeleter {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};
struct SwrDeleter {
  void operator()(SwrContext* p) const { swr_free(&p); }
};

bool write_all(const void* data, size_t size) {
  return std::fwrite(data, 1, size, stdout) == size;
}

class Program {
 public:
  int run(const char* path) {
    AVFormatContext* raw = nullptr;
    if (avformat_open_input(&raw, path, nullptr, nullptr) != 0) return wire::kExitNotSound;
    format_.reset(raw);
    if (avformat_find_stream_info(format_.get(), nullptr) < 0) return wire::kExitDamaged;
    const AVCodec* codec = nullptr;
    stream_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (stream_ < 0 || codec == nullptr) return wire::kExitNotSound;
    const AVStream* stream = format_->streams[stream_];
    codec_.reset(avcodec_alloc_context3(codec));
    if (!codec_ || avcodec_parameters_to_context(codec_.get(), stream->codecpar) < 0)
      return wire::kExitDamaged;
    codec_->pkt_timebase =
        stream->time_base;  // lets the decoder drop the encoder's delay (edit list, gapless)
    codec_->thread_count = 1;
    if (avcodec_open2(codec_.get(), codec, nullptr) < 0) return wire::kExitDamaged;
    return decode(stream);
  }

 private:
  int decode(const AVStream* stream) {
    std::unique_ptr<AVPacket, PacketDeleter> packet(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (stream->duration > 0) {
      promised_ =
          av_rescale_q(stream->duration, stream->time_base, AVRational{1, codec_->sample_rate});
    }
    while (av_read_frame(format_.get(), packet.get()) >= 0) {
      const bool ours = packet->stream_index == stream_;
      const int sent = ours ? avcodec_send_packet(codec_.get(), packet.get()) : 0;
      av_packet_unref(packet.get());
      if (sent < 0 && sent != AVERROR_INVALIDDATA) return wire::kExitDamaged;
      if (!drain()) return wire::kExitDamaged;
    }
    avcodec_send_packet(codec_.get(), nullptr);
    if (!drain() || !started_) return wire::kExitDamaged;
    return std::fflush(stdout) == 0 ? 0 : wire::kExitDamaged;
  }

  bool drain() {
    while (avcodec_receive_frame(codec_.get(), frame_.get()) == 0) {
      const bool fine = emit();
      av_frame_unref(frame_.get());
      if (!fine) return false;
    }
    return true;
  }

  bool emit() {
    if (!started_ && !start()) return false;
    if (frame_->ch_layout.nb_channels != channels_ || frame_->sample_rate != rate_)
      return false;  // a change in the middle
    buffer_.resize(static_cast<size_t>(frame_->nb_samples) * static_cast<size_t>(channels_));
    uint8_t* out = reinterpret_cast<uint8_t*>(buffer_.data());
    const int n =
        swr_convert(swr_.get(), &out, frame_->nb_samples,
                    const_cast<const uint8_t**>(frame_->extended_data), frame_->nb_samples);
    return n >= 0 && give(static_cast<size_t>(n));
  }

  // The container says how many samples the sound has; what the last block of the codec holds
  // beyond them is padding. More than a block's worth beyond them means that the container lies,
  // and then nothing is dropped.
  bool give(size_t frames) {
    const auto width = static_cast<size_t>(channels_);
    const size_t promised =
        promised_ > 0 && padding_held_ ? static_cast<size_t>(promised_) : SIZE_MAX;
    const size_t fitting = promised > given_ ? std::min(frames, promised - given_) : 0;
    given_ += fitting;
    if (!write_all(buffer_.data(), fitting * width * sizeof(float))) return false;
    padding_.insert(padding_.end(), buffer_.begin() + static_cast<ptrdiff_t>(fitting * width),
                    buffer_.begin() + static_cast<ptrdiff_t>(frames * width));
    if (padding_.size() <= kPaddingMax * width) return true;
    padding_held_ = false;
    const bool fine = write_all(padding_.data(), padding_.size() * sizeof(float));
    padding_.clear();
    return fine;
  }

  bool start() {
    channels_ = frame_->ch_layout.nb_channels;
    rate_ = frame_->sample_rate;
    SwrContext* raw = nullptr;
    if (swr_alloc_set_opts2(&raw, &frame_->ch_layout, AV_SAMPLE_FMT_FLT, rate_, &frame_->ch_layout,
                            static_cast<AVSampleFormat>(frame_->format), rate_, 0, nullptr) < 0) {
      return false;
    }
    swr_.reset(raw);
    if (swr_init(raw) < 0) return false;
    wire::Header header{};
    std::memcpy(header.magic, wire::kMagic, sizeof header.magic);
    header.sample_rate_hz = static_cast<uint32_t>(rate_);
    header.channels = static_cast<uint32_t>(channels_);
    header.frames_promised = promised_;
    started_ = true;
    return write_all(&header, sizeof header);
  }

  std::unique_ptr<AVFormatContext, FormatDeleter> format_;
  std::unique_ptr<AVCodecContext, CodecDeleter> codec_;
  std::unique_ptr<AVFrame, FrameDeleter> frame_;
  std::unique_ptr<SwrContext, SwrDeleter> swr_;
  static constexpr size_t kPaddingMax = 4096;  // frames: a block of HE-AAC is 2,048
  std::vector<float> buffer_;
  std::vector<float> padding_;
  bool padding_held_ = true;
  size_t given_ = 0;
  int stream_ = -1;
  int channels_ = 0;
  int rate_ = 0;
  int64_t promised_ = -1;
  bool started_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || std::strcmp(argv[1], "--") != 0) {
    std::fprintf(stderr,
                 "samplemind-decode -- FILE: writes the decoded samples for samplemind; not meant "
                 "to be called by hand\n");
    return 2;
  }
  av_log_set_level(AV_LOG_QUIET);
  Program program;
  return program.run((std::string("file:") + argv[2]).c_str());
}
