// How well the map keeps neighbours together, beside the plane of most variance (PCA).
//
//   library_map HOME     the sounds of a library: laid out whole, and laid out by every second
//   sound
//                        with the others added afterwards
//
// For each sound the ten nearest by descriptor are compared with those on the map. "kept": how many
// of the ten are among the ten nearest on the map; "trust": 1 less a penalty for neighbours on the
// map that are far apart by sound (Venna and Kaski's trustworthiness). One JSON object a line.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "audio/feature/descriptor.h"
#include "base/json.h"
#include "library/catalogue.h"
#include "library/map/layout.h"

namespace {

using namespace samplemind;
using namespace samplemind::library;

constexpr size_t kDims = audio::kDescriptorDims;
constexpr size_t kNear = 10;
constexpr size_t kAsked = 2000;  // sounds whose neighbours are compared, at equal steps

double cpu_s() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return static_cast<double>(u.ru_utime.tv_sec) + static_cast<double>(u.ru_utime.tv_usec) / 1e6;
}

struct Score {
  double kept = 0, trust = 0;
};
Score score(const std::vector<std::vector<float>>& sounds, const std::vector<MapPlace>& places,
            size_t from, size_t step) {
  const size_t n = sounds.size();
  std::vector<size_t> asked;
  for (size_t i = from; i < n; i += step) asked.push_back(i);
  const size_t skip = std::max<size_t>(1, asked.size() / kAsked);
  std::vector<float> by_sound(n), by_map(n);
  std::vector<uint32_t> order(n), rank(n);
  double kept = 0, penalty = 0;
  size_t count = 0;
  for (size_t a = 0; a < asked.size(); a += skip, ++count) {
    const size_t i = asked[a];
    for (size_t j = 0; j < n; ++j) {
      float square = 0;
      for (size_t k = 0; k < kDims; ++k) {
        const float d = sounds[i][k] - sounds[j][k];
        square += d * d;
      }
      by_sound[j] = square;
      by_map[j] = std::hypot(places[i].x - places[j].x, places[i].y - places[j].y);
    }
    by_sound[i] = by_map[i] = -1;  // itself first
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t x, uint32_t y) { return by_sound[x] < by_sound[y]; });
    for (size_t r = 0; r < n; ++r) rank[order[r]] = static_cast<uint32_t>(r);
    std::iota(order.begin(), order.end(), 0u);
    std::partial_sort(order.begin(), order.begin() + kNear + 1, order.end(),
                      [&](uint32_t x, uint32_t y) { return by_map[x] < by_map[y]; });
    for (size_t k = 1; k <= kNear; ++k) {
      const uint32_t r = rank[order[k]];
      kept += r <= kNear;
      penalty += r > kNear ? r - kNear : 0;
    }
  }
  const double k = kNear, m = static_cast<double>(n), c = static_cast<double>(count);
  return {kept / (k * c), 1 - 2 / (c * k * (2 * m - 3 * k - 1)) * penalty};
}

void tell(const char* what, size_t sounds, const Score& s, double fit_s, double place_us) {
  std::string out;
  JsonWriter w(out);
  w.begin_object().field("layout", what).field("sounds", sounds).field("kept", s.kept);
  w.field("trust", s.trust).field("fit_cpu_s", fit_s).field("place_cpu_us", place_us).end_object();
  std::printf("%s\n", out.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: library_map HOME\n");
    return 2;
  }
  auto opened = Catalogue::open(argv[1], Catalogue::Access::kRead);
  if (!opened.ok()) {
    std::fprintf(stderr, "library_map: %s\n", opened.error().message().c_str());
    return 1;
  }
  SearchQuery all;
  const auto points = (*opened)->points(all, 100000);
  if (!points.ok() || points->ids.size() < 50) {
    std::fprintf(stderr, "library_map: fewer than 50 sounds with a descriptor\n");
    return 1;
  }
  const size_t n = points->ids.size();
  std::vector<std::vector<float>> sounds;
  for (size_t i = 0; i < n; ++i) {
    std::string d(audio::kDescriptorHeaderBytes, '\0');
    d[0] = static_cast<char>(audio::kDescriptorVersion);
    d.append(reinterpret_cast<const char*>(points->values.data()) + i * kDims, kDims);
    sounds.push_back(audio::descriptor_vector(d));
  }
  tell("widest plane", n, score(sounds, widest_plane(points->values), 0, 1), 0, 0);
  const auto lay_out = [&](const std::vector<int8_t>& rows, double& fit_s, double& place_us) {
    double start = cpu_s();
    const MapLayout layout = MapLayout::fit(rows);
    fit_s = cpu_s() - start;
    start = cpu_s();
    std::vector<MapPlace> places;
    for (size_t i = 0; i < n; ++i)
      places.push_back(layout.place(points->values.data() + i * kDims));
    place_us = (cpu_s() - start) * 1e6 / static_cast<double>(n);
    return places;
  };
  double fit_s = 0, place_us = 0;
  const auto whole = lay_out(points->values, fit_s, place_us);
  tell("map", n, score(sounds, whole, 0, 1), fit_s, place_us);
  std::vector<int8_t> half;
  for (size_t i = 0; i < n; i += 2)
    half.insert(half.end(), points->values.begin() + static_cast<std::ptrdiff_t>(i * kDims),
                points->values.begin() + static_cast<std::ptrdiff_t>((i + 1) * kDims));
  const auto grown = lay_out(half, fit_s, place_us);
  tell("map of every second sound: those it was laid out by", n, score(sounds, grown, 0, 2), fit_s,
       place_us);
  tell("map of every second sound: those added", n, score(sounds, grown, 1, 2), fit_s, place_us);
  return 0;
}
