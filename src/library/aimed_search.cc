#include "library/aimed_search.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "audio/feature/descriptor.h"

namespace samplemind::library {

namespace {

constexpr int kRounds = 3;        // of looking at the best ones' neighbours
constexpr size_t kLeaders = 4;    // whose neighbours are looked at
constexpr int kNeighbours = 100;  // of each

struct Candidates {
  std::vector<Sample> samples;
  std::vector<int16_t> values;
  std::unordered_set<int64_t> ids;

  void add(Sample sample, const std::vector<Aim>& aims) {
    if (!audio::is_descriptor(sample.analysis.descriptor) || !ids.insert(sample.id).second) return;
    const auto* v = reinterpret_cast<const int8_t*>(sample.analysis.descriptor.data()) +
                    audio::kDescriptorHeaderBytes;
    for (const Aim& a : aims) values.push_back(static_cast<int16_t>(axis_value(a.axis, v)));
    sample.analysis.beats_s.clear();
    sample.analysis.downbeats_s.clear();
    sample.analysis.onsets_s.clear();
    sample.facts.clear();
    samples.push_back(std::move(sample));
  }
};

std::vector<size_t> best_first(const std::vector<float>& score) {
  std::vector<size_t> order(score.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&score](size_t a, size_t b) { return score[a] > score[b]; });
  return order;
}

Result<void> add_neighbours(Catalogue& catalogue, const Wording& wording, Candidates& c) {
  const Closeness now = closeness(c.values, wording.aims);
  const auto order = best_first(now.score);
  std::vector<std::pair<int64_t, std::string>> leaders;
  for (size_t i = 0; i < std::min(kLeaders, order.size()); ++i)
    leaders.emplace_back(c.samples[order[i]].id, c.samples[order[i]].analysis.descriptor);
  for (const auto& [id, descriptor] : leaders) {
    SimilarQuery q;
    q.descriptor = descriptor;
    q.weights = {1, 0.3f, 0.1f, 1};
    q.filter = wording.query;
    q.limit = kNeighbours;
    q.except = id;
    SM_TRY(auto near, catalogue.similar(q));
    for (Similar& s : near) c.add(std::move(s.sample), wording.aims);
  }
  return ok();
}

}  // namespace

Result<AimedResult> find_aimed(Catalogue& catalogue, const Wording& wording, int limit) {
  AimedResult out;
  SearchQuery query;
  query.text = wording.query;
  if (wording.aims.empty()) {
    query.limit = limit;
    SM_TRY(SearchResult found, catalogue.search(query));
    out.found = out.compared = found.total;
    for (Sample& s : found.samples) out.sounds.push_back({std::move(s), 1, {}});
    return out;
  }
  SM_TRY(const auto ids, catalogue.find_ids(query));
  out.found = static_cast<int64_t>(ids.size());
  Candidates c;
  const size_t read = std::min(ids.size(), kAimedRead);
  for (size_t i = 0; i < read; ++i) {
    SM_TRY(auto sample, catalogue.get(ids[i * ids.size() / read]));
    if (sample) c.add(std::move(*sample), wording.aims);
  }
  if (ids.size() > read) {
    for (int round = 0; round < kRounds; ++round)
      SM_CHECK_OK(add_neighbours(catalogue, wording, c));
  }
  out.compared = static_cast<int64_t>(c.samples.size());
  const Closeness near = closeness(c.values, wording.aims);
  const size_t aims = wording.aims.size();
  for (const size_t i : best_first(near.score)) {
    if (static_cast<int>(out.sounds.size()) == limit) break;
    const auto first = near.place.begin() + static_cast<ptrdiff_t>(i * aims);
    out.sounds.push_back({std::move(c.samples[i]), near.score[i],
                          std::vector<float>(first, first + static_cast<ptrdiff_t>(aims))});
  }
  return out;
}

Result<void> settle_words(Catalogue& catalogue, Wording& wording) {
  std::vector<std::string> rest;
  for (std::string& word : wording.rest) {
    SearchQuery query;
    query.text = wording.query.empty() ? word : wording.query + " " + word;
    query.limit = 1;
    const auto found = catalogue.search(query);
    // A word that is no word of the language, such as one with a lone quote, names nothing either.
    if (found.ok() && found->total > 0 && found->corrected.empty()) {
      wording.query = query.text;
      wording.understood.emplace_back(word, "a name");
    } else if (!found.ok() && found.error().code() != ErrorCode::kInvalidArgument) {
      return found.error();
    } else {
      rest.push_back(std::move(word));
    }
  }
  wording.rest = std::move(rest);
  return ok();
}

}  // namespace samplemind::library
