// Reading models/kind.bin and running it. The file is part of the program: a mistake in it is ours.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "audio/feature/kind.h"
#include "base/error.h"
#include "kind_model.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/kind_network.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

// y[o] = sum over i of x[i] weights[i][o], `out` a multiple of eight.
void multiply(const float* x, size_t in, const int8_t* weights, size_t out, float* y) {
  size_t o = 0;
  const auto columns = [&]<size_t kCount>() HWY_ATTR {
    F8 sum[kCount];
    for (F8& s : sum) s = set(0);
    const int8_t* row = weights + o;
    for (size_t i = 0; i < in; ++i, row += out) {
      const F8 factor = set(x[i]);
      for (size_t c = 0; c < kCount; ++c) sum[c] = mul_add(factor, load(row + 8 * c), sum[c]);
    }
    for (size_t c = 0; c < kCount; ++c) store(sum[c], y + o + 8 * c);
    o += 8 * kCount;
  };
  while (o + 64 <= out) columns.template operator()<8>();
  while (o < out) columns.template operator()<1>();
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(multiply);

namespace {

static_assert(std::endian::native == std::endian::little, "the model's numbers are little-endian");

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  template <typename T>
  T one() {
    T value;
    copy(&value, sizeof value);
    return value;
  }
  std::vector<float> floats(size_t n) {
    std::vector<float> out(n);
    copy(out.data(), n * sizeof(float));
    return out;
  }
  std::vector<int8_t> bytes(size_t n) {
    std::vector<int8_t> out(n);
    copy(out.data(), n);
    return out;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  void copy(void* to, size_t n) {
    SM_ASSERT(at_ + n <= bytes_.size());
    std::memcpy(to, bytes_.data() + at_, n);
    at_ += n;
  }
  std::string_view bytes_;
  size_t at_ = 0;
};

// Outputs are padded to whole vectors of eight, with weights and bias of 0.
struct Layer {
  size_t in = 0, out = 0, padded = 0;
  std::vector<float> bias, scale;
  std::vector<int8_t> weights;  // [in][padded], in steps of scale: a quarter of the memory read

  Layer(Reader& r, size_t in_size, size_t out_size)
      : in(in_size), out(out_size), padded((out_size + 7) / 8 * 8) {
    bias = r.floats(out);
    bias.resize(padded);
    scale = r.floats(out);
    scale.resize(padded);
    const std::vector<int8_t> steps = r.bytes(in * out);
    weights.resize(in * padded);
    for (size_t i = 0; i < in; ++i)
      std::copy_n(steps.begin() + static_cast<ptrdiff_t>(i * out), out,
                  weights.begin() + static_cast<ptrdiff_t>(i * padded));
  }

  // y, `padded` values, is filled.
  void run(const float* x, float* y) const {
    HWY_DYNAMIC_DISPATCH(multiply)(x, in, weights.data(), padded, y);
    for (size_t o = 0; o < padded; ++o) y[o] = bias[o] + scale[o] * y[o];
  }
};

class Network {
 public:
  static const Network& the() {
    static const Network network(embedded::kKindModel);
    return network;
  }

  KindProbabilities run(const std::array<float, kKindInputs>& inputs) const {
    std::array<float, kKindInputs> x;
    for (size_t i = 0; i < x.size(); ++i) x[i] = (inputs[i] - mean_[i]) * inverse_deviation_[i];
    KindProbabilities sum{};
    std::vector<float> a(nets_[0][0].padded), b(nets_[0][1].padded), z(nets_[0][2].padded);
    for (const auto& net : nets_) {
      net[0].run(x.data(), a.data());
      for (float& v : a) v = std::max(v, 0.0f);
      net[1].run(a.data(), b.data());
      for (float& v : b) v = std::max(v, 0.0f);
      net[2].run(b.data(), z.data());
      const std::span<float> kinds = std::span(z).first(kKindCount);
      const float most = *std::max_element(kinds.begin(), kinds.end());
      float total = 0;
      for (float& v : kinds) total += v = std::exp((v - most) / temperature_);
      for (size_t k = 0; k < kKindCount; ++k)
        sum[k] += kinds[k] / total / static_cast<float>(nets_.size());
    }
    return sum;
  }

 private:
  explicit Network(std::string_view file) {
    Reader r(file);
    SM_ASSERT(file.substr(0, 4) == "SMK1");
    r.one<uint32_t>();
    const auto nets = r.one<uint32_t>();
    const auto inputs = r.one<uint32_t>(), hidden1 = r.one<uint32_t>();
    const auto hidden2 = r.one<uint32_t>(), kinds = r.one<uint32_t>();
    temperature_ = r.one<float>();
    SM_ASSERT(nets > 0 && inputs == kKindInputs && kinds == kKindCount);
    mean_ = r.floats(inputs);
    inverse_deviation_ = r.floats(inputs);
    for (uint32_t n = 0; n < nets; ++n) {
      std::vector<Layer> layers;
      layers.emplace_back(r, inputs, hidden1);
      layers.emplace_back(r, hidden1, hidden2);
      layers.emplace_back(r, hidden2, kinds);
      nets_.push_back(std::move(layers));
    }
    SM_ASSERT(r.at_end());
  }

  float temperature_ = 1;
  std::vector<float> mean_, inverse_deviation_;
  std::vector<std::vector<Layer>> nets_;
};

}  // namespace

KindProbabilities kind_probabilities(const std::array<float, kKindInputs>& inputs) {
  return Network::the().run(inputs);
}

KindProbabilities kind_probabilities(const SoundProfile& profile) {
  return kind_probabilities(kind_inputs(profile));
}

std::optional<size_t> likeliest_kind(const KindProbabilities& probabilities) {
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  if (*best < kKindProbabilityMin) return std::nullopt;
  return static_cast<size_t>(best - probabilities.begin());
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
