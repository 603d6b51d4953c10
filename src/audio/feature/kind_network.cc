// Reading models/kind.bin and running it. The file is part of the program: a mistake in it is ours.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "audio/feature/kind.h"
#include "base/error.h"
#include "kind_model.h"

namespace samplemind::audio {

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

struct Layer {
  size_t in = 0, out = 0;
  std::vector<float> bias;
  std::vector<float> weights;  // [in][out]

  Layer(Reader& r, size_t in_size, size_t out_size) : in(in_size), out(out_size) {
    bias = r.floats(out);
    const std::vector<float> scale = r.floats(out);
    const std::vector<int8_t> steps = r.bytes(in * out);
    weights.resize(in * out);
    for (size_t i = 0; i < in; ++i)
      for (size_t o = 0; o < out; ++o)
        weights[i * out + o] = static_cast<float>(steps[i * out + o]) * scale[o];
  }

  // y is filled. Adds whole rows, so that the inner loop is vector code without reordering sums.
  void run(const float* x, float* y) const {
    std::copy(bias.begin(), bias.end(), y);
    for (size_t i = 0; i < in; ++i) {
      const float factor = x[i];
      if (factor == 0) continue;  // half of what comes out of a rectifier
      const float* row = weights.data() + i * out;
      for (size_t o = 0; o < out; ++o) y[o] += factor * row[o];
    }
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
    std::vector<float> a(nets_[0][0].out), b(nets_[0][1].out);
    std::array<float, kKindCount> z;
    for (const auto& net : nets_) {
      net[0].run(x.data(), a.data());
      for (float& v : a) v = std::max(v, 0.0f);
      net[1].run(a.data(), b.data());
      for (float& v : b) v = std::max(v, 0.0f);
      net[2].run(b.data(), z.data());
      const float most = *std::max_element(z.begin(), z.end());
      float total = 0;
      for (float& v : z) total += v = std::exp((v - most) / temperature_);
      for (size_t k = 0; k < kKindCount; ++k)
        sum[k] += z[k] / total / static_cast<float>(nets_.size());
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
