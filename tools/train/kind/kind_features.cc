// The numbers that the kind network sees, for training it: the same code as in the program.
//
//   kind_features FILE...     one line of JSON for each file: {"file", "inputs": [...]}
//   kind_features -           reads sounds from standard input, each as two little-endian uint32
//                             (number of samples, rate in Hz) and the samples as float32; writes
//                             kKindInputs float32 for each, followed by the descriptor's 84 bytes.
//                             Zeros stand for a sound that is silent.
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

#include "audio/decode/decoder.h"
#include "audio/feature/descriptor.h"
#include "audio/feature/kind.h"

namespace {

using namespace samplemind::audio;

std::vector<float> at_profile_rate(const std::vector<float>& mono, double rate_hz) {
  if (rate_hz == kProfileRateHz) return mono;
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_MQ, 0);
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  std::vector<float> out(
      static_cast<size_t>(static_cast<double>(mono.size()) * kProfileRateHz / rate_hz) + 64);
  size_t done = 0;
  soxr_oneshot(rate_hz, kProfileRateHz, 1, mono.data(), mono.size(), nullptr, out.data(),
               out.size(), &done, &io, &quality, nullptr);
  out.resize(done);
  return out;
}

void profile_of(SoundProfile& profile, std::vector<float> mono, double rate_hz) {
  for (float& s : mono) s = std::isfinite(s) ? std::clamp(s, -16.0f, 16.0f) : 0;
  const std::vector<float> sound = at_profile_rate(mono, rate_hz);
  FrameEngine engine(kProfileRateHz);
  profile.subscribe(engine);
  profile.feed(sound);
  profile.flush();
  engine.feed(sound);
  engine.finish();
  profile.finish();
}

int from_files(int count, char** files) {
  int failed = 0;
  for (int i = 0; i < count; ++i) {
    auto decoder = Decoder::open(files[i]);
    if (!decoder.ok()) {
      std::fprintf(stderr, "%s\n", decoder.error().message().c_str());
      failed = 1;
      continue;
    }
    const auto channels = static_cast<size_t>((*decoder)->info().channels);
    std::vector<float> block(16384 * channels), mono;
    for (;;) {
      const auto frames = (*decoder)->read(block);
      if (!frames.ok() || *frames == 0) break;
      for (size_t f = 0; f < *frames; ++f) {
        float sum = 0;
        for (size_t c = 0; c < channels; ++c) sum += block[f * channels + c];
        mono.push_back(sum / static_cast<float>(channels));
      }
    }
    SoundProfile profile;
    profile_of(profile, std::move(mono), (*decoder)->info().sample_rate_hz);
    std::printf("{\"file\":\"%s\",\"inputs\":[", files[i]);
    if (profile.audible()) {
      const auto in = kind_inputs(profile);
      for (size_t k = 0; k < in.size(); ++k)
        std::printf("%s%.5g", k > 0 ? "," : "", static_cast<double>(in[k]));
    }
    std::printf("]}\n");
  }
  return failed;
}

int from_stream() {
  uint32_t head[2];
  std::vector<float> mono;
  while (std::fread(head, sizeof head, 1, stdin) == 1) {
    if (head[0] > 60u * 192000u || head[1] < 1000 || head[1] > 400000) return 1;
    mono.resize(head[0]);
    if (std::fread(mono.data(), sizeof(float), mono.size(), stdin) != mono.size()) return 1;
    SoundProfile profile;
    profile_of(profile, mono, head[1]);
    std::array<float, kKindInputs> in{};
    if (profile.audible()) in = kind_inputs(profile);
    std::string descriptor = make_descriptor(profile, {}, 0);
    descriptor.resize(kDescriptorBytes);
    std::fwrite(in.data(), sizeof(float), in.size(), stdout);
    std::fwrite(descriptor.data(), 1, descriptor.size(), stdout);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: kind_features FILE...|-\n");
    return 2;
  }
  if (argc == 2 && std::strcmp(argv[1], "-") == 0) return from_stream();
  return from_files(argc - 1, argv + 1);
}
