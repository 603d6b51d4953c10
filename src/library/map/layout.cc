#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "library/map/layout.cc"  // NOLINT
#include <hwy/foreach_target.h>                     // first: compiles what follows once a target
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <unordered_set>

#include "library/index/sound_vectors.h"
#include "library/map/layout.h"

HWY_BEFORE_NAMESPACE();
namespace samplemind::library {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What pushes point (px, py) away from all points: the sum of q^2 * difference with
// q = 1 / (1 + distance^2), and the sum of q. `n` is a multiple of 16; points beyond the last one
// lie so far away that they count for nothing.
void Repulsion(const float* HWY_RESTRICT x, const float* HWY_RESTRICT y, size_t n, float px,
               float py, float* HWY_RESTRICT out) {
  const hn::CappedTag<float, 16> d;
  const size_t lanes = hn::Lanes(d);
  const auto one = hn::Set(d, 1.0f);
  const auto at_x = hn::Set(d, px);
  const auto at_y = hn::Set(d, py);
  auto sum_x = hn::Zero(d), sum_y = hn::Zero(d), sum_q = hn::Zero(d);
  for (size_t i = 0; i < n; i += lanes) {
    const auto dx = hn::Sub(at_x, hn::LoadU(d, x + i));
    const auto dy = hn::Sub(at_y, hn::LoadU(d, y + i));
    const auto q = hn::Div(one, hn::MulAdd(dx, dx, hn::MulAdd(dy, dy, one)));
    const auto qq = hn::Mul(q, q);
    sum_x = hn::MulAdd(qq, dx, sum_x);
    sum_y = hn::MulAdd(qq, dy, sum_y);
    sum_q = hn::Add(sum_q, q);
  }
  out[0] = hn::GetLane(hn::SumOfLanes(d, sum_x));
  out[1] = hn::GetLane(hn::SumOfLanes(d, sum_y));
  out[2] = hn::GetLane(hn::SumOfLanes(d, sum_q));
}

}  // namespace HWY_NAMESPACE
}  // namespace samplemind::library
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace samplemind::library {

HWY_EXPORT(Repulsion);

namespace {

constexpr size_t kDims = audio::kDescriptorDims;
constexpr size_t kBlocks = kDims / 16;
constexpr double kPerplexity = 30;
constexpr int kSteps = 500;
constexpr int kTightSteps = 120;  // of them at the start, with neighbours pulled harder
constexpr float kTight = 12;
constexpr size_t kPlacedBy = 10;  // anchors that say where a sound lies
constexpr int kPlaceSteps = 4;
constexpr float kMargin = 0.02f;
constexpr std::string_view kMagic = "smlayout1";

// Squared distances (default weights) from `values` to all rows.
void squares(const int8_t* values, std::span<const int8_t> rows, std::vector<int32_t>& sums,
             std::vector<float>& out) {
  static const std::array<float, kBlocks> factors = block_factors({});
  const size_t n = rows.size() / kDims;
  sums.resize(n * kBlocks);
  out.resize(n);
  block_sums(values, rows.data(), n, sums.data());
  for (size_t i = 0; i < n; ++i) {
    float square = 0;
    for (size_t b = 0; b < kBlocks; ++b)
      square += factors[b] * static_cast<float>(sums[i * kBlocks + b]);
    out[i] = square;
  }
}

struct Link {
  uint32_t to = 0;
  float weight = 0;
};
using Links = std::vector<std::vector<Link>>;

// The weights of a point's neighbours: a bell whose width gives the perplexity wanted.
void weigh(std::vector<Link>& links, double perplexity) {
  const double wanted = std::log(perplexity);
  const float nearest = links.front().weight;
  double low = 0, high = INFINITY, beta = 1;
  std::vector<double> p(links.size());
  for (int step = 0; step < 60; ++step) {
    double sum = 0, mean = 0;
    for (size_t i = 0; i < links.size(); ++i) {
      const double d = links[i].weight - nearest;
      p[i] = std::exp(-beta * d);
      sum += p[i];
      mean += p[i] * d;
    }
    const double entropy = std::log(sum) + beta * mean / sum;
    for (double& v : p) v /= sum;
    if (std::abs(entropy - wanted) < 1e-4) break;
    if (entropy > wanted) {
      low = beta;
      beta = std::isinf(high) ? beta * 2 : (beta + high) / 2;
    } else {
      high = beta;
      beta = (beta + low) / 2;
    }
  }
  for (size_t i = 0; i < links.size(); ++i) links[i].weight = static_cast<float>(p[i]);
}

// Who pulls whom: each point's nearest ones, made mutual; all weights together are 1.
Links neighbours(std::span<const int8_t> rows) {
  const size_t n = rows.size() / kDims;
  const double perplexity = std::min(kPerplexity, static_cast<double>(n - 1) / 3);
  const size_t k = std::min(n - 1, static_cast<size_t>(3 * perplexity) + 1);
  Links links(n);
  std::vector<int32_t> sums;
  std::vector<float> square;
  std::vector<uint32_t> order(n);
  for (size_t i = 0; i < n; ++i) {
    squares(rows.data() + i * kDims, rows, sums, square);
    square[i] = INFINITY;
    std::iota(order.begin(), order.end(), 0u);
    const auto nearer = [&](uint32_t a, uint32_t b) {
      return square[a] != square[b] ? square[a] < square[b] : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                      nearer);
    for (size_t j = 0; j < k; ++j) links[i].push_back({order[j], square[order[j]]});
    weigh(links[i], std::max(1.01, perplexity));
  }
  const float share = 1 / (2 * static_cast<float>(n));
  Links both(n);
  for (uint32_t i = 0; i < n; ++i) {
    for (const Link& l : links[i]) {
      both[i].push_back({l.to, l.weight * share});
      both[l.to].push_back({i, l.weight * share});
    }
  }
  return both;
}

// The points of t-SNE while it runs.
struct Points {
  explicit Points(size_t n) : count(n), x((n + 15) / 16 * 16, 1e9f), y(x.size(), 1e9f) {}
  size_t count;
  std::vector<float> x, y;  // padded with points far away
};

void settle(Points& p, const Links& links) {
  const size_t n = p.count;
  const float rate = std::max(50.0f, static_cast<float>(n) / kTight);
  std::vector<float> push(3 * n), speed(2 * n), gain(2 * n, 1);
  for (int step = 0; step < kSteps; ++step) {
    const float tight = step < kTightSteps ? kTight : 1;
    const float momentum = step < kTightSteps ? 0.5f : 0.8f;
    double all = 0;
    for (size_t i = 0; i < n; ++i) {
      HWY_DYNAMIC_DISPATCH(Repulsion)
      (p.x.data(), p.y.data(), p.x.size(), p.x[i], p.y[i], push.data() + 3 * i);
      all += push[3 * i + 2] - 1;  // without itself
    }
    const float part = static_cast<float>(1 / all);
    // Every point is moved by where all were before.
    std::vector<float> slope(2 * n);
    for (size_t i = 0; i < n; ++i) {
      float pull_x = 0, pull_y = 0;
      for (const Link& l : links[i]) {
        const float dx = p.x[i] - p.x[l.to];
        const float dy = p.y[i] - p.y[l.to];
        const float w = l.weight / (1 + dx * dx + dy * dy);
        pull_x += w * dx;
        pull_y += w * dy;
      }
      slope[2 * i] = 4 * (tight * pull_x - push[3 * i] * part);
      slope[2 * i + 1] = 4 * (tight * pull_y - push[3 * i + 1] * part);
    }
    for (size_t c = 0; c < 2 * n; ++c) {
      gain[c] = std::max(0.01f, (slope[c] > 0) == (speed[c] > 0) ? gain[c] * 0.8f : gain[c] + 0.2f);
      speed[c] = momentum * speed[c] - rate * gain[c] * slope[c];
      (c % 2 == 0 ? p.x : p.y)[c / 2] += speed[c];
    }
  }
}

// Into the square from 0 to 1, as large as fits, its form kept.
void frame(std::vector<MapPlace>& places) {
  float low_x = INFINITY, low_y = INFINITY, high_x = -INFINITY, high_y = -INFINITY;
  for (const MapPlace& p : places) {
    low_x = std::min(low_x, p.x), high_x = std::max(high_x, p.x);
    low_y = std::min(low_y, p.y), high_y = std::max(high_y, p.y);
  }
  const float size = std::max(high_x - low_x, high_y - low_y);
  const float scale = size > 0 ? (1 - 2 * kMargin) / size : 0;
  for (MapPlace& p : places) {
    p.x = 0.5f + (p.x - (low_x + high_x) / 2) * scale;
    p.y = 0.5f + (p.y - (low_y + high_y) / 2) * scale;
  }
}

float distance(const MapPlace& a, const MapPlace& b) {
  return std::hypot(a.x - b.x, a.y - b.y);
}

// The `count` nearest anchors as (square, anchor), nearest first.
std::vector<std::pair<float, uint32_t>> nearest_of(const std::vector<float>& square, size_t count) {
  std::vector<std::pair<float, uint32_t>> best;
  best.reserve(count + 1);
  for (uint32_t i = 0; i < square.size(); ++i) {
    if (best.size() == count && square[i] >= best.back().first) continue;
    const std::pair<float, uint32_t> one{square[i], i};
    best.insert(std::upper_bound(best.begin(), best.end(), one), one);
    if (best.size() > count) best.pop_back();
  }
  return best;
}

uint64_t hash(const int8_t* values) {
  uint64_t h = 1469598103934665603ull;
  for (size_t i = 0; i < kDims; ++i) h = (h ^ static_cast<uint8_t>(values[i])) * 1099511628211ull;
  return (h ^ h >> 29) * 0xBF58476D1CE4E5B9ull;
}

}  // namespace

std::vector<MapPlace> widest_plane(std::span<const int8_t> rows) {
  static const std::array<float, kBlocks> factors = block_factors({});
  const size_t n = rows.size() / kDims;
  std::array<double, kDims> mean{};
  for (size_t i = 0; i < rows.size(); ++i) mean[i % kDims] += rows[i];
  for (double& m : mean) m /= static_cast<double>(std::max<size_t>(n, 1));
  const auto value = [&](size_t row, size_t i) {
    return (rows[row * kDims + i] - mean[i]) * std::sqrt(static_cast<double>(factors[i / 16]));
  };
  std::vector<double> spread(kDims * kDims);
  for (size_t r = 0; r < n; ++r) {
    std::array<double, kDims> v;
    for (size_t i = 0; i < kDims; ++i) v[i] = value(r, i);
    for (size_t i = 0; i < kDims; ++i) {
      for (size_t j = 0; j < kDims; ++j) spread[i * kDims + j] += v[i] * v[j];
    }
  }
  // The two directions of most variance, by repeated multiplication.
  std::array<std::array<double, kDims>, 2> axes{};
  for (size_t a = 0; a < 2; ++a) {
    std::array<double, kDims>& axis = axes[a];
    for (size_t i = 0; i < kDims; ++i) axis[i] = 1 + static_cast<double>((i * 7 + a * 3) % 11);
    for (int step = 0; step < 200; ++step) {
      std::array<double, kDims> next{};
      for (size_t i = 0; i < kDims; ++i) {
        for (size_t j = 0; j < kDims; ++j) next[i] += spread[i * kDims + j] * axis[j];
      }
      if (a == 1) {
        const double along = std::inner_product(next.begin(), next.end(), axes[0].begin(), 0.0);
        for (size_t i = 0; i < kDims; ++i) next[i] -= along * axes[0][i];
      }
      const double size =
          std::sqrt(std::inner_product(next.begin(), next.end(), next.begin(), 0.0));
      if (size < 1e-12) {
        axis = {};  // no variance left
        break;
      }
      for (size_t i = 0; i < kDims; ++i) axis[i] = next[i] / size;
    }
  }
  std::vector<MapPlace> places(n);
  for (size_t r = 0; r < n; ++r) {
    double x = 0, y = 0;
    for (size_t i = 0; i < kDims; ++i) {
      x += value(r, i) * axes[0][i];
      y += value(r, i) * axes[1][i];
    }
    places[r] = {static_cast<float>(x), static_cast<float>(y)};
  }
  return places;
}

MapLayout MapLayout::fit(std::span<const int8_t> rows) {
  MapLayout layout;
  // Copies of a sound would be anchors on top of each other.
  std::unordered_set<std::string_view> seen;
  std::vector<size_t> different;
  for (size_t r = 0; r < rows.size() / kDims; ++r) {
    const std::string_view bytes(reinterpret_cast<const char*>(rows.data()) + r * kDims, kDims);
    if (seen.insert(bytes).second) different.push_back(r);
  }
  const size_t n = std::min(different.size(), kAnchorsMax);
  if (n < different.size()) {
    // Drawn by a hash of the sound: equal steps may fall in step with how a library is made.
    std::vector<std::pair<uint64_t, size_t>> drawn;
    for (const size_t r : different) drawn.emplace_back(hash(rows.data() + r * kDims), r);
    std::nth_element(drawn.begin(), drawn.begin() + static_cast<std::ptrdiff_t>(n), drawn.end());
    for (size_t i = 0; i < n; ++i) different[i] = drawn[i].second;
    different.resize(n);
    std::sort(different.begin(), different.end());
  }
  for (const size_t r : different) {
    const int8_t* const from = rows.data() + r * kDims;
    layout.rows_.insert(layout.rows_.end(), from, from + kDims);
  }
  layout.places_ = widest_plane(layout.rows_);
  if (n >= 4) {
    double size = 0;
    for (const MapPlace& p : layout.places_) size += p.x * p.x + p.y * p.y;
    const float scale = 1e-2f / static_cast<float>(std::sqrt(size / static_cast<double>(n)) + 1e-9);
    Points points(n);
    for (size_t i = 0; i < n; ++i) {
      points.x[i] = layout.places_[i].x * scale;
      points.y[i] = layout.places_[i].y * scale;
    }
    settle(points, neighbours(layout.rows_));
    for (size_t i = 0; i < n; ++i) layout.places_[i] = {points.x[i], points.y[i]};
  }
  frame(layout.places_);
  layout.find_reach();
  return layout;
}

void MapLayout::find_reach() {
  std::vector<int32_t> sums;
  std::vector<float> square;
  reach_.assign(anchors(), 0);
  for (size_t i = 0; i < anchors(); ++i) {
    squares(rows_.data() + i * kDims, rows_, sums, square);
    std::vector<float> far;
    for (const auto& [d, other] : nearest_of(square, kPlacedBy + 1))
      far.push_back(distance(places_[i], places_[other]));
    std::nth_element(far.begin(), far.begin() + static_cast<std::ptrdiff_t>(far.size() / 2),
                     far.end());
    reach_[i] = std::max(far[far.size() / 2], 1e-4f);
  }
}

// Among the nearest anchors by sound, weighed by nearness; those that lie elsewhere on the map than
// the nearest one count little, or a sound between two islands would lie in the sea.
MapPlace MapLayout::place(const int8_t* values) const {
  if (anchors() == 0) return {0.5f, 0.5f};
  thread_local std::vector<int32_t> sums;
  thread_local std::vector<float> square;
  squares(values, rows_, sums, square);
  const auto near = nearest_of(square, std::min(kPlacedBy, anchors()));
  MapPlace at = places_[near[0].second];
  if (near[0].first <= 0) return at;
  const float reach = 2 * reach_[near[0].second];
  for (int step = 0; step < kPlaceSteps; ++step) {
    float x = 0, y = 0, sum = 0;
    for (const auto& [d, anchor] : near) {
      const float ratio = near[0].first / d;  // of squares: the fourth power of nearness
      const float far = distance(at, places_[anchor]) / reach;
      const float w = ratio * ratio / (1 + far * far * far * far);
      x += w * places_[anchor].x;
      y += w * places_[anchor].y;
      sum += w;
    }
    at = {x / sum, y / sum};
  }
  return at;
}

void MapLayout::write(std::string& out) const {
  const auto count = static_cast<uint32_t>(anchors());
  out += kMagic;
  out.append(reinterpret_cast<const char*>(&count), sizeof count);
  out.append(reinterpret_cast<const char*>(rows_.data()), rows_.size());
  out.append(reinterpret_cast<const char*>(places_.data()), places_.size() * sizeof(MapPlace));
}

Result<MapLayout> MapLayout::read(std::string_view& bytes) {
  const auto damaged = [] { return Error(ErrorCode::kDataLoss, "the map's layout is damaged"); };
  uint32_t count = 0;
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + sizeof count) return damaged();
  bytes.remove_prefix(kMagic.size());
  std::memcpy(&count, bytes.data(), sizeof count);
  bytes.remove_prefix(sizeof count);
  if (count > kAnchorsMax || bytes.size() < count * (kDims + sizeof(MapPlace))) return damaged();
  MapLayout layout;
  const auto* const rows = reinterpret_cast<const int8_t*>(bytes.data());
  layout.rows_.assign(rows, rows + count * kDims);
  bytes.remove_prefix(count * kDims);
  layout.places_.resize(count);
  std::memcpy(layout.places_.data(), bytes.data(), count * sizeof(MapPlace));
  bytes.remove_prefix(count * sizeof(MapPlace));
  for (const MapPlace& p : layout.places_) {
    if (!(p.x >= 0 && p.x <= 1 && p.y >= 0 && p.y <= 1)) return damaged();
  }
  layout.find_reach();
  return layout;
}

}  // namespace samplemind::library

#endif  // HWY_ONCE
