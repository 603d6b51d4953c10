// Sounds like a sound, and duplicates.
#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "library/same_sound.h"
#include "library/store/indexed_internal.h"

namespace samplemind::library {

namespace {

constexpr size_t kThreads = 2;
constexpr int kReadsMax = 3;  // of all descriptors while another process writes
constexpr size_t kPairsMax = 1000000;
// Sounds of this distance may be one recording: re-encoded, trimmed by a little, louder. Whether
// they are is heard (same_sound.h); where one of them cannot be read, only a smaller distance
// counts.
constexpr float kMayBeSame = 0.5f;
constexpr float kSameUnheard = 0.25f;
constexpr double kLengthTolerance = 0.1;  // a trimmed copy is at most so much shorter
constexpr double kLengthToleranceS = 0.15;
constexpr size_t kComparedMax = 50000;          // some minutes
constexpr size_t kTraceSamplesMax = 16u << 20;  // in memory at once: 64 MiB

// Sets that grow together.
class Groups {
 public:
  explicit Groups(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0u); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<size_t> parent_;
};

// Hears whether two samples are one recording, each file read once as long as pairs come in order.
class Ear {
 public:
  // Nothing: one of them cannot be read.
  std::optional<bool> same(const Sample& a, const Sample& b) {
    if (held_ > kTraceSamplesMax) {
      traces_.clear();
      held_ = 0;
    }
    const auto& x = trace(a);
    const auto& y = trace(b);
    if (!x || !y) return std::nullopt;
    return sameness(*x, *y) >= kSameSound;
  }

 private:
  const std::optional<SoundTrace>& trace(const Sample& s) {
    const auto [it, first] = traces_.try_emplace(s.id);
    if (first) {
      if (auto made = trace_of(s.file.path); made.ok()) {
        held_ += made->wave.size();
        it->second = std::move(*made);
      }
    }
    return it->second;
  }
  std::map<int64_t, std::optional<SoundTrace>> traces_;  // references into it stay good
  size_t held_ = 0;
};

}  // namespace

Result<void> IndexedCatalogue::ready_vectors() {
  SM_CHECK_OK(ready_index());  // also drops the vectors when another process has written
  {
    const std::shared_lock lock(index_mutex_);
    if (vectors_ready_) return ok();
  }
  return fill_vectors();
}

// Beside the index, so that searches go on; what is stored meanwhile is put in at the end.
Result<void> IndexedCatalogue::fill_vectors() {
  const std::lock_guard one(filling_vectors_);
  for (int attempt = 1;; ++attempt) {
    uint64_t age = 0;
    {
      const std::unique_lock lock(index_mutex_);
      if (vectors_ready_) return ok();
      vectors_behind_.emplace();
      age = vectors_age_;
    }
    SoundVectors fresh;
    auto read = each_descriptor([&](int64_t id, const std::string& descriptor) -> Result<void> {
      if (stopping_) return Error(ErrorCode::kCancelled, "the library is being closed");
      fresh.put(id, descriptor);
      return ok();
    });
    const std::unique_lock lock(index_mutex_);
    const auto behind = std::move(*vectors_behind_);
    vectors_behind_.reset();
    SM_CHECK_OK(std::move(read));
    if (age != vectors_age_ && attempt < kReadsMax) continue;  // another process has written
    for (const auto& [id, descriptor] : behind) fresh.put(id, descriptor);  // "" removes it
    vectors_ = std::move(fresh);
    vectors_ready_ = true;
    return ok();
  }
}

Result<std::vector<Similar>> IndexedCatalogue::similar(const SimilarQuery& q) {
  if (!audio::is_descriptor(q.descriptor))
    return Error(ErrorCode::kInvalidArgument,
                 "there is nothing to compare: the sound is silent or "
                 "was measured by another version",
                 "'samplemind scan' measures it again");
  SM_TRY(const ParsedQuery filter, parse_query(q.filter));
  SM_CHECK_OK(ready_vectors());
  ParsedQuery copy = filter;
  SearchIndex::Collections collections;
  SM_CHECK_OK(resolve_collections(copy, collections, 0));
  std::vector<SoundVectors::Near> near;
  std::vector<std::string> descriptors;
  {
    const std::shared_lock lock(index_mutex_);
    const auto fits = index_.matcher(copy, system_clock().unix_ms(), collections);
    near = vectors_.nearest(
        q.descriptor, q.weights, static_cast<size_t>(q.limit),
        [&](int64_t id) { return id != q.except.value_or(0) && fits(id); }, kThreads);
    for (const SoundVectors::Near& n : near) descriptors.push_back(vectors_.descriptor(n.id));
  }
  std::vector<int64_t> ids;
  for (const SoundVectors::Near& n : near) ids.push_back(n.id);
  SM_TRY(auto samples, page(ids));
  std::vector<Similar> list;
  size_t at = 0;
  for (Sample& sample : samples) {
    // In the same order; one may be gone by now.
    while (at < near.size() && near[at].id != sample.id) ++at;
    if (at == near.size()) break;
    Similar s;
    s.distance = near[at].distance;
    sample.analysis.descriptor = std::move(descriptors[at]);
    s.aspects = audio::aspect_distances(q.descriptor, sample.analysis.descriptor)
                    .value_or(audio::AspectDistances());
    s.sample = std::move(sample);
    list.push_back(std::move(s));
  }
  return list;
}

Result<SoundPoints> IndexedCatalogue::points(const SearchQuery& q, size_t most) {
  SM_TRY(ParsedQuery query, all_terms(q));
  SM_CHECK_OK(ready_vectors());
  SearchIndex::Collections collections;
  SM_CHECK_OK(resolve_collections(query, collections, 0));
  SoundPoints points;
  const std::shared_lock lock(index_mutex_);
  std::vector<std::pair<int64_t, uint16_t>> found;
  index_.each_fitting(query, system_clock().unix_ms(), collections, [&](int64_t id, uint16_t kind) {
    if (vectors_.has(id)) found.emplace_back(id, kind);
  });
  points.total = static_cast<int64_t>(found.size());
  if (found.size() > most) {
    // Drawn by a hash of the id, not by place in a list that grows.
    const uint64_t below = UINT64_MAX / found.size() * most;
    std::erase_if(found, [below](const auto& one) {
      const uint64_t x = static_cast<uint64_t>(one.first) * 0x9E3779B97F4A7C15ull;
      return (x ^ x >> 29) * 0xBF58476D1CE4E5B9ull >= below;
    });
  }
  std::sort(found.begin(), found.end());
  points.kinds = index_.kinds();
  points.values.resize(found.size() * audio::kDescriptorDims);
  for (const auto& [id, kind] : found) {
    vectors_.copy(id, points.values.data() + points.ids.size() * audio::kDescriptorDims);
    points.ids.push_back(id);
    points.kind.push_back(kind);
  }
  return points;
}

Result<std::vector<DuplicateGroup>> IndexedCatalogue::duplicates(bool near, int limit) {
  std::vector<DuplicateGroup> groups;
  for (const bool by_audio : {false, true}) {
    SM_TRY(const auto found, equal_ids(by_audio));
    for (const auto& ids : found) {
      if (static_cast<int>(groups.size()) >= limit) break;
      DuplicateGroup g;
      g.how = by_audio ? "audio" : "bytes";
      SM_TRY(g.samples, get_many(ids));
      groups.push_back(std::move(g));
    }
  }
  if (!near) return groups;
  SM_CHECK_OK(ready_vectors());
  std::vector<SoundVectors::Pair> pairs;
  {
    const std::shared_lock lock(index_mutex_);
    pairs = vectors_.close_pairs(kMayBeSame, audio::AspectWeights{1, 0.5f, 0.3f, 0.7f}, kPairsMax);
  }
  // Groups that are known already are not told again as near.
  std::unordered_map<int64_t, size_t> exact;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const Sample& s : groups[g].samples) exact.emplace(s.id, g);
  }
  std::map<int64_t, size_t> place;
  for (const auto& p : pairs) {
    place.emplace(p.a, place.size());
    place.emplace(p.b, place.size());
  }
  std::vector<int64_t> ids;
  for (const auto& [id, at] : place) ids.push_back(id);
  SM_TRY(const auto samples, get_many(ids));
  std::unordered_map<int64_t, const Sample*> by_id;
  for (const Sample& s : samples) by_id.emplace(s.id, &s);
  Groups joined(place.size());
  Ear ear;
  size_t compared = 0;
  for (const auto& p : pairs) {
    const auto a = by_id.find(p.a);
    const auto b = by_id.find(p.b);
    if (a == by_id.end() || b == by_id.end() || a->second->missing || b->second->missing) continue;
    const double longer = std::max(a->second->analysis.duration_s, b->second->analysis.duration_s);
    const double shorter = std::min(a->second->analysis.duration_s, b->second->analysis.duration_s);
    if (longer - shorter > std::max(kLengthToleranceS, kLengthTolerance * longer)) continue;
    const size_t first = place[p.a], second = place[p.b];
    if (joined.find(first) == joined.find(second) || ++compared > kComparedMax) continue;
    if (ear.same(*a->second, *b->second).value_or(p.distance <= kSameUnheard))
      joined.join(first, second);
  }
  std::map<size_t, std::vector<int64_t>> near_groups;
  for (const auto& [id, at] : place) near_groups[joined.find(at)].push_back(id);
  for (const auto& [root, members] : near_groups) {
    if (members.size() < 2 || static_cast<int>(groups.size()) >= limit) continue;
    const auto first = exact.find(members[0]);
    const bool told =
        first != exact.end() && std::all_of(members.begin(), members.end(), [&](int64_t id) {
          const auto it = exact.find(id);
          return it != exact.end() && it->second == first->second;
        });
    if (told) continue;
    DuplicateGroup g;
    g.how = "near";
    SM_TRY(g.samples, get_many(members));
    groups.push_back(std::move(g));
  }
  return groups;
}

}  // namespace samplemind::library
