// Tempo, beats, bars and onsets from what the rhythm network says (rhythm_net.h).
//
// Beats: the most likely sequence of beats under the network's beat probabilities, where the time
// from beat to beat may change a few per cent at each beat and every tempo weighs what the network
// gives it (a semi-Markov form of the bar-pointer model of Whiteley, Cemgil and Godsill, "Bayesian
// modelling of temporal structure in musical audio", ISMIR 2006). Bars: for each bar length the
// most likely position of the first beats; the network's metre and the bars' own likelihood choose.
// Tempo: by regression through the beats; a loop is cut to whole beats, which settles it to a
// fraction of a per cent.
//
// Everything here is pure and thread-safe; memory is about 0.2 MB a minute of sound, 8 MB at most.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "audio/facts.h"
#include "audio/feature/rhythm_net.h"

namespace samplemind::audio {

struct Rhythm {
  double tempo_bpm = 0;   // 40..240
  double confidence = 0;  // 0..1: the probability that the tempo is right within 4 %
  // The tempo's relatives that may be meant instead: x1/2, x2, x2/3, x3/2, those of 30 to 300 BPM;
  // the most likely first.
  std::vector<TempoCandidate> alternatives;
  std::vector<double> beats_s;  // rising, within the sound
  std::vector<double> downbeats_s;
  std::optional<Meter> meter;  // nothing for less than two bars
};

// The weights of the evidence, chosen on composed music that was held back from training.
struct RhythmBalance {
  double beat_bias = 0.0;     // added to the log-odds of a beat
  double beat_floor = -4;     // of a beat's log-odds
  double tempo_prior = 0.45;  // of the network's log tempo probability, a second
  double coverage = 3;  // for each second that the beats cover: they go on through quiet parts
  double tempo_spread = 0.04;    // standard deviation of the change from beat to beat
  double meter_prior = 4.0;      // of the network's log metre probability
  double bar_meter_prior = 2.0;  // of the bar network's
  double pace_tempo = 0.3;  // of the network's log tempo probability, for halved beats and such
  double pace_change = 0;   // what another pace than the first must gain
  double onset_threshold = 0.3;
};

// `loop`: the sound may be cut to whole beats. Nothing when there is no pulse to speak of.
std::optional<Rhythm> find_rhythm(const RhythmActivity& activity, double duration_s, bool loop,
                                  const RhythmBalance& balance = {});

// The same beats at another pace: one every `step` beats from `first` on (in beats of `beats_s`,
// counted from 0; between beats, and up to a beat beyond either end, as the nearest two go on).
// Times lie within [0, duration_s); one less than a tenth of a beat before 0 counts as 0. Fewer
// than two beats give none. REQUIRES: beats_s rising, step > 0.
std::vector<double> beats_at_pace(const std::vector<double>& beats_s, double first, double step,
                                  double duration_s);

// Times of note onsets in seconds, rising, before `duration_s`.
std::vector<double> find_onsets(const RhythmActivity& activity, double duration_s,
                                const RhythmBalance& balance = {});

std::string_view name(Meter meter);  // "4/4"
int beats_a_bar(Meter meter);        // 6/8 has two

}  // namespace samplemind::audio
