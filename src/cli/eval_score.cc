#include "cli/eval_score.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <optional>

namespace samplemind::cli {

namespace {

using Times = std::vector<double>;

Times times(const JsonValue& list, double from) {
  Times t;
  for (const JsonValue& v : list.items()) {
    const double s = v.number_or(-1e9);
    if (s >= from) t.push_back(s);
  }
  std::sort(t.begin(), t.end());
  return t;
}

double f_measure(const Times& truth, const Times& found, double window) {
  if (truth.empty() || found.empty()) return 0;
  size_t i = 0, j = 0, hits = 0;
  while (i < truth.size() && j < found.size()) {
    const double d = found[j] - truth[i];
    if (std::abs(d) <= window) {
      ++hits, ++i, ++j;
    } else if (d < 0) {
      ++j;
    } else {
      ++i;
    }
  }
  return 2.0 * static_cast<double>(hits) / static_cast<double>(truth.size() + found.size());
}

// Share of beats that lie on the truth's and keep its pace (Hainsworth; Davies).
double continuity(const Times& truth, const Times& found) {
  constexpr double kWindow = 0.175;
  if (truth.size() < 2 || found.size() < 2) return 0;
  std::vector<bool> used(truth.size(), false);
  size_t good = 0;
  for (size_t k = 0; k < found.size(); ++k) {
    const double b = found[k];
    const auto above =
        static_cast<size_t>(std::upper_bound(truth.begin(), truth.end(), b) - truth.begin());
    size_t j = above == 0 ? 0 : above - 1;
    if (above > 0 && above < truth.size() && std::abs(truth[above] - b) < std::abs(truth[j] - b))
      j = above;
    if (used[j]) continue;
    double step_truth, step_found;
    if (k == 0 || j == 0) {
      step_truth = truth[std::min(j + 1, truth.size() - 1)] - truth[j];
      if (step_truth == 0) step_truth = truth[j] - truth[j - 1];
      step_found = k + 1 < found.size() ? found[k + 1] - b : 0;
      if (step_found == 0) step_found = b - found[k - 1];
    } else {
      step_truth = truth[j] - truth[j - 1];
      step_found = b - found[k - 1];
    }
    if (step_truth > 0 && std::abs(truth[j] - b) < kWindow * step_truth &&
        std::abs(1 - step_found / step_truth) < kWindow) {
      ++good;
      used[j] = true;
    }
  }
  return static_cast<double>(good) / static_cast<double>(std::max(truth.size(), found.size()));
}

double any_level(const Times& truth, const Times& found) {
  Times doubled, off, even, odd;
  for (size_t i = 0; i < truth.size(); ++i) {
    doubled.push_back(truth[i]);
    if (i + 1 < truth.size()) {
      doubled.push_back((truth[i] + truth[i + 1]) / 2);
      off.push_back((truth[i] + truth[i + 1]) / 2);
    }
    (i % 2 == 0 ? even : odd).push_back(truth[i]);
  }
  double best = 0;
  for (const Times* t : std::array<const Times*, 5>{&truth, &off, &doubled, &even, &odd})
    best = std::max(best, continuity(*t, found));
  return best;
}

struct KeyName {
  int tonic;
  bool minor;
  bool operator==(const KeyName&) const = default;
};

std::optional<KeyName> key_name(const std::string& text) {
  constexpr std::array<int, 7> kLetters{9, 11, 0, 2, 4, 5, 7};  // A..G
  if (text.empty()) return std::nullopt;
  const int letter = std::toupper(static_cast<unsigned char>(text[0])) - 'A';
  if (letter < 0 || letter > 6) return std::nullopt;
  int tonic = kLetters[static_cast<size_t>(letter)];
  size_t at = 1;
  if (at < text.size() && text[at] == '#')
    ++tonic, ++at;
  else if (at < text.size() && text[at] == 'b')
    --tonic, ++at;
  const std::string rest = text.substr(at);
  const bool minor = rest == "m" || rest.find("min") != std::string::npos;
  return KeyName{(tonic + 12) % 12, minor};
}

double mirex(const KeyName& truth, const std::optional<KeyName>& found) {
  if (!found) return 0;
  if (*found == truth) return 1;
  const int up = (found->tonic - truth.tonic + 12) % 12;
  if (found->minor == truth.minor) return up == 7 ? 0.5 : 0;
  if (up == (truth.minor ? 3 : 9)) return 0.3;
  return up == 0 ? 0.2 : 0;
}

std::string coarse(const std::string& kind) {
  static const std::map<std::string, std::string> kFamilies{
      {"hat_closed", "hat"}, {"hat_open", "hat"},  {"rim", "snare"},   {"crash", "cymbal"},
      {"ride", "cymbal"},    {"cowbell", "perc"},  {"keys", "tonal"},  {"mallet", "tonal"},
      {"guitar", "tonal"},   {"strings", "tonal"}, {"brass", "tonal"}, {"wind", "tonal"},
      {"lead", "tonal"},     {"ambience", "pad"}};
  const auto it = kFamilies.find(kind);
  return it == kFamilies.end() ? kind : it->second;
}

// Bounds of the mean by resampling the sounds with replacement; the generator (SplitMix64) starts
// the same way every time.
void add_interval(const std::vector<double>& v, Metric& metric) {
  constexpr size_t kResamples = 1000;
  if (v.size() < 2) return;
  uint64_t state = v.size();
  const auto next = [&] {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  };
  std::vector<double> means(kResamples);
  for (double& m : means) {
    double sum = 0;
    for (size_t i = 0; i < v.size(); ++i) sum += v[next() % v.size()];
    m = sum / static_cast<double>(v.size());
  }
  std::sort(means.begin(), means.end());
  metric.low = means[kResamples / 40];
  metric.high = means[kResamples - 1 - kResamples / 40];
}

class Tally {
 public:
  void add(const char* name, double value) { values_[name].push_back(value); }
  void family(const std::string& family, bool right) { families_[family].push_back(right); }
  std::map<std::string, Metric> metrics() const {
    std::map<std::string, Metric> out;
    for (const auto& [name, v] : values_) {
      const auto n = static_cast<double>(v.size());
      if (name.ends_with("AbsErr")) {
        std::vector<double> sorted = v;
        std::sort(sorted.begin(), sorted.end());
        const size_t half = sorted.size() / 2;
        const double median =
            sorted.size() % 2 != 0 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
        out[name + "_median"] = {median, v.size(), {}, {}};
        out[name + "_max"] = {sorted.back(), v.size(), {}, {}};
        continue;
      }
      double sum = 0;
      for (const double x : v) sum += x;
      Metric& metric = out[name] = {sum / n, v.size(), {}, {}};
      add_interval(v, metric);
    }
    if (!families_.empty()) {
      double sum = 0;
      for (const auto& [name, v] : families_)
        sum += static_cast<double>(std::count(v.begin(), v.end(), true)) /
               static_cast<double>(v.size());
      out["kindMacro"] = {sum / static_cast<double>(families_.size()), families_.size(), {}, {}};
    }
    return out;
  }

 private:
  std::map<std::string, std::vector<double>> values_;
  std::map<std::string, std::vector<bool>> families_;
};

void score_tempo(const JsonValue& label, const JsonValue& answer, Tally& tally) {
  if (const auto tempo = label["tempo"].number()) {
    const double found = answer["tempo_bpm"].number_or(0);
    const auto within = [&](double ratio, double tolerance) {
      return std::abs(found - *tempo * ratio) <= tolerance * *tempo * ratio;
    };
    tally.add("acc1", within(1, 0.04));
    tally.add("acc1_1pct", within(1, 0.01));
    bool any = false;
    for (const double ratio : {1.0, 2.0, 0.5, 3.0, 1.0 / 3}) any = any || within(ratio, 0.04);
    tally.add("acc2", any);
  }
  const double from = label["duration"].number_or(0) > 12 ? 5 : 0;
  if (label["beats"].is_array()) {
    const Times truth = times(label["beats"], from), found = times(answer["beats_s"], from);
    tally.add("beatF", f_measure(truth, found, 0.07));
    const bool enough = truth.size() > 2 && found.size() > 1;
    tally.add("CMLt", enough ? continuity(truth, found) : 0);
    tally.add("AMLt", enough ? any_level(truth, found) : 0);
  }
  if (label["downbeats"].is_array())
    tally.add("dbF",
              f_measure(times(label["downbeats"], from), times(answer["downbeats_s"], from), 0.07));
  if (label["onsets"].is_array())
    tally.add("onsetF",
              f_measure(times(label["onsets"], -1e8), times(answer["onsets_s"], -1e8), 0.05));
  if (label["time_signature"].is_string())
    tally.add("tsAcc",
              answer["time_signature"].string_or("") == label["time_signature"].string_or("?"));
}

void score_key(const JsonValue& label, const JsonValue& answer, Tally& tally) {
  const auto truth = key_name(label["key"].string_or(""));
  if (!truth) return;
  const auto found = key_name(answer["key"].string_or(""));
  tally.add("keyAcc", found == truth);
  tally.add("mirex", mirex(*truth, found));
  tally.add("modeAcc", found && found->minor == truth->minor);
}

void score_kind(const JsonValue& label, const JsonValue& answer, Tally& tally) {
  const std::string content = label["content"].string_or("");
  if (content == "oneshot" || content == "loop" || content == "music")
    tally.add("contentAcc", answer["content"].string_or("") == content);
  if (content == "oneshot" && label["kind"].is_string()) {
    const std::string truth = label["kind"].string_or(""), found = answer["kind"].string_or("");
    tally.add("kindAcc", truth == found);
    tally.add("kindCoarse", coarse(truth) == coarse(found));
    tally.family(coarse(truth), coarse(truth) == coarse(found));
  }
  if (const auto note = label["note"].number()) {
    const auto found = answer["note_midi"].number();
    tally.add("noteAcc", found && std::abs(*found - *note) <= 0.5);
    double turn = found ? std::fmod(*found - *note + 6, 12) : 0;
    if (turn < 0) turn += 12;
    tally.add("pcAcc", found && std::abs(turn - 6) <= 0.5);
  }
}

void score_loudness(const JsonValue& label, const JsonValue& answer, Tally& tally) {
  struct Field {
    const char *label, *known, *answer, *error, *ebu;
    double seconds_min;
  };
  constexpr std::array<Field, 3> kFields{
      {{"lufs", "lufs_known", "loudness_lufs", "lufsAbsErr", "ebu_lufs", 1},
       {"lra", "lra_known", "loudness_range_lu", "lraAbsErr", "ebu_lra", 10},
       {"true_peak", "true_peak_known", "true_peak_dbtp", "true_peakAbsErr", "ebu_true_peak", 0}}};
  for (const Field& f : kFields) {
    const double found = answer[f.answer].number_or(-99);
    if (const auto truth = label[f.label].number();
        truth && answer.is_object() && label["duration"].number_or(0) > f.seconds_min)
      tally.add(f.error, std::abs(found - *truth));
    if (const auto known = label[f.known].number()) {
      double low = -label["tol"].number_or(0), high = label["tol"].number_or(0);
      if (f.label == std::string_view("true_peak")) {
        low = label["tp_tol"][size_t{0}].number_or(-0.4);
        high = label["tp_tol"][size_t{1}].number_or(0.2);
      }
      tally.add(f.ebu, low - 1e-6 <= found - *known && found - *known <= high + 1e-6);
    }
  }
}

}  // namespace

std::map<std::string, Metric> score(const std::vector<ScoredSound>& sounds) {
  Tally tally;
  const JsonValue nothing;
  for (const ScoredSound& s : sounds) {
    const JsonValue& answer = s.answer != nullptr ? *s.answer : nothing;
    score_tempo(*s.label, answer, tally);
    score_key(*s.label, answer, tally);
    score_kind(*s.label, answer, tally);
    score_loudness(*s.label, answer, tally);
  }
  return tally.metrics();
}

}  // namespace samplemind::cli
