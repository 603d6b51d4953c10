#include "library/facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "library/query.h"

namespace samplemind::library {

namespace {

constexpr double kMarked = 0.95;  // "128bpm", "Am"
constexpr double kBare = 0.45;    // "128" among other words, "C" beside a tempo
constexpr double kAgreed = 0.97;  // a bare word that the ear agrees with
constexpr double kFolderKind = 0.6;
constexpr double kEarMost = 0.94;

constexpr std::pair<std::string_view, FactSource> kSources[] = {{"user", FactSource::kUser},
                                                                {"embedded", FactSource::kEmbedded},
                                                                {"name", FactSource::kName},
                                                                {"folder", FactSource::kFolder},
                                                                {"ear", FactSource::kEar}};

// A word of the name with what surrounds it. Unlike words(), "F#m" and "128bpm" stay whole.
std::vector<std::string> tokens(std::string_view name) {
  std::vector<std::string> list;
  std::string token;
  const auto flush = [&] {
    if (!token.empty()) list.push_back(std::move(token));
    token.clear();
  };
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool keep = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '#' || static_cast<unsigned char>(c) >= 0x80 ||
                      (c == '.' && i > 0 && i + 1 < name.size() && name[i - 1] >= '0' &&
                       name[i - 1] <= '9' && name[i + 1] >= '0' && name[i + 1] <= '9');
    if (keep) {
      token += c;
    } else {
      flush();
    }
  }
  flush();
  return list;
}

std::optional<double> number(std::string_view text) {
  double v = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), v, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

bool plausible_tempo(double bpm) {
  return bpm >= 40 && bpm <= 300;
}

// Words before a letter or number that make it a serial mark: "Kit A", "Vol 120", "Take C".
bool counts_things(std::string_view word) {
  static constexpr std::string_view kWords[] = {
      "kit",   "vol",     "volume", "take",    "part",    "pattern", "side",    "type",
      "pack",  "section", "bank",   "version", "ver",     "layer",   "mic",     "variation",
      "var",   "group",   "set",    "slot",    "pad",     "section", "session", "disc",
      "disk",  "cd",      "no",     "nr",      "number",  "track",   "song",    "preset",
      "patch", "model",   "the",    "option",  "channel", "bus",     "alt",     "page",
      "level", "zone",    "round",  "rr"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

// Machines that are called by a number.
bool is_machine(std::string_view digits) {
  static constexpr std::string_view kMachines[] = {"606", "707", "727", "808", "909", "303", "101",
                                                   "106", "110", "626", "505", "78",  "60",  "55"};
  return std::find(std::begin(kMachines), std::end(kMachines), digits) != std::end(kMachines);
}

struct KeyWord {
  std::string key;      // canonical
  bool marked = false;  // minor or major was said
  bool accidental = false;
};

// "Am", "F#min", "Bbmaj", "Abm", "C#", "G": nothing for chords ("Am7"), notes ("C1") and words.
std::optional<KeyWord> key_word(std::string_view token) {
  if (token.empty() || token.size() > 9) return std::nullopt;
  const char c = token.front();
  if (!((c >= 'A' && c <= 'G') || (c >= 'a' && c <= 'g'))) return std::nullopt;
  std::string_view rest = token.substr(1);
  KeyWord out;
  if (rest.starts_with('#') || rest.starts_with("b") || rest.starts_with("\u266D") ||
      rest.starts_with("\u266F")) {
    out.accidental = true;
    rest.remove_prefix(rest.front() == '#' || rest.front() == 'b' ? 1 : 3);
  }
  const std::string mode = rest == "M" ? "maj" : fold(rest);
  static constexpr std::string_view kModes[] = {"m", "min", "minor", "maj", "major", "moll", "dur"};
  out.marked = std::find(std::begin(kModes), std::end(kModes), mode) != std::end(kModes);
  if (!out.marked && !mode.empty()) return std::nullopt;
  // A small letter alone, or "am", "em": English words more often than keys.
  if (c >= 'a' && !out.accidental && (!out.marked || mode == "m")) return std::nullopt;
  if (c >= 'a' && out.accidental && !out.marked) return std::nullopt;  // "db", "eb": units, words
  auto key = parse_key(std::string(token));
  if (!key.ok()) return std::nullopt;
  out.key = std::move(*key);
  return out;
}

// "C1", "F#3", "Bb-1": a note with its octave (middle C is C4 = 60).
std::optional<double> note_word(std::string_view token) {
  if (token.size() < 2 || token.size() > 4) return std::nullopt;
  static constexpr int kSemitones[7] = {9, 11, 0, 2, 4, 5, 7};
  if (token.front() < 'A' || token.front() > 'G') return std::nullopt;
  int semitone = kSemitones[token.front() - 'A'];
  size_t at = 1;
  if (token[at] == '#') {
    ++semitone;
    ++at;
  } else if (token[at] == 'b') {
    --semitone;
    ++at;
  }
  if (at + 1 != token.size() || token[at] < '0' || token[at] > '8') return std::nullopt;
  return 12.0 * (token[at] - '0' + 1) + semitone;
}

const std::unordered_map<std::string_view, std::string_view>& kind_words() {
  static const std::unordered_map<std::string_view, std::string_view> map{
      {"kick", "kick"},
      {"bd", "kick"},
      {"bassdrum", "kick"},
      {"kickdrum", "kick"},
      {"kik", "kick"},
      {"snare", "snare"},
      {"sd", "snare"},
      {"snr", "snare"},
      {"rim", "rim"},
      {"rimshot", "rim"},
      {"sidestick", "rim"},
      {"clap", "clap"},
      {"clp", "clap"},
      {"handclap", "clap"},
      {"hat", "hat"},
      {"hh", "hat"},
      {"hihat", "hat"},
      {"hat_closed", "hat_closed"},
      {"chh", "hat_closed"},
      {"closedhat", "hat_closed"},
      {"ohh", "hat_open"},
      {"openhat", "hat_open"},
      {"tom", "tom"},
      {"crash", "crash"},
      {"ride", "ride"},
      {"cymbal", "cymbal"},
      {"cym", "cymbal"},
      {"cowbell", "cowbell"},
      {"perc", "perc"},
      {"percussion", "perc"},
      {"shaker", "perc"},
      {"conga", "perc"},
      {"bongo", "perc"},
      {"tambourine", "perc"},
      {"bass", "bass"},
      {"bassline", "bass"},
      {"sub", "bass"},
      {"reese", "bass"},
      {"piano", "keys"},
      {"rhodes", "keys"},
      {"organ", "keys"},
      {"keyboard", "keys"},
      {"keys", "keys"},
      {"epiano", "keys"},
      {"mallet", "mallet"},
      {"marimba", "mallet"},
      {"vibraphone", "mallet"},
      {"glockenspiel", "mallet"},
      {"xylophone", "mallet"},
      {"guitar", "guitar"},
      {"gtr", "guitar"},
      {"string", "strings"},
      {"violin", "strings"},
      {"cello", "strings"},
      {"brass", "brass"},
      {"trumpet", "brass"},
      {"horn", "brass"},
      {"trombone", "brass"},
      {"flute", "wind"},
      {"sax", "wind"},
      {"clarinet", "wind"},
      {"lead", "lead"},
      {"pad", "pad"},
      {"stab", "stab"},
      {"ambience", "ambience"},
      {"ambient", "ambience"},
      {"atmosphere", "ambience"},
      {"atmos", "ambience"},
      {"vocal", "vocal"},
      {"vox", "vocal"},
      {"voice", "vocal"},
      {"acapella", "vocal"},
      {"fx", "fx"},
      {"sfx", "fx"},
      {"riser", "fx"},
      {"impact", "fx"},
      {"sweep", "fx"},
      {"downlifter", "fx"},
      {"uplifter", "fx"}};
  return map;
}

// The kind that the words of a name speak of; the last one counts ("Bass Drum" is handled as one,
// "Snare Top Loop" is a snare's, "Vocal Pad" a pad).
std::string kind_of(const std::vector<std::string>& list) {
  std::string kind;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string w = stem(list[i]);
    if (w == "bass" && i + 1 < list.size() && stem(list[i + 1]) == "drum") {
      kind = "kick";
      ++i;
      continue;
    }
    if (w == "side" && i + 1 < list.size() && list[i + 1] == "stick") {
      kind = "rim";
      ++i;
      continue;
    }
    const auto& map = kind_words();
    auto it = map.find(w);
    if (it == map.end()) it = map.find(list[i]);
    if (it == map.end()) continue;
    // "Kick Bass": what a drum is called for beats what follows it.
    if (kind.empty() || it->second != "bass") kind = it->second;
  }
  if (kind == "hat") {
    for (const std::string& w : list) {
      if (w == "open" || w == "op" || w == "opened") return "hat_open";
    }
    return "hat_closed";
  }
  return kind;
}

Fact text_fact(std::string what, FactSource source, std::string text, double confidence) {
  Fact f;
  f.what = std::move(what);
  f.source = source;
  f.text = std::move(text);
  f.confidence = confidence;
  return f;
}

Fact number_fact(std::string what, FactSource source, double value, double confidence) {
  Fact f;
  f.what = std::move(what);
  f.source = source;
  f.number = value;
  f.confidence = confidence;
  return f;
}

// Reads tempo, key and note from the tokens of a file's name.
void read_tokens(const std::vector<std::string>& list, std::vector<Fact>& facts) {
  std::optional<double> marked_tempo;
  std::vector<double> bare_tempos;
  size_t bare_at = 0;
  std::vector<bool> taken(list.size(), false);
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string low = fold(list[i]);
    const std::string before = i > 0 ? fold(list[i - 1]) : "";
    std::optional<double> value;
    bool marked = false;
    if (low.ends_with("bpm") && low.size() > 3) {
      value = number(std::string_view(low).substr(0, low.size() - 3));
      marked = true;
    } else if (low.starts_with("bpm") && low.size() > 3) {
      value = number(std::string_view(low).substr(3));
      marked = true;
    } else {
      value = number(low);
      marked = value && ((i + 1 < list.size() && fold(list[i + 1]) == "bpm") || before == "bpm");
    }
    if (!value || !plausible_tempo(*value)) continue;
    if (marked) {
      marked_tempo = value;
      taken[i] = true;
    } else if (*value >= 60 && *value <= 200 && low.size() >= 2 && low.size() <= 6 &&
               low.front() != '0' && !is_machine(low) && !counts_things(before)) {
      bare_tempos.push_back(*value);
      bare_at = i;
    }
  }
  // Two bare numbers say nothing about which is the tempo.
  const bool bare = !marked_tempo && bare_tempos.size() == 1;
  if (marked_tempo)
    facts.push_back(number_fact("tempo", FactSource::kName, *marked_tempo, kMarked));
  if (bare) facts.push_back(number_fact("tempo", FactSource::kName, bare_tempos[0], kBare));

  std::optional<KeyWord> best;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string before = i > 0 ? fold(list[i - 1]) : "";
    const std::string after = i + 1 < list.size() ? fold(list[i + 1]) : "";
    auto word = key_word(list[i]);
    if (!word) {
      if (const auto note = note_word(list[i]); note && i > 0)
        facts.push_back(number_fact("note", FactSource::kName, *note, 0.8));
      continue;
    }
    if (!word->marked && (after == "minor" || after == "min" || after == "major" ||
                          after == "maj" || after == "moll" || after == "dur")) {
      if (auto key = parse_key(list[i] + " " + after); key.ok()) {
        word->key = std::move(*key);
        word->marked = true;
      }
    }
    if (!word->marked && !word->accidental && counts_things(before)) continue;
    if (!word->marked && !word->accidental) {
      // A lone letter is a key only beside a tempo or after "key" or "in".
      const bool beside_tempo = (i > 0 && (number(before) || before.ends_with("bpm"))) ||
                                (i + 1 < list.size() && (number(after) || after.ends_with("bpm")));
      const bool has_tempo = marked_tempo || (bare && (bare_at + 1 == i || bare_at == i + 1));
      if (!(beside_tempo && has_tempo) && before != "key" && before != "in") continue;
    }
    if (!best || (word->marked && !best->marked)) {
      best = word;
    }
  }
  if (best) {
    Fact f = text_fact("key", FactSource::kName, best->key,
                       best->marked       ? kMarked
                       : best->accidental ? 0.6
                                          : kBare);
    f.mode_known = best->marked;
    facts.push_back(std::move(f));
  }
}

bool octave_related(double a, double b) {
  if (a <= 0 || b <= 0) return false;
  for (const double ratio : {1.0, 0.5, 2.0, 2.0 / 3, 1.5, 0.75, 4.0 / 3}) {
    if (std::abs(a / b - ratio) <= 0.03 * ratio) return true;
  }
  return false;
}

const Fact* find(const std::vector<Fact>& facts, std::string_view what, FactSource source) {
  for (const Fact& f : facts) {
    if (f.what == what && f.source == source) return &f;
  }
  return nullptr;
}

std::string tonic(const std::string& key) {
  return key.substr(0, key.find(' '));
}

}  // namespace

std::string_view source_name(FactSource source) {
  for (const auto& [name, s] : kSources) {
    if (s == source) return name;
  }
  return "ear";
}

std::optional<FactSource> source_from_name(std::string_view name) {
  for (const auto& [n, s] : kSources) {
    if (n == name) return s;
  }
  return std::nullopt;
}

std::vector<Fact> facts_from_path(std::string_view path) {
  std::vector<Fact> facts;
  const size_t slash = path.rfind('/');
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  if (const size_t dot = name.rfind('.'); dot != std::string_view::npos && dot > 0)
    name = name.substr(0, dot);
  read_tokens(tokens(name), facts);
  const std::vector<std::string> list = words(name);
  std::string kind = kind_of(list);
  if (!kind.empty()) {
    facts.push_back(text_fact("kind", FactSource::kName, kind, kMarked));
  } else if (slash != std::string_view::npos) {
    std::string_view folder = path.substr(0, slash);
    for (int level = 0; level < 2 && kind.empty() && !folder.empty(); ++level) {
      const size_t cut = folder.rfind('/');
      kind = kind_of(words(folder.substr(cut == std::string_view::npos ? 0 : cut + 1)));
      folder = folder.substr(0, cut == std::string_view::npos ? 0 : cut);
    }
    if (!kind.empty()) facts.push_back(text_fact("kind", FactSource::kFolder, kind, kFolderKind));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string w = stem(list[i]);
    const bool shot =
        w == "oneshot" || (w == "one" && i + 1 < list.size() && stem(list[i + 1]) == "shot");
    if (w != "loop" && !shot) continue;
    facts.push_back(text_fact("content", FactSource::kName, shot ? "oneshot" : "loop", 0.7));
    break;
  }
  // A folder's tempo ("120 BPM/"): only when it says so.
  if (find(facts, "tempo", FactSource::kName) == nullptr && slash != std::string_view::npos) {
    const std::string_view folder = path.substr(0, slash);
    const size_t cut = folder.rfind('/');
    std::vector<Fact> inner;
    read_tokens(tokens(folder.substr(cut == std::string_view::npos ? 0 : cut + 1)), inner);
    for (Fact& f : inner) {
      if (f.what != "tempo" || f.confidence < kMarked) continue;
      f.source = FactSource::kFolder;
      f.confidence = 0.7;
      facts.push_back(std::move(f));
    }
  }
  return facts;
}

std::vector<Fact> facts_from_ear(const audio::Analysis& a) {
  std::vector<Fact> facts;
  if (a.tempo_bpm)
    facts.push_back(
        number_fact("tempo", FactSource::kEar, *a.tempo_bpm, a.tempo_confidence.value_or(0.5)));
  if (a.key)
    facts.push_back(text_fact("key", FactSource::kEar, *a.key, a.key_confidence.value_or(0.5)));
  if (a.kind)
    facts.push_back(text_fact("kind", FactSource::kEar, *a.kind, a.kind_confidence.value_or(0.5)));
  if (a.content) facts.push_back(text_fact("content", FactSource::kEar, *a.content, 0.9));
  if (a.note_midi) facts.push_back(number_fact("note", FactSource::kEar, *a.note_midi, 0.9));
  // Programs that write ACID chunks fill in 120 where they know nothing: what is embedded is
  // believed after a name that says it, and before the ear.
  const audio::Metadata& m = a.metadata;
  constexpr double kEmbedded = 0.945;
  if (m.tempo_bpm)
    facts.push_back(number_fact("tempo", FactSource::kEmbedded, *m.tempo_bpm, kEmbedded));
  if (m.key) facts.push_back(text_fact("key", FactSource::kEmbedded, *m.key, kEmbedded));
  if (m.root_note_midi)
    facts.push_back(number_fact("note", FactSource::kEmbedded, *m.root_note_midi, 0.85));
  if (m.one_shot)
    facts.push_back(
        text_fact("content", FactSource::kEmbedded, *m.one_shot ? "oneshot" : "loop", 0.8));
  return facts;
}

std::optional<Fact> believed(const std::vector<Fact>& facts, std::string_view what) {
  if (const Fact* user = find(facts, what, FactSource::kUser)) return *user;
  const Fact* const ear = find(facts, what, FactSource::kEar);
  std::optional<Fact> best;
  double best_rank = -1;
  for (const Fact& f : facts) {
    if (f.what != what) continue;
    Fact candidate = f;
    if (f.source == FactSource::kName && ear != nullptr) {
      if (what == "tempo" && octave_related(f.number, ear->number)) {
        candidate.confidence = std::max(f.confidence, kAgreed);
      } else if (what == "key" && !f.mode_known && tonic(f.text) == tonic(ear->text)) {
        candidate.text = ear->text;
        candidate.confidence = std::max(f.confidence, 0.85);
      } else if (what == "kind" && f.text == "hat_closed" && ear->text == "hat_open") {
        candidate.text = ear->text;  // "hat" alone does not say which
      }
    }
    // However sure the ear is, what somebody wrote out ("140bpm", "Am") is believed first.
    const double rank = f.source == FactSource::kEar ? std::min(candidate.confidence, kEarMost)
                                                     : candidate.confidence;
    if (rank > best_rank || (rank == best_rank && candidate.source < best->source)) {
      best = std::move(candidate);
      best_rank = rank;
    }
  }
  return best;
}

void settle(const std::vector<Fact>& facts, audio::Analysis& a) {
  const auto tempo = believed(facts, "tempo");
  a.tempo_bpm = tempo ? std::optional(tempo->number) : std::nullopt;
  a.tempo_confidence = tempo ? std::optional(tempo->confidence) : std::nullopt;
  const auto key = believed(facts, "key");
  a.key = key ? std::optional(key->text) : std::nullopt;
  a.key_confidence = key ? std::optional(key->confidence) : std::nullopt;
  const auto kind = believed(facts, "kind");
  a.kind = kind ? std::optional(kind->text) : std::nullopt;
  a.kind_confidence = kind ? std::optional(kind->confidence) : std::nullopt;
  const auto content = believed(facts, "content");
  a.content = content ? std::optional(content->text) : std::nullopt;
  const auto note = believed(facts, "note");
  a.note_midi = note ? std::optional(note->number) : std::nullopt;
}

void write_facts(JsonWriter& w, const std::vector<Fact>& facts) {
  w.begin_array();
  for (const Fact& f : facts) {
    w.begin_object().field("what", f.what).field("source", source_name(f.source));
    if (f.text.empty()) {
      w.field("value", f.number);
    } else {
      w.field("value", f.text);
    }
    w.field("confidence", std::round(f.confidence * 1000) / 1000);
    if (!f.mode_known) w.field("mode_known", false);
    w.end_object();
  }
  w.end_array();
}

std::vector<Fact> read_facts(const JsonValue& list) {
  std::vector<Fact> facts;
  for (const JsonValue& v : list.items()) {
    const auto source = source_from_name(v["source"].string_or(""));
    if (!source) continue;
    Fact f;
    f.what = v["what"].string_or("");
    f.source = *source;
    f.number = v["value"].number_or(0);
    f.text = v["value"].string_or("");
    f.confidence = v["confidence"].number_or(0);
    f.mode_known = v["mode_known"].bool_or(true);
    facts.push_back(std::move(f));
  }
  return facts;
}

Result<double> parse_tempo_factor(std::string_view text) {
  std::string_view t = text;
  if (t.starts_with('x') || t.starts_with('X')) t.remove_prefix(1);
  if (t.starts_with("\u00D7")) t.remove_prefix(2);
  static constexpr std::pair<std::string_view, double> kFactors[] = {
      {"1/2", 0.5}, {"0.5", 0.5}, {"2/3", 2.0 / 3}, {"3/4", 0.75}, {"4/3", 4.0 / 3},
      {"3/2", 1.5}, {"1.5", 1.5}, {"2", 2.0},       {"2/1", 2.0}};
  for (const auto& [name, factor] : kFactors) {
    if (t == name) return factor;
  }
  return Error(ErrorCode::kInvalidArgument, "tempo factor '" + std::string(text) + "' is not known",
               "use x1/2, x2/3, x3/4, x4/3, x3/2 or x2");
}

const std::vector<std::string>& kind_names() {
  static const std::vector<std::string> names{
      "kick",   "snare",   "rim",  "clap", "hat_closed", "hat_open", "tom",    "crash",   "ride",
      "cymbal", "cowbell", "perc", "bass", "keys",       "mallet",   "guitar", "strings", "brass",
      "wind",   "lead",    "pad",  "stab", "ambience",   "vocal",    "fx"};
  return names;
}

}  // namespace samplemind::library
