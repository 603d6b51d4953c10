#include "library/map/library_map.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"

namespace samplemind::library {

namespace {

constexpr size_t kDims = audio::kDescriptorDims;
constexpr size_t kFileMax = 256u << 20;  // ten million sounds
constexpr size_t kPlacedMax = 4000000;   // kept at most; more are placed each time
constexpr size_t kThreadsFrom = 4000;    // sounds to place from which on two threads pay
constexpr char kMagic[8] = {'s', 'm', 'm', 'a', 'p', '0', '0', '1'};

struct Header {
  char magic[8];
  int32_t descriptor_version;
  uint32_t placed;
  int64_t laid_out_ms;
  int64_t laid_out_sounds;
};
struct Row {
  int64_t id;
  uint32_t sound;
  uint16_t x, y;
};
static_assert(sizeof(Header) == 32 && sizeof(Row) == 16);

uint32_t hash(const int8_t* values) {
  uint64_t h = 1469598103934665603ull;
  for (size_t i = 0; i < kDims; ++i) h = (h ^ static_cast<uint8_t>(values[i])) * 1099511628211ull;
  return static_cast<uint32_t>(h ^ h >> 32);
}

uint16_t to_side(float v) {
  return static_cast<uint16_t>(std::lround(std::clamp(v, 0.0f, 1.0f) * kMapSide));
}

}  // namespace

LibraryMap::LibraryMap(Catalogue& catalogue, fs::path home, bool keep)
    : catalogue_(catalogue), file_(std::move(home) / "library.map"), keep_(keep) {}

bool LibraryMap::read() {
  auto bytes = read_file(file_, kFileMax);
  if (!bytes.ok()) return false;
  Header header;
  std::string_view rest = *bytes;
  if (rest.size() < sizeof header) return false;
  std::memcpy(&header, rest.data(), sizeof header);
  rest.remove_prefix(sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 ||
      header.descriptor_version != audio::kDescriptorVersion)
    return false;
  auto layout = MapLayout::read(rest);
  if (!layout.ok() || rest.size() != header.placed * sizeof(Row)) {
    log::warn("map_damaged", {{"file", file_.string()}, {"what", "the map is laid out anew"}});
    return false;
  }
  layout_ = std::move(*layout);
  laid_out_ms_ = header.laid_out_ms;
  laid_out_sounds_ = header.laid_out_sounds;
  placed_.clear();
  placed_.reserve(header.placed);
  for (uint32_t i = 0; i < header.placed; ++i) {
    Row row;
    std::memcpy(&row, rest.data() + i * sizeof row, sizeof row);
    placed_[row.id] = {row.sound, row.x, row.y};
  }
  return true;
}

Result<void> LibraryMap::write() const {
  if (!keep_) return ok();
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.descriptor_version = audio::kDescriptorVersion;
  header.placed = static_cast<uint32_t>(placed_.size());
  header.laid_out_ms = laid_out_ms_;
  header.laid_out_sounds = laid_out_sounds_;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  layout_.write(bytes);
  for (const auto& [id, p] : placed_) {
    const Row row{id, p.sound, p.x, p.y};
    bytes.append(reinterpret_cast<const char*>(&row), sizeof row);
  }
  return write_file_atomic(file_, bytes);
}

Result<void> LibraryMap::lay_out() {
  SM_TRY(const SoundPoints points, catalogue_.points(SearchQuery{}, kMapPointsMax));
  layout_ = MapLayout::fit(points.values);
  laid_out_ms_ = system_clock().unix_ms();
  laid_out_sounds_ = points.total;
  placed_.clear();
  return ok();
}

Result<void> LibraryMap::ready() {
  if (!ready_ && !read()) SM_CHECK_OK(lay_out());
  ready_ = true;
  // Nothing to lay out by, the last time: the first sounds do.
  if (layout_.anchors() == 0) SM_CHECK_OK(lay_out());
  return ok();
}

Result<void> LibraryMap::lay_out_anew() {
  const std::lock_guard lock(mutex_);
  SM_CHECK_OK(lay_out());
  ready_ = true;
  return write();
}

void LibraryMap::place(const SoundPoints& points, MapView& view) {
  const size_t n = points.ids.size();
  view.x.resize(n);
  view.y.resize(n);
  std::vector<uint32_t> sounds(n);
  std::vector<size_t> fresh;
  for (size_t i = 0; i < n; ++i) {
    sounds[i] = hash(points.values.data() + i * kDims);
    const auto it = placed_.find(points.ids[i]);
    if (it == placed_.end() || it->second.sound != sounds[i]) {
      fresh.push_back(i);
    } else {
      view.x[i] = it->second.x;
      view.y[i] = it->second.y;
    }
  }
  const auto work = [&](size_t begin, size_t end) {
    for (size_t f = begin; f < end; ++f) {
      const size_t i = fresh[f];
      const MapPlace at = layout_.place(points.values.data() + i * kDims);
      view.x[i] = to_side(at.x);
      view.y[i] = to_side(at.y);
    }
  };
  if (fresh.size() < kThreadsFrom) {
    work(0, fresh.size());
  } else {
    std::thread half([&] { work(0, fresh.size() / 2); });
    work(fresh.size() / 2, fresh.size());
    half.join();
  }
  for (const size_t i : fresh) {
    if (placed_.size() >= kPlacedMax) break;
    placed_[points.ids[i]] = {sounds[i], view.x[i], view.y[i]};
  }
  if (fresh.empty()) return;
  // The places are in memory; the file only saves the next start the work, and keeps the layout.
  if (const auto written = write(); !written.ok())
    log::warn("map_not_kept", {{"error", written.error().message()}});
}

Result<MapView> LibraryMap::view(const SearchQuery& query) {
  const std::lock_guard lock(mutex_);
  SM_TRY(SoundPoints points, catalogue_.points(query, kMapPointsMax));
  SM_CHECK_OK(ready());
  MapView view;
  place(points, view);
  view.ids = std::move(points.ids);
  view.kind = std::move(points.kind);
  view.kinds = std::move(points.kinds);
  view.total = points.total;
  view.laid_out_ms = laid_out_ms_;
  view.laid_out_sounds = laid_out_sounds_;
  view.clusters = map_clusters(view);
  return view;
}

namespace {

constexpr int kSideMin = 6;  // cells of the grid that clusters are found on
constexpr int kSideMax = 40;
constexpr int64_t kClusterMin = 3;  // sounds of the kind, or one in kClusterPart of all
constexpr int64_t kClusterPart = 2000;
constexpr int64_t kClusterShare = 4;  // a part is not named after less than a quarter of it

}  // namespace

int kind_hue(std::string_view kind) {
  struct Hue {
    std::string_view kind;
    int hue;
  };
  static constexpr Hue kHues[] = {
      {"kick", 2},       {"snare", 24},   {"tom", 336},        {"clap", 42},      {"rim", 54},
      {"perc", 72},      {"shaker", 96},  {"hat_closed", 188}, {"hat_open", 202}, {"ride", 216},
      {"crash", 228},    {"cymbal", 240}, {"cowbell", 172},    {"bass", 268},     {"lead", 288},
      {"keys", 300},     {"stab", 312},   {"pad", 256},        {"strings", 322},  {"brass", 34},
      {"guitar", 16},    {"mallet", 306}, {"wind", 140},       {"vocal", 350},    {"fx", 122},
      {"ambience", 152}, {"noise", 160}};
  for (const Hue& h : kHues)
    if (h.kind == kind) return h.hue;
  return -1;
}

// On a grid, each cell belongs to the kind that is commonest in it and its eight neighbours; cells
// of a kind that touch are a cluster.
std::vector<MapCluster> map_clusters(const MapView& view) {
  const int side = std::clamp(
      static_cast<int>(std::sqrt(static_cast<double>(view.ids.size())) / 1.5), kSideMin, kSideMax);
  const auto cells = static_cast<size_t>(side * side);
  const size_t kinds = view.kinds.size();
  std::vector<uint32_t> counts(cells * kinds), all(cells);
  for (size_t i = 0; i < view.ids.size(); ++i) {
    const int cx = view.x[i] * side / (kMapSide + 1);
    const int cy = view.y[i] * side / (kMapSide + 1);
    const auto cell = static_cast<size_t>(cy * side + cx);
    ++counts[cell * kinds + view.kind[i]];
    ++all[cell];
  }
  const auto around = [side](size_t cell, auto&& f) {
    const int cx = static_cast<int>(cell) % side, cy = static_cast<int>(cell) / side;
    for (int y = std::max(0, cy - 1); y <= std::min(side - 1, cy + 1); ++y) {
      for (int x = std::max(0, cx - 1); x <= std::min(side - 1, cx + 1); ++x)
        f(static_cast<size_t>(y * side + x));
    }
  };
  std::vector<size_t> owner(cells, 0);  // 0: none
  std::vector<uint32_t> sum(kinds);
  for (size_t cell = 0; cell < cells; ++cell) {
    if (all[cell] == 0) continue;
    std::fill(sum.begin(), sum.end(), 0u);
    around(cell, [&](size_t near) {
      const uint32_t weight = near == cell ? 2 : 1;
      for (size_t k = 1; k < kinds; ++k) sum[k] += weight * counts[near * kinds + k];
    });
    const auto most = std::max_element(sum.begin(), sum.end());
    if (most != sum.end() && *most > 0) owner[cell] = static_cast<size_t>(most - sum.begin());
  }
  const int64_t least = std::max(kClusterMin, static_cast<int64_t>(view.ids.size()) / kClusterPart);
  std::vector<MapCluster> clusters;
  std::vector<uint8_t> seen(cells, 0);
  for (size_t first = 0; first < cells; ++first) {
    if (owner[first] == 0 || seen[first]) continue;
    MapCluster c;
    c.kind = view.kinds[owner[first]];
    std::vector<size_t> todo{first};
    seen[first] = 1;
    size_t densest = first;
    while (!todo.empty()) {
      const size_t cell = todo.back();
      todo.pop_back();
      const uint32_t own = counts[cell * kinds + owner[first]];
      c.samples += all[cell];
      c.of_kind += own;
      if (own > counts[densest * kinds + owner[first]]) densest = cell;
      around(cell, [&](size_t near) {
        if (seen[near] || owner[near] != owner[first]) return;
        seen[near] = 1;
        todo.push_back(near);
      });
    }
    if (c.of_kind < least || c.of_kind * kClusterShare < c.samples) continue;
    const int step = (kMapSide + 1) / side;
    c.x = static_cast<int>(densest) % side * step + step / 2;
    c.y = static_cast<int>(densest) / side * step + step / 2;
    clusters.push_back(std::move(c));
  }
  std::stable_sort(clusters.begin(), clusters.end(),
                   [](const MapCluster& a, const MapCluster& b) { return a.of_kind > b.of_kind; });
  if (clusters.size() > kMapClustersMax) clusters.resize(kMapClustersMax);
  return clusters;
}

}  // namespace samplemind::library
