#include "library/words.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace samplemind::library {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
}  // other scripts stay whole
bool in_word(char c) {
  return is_digit(c) || is_upper(c) || is_lower(c);
}

// One run of letters and digits, split. "KickDrum", "HHOpen" and "128bpm" split; "C1" and "808"
// stay.
void split_run(std::string_view run, std::vector<std::string>& list) {
  std::string word;
  for (size_t i = 0; i < run.size(); ++i) {
    const char c = run[i];
    if (i > 0) {
      const char before = run[i - 1];
      const bool letter = is_lower(c) || is_upper(c);
      const bool acronym_ends = is_upper(before) && is_upper(c) && i + 1 < run.size() &&
                                run[i + 1] >= 'a' && run[i + 1] <= 'z';
      if ((is_lower(before) && (is_upper(c) || is_digit(c))) || (is_digit(before) && letter) ||
          acronym_ends) {
        list.push_back(std::move(word));
        word.clear();
      }
    }
    word += is_upper(c) ? static_cast<char>(c + 32) : c;
  }
  list.push_back(std::move(word));
}

std::vector<std::string> split(std::string_view text, bool runs_too) {
  std::vector<std::string> list;
  size_t at = 0;
  while (at < text.size()) {
    size_t end = at;
    while (end < text.size() && in_word(text[end])) ++end;
    if (end > at) {
      const std::string_view run = text.substr(at, end - at);
      const size_t before = list.size();
      split_run(run, list);
      if (runs_too && list.size() > before + 1) list.push_back(fold(run));
    }
    at = end + 1;
  }
  return list;
}

// Words that mean the same, one group a line; stemmed.
constexpr std::array<std::string_view, 31> kGroups{
    "kick bd bassdrum kickdrum kik kck bdrum",
    "snare sd snr snaredrum sdrum",
    "hat hh hihat hht hats chh ohh hhc hho hihats",
    "clap cp clp handclap",
    "rim rs rimshot sidestick xstick",
    "tom tomtom",
    "perc percussion prc percussive",
    "cymbal cym",
    "ride rd ridecymbal",
    "crash crs crashcymbal",
    "cowbell cb",
    "shaker shk",
    "bass bs bassline basslin",
    "lead ld",
    "pad atmospad",
    "vocal vox voc voice acapella acappella",
    "guitar gtr",
    "key keyboard",
    "piano pno",
    "string strg",
    "brass horn",
    "wind woodwind flute",
    "fx sfx effect efx",
    "ambience ambient amb atmo atmosphere",
    "riser uplifter upsweep",
    "downlifter downsweep",
    "impact boom",
    "mallet marimba vibraphone glockenspiel xylophone",
    "oneshot oneshots",
    "drumandbass dnb drumnbass",
    "acoustic acou"};

const std::unordered_map<std::string_view, std::string_view>& group_of() {
  static const auto* const map = [] {
    auto* m = new std::unordered_map<std::string_view, std::string_view>;
    for (const std::string_view group : kGroups) {
      size_t at = 0;
      while (at < group.size()) {
        const size_t end = std::min(group.find(' ', at), group.size());
        m->emplace(group.substr(at, end - at), group);
        at = end + 1;
      }
    }
    return m;
  }();
  return *map;
}

}  // namespace

std::string fold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (is_upper(c)) c = static_cast<char>(c + 32);
  }
  return out;
}

std::vector<std::string> words(std::string_view text) {
  return split(text, false);
}

std::vector<std::string> index_words(std::string_view text) {
  return split(text, true);
}

std::string stem(std::string_view word) {
  std::string w(word);
  if (w.size() < 4 || is_digit(w.back())) return w;
  const auto ends = [&w](std::string_view tail) { return w.ends_with(tail); };
  if (ends("ies") && w.size() > 4) {
    w.replace(w.size() - 3, 3, "y");
  } else if (ends("sses") || ends("shes") || ends("ches") || ends("xes")) {
    w.resize(w.size() - 2);
  } else if (ends("s") && !ends("ss") && !ends("us") && !ends("is")) {
    w.pop_back();
  }
  const auto has_vowel = [](std::string_view t) {
    return t.find_first_of("aeiouy") != std::string_view::npos;
  };
  for (const std::string_view tail : {std::string_view("ing"), std::string_view("ed")}) {
    if (!w.ends_with(tail) || w.size() < tail.size() + 3) continue;
    const std::string_view rest = std::string_view(w).substr(0, w.size() - tail.size());
    if (!has_vowel(rest)) break;
    w.resize(rest.size());
    // stripped -> strip, but filling -> fill.
    if (w.size() > 3 && w[w.size() - 1] == w[w.size() - 2] &&
        std::string_view("lsz").find(w.back()) == std::string_view::npos)
      w.pop_back();
    break;
  }
  return w;
}

std::vector<std::string> synonyms(std::string_view word) {
  const auto& groups = group_of();
  auto it = groups.find(word);
  const std::string stemmed = stem(word);
  if (it == groups.end()) it = groups.find(stemmed);
  std::vector<std::string> list;
  if (it == groups.end()) return list;
  const std::string_view group = it->second;
  for (size_t at = 0; at < group.size();) {
    const size_t end = std::min(group.find(' ', at), group.size());
    const std::string_view other = group.substr(at, end - at);
    if (other != word && other != stemmed) list.emplace_back(other);
    at = end + 1;
  }
  return list;
}

bool within_edits(std::string_view a, std::string_view b, int most) {
  const auto difference = static_cast<int>(a.size()) - static_cast<int>(b.size());
  if (difference > most || -difference > most) return false;
  if (most == 0) return a == b;
  // Optimal string alignment, three rows; words are short (a longer one is no typing error).
  constexpr size_t kLongest = 40;
  if (a.size() > kLongest || b.size() > kLongest) return false;
  std::array<int, kLongest + 1> before{}, last{}, row{};
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    int best = row[0];
    for (size_t j = 1; j <= b.size(); ++j) {
      const int cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
      best = std::min(best, row[j]);
    }
    if (best > most) return false;
    before = last;
    last = row;
  }
  return last[b.size()] <= most;
}

int edits_allowed(std::string_view word) {
  if (word.size() < 4 || std::all_of(word.begin(), word.end(), is_digit)) return 0;
  return word.size() < 8 ? 1 : 2;
}

}  // namespace samplemind::library
