// The query language and the index, against sounds whose answer is known; and the index against a
// plain walk over random sounds.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "library/index/search_index.h"
#include "library/query.h"

namespace samplemind::library {
namespace {

Sample sample(int64_t id, const std::string& path) {
  Sample s;
  s.id = id;
  s.file.path = path;
  s.added_ms = 1000 * id;
  s.analysis.format = "wav";
  s.analysis.duration_s = 1;
  s.analysis.sample_rate_hz = 44100;
  s.analysis.channels = 1;
  return s;
}

std::vector<int64_t> ids(const SearchIndex& index, const std::string& text) {
  const auto query = parse_query(text);
  EXPECT_TRUE(query.ok()) << text << ": " << query.error().message();
  return index.search(*query, -1, 0, 1000000, {}).ids;
}

std::string message(const std::string& text) {
  const auto query = parse_query(text);
  return query.ok() ? "no error" : query.error().message();
}

using Ids = std::vector<int64_t>;

TEST(Stem, OfTheWordsOfSounds) {
  const std::pair<const char*, const char*> cases[] = {
      {"kicks", "kick"},    {"claps", "clap"},     {"looping", "loop"}, {"looped", "loop"},
      {"bodies", "body"},   {"brushes", "brush"},  {"bass", "bass"},    {"fx", "fx"},
      {"crashes", "crash"}, {"stripped", "strip"}, {"128", "128"},      {"string", "string"},
      {"rides", "ride"},    {"series", "sery"},    {"hiss", "hiss"},    {"bus", "bus"}};
  for (const auto& [word, root] : cases) EXPECT_EQ(stem(word), root) << word;
}

TEST(Edits, CountInsertionsSwapsAndReplacements) {
  EXPECT_TRUE(within_edits("kcik", "kick", 1));
  EXPECT_TRUE(within_edits("kick", "kick", 0));
  EXPECT_TRUE(within_edits("snre", "snare", 1));
  EXPECT_FALSE(within_edits("snr", "snare", 1));
  EXPECT_TRUE(within_edits("tambourin", "tambourine", 2));
  EXPECT_FALSE(within_edits("abc", "xyz", 2));
  EXPECT_EQ(edits_allowed("808"), 0);
  EXPECT_EQ(edits_allowed("kik"), 0);
  EXPECT_EQ(edits_allowed("snare"), 1);
  EXPECT_EQ(edits_allowed("tambourine"), 2);
}

TEST(Camelot, WheelAndNeighbours) {
  EXPECT_EQ(camelot(*key_index("A minor")), "8A");
  EXPECT_EQ(camelot(*key_index("C major")), "8B");
  EXPECT_EQ(camelot(*key_index("F# minor")), "11A");
  EXPECT_EQ(open_key(*key_index("A minor")), "1m");
  EXPECT_EQ(open_key(*key_index("C major")), "1d");
  for (int i = 0; i < 24; ++i) {
    EXPECT_EQ(parse_key(camelot(i)).value_or("?"), key_name(i));
    EXPECT_EQ(parse_key(open_key(i)).value_or("?"), key_name(i));
    // The same, one step either way, and A<->B: four keys, and the relation holds both ways.
    const uint32_t near = compatible_keys(i);
    EXPECT_EQ(__builtin_popcount(near), 4);
    for (int j = 0; j < 24; ++j) {
      if (near >> j & 1) {
        EXPECT_TRUE(compatible_keys(j) >> i & 1);
      }
    }
  }
  const uint32_t near = compatible_keys(*key_index("A minor"));
  for (const char* key : {"A minor", "E minor", "D minor", "C major"})
    EXPECT_TRUE(near >> *key_index(key) & 1) << key;
  EXPECT_FALSE(key_index("H minor"));
}

TEST(QueryLanguage, ErrorsPointAtTheCharacter) {
  const std::pair<const char*, const char*> cases[] = {
      {"kick bpm:fast", "query 'kick bpm:fast': at character 10: a number"},
      {"kick bpm:120-x", "at character 14:"},
      {"kick key:H", "at character 10: a note from A to G"},
      {"kick key:Am,F##", "at character 15:"},
      {"kik clor:red", "at character 5: there is no field 'clor'"},
      {"is:lop", "at character 4: 'is:lop' is not known"},
      {"deep \"long tail", "at character 6: this quote is never closed"},
      {"sort:colour", "at character 6:"},
      {"bpm:", "at character 5: a value was expected"},
      {"kick len:<2x", "at character 12:"},
      {"~kick", "at character 1: ~ stands before key:"},
      {"~bpm:120", "at character 1: ~ stands before key:"},
      {"content:song", "at character 9:"},
      {"folder:\"/a b", "at character 8: this quote"},
      {"rating:>=x", "at character 10:"},
      {"-sort:name", "cannot be excluded"}};
  for (const auto& [text, where] : cases)
    EXPECT_NE(message(text).find(where), std::string::npos) << text << " -> " << message(text);
  EXPECT_EQ(parse_query("clor:red").error().hint().find("did you mean"), std::string::npos);
  EXPECT_NE(parse_query("knd:kick").error().hint().find("did you mean 'kind:'?"),
            std::string::npos);
  EXPECT_NE(parse_query("is:lop").error().hint().find("is:loop"), std::string::npos);
  EXPECT_EQ(parse_query(std::string(kQueryMax + 1, 'a')).error().code(), ErrorCode::kTooLarge);
  std::string many;
  for (size_t i = 0; i < kTermsMax + 1; ++i) many += "a ";
  EXPECT_EQ(parse_query(many).error().code(), ErrorCode::kTooLarge);
}

class Index : public ::testing::Test {
 protected:
  Index() {
    add("/s/Drums/BD_01.wav", "kick", "oneshot");
    add("/s/Drums/KickDrum Deep.wav", "kick", "oneshot");
    add("/s/Drums/HH Closed.wav", "hat_closed", "oneshot");
    add("/s/Drums/OpenHat_long.wav", "hat_open", "oneshot");
    add("/s/Loops/Dusty Break 90.wav", "", "loop");
    add("/s/Pads/Warm Long Tail Pad.flac", "pad", "oneshot");
    add("/s/Pads/Tail_Long.wav", "", "music");
    auto& s = sounds_;
    s[4].analysis.tempo_bpm = 90;
    s[4].analysis.key = "A minor";
    s[5].analysis.key = "C major";
    s[5].analysis.format = "flac";
    s[6].analysis.key = "F# minor";
    s[5].analysis.duration_s = 8;
    s[6].analysis.duration_s = 180;
    s[0].analysis.loudness_lufs = -8;
    s[1].analysis.loudness_lufs = -20;
    s[1].analysis.note_midi = 36;
    s[1].marks.favourite = true;
    s[1].marks.rating = 4;
    s[1].marks.tags = {"deep house", "dusty"};
    s[4].marks.tags = {"dusty"};
    s[6].marks.hidden = true;
    s[4].marks.played_ms = 5000;
    for (const Sample& one : s) index_.put(one);
  }
  void add(const std::string& path, const std::string& kind, const std::string& content) {
    sounds_.push_back(sample(static_cast<int64_t>(sounds_.size()) + 1, path));
    if (!kind.empty()) sounds_.back().analysis.kind = kind;
    sounds_.back().analysis.content = content;
  }
  std::vector<Sample> sounds_;
  SearchIndex index_;
};

TEST_F(Index, Words) {
  EXPECT_EQ(ids(index_, "kick"), (Ids{2, 1}));  // the word itself before a synonym
  EXPECT_EQ(ids(index_, "bd"), (Ids{1, 2}));
  EXPECT_EQ(ids(index_, "bassdrum"), (Ids{1, 2}));
  EXPECT_EQ(ids(index_, "kicks"), (Ids{2, 1}));
  EXPECT_EQ(ids(index_, "hihat"), (Ids{3, 4}));
  EXPECT_EQ(ids(index_, "hats long"), (Ids{4}));
  EXPECT_EQ(ids(index_, "kick -deep"), (Ids{1}));
  EXPECT_EQ(ids(index_, "dusti"), (Ids{5, 2}));  // being typed, or mistyped
  EXPECT_EQ(ids(index_, "deeep"), (Ids{2}));
  EXPECT_EQ(ids(index_, "zzzz"), (Ids{}));
  EXPECT_EQ(ids(index_, "warm pad"), (Ids{6}));
  EXPECT_EQ(ids(index_, "\"long tail\""), (Ids{6}));
  EXPECT_EQ(ids(index_, "\"tail long\""), (Ids{}));  // hidden
  EXPECT_EQ(ids(index_, "\"tail long\" is:hidden"), (Ids{7}));
  EXPECT_EQ(ids(index_, "-\"long tail\" pads"), (Ids{}));
  EXPECT_EQ(ids(index_, "\"kick drum\""), (Ids{2}));
  const auto found = index_.search(*parse_query("kcik"), 10, 0, 0, {});
  EXPECT_EQ(found.total, 2);
  ASSERT_EQ(found.corrected.size(), 1u);
  EXPECT_EQ(found.corrected[0].second, "kick");
}

TEST_F(Index, Fields) {
  EXPECT_EQ(ids(index_, "bpm:85-95"), (Ids{5}));
  EXPECT_EQ(ids(index_, "key:Am"), (Ids{5}));
  EXPECT_EQ(ids(index_, "~key:8A sort:key"), (Ids{5, 6}));
  EXPECT_EQ(ids(index_, "key:8A,8B"), (Ids{5, 6}));
  EXPECT_EQ(ids(index_, "-key:8A key:8A,8B"), (Ids{6}));
  EXPECT_EQ(ids(index_, "kind:hat"), (Ids{3, 4}));
  EXPECT_EQ(ids(index_, "kind:hats"), (Ids{}));  // a kind's own name
  EXPECT_EQ(ids(index_, "kind:hat-open,kick sort:name"), (Ids{1, 2, 4}));
  EXPECT_EQ(ids(index_, "len:>5s"), (Ids{6}));
  EXPECT_EQ(ids(index_, "lufs:>-12"), (Ids{1}));
  EXPECT_EQ(ids(index_, "lufs:-25--10"), (Ids{2}));
  EXPECT_EQ(ids(index_, "note:36"), (Ids{2}));
  EXPECT_EQ(ids(index_, "rating:>=4"), (Ids{2}));
  EXPECT_EQ(ids(index_, "is:favourite"), (Ids{2}));
  EXPECT_EQ(ids(index_, "is:loop"), (Ids{5}));
  EXPECT_EQ(ids(index_, "is:played"), (Ids{5}));
  EXPECT_EQ(ids(index_, "is:hidden"), (Ids{7}));
  EXPECT_EQ(ids(index_, "tag:dusty sort:name"), (Ids{5, 2}));
  EXPECT_EQ(ids(index_, "tag:\"deep house\""), (Ids{2}));
  EXPECT_EQ(ids(index_, "is:tagged -is:favourite"), (Ids{5}));
  EXPECT_EQ(ids(index_, "format:flac"), (Ids{6}));
  EXPECT_EQ(ids(index_, "folder:/s/Drums sort:added"), (Ids{1, 2, 3, 4}));
  EXPECT_EQ(ids(index_, "folder:pads"), (Ids{6}));
  EXPECT_EQ(ids(index_, "-folder:/s/Drums sort:-added"), (Ids{6, 5}));
  EXPECT_EQ(ids(index_, "folder:/s/Drum"), (Ids{}));
  EXPECT_EQ(ids(index_, "channels:2"), (Ids{}));
  EXPECT_EQ(ids(index_, "rate:44100 kind:pad"), (Ids{6}));
  EXPECT_EQ(ids(index_, "added:<996s"), (Ids{5, 4, 6}));
  EXPECT_EQ(ids(index_, "sort:-bpm is:loop"), (Ids{5}));
}

TEST_F(Index, ChangesAndRemovals) {
  Sample s = sounds_[0];
  s.file.path = "/s/Drums/Snare.wav";
  s.analysis.kind = "snare";
  index_.put(s);
  EXPECT_EQ(ids(index_, "bd"), (Ids{2}));
  EXPECT_EQ(ids(index_, "snare"), (Ids{1}));
  EXPECT_EQ(index_.size(), sounds_.size());
  index_.remove(1);
  EXPECT_EQ(ids(index_, "snare"), (Ids{}));
  EXPECT_EQ(ids(index_, "tag:dusty").size(), 2u);
  EXPECT_EQ(index_.tags(),
            (std::vector<std::pair<std::string, int64_t>>{{"deep house", 1}, {"dusty", 2}}));
  // Many changes of the same sounds: the dead are dropped, the answers stay.
  for (int round = 0; round < 3000; ++round) {
    for (const Sample& one : sounds_) index_.put(one);
  }
  EXPECT_EQ(index_.size(), sounds_.size());
  EXPECT_EQ(ids(index_, "bd"), (Ids{1, 2}));
  EXPECT_EQ(ids(index_, "tag:dusty sort:name"), (Ids{5, 2}));
  EXPECT_LT(index_.memory_bytes(), 3'000'000u);
}

// Random sounds and conditions: the index finds what a plain walk finds.
TEST(IndexAgainstAWalk, FindsTheSame) {
  std::mt19937 random(7);
  const auto pick = [&random](int n) {
    return static_cast<int>(random() % static_cast<uint32_t>(n));
  };
  const std::vector<std::string> kWords{"dusty", "warm", "deep", "metal", "tape"};
  std::vector<Sample> all;
  SearchIndex index;
  for (int i = 1; i <= 2000; ++i) {
    Sample s =
        sample(i, "/x/" + std::to_string(pick(5)) + "/" + kWords[static_cast<size_t>(pick(5))] +
                      " " + kWords[static_cast<size_t>(pick(5))] + ".wav");
    if (pick(3) != 0) s.analysis.tempo_bpm = 60 + pick(120);
    if (pick(3) != 0) s.analysis.key = key_name(pick(24));
    s.analysis.duration_s = pick(100) / 10.0;
    s.marks.rating = pick(6);
    s.missing = pick(10) == 0;
    all.push_back(s);
    index.put(s);
  }
  for (int round = 0; round < 200; ++round) {
    const int low = 60 + pick(100);
    const int high = low + pick(40);
    const int key = pick(24);
    const std::string word = kWords[static_cast<size_t>(pick(5))];
    const bool near = pick(2) == 0;
    const bool exclude = pick(2) == 0;
    const std::string text = word + (exclude ? " -" : " ") + "bpm:" + std::to_string(low) + "-" +
                             std::to_string(high) + (near ? " ~key:" : " key:") + camelot(key) +
                             " rating:<=3";
    std::set<int64_t> expected;
    for (const Sample& s : all) {
      const bool bpm =
          s.analysis.tempo_bpm && *s.analysis.tempo_bpm >= low && *s.analysis.tempo_bpm <= high;
      const auto own = s.analysis.key ? key_index(*s.analysis.key) : std::nullopt;
      const bool fits_key = own && (near ? compatible_keys(key) >> *own & 1 : *own == key);
      if (!s.missing && s.name().find(word) != std::string::npos && bpm != exclude && fits_key &&
          s.marks.rating <= 3)
        expected.insert(s.id);
    }
    const auto got = ids(index, text);
    EXPECT_EQ(std::set<int64_t>(got.begin(), got.end()), expected) << text;
    EXPECT_EQ(got.size(), expected.size());
  }
}

}  // namespace
}  // namespace samplemind::library
