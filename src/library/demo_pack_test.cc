#include "library/demo_pack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "audio/analyzer.h"
#include "base/hash.h"
#include "base/json.h"
#include "library/scanner.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

Digest digest_of(const DemoSound& sound) {
  Hasher hasher;
  for (const float s : render_demo_sound(sound)) {
    // As 16 bits: what is heard, not the last digit of a sine.
    const auto v = static_cast<int16_t>(std::lround(s * 32767));
    const char bytes[2] = {static_cast<char>(v & 0xff), static_cast<char>(v >> 8)};
    hasher.update(std::string_view(bytes, 2));
  }
  return hasher.finish();
}

TEST(DemoPack, SixtySoundsOfEveryKind) {
  const auto pack = demo_pack_contents();
  EXPECT_GE(pack.size(), 55u);
  EXPECT_LE(pack.size(), 70u);
  std::set<std::string> kinds;
  std::set<std::string> names;
  int with_tempo = 0;
  for (const DemoSound& s : pack) {
    kinds.insert(s.kind);
    EXPECT_TRUE(names.insert(s.file).second) << s.file;
    if (s.tempo_bpm) {
      ++with_tempo;
      EXPECT_GE(*s.tempo_bpm, 80);
      EXPECT_LE(*s.tempo_bpm, 174);
    }
    EXPECT_EQ(s.content == "loop", s.tempo_bpm.has_value()) << s.file;
  }
  EXPECT_GE(with_tempo, 15);
  for (const char* kind :
       {"kick", "snare", "clap", "hat_closed", "hat_open", "tom", "rim", "cowbell", "crash", "bass",
        "pad", "keys", "stab", "lead", "fx", "ambience", "drums", "melody"})
    EXPECT_TRUE(kinds.contains(kind)) << kind;
}

TEST(DemoPack, SoundsAreCleanAndTheSameEachTime) {
  for (const DemoSound& sound : demo_pack_contents()) {
    const auto samples = render_demo_sound(sound);
    ASSERT_GT(samples.size(), 500u) << sound.file;
    float peak = 0;
    double sum = 0;
    for (const float s : samples) {
      ASSERT_TRUE(std::isfinite(s)) << sound.file;
      peak = std::max(peak, std::abs(s));
      sum += s;
    }
    EXPECT_NEAR(peak, 0.9, 1e-3) << sound.file;
    EXPECT_LT(std::abs(sum / static_cast<double>(samples.size())), 0.05) << sound.file << ": DC";
    if (sound.content == "oneshot") {
      EXPECT_LT(std::abs(samples.back()), 0.05) << sound.file << " ends with a click";
    } else {
      const double beats = static_cast<double>(samples.size()) / 44100 * *sound.tempo_bpm / 60;
      EXPECT_NEAR(beats / 4, std::round(beats / 4), 1e-3) << sound.file << ": whole bars";
    }
  }
  const DemoSound loop = demo_pack_contents().back();
  EXPECT_EQ(digest_of(loop).hex(), digest_of(loop).hex());
}

TEST(DemoPack, WrittenTwiceIsTheSameBytes) {
  const TemporaryFolder folder;
  const auto digests = [&](const fs::path& pack) {
    std::vector<std::string> list;
    for (const DemoSound& s : demo_pack_contents())
      list.push_back(blake3_file(pack / s.file)->hex());
    list.push_back(blake3_file(pack / "manifest.jsonl")->hex());
    return list;
  };
  int calls = 0;
  ASSERT_TRUE(write_demo_pack(folder.path() / "a", [&](int, int) { ++calls; }).ok());
  ASSERT_TRUE(write_demo_pack(folder.path() / "b").ok());
  EXPECT_EQ(calls, static_cast<int>(demo_pack_contents().size()));
  EXPECT_EQ(digests(folder.path() / "a"), digests(folder.path() / "b"));
  EXPECT_NE(read_file(folder.path() / "a/LICENSE.txt")->find("CC0"), std::string::npos);
  uintmax_t bytes = 0;
  for (const auto& e : fs::recursive_directory_iterator(folder.path() / "a"))
    if (e.is_regular_file()) bytes += e.file_size();
  EXPECT_LT(bytes, 12u << 20);
}

struct Count {
  int all = 0;
  int right = 0;
  void add(bool is_right) {
    ++all;
    right += is_right ? 1 : 0;
  }
};

TEST(DemoPack, TheEarHearsWhatWasWritten) {
  const TemporaryFolder folder;
  ASSERT_TRUE(write_demo_pack(folder.path()).ok());
  const audio::Analyzer ear;
  Count tempo, key, note, content;
  std::string wrong;
  for (const DemoSound& s : demo_pack_contents()) {
    const auto heard = ear.analyze(folder.path() / s.file);
    ASSERT_TRUE(heard.ok()) << heard.error().message();
    const auto judge = [&](Count& count, bool right, const std::string& what) {
      count.add(right);
      if (!right) wrong += "\n  " + s.file + ": " + what;
    };
    const double bpm = heard->tempo_bpm.value_or(0);
    if (s.tempo_bpm)
      judge(tempo, std::abs(bpm / *s.tempo_bpm - 1) < 0.01, "tempo " + std::to_string(bpm));
    if (s.key) judge(key, heard->key == s.key, "key " + heard->key.value_or("unknown"));
    const double midi = heard->note_midi.value_or(0);
    if (s.note_midi)
      judge(note, std::abs(midi - *s.note_midi) < 0.5, "note " + std::to_string(midi));
    judge(content, heard->content == s.content, "content " + heard->content.value_or("unknown"));
  }
  std::printf("demo pack: tempo %d of %d, key %d of %d, note %d of %d, content %d of %d%s\n",
              tempo.right, tempo.all, key.right, key.all, note.right, note.all, content.right,
              content.all, wrong.c_str());
  for (const Count& c : {tempo, key, note, content}) EXPECT_GE(c.right * 10, c.all * 8);
}

}  // namespace
}  // namespace samplemind::library
