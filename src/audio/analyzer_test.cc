#include "audio/analyzer.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <thread>

#include "audio/analysis_json.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

namespace fs = std::filesystem;
using test::clicks;
using test::sine;

class AnalyzerTest : public testing::Test {
 protected:
  Analysis hear(const std::vector<float>& sound, int channels = 1, int rate = 44100,
                int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) {
    auto a = Analyzer().analyze(test::write(folder_.path / "sound", sound, channels, rate, format));
    EXPECT_TRUE(a.ok()) << (a.ok() ? "" : a.error().message());
    return a.ok() ? *a : Analysis();
  }
  Error refuse(const std::string& bytes, const char* name = "x.wav") {
    auto a = Analyzer().analyze(test::write_bytes(folder_.path / name, bytes));
    EXPECT_FALSE(a.ok());
    return a.ok() ? Error(ErrorCode::kInternal, "was taken") : a.error();
  }
  test::TemporaryFolder folder_;
};

TEST_F(AnalyzerTest, TempoAndBeatsOfClickTracks) {
  for (const double bpm : {72.0, 90.0, 105.5, 120.0, 140.0, 160.0}) {
    const Analysis a = hear(clicks(bpm, 20));
    ASSERT_TRUE(a.tempo_bpm.has_value()) << bpm;
    EXPECT_NEAR(*a.tempo_bpm, bpm, bpm * 0.01);
    ASSERT_GT(a.beats_s.size(), 10u);
    size_t near = 0;
    for (const double t : a.beats_s) {
      const double beats = t * bpm / 60;
      near += std::abs(beats - std::round(beats)) * 60 / bpm < 0.03 ? 1 : 0;
    }
    EXPECT_GE(near * 10, a.beats_s.size() * 9) << bpm;
  }
}

TEST_F(AnalyzerTest, OnsetsOfClicksLieWithin20Ms) {
  const Analysis a = hear(clicks(120, 8));
  ASSERT_EQ(a.onsets_s.size(), 16u);
  for (size_t i = 0; i < a.onsets_s.size(); ++i)
    EXPECT_NEAR(a.onsets_s[i], 0.5 * static_cast<double>(i), 0.02);
}

TEST_F(AnalyzerTest, ALoopOfWholeBeatsHasAnExactTempo) {
  // Four bars at 97.3 BPM, cut to the sample.
  const double seconds = 16 * 60 / 97.3;
  const Analysis a = hear(clicks(97.3, seconds));
  EXPECT_EQ(a.content, "loop");
  ASSERT_TRUE(a.tempo_bpm.has_value());
  EXPECT_NEAR(*a.tempo_bpm, 97.3, 0.05);
}

// A bowed or blown note: no attack that a drum would have.
std::vector<float> soft_note(double hz, double seconds) {
  std::vector<float> out = sine(hz, seconds, 0.3);
  test::add(out, sine(2 * hz, seconds, 0.15), 0);
  for (size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / 44100;
    out[i] *= static_cast<float>(std::min({1.0, t / 0.04, (seconds - t) / 0.04}));
  }
  return out;
}

TEST_F(AnalyzerTest, ALoopOfSoftNotesIsALoop) {
  const double beat = 60.0 / 110;
  std::vector<float> sound(static_cast<size_t>(8 * beat * 44100));
  const std::array<double, 8> notes{220, 262, 330, 262, 294, 349, 330, 247};
  for (size_t i = 0; i < notes.size(); ++i)
    test::add(sound, soft_note(notes[i], 0.9 * beat), static_cast<double>(i) * beat);
  const Analysis a = hear(sound);
  EXPECT_EQ(a.content, "loop");
  ASSERT_TRUE(a.tempo_bpm.has_value());
  EXPECT_NEAR(*a.tempo_bpm, 110, 0.5);
}

TEST_F(AnalyzerTest, ASyncopatedLoopIsCountedInWholeBars) {
  const double beat = 60.0 / 126;
  std::vector<float> hit = sine(70, 0.12, 0.8);
  for (size_t i = 0; i < hit.size(); ++i)
    hit[i] *= static_cast<float>(std::exp(-static_cast<double>(i) / 1500));
  std::vector<float> sound(static_cast<size_t>(8 * beat * 44100));
  for (int half_bar = 0; half_bar < 4; ++half_bar)  // three, three and two sixteenths
    for (const double at : {0.0, 0.75, 1.5}) test::add(sound, hit, (2 * half_bar + at) * beat);
  const Analysis a = hear(sound);
  EXPECT_EQ(a.content, "loop");
  ASSERT_TRUE(a.tempo_bpm.has_value());
  EXPECT_NEAR(*a.tempo_bpm, 126, 0.1);
  ASSERT_EQ(a.beats_s.size(), 8u);
}

TEST_F(AnalyzerTest, WhatIsStruckOnceIsAOneShotHoweverRestless) {
  uint32_t state = 1;
  const auto noise = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(static_cast<int32_t>(state)) / 2147483648.0f;
  };
  const auto made = [&](double seconds, auto level) {
    std::vector<float> out(static_cast<size_t>(seconds * 44100));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<float>(level(static_cast<double>(i) / 44100)) * noise();
    return out;
  };
  const double turn = 2 * std::numbers::pi;
  EXPECT_EQ(hear(made(4,
                      [&](double t) {  // a cymbal that shimmers
                        return 0.8 * std::exp(-t / 1.2) * (1 + 0.3 * std::sin(turn * 5.3 * t));
                      }))
                .content,
            "oneshot");
  EXPECT_EQ(hear(made(5,
                      [&](double t) {  // wind
                        return 0.3 + 0.1 * std::sin(turn * 0.4 * t) +
                               0.05 * std::sin(turn * 1.1 * t);
                      }))
                .content,
            "oneshot");
  std::vector<float> drone = sine(110, 5, 0.4);
  for (size_t i = 0; i < drone.size(); ++i)
    drone[i] *= static_cast<float>(1 + 0.2 * std::sin(turn * 3 * static_cast<double>(i) / 44100));
  EXPECT_EQ(hear(drone).content, "oneshot");
}

// Chords of a cadence, with harmonics, two seconds each.
std::vector<float> cadence(int tonic, bool minor) {
  std::vector<float> out(44100 * 17);
  const std::vector<std::vector<int>> chords =
      minor ? std::vector<std::vector<int>>{{0, 3, 7}, {5, 8, 12}, {7, 11, 14}, {0, 3, 7}}
            : std::vector<std::vector<int>>{{0, 4, 7}, {5, 9, 12}, {7, 11, 14}, {0, 4, 7}};
  for (int i = 0; i < 8; ++i) {
    for (const int note : chords[static_cast<size_t>(i % 4)]) {
      const double hz = 220 * std::pow(2, (tonic + note - 9) / 12.0);
      for (int h = 1; h <= 4; ++h) test::add(out, sine(hz * h, 1.9, 0.08 / h), i * 2.0);
    }
  }
  return out;
}

TEST_F(AnalyzerTest, KeyOfCadences) {
  static constexpr const char* kNames[] = {"C",  "C#", "D",  "D#", "E",  "F",
                                           "F#", "G",  "G#", "A",  "A#", "B"};
  int right = 0;
  for (int tonic = 0; tonic < 12; ++tonic) {
    for (const bool minor : {false, true}) {
      const Analysis a = hear(cadence(tonic, minor));
      const std::string truth = std::string(kNames[tonic]) + (minor ? " minor" : " major");
      right += a.key == truth ? 1 : 0;
    }
  }
  EXPECT_GE(right, 23) << "of 24 cadences";
}

// EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz at -23 (-33) dBFS measures -23 (-33) LUFS.
TEST_F(AnalyzerTest, LoudnessOfEbuSines) {
  for (const double level : {-23.0, -33.0}) {
    const std::vector<float> mono = sine(1000, 20, std::pow(10, level / 20), 48000);
    std::vector<float> stereo;
    for (const float s : mono) stereo.insert(stereo.end(), {s, s});
    const Analysis a = hear(stereo, 2, 48000, SF_FORMAT_WAV | SF_FORMAT_PCM_24);
    ASSERT_TRUE(a.loudness_lufs.has_value());
    EXPECT_NEAR(*a.loudness_lufs, level, 0.1);
    EXPECT_NEAR(*a.true_peak_dbtp, level, 0.3);
  }
}

TEST_F(AnalyzerTest, NoteOfATone) {
  for (const double midi : {36.0, 48.0, 57.0, 69.0, 81.0}) {
    const double hz = 440 * std::pow(2, (midi - 69) / 12);
    std::vector<float> sound(44100);
    for (int h = 1; h <= 5; ++h) test::add(sound, sine(hz * h, 1, 0.3 / h), 0);
    for (size_t i = 0; i < sound.size(); ++i)
      sound[i] *= static_cast<float>(std::exp(-static_cast<double>(i) / 15000));
    const Analysis a = hear(sound);
    EXPECT_EQ(a.content, "oneshot");
    ASSERT_TRUE(a.note_midi.has_value()) << midi;
    EXPECT_NEAR(*a.note_midi, midi, 0.2);
    EXPECT_FALSE(a.tempo_bpm.has_value());
  }
}

TEST_F(AnalyzerTest, SilenceNoiseAndOddSoundsHaveDefinedAnswers) {
  const Analysis silence = hear(std::vector<float>(44100 * 3));
  EXPECT_FALSE(silence.tempo_bpm || silence.key || silence.loudness_lufs ||
               silence.true_peak_dbtp || silence.content);
  EXPECT_TRUE(silence.beats_s.empty());
  EXPECT_NEAR(silence.duration_s, 3, 1e-9);
  const Analysis dc = hear(std::vector<float>(44100 * 3, 0.5f));
  EXPECT_FALSE(dc.key.has_value());
  EXPECT_EQ(hear(std::vector<float>(1, 0.5f)).duration_s, 1.0 / 44100);
  const Analysis many =
      hear(std::vector<float>(20 * 4410, 0.1f), 20, 44100, SF_FORMAT_WAVEX | SF_FORMAT_FLOAT);
  EXPECT_EQ(many.channels, 20);
  const Analysis fast = hear(sine(1000, 2, 0.3, 192000), 1, 192000);
  EXPECT_EQ(fast.sample_rate_hz, 192000);
  EXPECT_NEAR(fast.duration_s, 2, 1e-6);
  std::vector<float> nonsense = sine(440, 1);
  nonsense[100] = std::numeric_limits<float>::quiet_NaN();
  nonsense[200] = std::numeric_limits<float>::infinity();
  const Analysis cleaned = hear(nonsense, 1, 44100, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_TRUE(std::isfinite(cleaned.loudness_lufs.value_or(0)));
  EXPECT_EQ(cleaned.bit_depth, 32);
}

TEST_F(AnalyzerTest, FormatsAreNamed) {
  const std::vector<float> sound = sine(440, 0.7);
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_FLAC | SF_FORMAT_PCM_24).format, "flac");
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_FLAC | SF_FORMAT_PCM_24).bit_depth, 24);
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_AIFF | SF_FORMAT_PCM_16).format, "aiff");
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_OGG | SF_FORMAT_VORBIS).format, "ogg");
  EXPECT_EQ(hear(sound, 1, 48000, SF_FORMAT_OGG | SF_FORMAT_OPUS).format, "opus");
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III).format, "mp3");
  EXPECT_EQ(hear(sound, 1, 44100, SF_FORMAT_RF64 | SF_FORMAT_PCM_16).format, "wav");
}

TEST_F(AnalyzerTest, BadInputIsSaidClearly) {
  EXPECT_EQ(refuse("").message(),
            (folder_.path / "x.wav").string() + ": the file is empty (0 bytes)");
  const Error text = refuse("this is a shopping list, not a sound\n");
  EXPECT_EQ(text.code(), ErrorCode::kUnsupported);
  EXPECT_NE(text.message().find("not a sound file"), std::string::npos) << text.message();
  EXPECT_EQ(Analyzer().analyze(folder_.path / "none.wav").error().code(), ErrorCode::kNotFound);
  const Error folder = Analyzer().analyze(folder_.path).error();
  EXPECT_NE(folder.message().find("is a folder"), std::string::npos);
}

TEST_F(AnalyzerTest, ACutFileIsHeardAsFarAsItGoesAndSaysSo) {
  const fs::path whole = test::write(folder_.path / "whole.wav", sine(440, 4));
  const std::string bytes = test::read_bytes(whole);
  const auto a = Analyzer().analyze(
      test::write_bytes(folder_.path / "cut.wav", bytes.substr(0, bytes.size() / 2)));
  ASSERT_TRUE(a.ok()) << a.error().message();
  EXPECT_NEAR(a->duration_s, 2, 0.01);

  // A header that promises 4 GB over a second of sound costs neither memory nor time.
  std::string liar = test::read_bytes(test::write(folder_.path / "one.wav", sine(440, 1)));
  for (const size_t at : {size_t{4}, size_t{40}}) liar.replace(at, 4, "\xFE\xFF\xFF\xFF", 4);
  const auto b = Analyzer().analyze(test::write_bytes(folder_.path / "liar.wav", liar));
  ASSERT_TRUE(b.ok()) << b.error().message();
  EXPECT_NEAR(b->duration_s, 1, 0.01);

  const fs::path mp3 = test::write(folder_.path / "whole.mp3", sine(440, 4), 1, 44100,
                                   SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III);
  const std::string frames = test::read_bytes(mp3);
  const auto c = Analyzer().analyze(
      test::write_bytes(folder_.path / "cut.mp3", frames.substr(0, frames.size() / 2)));
  ASSERT_TRUE(c.ok()) << c.error().message();
  EXPECT_GT(c->duration_s, 1.5);
  EXPECT_LT(c->duration_s, 2.5);
}

TEST_F(AnalyzerTest, DamagedMp3IsHeardOnInSilence) {
  const std::string good =
      test::read_bytes(test::write(folder_.path / "good.mp3", sine(440, 8), 1, 44100,
                                   SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III));
  std::mt19937 random(5);
  std::string noise(5000, ' ');
  for (char& c : noise) c = static_cast<char>(random());
  const std::string tag("ID3\x03\0\0\0\0\x0F\x7F", 10);
  std::string flipped = good;
  for (int i = 0; i < 60; ++i) flipped[500 + random() % (good.size() - 500)] ^= 0x55;
  const size_t half = good.size() / 2;
  // The library that decodes prints what it thinks of a file, unless it is told not to.
  testing::internal::CaptureStderr();
  for (const auto& [what, bytes] : std::vector<std::pair<std::string, std::string>>{
           {"noise within", good.substr(0, half) + noise + good.substr(half)},
           {"another format within",
            good.substr(0, half) +
                test::read_bytes(test::write(folder_.path / "other.mp3", sine(440, 1), 2, 22050,
                                             SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III)) +
                good.substr(half)},
           {"noise before", noise.substr(0, 3000) + good},
           {"a torn tag before", tag + std::string(2040, 'x') + good},
           {"flipped bits", flipped}}) {
    const auto a = Analyzer().analyze(test::write_bytes(folder_.path / "damaged.mp3", bytes));
    ASSERT_TRUE(a.ok()) << what << ": " << a.error().message();
    EXPECT_EQ(a->format, "mp3") << what;
    EXPECT_EQ(a->sample_rate_hz, 44100) << what;
    EXPECT_NEAR(a->duration_s, 8, 0.4) << what;
  }
  for (int seed = 0; seed < 20; ++seed) {
    std::string bytes(20000, ' ');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_FALSE(Analyzer().analyze(test::write_bytes(folder_.path / "noise.mp3", bytes)).ok());
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// As "cat" makes them, and players play them: with the tag of each part in the middle, with its ID3
// tag before that, and with a part that has no tag of its length.
TEST_F(AnalyzerTest, Mp3PutTogetherOfSeveralIsHeardToItsEnd) {
  const auto bytes_of = [&](double hz, double seconds) {
    return test::read_bytes(test::write(folder_.path / "part.mp3", sine(hz, seconds), 1, 44100,
                                        SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III));
  };
  const auto hear_bytes = [&](const std::string& bytes) {
    const auto a = Analyzer().analyze(test::write_bytes(folder_.path / "joined.mp3", bytes));
    EXPECT_TRUE(a.ok()) << a.error().message();
    return a.ok() ? *a : Analysis{};
  };
  const std::string first = bytes_of(440, 3), second = bytes_of(660, 2);
  ASSERT_NE(first.find("Xing"), std::string::npos);  // or this test tells nothing
  const double alone = hear_bytes(first).duration_s + hear_bytes(second).duration_s;
  EXPECT_NEAR(alone, 5, 0.01);
  const std::string id3 = std::string("ID3\x03\0\0\0\0\x0F\x76", 10) + std::string(2038, '\0');
  EXPECT_NEAR(hear_bytes(first + second).duration_s, alone, 1e-6);
  EXPECT_NEAR(hear_bytes(first + id3 + second).duration_s, alone, 1e-6);
  EXPECT_NEAR(hear_bytes(first + second + first).duration_s, alone + hear_bytes(first).duration_s,
              1e-6);
  // Without its tag nothing tells what encoder and decoder add: a frame or three.
  const size_t tag = second.find("Xing");
  std::string untold = second;
  untold.replace(tag, 4, "    ");
  EXPECT_NEAR(hear_bytes(first + untold).duration_s, alone, 0.1);
  EXPECT_GT(hear_bytes(first + untold).duration_s, alone);
  // An encoder that wrote into a pipe could not put the number of frames there; or it is wrong.
  for (const uint8_t told : {0, 1, 7}) {
    std::string piped = first;
    piped.replace(first.find("Xing") + 8, 4, std::string(3, '\0') + static_cast<char>(told));
    EXPECT_NEAR(hear_bytes(piped + second).duration_s, alone, 0.2) << int{told};
  }
  // No gap where they meet: the tone goes on at the level it had.
  const Analysis joined = hear_bytes(first + first);
  EXPECT_NEAR(*joined.rms_dbfs, *hear_bytes(first).rms_dbfs, 0.05);
}

TEST_F(AnalyzerTest, TheSameFileGivesTheSameBitsFromAnyThread) {
  const fs::path file = test::write(folder_.path / "loop.wav", clicks(123, 9));
  const auto print = [&] {
    std::string out;
    JsonWriter w(out);
    write_json(w, "x", *Analyzer().analyze(file));
    return out;
  };
  const std::string expected = print();
  std::vector<std::string> got(4);
  std::vector<std::thread> threads;
  for (std::string& g : got) threads.emplace_back([&g, &print] { g = print(); });
  for (std::thread& t : threads) t.join();
  for (const std::string& g : got) EXPECT_EQ(g, expected);
}

TEST_F(AnalyzerTest, JsonRoundTrip) {
  const Analysis a = hear(clicks(120, 6));
  std::string first;
  JsonWriter w(first);
  write_json(w, "p", a);
  const auto parsed = JsonValue::parse(first);
  ASSERT_TRUE(parsed.ok());
  std::string second;
  JsonWriter w2(second);
  write_json(w2, "p", analysis_from_json(*parsed));
  EXPECT_EQ(first, second);
  for (const char* field : {"path",
                            "duration_s",
                            "sample_rate_hz",
                            "channels",
                            "bit_depth",
                            "tempo_bpm",
                            "tempo_confidence",
                            "tempo_alternatives",
                            "tuning_cents",
                            "beats_s",
                            "key",
                            "key_confidence",
                            "loudness_lufs",
                            "downbeats_s",
                            "onsets_s",
                            "time_signature",
                            "content",
                            "kind",
                            "note_midi",
                            "loudness_range_lu",
                            "true_peak_dbtp"}) {
    EXPECT_NE(first.find("\"" + std::string(field) + "\":"), std::string::npos) << field;
  }
}

TEST_F(AnalyzerTest, LevelsIncludeTheOneBefore) {
  EXPECT_EQ(Parts::of(Level::kBasic), (Parts{Part::kLevels, Part::kDigests}));
  for (const Level level : {Level::kStandard, Level::kDetailed, Level::kProfessional}) {
    const Parts below = Parts::of(static_cast<Level>(static_cast<int>(level) - 1));
    EXPECT_EQ(below.with(Parts::of(level)), Parts::of(level));
    EXPECT_NE(below, Parts::of(level));
    EXPECT_EQ(*level_from(name(level)), level);
  }
  for (const Part part : all_parts()) {
    EXPECT_EQ(*part_from(name(part)), part);
    EXPECT_TRUE(Parts::of(Level::kProfessional).has(part)) << name(part);
  }
  EXPECT_NE(level_from("deep").error().hint().find("professional"), std::string::npos);
  EXPECT_NE(part_from("smell").error().hint().find("loudness"), std::string::npos);
}

TEST_F(AnalyzerTest, OnlyWhatWasAskedForIsMeasured) {
  const fs::path file = test::write(folder_.path / "loop.wav", clicks(123, 9));
  const auto listen = [&](AnalysisOptions options) { return *Analyzer().analyze(file, options); };
  AnalysisOptions o;
  o.level = Level::kBasic;
  const Analysis basic = listen(o);
  EXPECT_TRUE(basic.peak_dbfs && basic.true_peak_dbtp && basic.file_blake3 && basic.audio_blake3);
  EXPECT_FALSE(basic.tempo_bpm || basic.key || basic.loudness_lufs || basic.content);
  const Analysis standard = listen({});
  EXPECT_EQ(standard.peak_dbfs, basic.peak_dbfs);
  EXPECT_EQ(standard.audio_blake3, basic.audio_blake3);
  o.only = {Part::kTempo};
  const Analysis tempo = listen(o);
  EXPECT_EQ(tempo.tempo_bpm, standard.tempo_bpm);
  EXPECT_EQ(tempo.beats_s, standard.beats_s);
  EXPECT_FALSE(tempo.peak_dbfs || tempo.loudness_lufs || tempo.key || tempo.file_blake3);
  o.only = {Part::kLoudness};
  const Analysis loudness = listen(o);
  EXPECT_EQ(loudness.loudness_lufs, standard.loudness_lufs);
  EXPECT_FALSE(loudness.tempo_bpm || loudness.content || !loudness.onsets_s.empty());
}

TEST_F(AnalyzerTest, PeakLevelAndSilenceAtBothEnds) {
  std::vector<float> sound(44100 * 4);
  test::add(sound, sine(441, 2, 0.5), 1.25);
  const Analysis a = hear(sound, 1, 44100, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_NEAR(*a.peak_dbfs, 20 * std::log10(0.5), 0.001);
  EXPECT_NEAR(*a.rms_dbfs, 10 * std::log10(0.125 * 0.5), 0.001);
  EXPECT_NEAR(*a.silence_start_s, 1.25, 0.001);
  EXPECT_NEAR(*a.silence_end_s, 0.75, 0.001);
  // 20 dB down nothing moves: silence is meant against the sound's own peak.
  for (float& x : sound) x *= 0.1f;
  const Analysis quiet = hear(sound, 1, 44100, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_NEAR(*quiet.silence_start_s, *a.silence_start_s, 0.001);
  EXPECT_NEAR(*quiet.silence_end_s, *a.silence_end_s, 0.001);
  EXPECT_NEAR(*quiet.rms_dbfs, *a.rms_dbfs - 20, 0.001);
  // A decay ends where it has fallen by 60 dB.
  std::vector<float> decay = sine(1000, 2, 1);
  for (size_t i = 0; i < decay.size(); ++i)
    decay[i] *= static_cast<float>(std::pow(10, -static_cast<double>(i) / 44100 * 60 / 20));
  const Analysis d = hear(decay, 1, 44100, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  EXPECT_EQ(*d.silence_start_s, 0);
  EXPECT_NEAR(*d.silence_end_s, 1, 0.005);
}

TEST_F(AnalyzerTest, TheDecodedAudioHasOneDigestInEveryLosslessFormat) {
  const std::vector<float> sound = sine(440, 1);
  const Analysis wav = hear(sound);
  const Analysis flac = hear(sound, 1, 44100, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  const Analysis aiff = hear(sound, 1, 44100, SF_FORMAT_AIFF | SF_FORMAT_PCM_16);
  EXPECT_EQ(wav.audio_blake3, flac.audio_blake3);
  EXPECT_EQ(wav.audio_blake3, aiff.audio_blake3);
  EXPECT_NE(wav.file_blake3, flac.file_blake3);
  EXPECT_NE(wav.audio_blake3, hear(sound, 1, 48000).audio_blake3);
  EXPECT_NE(wav.audio_blake3, hear(sine(441, 1)).audio_blake3);
}

TEST_F(AnalyzerTest, CancelEndsEarly) {
  const std::atomic<bool> cancel{true};
  AnalysisOptions options;
  options.cancel = &cancel;
  EXPECT_EQ(
      Analyzer().analyze(test::write(folder_.path / "x.wav", sine(440, 1)), options).error().code(),
      ErrorCode::kCancelled);
}

}  // namespace
}  // namespace samplemind::audio
