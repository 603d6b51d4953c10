#include "library/index/search_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace samplemind::library {

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kFoldersDeep = 4;  // only the last folders of a path say something about the sound
constexpr int64_t kIdMax = 1LL << 31;
constexpr size_t kDeadMin = 4096;

float to_float(const std::optional<double>& v) {
  return v ? static_cast<float>(*v) : kNan;
}

uint64_t prefix_key(std::string_view text) {
  uint64_t key = 0;
  for (size_t i = 0; i < 8; ++i)
    key = key << 8 | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
  return key;
}

std::string_view last_folders(std::string_view folder) {
  size_t start = folder.size();
  for (size_t i = 0; i < kFoldersDeep && start != std::string_view::npos && start > 0; ++i)
    start = folder.rfind('/', start - 1);
  return start == std::string_view::npos ? folder : folder.substr(start);
}

// False when the words cannot stand side by side in the folded text: cheap, before it is split.
bool may_hold(std::string_view text, const std::vector<std::string>& list) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (list.empty()) return true;
  for (size_t at = text.find(list[0]); at != std::string_view::npos;
       at = text.find(list[0], at + 1)) {
    size_t next = at + list[0].size();
    size_t k = 1;
    for (; k < list.size(); ++k) {
      while (next < text.size() && !plain(text[next])) ++next;
      if (!text.substr(next).starts_with(list[k])) break;
      next += list[k].size();
    }
    if (k == list.size()) return true;
  }
  return false;
}

// How much a place says about a sound: name, folder, facts, tags.
constexpr uint8_t kPlaceWeight[4] = {8, 3, 4, 6};

}  // namespace

SearchIndex::SearchIndex() = default;

uint16_t SearchIndex::Interned::id(const std::string& text) {
  const auto it = ids.find(text);
  if (it != ids.end()) return it->second;
  if (names.size() >= UINT16_MAX) return 0;  // more kinds than a library can mean
  names.push_back(text);
  const auto id = static_cast<uint16_t>(names.size() - 1);
  ids.emplace(text, id);
  return id;
}

void SearchIndex::clear() {
  *this = SearchIndex();
}

void SearchIndex::add_words(Slot slot, Place place, const std::vector<std::string>& list) {
  const uint32_t entry = slot << 2 | place;
  for (const std::string& w : list) {
    Postings& postings = words_[w];
    if (postings.empty() || postings.back() != entry) postings.push_back(entry);
  }
}

void SearchIndex::put(const Sample& s) {
  if (s.id <= 0 || s.id >= kIdMax) return;
  remove(s.id);
  const auto slot = static_cast<Slot>(columns_.id.size());
  const audio::Analysis& a = s.analysis;
  Columns& c = columns_;
  c.id.push_back(s.id);
  c.tempo.push_back(to_float(a.tempo_bpm));
  c.length.push_back(static_cast<float>(a.duration_s));
  c.loudness.push_back(to_float(a.loudness_lufs));
  c.note.push_back(to_float(a.note_midi));
  c.rating.push_back(static_cast<float>(s.marks.rating));
  c.added_ms.push_back(s.added_ms);
  c.played_ms.push_back(s.marks.played_ms);
  const auto key = a.key ? key_index(*a.key) : std::nullopt;
  c.key.push_back(key ? static_cast<uint8_t>(*key) : kNoKey);
  c.kind.push_back(kinds_.id(a.kind.value_or("")));
  c.content.push_back(contents_.id(a.content.value_or("")));
  c.format.push_back(formats_.id(a.format));
  uint8_t flags = kAlive;
  if (s.missing) flags |= kMissing;
  if (!s.error.empty()) flags |= kBroken;
  if (s.marks.hidden) flags |= kHidden;
  if (s.marks.favourite) flags |= kFavourite;
  if (!s.marks.tags.empty()) flags |= kTagged;
  c.flags.push_back(flags);
  c.rate.push_back(static_cast<uint32_t>(a.sample_rate_hz));
  c.channels.push_back(static_cast<uint8_t>(std::clamp(a.channels, 0, 255)));
  const std::string folder = s.folder();
  const auto [it, fresh] = folder_ids_.emplace(folder, static_cast<uint32_t>(folders_.size()));
  if (fresh) folders_.push_back(folder);
  c.folder.push_back(it->second);
  const std::string file = s.name();
  const std::string folded = fold(file);
  c.name_key.push_back(prefix_key(folded));
  c.name_at.push_back(names_.size());
  names_ += folded;
  names_ += '\0';

  add_words(slot, kInName, index_words(file));
  add_words(slot, kInFolder, index_words(last_folders(folder)));
  std::string facts = a.content.value_or("") + " " + a.kind.value_or("") + " " + a.format;
  if (a.key) facts += " " + *a.key;
  if (a.tempo_bpm) facts += " " + std::to_string(static_cast<int>(*a.tempo_bpm + 0.5));
  add_words(slot, kInFacts, words(facts));
  for (const std::string& tag : s.marks.tags) {
    add_words(slot, kInTags, index_words(tag));
    tags_[tag].push_back(slot);
  }
  if (!s.marks.note.empty()) add_words(slot, kInTags, index_words(s.marks.note));
  if (slot_of_id_.size() <= static_cast<size_t>(s.id))
    slot_of_id_.resize(static_cast<size_t>(s.id) + 1, kNone);
  slot_of_id_[static_cast<size_t>(s.id)] = slot;
  ++alive_;
}

void SearchIndex::remove(int64_t id) {
  if (id <= 0 || static_cast<size_t>(id) >= slot_of_id_.size()) return;
  Slot& slot = slot_of_id_[static_cast<size_t>(id)];
  if (slot == kNone) return;
  columns_.flags[slot] = 0;
  slot = kNone;
  --alive_;
  if (columns_.id.size() - alive_ > kDeadMin && columns_.id.size() > 2 * alive_) drop_dead();
}

void SearchIndex::drop_dead() {
  const size_t n = columns_.id.size();
  std::vector<Slot> moved(n, kNone);
  Slot next = 0;
  for (Slot s = 0; s < n; ++s) {
    if (columns_.flags[s] & kAlive) moved[s] = next++;
  }
  const auto squeeze = [&](auto& column) {
    for (Slot s = 0; s < n; ++s) {
      if (moved[s] != kNone) column[moved[s]] = column[s];
    }
    column.resize(next);
    column.shrink_to_fit();
  };
  std::string names;
  for (Slot s = 0; s < n; ++s) {
    if (moved[s] == kNone) continue;
    const std::string_view old = name(s);
    columns_.name_at[s] = names.size();
    names.append(old);
    names += '\0';
  }
  names_ = std::move(names);
  Columns& c = columns_;
  squeeze(c.id), squeeze(c.tempo), squeeze(c.length), squeeze(c.loudness), squeeze(c.note);
  squeeze(c.rating), squeeze(c.added_ms), squeeze(c.played_ms), squeeze(c.key), squeeze(c.kind);
  squeeze(c.content), squeeze(c.format), squeeze(c.flags), squeeze(c.rate), squeeze(c.channels);
  squeeze(c.folder), squeeze(c.name_key), squeeze(c.name_at);
  for (Slot& s : slot_of_id_) {
    if (s != kNone) s = moved[s];
  }
  const auto rewrite = [&](auto& lists, auto&& slot_of, auto&& with_slot) {
    for (auto it = lists.begin(); it != lists.end();) {
      Postings& p = it->second;
      size_t kept = 0;
      for (const uint32_t entry : p) {
        if (moved[slot_of(entry)] != kNone) p[kept++] = with_slot(entry, moved[slot_of(entry)]);
      }
      p.resize(kept);
      p.shrink_to_fit();
      it = kept == 0 ? lists.erase(it) : std::next(it);
    }
  };
  rewrite(
      words_, [](uint32_t e) { return e >> 2; },
      [](uint32_t e, Slot s) { return s << 2 | (e & 3); });
  rewrite(
      tags_, [](uint32_t e) { return e; }, [](uint32_t, Slot s) { return s; });
}

bool SearchIndex::name_less(Slot a, Slot b) const {
  if (columns_.name_key[a] != columns_.name_key[b])
    return columns_.name_key[a] < columns_.name_key[b];
  const int order = name(a).compare(name(b));
  return order != 0 ? order < 0 : columns_.id[a] < columns_.id[b];
}

// The index words that `word` means, with how well: 8 the word itself, 7 its stem, 6 a beginning, 5
// a synonym, 2 a typing error (only when nothing else was found).
std::vector<SearchIndex::Match> SearchIndex::matches(const std::string& word,
                                                     std::string* corrected) const {
  std::vector<Match> list;
  const std::string root = stem(word);
  for (auto it = words_.lower_bound(root); it != words_.end() && it->first.starts_with(root);
       ++it) {
    const std::string& w = it->first;
    if (w == word) {
      list.push_back({&it->second, 8});
    } else if (w == root || stem(w) == root) {
      list.push_back({&it->second, 7});
    } else if (w.starts_with(word)) {
      list.push_back({&it->second, 6});
    }
  }
  for (const std::string& other : synonyms(word)) {
    for (auto it = words_.lower_bound(other); it != words_.end() && it->first.starts_with(other);
         ++it) {
      if (it->first == other || stem(it->first) == other) list.push_back({&it->second, 5});
    }
  }
  const int allowed = edits_allowed(word);
  if (!list.empty() || allowed == 0) return list;
  // The commonest word that needs the fewest edits; the beginning of a longer one counts too, as
  // the word may still be being typed.
  size_t best = 0;
  for (int edits = 1; edits <= allowed && list.empty(); ++edits) {
    for (const auto& [w, postings] : words_) {
      if (w.size() < 3 || (w.front() >= '0' && w.front() <= '9') || !within_edits(word, w, edits))
        continue;
      list.push_back({&postings, 2});
      if (postings.size() > best) {
        best = postings.size();
        *corrected = w;
      }
    }
  }
  return list;
}

// Takes a word's marks (0: not there) into the scores: all words must be there, excluded ones must
// not.
void SearchIndex::merge(const Term& term, const std::vector<uint8_t>& word,
                        std::vector<uint16_t>& scores, bool first) const {
  const size_t n = word.size();
  if (first) scores.assign(n, 1);
  if (term.exclude) {
    for (size_t i = 0; i < n; ++i) scores[i] = word[i] ? 0 : scores[i];
  } else {
    for (size_t i = 0; i < n; ++i)
      scores[i] = static_cast<uint16_t>(word[i] && scores[i] ? scores[i] + word[i] : 0);
  }
}

void SearchIndex::score_word(const Term& term, std::vector<uint16_t>& scores, bool first,
                             Found& found) const {
  std::vector<uint8_t> word(columns_.id.size(), 0);
  std::string corrected;
  for (const Match& m : matches(term.text, &corrected)) {
    // An excluded word excludes itself and its stem, not what it may have been meant for.
    if (term.exclude && m.quality < 5) continue;
    uint8_t marks[4];
    for (int place = 0; place < 4; ++place)
      marks[place] = static_cast<uint8_t>(kPlaceWeight[place] * m.quality);
    for (const uint32_t entry : *m.postings) {
      uint8_t& w = word[entry >> 2];
      w = std::max(w, marks[entry & 3]);
    }
  }
  if (!corrected.empty() && !term.exclude) found.corrected.emplace_back(term.text, corrected);
  merge(term, word, scores, first);
}

void SearchIndex::score_phrase(const Term& term, std::vector<uint16_t>& scores, bool first,
                               Found& found) const {
  std::vector<uint16_t> all;
  const std::vector<std::string> list = words(term.text);
  Term one;
  for (size_t i = 0; i < list.size(); ++i) {
    one.text = list[i];
    score_word(one, all, i == 0, found);
  }
  std::vector<uint8_t> word(columns_.id.size(), 0);
  const auto side_by_side = [&list](const std::vector<std::string>& in) {
    return std::search(in.begin(), in.end(), list.begin(), list.end()) != in.end();
  };
  std::string joined;
  for (const std::string& w : list) joined += w;
  std::vector<uint8_t> folder(folders_.size(), 0);  // 1: does not hold it, 2: does
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == 0 || !(columns_.flags[i] & kAlive)) continue;
    bool fits = false;
    if (may_hold(name(static_cast<Slot>(i)), list)) {
      // The folded name has lost its capitals: what "KickDrum" was split at. Both forms are tried.
      const std::vector<std::string> plain = words(name(static_cast<Slot>(i)));
      fits = side_by_side(plain) || std::find(plain.begin(), plain.end(), joined) != plain.end();
    }
    uint8_t& known = folder[columns_.folder[i]];
    if (known == 0) known = side_by_side(words(folders_[columns_.folder[i]])) ? 2 : 1;
    fits = fits || known == 2;
    if (fits) word[i] = 64;
  }
  merge(term, word, scores, first);
}

// Calls `keep` with the term's condition on a slot, which owns what it needs and may be kept until
// the next change of the index.
template <class Keep>
void SearchIndex::condition(const Term& term, int64_t now_ms, const Collections& collections,
                            const Keep& keep) const {
  const size_t n = columns_.id.size();
  const float low = term.range.low ? static_cast<float>(*term.range.low)
                                   : -std::numeric_limits<float>::infinity();
  const float high = term.range.high ? static_cast<float>(*term.range.high)
                                     : std::numeric_limits<float>::infinity();
  const auto within = [&](const std::vector<float>& column) {
    keep([v = column.data(), low, high](size_t i) { return (v[i] >= low) & (v[i] <= high); });
  };
  // A text and what is made of it by an underscore: hat stands for hat_closed and hat_open.
  const auto one_of = [&](const Interned& interned, const std::vector<uint16_t>& column) {
    std::vector<uint8_t> good(interned.names.size(), 0);
    for (size_t i = 1; i < interned.names.size(); ++i) {
      for (const std::string& v : term.values) {
        std::string value = v;
        std::replace(value.begin(), value.end(), '-', '_');
        const std::string& own = interned.names[i];
        good[i] |= own == value || stem(own) == stem(value) || own.starts_with(value + "_");
      }
    }
    keep([good = std::move(good), v = column.data()](size_t i) { return good[v[i]] != 0; });
  };
  switch (term.field) {
    case Field::kTempo:
      return within(columns_.tempo);
    case Field::kLength:
      return within(columns_.length);
    case Field::kLoudness:
      return within(columns_.loudness);
    case Field::kNote:
      return within(columns_.note);
    case Field::kRating:
      return within(columns_.rating);
    case Field::kAge:
      return keep([this, now_ms, range = term.range](size_t i) {
        const double age_s = static_cast<double>(now_ms - columns_.added_ms[i]) / 1000;
        return (!range.low || age_s >= *range.low) && (!range.high || age_s <= *range.high);
      });
    case Field::kRate:
      return keep([this, low, high](size_t i) {
        const auto v = static_cast<float>(columns_.rate[i]);
        return v >= low && v <= high;
      });
    case Field::kChannels:
      return keep([this, low, high](size_t i) {
        const auto v = static_cast<float>(columns_.channels[i]);
        return v >= low && v <= high;
      });
    case Field::kKey:
      return keep([this, keys = term.keys](size_t i) {
        return columns_.key[i] != kNoKey && (keys >> columns_.key[i] & 1) != 0;
      });
    case Field::kKind:
      return one_of(kinds_, columns_.kind);
    case Field::kContent:
      return one_of(contents_, columns_.content);
    case Field::kFormat:
      return one_of(formats_, columns_.format);
    case Field::kTag: {
      std::vector<uint8_t> has(n, 0);
      for (const std::string& v : term.values) {
        if (const auto it = tags_.find(v); it != tags_.end()) {
          for (const uint32_t slot : it->second) has[slot] = 1;
        }
      }
      return keep([has = std::move(has)](size_t i) { return has[i] != 0; });
    }
    case Field::kCollection: {
      std::vector<uint8_t> has(n, 0);
      if (const auto it = collections.find(term.text); it != collections.end()) {
        for (const int64_t id : it->second) {
          if (id > 0 && static_cast<size_t>(id) < slot_of_id_.size() &&
              slot_of_id_[static_cast<size_t>(id)] != kNone)
            has[slot_of_id_[static_cast<size_t>(id)]] = 1;
        }
      }
      return keep([has = std::move(has)](size_t i) { return has[i] != 0; });
    }
    case Field::kFolder: {
      // From a slash on: the beginning of the path, by whole folders. Else: a folder of that name.
      std::string wanted_folder = term.text;
      while (wanted_folder.size() > 1 && wanted_folder.back() == '/') wanted_folder.pop_back();
      const bool absolute = wanted_folder.starts_with('/');
      const std::string part = "/" + fold(wanted_folder) + "/";
      std::vector<uint8_t> good(folders_.size());
      for (size_t f = 0; f < folders_.size(); ++f) {
        const std::string& own = folders_[f];
        if (absolute) {
          good[f] = wanted_folder == "/" || own == wanted_folder ||
                    (own.starts_with(wanted_folder) && own[wanted_folder.size()] == '/');
        } else {
          good[f] = (fold(own) + "/").find(part) != std::string::npos;
        }
      }
      return keep(
          [this, good = std::move(good)](size_t i) { return good[columns_.folder[i]] != 0; });
    }
    case Field::kIs: {
      const auto flag = [&](uint8_t bit) {
        return keep([v = columns_.flags.data(), bit](size_t i) { return (v[i] & bit) != 0; });
      };
      if (term.text == "favourite") return flag(kFavourite);
      if (term.text == "hidden") return flag(kHidden);
      if (term.text == "missing") return flag(kMissing);
      if (term.text == "broken") return flag(kBroken);
      if (term.text == "tagged") return flag(kTagged);
      if (term.text == "untagged")
        return keep([this](size_t i) { return (columns_.flags[i] & kTagged) == 0; });
      if (term.text == "rated") return keep([this](size_t i) { return columns_.rating[i] > 0; });
      if (term.text == "played")
        return keep([this](size_t i) { return columns_.played_ms[i] > 0; });
      return;
    }
    case Field::kWord:
    case Field::kPhrase:
      return;
  }
}

void SearchIndex::filter(const Term& term, std::vector<uint8_t>& fits, int64_t now_ms,
                         const Collections& collections) const {
  const uint8_t wanted = term.exclude ? 0 : 1;
  condition(term, now_ms, collections, [&](const auto& holds) {
    uint8_t* const f = fits.data();
    for (size_t i = 0, n = fits.size(); i < n; ++i)
      f[i] &= static_cast<uint8_t>(holds(i)) == wanted;
  });
}

// Which of the flags are looked at, because broken, missing and hidden sounds show only when they
// are asked for; kAlive alone of these must be set.
uint8_t SearchIndex::looked_at(const ParsedQuery& query) {
  uint8_t bits = kAlive | kMissing | kBroken | kHidden;
  for (const Term& t : query.terms) {
    if (t.field != Field::kIs) continue;
    if (t.text == "hidden") bits &= static_cast<uint8_t>(~kHidden);
    if (t.text == "broken") bits &= static_cast<uint8_t>(~kBroken);
    if (t.text == "missing") bits &= static_cast<uint8_t>(~(kMissing | kBroken));
  }
  return bits;
}

std::vector<uint8_t> SearchIndex::fitting(const ParsedQuery& query, int64_t now_ms,
                                          const Collections& collections,
                                          std::vector<uint16_t>& scores, Found& found) const {
  const size_t n = columns_.id.size();
  bool words_seen = false;
  for (const Term& t : query.terms) {
    if (t.field == Field::kWord) {
      score_word(t, scores, !words_seen, found);
      words_seen = true;
    } else if (t.field == Field::kPhrase) {
      score_phrase(t, scores, !words_seen, found);
      words_seen = true;
    }
  }
  const uint8_t looked = looked_at(query);
  std::vector<uint8_t> fits(n);
  for (size_t i = 0; i < n; ++i) fits[i] = (columns_.flags[i] & looked) == kAlive;
  for (const Term& t : query.terms) {
    if (t.field != Field::kWord && t.field != Field::kPhrase) filter(t, fits, now_ms, collections);
  }
  if (words_seen) {
    for (size_t i = 0; i < n; ++i) fits[i] &= static_cast<uint8_t>(scores[i] != 0);
  }
  return fits;
}

std::function<bool(int64_t)> SearchIndex::matcher(const ParsedQuery& query, int64_t now_ms,
                                                  const Collections& collections) const {
  const bool words_wanted = std::any_of(query.terms.begin(), query.terms.end(), [](const Term& t) {
    return t.field == Field::kWord || t.field == Field::kPhrase;
  });
  if (!words_wanted) {  // no walk over all: few are asked about
    std::vector<std::pair<std::function<bool(size_t)>, bool>> conditions;
    for (const Term& t : query.terms)
      condition(t, now_ms, collections,
                [&](auto holds) { conditions.emplace_back(std::move(holds), !t.exclude); });
    return [this, looked = looked_at(query), conditions = std::move(conditions)](int64_t id) {
      if (id <= 0 || static_cast<size_t>(id) >= slot_of_id_.size()) return false;
      const Slot slot = slot_of_id_[static_cast<size_t>(id)];
      return slot != kNone && (columns_.flags[slot] & looked) == kAlive &&
             std::all_of(conditions.begin(), conditions.end(),
                         [slot](const auto& c) { return c.first(slot) == c.second; });
    };
  }
  std::vector<uint16_t> scores;
  Found ignored;
  return [this, fits = fitting(query, now_ms, collections, scores, ignored)](int64_t id) {
    if (id <= 0 || static_cast<size_t>(id) >= slot_of_id_.size()) return false;
    const Slot slot = slot_of_id_[static_cast<size_t>(id)];
    return slot != kNone && fits[slot] != 0;
  };
}

void SearchIndex::each_fitting(const ParsedQuery& query, int64_t now_ms,
                               const Collections& collections,
                               const std::function<void(int64_t, uint16_t)>& f) const {
  std::vector<uint16_t> scores;
  Found ignored;
  const std::vector<uint8_t> fits = fitting(query, now_ms, collections, scores, ignored);
  for (size_t i = 0; i < fits.size(); ++i) {
    if (fits[i]) f(columns_.id[i], columns_.kind[i]);
  }
}

SearchIndex::Found SearchIndex::search(const ParsedQuery& query, int limit, int64_t offset,
                                       int64_t now_ms, const Collections& collections) const {
  Found found;
  const size_t n = columns_.id.size();
  std::vector<uint16_t> scores;
  const std::vector<uint8_t> fits = fitting(query, now_ms, collections, scores, found);
  size_t total = 0;
  for (size_t i = 0; i < n; ++i) total += fits[i];
  found.total = static_cast<int64_t>(total);
  if (offset >= found.total) return found;
  std::vector<Slot> slots;
  slots.reserve(total);
  for (size_t i = 0; i < n; ++i) {
    if (fits[i]) slots.push_back(static_cast<Slot>(i));
  }
  const size_t want =
      limit < 0 ? slots.size()
                : std::min(slots.size(), static_cast<size_t>(offset) + static_cast<size_t>(limit));
  order(slots, query, scores, want, now_ms);
  for (size_t i = static_cast<size_t>(offset); i < want; ++i)
    found.ids.push_back(columns_.id[slots[i]]);
  return found;
}

// The best scores first (nullptr: all are equal), then by name. What is compared is copied together
// first: looking it up slot by slot in the columns takes several times as long.
void SearchIndex::order_by_name(std::vector<Slot>& slots, const uint16_t* scores,
                                size_t want) const {
  struct Entry {
    uint64_t name;
    Slot slot;
    uint16_t score;
  };
  std::vector<Entry> entries(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const Slot s = slots[i];
    entries[i] = {columns_.name_key[s], s, scores ? scores[s] : uint16_t{0}};
  }
  const auto less = [this](const Entry& a, const Entry& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.name != b.name ? a.name < b.name : name_less(a.slot, b.slot);
  };
  if (want < entries.size() / 4) {
    std::nth_element(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(want),
                     entries.end(), less);
    entries.resize(want);
  }
  std::sort(entries.begin(), entries.end(), less);
  for (size_t i = 0; i < entries.size(); ++i) slots[i] = entries[i].slot;
}

void SearchIndex::order(std::vector<Slot>& slots, const ParsedQuery& query,
                        const std::vector<uint16_t>& scores, size_t want, int64_t now_ms) const {
  const auto [by, descending] = query.sort.value_or(std::pair(Sort::kRelevance, false));
  const auto arrange = [&](auto&& less) {
    if (want < slots.size() / 4) {
      std::nth_element(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(want),
                       slots.end(), less);
    } else {
      want = slots.size();
    }
    std::sort(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(want), less);
  };
  // By a number, unknown ones last whichever way; then by name.
  const auto by_value = [&](auto&& value) {
    arrange([&, down = descending](Slot a, Slot b) {
      const auto x = value(a);
      const auto y = value(b);
      const bool no_x = std::isnan(static_cast<double>(x));
      const bool no_y = std::isnan(static_cast<double>(y));
      if (no_x != no_y) return no_y;
      if (!no_x && x != y) return down ? y < x : x < y;
      return name_less(a, b);
    });
  };
  switch (by) {
    case Sort::kRelevance: {
      const bool any = std::any_of(query.terms.begin(), query.terms.end(), [](const Term& t) {
        return !t.exclude && (t.field == Field::kWord || t.field == Field::kPhrase);
      });
      return order_by_name(slots, any ? scores.data() : nullptr, want);
    }
    case Sort::kName:
      if (descending) return arrange([this](Slot a, Slot b) { return name_less(b, a); });
      return order_by_name(slots, nullptr, want);
    case Sort::kTempo:
      return by_value([this](Slot s) { return columns_.tempo[s]; });
    case Sort::kLength:
      return by_value([this](Slot s) { return columns_.length[s]; });
    case Sort::kLoudness:
      return by_value([this](Slot s) { return columns_.loudness[s]; });
    case Sort::kNote:
      return by_value([this](Slot s) { return columns_.note[s]; });
    case Sort::kAdded:
      return by_value([this](Slot s) { return columns_.added_ms[s]; });
    case Sort::kRating:
      return by_value(
          [this](Slot s) { return columns_.rating[s] > 0 ? columns_.rating[s] : kNan; });
    case Sort::kPlayed:
      return by_value([this](Slot s) {
        return columns_.played_ms[s] > 0 ? static_cast<double>(columns_.played_ms[s])
                                         : std::numeric_limits<double>::quiet_NaN();
      });
    case Sort::kKey:
      // Around the circle of fifths as the Camelot wheel counts it: 1A 1B 2A ...
      return by_value([this](Slot s) {
        const uint8_t key = columns_.key[s];
        if (key == kNoKey) return kNan;
        const int relative = key < 12 ? key : (key - 12 + 3) % 12;
        return static_cast<float>((relative * 7 + 7) % 12 * 2 + (key < 12 ? 1 : 0));
      });
    case Sort::kKind:
      return arrange([this, down = descending](Slot a, Slot b) {
        const std::string& x = kinds_.names[columns_.kind[a]];
        const std::string& y = kinds_.names[columns_.kind[b]];
        if (x.empty() != y.empty()) return y.empty();
        if (x != y) return down ? y < x : x < y;
        return name_less(a, b);
      });
    case Sort::kFolder:
      return arrange([this, down = descending](Slot a, Slot b) {
        const uint32_t x = columns_.folder[a];
        const uint32_t y = columns_.folder[b];
        if (x != y) return down ? folders_[y] < folders_[x] : folders_[x] < folders_[y];
        return name_less(a, b);
      });
    case Sort::kRandom: {
      const auto seed = static_cast<uint64_t>(now_ms / 1000);
      const auto shuffled = [this, seed](Slot s) {
        uint64_t x = static_cast<uint64_t>(columns_.id[s]) * 0x9E3779B97F4A7C15ull ^ seed;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
        return x ^ (x >> 31);
      };
      return arrange([&](Slot a, Slot b) { return shuffled(a) < shuffled(b); });
    }
  }
}

std::vector<std::pair<std::string, int64_t>> SearchIndex::tags() const {
  std::vector<std::pair<std::string, int64_t>> list;
  for (const auto& [tag, slots] : tags_) {
    const auto count = std::count_if(slots.begin(), slots.end(), [this](uint32_t s) {
      return (columns_.flags[s] & kAlive) != 0;
    });
    if (count > 0) list.emplace_back(tag, count);
  }
  return list;
}

uint64_t SearchIndex::memory_bytes() const {
  uint64_t bytes = names_.capacity() + slot_of_id_.capacity() * sizeof(Slot);
  bytes += columns_.id.capacity() * (8 + 5 * 4 + 16 + 1 + 6 + 1 + 4 + 1 + 4 + 16);
  for (const auto* lists : {&words_, &tags_}) {
    for (const auto& [w, p] : *lists)
      bytes +=
          64 + (w.capacity() > 15 ? w.capacity() : 0) + sizeof(w) + sizeof(p) + p.capacity() * 4;
  }
  for (const std::string& f : folders_) bytes += 2 * (f.capacity() + 48);
  return bytes;
}

}  // namespace samplemind::library
