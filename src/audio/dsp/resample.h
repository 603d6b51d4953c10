// Mono from any rate to the analysis rate, by soxr (48 dB and more of what would alias is gone, the
// passband reaches 91 % of the new half rate). One sound, one thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

struct soxr;

namespace samplemind::audio {

class MonoResampler {
 public:
  MonoResampler(int from_hz, int to_hz);
  // The samples are valid until the next call. An empty `in` flushes: call until nothing comes.
  std::span<const float> process(std::span<const float> in);
  bool active() const { return resampler_ != nullptr; }  // false: the rates are equal

 private:
  struct Deleter {
    void operator()(soxr* p) const;
  };
  std::unique_ptr<soxr, Deleter> resampler_;
  double ratio_ = 1;
  std::vector<float> out_;
};

}  // namespace samplemind::audio
