#include "library/facts.h"

#include <gtest/gtest.h>

namespace samplemind::library {
namespace {

struct Told {
  std::string tempo, key, note, kind, content;
};

std::string number_text(double v) {
  std::string t = std::to_string(v);
  while (t.back() == '0') t.pop_back();
  if (t.back() == '.') t.pop_back();
  return t;
}

Told told(const std::string& path) {
  Told t;
  for (const Fact& f : facts_from_path(path)) {
    const std::string value = f.text.empty() ? number_text(f.number) : f.text;
    if (f.what == "tempo") t.tempo = value;
    if (f.what == "key") t.key = value;
    if (f.what == "note") t.note = value;
    if (f.what == "kind") t.kind = value;
    if (f.what == "content") t.content = value;
  }
  return t;
}

TEST(NameFacts, TemposKeysNotesKinds) {
  struct Case {
    const char* path;
    Told want;
  };
  const Case cases[] = {{"/s/Kick_C1_128bpm.wav", {"128", "", "24", "kick", ""}},
                        {"/s/Kit A/snare 01.wav", {"", "", "", "snare", ""}},
                        {"/s/Kit A.wav", {}},
                        {"/s/Take C 120.wav", {"120", "", "", "", ""}},
                        {"/s/Vol 120.wav", {}},
                        {"/s/128_Am_Synth_Loop.wav", {"128", "A minor", "", "", "loop"}},
                        {"/s/Bass 120 F#min.wav", {"120", "F# minor", "", "bass", ""}},
                        {"/s/Pad_Gb.wav", {"", "F# major", "", "pad", ""}},
                        {"/s/Lead A minor 140 BPM.wav", {"140", "A minor", "", "lead", ""}},
                        {"/s/BPM174 drumloop.wav", {"174", "", "", "", ""}},
                        {"/s/128_C_stab.wav", {"128", "C major", "", "stab", ""}},
                        {"/s/I am here.wav", {}},
                        {"/s/A long day.wav", {}},
                        {"/s/808 Kick.wav", {"", "", "", "kick", ""}},
                        {"/s/TR909 Snare.wav", {"", "", "", "snare", ""}},
                        {"/s/Am7 chord.wav", {}},
                        {"/s/guitar_120.5bpm_Ebmaj.wav", {"120.5", "D# major", "", "guitar", ""}},
                        {"/s/Loop 120 90.wav", {"", "", "", "", "loop"}},
                        {"/s/kick 044.wav", {"", "", "", "kick", ""}},
                        {"/s/Bass Drum 3.wav", {"", "", "", "kick", ""}},
                        {"/s/Open Hat.wav", {"", "", "", "hat_open", ""}},
                        {"/s/Hihat.wav", {"", "", "", "hat_closed", ""}},
                        {"/s/Kicks/01.wav", {"", "", "", "kick", ""}},
                        {"/s/120 BPM/groove.wav", {"120", "", "", "", ""}},
                        {"/s/vox_one shot_B.wav", {"", "", "", "vocal", "oneshot"}},
                        {"/s/9999bpm.wav", {}},
                        {"", {}},
                        {"/s/\xff\xfe.wav", {}},
                        {"/s/Keys_C4.wav", {"", "", "60", "keys", ""}},
                        {"/s/Piano F3.wav", {"", "", "53", "keys", ""}}};
  for (const Case& c : cases) {
    const Told got = told(c.path);
    EXPECT_EQ(got.tempo, c.want.tempo) << c.path;
    EXPECT_EQ(got.key, c.want.key) << c.path;
    EXPECT_EQ(got.note, c.want.note) << c.path;
    EXPECT_EQ(got.kind, c.want.kind) << c.path;
    EXPECT_EQ(got.content, c.want.content) << c.path;
  }
}

audio::Analysis ear(std::optional<double> tempo, const char* key = nullptr, double sure = 0.6) {
  audio::Analysis a;
  a.tempo_bpm = tempo;
  if (tempo) a.tempo_confidence = sure;
  if (key != nullptr) {
    a.key = key;
    a.key_confidence = sure;
  }
  return a;
}

std::vector<Fact> both(const std::string& path, const audio::Analysis& a) {
  std::vector<Fact> facts = facts_from_path(path);
  for (Fact& f : facts_from_ear(a)) facts.push_back(std::move(f));
  return facts;
}

TEST(Believed, AMarkedNameBeatsTheEarAndABareNumberNeedsIt) {
  auto f = believed(both("/Loop_140bpm.wav", ear(93.3, nullptr, 0.9)), "tempo");
  EXPECT_EQ(f->number, 140);
  EXPECT_EQ(f->source, FactSource::kName);
  f = believed(both("/Loop 140.wav", ear(93.3, nullptr, 0.9)), "tempo");
  EXPECT_EQ(f->number, 140);  // two thirds of it: the ear took another level
  f = believed(both("/Loop 140.wav", ear(111, nullptr, 0.9)), "tempo");
  EXPECT_EQ(f->number, 111);
  EXPECT_EQ(f->source, FactSource::kEar);
  f = believed(both("/128_C_pad.wav", ear({}, "C minor", 0.7)), "key");
  EXPECT_EQ(f->text, "C minor");  // the name says C, the ear says minor
  EXPECT_EQ(f->source, FactSource::kName);
  f = believed(both("/128_C_pad.wav", ear({}, "F minor", 0.7)), "key");
  EXPECT_EQ(f->text, "F minor");
  EXPECT_FALSE(believed({}, "tempo"));
}

TEST(Believed, WhatIsEmbeddedStandsBetweenTheNameAndTheEar) {
  audio::Analysis a = ear(93.3, "C major", 1);
  a.metadata.tempo_bpm = 140;
  a.metadata.key = "A minor";
  a.metadata.sources = {"acid"};
  auto f = believed(both("/x.wav", a), "tempo");
  EXPECT_EQ(f->number, 140);
  EXPECT_EQ(f->source, FactSource::kEmbedded);
  EXPECT_EQ(believed(both("/x.wav", a), "key")->text, "A minor");
  f = believed(both("/x_150bpm.wav", a), "tempo");
  EXPECT_EQ(f->number, 150);
  EXPECT_EQ(f->source, FactSource::kName);
}

TEST(Believed, TheUsersWordAlways) {
  auto facts = both("/Loop_140bpm_Am.wav", ear(93.3, "C major", 1));
  Fact user;
  user.what = "tempo";
  user.source = FactSource::kUser;
  user.number = 70;
  user.confidence = 1;
  facts.push_back(user);
  audio::Analysis a;
  settle(facts, a);
  EXPECT_EQ(a.tempo_bpm, 70);
  EXPECT_EQ(a.key, "A minor");
}

TEST(Facts, SurviveJson) {
  const auto facts = both("/128_C_Kick_C1.wav", ear(64, "C minor"));
  std::string json;
  JsonWriter w(json);
  write_facts(w, facts);
  EXPECT_EQ(read_facts(*JsonValue::parse(json)), facts);
}

TEST(TempoFactor, OnlyTheSix) {
  EXPECT_EQ(parse_tempo_factor("x2").value_or(0), 2);
  EXPECT_EQ(parse_tempo_factor("1/2").value_or(0), 0.5);
  EXPECT_NEAR(parse_tempo_factor("x2/3").value_or(0), 2.0 / 3, 1e-12);
  EXPECT_EQ(parse_tempo_factor("x3/4").value_or(0), 0.75);
  EXPECT_NEAR(parse_tempo_factor("4/3").value_or(0), 4.0 / 3, 1e-12);
  EXPECT_EQ(parse_tempo_factor("×3/2").value_or(0), 1.5);
  for (const char* text : {"", "x", "3", "x5/4", "-2", "half"})
    EXPECT_FALSE(parse_tempo_factor(text).ok()) << text;
}

}  // namespace
}  // namespace samplemind::library
