#include "audio/measurement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "audio/analysis_json.h"
#include "audio/test_sounds.h"

namespace samplemind::audio {
namespace {

// Everything measured of `sound` when the header promises `frames_promised`, given in pieces.
std::string measure(const std::vector<float>& sound, int64_t frames_promised, Parts parts) {
  StreamInfo info;
  info.format = "wav";
  info.sample_rate_hz = 44100;
  info.channels = 1;
  info.frames_promised = frames_promised;
  Measurement measurement(info, parts);
  for (std::span<const float> left = sound; !left.empty();) {
    const size_t n = std::min(left.size(), kBlockFrames);
    measurement.feed(left.first(n), n);
    left = left.subspan(n);
  }
  std::string out;
  JsonWriter w(out);
  write_json(w, "x", measurement.finish());
  return out;
}

// Clicks over two held chords, so that tempo, beats and key all have an answer.
std::vector<float> music(double seconds) {
  std::vector<float> out = test::clicks(117, seconds);
  for (double at = 0; at + 2 <= seconds; at += 4) {
    for (const int note : {0, 4, 7}) {
      test::add(out, test::sine(261.63 * std::pow(2, note / 12.0), 1.9, 0.1), at);
      test::add(out, test::sine(392.00 * std::pow(2, note / 12.0), 1.9, 0.1), at + 2);
    }
  }
  return out;
}

TEST(Measurement, AHeaderWithoutALengthChangesNoAnswer) {
  // Shorter than a loop's limit, between it and where waiting ends, and far beyond both.
  for (const double seconds : {9.0, 16.0, 40.0}) {
    const std::vector<float> sound = music(seconds);
    for (const Parts parts : {Parts::of(Level::kStandard), Parts::of(Level::kProfessional),
                              Parts{Part::kTempo, Part::kKey}}) {
      const std::string told = measure(sound, static_cast<int64_t>(sound.size()), parts);
      EXPECT_EQ(measure(sound, -1, parts), told) << seconds;
      EXPECT_EQ(told.find("\"key\":null"), std::string::npos) << told;
      EXPECT_EQ(told.find("\"tempo_bpm\":null"), std::string::npos) << told;
      // A header that promises too little: what comes decides.
      EXPECT_EQ(measure(sound, 44100, parts), told) << seconds;
    }
  }
}

}  // namespace
}  // namespace samplemind::audio
