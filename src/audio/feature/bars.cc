#include "audio/feature/bars.h"

#include <algorithm>
#include <cmath>

#include "audio/feature/weights_internal.h"
#include "bars_weights.h"
#include "base/error.h"

namespace samplemind::audio {

namespace {

constexpr size_t kQuarters = 4;
constexpr size_t kBands = kBarRises;
static_assert(kBarRises == kBarLevels);
constexpr std::array<size_t, 6> kHarmonyLags{1, 2, 3, 4, 6, 8};
constexpr std::array<size_t, 3> kPatternLags{2, 3, 4};
// Places in a beat's row.
constexpr size_t kPattern = 2 * kQuarters * kBands;  // rises of each quarter, then levels
constexpr size_t kOnset = kPattern;
constexpr size_t kBeat = kOnset + kQuarters;
constexpr size_t kDownbeat = kBeat + 1;
constexpr size_t kHarmony = kDownbeat + 1;
constexpr size_t kChange = kHarmony + kHarmonyLags.size();
constexpr size_t kAlike = kChange + 2;
constexpr size_t kPeriod = kAlike + kPatternLags.size();
constexpr size_t kOne = kPeriod + 1;
constexpr size_t kInputs = kOne + 1;
constexpr size_t kWidth = 48;

using Row = std::array<float, kInputs>;
using State = std::array<float, kWidth>;
using Chroma = std::array<double, kBarChroma>;

struct Layer {
  size_t inputs = 0;
  size_t outputs = 0;
  std::vector<float> weights;  // [input][output]
  std::vector<float> bias;
};

Layer read_layer(WeightReader& r, size_t inputs, size_t outputs) {
  Layer l{inputs, outputs, std::vector<float>(inputs * outputs), std::vector<float>(outputs)};
  for (float& v : l.weights) v = r.half();
  for (float& v : l.bias) v = r.half();
  return l;
}

struct Network {
  Layer in, head, pool, meter, pace;
  std::vector<Layer> wide, narrow;

  Network(WeightReader& r, size_t blocks) {
    in = read_layer(r, 3 * kInputs, kWidth);
    for (size_t i = 0; i < blocks; ++i) {
      wide.push_back(read_layer(r, 3 * kWidth, kWidth));
      narrow.push_back(read_layer(r, kWidth, kWidth));
    }
    head = read_layer(r, kWidth, 1);
    pool = read_layer(r, kWidth, kWidth);
    meter = read_layer(r, kWidth, kMeters);
    pace = read_layer(r, kWidth, kPaces);
  }
};

// Some networks trained from different starts: their answers are averaged.
struct Weights {
  Row mean{}, scale{};
  std::vector<size_t> dilations;
  std::vector<Network> networks;

  Weights() {
    WeightReader r(kBarsWeights, "SMB2");
    SM_ASSERT(r.u16() == kInputs);
    SM_ASSERT(r.u16() == kWidth);
    const size_t count = r.u16();
    SM_ASSERT(count > 0);
    dilations.resize(r.u16());
    for (size_t& d : dilations) d = r.u16();
    for (float& v : mean) v = r.half();
    for (float& v : scale) v = r.half();
    for (size_t i = 0; i < count; ++i) networks.emplace_back(r, dilations.size());
    SM_ASSERT(r.done());
  }
  static const Weights& get() {
    static const auto* weights = new Weights();
    return *weights;
  }
};

// to += the part of layer `l` that looks at inputs from `offset` on.
void add_product(const Layer& l, size_t offset, std::span<const float> x, State& to) {
  const float* w = &l.weights[offset * kWidth];
  State sum = to;  // a copy, so that the compiler sees that it is no weight
  for (const float v : x) {
    if (v != 0) {
      for (size_t o = 0; o < kWidth; ++o) sum[o] += v * w[o];
    }
    w += kWidth;
  }
  to = sum;
}

State biased(const Layer& l) {
  State s;
  std::copy(l.bias.begin(), l.bias.end(), s.begin());
  return s;
}

void rectify(State& s) {
  for (float& v : s) v = std::max(0.0f, v);
}

// Three taps `dilation` beats apart over rows that are zero outside, rectified.
template <class In>
std::vector<State> convolve(const Layer& l, const std::vector<In>& x, size_t dilation) {
  std::vector<State> y(x.size());
  for (size_t t = 0; t < x.size(); ++t) {
    State s = biased(l);
    const size_t width = x[t].size();
    if (t >= dilation) add_product(l, 0, x[t - dilation], s);
    add_product(l, width, x[t], s);
    if (t + dilation < x.size()) add_product(l, 2 * width, x[t + dilation], s);
    rectify(s);
    y[t] = s;
  }
  return y;
}

template <size_t N>
std::array<double, N> log_softmax(const Layer& l, const State& x) {
  std::array<double, N> y{};
  double top = -1e30;
  for (size_t o = 0; o < N; ++o) {
    double sum = l.bias[o];
    for (size_t i = 0; i < kWidth; ++i) sum += static_cast<double>(x[i]) * l.weights[i * N + o];
    y[o] = sum;
    top = std::max(top, sum);
  }
  double total = 0;
  for (const double v : y) total += std::exp(v - top);
  for (double& v : y) v -= top + std::log(total);
  return y;
}

float log_odds(float p) {
  p = std::clamp(p, 0.0025f, 0.9975f);  // 6 either way
  return std::log(p / (1 - p));
}

template <class A, class B>
double cosine(const A& a, const B& b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / (std::sqrt(aa * bb) + 1e-3);
}

// The bands of whole frames [from, to) of a beat.
class Bands {
 public:
  explicit Bands(const RhythmActivity& a) : a_(a), frames_(a.bands.size() / kBarBands) {}
  size_t frames() const { return frames_; }
  float at(size_t frame, size_t band) const {
    const float v = static_cast<float>(a_.bands[frame * kBarBands + band]) * (2.6f / 255);
    return band < kBarRises ? v : v - 1;
  }
  float most(size_t from, size_t to, size_t band) const {
    float m = at(from, band);
    for (size_t f = from + 1; f < to; ++f) m = std::max(m, at(f, band));
    return m;
  }
  float mean(size_t from, size_t to, size_t band) const {
    float sum = 0;
    for (size_t f = from; f < to; ++f) sum += at(f, band);
    return sum / static_cast<float>(to - from);
  }

 private:
  const RhythmActivity& a_;
  size_t frames_;
};

float most_likely(const std::vector<float>& p, size_t from, size_t to) {
  const auto begin = p.begin() + static_cast<ptrdiff_t>(from);
  return log_odds(*std::max_element(begin, p.begin() + static_cast<ptrdiff_t>(to))) / 4;
}

// What one beat sounds like by itself.
void describe(const RhythmActivity& a, const Bands& bands, double begin_s, double period_s,
              Row& row, Chroma& chroma) {
  const auto last = static_cast<double>(bands.frames() - 1);
  const auto frame = [&](double t, double shift) {
    return static_cast<size_t>(std::clamp(std::round(t * kRhythmBandsFps) + shift, 0.0, last));
  };
  std::array<size_t, kQuarters + 1> edges;
  for (size_t q = 0; q <= kQuarters; ++q)
    edges[q] = frame(begin_s + period_s * static_cast<double>(q) / kQuarters, -1);
  for (size_t q = 0; q < kQuarters; ++q) {
    const size_t from = edges[q];
    const size_t to = std::max(from + 1, std::min(edges[q + 1], bands.frames()));
    for (size_t b = 0; b < kBands; ++b) {
      row[q * kBands + b] = bands.most(from, to, b);
      row[(kQuarters + q) * kBands + b] = bands.mean(from, to, kBarRises + b);
    }
    row[kOnset + q] = most_likely(a.onset, 2 * from, 2 * to);
  }
  const size_t here = frame(begin_s, 0);
  const size_t before = here > 0 ? here - 1 : 0, after = std::min(here + 2, a.beat.size());
  row[kBeat] = most_likely(a.beat, before, after);
  row[kDownbeat] = most_likely(a.downbeat, before, after);
  const size_t to = std::min(std::max(edges[0] + 2, edges[kQuarters]), bands.frames());
  const size_t from = std::min(edges[0] + 1, to - 1);
  double mean = 0;
  for (size_t c = 0; c < kBarChroma; ++c) {
    chroma[c] = bands.mean(from, to, kBarRises + kBarLevels + c);
    mean += chroma[c] / kBarChroma;
  }
  for (double& v : chroma) v -= mean;
}

Chroma sum(const std::vector<Chroma>& list, size_t from, size_t to) {
  Chroma total{};
  for (size_t i = from; i < std::min(to, list.size()); ++i)
    for (size_t c = 0; c < kBarChroma; ++c) total[c] += list[i][c];
  return total;
}

// How each beat compares with those around it.
void compare(const std::vector<Chroma>& chroma, std::vector<Row>& rows) {
  const size_t n = rows.size();
  std::array<double, kPattern> mean{};
  for (const Row& r : rows)
    for (size_t i = 0; i < kPattern; ++i) mean[i] += r[i] / static_cast<double>(n);
  std::vector<std::array<double, kPattern>> pattern(n);
  for (size_t t = 0; t < n; ++t)
    for (size_t i = 0; i < kPattern; ++i) pattern[t][i] = rows[t][i] - mean[i];
  const auto back = [](size_t t, size_t by) { return t > by ? t - by : 0; };
  for (size_t t = 0; t < n; ++t) {
    for (size_t k = 0; k < kHarmonyLags.size(); ++k) {
      if (t >= kHarmonyLags[k])
        rows[t][kHarmony + k] = static_cast<float>(cosine(chroma[t], chroma[t - kHarmonyLags[k]]));
    }
    for (size_t k = 0; k < 2; ++k) {
      const size_t span = 2 + 2 * k;
      rows[t][kChange + k] =
          static_cast<float>(cosine(sum(chroma, t, t + span), sum(chroma, back(t, span), t)));
    }
    for (size_t k = 0; k < kPatternLags.size(); ++k) {
      if (n > 4 && t >= kPatternLags[k])
        rows[t][kAlike + k] = static_cast<float>(cosine(pattern[t], pattern[t - kPatternLags[k]]));
    }
  }
}

// Adds one network's share of the mean answer.
void add_answer(const Network& network, const Weights& w, const std::vector<Row>& rows,
                BarOpinion& opinion) {
  const size_t n = rows.size();
  const float share = 1 / static_cast<float>(w.networks.size());
  std::vector<State> state = convolve(network.in, rows, 1);
  for (size_t k = 0; k < w.dilations.size(); ++k) {
    const std::vector<State> wide = convolve(network.wide[k], state, w.dilations[k]);
    for (size_t t = 0; t < n; ++t) {
      State add = biased(network.narrow[k]);
      add_product(network.narrow[k], 0, wide[t], add);
      for (size_t i = 0; i < kWidth; ++i) state[t][i] += add[i];
    }
  }
  State pooled{};
  for (size_t t = 0; t < n; ++t) {
    float odds = network.head.bias[0];
    for (size_t i = 0; i < kWidth; ++i) odds += state[t][i] * network.head.weights[i];
    opinion.first[t] += share * odds;
    State p = biased(network.pool);
    add_product(network.pool, 0, state[t], p);
    for (size_t i = 0; i < kWidth; ++i) pooled[i] += std::max(0.0f, p[i]) / static_cast<float>(n);
  }
  const auto meter = log_softmax<kMeters>(network.meter, pooled);
  const auto pace = log_softmax<kPaces>(network.pace, pooled);
  for (size_t i = 0; i < kMeters; ++i) opinion.meter[i] += share * meter[i];
  for (size_t i = 0; i < kPaces; ++i) opinion.pace[i] += share * pace[i];
}

}  // namespace

BarOpinion hear_bars(const RhythmActivity& activity, std::span<const double> beats_s) {
  BarOpinion opinion;
  opinion.meter.fill(-std::log(static_cast<double>(kMeters)));
  opinion.pace.fill(-8);
  opinion.pace[0] = 0;
  const Bands bands(activity);
  const double end_s = static_cast<double>(bands.frames()) / kRhythmBandsFps;
  size_t n = beats_s.size();
  while (n > 0 && beats_s[n - 1] >= end_s) --n;
  if (n < 3) return opinion;

  const Weights& w = Weights::get();
  std::vector<Row> rows(n);
  std::vector<Chroma> chroma(n);
  for (size_t t = 0; t < n; ++t) {
    const size_t next = std::min(t + 1, n - 1);
    const double period = beats_s[next] - beats_s[next - 1];
    rows[t].fill(0);
    describe(activity, bands, beats_s[t], period, rows[t], chroma[t]);
    rows[t][kPeriod] = static_cast<float>(std::log(std::max(period, 0.05) / 0.5));
    rows[t][kOne] = 1;
  }
  compare(chroma, rows);
  for (Row& row : rows)
    for (size_t i = 0; i < kInputs; ++i) row[i] = (row[i] - w.mean[i]) * w.scale[i];

  opinion.first.assign(n, 0);
  opinion.meter.fill(0);
  opinion.pace.fill(0);
  for (const Network& network : w.networks) add_answer(network, w, rows, opinion);
  return opinion;
}

}  // namespace samplemind::audio
