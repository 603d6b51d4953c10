#include "library/wording.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <optional>
#include <unordered_map>

#include "library/facts.h"
#include "library/query.h"
#include "library/words.h"

namespace samplemind::library {

namespace {

enum AxisName : uint8_t {
  kBrightness,
  kLowEnd,
  kTone,
  kLength,
  kAttack,
  kDecay,
  kDensity,
  kMovement,
  kHeight,
  kBusyness,
  kAxisCount
};
constexpr std::array<Axis, kAxisCount> kAxes{{{"brightness", "dark", "bright"},
                                              {"low_end", "thin", "heavy"},
                                              {"tone", "noisy", "tonal"},
                                              {"length", "short", "long"},
                                              {"attack", "sudden", "slow"},
                                              {"decay", "dry", "ringing"},
                                              {"density", "spiky", "dense"},
                                              {"movement", "steady", "moving"},
                                              {"height", "low", "high"},
                                              {"busyness", "sparse", "busy"}}};

struct Meaning {
  AxisName axis;
  float at;
};
// What producers call sounds. Two to four words of the same meaning share a row.
struct WordRow {
  std::string_view words;
  std::vector<Meaning> means;
};
const std::vector<WordRow>& table() {
  static const std::vector<WordRow> rows{
      {"bright brilliant shiny sparkly sparkling", {{kBrightness, 0.9f}}},
      {"dark dull murky", {{kBrightness, 0.1f}}},
      {"muffled muted filtered", {{kBrightness, 0.05f}, {kAttack, 0.6f}}},
      {"warm cosy", {{kBrightness, 0.3f}, {kLowEnd, 0.7f}, {kTone, 0.65f}}},
      {"cold icy", {{kBrightness, 0.8f}, {kLowEnd, 0.2f}}},
      {"mellow gentle", {{kBrightness, 0.25f}, {kAttack, 0.65f}, {kTone, 0.7f}}},
      {"soft", {{kBrightness, 0.3f}, {kAttack, 0.75f}}},
      {"round", {{kBrightness, 0.25f}, {kTone, 0.8f}}},
      {"smooth silky", {{kMovement, 0.2f}, {kAttack, 0.65f}, {kTone, 0.75f}}},
      {"crisp", {{kBrightness, 0.85f}, {kAttack, 0.2f}}},
      {"sharp", {{kBrightness, 0.85f}, {kAttack, 0.1f}}},
      {"harsh piercing", {{kBrightness, 0.95f}, {kDensity, 0.7f}}},
      {"aggressive angry", {{kBrightness, 0.8f}, {kDensity, 0.85f}, {kAttack, 0.15f}}},
      {"airy breathy", {{kBrightness, 0.8f}, {kLowEnd, 0.15f}, {kAttack, 0.7f}, {kTone, 0.35f}}},
      {"ethereal dreamy floating",
       {{kAttack, 0.8f}, {kDecay, 0.9f}, {kLength, 0.85f}, {kTone, 0.7f}}},
      {"glassy", {{kBrightness, 0.85f}, {kTone, 0.9f}}},
      {"metallic metal", {{kBrightness, 0.85f}, {kDecay, 0.7f}}},
      {"wooden woody wood", {{kBrightness, 0.4f}, {kDecay, 0.15f}, {kTone, 0.6f}}},
      {"tinny", {{kBrightness, 0.85f}, {kLowEnd, 0.05f}}},
      {"thin light", {{kLowEnd, 0.1f}}},
      {"deep", {{kLowEnd, 0.95f}, {kHeight, 0.1f}}},
      {"heavy huge massive", {{kLowEnd, 0.9f}, {kDensity, 0.8f}}},
      {"fat phat thick", {{kLowEnd, 0.85f}, {kDensity, 0.85f}}},
      {"big", {{kLowEnd, 0.8f}, {kLength, 0.75f}}},
      {"small tiny", {{kLowEnd, 0.2f}, {kLength, 0.2f}}},
      {"boomy boom", {{kLowEnd, 0.95f}, {kDecay, 0.85f}}},
      {"dusty lofi vintage", {{kBrightness, 0.25f}, {kTone, 0.3f}}},
      {"gritty dirty crunchy grainy", {{kTone, 0.2f}, {kDensity, 0.8f}}},
      {"distorted saturated driven", {{kDensity, 0.95f}, {kTone, 0.3f}}},
      {"noisy hissy rough", {{kTone, 0.05f}}},
      {"clean pure", {{kTone, 0.95f}}},
      {"tonal pitched melodic", {{kTone, 0.9f}}},
      {"short", {{kLength, 0.1f}}},
      {"long", {{kLength, 0.9f}}},
      {"tight", {{kLength, 0.15f}, {kDecay, 0.1f}, {kAttack, 0.15f}}},
      {"dry dead", {{kDecay, 0.1f}}},
      {"wet roomy spacious reverberant", {{kDecay, 0.9f}, {kLength, 0.75f}}},
      {"ringing sustained", {{kDecay, 0.95f}}},
      {"snappy", {{kAttack, 0.05f}, {kDecay, 0.15f}, {kBrightness, 0.65f}}},
      {"punchy", {{kAttack, 0.1f}, {kLowEnd, 0.7f}, {kDecay, 0.3f}}},
      {"clicky", {{kAttack, 0.05f}, {kBrightness, 0.8f}, {kLength, 0.15f}}},
      {"hard", {{kAttack, 0.05f}, {kDensity, 0.7f}}},
      {"swelling slow", {{kAttack, 0.95f}}},
      {"evolving moving modulated", {{kMovement, 0.9f}, {kLength, 0.8f}}},
      {"steady static", {{kMovement, 0.1f}}},
      {"low", {{kHeight, 0.1f}, {kLowEnd, 0.8f}}},
      {"high", {{kHeight, 0.9f}, {kBrightness, 0.75f}}},
      {"busy", {{kBusyness, 0.9f}}},
      {"sparse minimal", {{kBusyness, 0.1f}}}};
  return rows;
}

const WordRow* row_of(const std::string& word) {
  static const auto map = [] {
    std::unordered_map<std::string, const WordRow*> m;
    for (const WordRow& row : table())
      for (const std::string& w : library::words(row.words)) m.emplace(w, &row);
    return m;
  }();
  const auto it = map.find(word);
  return it == map.end() ? nullptr : it->second;
}

bool is_one_of(std::string_view word, std::string_view list) {
  for (size_t at = 0; at < list.size();) {
    const size_t end = std::min(list.find(' ', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

constexpr std::string_view kFiller =
    "a an and any as at be but for from give i in is it kind like me more my need of on or please "
    "some something sort sound sounding sounds sample samples song that the this to too track want "
    "with you bit little chorus verse bridge intro beat";

// The words of a text and its conditions, in order. A hyphen within a word joins ("lo-fi").
std::vector<std::string> tokens(std::string_view text) {
  std::vector<std::string> list;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find_first_not_of(" \t\r\n,;.!?", at);
    if (begin == std::string_view::npos) break;
    const size_t quote = text.find('"', begin);
    size_t end = std::min(text.find_first_of(" \t\r\n,;!?", begin), text.size());
    // in:"My kit" is one condition.
    if (quote < end) {
      const size_t close = text.find('"', quote + 1);
      end = close == std::string_view::npos ? text.size() : close + 1;
    }
    list.emplace_back(text.substr(begin, end - begin));
    at = end;
  }
  return list;
}

bool is_condition(std::string_view token) {
  return token.find(':') != std::string_view::npos || token.starts_with('-') ||
         token.starts_with('"');
}

// Means of several words on one axis: a word said twice counts twice.
void add(Wording& w, const Meaning& m, float weight) {
  for (Aim& aim : w.aims) {
    if (aim.axis != m.axis) continue;
    aim.at = (aim.at * aim.weight + m.at * weight) / (aim.weight + weight);
    aim.weight += weight;
    return;
  }
  w.aims.push_back({m.axis, m.at, weight});
}

std::string describe(const Meaning& m) {
  const Axis& axis = kAxes[m.axis];
  char text[64];
  std::snprintf(text, sizeof text, "%s %.2f", std::string(axis.name).c_str(),
                static_cast<double>(m.at));
  return text;
}

void append(std::string& query, std::string_view condition) {
  if (!query.empty()) query += ' ';
  query += condition;
}

}  // namespace

std::span<const Axis> axes() {
  return kAxes;
}

int axis_value(size_t axis, const int8_t* v) {
  switch (axis) {
    case kBrightness:
      return v[28] + v[29];  // the middle of the spectrum, of the whole sound and of its attack
    case kLowEnd:
      return v[0];  // how the spectrum leans: the first cosine over mel bands
    case kTone:
      return v[26];
    case kLength:
      return v[64];
    case kAttack:
      return v[65];  // time to the loudest moment
    case kDecay:
      return v[67];  // time from there to 20 dB below
    case kDensity:
      return v[71];  // share of the time that is loud
    case kMovement:
      return v[20];  // how much the bands come and go
    case kHeight:
      return v[44];
    default:
      return v[62];  // attacks a second
  }
}

Result<Wording> interpret(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return Error(ErrorCode::kInvalidArgument, "which sound? there are no words",
                 "\"dusty warm kick\"");
  if (text.size() > kWordingMax)
    return Error(ErrorCode::kTooLarge, "a sound is described in at most 1,000 bytes");
  Wording out;
  std::vector<std::string> unknown;
  float stretch = 1;
  bool negated = false;
  for (const std::string& token : tokens(text)) {
    if (is_condition(token)) {
      append(out.query, token);
      continue;
    }
    std::string word = fold(token);
    std::erase(word, '-');
    while (!word.empty() && word.back() == '.') word.pop_back();
    if (is_one_of(word, "very really super extremely so")) {
      stretch = 1.25f;
      continue;
    }
    if (is_one_of(word, "slightly somewhat fairly quite rather")) {
      stretch = 0.5f;
      continue;
    }
    if (is_one_of(word, "not no non without less never")) {
      negated = true;
      continue;
    }
    if (word.empty() || is_one_of(word, kFiller)) continue;
    if (const WordRow* row = row_of(word)) {
      std::string taken;
      for (Meaning m : row->means) {
        float away = (m.at - 0.5f) * stretch;
        if (negated) away = -away;
        m.at = std::clamp(0.5f + away, 0.0f, 1.0f);
        add(out, m, 1);
        taken += (taken.empty() ? "" : ", ") + describe(m);
      }
      out.understood.emplace_back(word, taken);
      stretch = 1, negated = false;
      continue;
    }
    stretch = 1;
    std::string condition;
    const std::string root = stem(word);
    if (is_one_of(root, "loop groove breakbeat")) condition = "is:loop";
    if (is_one_of(root, "oneshot hit shot stinger")) condition = "is:oneshot";
    if (condition.empty()) {
      unknown.push_back((negated ? "-" : "") + token);
      negated = false;
      continue;
    }
    append(out.query, (negated ? "-" : "") + condition);
    out.understood.emplace_back(word, condition);
    negated = false;
  }
  // Kind, tempo and key are read as in a file's name.
  std::string name;
  for (const std::string& word : unknown)
    if (!word.starts_with('-')) name += (name.empty() ? "" : " ") + word;
  const auto facts = facts_from_path("/" + name + ".wav");
  const auto take = [&](std::string_view what, const std::string& condition) {
    append(out.query, condition);
    out.understood.emplace_back(what, condition);
  };
  bool tempo = false, key = false;
  std::string kind;
  for (const Fact& f : facts) {
    if (f.what == "kind") kind = f.text;
    if (f.what == "tempo" && f.confidence >= 0.7) {
      take("tempo", "bpm:" + std::to_string(std::lround(f.number)));
      tempo = true;
    }
    if (f.what == "key" && f.confidence >= 0.7) {
      std::string text_key = f.text;
      take("key", "key:" + text_key.substr(0, text_key.find(' ')) +
                      (text_key.ends_with("minor") ? "m" : ""));
      key = true;
    }
  }
  for (const std::string& word : unknown) {
    const auto& kinds = kind_names();
    if (std::find(kinds.begin(), kinds.end(), fold(word)) != kinds.end()) kind = fold(word);
  }
  // A hat of which nobody said that it is closed.
  const std::string folded = fold(name);
  if (kind == "hat_closed" && folded.find("clos") == std::string::npos &&
      folded.find("chh") == std::string::npos)
    kind = "hat";
  if (!kind.empty()) take("kind", "kind:" + kind);
  for (const std::string& word : unknown) {
    const bool excluded = word.starts_with('-');
    const std::string plain = fold(excluded ? word.substr(1) : word);
    const auto own = facts_from_path("/" + plain + ".wav");
    const auto own_kind =
        std::find_if(own.begin(), own.end(), [](const Fact& f) { return f.what == "kind"; });
    if (excluded && own_kind != own.end()) {
      take(plain, "-kind:" + own_kind->text);
      continue;
    }
    if (!excluded && (plain == kind || own_kind != own.end())) continue;
    if (!excluded && !kind.empty() && is_one_of(plain, "drum drums")) continue;
    if (tempo && (plain == "bpm" || plain.find_first_not_of("0123456789bpm") == std::string::npos))
      continue;
    if (key && (plain == "minor" || plain == "major" || plain.size() <= 5)) {
      if (parse_key(word).ok() || plain == "minor" || plain == "major") continue;
    }
    out.rest.push_back(word);
  }
  return out;
}

WordsApart words_apart(std::string_view text) {
  WordsApart out;
  for (std::string& token : tokens(text))
    (is_condition(token) ? out.conditions : out.words).push_back(std::move(token));
  return out;
}

bool is_sound_word(std::string_view word) {
  std::string plain = fold(word);
  std::erase(plain, '-');
  return row_of(plain) != nullptr;
}

void write_json(JsonWriter& w, const Wording& wording) {
  const auto rounded = [](float v) { return std::round(static_cast<double>(v) * 1000) / 1000; };
  w.begin_object().field("query", wording.query).key("aims").begin_object();
  for (const Aim& a : wording.aims) {
    w.key(kAxes[a.axis].name).begin_object();
    w.field("at", rounded(a.at)).field("weight", rounded(a.weight));
    w.field("means", a.at < 0.5f ? kAxes[a.axis].low : kAxes[a.axis].high).end_object();
  }
  w.end_object().key("understood").begin_object();
  for (const auto& [word, taken] : wording.understood) w.field(word, taken);
  w.end_object().field("ignored", wording.rest).end_object();
}

Result<Wording> read_wording(const JsonValue& value) {
  Wording out;
  out.query = value["query"].string_or("");
  std::string names;
  for (const Axis& a : kAxes) names += (names.empty() ? "" : ", ") + std::string(a.name);
  for (const auto& [name, aim] : value["aims"].members()) {
    const auto axis = std::find_if(kAxes.begin(), kAxes.end(),
                                   [&name = name](const Axis& a) { return a.name == name; });
    if (axis == kAxes.end())
      return Error(ErrorCode::kInvalidArgument, "there is no axis '" + name + "'", names);
    const auto at = aim.is_object() ? aim["at"].number() : aim.number();
    const double weight = aim["weight"].number_or(1);
    if (!at || !(*at >= 0 && *at <= 1) || !(weight > 0 && weight <= 100))
      return Error(ErrorCode::kInvalidArgument,
                   "aim '" + name + "': a place from 0 (" + std::string(axis->low) + ") to 1 (" +
                       std::string(axis->high) +
                       ") and a weight above 0, at most 100, was expected");
    const auto index = static_cast<size_t>(axis - kAxes.begin());
    if (std::any_of(out.aims.begin(), out.aims.end(),
                    [index](const Aim& a) { return a.axis == index; }))
      return Error(ErrorCode::kInvalidArgument, "aim '" + name + "' stands there twice");
    out.aims.push_back({index, static_cast<float>(*at), static_cast<float>(weight)});
  }
  return out;
}

Closeness closeness(std::span<const int16_t> values, std::span<const Aim> aims) {
  Closeness out;
  if (aims.empty()) return out;
  const size_t n = values.size() / aims.size();
  out.score.assign(n, 1);
  out.place.assign(values.size(), 0);
  float weights = 0;
  for (const Aim& a : aims) weights += a.weight;
  for (size_t k = 0; k < aims.size(); ++k) {
    // Values are small whole numbers: counting them gives every place in one walk.
    std::array<uint32_t, 2 * kAxisLimit + 1> count{};
    const auto bin = [](int v) {
      return static_cast<size_t>(std::clamp(v, -kAxisLimit, kAxisLimit) + kAxisLimit);
    };
    for (size_t i = 0; i < n; ++i) ++count[bin(values[i * aims.size() + k])];
    std::array<float, 2 * kAxisLimit + 1> place{};
    size_t below = 0;
    for (size_t b = 0; b < count.size(); ++b) {
      // Equal sounds share the middle of their places; a sound alone is in the middle of all.
      place[b] = (static_cast<float>(below) + 0.5f * static_cast<float>(count[b])) /
                 static_cast<float>(std::max<size_t>(n, 1));
      below += count[b];
    }
    for (size_t i = 0; i < n; ++i) {
      const float at = place[bin(values[i * aims.size() + k])];
      out.place[i * aims.size() + k] = at;
      out.score[i] -= aims[k].weight / weights * std::abs(at - aims[k].at);
    }
  }
  return out;
}

}  // namespace samplemind::library
