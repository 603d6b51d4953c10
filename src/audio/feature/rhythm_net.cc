#include "audio/feature/rhythm_net.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "audio/dsp/aligned.h"
#include "audio/feature/weights_internal.h"
#include "base/error.h"
#include "rhythm_weights.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audio/feature/rhythm_net.cc"
#include "audio/dsp/targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include "audio/dsp/lanes_internal.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::audio {
namespace HWY_NAMESPACE {

constexpr size_t kTile = 6;    // frames
constexpr size_t kGroup = 16;  // outputs

// out[t] = bias + sum over taps of in[t + (tap - taps / 2) * dilation] * weights, then for `mode`
// 0: as it is, 1: not below 0, 2: added to what out holds. Rows are `stride` floats apart; weights
// are [group][tap * inputs + input][kGroup]. Frames beyond n up to a whole tile are computed too.
void convolve(const float* in, size_t in_stride, size_t inputs, size_t taps, size_t dilation,
              const float* weights, const float* bias, size_t groups, int mode, float* out,
              size_t out_stride, size_t n) {
  const auto reach = static_cast<ptrdiff_t>(taps / 2 * dilation * in_stride);
  for (size_t t = 0; t < n; t += kTile) {
    for (size_t g = 0; g < groups; ++g) {
      const float* w = weights + g * taps * inputs * kGroup;
      const F8 b0 = load(bias + g * kGroup), b1 = load(bias + g * kGroup + 8);
      F8 a0 = b0, a1 = b0, a2 = b0, a3 = b0, a4 = b0, a5 = b0;
      F8 c0 = b1, c1 = b1, c2 = b1, c3 = b1, c4 = b1, c5 = b1;
      for (size_t tap = 0; tap < taps; ++tap) {
        const float* p = in + static_cast<ptrdiff_t>(t * in_stride) - reach +
                         static_cast<ptrdiff_t>(tap * dilation * in_stride);
        for (size_t i = 0; i < inputs; ++i, w += kGroup, ++p) {
          const F8 w0 = load(w), w1 = load(w + 8);
          F8 x = set(p[0]);
          a0 = mul_add(x, w0, a0);
          c0 = mul_add(x, w1, c0);
          x = set(p[in_stride]);
          a1 = mul_add(x, w0, a1);
          c1 = mul_add(x, w1, c1);
          x = set(p[2 * in_stride]);
          a2 = mul_add(x, w0, a2);
          c2 = mul_add(x, w1, c2);
          x = set(p[3 * in_stride]);
          a3 = mul_add(x, w0, a3);
          c3 = mul_add(x, w1, c3);
          x = set(p[4 * in_stride]);
          a4 = mul_add(x, w0, a4);
          c4 = mul_add(x, w1, c4);
          x = set(p[5 * in_stride]);
          a5 = mul_add(x, w0, a5);
          c5 = mul_add(x, w1, c5);
        }
      }
      float* o = out + t * out_stride + g * kGroup;
      const F8 zero = set(0);
      const auto put = [&](size_t row, F8 a, F8 c) HWY_ATTR {
        float* q = o + row * out_stride;
        if (mode == 1) {
          a = maximum(a, zero);
          c = maximum(c, zero);
        } else if (mode == 2) {
          a = add(a, load(q));
          c = add(c, load(q + 8));
        }
        store(a, q);
        store(c, q + 8);
      };
      put(0, a0, c0);
      put(1, a1, c1);
      put(2, a2, c2);
      put(3, a3, c3);
      put(4, a4, c4);
      put(5, a5, c5);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::audio
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace samplemind::audio {

HWY_EXPORT(convolve);

namespace {

constexpr size_t kTileFrames = 6;
constexpr size_t kGroupSize = 16;
constexpr size_t kContext = 520;  // frames: 2 + the sum of the dilations, rounded up
constexpr size_t kCore = 8192;    // frames answered at a time (163 s)
constexpr size_t kPoolFrames = 1024;
constexpr size_t kPoolMin = 256;     // shorter stretches join the one before
constexpr float kReferenceMin = -9;  // ln of amplitude: a sound below -78 dBFS stays quiet

struct Layer {
  size_t inputs = 0, outputs = 0, taps = 1, groups = 0;
  AlignedFloats weights;  // [group][tap * inputs + input][16]
  AlignedFloats bias;
};

Layer read_layer(WeightReader& r, size_t taps, size_t inputs, size_t outputs) {
  Layer l;
  l.taps = taps;
  l.inputs = inputs;
  l.outputs = outputs;
  l.groups = (outputs + kGroupSize - 1) / kGroupSize;
  l.weights = AlignedFloats(l.groups * taps * inputs * kGroupSize);
  l.bias = AlignedFloats(l.groups * kGroupSize);
  for (size_t i = 0; i < taps * inputs; ++i) {
    for (size_t o = 0; o < outputs; ++o)
      l.weights[(o / kGroupSize * taps * inputs + i) * kGroupSize + o % kGroupSize] = r.half();
  }
  for (size_t o = 0; o < outputs; ++o) l.bias[o] = r.half();
  return l;
}

struct Weights {
  size_t hidden, width, pool;
  std::vector<size_t> dilations;
  Layer in, mid, head, pool_in, pool_hidden, tempo, meter;
  std::vector<Layer> wide, narrow;

  Weights() {
    WeightReader r(kRhythmWeights, "SMR1");
    SM_ASSERT(r.u16() == kRhythmInputs);
    hidden = r.u16();
    width = r.u16();
    pool = r.u16();
    SM_ASSERT(hidden % kGroupSize == 0 && width % kGroupSize == 0 && pool % kGroupSize == 0);
    SM_ASSERT(r.u16() == kRhythmTempi);
    SM_ASSERT(r.u16() == kMeters);
    dilations.resize(r.u16());
    size_t reach = 2;
    for (size_t& d : dilations) reach += d = r.u16();
    SM_ASSERT(reach <= kContext);
    in = read_layer(r, 3, kRhythmInputs, hidden);
    mid = read_layer(r, 3, hidden, width);
    for (size_t i = 0; i < dilations.size(); ++i) {
      wide.push_back(read_layer(r, 3, width, width));
      narrow.push_back(read_layer(r, 1, width, width));
    }
    head = read_layer(r, 1, width, 4);
    pool_in = read_layer(r, 1, width, pool);
    pool_hidden = read_layer(r, 1, pool, pool);
    tempo = read_layer(r, 1, pool, kRhythmTempi);
    meter = read_layer(r, 1, pool, kMeters);
    SM_ASSERT(r.done());
  }
  static const Weights& get() {
    static const auto* weights = new Weights();
    return *weights;
  }
};

float sigmoid(float x) {
  return 1 / (1 + std::exp(-x));
}

// For one row, by plain loops.
std::vector<float> apply(const Layer& l, std::span<const float> x, bool rectify) {
  std::vector<float> y(l.outputs);
  for (size_t o = 0; o < l.outputs; ++o) {
    float sum = l.bias[o];
    for (size_t i = 0; i < l.inputs; ++i)
      sum += x[i] * l.weights[(o / kGroupSize * l.inputs + i) * kGroupSize + o % kGroupSize];
    y[o] = rectify ? std::max(0.0f, sum) : sum;
  }
  return y;
}

template <size_t N>
void add_log_softmax(const std::vector<float>& logits, double weight, std::array<double, N>& to) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += std::exp(v - top);
  for (size_t i = 0; i < N; ++i) to[i] += weight * (logits[i] - top - std::log(sum));
}

}  // namespace

double rhythm_class_bpm(size_t index) {
  return 40 * std::exp(0.03 * static_cast<double>(index));
}

// Rows of a layer with silence before and after, for the dilated layers to look at.
struct RhythmListener::Buffers {
  struct Rows {
    size_t stride = 0, margin = 0;
    AlignedFloats data;
    void size(size_t frames, size_t width, size_t around) {
      stride = width;
      margin = around;
      const size_t need = (frames + 2 * around + kTileFrames) * width;
      if (data.size() < need) data = AlignedFloats(need);
      std::fill(data.data(), data.data() + data.size(), 0.0f);
    }
    float* row(size_t i) { return data.data() + (margin + i) * stride; }
  };
  Rows in, hidden, state, wide, head, pooled;
};

RhythmListener::RhythmListener() : buffers_(std::make_unique<Buffers>()) {}
RhythmListener::~RhythmListener() = default;

void RhythmListener::pump() {
  bands_.take(bands_.ready(), pending_);
  while (pending_.size() >= (context_ + kCore + kContext) * kRhythmInputs) {
    run(context_ + kCore + kContext, context_, context_ + kCore);
    const size_t used = context_ + kCore - kContext;
    pending_.erase(pending_.begin(),
                   pending_.begin() + static_cast<ptrdiff_t>(used * kRhythmInputs));
    context_ = kContext;
  }
}

void RhythmListener::finish() {
  bands_.finish();
  pump();
  const size_t frames = pending_.size() / kRhythmInputs;
  if (frames > context_) run(frames, context_, frames);
  pending_.clear();
  pending_.shrink_to_fit();
  buffers_.reset();
  if (pooled_frames_ > 0) {
    for (double& v : activity_.tempo) v /= pooled_frames_;
    for (double& v : activity_.meter) v /= pooled_frames_;
  }
}

RhythmActivity evaluate_rhythm_rows(std::vector<float> rows) {
  RhythmListener listener;
  listener.pending_ = std::move(rows);
  listener.finish();
  return listener.activity();
}

void RhythmListener::run(size_t frames, size_t core_begin, size_t core_end) {
  const Weights& w = Weights::get();
  Buffers& b = *buffers_;
  const size_t reach = *std::max_element(w.dilations.begin(), w.dilations.end());
  b.in.size(frames, kRhythmInputs, 1);
  b.hidden.size(frames, w.hidden, 1);
  b.state.size(frames, w.width, reach);
  b.wide.size(frames, w.width, 0);
  b.head.size(frames, kGroupSize, 0);
  b.pooled.size(frames, w.pool, 0);

  // Level relative to the loudest band of the loud frames.
  std::vector<float> loudest(frames);
  for (size_t i = 0; i < frames; ++i) {
    const float* row = &pending_[i * kRhythmInputs];
    loudest[i] = *std::max_element(row, row + kRhythmInputs);
  }
  const auto nth = loudest.begin() + static_cast<ptrdiff_t>(frames * 19 / 20);
  std::nth_element(loudest.begin(), nth, loudest.end());
  const float reference = std::max(*nth, kReferenceMin);
  float* to = b.in.row(0);
  for (size_t i = 0; i < frames * kRhythmInputs; ++i)
    to[i] = std::clamp(pending_[i] - reference, -6.5f, 2.0f) / 3.25f + 1.0f;

  keep_bands(core_begin, core_end);

  const auto convolve_into = [&](Buffers::Rows& from, const Layer& l, size_t dilation, int mode,
                                 Buffers::Rows& out) {
    HWY_DYNAMIC_DISPATCH(convolve)
    (from.row(0), from.stride, l.inputs, l.taps, dilation, l.weights.data(), l.bias.data(),
     l.groups, mode, out.row(0), out.stride, frames);
    // Rows of the last, partial tile: silence again for the layers that look there.
    std::fill(out.row(frames), out.row(frames) + kTileFrames * out.stride, 0.0f);
  };
  convolve_into(b.in, w.in, 1, 1, b.hidden);
  convolve_into(b.hidden, w.mid, 1, 1, b.state);
  for (size_t i = 0; i < w.dilations.size(); ++i) {
    convolve_into(b.state, w.wide[i], w.dilations[i], 1, b.wide);
    convolve_into(b.wide, w.narrow[i], 1, 2, b.state);
  }
  convolve_into(b.state, w.head, 1, 0, b.head);
  convolve_into(b.state, w.pool_in, 1, 1, b.pooled);

  for (size_t i = core_begin; i < core_end; ++i) {
    const float* y = b.head.row(i);
    activity_.beat.push_back(sigmoid(y[0]));
    activity_.downbeat.push_back(sigmoid(y[1]));
    activity_.onset.push_back(sigmoid(y[2]));
    activity_.onset.push_back(sigmoid(y[3]));
  }
  for (size_t at = core_begin; at < core_end;) {
    size_t end = std::min(core_end, at + kPoolFrames);
    if (core_end - end < kPoolMin) end = core_end;
    std::vector<float> mean(w.pool, 0);
    for (size_t i = at; i < end; ++i)
      for (size_t c = 0; c < w.pool; ++c) mean[c] += b.pooled.row(i)[c];
    const auto count = static_cast<float>(end - at);
    for (float& v : mean) v /= count;
    const std::vector<float> q = apply(w.pool_hidden, mean, true);
    add_log_softmax(apply(w.tempo, q, false), count, activity_.tempo);
    add_log_softmax(apply(w.meter, q, false), count, activity_.meter);
    pooled_frames_ += count;
    at = end;
  }
}

// Of the normalised rows in buffers_->in: small enough to keep, so that beats can be looked at once
// they are known.
void RhythmListener::keep_bands(size_t begin, size_t end) {
  constexpr size_t kWide = kRhythmMelBands / kBarLevels;
  const auto byte = [](float v) {
    return static_cast<uint8_t>(std::lround(std::clamp(v, 0.0f, 2.6f) * (255 / 2.6f)));
  };
  for (size_t i = begin; i < end && activity_.bands.size() < kBarFramesMax * kBarBands; ++i) {
    const float* row = buffers_->in.row(i);
    const float* before = i > 0 ? buffers_->in.row(i - 1) : nullptr;
    std::array<uint8_t, kBarBands> bytes;
    for (size_t b = 0; b < kBarLevels; ++b) {
      float level = 0, rise = 0;
      for (size_t half = 0; half < 2; ++half) {
        float risen = 0;
        for (size_t k = half * kRhythmMelBands + b * kWide, n = k + kWide; k < n; ++k) {
          level += row[k];
          risen += std::max(0.0f, row[k] - (before != nullptr ? before[k] : -1));
        }
        rise = std::max(rise, risen);
      }
      bytes[b] = byte(rise / kWide);
      bytes[kBarRises + b] = byte(level / (2 * kWide) + 1);
    }
    const float* notes = row + 2 * kRhythmMelBands;
    for (size_t c = 0; c < kBarChroma; ++c) {
      float most = notes[c];
      for (size_t k = c + kBarChroma; k < kRhythmNoteBands; k += kBarChroma)
        most = std::max(most, notes[k]);
      bytes[kBarRises + kBarLevels + c] = byte(most + 1);
    }
    activity_.bands.insert(activity_.bands.end(), bytes.begin(), bytes.end());
  }
}

}  // namespace samplemind::audio
#endif  // HWY_ONCE
