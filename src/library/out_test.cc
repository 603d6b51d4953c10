// What leaves the library: exports, folders, renamed files.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "library/export.h"
#include "library/rename.h"
#include "library/test_support.h"

namespace samplemind::library {
namespace {

class Out : public ::testing::Test {
 protected:
  Out() { open(); }
  void open() {
    catalogue_.reset();
    auto opened = open_catalogue(root_.path() / "home", Catalogue::Access::kWrite);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    catalogue_ = std::move(*opened);
  }
  fs::path sounds() const { return root_.path() / "sounds"; }
  int64_t add(const std::string& name, std::optional<double> tempo = {},
              const char* key = nullptr) {
    const fs::path path = sounds() / name;
    write_file(path, wav_bytes(static_cast<int>(++count_)));
    Sample s;
    s.file = {path.string(), 10, 20};
    s.digest_hex = blake3(name).hex();
    s.analysis_version = audio::kAnalysisVersion;
    s.analysis.format = "wav";
    s.analysis.duration_s = 1.5;
    s.analysis.sample_rate_hz = 44100;
    s.analysis.channels = 1;
    s.analysis.tempo_bpm = tempo;
    if (key != nullptr) s.analysis.key = key;
    EXPECT_TRUE(catalogue_->put({s}).ok());
    return (*catalogue_->get_by_path(path.string()))->id;
  }
  std::string exported(ExportFormat format, const std::vector<int64_t>& ids) {
    auto text = export_sounds(*catalogue_, ids, format, "My <list>");
    EXPECT_TRUE(text.ok());
    return text.ok() ? *text : "";
  }
  std::string path_of(int64_t id) { return (*catalogue_->get(id))->file.path; }
  TemporaryFolder root_;
  std::unique_ptr<Catalogue> catalogue_;
  int64_t count_ = 0;
};

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(Out, EveryFormatHoldsHostileNames) {
  const int64_t a = add("Kick \"one\", & <two>.wav", 128, "A minor");
  const int64_t b = add("=cmd()\xff.wav");
  const int64_t c = add("new\nline #1.wav", 90);
  MarksChange change;
  change.rating = 4;
  change.tags_add = {"deep house"};
  change.note = "it's <good>";
  ASSERT_TRUE(catalogue_->edit({a}, change).ok());
  const std::vector<int64_t> ids{a, b, c};

  const std::string csv = exported(ExportFormat::kCsv, ids);
  EXPECT_TRUE(csv.starts_with("path,name,format"));
  EXPECT_NE(csv.find("\"Kick \"\"one\"\", & <two>.wav\""), std::string::npos) << csv;
  EXPECT_NE(csv.find("'=cmd()"), std::string::npos);  // no formula
  EXPECT_NE(csv.find(",128.00,ear,A minor,ear,8A,"), std::string::npos) << csv;

  const auto json = JsonValue::parse(exported(ExportFormat::kJson, ids));
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(json->size(), 3u);

  const std::string m3u = exported(ExportFormat::kM3u, ids);
  EXPECT_TRUE(m3u.starts_with("#EXTM3U\n#PLAYLIST:My <list>\n#EXTINF:2,"));
  EXPECT_NE(m3u.find(path_of(b) + "\n"), std::string::npos);
  EXPECT_EQ(count_of(m3u, "#EXTINF"), 2u);  // a line break cannot be said

  const std::string xml = exported(ExportFormat::kRekordbox, ids);
  EXPECT_NE(xml.find("<COLLECTION Entries=\"3\">"), std::string::npos);
  EXPECT_NE(xml.find("Name=\"Kick &quot;one&quot;, &amp; &lt;two&gt;.wav\""), std::string::npos);
  EXPECT_NE(xml.find("Rating=\"204\""), std::string::npos);
  EXPECT_NE(xml.find("Location=\"file://localhost/"), std::string::npos);
  EXPECT_NE(xml.find("new%0Aline%20%231.wav"), std::string::npos);
  EXPECT_NE(xml.find("%FF.wav"), std::string::npos);
  EXPECT_NE(xml.find("Tonality=\"Am\""), std::string::npos);
  EXPECT_NE(xml.find("Bpm=\"128.00\""), std::string::npos);
  EXPECT_NE(xml.find("Name=\"My &lt;list&gt;\" Type=\"1\" KeyType=\"0\" Entries=\"3\""),
            std::string::npos);
  EXPECT_EQ(count_of(xml, "<TRACK Key="), 3u);

  const std::string fl = exported(ExportFormat::kFlStudio, {c, b});
  EXPECT_TRUE(fl.starts_with("@TagCase=*")) << fl;
  const int64_t d = add("Snare.wav", 100);
  const std::string tags = exported(ExportFormat::kFlStudio, {d});
  EXPECT_EQ(tags, "@TagCase=*,\"100 bpm\",snare\n\"" + path_of(d) + "\",snare,\"100 bpm\"\n");
}

TEST_F(Out, MarksTravelToAnotherLibrary) {
  const int64_t a = add("a.wav");
  const int64_t b = add("b.wav");
  MarksChange change;
  change.favourite = true;
  change.tags_add = {"x"};
  ASSERT_TRUE(catalogue_->edit({a, b}, change).ok());
  ASSERT_TRUE(catalogue_->put_collection({"kit"}).ok());
  ASSERT_TRUE(catalogue_->change_collection("kit", {b, a}, {}).ok());
  ASSERT_TRUE(catalogue_->put_collection({"smart", "tag:x"}).ok());
  const auto text = export_marks(*catalogue_);
  ASSERT_TRUE(text.ok());
  // b has moved since, and is recognised by its content; a third sound is unknown there.
  const Sample moved = **catalogue_->get(b);
  FileStamp stamp = moved.file;
  stamp.path = "/elsewhere/b2.wav";
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(catalogue_->undo({}).ok());
  ASSERT_TRUE(catalogue_->relink(b, stamp).ok());
  const auto done = import_marks(*catalogue_, *text);
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(done->sounds, 2);
  EXPECT_EQ(done->collections, 2);
  EXPECT_EQ(done->unknown, 0);
  EXPECT_EQ(*catalogue_->collection_ids("kit"), (std::vector<int64_t>{b, a}));
  EXPECT_TRUE((*catalogue_->get(b))->marks.favourite);
  EXPECT_EQ(import_marks(*catalogue_, "{}").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(import_marks(*catalogue_, "{").ok());
}

TEST_F(Out, FoldersOfCopiesAndLinks) {
  const int64_t a = add("x/kick.wav");
  const int64_t b = add("y/kick.wav");
  const int64_t gone = add("gone.wav");
  fs::remove(path_of(gone));
  const fs::path target = root_.path() / "out";
  auto done = export_folder(*catalogue_, {a, b, gone}, target, false);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->written, 2);
  EXPECT_EQ(done->problems.size(), 1u);
  EXPECT_EQ(*read_file(target / "kick.wav"), *read_file(path_of(a)));
  EXPECT_EQ(*read_file(target / "kick (2).wav"), *read_file(path_of(b)));
  done = export_folder(*catalogue_, {a}, target, true);
  EXPECT_EQ(fs::read_symlink(target / "kick (3).wav"), path_of(a));
}

TEST_F(Out, RenamesByPatternAndBack) {
  const int64_t a = add("Kick_C1.wav", 128.0, "A minor");
  const int64_t b = add("loop two.wav", 90.5);
  const int64_t c = add("plain.wav");
  EXPECT_EQ(plan_rename(*catalogue_, {a}, "{nam}").error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(plan_rename(*catalogue_, {a}, "x{name").error().message().find("at character 2"),
            std::string::npos);
  EXPECT_FALSE(plan_rename(*catalogue_, {a}, "../{name}").ok());
  EXPECT_FALSE(plan_rename(*catalogue_, {a}, "same").ok());
  auto plan = plan_rename(*catalogue_, {a, b, c}, "{kind}_{bpm}_{key} - {name}_{n:3}");
  ASSERT_TRUE(plan.ok()) << plan.error().message();
  const auto to = [&](size_t i) { return fs::path((*plan)[i].move.to).filename().string(); };
  EXPECT_EQ(to(0), "kick_128_Am - Kick_C1_001.wav");
  EXPECT_EQ(to(1), "90.5_loop two_002.wav");
  EXPECT_EQ(to(2), "plain_003.wav");
  EXPECT_TRUE(fs::exists(path_of(a)));  // nothing happened yet
  const std::string before = *read_file(path_of(a));
  const auto done = rename_files(*catalogue_, *plan, "p");
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(done->renamed, 3);
  EXPECT_EQ(path_of(a), (sounds() / "kick_128_Am - Kick_C1_001.wav").string());
  EXPECT_EQ(*read_file(path_of(a)), before);
  EXPECT_EQ(catalogue_->undo({}).error().code(), ErrorCode::kUnsupported);
  const auto back = undo_rename(*catalogue_, done->journal_id);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(path_of(a), (sounds() / "Kick_C1.wav").string());
  EXPECT_EQ(*read_file(path_of(a)), before);
  EXPECT_EQ(catalogue_->undo({}).error().code(), ErrorCode::kNotFound);

  // Names that are taken are never replaced.
  plan = plan_rename(*catalogue_, {b, c}, "{folder}");
  EXPECT_EQ(to(0), "sounds.wav");
  EXPECT_EQ(to(1), "sounds (2).wav");
  write_file(sounds() / "sounds.wav", "somebody else's");
  const auto partly = rename_files(*catalogue_, *plan, "p");
  ASSERT_TRUE(partly.ok());
  EXPECT_EQ(partly->renamed, 1);
  EXPECT_EQ(partly->problems.size(), 1u);
  EXPECT_EQ(*read_file(sounds() / "sounds.wav"), "somebody else's");
  EXPECT_EQ(path_of(b), (sounds() / "loop two.wav").string());
  const int64_t longest = add(std::string(251, 'k') + ".wav");
  plan = plan_rename(*catalogue_, {longest}, "{name}{name}{n}");
  EXPECT_EQ(to(0).size(), 255u);
}

// Killed at random moments of renaming: every file is there once, under its old or its new name,
// and the library knows which.
TEST_F(Out, KilledWhileRenaming) {
  std::vector<int64_t> ids;
  for (int i = 0; i < 60; ++i) ids.push_back(add("s" + std::to_string(i) + ".wav"));
  std::mt19937 random(11);
  const char* rounds_text = ::getenv("SAMPLEMIND_KILLS");
  const int rounds = rounds_text != nullptr ? std::atoi(rounds_text) : 8;
  for (int round = 0; round < rounds; ++round) {
    catalogue_.reset();
    const pid_t child = ::fork();
    if (child == 0) {
      auto own = open_catalogue(root_.path() / "home", Catalogue::Access::kWrite);
      if (!own.ok()) ::_exit(1);
      const auto plan = plan_rename(**own, ids, "r" + std::to_string(round) + "_{n}");
      if (!plan.ok()) ::_exit(2);
      const auto done = rename_files(**own, *plan, "p");
      ::_exit(done.ok() ? 0 : 3);
    }
    ::usleep(static_cast<useconds_t>(random() % 40000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    open();
    size_t files = 0;
    for (const auto& entry : fs::directory_iterator(sounds())) files += entry.is_regular_file();
    ASSERT_EQ(files, ids.size());
    for (const int64_t id : ids) {
      const std::string path = path_of(id);
      ASSERT_TRUE(fs::exists(path)) << path;
    }
    const auto journal = catalogue_->journal(100);
    ASSERT_TRUE(journal.ok());
    for (const JournalEntry& e : *journal) EXPECT_NE(e.state, "pending");
    ASSERT_TRUE(catalogue_->check().ok());
  }
}

}  // namespace
}  // namespace samplemind::library
