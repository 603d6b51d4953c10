// The search index: every sound's words and numbers in memory, column by column, so that a query
// over a million sounds takes milliseconds. It is derived from the store, which stays the truth:
// built when a library is opened, kept up to date by put() and remove().
//
// A sound lives in a slot; a changed sound gets a new slot and its old one dies (slots are dropped
// together once half of them are dead). Words lead to lists of slots. About 120 bytes a sound and 4
// a word. Not thread-safe: the owner locks (any number of searches, or one change).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "library/catalogue.h"
#include "library/query.h"

namespace samplemind::library {

class SearchIndex {
 public:
  SearchIndex();

  // Inserts or replaces by id.
  void put(const Sample& sample);
  void remove(int64_t id);
  void clear();
  size_t size() const { return alive_; }

  struct Found {
    std::vector<int64_t> ids;  // of the page
    int64_t total = 0;
    // Words that nothing held and what was taken instead: "kcik" -> "kick".
    std::vector<std::pair<std::string, std::string>> corrected;
  };
  // What kCollection terms mean: the ids of each name.
  using Collections = std::unordered_map<std::string, std::unordered_set<int64_t>>;
  // `limit` below 0: all. `now_ms` for added: and random order.
  Found search(const ParsedQuery& query, int limit, int64_t offset, int64_t now_ms,
               const Collections& collections) const;

  // Whether a sound fits, by id. Valid until the next change of the index.
  std::function<bool(int64_t)> matcher(const ParsedQuery& query, int64_t now_ms,
                                       const Collections& collections) const;

  // Calls f with each sound that fits and its kind's place in kinds(), in no order.
  void each_fitting(const ParsedQuery& query, int64_t now_ms, const Collections& collections,
                    const std::function<void(int64_t, uint16_t)>& f) const;
  const std::vector<std::string>& kinds() const { return kinds_.names; }  // the first is ""

  // Each tag with its number of sounds, by name; kinds, contents, formats likewise.
  std::vector<std::pair<std::string, int64_t>> tags() const;
  uint64_t memory_bytes() const;

 private:
  using Slot = uint32_t;
  static constexpr Slot kNone = UINT32_MAX;

  struct Columns {
    std::vector<int64_t> id;
    std::vector<float> tempo, length, loudness, note, rating;
    std::vector<int64_t> added_ms, played_ms;
    std::vector<uint8_t> key;  // kNoKey: none
    std::vector<uint16_t> kind, content, format;
    std::vector<uint8_t> flags;
    std::vector<uint32_t> rate;
    std::vector<uint8_t> channels;
    std::vector<uint32_t> folder;
    std::vector<uint64_t> name_key;  // first eight bytes of the folded name, for sorting
    std::vector<uint64_t> name_at;   // in names_: folded, terminated by 0
  };
  enum Flag : uint8_t {
    kAlive = 1,
    kMissing = 2,
    kBroken = 4,
    kHidden = 8,
    kFavourite = 16,
    kTagged = 32
  };
  static constexpr uint8_t kNoKey = 255;

  struct Interned {  // small sets of texts
    uint16_t id(const std::string& text);
    std::vector<std::string> names{""};  // 0: none
    std::unordered_map<std::string, uint16_t> ids{{"", 0}};
  };

  // A word's sounds: slot * 4 + place (name, folder, facts, tags), rising.
  enum Place : uint32_t { kInName = 0, kInFolder = 1, kInFacts = 2, kInTags = 3 };
  using Postings = std::vector<uint32_t>;

  void add_words(Slot slot, Place place, const std::vector<std::string>& list);
  void drop_dead();
  std::string_view name(Slot slot) const { return names_.data() + columns_.name_at[slot]; }
  bool name_less(Slot a, Slot b) const;

  struct Match {
    const Postings* postings;
    uint8_t quality;  // 1..8
  };
  std::vector<Match> matches(const std::string& word, std::string* corrected) const;
  void score_word(const Term& term, std::vector<uint16_t>& scores, bool first, Found& found) const;
  void score_phrase(const Term& term, std::vector<uint16_t>& scores, bool first,
                    Found& found) const;
  void merge(const Term& term, const std::vector<uint8_t>& word, std::vector<uint16_t>& scores,
             bool first) const;
  template <class Keep>
  void condition(const Term& term, int64_t now_ms, const Collections& collections,
                 const Keep& keep) const;
  static uint8_t looked_at(const ParsedQuery& query);
  void filter(const Term& term, std::vector<uint8_t>& fits, int64_t now_ms,
              const Collections& collections) const;
  // 1 for each slot that fits; `scores` are those of the words, empty when there are none.
  std::vector<uint8_t> fitting(const ParsedQuery& query, int64_t now_ms,
                               const Collections& collections, std::vector<uint16_t>& scores,
                               Found& found) const;
  void order_by_name(std::vector<Slot>& slots, const uint16_t* scores, size_t want) const;
  void order(std::vector<Slot>& slots, const ParsedQuery& query,
             const std::vector<uint16_t>& scores, size_t want, int64_t now_ms) const;

  Columns columns_;
  std::vector<Slot> slot_of_id_;  // ids are small and never reused
  std::string names_;
  std::vector<std::string> folders_;
  std::unordered_map<std::string, uint32_t> folder_ids_;
  Interned kinds_, contents_, formats_;
  std::map<std::string, Postings, std::less<>> words_;
  std::map<std::string, Postings, std::less<>> tags_;  // slots alone
  size_t alive_ = 0;
};

}  // namespace samplemind::library
