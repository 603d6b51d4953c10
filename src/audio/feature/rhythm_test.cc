#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "audio/feature/bars.h"
#include "audio/feature/bars_test_values.h"
#include "audio/feature/rhythm_decode.h"
#include "audio/feature/rhythm_net.h"
#include "audio/feature/rhythm_net_test_values.h"

namespace samplemind::audio {
namespace {

// Clicks (a decaying burst of noise over a low thump on first beats) at the given times.
std::vector<float> clicks(const std::vector<double>& beats, int bar, double duration_s,
                          float gain = 1) {
  std::vector<float> x(static_cast<size_t>(duration_s * kRhythmBandsRate), 0);
  std::mt19937 random(7);
  std::uniform_real_distribution<float> noise(-1, 1);
  for (size_t b = 0; b < beats.size(); ++b) {
    const auto at = static_cast<size_t>(beats[b] * kRhythmBandsRate);
    const bool first = bar > 0 && b % static_cast<size_t>(bar) == 0;
    for (size_t i = 0; i < 4000 && at + i < x.size(); ++i) {
      const auto t = static_cast<float>(i) / kRhythmBandsRate;
      x[at + i] += gain * 0.3f * noise(random) * std::exp(-t / 0.02f);
      if (first)
        x[at + i] +=
            gain * 0.6f * std::sin(2 * std::numbers::pi_v<float> * 60 * t) * std::exp(-t / 0.08f);
    }
  }
  return x;
}

RhythmActivity listen(const std::vector<float>& x, size_t block) {
  FrameEngine engine(kRhythmBandsRate);
  RhythmListener listener;
  listener.subscribe(engine);
  for (size_t at = 0; at < x.size(); at += block) {
    engine.feed(std::span<const float>(x).subspan(at, std::min(block, x.size() - at)));
    listener.pump();
  }
  engine.finish();
  listener.finish();
  return listener.activity();
}

std::vector<double> steady(double bpm, double duration_s, double start = 0) {
  std::vector<double> beats;
  for (double t = start; t < duration_s; t += 60 / bpm) beats.push_back(t);
  return beats;
}

// Activity as a perfect network would give it.
RhythmActivity ideal(const std::vector<double>& beats, int bar, double duration_s, double bpm) {
  RhythmActivity a;
  const auto frames = static_cast<size_t>(duration_s * kRhythmBandsFps) + 1;
  a.beat.assign(frames, 0.02f);
  a.downbeat.assign(frames, 0.02f);
  a.onset.assign(2 * frames, 0.02f);
  for (size_t b = 0; b < beats.size(); ++b) {
    const auto i = static_cast<size_t>(std::lround(beats[b] * kRhythmBandsFps));
    if (i >= frames) break;
    a.beat[i] = 0.9f;
    if (b % static_cast<size_t>(bar) == 0) a.downbeat[i] = 0.8f;
    a.onset[2 * i] = 0.9f;
  }
  for (size_t i = 0; i < kRhythmTempi; ++i)
    a.tempo[i] = std::abs(std::log(rhythm_class_bpm(i) / bpm)) < 0.04 ? -1 : -6;
  a.meter.fill(std::log(0.2));
  return a;
}

// The spectrum that the values of the training tools belong to.
std::vector<float> test_rows() {
  std::vector<float> rows;
  for (size_t i = 0; i < kTestFrames; ++i) {
    for (size_t k = 0; k < kRhythmInputs; ++k) {
      rows.push_back(static_cast<float>(
          -6 + 3 * std::sin(0.37 * static_cast<double>(k) + 0.11 * static_cast<double>(i)) +
          2 * (i % 25 < 2 ? 1 : 0) - 1.5 * (i % 100 < 3 ? 1 : 0)));
    }
  }
  return rows;
}

TEST(RhythmNet, AnswersWhatTheTrainedOneAnswers) {
  const RhythmActivity a = evaluate_rhythm_rows(test_rows());
  ASSERT_EQ(a.beat.size(), kTestFrames);
  for (size_t r = 0; r < kTestOutputs.size(); ++r) {
    const size_t i = r * kTestStep;
    EXPECT_NEAR(a.beat[i], kTestOutputs[r][0], 2e-3) << i;
    EXPECT_NEAR(a.downbeat[i], kTestOutputs[r][1], 2e-3) << i;
    EXPECT_NEAR(a.onset[2 * i], kTestOutputs[r][2], 2e-3) << i;
    EXPECT_NEAR(a.onset[2 * i + 1], kTestOutputs[r][3], 2e-3) << i;
  }
  for (size_t i = 0; i < kRhythmTempi; ++i) EXPECT_NEAR(a.tempo[i], kTestTempo[i], 2e-2) << i;
  for (size_t i = 0; i < kMeters; ++i) EXPECT_NEAR(a.meter[i], kTestMeter[i], 2e-2) << i;
}

TEST(BarNet, AnswersWhatTheTrainedOneAnswers) {
  const RhythmActivity a = evaluate_rhythm_rows(test_rows());
  std::vector<double> beats;
  for (size_t b = 0; b < kTestBars.size(); ++b) beats.push_back(0.3 + 0.5 * static_cast<double>(b));
  const BarOpinion o = hear_bars(a, beats);
  ASSERT_EQ(o.first.size(), kTestBars.size());
  // The engine keeps its bands in bytes: a little is lost.
  const auto near = [](double got, float want) {
    return std::abs(got - want) < 0.1 + 0.03 * std::abs(want);
  };
  for (size_t b = 0; b < kTestBars.size(); ++b)
    EXPECT_TRUE(near(o.first[b], kTestBars[b])) << b << ": " << o.first[b];
  for (size_t i = 0; i < kMeters; ++i)
    EXPECT_TRUE(near(o.meter[i], kTestBarMeter[i])) << i << ": " << o.meter[i];
  for (size_t i = 0; i < kPaces; ++i)
    EXPECT_TRUE(near(o.pace[i], kTestPace[i])) << i << ": " << o.pace[i];
}

TEST(BarNet, HasNoOpinionBeyondTheBandsThatAreKept) {
  RhythmActivity a = evaluate_rhythm_rows(test_rows());
  std::vector<double> beats;
  for (size_t b = 0; b < 20; ++b) beats.push_back(0.3 + 0.5 * static_cast<double>(b));
  a.bands.resize(kBarBands * static_cast<size_t>(5 * kRhythmBandsFps));
  EXPECT_EQ(hear_bars(a, beats).first.size(), 10u);
  a.bands.clear();
  EXPECT_TRUE(hear_bars(a, beats).first.empty());
  EXPECT_TRUE(hear_bars(a, {}).first.empty());
}

TEST(RhythmNet, DoesNotDependOnHowTheSoundWasCut) {
  const std::vector<float> x = clicks(steady(120, 20), 4, 20);
  const RhythmActivity a = listen(x, x.size());
  const RhythmActivity b = listen(x, 997);
  EXPECT_EQ(a.beat, b.beat);
  EXPECT_EQ(a.onset, b.onset);
  EXPECT_EQ(a.bands, b.bands);
  EXPECT_EQ(a.tempo, b.tempo);
}

TEST(RhythmNet, DoesNotDependOnTheLevel) {
  const RhythmActivity loud = listen(clicks(steady(120, 12), 4, 12), 16384);
  const RhythmActivity quiet = listen(clicks(steady(120, 12), 4, 12, 0.1f), 16384);
  ASSERT_EQ(loud.beat.size(), quiet.beat.size());
  for (size_t i = 0; i < loud.beat.size(); ++i) EXPECT_NEAR(loud.beat[i], quiet.beat[i], 0.02) << i;
}

TEST(RhythmNet, LongSoundsAreHeardInChunksWithoutASeam) {
  // Longer than a chunk: the pulse goes on over the seam at 163 s.
  const double length = 400;
  const std::vector<float> x = clicks(steady(120, length), 4, length);
  const RhythmActivity a = listen(x, 16384);
  const auto rhythm = find_rhythm(a, length, false);
  ASSERT_TRUE(rhythm);
  double worst = 0;
  for (size_t i = 1; i < rhythm->beats_s.size(); ++i) {
    const double gap = rhythm->beats_s[i] - rhythm->beats_s[i - 1];
    worst = std::max(worst, std::abs(gap / (60 / rhythm->tempo_bpm) - 1));
  }
  EXPECT_LT(worst, 0.12);
}

TEST(RhythmDecode, FindsTempoBeatsAndBars) {
  for (const double bpm : {52.0, 75.5, 97.3, 120.0, 174.0, 221.0}) {
    for (const int bar : {2, 3, 4}) {
      const std::vector<double> beats = steady(bpm, 30, 0.4);
      RhythmActivity a = ideal(beats, bar, 30, bpm);
      const auto rhythm = find_rhythm(a, 30, false);
      ASSERT_TRUE(rhythm) << bpm;
      EXPECT_NEAR(rhythm->tempo_bpm, bpm, bpm * 0.004);
      ASSERT_TRUE(rhythm->meter);
      EXPECT_EQ(beats_a_bar(*rhythm->meter), bar) << bpm;
      ASSERT_NEAR(static_cast<double>(rhythm->beats_s.size()), static_cast<double>(beats.size()),
                  1);
      ASSERT_FALSE(rhythm->downbeats_s.empty());
      EXPECT_NEAR(rhythm->downbeats_s.front(), 0.4, 0.03) << bpm << " " << bar;
    }
  }
}

TEST(RhythmDecode, FollowsAPulseThatWavers) {
  std::vector<double> beats;
  double t = 0.2;
  for (int i = 0; t < 40; ++i) {
    beats.push_back(t);
    t += 0.6 * (1 + 0.15 * std::sin(i * 0.15));
  }
  const auto rhythm = find_rhythm(ideal(beats, 4, 40, 100), 40, false);
  ASSERT_TRUE(rhythm);
  size_t hits = 0;
  for (const double b : beats) {
    hits += std::any_of(rhythm->beats_s.begin(), rhythm->beats_s.end(),
                        [&](double e) { return std::abs(e - b) < 0.04; });
  }
  EXPECT_GE(hits + 2, beats.size());
}

TEST(RhythmDecode, BeatsAtAnotherPace) {
  const std::vector<double> beats{0.3, 0.8, 1.4, 2.0};  // the pulse slows down
  const auto expect = [&](double first, double step, const std::vector<double>& want) {
    const std::vector<double> got = beats_at_pace(beats, first, step, 2.45);
    ASSERT_EQ(got.size(), want.size()) << first << " " << step;
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-9) << i;
  };
  expect(0, 1, beats);
  expect(1, 2, {0.8, 2.0});
  expect(0, 0.5, {0.3, 0.55, 0.8, 1.1, 1.4, 1.7, 2.0, 2.3});
  // Those between, with one before the first and one after the last.
  expect(-0.5, 1, {0.05, 0.55, 1.1, 1.7, 2.3});
  expect(-1, 1.5, {0.55, 1.4, 2.3});  // a fifth of a second before the sound is not in it
  expect(0, 1.5, {0.3, 1.1, 2.0});
  EXPECT_EQ(beats_at_pace({0.02, 0.52}, -0.1, 0.5, 9).front(), 0);  // hardly before it is its edge
  EXPECT_TRUE(beats_at_pace({0.3}, 0, 1, 2).empty());
  EXPECT_TRUE(beats_at_pace({}, 0, 1, 2).empty());
}

TEST(RhythmDecode, ALoopIsCutToWholeBeats) {
  for (const double bpm : {90.0, 126.0, 172.7}) {
    const double length = 8 * 60 / bpm;
    RhythmActivity a = ideal(steady(bpm * 1.012, length), 4, length, bpm);
    const auto rhythm = find_rhythm(a, length, true);
    ASSERT_TRUE(rhythm);
    EXPECT_NEAR(rhythm->tempo_bpm, bpm, 0.01);
  }
}

TEST(RhythmDecode, EveryClickOfAMetronomeIsABeat) {
  // The network would rather have a pulse half as fast.
  const auto rhythm = find_rhythm(ideal(steady(160, 20), 4, 20, 80), 20, false);
  ASSERT_TRUE(rhythm);
  EXPECT_NEAR(rhythm->tempo_bpm, 160, 0.5);
}

TEST(RhythmDecode, NoPulseIsAnAnswer) {
  RhythmActivity a = ideal({}, 4, 20, 100);
  EXPECT_FALSE(find_rhythm(a, 20, false));
  EXPECT_TRUE(find_onsets(a, 20).empty());
  EXPECT_FALSE(find_rhythm(RhythmActivity(), 0, false));
  EXPECT_FALSE(find_rhythm(RhythmActivity(), 0, true));
}

TEST(RhythmDecode, HoursNeedNoMoreMemoryThanMinutesAndNoBeatIsLostAtASeam) {
  const std::vector<double> beats = steady(120, 3600);
  const auto rhythm = find_rhythm(ideal(beats, 4, 3600, 120), 3600, false);
  ASSERT_TRUE(rhythm);
  EXPECT_EQ(rhythm->beats_s.size(), beats.size());
  EXPECT_NEAR(rhythm->tempo_bpm, 120, 0.05);
}

TEST(RhythmDecode, ALongRestEndsOneSequenceAndAnotherBegins) {
  std::vector<double> beats = steady(120, 60);
  for (double t = 1200; t < 1260; t += 0.5) beats.push_back(t);
  const auto rhythm = find_rhythm(ideal(beats, 4, 1300, 120), 1300, false);
  ASSERT_TRUE(rhythm);
  EXPECT_NEAR(static_cast<double>(rhythm->beats_s.size()), static_cast<double>(beats.size()), 6);
  EXPECT_LT(rhythm->beats_s.front(), 1);
  EXPECT_GT(rhythm->beats_s.back(), 1258);
}

}  // namespace
}  // namespace samplemind::audio
