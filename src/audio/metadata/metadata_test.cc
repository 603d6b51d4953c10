#include "audio/metadata.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "audio/analysis_json.h"
#include "audio/analyzer.h"
#include "audio/test_sounds.h"
#include "fuzz/metadata_target.h"

namespace samplemind::audio {
namespace {

using std::string;

string le(uint64_t v, int bytes) {
  string s;
  for (int i = 0; i < bytes; ++i) s.push_back(static_cast<char>(v >> (8 * i)));
  return s;
}
string be(uint64_t v, int bytes) {
  string s = le(v, bytes);
  return {s.rbegin(), s.rend()};
}
string le_float(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return le(bits, 4);
}
string chunk(const string& id, const string& body) {
  return id + le(body.size(), 4) + body + (body.size() % 2 ? string(1, '\0') : "");
}
string wav(const string& chunks) {
  const string body =
      "WAVE" +
      chunk("fmt ", le(1, 2) + le(1, 2) + le(44100, 4) + le(88200, 4) + le(2, 2) + le(16, 2)) +
      chunks + chunk("data", string(200, '\0'));
  return "RIFF" + le(body.size(), 4) + body;
}
string syncsafe(size_t n) {
  string s;
  for (int shift = 21; shift >= 0; shift -= 7) s.push_back(static_cast<char>(n >> shift & 0x7F));
  return s;
}
string id3_frame(int version, const string& id, const string& body) {
  if (version == 2) return id + be(body.size(), 3) + body;
  return id + (version == 4 ? syncsafe(body.size()) : be(body.size(), 4)) + string(2, '\0') + body;
}
string id3(int version, const string& frames, char flags = 0) {
  return string("ID3") + static_cast<char>(version) + '\0' + flags + syncsafe(frames.size()) +
         frames;
}

TEST(Metadata, ReadsAcidAndSamplerChunks) {
  const string acid = le(0, 4) + le(57, 2) + le(0x8000, 2) + le(0, 4) + le(8, 4) + le(4, 2) +
                      le(3, 2) + le_float(93.5f);
  const string smpl = le(0, 4) + le(0, 4) + le(22675, 4) + le(60, 4) + le(0x80000000, 4) +
                      le(0, 4) + le(0, 4) + le(1, 4) + le(0, 4) + le(0, 4) + le(1, 4) +
                      le(4410, 4) + le(44099, 4) + le(0, 4) + le(3, 4);
  const string cue = le(2, 4) + le(1, 4) + le(0, 4) + "data" + le(0, 4) + le(0, 4) + le(22050, 4) +
                     le(2, 4) + le(0, 4) + "data" + le(0, 4) + le(0, 4) + le(11025, 4);
  const string labels = "adtl" + chunk("labl", le(1, 4) + "break" + '\0');
  const Metadata m = metadata_of(
      wav(chunk("LIST", labels) + chunk("acid", acid) + chunk("smpl", smpl) + chunk("cue ", cue)));
  EXPECT_EQ(m.tempo_bpm, 93.5);
  EXPECT_EQ(m.beats, 8);
  EXPECT_EQ(m.time_signature, "3/4");
  EXPECT_EQ(m.one_shot, false);
  EXPECT_EQ(m.root_note_midi, 60);  // of smpl: ACID's is marked as not set
  EXPECT_EQ(m.tuning_cents, 50);
  ASSERT_EQ(m.loops.size(), 1u);
  EXPECT_DOUBLE_EQ(m.loops[0].start_s, 0.1);
  EXPECT_DOUBLE_EQ(m.loops[0].end_s, 1.0);
  EXPECT_EQ(m.loops[0].type, "alternating");
  EXPECT_EQ(m.loops[0].count, 3);
  ASSERT_EQ(m.cues.size(), 2u);
  EXPECT_DOUBLE_EQ(m.cues[0].time_s, 0.25);
  EXPECT_EQ(m.cues[1].label, "break");
  EXPECT_EQ(m.sources, (std::vector<string>{"acid", "smpl", "cue"}));
}

TEST(Metadata, AOneShotsAcidTempoIsNoFact) {
  const string acid = le(1 | 2, 4) + le(45, 2) + le(0x8000, 2) + le(0, 4) + le(4, 4) + le(4, 2) +
                      le(4, 2) + le_float(120);
  const Metadata m = metadata_of(wav(chunk("acid", acid)));
  EXPECT_EQ(m.one_shot, true);
  EXPECT_EQ(m.root_note_midi, 45);
  EXPECT_FALSE(m.tempo_bpm.has_value());
}

TEST(Metadata, ReadsId3OfEveryVersionAndEncoding) {
  const string latin = string("\0", 1) + "Caf\xE9";
  const string utf16 = string("\1\xFF\xFE", 3) + string("F\0#\0m\0", 6);
  const string utf16be = string("\2", 1) + string("\0A\0b", 4);
  const string utf8 =
      "\3 Stra\xC3\x9F"
      "e\n2 ";
  for (const int version : {3, 4}) {
    const Metadata m = metadata_of(
        id3(version,
            id3_frame(version, "APIC", string(100000, 'x')) + id3_frame(version, "TIT2", latin) +
                id3_frame(version, "TKEY", utf16) +
                id3_frame(version, "TBPM", string("\0", 1) + "127.50") +
                id3_frame(version, "TALB", utf16be) + id3_frame(version, "TPE1", utf8) +
                id3_frame(version, "COMM", string("\0eng", 4) + string("iTunNORM\0", 9) + "00") +
                id3_frame(version, "COMM", string("\0eng\0", 5) + "a loop")));
    EXPECT_EQ(m.title, "Caf\xC3\xA9");
    EXPECT_EQ(m.key, "F# minor");
    EXPECT_EQ(m.key_text, "F#m");
    EXPECT_EQ(m.tempo_bpm, 127.5);
    EXPECT_EQ(m.album, "Ab");
    EXPECT_EQ(m.artist,
              "Stra\xC3\x9F"
              "e 2");
    EXPECT_EQ(m.comment, "a loop");
    EXPECT_EQ(m.sources, std::vector<string>{"ID3v2." + std::to_string(version)});
  }
  const Metadata old = metadata_of(id3(2, id3_frame(2, "TT2", string("\0", 1) + "Two") +
                                              id3_frame(2, "TBP", string("\0", 1) + "90")));
  EXPECT_EQ(old.title, "Two");
  EXPECT_EQ(old.tempo_bpm, 90);
  // 0xFF 0x00 stands for 0xFF in a tag with unsynchronisation.
  const Metadata unsync = metadata_of(
      id3(3,
          id3_frame(3, "TIT2", string("\1\xFF", 2) + string("\0\xFE", 2) + string("O\0k\0", 4))
              .replace(7, 1, "\7"),
          '\x80'));
  EXPECT_EQ(unsync.title, "Ok");
  string v1 = "\xFF\xFB" + string(300, '\0') + "TAG" + string("Old song").append(22, ' ') +
              string(95, '\0');
  EXPECT_EQ(metadata_of(v1).title, "Old song");
}

TEST(Metadata, ReadsMp4Tags) {
  const auto box = [](const string& name, const string& body) {
    return be(body.size() + 8, 4) + name + body;
  };
  const auto data = [&](int type, const string& body) {
    return box("data", be(static_cast<uint64_t>(type), 4) + be(0, 4) + body);
  };
  const string list =
      box("ilst", box("\xA9nam", data(1, "Tune")) + box("tmpo", data(21, be(174, 2))) +
                      box("----", box("mean", be(0, 4) + "com.apple.iTunes") +
                                      box("name", be(0, 4) + "initialkey") + data(1, "4A")));
  const string file =
      box("ftyp", "M4A " + be(0, 4)) + box("free", string(40, 'x')) +
      box("moov", box("mvhd", string(100, '\0')) +
                      box("udta", box("meta", be(0, 4) + box("hdlr", string(25, '\0')) + list)));
  const Metadata m = metadata_of(file);
  EXPECT_EQ(m.title, "Tune");
  EXPECT_EQ(m.tempo_bpm, 174);
  EXPECT_EQ(m.key, "F minor");
  EXPECT_EQ(m.key_text, "4A");
}

TEST(Metadata, ReadsAppleLoops) {
  const auto aiff_chunk = [](const string& id, const string& body) {
    return id + be(body.size(), 4) + body + (body.size() % 2 ? string(1, '\0') : "");
  };
  const string rate = "\x40\x0E" + be(0xAC44000000000000, 8);
  const string body =
      "AIFF" + aiff_chunk("COMM", be(1, 2) + be(88200, 4) + be(16, 2) + rate) +
      aiff_chunk("MARK", be(2, 2) + be(1, 2) + be(4410, 4) + "\5begin" + be(2, 2) + be(44100, 4) +
                             "\3end") +
      aiff_chunk("INST", string("\x3C\xF6", 2) + string("\0\x7F\1\x7F", 4) + be(0, 2) + be(1, 2) +
                             be(1, 2) + be(2, 2) + string(6, '\0')) +
      aiff_chunk("basc", be(1, 4) + be(4, 4) + be(57, 2) + be(1, 2) + be(4, 2) + be(4, 2) +
                             be(1, 2) + string(60, '\0'));
  const Metadata m = metadata_of("FORM" + be(body.size(), 4) + body);
  EXPECT_EQ(m.beats, 4);
  EXPECT_EQ(m.tempo_bpm, 120);
  EXPECT_EQ(m.key, "A minor");
  EXPECT_EQ(m.root_note_midi, 60);
  EXPECT_EQ(m.tuning_cents, -10);
  ASSERT_EQ(m.loops.size(), 1u);
  EXPECT_DOUBLE_EQ(m.loops[0].start_s, 0.1);
  EXPECT_DOUBLE_EQ(m.loops[0].end_s, 1.0);
  ASSERT_EQ(m.cues.size(), 2u);
  EXPECT_EQ(m.cues[0].label, "begin");
}

// libsndfile writes, we read.
TEST(Metadata, AgreesWithAnotherWriter) {
  test::TemporaryFolder folder;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
                           SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                           SF_FORMAT_OGG | SF_FORMAT_OPUS, SF_FORMAT_RF64 | SF_FORMAT_PCM_16}) {
    const auto file = folder.path / "sound";
    SF_INFO info{};
    info.samplerate = 48000;
    info.channels = 1;
    info.format = format;
    SNDFILE* f = sf_open(file.c_str(), SFM_WRITE, &info);
    ASSERT_NE(f, nullptr);
    sf_set_string(f, SF_STR_TITLE, "D\xC3\xA9j\xC3\xA0 vu");
    sf_set_string(f, SF_STR_ARTIST, "Someone");
    const bool wav_like = (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAV;
    if (wav_like) {
      SF_INSTRUMENT instrument{};
      instrument.basenote = 62;
      instrument.loop_count = 1;
      instrument.loops[0] = {SF_LOOP_FORWARD, 4800, 24000, 0};
      sf_command(f, SFC_SET_INSTRUMENT, &instrument, sizeof instrument);
    }
    const std::vector<float> sound = test::sine(440, 1, 0.3, 48000);
    sf_write_float(f, sound.data(), static_cast<sf_count_t>(sound.size()));
    sf_close(f);
    const Metadata m = read_metadata(file);
    EXPECT_EQ(m.title, "D\xC3\xA9j\xC3\xA0 vu") << std::hex << format;
    EXPECT_EQ(m.artist, "Someone") << std::hex << format;
    if (wav_like) {
      EXPECT_EQ(m.root_note_midi, 62);
      ASSERT_EQ(m.loops.size(), 1u);
      EXPECT_DOUBLE_EQ(m.loops[0].start_s, 0.1);
      EXPECT_NEAR(m.loops[0].end_s, 0.5, 1e-4);
    }
  }
}

TEST(Metadata, IsPartOfTheAnalysisAndItsJson) {
  test::TemporaryFolder folder;
  const string acid =
      le(0, 4) + le(0, 2) + le(0, 2) + le(0, 4) + le(4, 4) + le(4, 2) + le(4, 2) + le_float(140);
  const auto file = test::write_bytes(folder.path / "x.wav", wav(chunk("acid", acid)));
  const auto a = Analyzer().analyze(file);
  ASSERT_TRUE(a.ok()) << a.error().message();
  EXPECT_EQ(a->metadata.tempo_bpm, 140);
  EXPECT_FALSE(a->tempo_bpm.has_value());
  string text;
  JsonWriter w(text);
  write_json(w, "x", *a);
  const Analysis back = analysis_from_json(*JsonValue::parse(text));
  EXPECT_EQ(back.metadata.tempo_bpm, 140);
  EXPECT_EQ(back.metadata.beats, 4);
  EXPECT_EQ(back.metadata.one_shot, false);
  EXPECT_EQ(back.metadata.sources, a->metadata.sources);
}

TEST(Metadata, DamagedFilesGiveWhatCouldBeRead) {
  const string acid =
      le(0, 4) + le(57, 2) + le(0, 2) + le(0, 4) + le(8, 4) + le(4, 2) + le(4, 2) + le_float(100);
  const string whole = wav(chunk("acid", acid) + chunk("LIST", "INFO" + chunk("INAM", "Name")));
  EXPECT_EQ(metadata_of(whole).title, "Name");
  for (size_t n = 0; n < whole.size(); ++n) metadata_of(std::string_view(whole).substr(0, n));
  string liar = whole;
  liar.replace(whole.find("acid") + 4, 4, "\xFF\xFF\xFF\xFF");
  metadata_of(liar);
  EXPECT_TRUE(metadata_of(std::string_view()).empty());
  EXPECT_TRUE(metadata_of("no sound at all, just text").empty());
  EXPECT_TRUE(read_metadata(std::filesystem::path("/nonexistent/file")).empty());
  EXPECT_TRUE(read_metadata(std::filesystem::temp_directory_path()).empty());
  const string huge = id3(4, id3_frame(4, "TIT2", "\3" + string(100000, 'a')));
  EXPECT_LE(metadata_of(huge).title->size(), kMetadataTextMax);
}

// The fuzz target over its corpus and changed copies of it; fuzz/ builds it for libFuzzer.
TEST(Metadata, CorpusAndChangedCopiesOfIt) {
  size_t files = 0;
  std::mt19937 random(1);
  for (const auto& entry : std::filesystem::directory_iterator(METADATA_CORPUS)) {
    const string whole = test::read_bytes(entry.path());
    EXPECT_FALSE(metadata_of(whole).empty()) << entry.path();
    fuzz::metadata(whole);
    for (int round = 0; round < 300; ++round) {
      string changed = whole.substr(0, round % 3 == 0 ? random() % whole.size() : whole.size());
      for (int k = 0; k < 4 && !changed.empty(); ++k)
        changed[random() % changed.size()] = static_cast<char>(round % 2 ? random() : 0xFF);
      fuzz::metadata(changed);
    }
    ++files;
  }
  EXPECT_GE(files, 9u);
}

TEST(Metadata, KeysAsPeopleWriteThem) {
  for (const auto& [text, key] :
       std::vector<std::pair<string, string>>{{"Am", "A minor"},
                                              {"a minor", "A minor"},
                                              {"F#m", "F# minor"},
                                              {"Gbm", "F# minor"},
                                              {"Bb", "A# major"},
                                              {"B", "B major"},
                                              {"Bm", "B minor"},
                                              {"Bbmin", "A# minor"},
                                              {"E flat major", "D# major"},
                                              {"C-dur", "C major"},
                                              {"8A", "A minor"},
                                              {"8B", "C major"},
                                              {"1A", "G# minor"},
                                              {"12B", "E major"},
                                              {"4A", "F minor"},
                                              {"1m", "A minor"},
                                              {"1d", "C major"},
                                              {"2d", "G major"},
                                              {"6m", "G# minor"},
                                              {"C\u266F minor", "C# minor"},
                                              {"E\u266Dm", "D# minor"}}) {
    EXPECT_EQ(key_from_text(text), key) << text;
  }
  for (const char* text :
       {"", "H", "x", "13A", "0A", "8C", "off", "all", "Kick", "drums", "A lydian", "o"})
    EXPECT_FALSE(key_from_text(text).has_value()) << text;
}

}  // namespace
}  // namespace samplemind::audio
