#include "audio/feature/rhythm_decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "audio/feature/bars.h"

namespace samplemind::audio {

namespace {

constexpr double kFps = 2 * kRhythmBandsFps;  // the beat grid: half a network frame
constexpr size_t kPeriodMin = 24;             // 250 BPM
constexpr size_t kPeriodMax = 152;            // 39.6 BPM
constexpr size_t kPeriods = kPeriodMax - kPeriodMin + 1;
constexpr size_t kSegment = 48000;  // steps between looking back (8 minutes), and
constexpr size_t kSettle = 3000;    // those left to later evidence then
constexpr float kNever = -1e30f;

double log_odds(double p) {
  p = std::clamp(p, 1e-4, 1 - 1e-4);
  return std::log(p / (1 - p));
}

// The network's log-probability of a tempo, between its classes; bounded below.
double tempo_log_probability(const RhythmActivity& activity, double bpm) {
  const double at = std::log(bpm / 40) / 0.03;
  const double inside = std::clamp(at, 0.0, static_cast<double>(kRhythmTempi - 1));
  const auto i = std::min(static_cast<size_t>(inside), kRhythmTempi - 2);
  const double f = inside - static_cast<double>(i);
  return std::max(-8.0, activity.tempo[i] * (1 - f) + activity.tempo[i + 1] * f);
}

// Probability within 4 per cent or so of a tempo.
double tempo_mass(const RhythmActivity& activity, double bpm) {
  const double at = std::log(bpm / 40) / 0.03;
  double mass = 0;
  for (size_t i = 0; i < kRhythmTempi; ++i) {
    if (std::abs(static_cast<double>(i) - at) < 1.6) mass += std::exp(activity.tempo[i]);
  }
  return std::min(1.0, mass);
}

// Beat positions on the grid, by the dynamic programme: score(t, p) is that of the best sequence
// with a beat at t and the beat before it at t - p.
class BeatPath {
 public:
  BeatPath(const RhythmActivity& activity, const RhythmBalance& balance) {
    const size_t frames = activity.beat.size();
    odds_.resize(frames * 2);
    for (size_t i = 0; i < frames; ++i) {
      const double here = activity.beat[i];
      const double next = i + 1 < frames ? activity.beat[i + 1] : 0;
      const auto value = [&](double p) {
        return static_cast<float>(std::max(balance.beat_floor, log_odds(p) + balance.beat_bias));
      };
      odds_[2 * i] = value(here);
      odds_[2 * i + 1] = value((here + next) / 2);
    }
    // Against the best tempo, so that a sequence is not shorter for the network's doubt.
    const double top = *std::max_element(activity.tempo.begin(), activity.tempo.end());
    for (size_t p = 0; p < kPeriods; ++p) {
      const double period = static_cast<double>(p + kPeriodMin);
      const double likely = tempo_log_probability(activity, 60 * kFps / period) - top;
      prior_[p] =
          static_cast<float>(period / kFps * (balance.tempo_prior * likely + balance.coverage));
      for (size_t q = 0; q < kPeriods; ++q) {
        const double change = std::log(period / static_cast<double>(q + kPeriodMin));
        if (std::abs(change) > 3.2 * balance.tempo_spread && p != q &&
            std::abs(static_cast<int>(p) - static_cast<int>(q)) > 1)
          continue;
        const double z = change / balance.tempo_spread;
        // From q to p.
        moves_[p].push_back({static_cast<uint8_t>(q), static_cast<float>(-0.5 * z * z)});
      }
    }
  }

  std::vector<size_t> find() {
    const size_t n = odds_.size();
    std::vector<float> onward(kPeriodMax * kPeriods, kNever);  // ring over t: best before a period
    std::vector<uint8_t> came;                                 // [t - base][p]: period before
    std::vector<float> here(kPeriods);
    std::vector<size_t> beats;
    size_t base = 0;
    float best_end = kNever;
    size_t end_t = 0, end_p = 0;
    for (size_t t = 0; t < n; ++t) {
      for (size_t p = 0; p < kPeriods; ++p) {
        const size_t period = p + kPeriodMin;
        here[p] = t < period
                      ? kNever
                      : onward[(t - period) % kPeriodMax * kPeriods + p] + odds_[t] + prior_[p];
        if (here[p] > best_end) {
          best_end = here[p];
          end_t = t;
          end_p = p;
        }
      }
      came.resize((t - base + 1) * kPeriods);
      uint8_t* from = &came[(t - base) * kPeriods];
      float* out = &onward[t % kPeriodMax * kPeriods];
      for (size_t p = 0; p < kPeriods; ++p) {
        // A sequence may begin at any beat.
        float best = odds_[t];
        uint8_t arg = kStart;
        for (const Move& m : moves_[p]) {
          const float s = here[m.from] + m.score;
          if (s > best) {
            best = s;
            arg = m.from;
          }
        }
        out[p] = best;
        from[p] = arg;
      }
      if (t - base >= kSegment && end_t + kSettle < t) {
        // A long rest: this sequence is over.
        note(trace(came, base, end_t, end_p), beats);
        std::fill(onward.begin(), onward.end(), kNever);
        best_end = kNever;
        came.clear();
        base = t + 1;
      } else if (t - base >= kSegment) {
        // What lies well behind no longer changes: note it and forget how it came about.
        std::vector<size_t> part = trace(came, base, end_t, end_p);
        std::erase_if(part, [&](size_t b) { return b + kSettle > t; });
        note(part, beats);
        const size_t keep = t + 1 - kSettle - 2 * kPeriodMax;
        came.erase(came.begin(), came.begin() + static_cast<ptrdiff_t>((keep - base) * kPeriods));
        base = keep;
      }
    }
    if (best_end > 0) note(trace(came, base, end_t, end_p), beats);
    return beats;
  }

 private:
  static constexpr uint8_t kStart = 255;
  struct Move {
    uint8_t from;
    float score;
  };

  static void note(const std::vector<size_t>& part, std::vector<size_t>& beats) {
    for (const size_t b : part) {
      if (beats.empty() || b > beats.back() + kPeriodMin / 2) beats.push_back(b);
    }
  }

  // Beats from the end back to the sequence's start or to `base`, rising.
  static std::vector<size_t> trace(const std::vector<uint8_t>& came, size_t base, size_t t,
                                   size_t p) {
    std::vector<size_t> beats{t};
    for (;;) {
      const size_t period = p + kPeriodMin;
      if (t < base + period) break;
      t -= period;
      beats.push_back(t);
      const uint8_t before = came[(t - base) * kPeriods + p];
      if (before == kStart) break;
      p = before;
    }
    std::reverse(beats.begin(), beats.end());
    return beats;
  }

  std::vector<float> odds_;
  std::array<float, kPeriods> prior_{};
  std::array<std::vector<Move>, kPeriods> moves_;
};

// Beats in seconds, moved to the top of the network's peak near each.
std::vector<double> refine(const RhythmActivity& activity, const std::vector<size_t>& grid) {
  std::vector<double> times;
  const std::vector<float>& a = activity.beat;
  for (const size_t g : grid) {
    auto i = static_cast<ptrdiff_t>((g + 1) / 2);
    const auto n = static_cast<ptrdiff_t>(a.size());
    i = std::min(i, n - 1);
    for (int step = 0; step < 2; ++step) {
      if (i > 0 && a[static_cast<size_t>(i - 1)] > a[static_cast<size_t>(i)])
        --i;
      else if (i + 1 < n && a[static_cast<size_t>(i + 1)] > a[static_cast<size_t>(i)])
        ++i;
    }
    const double here = a[static_cast<size_t>(i)];
    double time = static_cast<double>(g) / kFps;
    if (here > 0.15) {
      const double before = i > 0 ? a[static_cast<size_t>(i - 1)] : 0;
      const double after = i + 1 < n ? a[static_cast<size_t>(i + 1)] : 0;
      // Centre of gravity of the three: the targets were triangles.
      const double shift = (after - before) / (before + here + after);
      time = (static_cast<double>(i) + shift) / kRhythmBandsFps;
    }
    times.push_back(std::max(0.0, time));
  }
  return times;
}

// A metronome: nothing but evenly spaced attacks. Each is a beat.
std::vector<double> plain_pulse(const std::vector<double>& onsets) {
  constexpr double kSlowest_s = 60 / 45.0, kFastest_s = 60 / 185.0;
  if (onsets.size() < 8) return {};
  std::vector<double> gaps;
  for (size_t i = 1; i < onsets.size(); ++i) gaps.push_back(onsets[i] - onsets[i - 1]);
  std::vector<double> sorted = gaps;
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const double median = *middle;
  if (median > kSlowest_s || median < kFastest_s) return {};
  const auto even = std::count_if(gaps.begin(), gaps.end(),
                                  [&](double g) { return std::abs(g - median) < 0.03 * median; });
  return static_cast<size_t>(even) * 20 >= gaps.size() * 19 ? onsets : std::vector<double>();
}

// Seconds a beat. A steady pulse: the slope of the straight line through the beats; a wavering one:
// the median of slopes over eight beats.
double seconds_a_beat(const std::vector<double>& beats) {
  const size_t n = beats.size();
  const auto slope = [&](size_t first, size_t count, double* worst) {
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (size_t k = 0; k < count; ++k) {
      const auto x = static_cast<double>(k);
      const double y = beats[first + k];
      sx += x, sy += y, sxx += x * x, sxy += x * y;
    }
    const auto c = static_cast<double>(count);
    const double m = (c * sxy - sx * sy) / (c * sxx - sx * sx);
    if (worst != nullptr) {
      const double b = (sy - m * sx) / c;
      for (size_t k = 0; k < count; ++k)
        *worst = std::max(*worst, std::abs(beats[first + k] - b - m * static_cast<double>(k)));
    }
    return m;
  };
  double worst = 0;
  const double whole = slope(0, n, &worst);
  if (n <= 8 || worst < 0.05) return whole;
  std::vector<double> slopes;
  for (size_t i = 0; i + 8 <= n; ++i) slopes.push_back(slope(i, 8, nullptr));
  std::nth_element(slopes.begin(), slopes.begin() + static_cast<ptrdiff_t>(slopes.size() / 2),
                   slopes.end());
  return slopes[slopes.size() / 2];
}

struct Bars {
  double score = 0;  // log-likelihood a beat
  std::vector<size_t> first_beats;
};

// Bars of `length` beats through all beats; the count may slip anywhere, at a price.
Bars bars_of(const std::vector<double>& odds, int length) {
  constexpr double kSlip = 5;
  const size_t n = odds.size();
  const auto states = static_cast<size_t>(length);
  std::vector<double> score(states, 0), next(states);
  std::vector<uint8_t> came(n * states);
  const auto gain = [&](size_t beat, size_t position) {
    // log p for a first beat, log (1 - p) for the others
    const double p = 1 / (1 + std::exp(-odds[beat]));
    return std::log(position == 0 ? p : 1 - p);
  };
  for (size_t b = 0; b < n; ++b) {
    size_t top = 0;
    for (size_t s = 1; s < states; ++s)
      if (score[s] > score[top]) top = s;
    for (size_t s = 0; s < states; ++s) {
      const size_t usual = (s + states - 1) % states;
      size_t from = usual;
      double value = score[usual];
      if (b > 0 && score[top] - kSlip > value) {
        value = score[top] - kSlip;
        from = top;
      }
      next[s] = value + gain(b, s);
      came[b * states + s] = static_cast<uint8_t>(from);
    }
    std::swap(score, next);
  }
  Bars bars;
  size_t s = 0;
  for (size_t k = 1; k < states; ++k)
    if (score[k] > score[s]) s = k;
  bars.score = score[s];
  for (size_t b = n; b-- > 0;) {
    if (s == 0) bars.first_beats.push_back(b);
    s = came[b * states + s];
  }
  std::reverse(bars.first_beats.begin(), bars.first_beats.end());
  return bars;
}

// Beats and what the bar network says of them.
struct PacedBeats {
  std::vector<double> beats_s;
  BarOpinion opinion;
};

// Where a beat would be `at` beats after the first: between two beats, or as far beyond the ends.
double beat_time(const std::vector<double>& beats, double at) {
  const auto last = static_cast<double>(beats.size() - 2);
  const auto i = static_cast<size_t>(std::clamp(std::floor(at), 0.0, last));
  return beats[i] + (at - static_cast<double>(i)) * (beats[i + 1] - beats[i]);
}

// The beats as they are, every second of them, twice as many, those between, two for three or three
// for two: the network that sees them as beats weighs each, the frame network its tempo. It is
// asked about the other sequences only when it doubts the first.
PacedBeats settle_pace(const RhythmActivity& activity, const RhythmBalance& balance,
                       std::vector<double> beats, double duration_s) {
  constexpr double kSure = 0.97;
  constexpr size_t kFewest = 6;
  struct Other {
    Pace pace;
    double first, step;  // in beats of the sequence found
  };
  constexpr std::array<Other, 9> kOthers{{{Pace::kDouble, 0, 2},
                                          {Pace::kDouble, 1, 2},
                                          {Pace::kHalf, 0, 0.5},
                                          {Pace::kOff, -0.5, 1},
                                          {Pace::kThreeForTwo, 0, 1.5},
                                          {Pace::kThreeForTwo, -0.5, 1.5},
                                          {Pace::kThreeForTwo, -1, 1.5},
                                          {Pace::kTwoForThree, 0, 2.0 / 3},
                                          {Pace::kTwoForThree, -1.0 / 3, 2.0 / 3}}};
  PacedBeats best{std::move(beats), {}};
  best.opinion = hear_bars(activity, best.beats_s);
  const std::array<double, kPaces> pace = best.opinion.pace;
  if (best.beats_s.size() < kFewest || pace[0] > std::log(kSure)) return best;
  const std::vector<double> found = best.beats_s;
  const double bpm = 60 / seconds_a_beat(found);
  // What a sequence is worth whose own pace nobody doubts.
  const auto at_most = [&](Pace p, double step) {
    return pace[static_cast<size_t>(p)] +
           balance.pace_tempo * tempo_log_probability(activity, bpm / step);
  };
  double best_value = at_most(Pace::kRight, 1) + pace[0];
  for (const Other& o : kOthers) {
    if (bpm / o.step < 40 || bpm / o.step > 240) continue;
    const double bound = at_most(o.pace, o.step) - balance.pace_change;
    if (bound <= best_value) continue;
    std::vector<double> times = beats_at_pace(found, o.first, o.step, duration_s);
    BarOpinion opinion = hear_bars(activity, times);
    if (bound + opinion.pace[0] <= best_value) continue;
    best_value = bound + opinion.pace[0];
    best = {std::move(times), std::move(opinion)};
  }
  return best;
}

void find_bars(const RhythmActivity& activity, const BarOpinion& opinion,
               const RhythmBalance& balance, Rhythm& rhythm) {
  std::vector<double> odds;
  for (const double t : rhythm.beats_s) {
    if (odds.size() < opinion.first.size()) {
      odds.push_back(std::clamp<double>(opinion.first[odds.size()], -4, 4));
      continue;
    }
    const auto i = static_cast<size_t>(std::lround(t * kRhythmBandsFps));
    double best = 0;
    for (size_t k = i > 0 ? i - 1 : 0; k <= i + 1 && k < activity.downbeat.size(); ++k)
      best = std::max<double>(best, activity.downbeat[k]);
    odds.push_back(std::clamp(log_odds(best) + 0.3, -4.0, 4.0));
  }
  double best_score = -std::numeric_limits<double>::infinity();
  for (size_t m = 0; m < kMeters; ++m) {
    const auto meter = static_cast<Meter>(m);
    const int length = beats_a_bar(meter);
    if (odds.size() < static_cast<size_t>(length)) continue;
    Bars bars = bars_of(odds, length);
    const double score = bars.score + balance.meter_prior * std::max(-8.0, activity.meter[m]) +
                         balance.bar_meter_prior * std::max(-8.0, opinion.meter[m]);
    if (score <= best_score) continue;
    best_score = score;
    rhythm.downbeats_s.clear();
    for (const size_t b : bars.first_beats) rhythm.downbeats_s.push_back(rhythm.beats_s[b]);
    rhythm.meter = meter;
  }
  if (rhythm.downbeats_s.size() < 2) rhythm.meter.reset();
}

// A loop lasts a whole number of beats, mostly of bars of four, and mostly 1, 2, 4 or 8 of them.
// The most likely count, 0 when there is none: a conditional logit model, its weights fitted on
// 1,215 composed loops and rounded (models/README.md).
int loop_beats(const RhythmActivity& activity, double tracked_bpm, double duration_s) {
  int best = 0;
  double best_score = -std::numeric_limits<double>::infinity();
  for (int beats = 1; beats <= 256; ++beats) {
    const double bpm = 60 * beats / duration_s;
    if (bpm < 55 || bpm > 200) continue;
    const double octaves = std::log2(bpm / 125);
    double score = 0.65 * tempo_log_probability(activity, bpm) - 1.5 * octaves * octaves;
    if (tracked_bpm > 0 && std::abs(bpm / tracked_bpm - 1) < 0.03) score += 0.35;
    if (beats >= 4 && (beats & (beats - 1)) == 0) score += 2.9;
    if (beats % 4 == 0) score += 1.1;
    if (beats % 2 == 1) score -= 1.1;
    if (score > best_score) {
      best_score = score;
      best = beats;
    }
  }
  return best;
}

// What is left of certainty goes to each as the mean of both networks' words.
void name_alternatives(const RhythmActivity& activity, const BarOpinion& opinion, Rhythm& rhythm) {
  const double left = 1 - rhythm.confidence;
  for (const double ratio : {0.5, 2.0, 2.0 / 3, 1.5}) {
    const double bpm = rhythm.tempo_bpm * ratio;
    if (bpm < 30 || bpm > 300) continue;
    const double mass = bpm < 39 || bpm > 255 ? 0 : tempo_mass(activity, bpm);
    const double pace = ratio == 0.5 ? std::exp(opinion.pace[1])
                        : ratio == 2 ? std::exp(opinion.pace[2])
                        : ratio < 1  ? std::exp(opinion.pace[4])
                                     : std::exp(opinion.pace[5]);
    rhythm.alternatives.push_back({bpm, left * (mass + pace) / 2});
  }
  std::stable_sort(rhythm.alternatives.begin(), rhythm.alternatives.end(),
                   [](const TempoCandidate& a, const TempoCandidate& b) {
                     return a.probability > b.probability;
                   });
}

}  // namespace

std::string_view name(Meter meter) {
  constexpr std::array<std::string_view, kMeters> kNames{"2/4", "2/2", "3/4", "4/4", "6/8"};
  return kNames[static_cast<size_t>(meter)];
}

int beats_a_bar(Meter meter) {
  constexpr std::array<int, kMeters> kBeats{2, 2, 3, 4, 2};
  return kBeats[static_cast<size_t>(meter)];
}

std::vector<double> beats_at_pace(const std::vector<double>& beats_s, double first, double step,
                                  double duration_s) {
  std::vector<double> times;
  if (beats_s.size() < 2) return times;
  const double slack = 0.1 * (beats_s[1] - beats_s[0]);
  for (double at = first; at < static_cast<double>(beats_s.size()) - 0.25; at += step) {
    const double t = beat_time(beats_s, at);
    if (t < -slack) continue;
    if (t >= duration_s) break;
    times.push_back(std::max(0.0, t));
  }
  return times;
}

std::optional<Rhythm> find_rhythm(const RhythmActivity& activity, double duration_s, bool loop,
                                  const RhythmBalance& balance) {
  if (activity.beat.size() < static_cast<size_t>(kRhythmBandsFps)) return std::nullopt;
  Rhythm rhythm;
  const std::vector<size_t> grid = BeatPath(activity, balance).find();
  rhythm.beats_s = refine(activity, grid);
  std::erase_if(rhythm.beats_s, [&](double t) { return t >= duration_s; });
  PacedBeats paced;
  if (auto pulse = plain_pulse(find_onsets(activity, duration_s, balance)); !pulse.empty()) {
    paced.opinion = hear_bars(activity, pulse);
    paced.beats_s = std::move(pulse);
  } else {
    paced = settle_pace(activity, balance, std::move(rhythm.beats_s), duration_s);
  }
  rhythm.beats_s = std::move(paced.beats_s);
  if (rhythm.beats_s.size() < 3 && !loop) return std::nullopt;
  double bpm = rhythm.beats_s.size() >= 3 ? 60 / seconds_a_beat(rhythm.beats_s) : 0;
  if (loop) {
    const double tracked = bpm;
    const int beats = loop_beats(activity, tracked, duration_s);
    if (beats > 0) bpm = 60 * beats / duration_s;
    if (bpm <= 0) return std::nullopt;
    if (beats > 0 && (tracked <= 0 || std::abs(bpm / tracked - 1) > 0.03)) {
      // Other beats than were tracked: a loop begins on one.
      rhythm.beats_s.clear();
      for (int i = 0; i < beats; ++i) rhythm.beats_s.push_back(60 * i / bpm);
      paced.opinion = hear_bars(activity, rhythm.beats_s);
    }
  }
  rhythm.tempo_bpm = bpm;
  // The fourth root makes both networks' modesty what it should be: "0.8" is right at least
  // four times in five (docs/benchmarks.md).
  const double right = std::exp(paced.opinion.pace[0]);
  rhythm.confidence = std::sqrt(std::sqrt(right * tempo_mass(activity, bpm)));
  find_bars(activity, paced.opinion, balance, rhythm);
  name_alternatives(activity, paced.opinion, rhythm);
  return rhythm;
}

std::vector<double> find_onsets(const RhythmActivity& activity, double duration_s,
                                const RhythmBalance& balance) {
  constexpr double kGap_s = 0.025;
  const std::vector<float>& a = activity.onset;
  std::vector<double> onsets;
  const size_t n = a.size();
  for (size_t i = 0; i < n; ++i) {
    const float before = i > 0 ? a[i - 1] : 0;
    const float after = i + 1 < n ? a[i + 1] : 0;
    if (a[i] < balance.onset_threshold || a[i] < before || a[i] <= after) continue;
    const double shift = (after - before) / (before + a[i] + after);
    const double time = std::max(0.0, (static_cast<double>(i) + shift) / kFps);
    if (time >= duration_s) break;
    if (!onsets.empty() && time - onsets.back() < kGap_s) continue;
    onsets.push_back(time);
  }
  return onsets;
}

}  // namespace samplemind::audio
