#include "library/catalogue.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/json.h"
#include "library/sample_json.h"
#include "library/store/schema.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

using Access = Catalogue::Access;

Sample sample(const std::string& path, std::optional<double> tempo = {}, const char* key = nullptr,
              double duration_s = 1) {
  Sample s;
  s.file = {path, 100, 200};
  s.digest_hex = blake3(path).hex();
  s.analysis_version = audio::kAnalysisVersion;
  s.analysis.format = "wav";
  s.analysis.duration_s = duration_s;
  s.analysis.sample_rate_hz = 44100;
  s.analysis.channels = 1;
  s.analysis.tempo_bpm = tempo;
  if (key != nullptr) s.analysis.key = key;
  return s;
}

std::unique_ptr<Catalogue> open_for_writing(const fs::path& home) {
  auto catalogue = open_catalogue(home, Access::kWrite);
  EXPECT_TRUE(catalogue.ok()) << catalogue.error().message();
  return std::move(catalogue).value();
}

std::vector<std::string> found(Catalogue& catalogue, const SearchQuery& query) {
  auto result = catalogue.search(query);
  EXPECT_TRUE(result.ok()) << result.error().message();
  std::vector<std::string> names;
  for (const Sample& s : result->samples) names.push_back(s.name());
  return names;
}

std::vector<std::string> found(Catalogue& catalogue, const std::string& text) {
  SearchQuery q;
  q.text = text;
  return found(catalogue, q);
}

void raw_sql(const fs::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

using Names = std::vector<std::string>;

TEST(Catalogue, KeepsEveryFact) {
  const TemporaryFolder home;
  Sample s = sample("/a/b.wav", 123.45, "F# minor", 2.5);
  audio::Analysis& a = s.analysis;
  a.bit_depth = 24;
  a.channels = 2;
  a.tempo_confidence = 0.75;
  a.time_signature = "3/4";
  a.key_confidence = 0.5;
  a.loudness_lufs = -14.25;
  a.loudness_range_lu = 3.5;
  a.true_peak_dbtp = -0.5;
  a.content = "loop";
  a.kind = "drums";
  a.note_midi = 60.25;
  a.beats_s = {0, 0.4861, 0.9722};
  a.downbeats_s = {0};
  a.onsets_s = {0.01, 0.4861};
  a.warnings = {"short"};
  int64_t id = 0;
  {
    const auto catalogue = open_for_writing(home.path());
    ASSERT_TRUE(catalogue->put({s}).ok());
    id = (*catalogue->get_by_path("/a/b.wav"))->id;
  }
  const auto catalogue = open_catalogue(home.path(), Access::kRead);
  ASSERT_TRUE(catalogue.ok());
  const auto got = (*catalogue)->get(id);
  ASSERT_TRUE(got.ok() && *got);
  const audio::Analysis& b = (*got)->analysis;
  EXPECT_EQ((*got)->digest_hex, s.digest_hex);
  EXPECT_EQ((*got)->file.size, 100);
  EXPECT_EQ((*got)->file.mtime_ns, 200);
  EXPECT_GT((*got)->added_ms, 0);
  EXPECT_EQ(b.format, "wav");
  EXPECT_EQ(b.duration_s, 2.5);
  EXPECT_EQ(b.sample_rate_hz, 44100);
  EXPECT_EQ(b.channels, 2);
  EXPECT_EQ(b.bit_depth, 24);
  EXPECT_EQ(b.tempo_bpm, 123.45);
  EXPECT_EQ(b.tempo_confidence, 0.75);
  EXPECT_EQ(b.time_signature, "3/4");
  EXPECT_EQ(b.key, "F# minor");
  EXPECT_EQ(b.key_confidence, 0.5);
  EXPECT_EQ(b.loudness_lufs, -14.25);
  EXPECT_EQ(b.loudness_range_lu, 3.5);
  EXPECT_EQ(b.true_peak_dbtp, -0.5);
  EXPECT_EQ(b.content, "loop");
  EXPECT_EQ(b.kind, "drums");
  EXPECT_EQ(b.note_midi, 60.25);
  EXPECT_EQ(b.beats_s, a.beats_s);
  EXPECT_EQ(b.downbeats_s, a.downbeats_s);
  EXPECT_EQ(b.onsets_s, a.onsets_s);
  EXPECT_EQ(b.warnings, a.warnings);

  std::string json;
  JsonWriter w(json);
  write_json(w, **got);
  const auto value = JsonValue::parse(json);
  ASSERT_TRUE(value.ok()) << json;
  EXPECT_EQ((*value)["id"].integer(), id);
  EXPECT_EQ((*value)["name"].string(), "b.wav");
  EXPECT_EQ((*value)["folder"].string(), "/a");
  EXPECT_EQ((*value)["state"].string(), "ok");
  EXPECT_EQ((*value)["beats_s"].size(), 3u);
}

TEST(Catalogue, UnknownStaysNull) {
  const TemporaryFolder home;
  const auto catalogue = open_for_writing(home.path());
  ASSERT_TRUE(catalogue->put({sample("/x.wav")}).ok());
  const auto got = catalogue->get_by_path("/x.wav");
  ASSERT_TRUE(got.ok() && *got);
  EXPECT_FALSE((*got)->analysis.tempo_bpm);
  EXPECT_FALSE((*got)->analysis.key);
  EXPECT_FALSE((*got)->analysis.bit_depth);
  EXPECT_FALSE((*got)->analysis.loudness_lufs);
  EXPECT_FALSE((*got)->analysis.note_midi);
}

TEST(Catalogue, HomeAndFilesArePrivate) {
  const TemporaryFolder parent;
  const fs::path home = parent.path() / "new" / "home";
  const auto catalogue = open_for_writing(home);
  ASSERT_TRUE(catalogue->put({sample("/x.wav")}).ok());
  struct stat status {};
  ASSERT_EQ(::stat(home.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(home)) {
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3);  // the file, its log and index, the lock
}

TEST(Catalogue, OneWriterManyReaders) {
  const TemporaryFolder home;
  auto writer = open_for_writing(home.path());
  const auto second = open_catalogue(home.path(), Access::kWrite);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_NE(second.error().message().find("open in another process"), std::string::npos);
  const auto reader = open_catalogue(home.path(), Access::kRead);
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  ASSERT_TRUE(writer->put({sample("/x.wav")}).ok());
  EXPECT_EQ(found(**reader, "x"), Names{"x.wav"});
  writer.reset();
  EXPECT_TRUE(open_catalogue(home.path(), Access::kWrite).ok());
}

TEST(Catalogue, ReadingBeforeAnythingWasScanned) {
  const TemporaryFolder home;
  const auto reader = open_catalogue(home.path() / "none", Access::kRead);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(found(**reader, ""), Names{});
  EXPECT_FALSE(fs::exists(home.path() / "none"));
  // A start that died between creating the file and filling it.
  write_file(home.path() / "library.db", "");
  const auto unfilled = open_catalogue(home.path(), Access::kRead);
  ASSERT_TRUE(unfilled.ok()) << unfilled.error().message();
  EXPECT_EQ(found(**unfilled, ""), Names{});
  EXPECT_TRUE(open_catalogue(home.path(), Access::kWrite).ok());
}

TEST(Catalogue, NewerAndDamagedFilesAreRefused) {
  const TemporaryFolder home;
  { ASSERT_TRUE(open_for_writing(home.path())->put({sample("/x.wav")}).ok()); }
  raw_sql(home.path() / "library.db", "PRAGMA user_version=999");
  for (const Access access : {Access::kWrite, Access::kRead}) {
    const auto newer = open_catalogue(home.path(), access);
    ASSERT_FALSE(newer.ok());
    EXPECT_EQ(newer.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(newer.error().message().find("schema 999"), std::string::npos);
    EXPECT_NE(newer.error().hint().find("update"), std::string::npos);
  }
  const TemporaryFolder other;
  write_file(other.path() / "library.db", std::string(8192, 'x'));
  const auto damaged = open_catalogue(other.path(), Access::kWrite);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), ErrorCode::kDataLoss);
  EXPECT_NE(damaged.error().message().find("library.db"), std::string::npos);
}

// A library of every released schema, as that release left it, gains what is new and loses nothing.
TEST(Catalogue, EveryOlderSchemaIsBroughtUpToDate) {
  for (size_t version = 1; version < migrations().size(); ++version) {
    SCOPED_TRACE(version);
    const TemporaryFolder home;
    const fs::path file = home.path() / "library.db";
    raw_sql(file, "PRAGMA journal_mode=WAL");
    for (size_t v = 0; v < version; ++v) raw_sql(file, migrations()[v]);
    raw_sql(file, "PRAGMA user_version=" + std::to_string(version));
    if (version <= 2) {
      raw_sql(file,
              "INSERT INTO sample (path, size, mtime_ns, digest, missing, added_ms, "
              "analysis_version, name, format, duration_s, sample_rate_hz, channels, bit_depth, "
              "tempo_bpm, tempo_confidence, key, key_confidence, kind, content, lists) VALUES "
              "(CAST('/a/Kick_C1_128bpm.wav' AS BLOB), 100, 200, zeroblob(32), 0, 1234, 1, "
              "'Kick_C1_128bpm.wav', 'wav', 0.5, 44100, 1, 16, 64.2, 0.4, 'A minor', 0.5, 'kick', "
              "'oneshot', '{\"beats_s\":[0,0.5],\"onsets_s\":[0.01],\"warnings\":[\"short\"]}'), "
              "(CAST('/a/gone.wav' AS BLOB), 1, 2, NULL, 1, 5, 1, 'gone.wav', 'wav', 1, 44100, 1, "
              "16, NULL, NULL, NULL, NULL, NULL, NULL, '{}'); "
              "INSERT INTO sample (path, size, mtime_ns, error, added_ms, analysis_version, name) "
              "VALUES (CAST('/a/broken.wav' AS BLOB), 3, 4, 'damaged', 6, 1, 'broken.wav'); "
              "INSERT INTO sample (id, path, size, mtime_ns, added_ms, analysis_version, name) "
              "VALUES (50, x'2f', 0, 0, 0, 0, 'x'); DELETE FROM sample WHERE id=50");
    }
    const auto too_old = open_catalogue(home.path(), Access::kRead);
    ASSERT_FALSE(too_old.ok());
    EXPECT_EQ(too_old.error().code(), ErrorCode::kUnavailable);
    const auto catalogue = open_for_writing(home.path());
    EXPECT_EQ(found(*catalogue, "kick"), Names{"Kick_C1_128bpm.wav"});
    const auto old = *catalogue->get_by_path("/a/Kick_C1_128bpm.wav");
    ASSERT_TRUE(old.has_value());
    EXPECT_EQ(old->added_ms, 1234);
    EXPECT_EQ(old->file.size, 100);
    EXPECT_EQ(old->analysis.beats_s, (std::vector<double>{0, 0.5}));
    EXPECT_EQ(old->analysis.warnings, (std::vector<std::string>{"short"}));
    EXPECT_EQ(old->analysis.bit_depth, 16);
    EXPECT_EQ(old->analysis.kind, "kick");
    // The name speaks now too; what was heard is kept beside it.
    EXPECT_EQ(old->analysis.tempo_bpm, 128);
    EXPECT_EQ(old->tempo_source, "name");
    EXPECT_EQ(heard(*old).tempo_bpm, 64.2);
    EXPECT_EQ(old->key_source, "ear");
    EXPECT_TRUE((*catalogue->get_by_path("/a/gone.wav"))->missing);
    EXPECT_EQ((*catalogue->get_by_path("/a/broken.wav"))->error, "damaged");
    Sample s = sample("/snare.wav");
    s.analysis.kind = "snare";
    s.analysis.kind_confidence = 0.75;
    s.analysis.descriptor = std::string("\x00\xff\x7f", 3);
    ASSERT_TRUE(catalogue->put({s}).ok());
    const auto kept = *catalogue->get_by_path("/snare.wav");
    ASSERT_TRUE(kept.has_value());
    EXPECT_GT(kept->id, 50);  // ids are never used again
    EXPECT_EQ(heard(*kept).kind_confidence, 0.75);
    EXPECT_EQ(kept->analysis.descriptor, s.analysis.descriptor);
    EXPECT_TRUE(catalogue->check().ok());
    EXPECT_EQ(catalogue->summary()->samples, 2);
  }
}

TEST(Catalogue, IdsAreStableAndNeverReused) {
  const TemporaryFolder home;
  const auto catalogue = open_for_writing(home.path());
  ASSERT_TRUE(catalogue->put({sample("/a.wav"), sample("/b.wav")}).ok());
  const int64_t a = (*catalogue->get_by_path("/a.wav"))->id;
  const int64_t b = (*catalogue->get_by_path("/b.wav"))->id;
  ASSERT_TRUE(catalogue->put({sample("/a.wav", 120)}).ok());
  EXPECT_EQ((*catalogue->get_by_path("/a.wav"))->id, a);
  // Moved onto another's path: the moved one's id lives on, the other is gone with its words.
  ASSERT_TRUE(catalogue->relink(a, {"/b.wav", 1, 2}).ok());
  EXPECT_EQ((*catalogue->get_by_path("/b.wav"))->id, a);
  EXPECT_FALSE(catalogue->get(b)->has_value());
  EXPECT_EQ(found(*catalogue, "b"), Names{"b.wav"});
  EXPECT_EQ(found(*catalogue, "a"), Names{});
  ASSERT_TRUE(catalogue->put({sample("/c.wav")}).ok());
  EXPECT_GT((*catalogue->get_by_path("/c.wav"))->id, b);
  EXPECT_TRUE(catalogue->check().ok());
}

TEST(Catalogue, AnyBytesInNames) {
  const TemporaryFolder home;
  const auto catalogue = open_for_writing(home.path());
  const Names paths{"/s/bad\xff\xfe_kick.wav",
                    "/s/new\nline kick.wav",
                    "/s/quo'te\"kick.wav",
                    "/s/\xF0\x9F\xA5\x81 kick.wav",
                    "/s/" + std::string(251, 'k') + ".wav",
                    "/s/%_* kick.wav"};
  for (const std::string& path : paths) {
    ASSERT_TRUE(catalogue->put({sample(path)}).ok());
    const auto got = catalogue->get_by_path(path);
    ASSERT_TRUE(got.ok() && *got);
    EXPECT_EQ((*got)->file.path, path);
    std::string json;
    JsonWriter w(json);
    write_json(w, **got);
    EXPECT_TRUE(JsonValue::parse(json).ok()) << json;
  }
  EXPECT_EQ(catalogue->known()->size(), paths.size());
  EXPECT_EQ(found(*catalogue, "kick").size(), paths.size() - 1);
  SearchQuery q;
  q.folder = "/s";
  EXPECT_EQ(found(*catalogue, q).size(), paths.size());
  // Marks are no syntax; what is one says where it is wrong.
  for (const char* text : {"kick* (", "NEAR(", "*", "-", "-kick", "12:30", "\xff\xff", "\u2019",
                           "(", "AND", "^kick", "{", "kick -", "--"})
    EXPECT_TRUE([&] {
      SearchQuery query;
      query.text = text;
      return catalogue->search(query).ok();
    }()) << text;
}

class Search : public ::testing::Test {
 protected:
  Search() : catalogue_(open_for_writing(home_.path())) {
    std::vector<Sample> batch{sample("/lib/Drums/Kick_C1_128bpm.wav", {}, nullptr, 0.5),
                              sample("/lib/Drums/KickDeep.wav", {}, nullptr, 0.8),
                              sample("/lib/Loops/Loop_DnB_174bpm.flac", 174, nullptr, 5),
                              sample("/lib/Loops/BoomBap_90bpm.flac", 90, "A minor", 10),
                              sample("/lib2/Pads/Pad_Gb.wav", {}, "F# major", 4)};
    batch[0].analysis.kind = batch[1].analysis.kind = "kick";
    batch[2].analysis.content = batch[3].analysis.content = "loop";
    Sample broken = sample("/lib/Drums/Kick_Broken.wav");
    broken.error = "damaged";
    batch.push_back(broken);
    EXPECT_TRUE(catalogue_->put(batch).ok());
  }
  TemporaryFolder home_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(Search, Words) {
  EXPECT_EQ(found(*catalogue_, "kick"), (Names{"Kick_C1_128bpm.wav", "KickDeep.wav"}));
  EXPECT_EQ(found(*catalogue_, "kic c1"), Names{"Kick_C1_128bpm.wav"});
  EXPECT_EQ(found(*catalogue_, "KICK 128"), Names{"Kick_C1_128bpm.wav"});
  EXPECT_EQ(found(*catalogue_, "128bpm"), Names{"Kick_C1_128bpm.wav"});
  EXPECT_EQ(found(*catalogue_, "kickdeep"), Names{"KickDeep.wav"});
  EXPECT_EQ(found(*catalogue_, "dnb"), Names{"Loop_DnB_174bpm.flac"});
  EXPECT_EQ(found(*catalogue_, "boombap"), Names{"BoomBap_90bpm.flac"});
  EXPECT_EQ(found(*catalogue_, "BoomBap"), Names{"BoomBap_90bpm.flac"});
  EXPECT_EQ(found(*catalogue_, "kick -deep"), Names{"Kick_C1_128bpm.wav"});
  EXPECT_EQ(found(*catalogue_, "-kick -loop"), Names{"Pad_Gb.wav"});
  EXPECT_EQ(found(*catalogue_, "drums"), (Names{"Kick_C1_128bpm.wav", "KickDeep.wav"}));
  EXPECT_EQ(found(*catalogue_, "snare"), Names{});
}

TEST_F(Search, NumbersAndKinds) {
  SearchQuery q;
  q.tempo_bpm = *parse_range("80-100", "bpm", 0.5);
  EXPECT_EQ(found(*catalogue_, q), Names{"BoomBap_90bpm.flac"});
  q = {};
  q.key = *parse_key("Gb major");
  EXPECT_EQ(found(*catalogue_, q), Names{"Pad_Gb.wav"});
  q = {};
  q.length_s = *parse_length("<1s");
  EXPECT_EQ(found(*catalogue_, q), (Names{"Kick_C1_128bpm.wav", "KickDeep.wav"}));
  q = {};
  q.content = "loop";
  q.sort = Sort::kTempo;
  q.descending = true;
  EXPECT_EQ(found(*catalogue_, q), (Names{"Loop_DnB_174bpm.flac", "BoomBap_90bpm.flac"}));
  q = {};
  q.kind = "kick";
  q.text = "deep";
  EXPECT_EQ(found(*catalogue_, q), Names{"KickDeep.wav"});
  q = {};
  q.broken = true;
  EXPECT_EQ(found(*catalogue_, q), Names{"Kick_Broken.wav"});
}

TEST_F(Search, FolderIsAFolderAndNoPrefix) {
  SearchQuery q;
  for (const char* folder : {"/lib", "/lib/", "/lib//"}) {
    q.folder = folder;
    EXPECT_EQ(found(*catalogue_, q).size(), 4u) << folder;
  }
  q.folder = "/lib2";
  EXPECT_EQ(found(*catalogue_, q), Names{"Pad_Gb.wav"});
  q.folder = "/";
  EXPECT_EQ(found(*catalogue_, q).size(), 5u);
  q.folder = "/li";
  EXPECT_EQ(found(*catalogue_, q).size(), 0u);
}

TEST_F(Search, PagesCoverAllOnce) {
  SearchQuery q;
  q.limit = 2;
  Names all;
  for (q.offset = 0;; q.offset += 2) {
    const auto page = catalogue_->search(q);
    ASSERT_TRUE(page.ok());
    EXPECT_EQ(page->total, 5);
    if (page->samples.empty()) break;
    for (const Sample& s : page->samples) all.push_back(s.name());
  }
  EXPECT_EQ(all, (Names{"BoomBap_90bpm.flac", "Kick_C1_128bpm.wav", "KickDeep.wav",
                        "Loop_DnB_174bpm.flac", "Pad_Gb.wav"}));
}

TEST_F(Search, MissingAreNotFoundButKept) {
  const int64_t id = (*catalogue_->get_by_path("/lib/Drums/KickDeep.wav"))->id;
  ASSERT_TRUE(catalogue_->mark_missing({id}, true).ok());
  EXPECT_EQ(found(*catalogue_, "kick"), Names{"Kick_C1_128bpm.wav"});
  EXPECT_TRUE((*catalogue_->get(id))->missing);
  const auto summary = catalogue_->summary();
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->samples, 4);
  EXPECT_EQ(summary->missing, 1);
  EXPECT_EQ(summary->broken, 1);
  ASSERT_TRUE(catalogue_->mark_missing({id}, false).ok());
  EXPECT_EQ(found(*catalogue_, "kick").size(), 2u);
}

}  // namespace
}  // namespace samplemind::library
