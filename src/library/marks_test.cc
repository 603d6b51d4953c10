// What the user says, collections, the journal, and the care of the file.
#include "library/marks.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "library/catalogue.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

using Access = Catalogue::Access;
using Names = std::vector<std::string>;

MarksChange change(const std::string& json) {
  auto value = JsonValue::parse(json);
  EXPECT_TRUE(value.ok());
  auto c = read_change(*value);
  EXPECT_TRUE(c.ok()) << json << ": " << (c.ok() ? "" : c.error().message());
  return c.ok() ? *c : MarksChange();
}

TEST(MarksChange, RefusesWhatIsWrongByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "at least one field"},          {"[]", "at least one field"},
      {R"({"rating":6})", "'rating'"},       {R"({"rating":2.5})", "'rating'"},
      {R"({"favourite":1})", "'favourite'"}, {R"({"tags_add":"x"})", "'tags'"},
      {R"({"tags_add":[""]})", "'tags'"},    {R"({"tags_add":["a,b"]})", "'tags'"},
      {R"({"tempo_bpm":5})", "'tempo_bpm'"}, {R"({"tempo_factor":"x5"})", "tempo factor"},
      {R"({"key":"H"})", "key 'H'"},         {R"({"kind":"banana"})", "'banana' is no kind"},
      {R"({"colour":"red"})", "'colour'"},   {R"({"loved":true})", "'loved' cannot be changed"}};
  for (const auto& [json, why] : cases) {
    const auto c = read_change(*JsonValue::parse(json));
    ASSERT_FALSE(c.ok()) << json;
    EXPECT_NE(c.error().message().find(why), std::string::npos) << c.error().message();
    EXPECT_EQ(c.error().code(), ErrorCode::kInvalidArgument);
  }
}

class User : public ::testing::Test {
 protected:
  User() { open(); }
  void open() {
    catalogue_.reset();
    auto opened = open_catalogue(home_.path(), Access::kWrite);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    catalogue_ = std::move(*opened);
  }
  int64_t add(const std::string& path, std::optional<double> tempo = {}) {
    Sample s;
    s.file = {path, 10, 20};
    s.digest_hex = blake3(path).hex();
    s.analysis_version = audio::kAnalysisVersion;
    s.analysis.format = "wav";
    s.analysis.duration_s = 1;
    s.analysis.tempo_bpm = tempo;
    if (tempo) s.analysis.tempo_confidence = 0.6;
    s.analysis.onsets_s = {0.25};
    s.analysis.descriptor = "\x01\x02";
    EXPECT_TRUE(catalogue_->put({s}).ok());
    return (*catalogue_->get_by_path(path))->id;
  }
  Names found(const std::string& text) {
    SearchQuery q;
    q.text = text;
    auto r = catalogue_->search(q);
    EXPECT_TRUE(r.ok()) << r.error().message();
    Names names;
    if (r.ok()) {
      for (const Sample& s : r->samples) names.push_back(s.name());
    }
    return names;
  }
  Sample at(int64_t id) {
    auto s = catalogue_->get(id);
    EXPECT_TRUE(s.ok() && *s);
    return **s;
  }
  TemporaryFolder home_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(User, SaysAndTakesBack) {
  const int64_t a = add("/a.wav", 60);
  const int64_t b = add("/b.wav", 90);
  auto done = catalogue_->edit({a, b}, change(R"({"favourite":true,"rating":4,"tags_add":["Dusty"],
                                                "note":"for the chorus"})"));
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(done->changed, 2);
  EXPECT_EQ(found("is:favourite tag:dusty rating:4"), (Names{"a.wav", "b.wav"}));
  EXPECT_EQ(found("chorus"), (Names{"a.wav", "b.wav"}));
  // The same again changes nothing and leaves no trace in the journal.
  EXPECT_EQ(catalogue_->edit({a, b}, change(R"({"rating":4})"))->changed, 0);
  EXPECT_EQ(catalogue_->journal(10)->size(), 1u);

  // The tempo is locked: a rescan does not touch it, and what was heard is kept beside it.
  ASSERT_TRUE(catalogue_->edit({a}, change(R"({"tempo_factor":"x2"})")).ok());
  EXPECT_EQ(at(a).analysis.tempo_bpm, 120);
  EXPECT_EQ(at(a).tempo_source, "user");
  EXPECT_EQ(add("/a.wav", 61), a);
  EXPECT_EQ(at(a).analysis.tempo_bpm, 120);
  EXPECT_EQ(heard(at(a)).tempo_bpm, 61);
  EXPECT_TRUE(at(a).marks.favourite);
  EXPECT_EQ(found("bpm:120"), Names{"a.wav"});
  // The user's word goes, the ear's comes back.
  ASSERT_TRUE(catalogue_->edit({a}, change(R"({"tempo_bpm":null})")).ok());
  EXPECT_EQ(at(a).analysis.tempo_bpm, 61);
  EXPECT_EQ(at(a).tempo_source, "ear");
  ASSERT_TRUE(catalogue_->edit({a}, change(R"({"key":"8A","kind":"kick"})")).ok());
  EXPECT_EQ(found("key:Am kind:kick"), Names{"a.wav"});

  // Undo, one by one, newest first; the first was one change of two sounds.
  EXPECT_EQ(catalogue_->undo({})->what, "key A minor, kind kick");
  EXPECT_EQ(found("key:Am"), Names{});
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(at(a).analysis.tempo_bpm, 120);
  ASSERT_TRUE(catalogue_->undo({}).ok());
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(found("is:favourite"), Names{});
  EXPECT_TRUE(at(a).marks.empty());
  const auto nothing = catalogue_->undo({});
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(catalogue_->check().ok());
}

TEST_F(User, AWrongEditChangesNothing) {
  const int64_t a = add("/a.wav", 300);
  EXPECT_EQ(catalogue_->edit({a, 999}, change(R"({"rating":1})")).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(catalogue_->edit({a}, change(R"({"tempo_factor":"x2"})")).error().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_TRUE(at(a).marks.empty());
  EXPECT_TRUE(catalogue_->journal(10)->empty());
}

TEST_F(User, MarksOutliveAReopening) {
  const int64_t a = add("/a.wav");
  ASSERT_TRUE(catalogue_->edit({a}, change(R"({"tags":["b","a","b"],"hidden":true})")).ok());
  ASSERT_TRUE(catalogue_->played(a).ok());
  open();
  EXPECT_EQ(at(a).marks.tags, (Names{"a", "b"}));
  EXPECT_GT(at(a).marks.played_ms, 0);
  EXPECT_EQ(found(""), Names{});
  EXPECT_EQ(found("is:hidden is:played"), Names{"a.wav"});
  EXPECT_EQ(catalogue_->journal(10)->size(), 1u);  // listening is no change
}

TEST_F(User, Collections) {
  const int64_t a = add("/a kick.wav");
  const int64_t b = add("/b kick.wav");
  const int64_t c = add("/c snare.wav");
  ASSERT_TRUE(catalogue_->put_collection({"My Kit", "", "for Friday"}).ok());
  EXPECT_EQ(catalogue_->change_collection("my kit", {c, a, c, 777}, {})->changed, 2);
  EXPECT_EQ(*catalogue_->collection_ids("My Kit"), (std::vector<int64_t>{c, a}));
  EXPECT_EQ(found("in:\"my kit\" sort:name"), (Names{"a kick.wav", "c snare.wav"}));
  ASSERT_TRUE(catalogue_->put_collection({"kicks", "kick sort:-name"}).ok());
  EXPECT_EQ(*catalogue_->collection_ids("kicks"), (std::vector<int64_t>{b, a}));
  EXPECT_EQ(found("in:kicks in:\"My Kit\""), Names{"a kick.wav"});
  ASSERT_TRUE(catalogue_->put_collection({"both", "in:kicks -in:\"My Kit\""}).ok());
  EXPECT_EQ(found("in:both"), Names{"b kick.wav"});
  ASSERT_TRUE(catalogue_->put_collection({"round", "in:round"}).ok());
  SearchQuery round;
  round.text = "in:round";
  EXPECT_EQ(catalogue_->search(round).error().code(), ErrorCode::kInvalidArgument);
  SearchQuery none;
  none.text = "in:nothing";
  EXPECT_EQ(catalogue_->search(none).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(catalogue_->put_collection({"x", "bpm:fast"}).error().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(catalogue_->put_collection({"My Kit", "kick"}).error().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(catalogue_->change_collection("kicks", {c}, {}).error().code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(catalogue_->collections()->size(), 4u);

  ASSERT_TRUE(catalogue_->remove_collection("MY KIT").ok());
  EXPECT_EQ(catalogue_->collection_ids("My Kit").error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(*catalogue_->collection_ids("My Kit"), (std::vector<int64_t>{c, a}));
  EXPECT_EQ(catalogue_->change_collection("My Kit", {}, {c})->changed, 1);
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(*catalogue_->collection_ids("My Kit"), (std::vector<int64_t>{c, a}));
  EXPECT_TRUE(catalogue_->check().ok());
}

TEST_F(User, AMovedSoundTakesTheOnesPlaceThatWasThere) {
  const int64_t a = add("/a.wav");
  const int64_t b = add("/b.wav");
  ASSERT_TRUE(catalogue_->put_collection({"kit"}).ok());
  ASSERT_TRUE(catalogue_->change_collection("kit", {b, a}, {}).ok());
  ASSERT_TRUE(catalogue_->relink(a, {"/b.wav", 10, 21}).ok());
  EXPECT_FALSE(catalogue_->get(b)->has_value());
  EXPECT_EQ(*catalogue_->collection_ids("kit"), std::vector<int64_t>{a});
  EXPECT_EQ(found(""), Names{"b.wav"});
  EXPECT_TRUE(catalogue_->check().ok());
}

TEST_F(User, RenamingMaySwapNames) {
  const int64_t a = add("/a.wav");
  const int64_t b = add("/b.wav");
  const int64_t c = add("/c.wav");
  const std::vector<Move> moves{{a, "/a.wav", "/b.wav"}, {b, "/b.wav", "/a.wav"}};
  const auto id = catalogue_->begin_move("swap", moves);
  ASSERT_TRUE(id.ok()) << id.error().message();
  ASSERT_TRUE(catalogue_->finish_move(*id, moves).ok());
  EXPECT_EQ(at(a).file.path, "/b.wav");
  EXPECT_EQ(at(b).file.path, "/a.wav");
  EXPECT_EQ(at(c).file.path, "/c.wav");
  EXPECT_EQ(catalogue_->undo({}).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(catalogue_->moves(*id)->size(), 2u);
  ASSERT_TRUE(catalogue_->mark_undone(*id).ok());
  EXPECT_EQ(catalogue_->moves(4711).error().code(), ErrorCode::kNotFound);
}

TEST_F(User, PurgeForgetsMissingSoundsAndUndoBringsThemBack) {
  const int64_t a = add("/quo'te\xff.wav", 100);
  const int64_t b = add("/b.wav");
  ASSERT_TRUE(catalogue_->edit({a}, change(R"({"rating":5})")).ok());
  ASSERT_TRUE(catalogue_->put_collection({"kit"}).ok());
  ASSERT_TRUE(catalogue_->change_collection("kit", {a}, {}).ok());
  EXPECT_EQ(catalogue_->purge({a, b}).error().code(), ErrorCode::kInvalidArgument);
  ASSERT_TRUE(catalogue_->mark_missing({a}, true).ok());
  const Sample before = at(a);
  EXPECT_EQ(catalogue_->purge({a})->changed, 1);
  EXPECT_FALSE(catalogue_->get(a)->has_value());
  EXPECT_TRUE(catalogue_->collection_ids("kit")->empty());
  EXPECT_TRUE(catalogue_->check().ok());
  ASSERT_TRUE(catalogue_->undo({}).ok());
  const Sample after = at(a);
  EXPECT_EQ(after.file.path, before.file.path);
  EXPECT_EQ(after.digest_hex, before.digest_hex);
  EXPECT_EQ(after.marks, before.marks);
  EXPECT_EQ(after.analysis.tempo_bpm, 100);
  EXPECT_EQ(after.analysis.onsets_s, before.analysis.onsets_s);
  EXPECT_EQ(after.analysis.descriptor, before.analysis.descriptor);
  EXPECT_TRUE(after.missing);
  EXPECT_EQ(*catalogue_->collection_ids("kit"), std::vector<int64_t>{a});
}

TEST_F(User, RelocateMovesWholeFoldersAndBack) {
  const int64_t a = add("/old drive/x/a.wav");
  const int64_t b = add("/old drive2/b.wav");
  const auto moved = catalogue_->relocate("/old drive/", "/mnt/new");
  ASSERT_TRUE(moved.ok()) << moved.error().message();
  EXPECT_EQ(moved->changed, 1);
  EXPECT_EQ(at(a).file.path, "/mnt/new/x/a.wav");
  EXPECT_EQ(at(b).file.path, "/old drive2/b.wav");
  EXPECT_EQ(found("folder:/mnt/new"), Names{"a.wav"});
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(at(a).file.path, "/old drive/x/a.wav");
  ASSERT_TRUE(catalogue_->relocate("/", "/mnt").ok());
  EXPECT_EQ(at(b).file.path, "/mnt/old drive2/b.wav");
  ASSERT_TRUE(catalogue_->relocate("/mnt/", "/").ok());
  EXPECT_EQ(at(b).file.path, "/old drive2/b.wav");
  EXPECT_EQ(catalogue_->relocate("/nowhere", "/x").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(catalogue_->relocate("old", "/x").error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(User, BackupAndRestore) {
  const int64_t a = add("/a.wav");
  const fs::path copy = home_.path() / "copy.db";
  ASSERT_TRUE(catalogue_->backup(copy).ok());
  EXPECT_EQ(catalogue_->backup(copy).error().code(), ErrorCode::kAlreadyExists);
  add("/b.wav");
  EXPECT_EQ(restore_library(home_.path(), copy).error().code(), ErrorCode::kAlreadyExists);
  catalogue_.reset();
  ASSERT_TRUE(restore_library(home_.path(), copy).ok());
  open();
  EXPECT_EQ(found(""), Names{"a.wav"});
  EXPECT_EQ(at(a).file.path, "/a.wav");
  EXPECT_TRUE(fs::exists(home_.path() / "library.db.before-restore"));
  catalogue_.reset();
  write_file(home_.path() / "junk.db", std::string(9000, 'x'));
  EXPECT_EQ(restore_library(home_.path(), home_.path() / "junk.db").error().code(),
            ErrorCode::kDataLoss);
  EXPECT_EQ(restore_library(home_.path(), home_.path() / "none.db").error().code(),
            ErrorCode::kNotFound);
  open();
  EXPECT_EQ(found(""), Names{"a.wav"});
}

TEST_F(User, CheckFindsAndRepairMends) {
  const int64_t a = add("/a.wav");
  const fs::path file = home_.path() / "library.db";
  const auto sql = [&file](const std::string& text) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  };
  EXPECT_TRUE(catalogue_->check().ok());
  sql("INSERT INTO sample_detail VALUES (4711, '{}')");
  EXPECT_EQ(catalogue_->check().error().code(), ErrorCode::kDataLoss);
  ASSERT_TRUE(catalogue_->repair().ok());
  EXPECT_TRUE(catalogue_->check().ok());
  EXPECT_EQ(at(a).analysis.onsets_s.size(), 1u);
}

TEST_F(User, ADamagedFileIsSalvaged) {
  for (int i = 0; i < 600; ++i) add("/sounds/number " + std::to_string(i) + ".wav");
  ASSERT_TRUE(catalogue_->edit({1, 600}, change(R"({"favourite":true})")).ok());
  catalogue_.reset();
  const fs::path file = home_.path() / "library.db";
  std::string bytes = *read_file(file);
  // A few pages in the middle are overwritten, as a bad disk would.
  for (size_t page = bytes.size() / 4096 / 2; page < bytes.size() / 4096 / 2 + 3; ++page)
    bytes.replace(page * 4096, 4096, std::string(4096, '\x5a'));
  write_file(file, bytes);
  const auto saved = salvage_library(home_.path());
  ASSERT_TRUE(saved.ok()) << saved.error().message();
  EXPECT_GT(*saved, 300);
  open();
  EXPECT_TRUE(catalogue_->check().ok());
  EXPECT_EQ(static_cast<int64_t>(catalogue_->known()->size()), *saved);
  EXPECT_TRUE(fs::exists(home_.path() / "library.db.damaged"));
}

TEST_F(User, WatchedFolders) {
  ASSERT_TRUE(catalogue_->watch("/a\xff").ok());
  ASSERT_TRUE(catalogue_->watch("/a\xff").ok());
  ASSERT_TRUE(catalogue_->watch("/b").ok());
  EXPECT_EQ(*catalogue_->watched(), (Names{"/a\xff", "/b"}));
  EXPECT_TRUE(*catalogue_->unwatch("/b"));
  EXPECT_FALSE(*catalogue_->unwatch("/b"));
}

}  // namespace
}  // namespace samplemind::library
