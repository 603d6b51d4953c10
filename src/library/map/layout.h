// Where sounds lie on the map: a plane on which neighbours by descriptor
// (audio/feature/descriptor.h, default weights) are neighbours to the eye.
//
// fit() lays out at most kAnchorsMax sounds by t-SNE (exact, from the plane of most variance); they
// become anchors. Any sound's place follows from its descriptor and the anchors alone, so nothing
// moves when sounds are added or removed: only another fit() moves them. The same rows give the
// same layout on the same kind of processor. fit() takes about 3 s of one core for kAnchorsMax,
// place() some 30 us. Const functions are thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace samplemind::library {

struct MapPlace {
  float x = 0;  // 0..1
  float y = 0;  // 0..1
  bool operator==(const MapPlace&) const = default;
};

class MapLayout {
 public:
  static constexpr size_t kAnchorsMax = 2500;

  // `rows`: 80 values a sound, in the order of their ids; of more than kAnchorsMax different ones
  // so many are drawn by a hash.
  static MapLayout fit(std::span<const int8_t> rows);
  // REQUIRES: 80 values. The middle when there are no anchors.
  MapPlace place(const int8_t* values) const;
  size_t anchors() const { return places_.size(); }

  void write(std::string& out) const;
  // Takes what write() wrote from the front of `bytes`. kDataLoss for anything else.
  static Result<MapLayout> read(std::string_view& bytes);

 private:
  std::vector<int8_t> rows_;  // 80 an anchor
  std::vector<MapPlace> places_;
  std::vector<float> reach_;  // of each anchor: how far on the map its neighbours by sound lie

  void find_reach();
};

// The plane of most variance: two coordinates a row, as they come. What fit() starts from.
std::vector<MapPlace> widest_plane(std::span<const int8_t> rows);

}  // namespace samplemind::library
