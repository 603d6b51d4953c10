// The map of a library: every sound's place on a plane where neighbours sound alike (layout.h).
//
// It is laid out when it is first asked for, and kept with each sound's place in the file
// library.map beside the library: sounds that are there never move, new ones are put among them.
// Only lay_out_anew() moves them, when the user says so, and a version of the analysis whose
// descriptors cannot be compared with those of before. A lost or damaged file is a first time.
//
// Thread-safe; one call at a time works, others wait for it. The first call over 100,000 sounds
// takes up to five seconds of one core, later ones some 0.1 s.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "library/catalogue.h"
#include "library/map/layout.h"

namespace samplemind::library {

inline constexpr size_t kMapPointsMax = 100000;
inline constexpr int kMapSide = 65535;  // places are whole numbers from 0 to this

// A part of the map where one kind of sound is the commonest.
struct MapCluster {
  std::string kind;
  int x = 0, y = 0;     // where it is densest
  int64_t samples = 0;  // in it
  int64_t of_kind = 0;  // of them of this kind
};

struct MapView {
  std::vector<int64_t> ids;
  std::vector<uint16_t> x, y;        // of each
  std::vector<uint16_t> kind;        // of each: its place in `kinds`
  std::vector<std::string> kinds;    // the first is "": not known
  std::vector<MapCluster> clusters;  // largest first, kMapClustersMax at most
  int64_t total = 0;                 // that fit; more than ids when they are too many to draw
  int64_t laid_out_ms = 0;           // Unix time of the layout
  int64_t laid_out_sounds = 0;       // that the library had then
};
inline constexpr size_t kMapClustersMax = 60;

// The hue to draw a kind in, in degrees: families of kinds lie together (drums red to yellow,
// metal blue, tones violet). -1, to be drawn grey, for "" and kinds that are not known here.
int kind_hue(std::string_view kind);

class LibraryMap {
 public:
  // `keep`: whether the file is written, for the process that writes the library.
  LibraryMap(Catalogue& catalogue, std::filesystem::path home, bool keep);

  // The sounds that a query finds, kMapPointsMax at most (an even choice of more). Errors: those of
  // Catalogue::points(), and of writing the file.
  Result<MapView> view(const SearchQuery& query);
  // Everything gets a new place.
  Result<void> lay_out_anew();

 private:
  struct Placed {
    uint32_t sound = 0;  // a hash of the descriptor: another one, another place
    uint16_t x = 0, y = 0;
  };

  Result<void> ready();  // reads the file, lays out where there is none
  Result<void> lay_out();
  bool read();
  Result<void> write() const;
  void place(const SoundPoints& points, MapView& view);

  Catalogue& catalogue_;
  const std::filesystem::path file_;
  const bool keep_;
  std::mutex mutex_;
  bool ready_ = false;
  MapLayout layout_;
  int64_t laid_out_ms_ = 0;
  int64_t laid_out_sounds_ = 0;
  std::unordered_map<int64_t, Placed> placed_;
};

// Parts of a map by the kinds of its points; for LibraryMap, and tests.
std::vector<MapCluster> map_clusters(const MapView& view);

}  // namespace samplemind::library
