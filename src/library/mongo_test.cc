// What is the MongoDB store's own: what a crash leaves behind, and questions too large for one
// message. Skipped without SAMPLEMIND_TEST_STORE (tests/integration/mongo_test.py sets it).
#include <gtest/gtest.h>

#include "library/store/mongo_link_internal.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

class Mongo : public ::testing::Test {
 protected:
  void SetUp() override {
    if (test_store(home_.path()).empty()) GTEST_SKIP() << "no MongoDB to test against";
    open();
  }
  void open() {
    catalogue_.reset();
    auto opened = open_catalogue(home_.path(), Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    catalogue_ = std::move(*opened);
  }
  // Behind the catalogue's back.
  void damage(const char* collection, const Doc& filter, const Doc& set) {
    auto link = MongoLink::open(test_store(home_.path()));
    ASSERT_TRUE(link.ok());
    const auto changed = (*link)->update(collection, filter, Doc().doc("$set", set));
    ASSERT_TRUE(changed.ok()) << changed.error().message();
    ASSERT_GT(*changed, 0);
  }
  std::vector<int64_t> add(int count, const std::string& folder) {
    std::vector<Sample> batch;
    for (int i = 0; i < count; ++i) {
      Sample s;
      s.file = {folder + "/" + std::to_string(i) + ".wav", 10, 20};
      s.digest_hex = blake3(s.file.path).hex();
      s.analysis_version = audio::kAnalysisVersion;
      s.analysis.duration_s = 1;
      batch.push_back(std::move(s));
    }
    EXPECT_TRUE(catalogue_->put(batch).ok());
    std::vector<int64_t> ids;
    for (const Sample& s : batch) ids.push_back((*catalogue_->get_by_path(s.file.path))->id);
    return ids;
  }
  int64_t count(const std::string& text) {
    SearchQuery q;
    q.text = text;
    const auto found = catalogue_->search(q);
    EXPECT_TRUE(found.ok()) << found.error().message();
    return found.ok() ? found->total : -1;
  }
  std::string path(int64_t id) { return (*catalogue_->get(id))->file.path; }

  TemporaryFolder home_;
  std::unique_ptr<Catalogue> catalogue_;
};

TEST_F(Mongo, ManySoundsAtOnce) {
  constexpr int kMany = 1100;  // more than one question of a thousand
  const auto ids = add(kMany, "/many");
  EXPECT_EQ(count("folder:/many"), kMany);
  MarksChange change;
  change.rating = 4;
  change.tags_add = {"dusty"};
  EXPECT_EQ(catalogue_->edit(ids, change)->changed, kMany);
  EXPECT_EQ(count("tag:dusty rating:4"), kMany);
  EXPECT_EQ(catalogue_->journal(1)->front().changes, kMany);
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(count("tag:dusty"), 0);
  ASSERT_TRUE(catalogue_->put_collection({"all"}).ok());
  EXPECT_EQ(catalogue_->change_collection("all", ids, {})->changed, kMany);
  EXPECT_EQ(catalogue_->relocate("/many", "/many/deeper")->changed, kMany);
  EXPECT_EQ(path(ids[1050]), "/many/deeper/1050.wav");
  ASSERT_TRUE(catalogue_->mark_missing(ids, true).ok());
  EXPECT_EQ(catalogue_->summary()->missing, kMany);
  EXPECT_EQ(catalogue_->purge(ids)->changed, kMany);
  EXPECT_TRUE(catalogue_->known()->empty());
  EXPECT_TRUE(catalogue_->collection_ids("all")->empty());
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(catalogue_->collection_ids("all")->size(), ids.size());
  ASSERT_TRUE(catalogue_->undo({}).ok());
  EXPECT_EQ(path(ids[1050]), "/many/1050.wav");
  EXPECT_TRUE(catalogue_->check().ok());
}

TEST_F(Mongo, WhatACrashCutOffIsFinished) {
  const auto ids = add(3, "/old");
  const auto moved = catalogue_->relocate("/old", "/new");
  ASSERT_TRUE(moved.ok()) << moved.error().message();
  const Doc entry = Doc().integer("_id", moved->journal_id);
  // One sound still where it was, one on its way.
  damage("journal", entry, Doc().text("state", "pending"));
  damage("samples", Doc().integer("_id", ids[0]), Doc().blob("path", "/old/0.wav"));
  damage("samples", Doc().integer("_id", ids[1]), Doc().blob("path", {"\0moving/2", 9}));
  open();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(path(ids[static_cast<size_t>(i)]), "/new/" + std::to_string(i) + ".wav");
  EXPECT_EQ(catalogue_->journal(1)->front().state, "done");
  // The same on the way back.
  damage("journal", entry, Doc().text("state", "undoing"));
  open();
  EXPECT_EQ(path(ids[2]), "/old/2.wav");
  EXPECT_EQ(catalogue_->journal(1)->front().state, "undone");

  ASSERT_TRUE(catalogue_->mark_missing(ids, true).ok());
  const auto purged = catalogue_->purge(ids);
  ASSERT_TRUE(purged.ok());
  damage("journal", Doc().integer("_id", purged->journal_id), Doc().text("state", "undoing"));
  open();
  EXPECT_EQ(catalogue_->summary()->missing, 3);
  damage("journal", Doc().integer("_id", purged->journal_id), Doc().text("state", "pending"));
  open();
  EXPECT_TRUE(catalogue_->known()->empty());
  EXPECT_EQ(catalogue_->undo({})->id, purged->journal_id);
  EXPECT_EQ(catalogue_->summary()->missing, 3);
}

TEST_F(Mongo, ARenamingThatACrashCutOffFollowsTheFiles) {
  const fs::path folder = home_.path() / "sounds";
  const auto ids = add(2, folder.string());
  write_file(folder / "renamed.wav", "x");  // the first has its new name, the second not yet
  write_file(folder / "1.wav", "x");
  const auto id = catalogue_->begin_move(
      "rename", {{ids[0], (folder / "0.wav").string(), (folder / "renamed.wav").string()},
                 {ids[1], (folder / "1.wav").string(), (folder / "other.wav").string()}});
  ASSERT_TRUE(id.ok()) << id.error().message();
  EXPECT_EQ(catalogue_->journal(1)->front().state, "pending");
  open();
  EXPECT_EQ(path(ids[0]), (folder / "renamed.wav").string());
  EXPECT_EQ(path(ids[1]), (folder / "1.wav").string());
  EXPECT_EQ(catalogue_->journal(1)->front().state, "done");
  EXPECT_EQ(catalogue_->journal(1)->front().changes, 1);
  ASSERT_EQ(catalogue_->moves(*id)->size(), 1u);
  EXPECT_EQ(catalogue_->moves(*id)->front().id, ids[0]);
}

TEST_F(Mongo, RepairMendsWhatCheckFinds) {
  const auto ids = add(2, "/a");
  ASSERT_TRUE(catalogue_->put_collection({"kit"}).ok());
  ASSERT_TRUE(catalogue_->change_collection("kit", ids, {}).ok());
  damage("samples", Doc().integer("_id", ids[0]), Doc().text("heard", "{broken"));
  damage("collections", Doc(), Doc().integers("samples", {ids[1], 4711}));
  const auto wrong = catalogue_->check();
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), ErrorCode::kDataLoss);
  EXPECT_NE(wrong.error().message().find("1 sounds"), std::string::npos);
  EXPECT_NE(wrong.error().message().find("1 places"), std::string::npos);
  const auto mended = catalogue_->repair();
  ASSERT_TRUE(mended.ok()) << mended.error().message();
  EXPECT_EQ(mended->size(), 3u);
  EXPECT_TRUE(catalogue_->check().ok());
  EXPECT_EQ(*catalogue_->collection_ids("kit"), std::vector<int64_t>{ids[1]});
  EXPECT_EQ((*catalogue_->known())["/a/0.wav"].analysis_version, 0);  // measured anew by a scan
}

TEST_F(Mongo, ANewerSchemaIsRefused) {
  catalogue_.reset();
  damage("meta", Doc().text("_id", "schema"), Doc().integer("n", 999));
  for (const auto access : {Catalogue::Access::kWrite, Catalogue::Access::kRead}) {
    const auto newer = open_catalogue(home_.path(), access);
    ASSERT_FALSE(newer.ok());
    EXPECT_EQ(newer.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(newer.error().message().find("schema 999"), std::string::npos);
  }
}

TEST(MongoAddress, AnythingElseIsRefused) {
  const TemporaryFolder home;
  for (const char* address : {"mongodb:/x", "http://localhost", "localhost:27017", "mongodb://",
                              "mongodb://h/db?tls=maybe", "mongodb://h:99999/db"}) {
    const auto opened = Catalogue::open(home.path(), Catalogue::Access::kRead, address);
    ASSERT_FALSE(opened.ok()) << address;
    EXPECT_EQ(opened.error().code(), ErrorCode::kInvalidArgument) << address;
    EXPECT_NE(opened.error().message().find("library.store"), std::string::npos);
  }
}

}  // namespace
}  // namespace samplemind::library
